"""Outlier detection in tables: default parameters against PyOD and IsolationForest, and false alarms.

    python examples/benchmarks/detection.py --data FOLDER                 # 22 tables, 3 seeds: half an hour on one core
    python examples/benchmarks/detection.py --data FOLDER --only alarms   # some minutes

FOLDER holds the tables of ADBench (Han et al., 2022: github.com/Minqi824/ADBench, "Classical"), such as 6_cardio.npz.
Needs ``pip install pyod``. Every table is printed as Markdown.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from quality import table
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split

from skae import OutlierDetector

USUAL = (
    *("breastw", "cardio", "Cardiotocography", "glass", "Ionosphere", "letter", "Lymphography", "mammography", "musk"),
    *("optdigits", "pendigits", "PageBlocks", "Pima", "satellite", "satimage-2", "shuttle", "thyroid", "vowels"),
    *("WBC", "WDBC", "wine", "Wilt"),
)
#: No default was chosen by these.
OTHERS = (
    *("annthyroid", "fault", "Hepatitis", "landsat", "magic.gamma", "mnist", "Stamps", "vertebral", "Waveform"),
    *("WPBC", "yeast", "SpamBase"),
)


def load(folder, name, most=5000):
    """Return samples and outlier labels; for large tables a subsample with the same proportion of outliers."""
    found = np.load(next(Path(folder).glob(f"*_{name}.npz")))
    X, y = found["X"].astype(float), found["y"].astype(int)
    if len(X) > most:
        X, _, y, _ = train_test_split(X, y, train_size=most, stratify=y, random_state=0)
    return X, y


# ---------------------------------------------------------------- detectors: of rows, new rows and a seed, scores


def skae(A, B, seed):
    """The detector with its defaults."""
    return -OutlierDetector(random_state=seed).fit(A).score_samples(B)


def forest(A, B, seed):
    """scikit-learn's, which PyOD's IForest wraps."""
    return -IsolationForest(random_state=seed).fit(A).score_samples(B)


def pyod_pca(A, B, seed):
    """PyOD's PCA, which standardizes; without components of zero variance, by which it would divide."""
    from pyod.models.pca import PCA

    rank = np.linalg.matrix_rank((A - A.mean(axis=0)) / np.where(A.std(axis=0) > 0, A.std(axis=0), 1))
    return PCA(n_components=int(rank), random_state=seed).fit(A).decision_function(B)


def pyod_autoencoder(A, B, seed):
    """PyOD's AutoEncoder, which standardizes."""
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(random_state=seed, verbose=0, device="cpu").fit(A).decision_function(B)


DETECTORS = {
    "OutlierDetector": skae,
    "PyOD's AutoEncoder": pyod_autoencoder,
    "PyOD's PCA": pyod_pca,
    "IsolationForest": forest,
}


def scores(args, names):
    """ROC-AUC, average precision and CPU time on new rows, where the rows of fit hold outliers too."""
    found = np.zeros((len(names), len(DETECTORS), 3))
    for i, name in enumerate(names):
        X, y = load(args.data, name)
        for seed in range(args.seeds):
            A, B, _, of_B = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
            for j, detect in enumerate(DETECTORS.values()):
                start = time.process_time()
                score = detect(A, B, seed)
                seconds = time.process_time() - start
                found[i, j] += roc_auc_score(of_B, score), average_precision_score(of_B, score), seconds
    found /= args.seeds
    auc, precision, seconds = np.moveaxis(found, 2, 0)
    share = auc / auc.max(axis=1, keepdims=True)
    rows = [
        [name, *(f"{a:.3f} / {p:.3f}" for a, p in zip(*pair, strict=True))]
        for name, *pair in zip(names, auc, precision, strict=True)
    ]
    means = zip(auc.mean(axis=0), precision.mean(axis=0), strict=True)
    rows.append(["**mean**", *(f"**{a:.3f} / {p:.3f}**" for a, p in means)])
    rows.append(["lowest share of the best ROC-AUC", *(f"{value:.2f}" for value in share.min(axis=0))])
    rows.append(["CPU time, as a share of the first", *(f"{s:.2f}" for s in seconds.sum(axis=0) / seconds[:, 0].sum())])
    print(f"### ROC-AUC / average precision, mean of {args.seeds} splits\n")
    table(["table", *DETECTORS], rows)


def alarms(args):
    """Rate of false alarms on clean data, of detectors fitted to 300 clean samples."""
    tables = {name: getattr(datasets, f"load_{name}")().data for name in ("diabetes", "digits")}
    for name in ("cardio", "pendigits", "satellite"):
        X, y = load(args.data, name)
        tables[name] = X[y == 0]
    rows = []
    for name, X in tables.items():
        row = [name]
        for c in (0.01, 0.05, 0.1):
            rates = []
            for seed in range(args.splits):
                A, B = train_test_split(X, train_size=300, random_state=seed)
                rates.append((OutlierDetector(contamination=c, random_state=seed).fit(A).predict(B) == -1).mean())
            row.append(f"{np.mean(rates):.4f} ± {np.std(rates):.4f}")
        rows.append(row)
    print(f"### False alarms, mean and standard deviation of {args.splits} splits, 300 rows in fit\n")
    table(["table", "contamination 0.01", "0.05", "0.1"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with ADBench's tables")
    parser.add_argument("--only", nargs="+", choices=["usual", "others", "alarms"], default=["usual", "others"])
    parser.add_argument("--seeds", type=int, default=3, help="splits for each table")
    parser.add_argument("--splits", type=int, default=20, help="splits for alarms")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # PyOD's, of scikit-learn's names
    for what in arguments.only:
        if what == "alarms":
            alarms(arguments)
        else:
            scores(arguments, USUAL if what == "usual" else OTHERS)
