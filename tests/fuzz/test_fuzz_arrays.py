"""Whatever is handed to a method comes out right, or is refused in words, and nothing else happens."""

import inspect

import numpy as np
import pytest
from cases import HOSTILE, hostile, tables
from fuzzing import (
    DOCUMENTED,
    FROM_FIT,
    LABELS,
    ZOO,
    N,
    Refused,
    assert_right,
    fitted,
    fuzzed,
    inner,
    note_case,
    outcome,
    plain,
    table,
)
from hypothesis import given
from hypothesis import strategies as st

METHODS = [
    *("transform", "reconstruct", "score_samples", "score", "inverse_transform", "transform_distribution"),
    *("sample_posterior", "interpolate"),
]


def methods(name):
    """The methods that take rows or codes, of an estimator of the zoo."""
    estimator = fitted(name)
    return [method for method in METHODS if hasattr(estimator, method)]


# Which they are is not asked of fitted estimators, so that nothing is fitted before the tests run.
VARIATIONAL = {"vae", "vae_normal", "vae_classes", "vae_targets", "vae_pixels", "vae_mask"}


def methods_of(name):
    if name in ("filled", "kept"):
        return ["transform"]
    if name == "pipeline":
        return ["transform", "score", "score_samples"]
    found = METHODS[:5] + (["interpolate"] if name.startswith("vae") else [])
    return found + (["transform_distribution", "sample_posterior"] if name in VARIATIONAL else [])


PAIRS = [f"{name}-{method}" for name in ZOO for method in methods_of(name)]


def call_of(name, method, X):
    """A call of a method with X where its rows belong, and with what else it needs."""
    bound = getattr(fitted(name), method)
    if method == "sample_posterior":
        return lambda: bound(X, n_draws=2, random_state=0)
    if method == "interpolate":
        y = {"vae_classes": {"y": 1}, "vae_targets": {"y": 0.5}}.get(name, {})
        return lambda: bound(X, X, 3, **y)
    if method == "inverse_transform" and name in ("vae_classes", "vae_targets"):
        return lambda: bound(X, 1)
    return lambda: bound(X)


def expected(name, method, X):
    """The shape of a method's result for the samples X, and where it has NaN."""
    estimator = inner(fitted(name))
    width, row = estimator._n_features_out, X.shape[1:]
    if method == "transform" and name in ("filled", "kept"):
        return X.shape, None
    shapes = {
        "transform": (len(X), width),
        "transform_distribution": (len(X), width),
        "reconstruct": X.shape,
        "score_samples": (len(X),),
        "score": (),
        "inverse_transform": (len(X), *estimator.input_shape_),
        "sample_posterior": (2, *X.shape),
        "interpolate": (len(X), 3, *row),
    }
    nan = None
    if method == "reconstruct" and name in ("tcn", "tcn_flat", "gru"):
        known = ~np.isnan(X).reshape(*X.shape[:2], -1).all(2)
        after = known[:, ::-1].cumsum(1)[:, ::-1] == 0
        nan = np.broadcast_to(after.reshape(after.shape + (1,) * (X.ndim - 2)), X.shape)
    if method == "score_samples" and estimator.module_.missing:
        nan = np.isnan(X).reshape(len(X), -1).all(axis=1)  # nothing is known of these rows
    return shapes[method], nan


def assert_same(result, reference, squared, rtol):
    """Equal but for rounding: inputs in float32 are centered in float32, whose digits huge values take.

    Scores are differences of what is as large as X ``squared``.
    """
    squares = np.nanmax(np.square(squared), initial=0)
    for A, B in zip(map(plain, as_tuple(result)), map(plain, as_tuple(reference)), strict=True):
        size = max(squares, np.nanmax(np.abs(B), initial=1, where=np.isfinite(B)))
        np.testing.assert_allclose(A.astype(float), B.astype(float), rtol=rtol, atol=1e-5 * size)


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("pair", PAIRS)
@fuzzed("methods", 1, 70, len(PAIRS))
@given(data=st.data())
def test_methods_of_tables(pair, data):
    name, method = pair.split("-")
    estimator = inner(fitted(name))
    if method == "inverse_transform":
        row_shape = (estimator._n_features_out,)
    else:
        row_shape = fitted_row(name)
        if name in ("tcn", "gru"):
            row_shape = (data.draw(st.integers(1, 8)), 2)
    X, seen = data.draw(tables(row_shape))
    note_case(X)
    result = outcome(method, call_of(name, method, X), X, estimator=estimator)
    reference = outcome(method, call_of(name, method, seen), seen, estimator=estimator)
    if isinstance(result, Refused) or isinstance(reference, Refused):
        assert isinstance(reference, Refused), f"refused, while as an array it is not: {result!r}"
        assert isinstance(result, Refused), f"accepted, while as an array it is not: {reference!r}"
        return
    shape, nan = expected(name, method, seen)
    for part in as_tuple(result):
        if (name, method) == ("kept", "transform"):
            assert plain(part).shape == shape
            assert np.isfinite(plain(part)).all()
        else:
            assert_right(part, shape, nan)
    rtol = 1e-2 if name == "kept" else 1e-4  # X's own dtype, which may be bfloat16
    assert_same(result, reference, seen if method in ("score", "score_samples") else 0, rtol)


