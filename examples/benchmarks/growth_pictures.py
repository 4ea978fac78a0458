"""Figures of the measurements of `growth.py`, one for each question."""

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

BLUE, GRAY = "#1f5fa8", "#9a9a9a"
# For each question: the label of the x axis, and the panels: figures, label of the y axis, a figure to compare with.
PANELS = {
    "rows": (
        "rows of 64 features",
        [
            (["epoch, µs a row", "transform, µs a row"], "CPU µs for each row", None),
            (["before training, s"], "CPU s before training", None),
            (["added, MB"], "memory that a fit adds, MB", "X, MB"),
        ],
    ),
    "features": (
        "features (1,000 rows, default network)",
        [
            (["epoch, µs a row", "transform, µs a row"], "CPU µs for each row", None),
            (["before training, s"], "CPU s before training", None),
            (["added, MB"], "memory that a fit adds, MB", "X, MB"),
        ],
    ),
    "components": (
        "components (784 features, default network)",
        [
            (["epoch, µs a row", "transform, µs a row"], "CPU µs for each row", None),
            (["added, MB"], "memory that a fit adds, MB", "X, MB"),
        ],
    ),
    "map": (
        "rows of 64 features in a file",
        [
            (["fit, µs a row"], "CPU µs of a fit of one epoch for each row", None),
            (["peak, MB", "added, MB"], "memory, MB", "file, MB"),
        ],
    ),
    "prior": (
        "codes of 8 components",
        [
            (["prior, s"], "CPU s of prior='mixture'", None),
            (["held-out log-likelihood"], "log-likelihood of other codes", None),
        ],
    ),
    "workers": (
        "workers (12 fits of 20,000 rows)",
        [
            (["wall, s"], "wall-clock s of the search", None),
            (["memory of all processes, MB"], "memory of all processes, MB", None),
        ],
    ),
}


def draw(found, folder):
    """Write ``growth-NAME.png`` for each question that was asked."""
    for name, by_size in found.items():
        label, panels = PANELS[name]
        x = [int(size) for size in by_size]
        figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 3), layout="constrained", squeeze=False)
        for ax, (figures, y_label, beside) in zip(axes[0], panels, strict=True):
            for figure_name, style in zip(figures, ("-", "--"), strict=False):
                y = [values[figure_name] for values in by_size.values()]
                ax.plot(x, y, "o" + style, color=BLUE, markersize=4, label=figure_name.split(",")[0])
            if beside is not None:
                y = [values[beside] for values in by_size.values()]
                ax.plot(x, y, ":", color=GRAY, label=beside.split(",")[0])
            ax.set_xscale("log", base=2 if name == "workers" else 10)
            shown = [value for line in ax.lines for value in line.get_ydata()]
            if min(shown) > 0 and max(shown) > 8 * min(shown):
                ax.set_yscale("log")
                ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                ax.yaxis.set_minor_formatter(NullFormatter())
            elif min(shown) > 0:
                ax.set_ylim(0, 1.1 * max(shown))
            if name == "workers":
                ax.set_xticks(x, [str(size) for size in x])
                ax.minorticks_off()
            ax.set_xlabel(label, fontsize=8)
            ax.set_ylabel(y_label, fontsize=8)
            ax.tick_params(labelsize=8)
            ax.grid(alpha=0.3)
            if len(figures) > 1 or beside is not None:
                ax.legend(fontsize=8, frameon=False)
        figure.savefig(folder / f"growth-{name}.png", dpi=90)
        plt.close(figure)
