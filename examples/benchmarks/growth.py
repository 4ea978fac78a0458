"""Growth of time and memory with samples, features, components, codes of a prior and workers, with figures.

    python examples/benchmarks/growth.py                           # all questions: half an hour, 3 GB of disk for `map`
    python examples/benchmarks/growth.py --only rows features
    python examples/benchmarks/growth.py --quick                   # a trial of the script: small sizes, one round
    python examples/benchmarks/growth.py --pictures docs/_static   # draws what output/growth.json has

Prints a table for each question and writes ``output/growth.json`` (another folder with ``--out``), to which questions
are added as they are asked. Every measurement runs in a process of its own with one thread, and rounds take turns
between sizes, so that another busy program disturbs all alike. Seconds are CPU seconds, but for `workers`; the median
of the rounds is reported. "added" is the highest resident memory during the call beyond that before it (Linux).

An epoch is a third of what a fit of four epochs takes longer than one of one, so that nothing of the engine's is
touched. Rows are a curved surface of 8 dimensions.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer

MB = 1e6
SMALL = {"module__hidden_layer_sizes": (32,), "batch_size": 128, "early_stopping": False, "random_state": 0}
DEFAULT = {"early_stopping": False, "random_state": 0}


# ---------------------------------------------------------------- in a process of its own


def surface(n, d, out=None):
    """Rows in float32, (n, d); written into ``out`` block by block."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(8, d)).astype("f4")
    X = np.empty((n, d), "f4") if out is None else out
    for start in range(0, n, 100_000):
        stop = min(start + 100_000, n)
        X[start:stop] = np.tanh(rng.normal(size=(stop - start, 8)).astype("f4") @ W)
    return X


def memory(name):
    """Resident memory in MB: 'VmRSS' is now, 'VmHWM' the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / MB


def measured(call):
    """CPU seconds of a call, its added peak and what it returns."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before, begin = memory("VmRSS"), time.process_time()
    result = call()
    return time.process_time() - begin, memory("VmHWM") - before, result


def fits(X, n_components, params):
    """Before training, an epoch, the added peak of a fit, and ``transform``."""
    _, peak, ae = measured(lambda: AutoencoderTransformer(n_components, max_epochs=1, **params).fit(X))
    one = measured(lambda: AutoencoderTransformer(n_components, max_epochs=1, **params).fit(X))[
        0
    ]  # memory is there now
    four = measured(lambda: AutoencoderTransformer(n_components, max_epochs=4, **params).fit(X))[0]
    some = X[: min(len(X), 100_000)]
    ae.transform(some[:100])
    codes, _, _ = measured(lambda: ae.transform(some))
    epoch = (four - one) / 3
    return {
        "epoch, µs a row": 1e6 * epoch / len(X),
        "before training, s": one - epoch,
        "transform, µs a row": 1e6 * codes / len(some),
        "X, MB": X.nbytes / MB,
        "added, MB": peak,
        "peak, MB": memory("VmHWM"),
    }


def rows(n):
    """64 features, 64-32-8-32-64, batches of 128."""
    return fits(surface(n, 64), 8, SMALL)


def features(d):
    """1,000 rows, the default network."""
    return fits(surface(1000, d), 8, DEFAULT)


def components(k):
    """2,000 rows of 784 features, the default network."""
    return fits(surface(2000, 784), k, DEFAULT)


