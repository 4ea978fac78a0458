"""Cost of searches and inference on a cluster: bytes sent, and memory of workers.

    python examples/benchmarks/clusters.py
    python examples/benchmarks/clusters.py --gigabytes 1

Three questions, on a `LocalCluster` of two workers with one thread each, whose memory dask limits to 1 GB:

- How many bytes is a fitted estimator in a pickle, with and without the optimizer's state, and in a file of skae?
- Does a grid search by joblib's backend of dask give the scores and the codes of a serial one, to the bit?
- What is the peak of resident memory of a worker ("VmHWM", as Linux measures it) while a dask array, whose blocks of
  random numbers are made in the workers, is encoded and the codes are reduced to their means? A sample of its blocks is
  compared with the codes of the same rows in memory.

Times are those of the clock, so use an idle machine.
"""

from __future__ import annotations

import argparse
import io
import pickle
import time
import warnings
from pathlib import Path

import dask
import dask.array as da
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import skae
from skae import AutoencoderTransformer


def peak() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000 * 1.024


def clocked(function, *args):
    """Return the result of a function, and the seconds that it took."""
    begin = time.perf_counter()
    return function(*args), time.perf_counter() - begin


def sizes(X: np.ndarray) -> None:
    """Print the bytes of a fitted estimator, and the CPU time to pickle it."""
    ae = AutoencoderTransformer(16, max_epochs=5, random_state=0).fit(X)
    weights = sum(weight.numel() * 4 for weight in ae.module_.parameters())
    skae.save(ae, file := io.BytesIO())
    print(f"weights {weights / 1e3:.0f} kB, file {len(file.getvalue()) / 1e3:.0f} kB")
    for warm_start in (False, True):
        data = pickle.dumps(ae.set_params(warm_start=warm_start))
        begin = time.process_time()
        for _ in range(20):
            pickle.loads(pickle.dumps(ae))
        ms = (time.process_time() - begin) / 20 * 1e3
        print(f"pickle with warm_start={warm_start}: {len(data) / 1e3:.0f} kB, there and back {ms:.1f} ms of CPU time")


def search(X: np.ndarray) -> None:
    """Compare a search in the cluster with a serial one."""
    ae = AutoencoderTransformer(max_epochs=5, random_state=0)

    def run() -> GridSearchCV:
        return GridSearchCV(ae, {"n_components": [4, 8, 16]}, cv=3, error_score="raise").fit(X)

    serial, seconds = clocked(run)
    print(f"search: serial {seconds:.1f} s", end="")
    with joblib.parallel_config("dask"):
        for when in ("first", "again"):
            found, seconds = clocked(run)
            print(f", dask {when} {seconds:.1f} s", end="")
    scores = (est.cv_results_["mean_test_score"] for est in (serial, found))
    codes = (est.best_estimator_.transform(X) for est in (serial, found))
    print(f"; scores equal {np.array_equal(*scores)}, codes equal {np.array_equal(*codes)}")


def encode(client: Client, gigabytes: float, n_features: int, rows: int) -> None:
    """Encode an array larger than the memory of a worker, and reduce the codes."""
    n = int(gigabytes * 1e9 / 8 / n_features / rows) * rows
    D = da.random.default_rng(0).random((n, n_features), chunks=(rows, n_features))
    with dask.config.set(scheduler="synchronous"):  # in this process
        sample = D.blocks[0].compute()
    ae = AutoencoderTransformer(16, max_epochs=2, random_state=0).fit(sample)
    lazy = ae.transform(D)
    before = max(client.run(peak).values())
    mean, seconds = clocked(lazy.mean(axis=0).compute)
    peaks = [f"{value:.0f}" for value in client.run(peak).values()]
    print(f"{D.nbytes / 1e9:.1f} GB, {n:,} x {n_features} in blocks of {rows:,}: {seconds:.0f} s, ", end="")
    print(f"{n / seconds:,.0f} rows/s; peak of the workers {' and '.join(peaks)} MB, before {before:.0f} MB")
    block = D.blocks[D.numblocks[0] - 1]
    equal = np.array_equal(lazy.blocks[D.numblocks[0] - 1].compute(), ae.transform(block.compute()))
    print(f"codes of the last block equal {equal}, largest mean {abs(mean).max():.2g}")


def main() -> None:
    """Answer the three questions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--n-features", type=int, default=784)
    parser.add_argument("--rows", type=int, default=10_000, help="of a block")
    options = parser.parse_args()
    warnings.simplefilter("error")
    X = load_digits().data
    sizes(X)
    workers = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "1GB", "dashboard_address": None}
    with LocalCluster(**workers) as cluster, Client(cluster):
        search(X)
    with LocalCluster(**workers) as cluster, Client(cluster) as client:
        encode(client, options.gigabytes, options.n_features, options.rows)


if __name__ == "__main__":
    main()
