"""Time and memory of the training engine, against alternatives, with goals for two cores.

    python examples/benchmarks/speed.py --data FILE                # an .npz with X; without it OpenML is asked
    python examples/benchmarks/speed.py --only small import        # without MNIST
    python examples/benchmarks/speed.py --data FILE --device cuda  # small, large and conv on a GPU
    python examples/benchmarks/speed.py --quick                    # a trial of the script: few rows, two rounds

Prints Markdown tables and writes ``output/speed.json`` and ``output/speed.png`` (another folder with ``--out``).

All rivals of a work run in one process, in turn and in rotating order, after a run of each that does not count; what
is timed is the whole of making and fitting a model. A ratio is the median over rounds of skae's time by the other's in
the same round. The numbers of threads are the defaults, so OMP_NUM_THREADS and the like should not be set.
PyOD and pythae take part where they are installed. All takes half an hour and, for `memmap`, 4 GB of disk.
"""

import argparse
import ctypes
import datetime
import functools
import gc
import importlib.metadata
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor
from quality import load_mnist
from rivals import CONV, CONV_CUDA, DENSE, DENSE_CUDA, Task, count, is_installed, skae_estimator
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from speed_report import HAND, draw, entry, median, show

from skae import AutoencoderTransformer

THREADS = torch.get_num_threads()
MB = 1e6


# ---------------------------------------------------------------- taking the time


def race(rivals, rounds, error_of=None):
    """The seconds of all rivals in every round, and the errors of their results; a first round is dropped."""
    seconds, verdicts = {name: [] for name in rivals}, {name: [] for name in rivals}
    synchronize = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    for i in range(rounds + 1):
        names = list(rivals)
        for name in names[i % len(names) :] + names[: i % len(names)]:
            torch.set_num_threads(THREADS)
            gc.collect()
            synchronize()
            start = time.perf_counter()
            result = rivals[name](i)
            synchronize()
            taken = time.perf_counter() - start
            if i:
                seconds[name].append(taken)
                if error_of is not None:
                    torch.set_num_threads(THREADS)
                    verdicts[name].append(error_of(result))
            del result
    return seconds, verdicts


def versus(seconds, one, other, goal=None):
    """The entry for the times of ``one`` by those of ``other`` in the same rounds."""
    return entry(f"{one} / {other}", median(np.divide(seconds[one], seconds[other])), goal)


def work(about, seconds, ratios, **more):
    """All measurements of a task."""
    medians = {name: median(values) for name, values in seconds.items()}
    return {"about": about, "seconds": medians, "repetitions": seconds, "ratios": ratios, **more}


def fresh(function, *args):
    """Return the result of ``function`` in a separate process, or None if it was killed."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args).result()
        except BrokenProcessPool:
            return None


# ---------------------------------------------------------------- training


def standardized(X):
    """One mean and one standard deviation for all of X, as float32."""
    return ((X - X.mean()) / X.std()).astype(np.float32)


@functools.cache
def mnist(path):
    """MNIST's images as standardized rows."""
    return standardized(load_mnist(path))


def small_task(args):
    """Digits, 64-32-8-32-64."""
    return Task(standardized(load_digits().data), (64, 32, 8), 128, 10 if args.quick else 100, args.device)


def large_task(args):
    """MNIST, 784-512-256-32 and back."""
    X = mnist(args.data)
    return Task(X[:6_000] if args.quick else X, (784, 512, 256, 32), 256, 1 if args.quick else 2, args.device)


def conv_task(args):
    """MNIST's images, 16 components."""
    X = mnist(args.data).reshape(-1, 28, 28)[: 1_280 if args.quick else 12_800]
    return Task(X, (16,), 128, 1 if args.device == "cpu" else 10, args.device)


