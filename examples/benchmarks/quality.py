"""Reconstruction error on held-out data relative to PCA.

    python examples/benchmarks/quality.py digits tables        # some minutes on two cores
    python examples/benchmarks/quality.py mnist --data FILE    # an .npz with X; without it OpenML is asked
    python examples/benchmarks/quality.py defaults --data FILE # schedules and networks at equal time

Every table is printed as Markdown; 0.45 means 45 % of PCA's mean squared error.
"""

import argparse
import time

import numpy as np
from sklearn import datasets
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


def pca_error(train, test, n_components):
    """Mean squared error of PCA on ``test``."""
    pca = PCA(n_components, random_state=0).fit(train)
    return ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()


def ratio(ae, train, test):
    """The estimator's error on ``test`` relative to PCA's."""
    return -clone(ae).fit(train).score(test) / pca_error(train, test, ae.n_components)


def table(head, rows):
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    print(flush=True)


def digits(_):
    """Digits in 0..16, defaults except n_components; five seeds, each a split and an initialization."""
    X, y = datasets.load_digits(return_X_y=True)
    rows = []
    for size in (4, 8, 16):
        ratios, neighbors, neighbors_pca = [], [], []
        for seed in range(5):
            A, B, y_a, y_b = train_test_split(X, y, test_size=0.3, random_state=seed)
            ae, pca = AutoencoderTransformer(size, random_state=seed).fit(A), PCA(size, random_state=seed).fit(A)
            ratios.append(-ae.score(B) / pca_error(A, B, size))
            neighbors.append(KNeighborsClassifier(5).fit(ae.transform(A), y_a).score(ae.transform(B), y_b))
            neighbors_pca.append(KNeighborsClassifier(5).fit(pca.transform(A), y_a).score(pca.transform(B), y_b))
        rows.append(
            [
                size,
                f"{np.mean(ratios):.3f}",
                f"{min(ratios):.3f} to {max(ratios):.3f}",
                f"{np.mean(neighbors):.3f}",
                f"{np.mean(neighbors_pca):.3f}",
            ]
        )
    print("### digits, default parameters, 5 seeds\n")
    table(["n_components", "share of PCA's error", "range", "5-NN on codes", "5-NN on PCA's"], rows)


def tables(_):
    """Standardized tables, 2 to 8 components, 5 splits, defaults."""
    names = ["iris", "wine", "breast_cancer", "diabetes", "linnerud", "digits"]
    rows, everything = [], []
    for name in names:
        X = getattr(datasets, f"load_{name}")().data
        row = [name, X.shape[0], X.shape[1]]
        for size in range(2, 9):
            if size >= X.shape[1]:
                row.append("")
                continue
            ratios = []
            for seed in range(5):
                A, B = train_test_split(X, test_size=0.25, random_state=seed)
                scaler = StandardScaler().fit(A)
                ae = AutoencoderTransformer(size, random_state=seed)
                ratios.append(ratio(ae, scaler.transform(A), scaler.transform(B)))
            everything.append(np.mean(ratios))
            row.append(f"{np.mean(ratios):.3f}")
        rows.append(row)
    print("### standardized tables, default parameters, mean of 5 splits\n")
    table(["table", "rows", "columns", *(f"k={size}" for size in range(2, 9))], rows)
    print(f"highest {max(everything):.3f}, mean {np.mean(everything):.3f} of {len(everything)} settings\n", flush=True)


def load_mnist(path):
    """MNIST's images as rows in [0, 1], 60,000 of them."""
    if path is not None:
        X = np.load(path)["X"]
    else:
        X = datasets.fetch_openml("mnist_784", version=1, as_frame=False).data[:60_000]
    return X.reshape(len(X), -1) / np.float32(255)


def mnist(args):
    """60,000 rows, 32 components, defaults: 50,000 to fit, 10,000 held out."""
    X = load_mnist(args.data)
    A, B = X[:50_000], X[50_000:]
    rows = []
    for seed in range(args.seeds):
        start = time.perf_counter()
        baseline = pca_error(A, B, 32)
        pca_time = time.perf_counter() - start
        start = time.perf_counter()
        ae = AutoencoderTransformer(32, random_state=seed).fit(A)
        seconds = time.perf_counter() - start
        error = -ae.score(B)
        rows.append(
            [
                seed,
                f"{baseline:.5f}",
                f"{error:.5f}",
                f"{error / baseline:.3f}",
                ae.n_iter_,
                f"{seconds:.0f}",
                f"{pca_time:.1f}",
            ]
        )
    print("### MNIST, 32 components, default parameters\n")
    table(["seed", "PCA's error", "error", "share", "epochs", "seconds to fit", "PCA's seconds"], rows)


def defaults(args):
    """Learning-rate schedules and networks, each given the same time on the clock."""
    X_mnist = load_mnist(args.data)[:12_000]
    splits = [train_test_split(datasets.load_digits().data, test_size=0.3, random_state=seed) for seed in range(3)]
    tasks = {  # rows, components, seconds, epochs to take the time of
        "digits, 8": (splits, 8, 2.0, 20),
        "MNIST 10,000, 32": ([(X_mnist[:10_000], X_mnist[10_000:])], 32, 15.0, 4),
    }
    settings = [
        {"lr_schedule": None, "lr": 1e-3},
        {"lr_schedule": None, "lr": 2e-3},
        {"lr_schedule": "plateau", "lr": 2e-3},
        {"lr_schedule": "cosine", "lr": 2e-3},
        {"lr_schedule": "cosine", "lr": 4e-3},
        {"lr_schedule": "onecycle", "lr": 1e-3},
        {"lr_schedule": "onecycle", "lr": 2e-3},
        {"lr_schedule": "onecycle", "lr": 4e-3},
        {"module__hidden_layer_sizes": (64, 64)},
        {"module__hidden_layer_sizes": (512, 256)},
        {"module__hidden_layer_sizes": (256,)},
        {"module__activation": "relu"},
        {"module__linear_skip": False},
    ]
    rows = []
    for setting in settings:
        row = [", ".join(f"{name.removeprefix('module__')}={value}" for name, value in setting.items())]
        for pairs, size, budget, sample in tasks.values():
            ae = AutoencoderTransformer(size, random_state=0, n_iter_no_change=10_000, **setting)
            taken = {}
            for epochs in (1, 1, 1 + sample):  # the first fit of a process pays for more than itself
                start = time.perf_counter()
                clone(ae).set_params(max_epochs=epochs).fit(pairs[0][0])
                taken[epochs] = time.perf_counter() - start
            per_epoch = (taken[1 + sample] - taken[1]) / sample
            epochs = max(1, round((budget - taken[1]) / per_epoch) + 1)
            start = time.perf_counter()
            shares = [ratio(ae.set_params(max_epochs=epochs), A, B) for A, B in pairs]
            seconds = (time.perf_counter() - start) / len(pairs)
            row.append(f"{np.mean(shares):.3f} ({epochs} epochs, {seconds:.1f} s)")
        rows.append(row)
    budgets = ", ".join(f"{name}: {task[2]:.0f} s" for name, task in tasks.items())
    print(f"### schedules and networks at equal time ({budgets})\n")
    table(["setting", *tasks], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["digits", "tables", "mnist", "defaults"])
    parser.add_argument("--data", help="an .npz file with MNIST's images as X")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds for mnist")
    arguments = parser.parse_args()
    for what in arguments.what:
        globals()[what](arguments)