def mapped(n):
    """Rows of 64 features in a file, read by windows; the network of `rows`, batches of 1,024, one epoch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        surface(n, 64, np.lib.format.open_memmap(path, "w+", "f4", (n, 64)))
        X = np.load(path, mmap_mode="r")
        params = SMALL | {"batch_size": 1024, "early_stopping": "auto"}
        seconds, added, _ = measured(lambda: AutoencoderTransformer(8, max_epochs=1, **params).fit(X))
    return {
        "fit, µs a row": 1e6 * seconds / n,
        "file, MB": X.nbytes / MB,
        "added, MB": added,
        "peak, MB": memory("VmHWM"),
    }


def prior(n):
    """``prior="mixture"`` of 8 codes by PCA (no training), and the log-likelihood of the codes of 50,000 other rows."""
    X = surface(n + 50_000, 64)
    params = {"max_epochs": 0} | SMALL
    alone = measured(lambda: AutoencoderTransformer(8, **params).fit(X[:n]))[0]
    both, added, ae = measured(lambda: AutoencoderTransformer(8, prior="mixture", **params).fit(X[:n]))
    return {
        "prior, s": both - alone,
        "components": ae.prior_.n_components,
        "held-out log-likelihood": ae.prior_.score(ae.transform(X[n:])),
        "added, MB": added,
    }


def tree_memory(pid):
    """Memory of a process and its children in MB; what they share is counted once (PSS)."""
    pids = [pid]
    for known in pids:
        for task in Path(f"/proc/{known}/task").glob("*/children"):
            pids += [int(child) for child in task.read_text().split()]
    rollups = [Path(f"/proc/{known}/smaps_rollup").read_text() for known in pids]
    return (
        sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:"))
        * 1024
        / MB
    )


def workers(n_jobs):
    """A grid of 4 x 3 fits of 20,000 rows of 64 features, workers started before; wall seconds, memory of all."""
    X = surface(20_000, 64)
    grid = {"n_components": [2, 4, 8, 16]}
    search = GridSearchCV(AutoencoderTransformer(max_epochs=5, **SMALL), grid, cv=3, refit=False, n_jobs=n_jobs)
    GridSearchCV(AutoencoderTransformer(max_epochs=1, **SMALL), grid, cv=3, refit=False, n_jobs=n_jobs).fit(X[:300])
    found, done = [], threading.Event()

    def watch():
        while not done.wait(0.2):
            try:
                found.append(tree_memory(os.getpid()))
            except OSError:  # a process has just ended
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    search.fit(X)
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    get_reusable_executor().shutdown()
    return {"wall, s": seconds, "memory of all processes, MB": max(found)}


# ---------------------------------------------------------------- all measurements

QUESTIONS = {
    "rows": (rows, [10_000, 30_000, 100_000, 300_000, 1_000_000], 3),
    "features": (features, [100, 300, 1000, 3000, 10_000, 50_000], 3),
    "components": (components, [2, 8, 32, 128, 512], 3),
    "map": (mapped, [300_000, 1_000_000, 3_000_000, 10_000_000], 1),
    "prior": (prior, [1000, 10_000, 40_000, 100_000, 1_000_000], 1),
    "workers": (workers, [1, 2, 4], 3),
}


def run(name, size):
    """One measurement, in a new process."""
    command = [sys.executable, __file__, "--measure", name, str(size)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def ask(name, quick):
    """The median of all figures by size."""
    _, sizes, n_rounds = QUESTIONS[name]
    sizes, n_rounds = (sizes[:2], 1) if quick else (sizes, n_rounds)
    rounds = [{size: run(name, size) for size in sizes} for _ in range(n_rounds)]
    return {size: {key: statistics.median(r[size][key] for r in rounds) for key in rounds[0][size]} for size in sizes}


def show(name, found):
    """Print a Markdown table."""
    columns = list(next(iter(found.values())))
    print(f"\n### {name}: {QUESTIONS[name][0].__doc__}\n")
    print("| " + " | ".join([name, *columns]) + " |\n|" + " --- |" * (len(columns) + 1))
    for size, values in found.items():
        print(f"| {int(size):,} | " + " | ".join(f"{values[column]:,.4g}" for column in columns) + " |")


def main():
    """Answer the questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("output"))
    parser.add_argument("--pictures", type=Path, help="a folder for the figures")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        torch.set_num_threads(1)
        AutoencoderTransformer(2, max_epochs=1, **SMALL).fit(surface(300, 8))  # loads what is loaded at first use
        print(json.dumps(QUESTIONS[args.measure[0]][0](int(args.measure[1]))))
        return
    path = args.out / "growth.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if args.pictures:
        from growth_pictures import draw

        draw(known, args.pictures)
        return
    args.out.mkdir(exist_ok=True)
    for name in args.only:
        known[name] = ask(name, args.quick)
        show(name, known[name])
        path.write_text(json.dumps(known, indent=1))


if __name__ == "__main__":
    main()