def training(args, task, rivals, goals):
    """Fit all rivals; the error is that of all rows after the last epoch, per value."""
    calls = {name: functools.partial(rival, task) for name, rival in rivals.items() if is_installed(name)}
    sizes = set()

    def error_of(fitted):
        sizes.add(fitted.n_weights)
        return float(np.square(fitted.reconstruct(task.X) - task.X, dtype=np.float64).mean())

    seconds, errors = race(calls, args.rounds, error_of)
    n_weights = sizes - {None}
    assert len(n_weights) == 1, f"The rivals do not train the same network: they have {n_weights} weights."
    epochs = "1 epoch" if task.epochs == 1 else f"{task.epochs} epochs"
    about = f"{len(task.X):,} rows, {epochs}, batch {task.batch}, {n_weights.pop():,} weights"
    return work(
        about if task.device == "cpu" else f"{about}, {torch.cuda.get_device_name()}",
        seconds,
        [versus(seconds, "skae", name, goals.get(name)) for name in calls if name != "skae"],
        mse={name: median(values) for name, values in errors.items()},
        missing=[name for name in rivals if name not in calls],
        race=True,
    )


def small(args):
    """Train a small network."""
    if args.device == "cuda":
        return training(args, small_task(args), DENSE_CUDA, {HAND: 0.25})
    return training(args, small_task(args), DENSE, {HAND: 0.75, "skorch": 0.30, "MLPRegressor": 1.3})


def large(args):
    """Train a large network."""
    if args.device == "cuda":
        return training(args, large_task(args), DENSE_CUDA, {})
    return training(args, large_task(args), DENSE, {HAND: 0.95, "skorch": 0.85, "MLPRegressor": 0.7})


def conv(args):
    """Train a convolutional network."""
    if args.device == "cuda":
        return training(args, conv_task(args), CONV_CUDA, {HAND: 0.7})
    return training(args, conv_task(args), CONV, {HAND: 0.95})


def early(args):
    """Hold rows out, keep the best weights and follow a schedule, on as many rows to train on."""
    seconds, ratios = {}, []
    for name, task in {"small": small_task(args), "large": large_task(args)}.items():
        n_held = math.ceil(0.1 * len(task.X))
        params = {"early_stopping": True, "lr_schedule": "onecycle", "n_iter_no_change": task.epochs + 1}
        ae = skae_estimator(task, 0).fit(task.X[: 2 * task.batch])
        module = ae.module_.eval()
        held = module.standardize(torch.from_numpy(task.X[:n_held])).tensor_split(math.ceil(n_held / task.batch))

        def with_it(seed, task=task, params=params):
            return skae_estimator(task, seed, **params).fit(task.X)

        def without(seed, task=task, n_held=n_held):
            return skae_estimator(task, seed).fit(task.X[: len(task.X) - n_held])

        def passes(_, task=task, module=module, held=held, name=name):
            """The objective of the rows held out, before the first epoch and after each."""
            if name == "small":
                torch.set_num_threads(1)  # as skae does for networks of this size
            with torch.no_grad():
                for part in itertools.chain(*[held] * (task.epochs + 1)):
                    module.objective(module(part), part)

        on, off, evaluating = f"{name}, with it", f"{name}, without", f"{name}, held-out passes"
        taken, _ = race({on: with_it, off: without, evaluating: passes}, args.rounds)
        net = median((np.array(taken[on]) - taken[evaluating]) / taken[off])
        raw = versus(taken, on, off)["ratio"]
        ratios += [
            entry(f"{name}: with it / without", raw),
            entry(f"{name}: the same, less held-out passes", net, 1.15),
        ]
        seconds |= taken
    return work("early stopping and a one-cycle schedule, on as many rows to train on", seconds, ratios)


# ---------------------------------------------------------------- memory


