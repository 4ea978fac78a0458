"""The defaults against classical answers on tables as people bring them: levels, gaps, few rows, weights.

    python examples/benchmarks/tables.py levels weights small      # some minutes on two cores
    python examples/benchmarks/tables.py imputation --seeds 5

Every table is printed as Markdown.
"""

import argparse
import time
import warnings

import numpy as np
from quality import pca_error, table
from sklearn import datasets
from sklearn.impute import KNNImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae.metrics import memorization, precision_recall_density_coverage
from skae.noise import MaskingNoise


def low_rank(n, d, seed=0):
    """Two directions and a little noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)) + 0.05 * rng.normal(size=(n, d))


def residual(X, size, sample_weight=None):
    """The mean squared error of a (weighted) PCA by a full SVD in float64, on its own training data."""
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    mean = np.average(X, axis=0, weights=weight)
    V = np.linalg.svd((X - mean) * np.sqrt(weight)[:, None], full_matrices=False)[2][:size]
    return np.average(((X - mean - (X - mean) @ V.T @ V) ** 2).mean(axis=1), weights=weight)


def levels(_):
    """The start and 20 epochs of training, against PCA, where features differ in level."""
    one, few, lamp = low_rank(1000, 11), low_rank(109, 11), low_rank(800, 60)
    one[:, 0] += 1e4
    few[:, 0] += 1e4
    lamp = 1e-2 * lamp + 10 + 5 * np.sin(np.linspace(0, 3, 60))
    pattern = datasets.load_digits().images[:1000] + 1e4 * np.random.default_rng(0).random((8, 8))
    coordinates = low_rank(1000, 4) * 100 + [5e5, 5.4e6, 300, 2020]
    common = 1.7e9 + 30 * low_rank(500, 6)
    cases = {
        "one column at 1e4, 1,000 rows": (one, AutoencoderTransformer),
        "the same, 109 rows": (few, AutoencoderTransformer),
        "spectra on a lamp curve": (lamp, AutoencoderTransformer),
        "UTM coordinates, height, year": (coordinates, AutoencoderTransformer),
        "all at 1.7e9": (common, AutoencoderTransformer),
        "images with a fixed pattern": (pattern, ConvAutoencoder),
    }
    rows = []
    for name, (X, kind) in cases.items():
        row, flat = [name], X.reshape(len(X), -1)
        pca = residual(flat, 2)
        for epochs in (0, 20):
            ae = kind(2, max_epochs=epochs, random_state=0).fit(X)
            error = ((ae.reconstruct(X).astype(float) - X) ** 2).mean()
            row += [f"{error / pca:.4g}", f"{-ae.score(X) / error:.6g}"]
        rows.append(row)
    print("### Error on the training data as a share of PCA's, 2 components, and -score as a share of that error\n")
    table(["data", "start", "-score", "20 epochs", "-score"], rows)
    rng = np.random.default_rng(0)
    flags = (rng.random((500, 3)) < 0.4).astype(float)
    stamps = np.column_stack([1.7e9 + 3600.0 * np.arange(500), flags])
    holed = stamps.copy()
    holed[::5, 1] = np.nan
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "More than 99.9 % of the variance", UserWarning)  # which is the point
        found = AutoencoderTransformer(2, random_state=0).fit(stamps).reconstruct(stamps)[:, 1:]
        ae = AutoencoderTransformer(2, missing="mask", random_state=0)
        filled = Reconstructor(ae, keep_observed=True).fit_transform(holed)[::5, 1]
    print(f"time stamps beside flags: flags reconstructed as {found.min():.3g} to {found.max():.3g}, missing ones")
    print(f"filled with {filled.min():.3g} to {filled.max():.3g}\n", flush=True)
    X = low_rank(500, 8)
    rows = []
    for offset in (0.0, 1e4, 1e6):
        vae = VAEGenerator(2, max_epochs=0, random_state=0).fit(X + offset * np.eye(8)[0])
        error = ((vae.reconstruct(X + offset * np.eye(8)[0]) - X - offset * np.eye(8)[0]) ** 2).mean()
        rows.append([f"{offset:g}", f"{vae.score(X + offset * np.eye(8)[0]):.3f}", f"{error / residual(X, 2):.4f}"])
    print("### VAEGenerator's start, 2 components, one column offset\n")
    table(["offset", "bound in nats", "error as a share of PCA's"], rows)


def imputation(args):
    """20 % missing at random, standardized, defaults; RMSE of the missing values against KNNImputer's."""
    rows, everything = [], []
    for name in ("iris", "wine", "diabetes", "breast_cancer", "digits"):
        X = getattr(datasets, f"load_{name}")().data
        X = X / 16 if name == "digits" else StandardScaler().fit_transform(X)
        errors = []
        for seed in range(args.seeds):
            holes = np.random.default_rng(seed).random(X.shape) < 0.2
            holes[holes.all(axis=1), 0] = False
            holed = np.where(holes, np.nan, X)
            error = [np.sqrt(((KNNImputer().fit_transform(holed) - X)[holes] ** 2).mean())]
            for noise in (MaskingNoise(), MaskingNoise(hidden_only=True)):
                ae = AutoencoderTransformer(missing="mask", noise=noise, random_state=seed)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # of pixels that are never known
                    filled = Reconstructor(ae, keep_observed=True).fit_transform(holed)
                error.append(np.sqrt(((filled - X)[holes] ** 2).mean()))
            errors.append(error)
        knn, masked, hidden = np.mean(errors, axis=0)
        if name != "digits":
            everything.append([masked / knn, hidden / knn])
        rows.append([name, f"{knn:.3f}", f"{masked:.3f}", f"{masked / knn:.3f}", f"{hidden / knn:.3f}"])
    print(f"### Imputation, 20 % missing, default parameters with masking noise, mean RMSE of {args.seeds} seeds\n")
    table(["data", "KNNImputer", "skae", "skae / KNNImputer", "the same with hidden_only"], rows)
    print(f"tables: mean {np.mean(everything, axis=0).round(3)}, highest {np.max(everything, axis=0).round(3)}\n")


