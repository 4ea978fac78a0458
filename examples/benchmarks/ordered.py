"""Ordered codes: prefixes against PCA, truncated and tuned estimators, shares of the variance, and searches over sizes.

    python examples/benchmarks/ordered.py digits truncate shares search    # some minutes
    python examples/benchmarks/ordered.py mnist --data FILE    # an .npz with X; without it OpenML is asked

Every table is printed as Markdown. Times are CPU seconds of this process; set OMP_NUM_THREADS=1 to compare them.
"""

import argparse
import time

import numpy as np
from quality import load_mnist, table
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, truncate
from skae.metrics import explained_variance
from skae.model_selection import smallest_within

SIZES = (1, 2, 4, 8, 16, 24, 32)


def timed(function, *args, **params):
    """The result of a call, and the CPU seconds that it took."""
    start = time.process_time()
    result = function(*args, **params)
    return result, time.process_time() - start


def splits():
    """Three splits of the digits, 30 % held out, with their numbers as seeds."""
    X, y = load_digits(return_X_y=True)
    return [(seed, *train_test_split(X, y, test_size=0.3, random_state=seed)) for seed in range(3)]


def prefix_errors(model, X, sizes=SIZES):
    """Mean squared errors of the first components of codes, of an estimator or of PCA."""
    Z, errors = model.transform(X), []
    for size in sizes:
        if isinstance(model, PCA):
            X_hat = Z[:, :size] @ model.components_[:size] + model.mean_
        else:
            X_hat = model.inverse_transform(Z[:, :size])
        errors.append(((X_hat - X) ** 2).mean())
    return np.array(errors)


def print_prefixes(nested, pca, separate):
    """A table of errors by size; ``separate`` has them for some sizes."""
    rows = []
    for size, mine, theirs in zip(SIZES, nested, pca, strict=True):
        share, own = mine / theirs, separate.get(size)
        other = ["", ""] if own is None else [f"{own / theirs:.3f}", f"{mine / own:.2f}"]
        rows.append([size, f"{theirs:.5f}", f"{share:.3f}", *other])
    head = [
        "components",
        "PCA's error",
        "nested, share of it",
        "separate fits, share of it",
        "nested / separate",
    ]
    table(head, rows)


def digits(_):
    """One nested fit of 32 components, PCA, and one fit for each size; defaults, 3 splits."""
    nested, pca, separate, seconds, accuracy = [], [], {}, np.zeros(2), {}
    for seed, A, B, y_a, y_b in splits():
        pca.append(prefix_errors(PCA(32, random_state=0).fit(A), B))
        ae, spent = timed(AutoencoderTransformer(32, bottleneck="nested", random_state=seed).fit, A)
        nested.append(prefix_errors(ae, B))
        seconds[0] += spent / 3
        models = {"nested": ae}
        for size in SIZES:
            models[size], spent = timed(AutoencoderTransformer(size, random_state=seed).fit, A)
            separate.setdefault(size, []).append(-models[size].score(B))
            seconds[1] += spent / 3
        for name in ("nested", 8):
            codes = [models[name].transform(rows)[:, :8] for rows in (A, B)]
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(codes[0], y_a)
            accuracy.setdefault(name, []).append(classifier.score(codes[1], y_b))
    print("### digits, one nested fit against PCA and separate fits, 3 splits\n")
    print_prefixes(np.mean(nested, 0), np.mean(pca, 0), {k: np.mean(found) for k, found in separate.items()})
    print(f"CPU seconds: {seconds[0]:.1f} for the nested fit, {seconds[1]:.1f} for {len(SIZES)} separate ones")
    means = [np.mean(accuracy[name]) for name in ("nested", 8)]
    print(f"Accuracy of LogisticRegression on 8 components: {means[0]:.3f} nested, {means[1]:.3f} of a separate fit\n")


def mnist(args):
    """50,000 rows to fit and 10,000 to compare by, 10 epochs; nested against one unordered fit of 32 components."""
    X = load_mnist(args.data)
    A, B = X[:50_000], X[50_000:]
    pca = prefix_errors(PCA(32, random_state=0).fit(A), B)
    ae = AutoencoderTransformer(32, max_epochs=10, random_state=0)
    clone(ae).set_params(max_epochs=1).fit(A[:1000])  # the first fit of a process pays for more than itself
    plain, of_plain = timed(clone(ae).fit, A)
    nested, of_nested = timed(clone(ae).set_params(bottleneck="nested").fit, A)
    separate = {32: -plain.score(B)}
    for size in (2, 8, 16):
        separate[size] = -clone(ae).set_params(n_components=size).fit(A).score(B)
    print("### MNIST, 10 epochs, one nested fit against PCA and separate fits\n")
    print_prefixes(prefix_errors(nested, B), pca, separate)
    print(f"CPU seconds: {of_nested:.1f} nested, {of_plain:.1f} unordered, ratio {of_nested / of_plain:.3f}\n")


