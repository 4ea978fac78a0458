"""Time, memory and error of a fit on a sparse matrix.

    python examples/benchmarks/sparse_matrices.py
    python examples/benchmarks/sparse_matrices.py --n-samples 2000 --n-features 5000 --max-epochs 1

Documents are made up: each mixes a few of some topics, whose words are distributed by Zipf's law, and is weighted by
TF-IDF. Every step runs in a process of its own; "peak" is the highest resident memory during the step, as Linux
measures it, and "added" what that is more than before it, where the matrix is in memory already. The error is the
squared error of the reconstruction: at the start (``max_epochs=0``), after training, and of
`sklearn.decomposition.TruncatedSVD` (not centered) and `sklearn.decomposition.PCA` (ARPACK) with as many components.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from skae import AutoencoderTransformer


def make_tfidf(n_samples: int, n_features: int, n_words: int = 150, n_topics: int = 30) -> sp.csr_array:
    """Return TF-IDF weights of synthetic documents in float32."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, n_features + 1)
    topics = [np.cumsum(p / p.sum()) for p in frequency * rng.gamma(0.1, size=(n_topics, n_features))]
    rows, words = [], []
    for row in range(n_samples):
        for topic, n in zip(rng.choice(n_topics, 3), rng.multinomial(n_words, [0.6, 0.3, 0.1]), strict=True):
            words.append(np.searchsorted(topics[topic], rng.random(n)).clip(max=n_features - 1))
            rows.append(np.full(n, row))
    rows, words = np.concatenate(rows), np.concatenate(words)
    counts = sp.csr_array((np.ones(len(rows)), (rows, words)), shape=(n_samples, n_features))
    return TfidfTransformer().fit_transform(counts).astype(np.float32)


def residual(X, mean, directions) -> float:
    """Return the squared error of the projection onto orthonormal ``directions`` about ``mean``."""
    codes = X @ directions.T - mean @ directions.T
    centered = X.power(2).sum() - 2 * (X @ mean).sum() + len(codes) * (mean @ mean)
    return float(centered - np.square(codes).sum())


def memory(name: str) -> float:
    """Return the resident memory of this process in MB on Linux: 'VmRSS' is current, 'VmHWM' the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def run(step: str, path: str, options: argparse.Namespace) -> None:
    """Run one step and print a line about it."""
    X = sp.csr_array(sp.load_npz(path))
    k = options.n_components
    ae = AutoencoderTransformer(k, max_epochs=options.max_epochs if step == "fit" else 0, random_state=0)
    steps = {
        "TruncatedSVD": TruncatedSVD(k, random_state=0).fit,
        "PCA": PCA(k, svd_solver="arpack", random_state=0).fit,
        "start": ae.fit,
        "fit": ae.fit,
        "transform": ae.transform,
    }
    if step == "transform":
        ae.fit(X[:100])
    AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X[:200, :50])  # loads what is loaded at first use
    Path("/proc/self/clear_refs").write_text("5")
    before, begin = memory("VmRSS"), time.perf_counter()
    result = steps[step](X)
    seconds, peak = time.perf_counter() - begin, memory("VmHWM")
    if step == "TruncatedSVD":
        error = residual(X, np.zeros(X.shape[1]), result.components_)
    elif step == "PCA":
        error = residual(X, result.mean_, result.components_)
    else:
        error = np.nan if step == "transform" else -ae.score(X) * X.shape[0] * X.shape[1]
    print(f"{step:>14} {seconds:8.1f} s, peak {peak:6.0f} MB, added {peak - before:6.0f} MB, error {error:.1f}")


def main() -> None:
    """Run each step in a separate process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--n-features", type=int, default=20_000)
    parser.add_argument("--n-components", type=int, default=16)
    parser.add_argument("--max-epochs", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("error")
    batch = 128 * options.n_features * 4 / 2**20
    print(f"{options.n_samples} x {options.n_features}, a dense batch of 128: {batch:.1f} MB, dense: ", end="")
    print(f"{options.n_samples * options.n_features * 4 / 2**20:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/tfidf.npz"
        sp.save_npz(path, make_tfidf(options.n_samples, options.n_features))
        for step in ("TruncatedSVD", "PCA", "start", "fit", "transform"):
            process = multiprocessing.get_context("spawn").Process(target=run, args=(step, path, options))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