def memory(name):
    """A line of /proc/self/status, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / MB
    raise KeyError(name)


def fitted_for_transform(rows):
    """The network of `large`, hardly trained, and rows for it: neither time nor memory depends on values."""
    X = np.random.default_rng(0).standard_normal((rows, 784), dtype=np.float32)
    return skae_estimator(Task(X, (784, 512, 256, 32), 256, 1), 0).fit(X[:1_000]), X


def peak_of_transform(rows):
    """MB that `transform` needs at its peak beyond what was there before, and MB of its output; in a fresh process."""
    ae, X = fitted_for_transform(rows)
    ae.transform(X[:100])
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what lies free already would hide what is needed
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = memory("VmRSS")
    Z = ae.transform(X)
    return memory("VmHWM") - before, Z.nbytes / MB


def transform(args):
    """Encode 60,000 rows of 784 values."""
    ae, X = fitted_for_transform(60_000)
    module = ae.module_.eval()
    u = module.standardize(torch.from_numpy(X))

    def raw(_):
        with torch.inference_mode():
            return module.network.encode(u)

    seconds, _ = race({"transform": lambda _: ae.transform(X), "one raw forward": raw}, args.rounds)
    ratios, megabytes = [versus(seconds, "transform", "one raw forward", 1.15)], {}
    if sys.platform == "linux":
        peak, output = fresh(peak_of_transform, 60_000)
        megabytes = {"peak beyond before": peak, "output": output}
        ratios.append(entry("memory of transform / (its output + 64 MB)", peak / (output + 64), 1.0))
    about = f"60,000 x 784, float32, {count(module.network):,} weights"
    return work(about, seconds, ratios, megabytes=megabytes)


def write_rows(path, shape):
    """A .npy file of low-rank rows and noise, block by block; in a fresh process."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((8, shape[1]), dtype=np.float32)
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(X), 8_192):
        block = X[start : start + 8_192]
        block[:] = 0.3 * rng.standard_normal(block.shape, dtype=np.float32)
        block += rng.standard_normal((len(block), 8), dtype=np.float32) @ mixing
    X.flush()


def fit_memmap(path):
    """Seconds and peaks of memory, for a fit to the rows in a file and their codes; in a fresh process."""
    peaks = dict.fromkeys(("RssAnon", "RssFile"), 0.0)
    over = threading.Event()

    def watch():
        while not over.wait(0.02):
            peaks.update({name: max(peak, memory(name)) for name, peak in peaks.items()})

    before = memory("VmRSS")
    threading.Thread(target=watch, daemon=True).start()
    X = np.load(path, mmap_mode="r")
    start = time.perf_counter()
    ae = AutoencoderTransformer(8, max_epochs=1, batch_size=1_024, device="cpu", random_state=0).fit(X)
    fitted, fit_peak = time.perf_counter() - start, memory("VmHWM")
    ae.transform(X)
    seconds = {"fit": [fitted], "transform": [time.perf_counter() - start - fitted]}
    over.set()
    megabytes = {"before": before, "peak of fit": fit_peak, "peak": memory("VmHWM")}
    return seconds, megabytes | {f"peak of {name}": peak for name, peak in peaks.items()}


def memmap(args):
    """Fit to a file that is larger than what may be resident, and encode it."""
    if sys.platform != "linux":
        return work("memory is read from /proc, which is Linux's", {}, [])
    shape = (80_000 if args.quick else 1_310_720, 800)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        fresh(write_rows, path, shape)
        size = path.stat().st_size / MB
        found = fresh(fit_memmap, path)
    about = f"{shape[0]:,} x {shape[1]}, float32, a file of {size:,.0f} MB; one epoch, defaults but batch_size=1024"
    if found is None:
        return work(f"{about}: the process was killed", {}, [entry("peak of resident memory / 1 GB", None, 1.0)])
    seconds, megabytes = found
    ratios = [entry("peak of resident memory / 1 GB", megabytes["peak"] / 1_000, 1.0)]
    return work(about, seconds, ratios, megabytes=megabytes | {"file": size})


# ---------------------------------------------------------------- processes