def truncation(_):
    """A nested fit truncated, and tuned for 20 epochs, against separate fits and shorter ones; 3 splits."""
    sizes, found = (2, 4, 6, 8, 12, 16, 24), {}
    for seed, A, B, *_ in splits():
        nested, of_nested = timed(AutoencoderTransformer(32, bottleneck="nested", random_state=seed).fit, A)
        for size in sizes:
            separate, of_separate = timed(AutoencoderTransformer(size, random_state=seed).fit, A)
            short, of_short = timed(AutoencoderTransformer(size, max_epochs=38, random_state=seed).fit, A)
            small, of_cut = timed(truncate, nested, size)
            before = -small.score(B)
            small.set_params(warm_start=True, bottleneck="identity", max_epochs=20)
            _, of_tuning = timed(small.fit, A)
            errors = [-model.score(B) for model in (separate, small, short)]
            found.setdefault(size, []).append([*errors, before, of_separate, of_cut + of_tuning, of_short, of_nested])
    rows, seconds = [], np.zeros(3)
    for size in sizes:
        separate, after, short, before, *times, of_nested = np.mean(found[size], 0)
        seconds += times
        errors = [f"{error / separate:.2f}" for error in (before, after, short)]
        rows.append([size, f"{separate:.3f}", *errors, *(f"{spent / times[0]:.2f}" for spent in times[1:])])
    print("### truncated, and tuned for 20 epochs, as shares of separate fits, digits, 3 splits\n")
    errors = ["separate, error", "truncated, error", "tuned, error", "38 epochs, error"]
    table(["components", *errors, "tuned, CPU time", "38 epochs, CPU time"], rows)
    print(
        f"CPU seconds for all sizes: {seconds[0]:.1f} separate, {of_nested + seconds[1]:.1f} nested and tuned, "
        f"{seconds[2]:.1f} of 38 epochs\n"
    )


def shares(_):
    """Components selected for a fraction of the variance, and their explained variance on new samples."""
    rows = []
    for share in (0.8, 0.9, 0.95):
        found = []
        for seed, A, B, *_ in splits():
            ae = AutoencoderTransformer(share, bottleneck="nested", random_state=seed).fit(A)
            plain = AutoencoderTransformer(ae.n_components_, random_state=seed).fit(A)
            explained = [explained_variance(B, model.reconstruct(B)) for model in (ae, plain)]
            needed = next(
                size
                for size in range(1, 65)
                if explained_variance(B, AutoencoderTransformer(size, random_state=seed).fit(A).reconstruct(B)) >= share
            )
            pca = PCA(share, random_state=0).fit(A).n_components_
            found.append((ae.n_components_, *explained, needed, pca))
        n, mine, theirs, needed, pca = np.mean(found, 0)
        rows.append([share, f"{n:.1f}", f"{mine:.3f}", f"{theirs:.3f}", f"{needed:.1f}", f"{pca:.1f}"])
    print("### n_components as a share of the variance, digits, 3 splits\n")
    head = ["share", "components chosen", "explained in new rows", "by an unordered fit of that size"]
    table([*head, "components that unordered fits need", "PCA(share)"], rows)


def search(_):
    """The full grid against successive halving over epochs, and the choice of the smallest size within one error."""
    X, y = load_digits(return_X_y=True)
    steps = [("ae", AutoencoderTransformer(random_state=0)), ("scale", StandardScaler())]
    pipe = Pipeline([*steps, ("classify", LogisticRegression(max_iter=300))])
    grid = {"ae__n_components": [2, 4, 6, 8, 12, 16, 24, 32]}
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    full, of_full = timed(GridSearchCV(pipe, grid, cv=cv, refit=False).fit, X, y)
    halving = HalvingGridSearchCV(
        pipe, grid, cv=cv, refit=False, resource="ae__max_epochs", min_resources=11, max_resources=100, factor=3
    )
    halved, of_halved = timed(halving.fit, X, y)
    short, of_short = timed(GridSearchCV(pipe.set_params(ae__max_epochs=38), grid, cv=cv, refit=False).fit, X, y)
    rows = []
    for name, found, seconds in (
        ("full grid, 100 epochs", full, of_full),
        ("full grid, 38 epochs", short, of_short),
        ("halving over epochs", halved, of_halved),
    ):
        results = found.cv_results_
        last = results["iter"] == results["iter"].max() if "iter" in results else np.ones(len(results["params"]), bool)
        best = int(np.where(last, results["mean_test_score"], -np.inf).argmax())
        smallest = smallest_within()(results)
        of = [
            f"{results['params'][i]['ae__n_components']} ({results['mean_test_score'][i]:.4f})"
            for i in (best, smallest)
        ]
        rows.append([name, *of, f"{seconds:.1f}", f"{seconds / of_full:.2f}"])
    print("### searches over the size for a classifier, digits, 3 folds, 8 sizes\n")
    table(["search", "best size (accuracy)", "smallest within one standard error", "CPU seconds", "share"], rows)


RUNS = {"digits": digits, "mnist": mnist, "truncate": truncation, "shares": shares, "search": search}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=[*RUNS])
    parser.add_argument("--data", help="an .npz file with MNIST's images as X")
    arguments = parser.parse_args()
    for what in arguments.what:
        RUNS[what](arguments)
