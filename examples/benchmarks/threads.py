"""Does a fit keep to the cores that it is given, and what helps beside busy neighbors? Seconds of one fit.

    python examples/benchmarks/threads.py             # some minutes, on a machine that does nothing else (Linux)
    python examples/benchmarks/threads.py --quick     # a trial of the script

The work is 784-512-256-32 and back, batches of 256, in a process of its own for each measurement. Settings take turns,
in rotating order, and figures are medians over rounds.

`given`: the process is moved to one core after torch has counted all of them, as a job scheduler or `taskset` may do;
a quota of a container is the same to skae. "unlimited" is a fit with `joblib.cpu_count` made to say what torch says.
`neighbors`: as many processes as there are cores compute without a pause.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time

SETTINGS = {
    "default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
OMP = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def fit(kind, n):
    """Print wall and CPU seconds of a fit of ``n`` rows."""
    import joblib
    import numpy as np
    import torch

    from skae import AutoencoderTransformer

    X = np.random.default_rng(0).normal(size=(n, 784)).astype("f4")
    params = {"module__hidden_layer_sizes": (512, 256), "batch_size": 256, "early_stopping": False, "random_state": 0}
    AutoencoderTransformer(32, max_epochs=1, **params).fit(X[:512])  # loads what is loaded at first use
    if kind != "all":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        for task in os.listdir("/proc/self/task"):  # threads that are there already
            os.sched_setaffinity(int(task), os.sched_getaffinity(0))
    if kind == "unlimited":
        joblib.cpu_count = torch.get_num_threads
    wall, cpu = time.perf_counter(), time.process_time()
    AutoencoderTransformer(32, max_epochs=2, **params).fit(X)
    print(time.perf_counter() - wall, time.process_time() - cpu)


def spin():
    """A busy neighbor."""
    while True:
        pass


def measure(kind, n, environment):
    """Wall and CPU seconds in a new process."""
    clean = {name: value for name, value in os.environ.items() if name not in OMP}
    command = [sys.executable, __file__, "--fit", kind, str(n)]
    done = subprocess.run(command, env=clean | environment, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def race(title, rivals, n, rounds):
    """Print medians of all rivals, and of their ratios to the last one in the same round."""
    found = {name: [] for name in rivals}
    for i in range(rounds):
        names = list(rivals)
        for name in names[i % len(names) :] + names[: i % len(names)]:
            found[name].append(measure(*rivals[name][:1], n, rivals[name][1]))
    print(f"\n### {title}\n\n| | wall, s | wall, ratio | range | CPU, s | CPU, ratio |\n|" + " --- |" * 6)
    last = list(found.values())[-1]
    for name, values in found.items():
        walls, cpus = ([value[k] / base[k] for value, base in zip(values, last, strict=True)] for k in (0, 1))
        wall, cpu = (statistics.median(value[k] for value in values) for k in (0, 1))
        ratio, spread = statistics.median(walls), f"{min(walls):.2f} to {max(walls):.2f}"
        print(f"| {name} | {wall:.2f} | {ratio:.2f} | {spread} | {cpu:.2f} | {statistics.median(cpus):.2f} |")


def main():
    """Run both works."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=["given", "neighbors"], default=["given", "neighbors"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fit", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        fit(args.fit[0], int(args.fit[1]))
        return
    n, rounds = (2_000, 1) if args.quick else (10_000, args.rounds)
    cores = len(os.sched_getaffinity(0))
    if "given" in args.only:
        rivals = {
            "as skae does it": ("one", {}),
            "unlimited": ("unlimited", {}),
            "OMP_NUM_THREADS=1": ("one", SETTINGS["OMP_NUM_THREADS=1"]),
        }
        race(f"one core given, torch has counted {cores}", rivals, n, rounds)
    if "neighbors" in args.only:
        rivals = {name: ("all", environment) for name, environment in SETTINGS.items()}
        race("alone", rivals, n, rounds)
        busy = [multiprocessing.Process(target=spin, daemon=True) for _ in range(cores)]
        for process in busy:
            process.start()
        try:
            race(f"beside {cores} busy processes on {cores} cores", rivals, n, rounds)
        finally:
            for process in busy:
                process.terminate()


if __name__ == "__main__":
    main()