def fitted_row(name):
    return inner(fitted(name)).input_shape_


@pytest.mark.parametrize("pair", PAIRS)
@fuzzed("objects", 1, 20, len(PAIRS))
@given(kind=hostile())
def test_methods_of_invalid_objects(pair, kind):
    name, method = pair.split("-")
    X = HOSTILE[kind]()
    result = outcome(method, call_of(name, method, X), X, estimator=inner(fitted(name)))
    if not isinstance(result, Refused):
        for part in as_tuple(result):
            assert plain(part).dtype.kind == "f" or name == "kept"
            may_be_nan = name.startswith(("tcn", "gru")) or method == "score_samples"
            assert np.isfinite(plain(part)).all() or may_be_nan


# ------------------------------------------------------------------ fits

FITS = [name for name in ZOO if name not in ("gru", "pipeline")]


def fresh(name):
    return ZOO[name][0]()


def fit_call(estimator, method, X, y):
    if method == "partial_fit":
        return lambda: estimator.partial_fit(X, y)
    if method == "fit_transform":
        return lambda: estimator.fit_transform(X, y)
    return lambda: estimator.fit(X, y)


@pytest.mark.parametrize("name", FITS)
@fuzzed("fits of tables", 3, 150, len(FITS))
@given(data=st.data())
def test_fit_of_tables(name, data):
    estimator = fresh(name)
    method = data.draw(st.sampled_from([m for m in ("fit", "fit_transform", "partial_fit") if hasattr(estimator, m)]))
    again = data.draw(st.booleans()) and method != "fit_transform"
    X, seen = data.draw(tables(fitted_row(name), most=20))
    y = LABELS[: len(seen)] if name == "vae_classes" else table()[: len(seen)] if name == "vae_targets" else None
    note_case(X)
    # `fit_transform` is both one after the other: where the second is refused, the first was done.
    watched = None if method == "fit_transform" else estimator
    result = outcome(method, fit_call(estimator, method, X, y), X, estimator=watched, errors=FROM_FIT, changes=True)
    if isinstance(result, Refused):
        if hasattr(estimator, "net_") or hasattr(estimator, "estimator_"):
            check_fitted(name, estimator, None, len(seen))
        return
    check_fitted(name, estimator, result if method == "fit_transform" else None, len(seen))
    if again:
        again = outcome(
            method, fit_call(estimator, method, X, y), X, estimator=estimator, errors=FROM_FIT, changes=True
        )
        if not isinstance(again, Refused):
            check_fitted(name, estimator, None, len(seen))


def check_fitted(name, estimator, Z, n):
    auto = inner(estimator)
    assert all(bool(value.isfinite().all()) for value in auto.module_.state_dict().values())
    assert np.isfinite(auto.loss_curve_).all()
    assert np.isfinite(auto.validation_loss_curve_).all()
    if Z is not None and name not in ("filled", "kept"):
        assert_right(Z, (n, auto._n_features_out))


@pytest.mark.parametrize(
    "name", ["ae", "ae_mask", "conv", "tcn", "vae", "vae_classes", "vae_targets", "kept", "filled"]
)
@fuzzed("fits of objects", 3, 100, 9)
@given(data=st.data())
def test_fit_of_invalid_objects(name, data):
    estimator = fresh(name)
    method = data.draw(st.sampled_from([m for m in ("fit", "fit_transform", "partial_fit") if hasattr(estimator, m)]))
    X = HOSTILE[data.draw(hostile())]()
    y = [0, 1, 0] if name in ("vae_classes", "vae_targets") else None
    watched = None if method == "fit_transform" else estimator  # as above
    result = outcome(method, fit_call(estimator, method, X, y), X, estimator=watched, errors=FROM_FIT, changes=True)
    if not isinstance(result, Refused) or hasattr(estimator, "net_") or hasattr(estimator, "estimator_"):
        check_fitted(name, estimator, None, 3)


