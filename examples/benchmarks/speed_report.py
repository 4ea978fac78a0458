"""What `speed.py` says of its works: Markdown tables and a picture.

A work is a dict: what it is ``about``, the ``repetitions`` in seconds of each rival and their medians (``seconds``),
and ``ratios`` with goals (`entry`); a training is a ``race`` and has the errors of its rivals (``mse``) too.
"""

import numpy as np
from quality import table

HAND = "hand-written loop"
BLUE, GREEN, RED = "#1f77b4", "#2ca02c", "#d62728"


def median(values):
    """The median, as JSON takes it."""
    return float(np.median(values))


def entry(what, ratio, goal=None):
    """A ratio, None where there is none to be had, the goal that it should not exceed, and whether it keeps to it."""
    met = None if goal is None else ratio is not None and ratio <= goal
    return {"what": what, "ratio": ratio, "goal": goal, "met": met}


def number(value, digits=2):
    """For a table."""
    return "" if value is None else f"{value:.{digits}f}"


def verdict(ratio):
    """The goal of an entry, and whether it is met."""
    return "" if ratio["goal"] is None else f"≤ {ratio['goal']:g}: {'met' if ratio['met'] else 'missed'}"


def show(name, result):
    """Print the tables of a work."""
    print(f"### {name}: {result['about']}\n")
    entries = {ratio["what"]: ratio for ratio in result["ratios"]}
    rows = []
    for rival, seconds in result["seconds"].items():
        runs = result["repetitions"][rival]
        rows.append([rival, number(seconds, 3), f"{min(runs):.3f} to {max(runs):.3f}"])
        if result.get("race"):
            ratio = entries.get(f"skae / {rival}", entry("", 1.0))
            rows[-1] += [number(ratio["ratio"]), verdict(ratio), number(result["mse"][rival], 4)]
    if result.get("race"):
        rows += [[rival, "not installed", "", "", "", ""] for rival in result["missing"]]
        table(["rival", "seconds", "range", "skae / it", "goal", "error of the training rows"], rows)
        return
    if rows:
        table(["what", "seconds", "range"], rows)
    if result.get("megabytes"):
        table(["memory", "MB"], [[what, number(value, 0)] for what, value in result["megabytes"].items()])
    table(["ratio", "value", "goal"], [[what, number(each["ratio"]), verdict(each)] for what, each in entries.items()])


def bars(name, result):
    """What the picture has of a work: labels, values, goals, and whether they are met; 1 is the reference."""
    if not result.get("race"):
        label = {"threads": "search, ", "early": "early stopping, "}.get(name, "")
        return [
            (label + each["what"], each["ratio"], each["goal"], each["met"])
            for each in result["ratios"]
            if each["ratio"] is not None
        ]
    runs, found = result["repetitions"], []
    entries = {each["what"].removeprefix("skae / "): each for each in result["ratios"]}
    for rival, seconds in runs.items():
        if rival != "PCA":  # its bar would leave no room for the others
            value, each = median(np.divide(seconds, runs[HAND])), entries.get(rival, entry("", None))
            found.append((rival, value, each["goal"] and each["goal"] * value, each["met"]))
    return found


def panel(ax, title, rows, is_race):
    """Bars from 1 to the values, marks where the goals are, and the values in a column."""
    labels, values, goals, met = zip(*rows, strict=True)
    ours = [label.startswith("skae") or not is_race for label in labels]
    ax.barh(range(len(rows)), np.array(values) - 1, left=1, color=[BLUE if own else "0.72" for own in ours])
    ax.axvline(1, color="0.2", linewidth=1)
    if is_race:
        ax.axvline(values[labels.index("skae")], color=BLUE, linewidth=1, linestyle=":")
    for y, (value, goal) in enumerate(zip(values, goals, strict=True)):
        ax.text(1.01, y, f"{value:.2f}", transform=ax.get_yaxis_transform(), va="center", fontsize=9)
        if goal is not None:
            color = GREEN if met[y] else RED
            ax.plot([goal, goal], [y - 0.45, y + 0.45], color=color, linewidth=3, solid_capstyle="butt")
    ax.set(xscale="log", ylim=(len(rows) - 0.4, -0.6))
    ax.set_yticks(range(len(rows)), labels)
    ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
    ax.tick_params(axis="y", length=0, labelsize=9)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def draw(results, path, subtitle):
    """Horizontal bars on a logarithmic axis, a panel for every training and one for all else."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    panels = {f"{name}: {each['about']}": bars(name, each) for name, each in results.items() if each.get("race")}
    races = set(panels)
    panels["other works: time or memory by that of the reference"] = [
        bar for name, each in results.items() if not each.get("race") for bar in bars(name, each)
    ]
    panels = {title: rows for title, rows in panels.items() if rows}
    if not panels:
        return
    heights = [len(rows) + 1.2 for rows in panels.values()]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(10, 0.29 * sum(heights) + 1.5),
        sharex=True,
        squeeze=False,
        layout="constrained",
        gridspec_kw={"height_ratios": heights},
    )
    for ax, (title, rows) in zip(axes.flat, panels.items(), strict=True):
        panel(ax, title, rows, title in races)
        ax.tick_params(axis="x", which="both", labelbottom=ax is axes[-1, 0])
    shown = [x for rows in panels.values() for _, value, goal, _ in rows for x in (value, goal) if x is not None]
    low, high = min(0.5, *shown) * 0.85, max(2.0, *shown) * 1.15
    ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50) if low < t < high]
    ax.set_xlim(low, high)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    what = f"time relative to the {HAND}; in the panel of other works relative to what a row names"
    marks = "marks: what skae may take at most beside the rival of that row; green if it does, red if it takes more"
    figure.supxlabel(f"{what}; dotted: skae\n{marks}", fontsize=9)
    figure.suptitle(f"Less is better, 1 is the reference\n{subtitle}", fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)