def imports(args):
    """Start Python and import."""
    ours, theirs = "import skae", "import torch, sklearn.decomposition, skorch"

    def python(code):
        return lambda _: subprocess.run([sys.executable, "-c", code], check=True)

    calls = {code: python(code) for code in (ours, theirs, "pass")}
    seconds, _ = race(calls, 3 if args.quick else 9)
    return work("python -c, each in a fresh process", seconds, [versus(seconds, ours, theirs, 1.1)])


def threads(args):
    """Search in parallel. What follows a search, the fit to all rows, is the same for both, and left out."""
    X, epochs = load_digits().data, 10 if args.quick else 100
    ae = AutoencoderTransformer(max_epochs=epochs, device="cpu", random_state=0)
    grid = {"n_components": [2, 4, 8, 16]}
    seconds = {"n_jobs=1": [], "n_jobs=2, cold workers": [], "n_jobs=2, warm workers": []}

    def search(name, n_jobs, counts=True):
        torch.set_num_threads(THREADS)
        gc.collect()
        start = time.perf_counter()
        GridSearchCV(ae, grid, cv=2, n_jobs=n_jobs, refit=False).fit(X)
        if counts:
            seconds[name].append(time.perf_counter() - start)

    search("n_jobs=1", 1, counts=False)
    for i in range(1 if args.quick else 3):
        if i % 2 == 0:
            search("n_jobs=1", 1)
        get_reusable_executor().shutdown(wait=True)
        search("n_jobs=2, cold workers", 2)
        search("n_jobs=2, warm workers", 2)
        if i % 2 == 1:
            search("n_jobs=1", 1)
    get_reusable_executor().shutdown(wait=True)
    warm = versus(seconds, "n_jobs=2, warm workers", "n_jobs=1", 0.625)
    cold = versus(seconds, "n_jobs=2, cold workers", "n_jobs=1")
    return work(f"GridSearchCV on digits, 4 candidates, 2 folds, {epochs} epochs, refit=False", seconds, [warm, cold])


WORKS = {
    "small": small,
    "large": large,
    "conv": conv,
    "early": early,
    "transform": transform,
    "memmap": memmap,
    "import": imports,
    "threads": threads,
}
ON_CUDA = ["small", "large", "conv"]


# ---------------------------------------------------------------- all of it


def processor():
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def circumstances(args):
    """Where, when and with what."""
    versions = {"python": platform.python_version()}
    for package in ("torch", "scikit-learn", "skorch", "numpy", "skae", "pyod", "pythae"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": versions,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": THREADS,
        "processor": processor(),
        "load before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "quick": args.quick,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="an .npz file with MNIST's images as X")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--quick", action="store_true", help="few rows and two rounds, to try the script")
    parser.add_argument("--only", nargs="+", choices=WORKS, metavar="NAME", help=", ".join(WORKS))
    parser.add_argument("--out", type=Path, default=Path("output"), help="where JSON and picture go")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device here.")
    names = args.only or (ON_CUDA if args.device == "cuda" else list(WORKS))
    if args.device == "cuda" and set(names) - set(ON_CUDA):
        parser.error(f"--device cuda has {', '.join(ON_CUDA)} only.")
    args.rounds = 2 if args.quick else 7

    report = circumstances(args)
    cores = f"{report['cores']} cores, {THREADS} threads, {report['processor']}"
    where = f"{report['device'] if args.device == 'cuda' else cores}, torch {report['versions']['torch']}"
    where += ", quick: not to be quoted" if args.quick else ""
    print(f"{report['date']}, {where}", flush=True)
    if (report["load before"] or 0) > 0.5:  # threads that wait for each other then wait for those of others
        print(f"Others are computing here (load {report['load before']:.1f}): do not trust what follows.")
    print()
    report["works"] = {}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        report["works"][name] = WORKS[name](args)
        show(name, report["works"][name])
        (args.out / "speed.json").write_text(json.dumps(report, indent=1) + "\n")
    draw(report["works"], args.out / "speed.png", where)
    print(f"wrote {args.out / 'speed.json'} and {args.out / 'speed.png'}")


if __name__ == "__main__":
    main()