def small(args):
    """Held-out error on small standardized tables, 2 and 3 components, as a share of PCA's; splits from 100 on."""
    rows, everything, seconds = [], [], 0.0
    for name in ("iris", "wine", "breast_cancer", "diabetes", "linnerud"):
        X = getattr(datasets, f"load_{name}")().data
        for size in (2, 3) if X.shape[1] > 3 else (1, 2):
            shares = []
            for seed in range(100, 100 + args.splits):
                A, B = train_test_split(X, test_size=0.25, random_state=seed)
                scaler = StandardScaler().fit(A)
                A, B = scaler.transform(A), scaler.transform(B)
                start = time.perf_counter()
                ae = AutoencoderTransformer(size, random_state=seed).fit(A)
                seconds += time.perf_counter() - start
                shares.append(-ae.score(B) / pca_error(A, B, size))
            if name != "linnerud":
                everything.append(np.mean(shares))
            kept, spread = np.isclose(shares, 1, atol=1e-4).mean(), f"{min(shares):.2f} to {max(shares):.2f}"
            rows.append([name, size, f"{np.mean(shares):.3f}", spread, f"{kept:.0%}"])
    print(f"### Small tables, default parameters, {args.splits} splits\n")
    table(["table", "components", "share of PCA's error", "range", "exactly PCA"], rows)
    print(f"mean {np.mean(everything):.3f}, highest {max(everything):.3f} (linnerud aside); {seconds:.1f} s in fit\n")


def weights(_):
    """Weighted fits and neighbors of rows that lie far apart, against the right values."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 5)) * 3 + rng.normal(size=(100, 5)) + 5
    rows = []
    for name, weight in (("none", None), ("ones", np.ones(100))):
        ae = AutoencoderTransformer(2, max_epochs=0, prior="mixture", random_state=1).fit(X, sample_weight=weight)
        away = np.abs(ae.sample(20_000, random_state=0).mean(axis=0) - X.mean(axis=0)) / X.std(axis=0)
        rows.append([name, ae.prior_.n_components, f"{away.max():.3f}"])
    print("### A prior fitted with weights: how far means of samples lie from X's, in standard deviations\n")
    table(["weights", "components", "distance"], rows)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 6)) * 3 + rng.normal(size=(30, 6)) + 5
    weight = rng.integers(1, 4, 30).astype(float)
    ae = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(X, sample_weight=weight)
    error, right = -ae.score(X, sample_weight=weight), residual(X, 2, weight)
    print(f"weighted start: mean squared error {error:.4f}, of a weighted PCA {right:.4f}\n")
    A = np.column_stack([np.repeat([0, 1e7], 100), np.random.default_rng(0).normal(size=200)])
    found = precision_recall_density_coverage(A, A + np.array([0, 1.2]))
    print(f"two groups 1e7 apart: precision, recall, density, coverage {[round(float(v), 3) for v in found]}")
    P, Q = np.random.default_rng(0).normal(size=(2, 400, 3))
    for M in (P, Q):
        M[np.random.default_rng(1).random((400, 3)) < 0.2] = -99999
    copies = memorization(P, P, Q).distances
    print(f"copies in a table with -99999 for missing: largest distance {copies.max():g}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["levels", "imputation", "small", "weights"])
    parser.add_argument("--seeds", type=int, default=5, help="patterns of missing values for imputation")
    parser.add_argument("--splits", type=int, default=20, help="splits for small")
    arguments = parser.parse_args()
    for what in arguments.what:
        globals()[what](arguments)