# ------------------------------------------------------------------ what comes beside X

BESIDE = {
    ("ae", "fit"): ("y", "X_target", "X_val", "X_val_target", "sample_weight"),
    ("ae", "partial_fit"): ("y", "X_target", "sample_weight"),
    ("ae", "score"): ("y", "sample_weight", "X_target"),
    ("ae", "score_samples"): ("X_target",),
    ("ae", "reconstruct"): ("keep_observed",),
    ("vae", "score"): ("sample_weight", "X_target", "y", "n_importance_samples"),
    ("vae", "interpolate"): ("X_b", "n_steps", "y", "method"),
    ("vae_classes", "fit"): ("y", "y_val", "X_val", "sample_weight"),
    ("vae_classes", "partial_fit"): ("y", "classes", "sample_weight"),
    ("vae_classes", "score"): ("y", "sample_weight"),
    ("vae_classes", "score_samples"): ("y", "X_target"),
    ("vae_classes", "reconstruct"): ("y",),
    ("vae_classes", "sample"): ("y", "noisy", "random_state"),
    ("vae_classes", "sample_posterior"): ("y", "noisy", "random_state"),
    ("vae_classes", "inverse_transform"): ("y",),
    ("vae_targets", "fit"): ("y", "sample_weight"),
    ("vae_targets", "score_samples"): ("y",),
    ("vae_targets", "reconstruct"): ("y",),
    ("vae_targets", "sample"): ("y",),
    ("vae_targets", "interpolate"): ("y", "X_b"),
    ("tcn", "fit"): ("X_target", "X_val", "sample_weight"),
    ("tcn", "score_samples"): ("X_target",),
    ("conv", "fit"): ("X_target", "X_val"),
}


@pytest.mark.parametrize("pair", ["-".join(pair) for pair in BESIDE])
@fuzzed("beside", 3, 100, len(BESIDE))
@given(data=st.data())
def test_other_arrays(pair, data):
    name, method = pair.split("-")
    argument = data.draw(st.sampled_from(BESIDE[name, method]))
    row_shape = fitted_row(name)
    if argument.startswith("X"):
        shape = row_shape
    else:
        shape = data.draw(st.sampled_from([(), (), (1,), (2,)]))
    if data.draw(st.booleans()):
        A, _ = data.draw(tables(shape or (1,), most=8))
        A = A if shape else flat(A)
    else:
        A = HOSTILE[data.draw(hostile())]()
    n = length(A)
    X = table(*row_shape, seed=1)[: min(max(2, n), N)]
    is_fit = method in ("fit", "partial_fit")
    estimator = fresh(name) if is_fit else fitted(name)
    others = {"y": LABELS[: len(X)]} if is_fit and name in ("vae_classes", "vae_targets") else {}
    if method == "interpolate":
        others = {"X_b": X} | ({"y": 0.5} if name == "vae_targets" else {})
    if argument == "X_val_target":
        others["X_val"] = table(*row_shape, seed=2)[: len(X)]
    if argument == "X_val" and name == "vae_classes":
        others["y_val"] = LABELS[: len(X)]
    if argument == "y_val":
        others["X_val"] = table(*row_shape, seed=2)[: len(X)]
    args = {"sample": (), "inverse_transform": (table(2)[: len(X)],)}.get(method, (X,))
    function = getattr(estimator, method)
    assert argument in inspect.signature(function).parameters
    note_case({argument: A})
    result = outcome(
        method,
        lambda: function(*args, **others | {argument: A}),
        A,
        estimator=estimator,
        errors=FROM_FIT if is_fit else DOCUMENTED,
        changes=is_fit,
    )
    if isinstance(result, Refused):
        return
    if is_fit:
        check_fitted(name, estimator, None, len(X))
    else:
        assert np.isfinite(plain(result)).all() or name == "tcn"


def length(A):
    """The number of rows, where there are any to count."""
    try:
        return 3 if isinstance(A, str | bytes) else len(A)
    except (TypeError, ValueError, RuntimeError):  # the last of nested tensors
        return 3


def flat(A):
    """The one column of a table, where there is a way to take it."""
    if isinstance(A, list | tuple):
        return [row[0] for row in A]
    return A[:, 0] if hasattr(A, "ndim") and hasattr(A, "__getitem__") and not hasattr(A, "iloc") else A
