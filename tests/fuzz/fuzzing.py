"""What the fuzz tests share: how many examples, what an outcome may be, and the estimators that are tried."""

import contextlib
import functools
import os
import random
import signal
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
import torch
from guards import HANGS
from hypothesis import HealthCheck, Phase, note, settings
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae.losses import Mixed

FUZZ = os.environ.get("SKAE_FUZZ")  # as in tests/conftest.py
SLOW, ALL = FUZZ is not None, FUZZ == "random"
PLANNED = Counter()  # the examples of `make fuzz`, by test
COUNTED = Counter()  # those that were run in this process, by method


def fuzzed(name, fast, slow, tests=1):
    """Settings of a test that is run for each of ``tests`` parameters: the same few examples, or many.

    `make fuzz` has the many, which are random ones; CI a fifth of them, always the same.
    """
    PLANNED[name] += slow * tests
    return settings(
        max_examples=slow if ALL else max(fast, slow // 5) if SLOW else fast,
        derandomize=not ALL,  # what a change has not done must not fail it
        database=None,
        print_blob=True,
        # A failure of the slow job is reported as found, rather than after minutes of shrinking.
        phases=[Phase.explicit, Phase.generate] if SLOW else [Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


# ------------------------------------------------------------------ outcomes

DOCUMENTED = (ValueError, TypeError)
FROM_FIT = (*DOCUMENTED, FloatingPointError, MemoryError)
# Warnings about data, by us or by scikit-learn. UserWarning by its exact class, without subclasses.
ALLOWED_WARNINGS = (ConvergenceWarning, DataConversionWarning)


class Refused:
    """An error of a documented type."""

    def __init__(self, error):
        self.error = error

    def __repr__(self):
        return f"Refused({type(self.error).__name__}: {self.error})"


def world():
    """All that a call must leave as it found it."""
    stream = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (stream[1].tobytes(), stream[2:]),
        "random": hash(random.getstate()),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "numpy errors": np.geterr(),
        "print options": np.get_printoptions()["threshold"],
    }


def fingerprint(value):
    """A fingerprint that shows whether an input was modified; None if there is none."""
    if isinstance(value, np.ma.MaskedArray):
        return fingerprint(value.data), fingerprint(np.ma.getmaskarray(value))
    if isinstance(value, np.ndarray):
        # What fills longer floats up to whole words is left to chance.
        content = (
            repr(value.tolist())
            if value.dtype.hasobject or value.dtype.char in "gG"
            else np.ascontiguousarray(value).tobytes()
        )
        return type(value), value.dtype.str, value.shape, value.strides, value.flags.writeable, content
    if isinstance(value, torch.Tensor):
        if value.is_nested or value.layout is not torch.strided or value.is_meta or value.is_quantized:
            return None
        plain = value.detach().resolve_conj().resolve_neg()
        content = repr(plain.double().tolist()) if not plain.is_complex() else repr(plain.tolist())
        return (
            value.dtype,
            value.shape,
            value.stride(),
            value.requires_grad,
            value.is_leaf and value.grad is None,
            content,
        )
    if sp.issparse(value):
        return value.format, value.shape, value.toarray().tobytes()
    if isinstance(value, pd.DataFrame | pd.Series):
        frame = value if isinstance(value, pd.DataFrame) else value.to_frame()
        return repr(value.to_numpy(dtype=object).tolist()), repr(frame.dtypes), repr(frame.columns), repr(value.index)
    if isinstance(value, pl.DataFrame | pa.Table):
        return repr(value.to_pandas() if isinstance(value, pa.Table) else value.rows())
    if isinstance(value, list | tuple | dict | set):
        return repr(value)
    return None


def state(estimator):
    """The attributes of an estimator, and its weights."""
    weights = estimator.module_.state_dict() if hasattr(estimator, "net_") else {}
    return dict(vars(estimator)), {name: value.clone() for name, value in weights.items()}


def assert_unchanged(estimator, before):
    attributes, weights = before
    assert vars(estimator).keys() == attributes.keys(), "attributes came or went"
    assert all(vars(estimator)[name] is value for name, value in attributes.items()), "an attribute changed"
    now = estimator.module_.state_dict() if weights else {}
    assert all(torch.equal(now[name], value) for name, value in weights.items()), "weights changed"


@contextlib.contextmanager
def no_hang():
    def stop(*_):
        raise AssertionError(f"the call took over {HANGS} s")

    if not hasattr(signal, "SIGALRM"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANGS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(name, call, *inputs, estimator=None, errors=DOCUMENTED, names=(), changes=False):
    """What ``call`` returns, or `Refused`; anything else that may go wrong is an error here.

    ``names`` are words of which the message of a refusal must hold one. ``changes`` allows what succeeds to change
    ``estimator``.
    """
    COUNTED[name] += 1
    # A call that sets a stream to where the last one set it would not be seen otherwise.
    torch.rand(()), np.random.random(), random.random()  # noqa: NPY002
    prints, before = [fingerprint(value) for value in inputs], world()
    held = None if estimator is None else state(estimator)
    with warnings.catch_warnings(record=True) as warned, no_hang():
        warnings.simplefilter("always")
        try:
            result = call()
        except errors as error:
            result = Refused(error)
        except AttributeError as error:  # a method that this estimator does not have says why
            assert "sample" in str(error) or "transform_distribution" in str(error), repr(error)  # noqa: PT017
            result = Refused(error)
    if isinstance(result, Refused):
        note(repr(result))
        message = str(result.error)
        assert message.strip(), f"{result!r} says nothing"
        assert not names or any(word in message for word in names), f"{result!r} names none of {names}"
    for warning in warned:
        known = warning.category is UserWarning or issubclass(warning.category, ALLOWED_WARNINGS)
        assert known, f"{warning.category.__name__}: {warning.message} ({warning.filename}:{warning.lineno})"
    assert prints == [fingerprint(value) for value in inputs], "an input was written into"
    assert world() == before, {key: value for key, value in world().items() if value != before[key]}.keys()
    if held is not None and (isinstance(result, Refused) or not changes):
        assert_unchanged(estimator, held)
    return result


def plain(result):
    """A result of any kind as a NumPy array."""
    if not isinstance(result, torch.Tensor):
        return np.asarray(result)
    return (result.float() if result.dtype is torch.bfloat16 else result).detach().cpu().numpy()


def assert_right(result, shape, nan=None):
    """Check shape, dtype and that all is finite; NaN may be where ``nan`` is True."""
    A = plain(result)
    assert A.shape == shape, f"shape {A.shape}, expected {shape}"
    # float64 where X is; tests/test_pca_start.py says of which methods and dtypes.
    assert A.dtype in (np.float32, np.float64) or A.ndim == 0, A.dtype
    finite = np.isfinite(A)
    if nan is not None:
        assert np.array_equal(np.isnan(A), nan)
        finite |= nan
    assert finite.all(), f"not finite: {A[~finite][:3]}"


# ------------------------------------------------------------------ estimators

TINY = {"max_epochs": 1, "batch_size": 16, "random_state": 0, "device": "cpu"}
NARROW = TINY | {"module__hidden_layer_sizes": (4,)}
SMALL_CONV = TINY | {"module__hidden_layer_sizes": (4,), "module__channels": (2,)}
SMALL_TCN = TINY | {"module": "tcn", "module__channels": 4, "module__n_layers": 1, "module__n_frequencies": 1}
N = 24


def table(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=(N, *shape))


def with_holes(A):
    A = A.copy()
    A[::3, 1] = np.nan
    return A


def ended(A):
    """Sequences of different lengths."""
    A = A.copy()
    A[::2, 4:] = np.nan
    return A


def zeros_for_nan(A):
    return np.where(np.isnan(A), 0, A)


LABELS = np.arange(N) % 3
OF_ALL_KINDS = [("gaussian", [0]), ("categorical", [1, 2]), ("negative_binomial", [3])]


def of_all_kinds():
    X = with_holes(table(4))
    X[:, 3], X[:, 1] = np.abs(X[:, 3]).round(), X[:, 1] > 0
    X[:, 2] = 1 - X[:, 1]
    X[:2, 1:3] = np.nan
    return X


# By name: how to make it, what it is fitted on, and whether NaN is allowed anywhere or after an end.
ZOO = {
    "ae": (lambda: AutoencoderTransformer(2, prior=GaussianMixture(1), **NARROW), table(4), {}, ""),
    "ae_mask": (lambda: AutoencoderTransformer(2, missing="mask", **NARROW), with_holes(table(4)), {}, "any"),
    "bernoulli": (
        lambda: AutoencoderTransformer(2, loss="bernoulli", **NARROW),
        np.random.default_rng(0).random((N, 4)),
        {},
        "",
    ),
    "huber": (lambda: AutoencoderTransformer(2, loss="huber", bottleneck="sparse", **NARROW), table(4), {}, ""),
    "relu": (lambda: AutoencoderTransformer(2, module__activation="relu", **NARROW), table(2, 3), {}, ""),
    "conv": (lambda: ConvAutoencoder(2, **SMALL_CONV), table(5, 5), {}, ""),
    "tcn": (lambda: AutoencoderTransformer(2, **SMALL_TCN), ended(table(6, 2)), {}, "end"),
    "tcn_flat": (lambda: AutoencoderTransformer(6, **SMALL_TCN), ended(table(6)), {}, "end"),
    "gru": (
        lambda: AutoencoderTransformer(2, module="gru", module__hidden_size=3, **TINY),
        ended(table(6, 2)),
        {},
        "end",
    ),
    "vae": (lambda: VAEGenerator(2, **NARROW), table(4), {}, ""),
    "vae_normal": (lambda: VAEGenerator(2, prior=None, loss="laplace", **NARROW), table(4), {}, ""),
    "vae_plain": (lambda: VAEGenerator(2, bottleneck="squared_norm", **NARROW), table(4), {}, ""),
    "vae_classes": (lambda: VAEGenerator(2, conditional=True, **NARROW), table(4), {"y": LABELS}, ""),
    "vae_targets": (lambda: VAEGenerator(2, conditional=True, **NARROW), table(4), {"y": table()}, ""),
    "vae_pixels": (
        lambda: VAEGenerator(2, loss="discretized_logistic", **NARROW),
        np.random.default_rng(0).integers(0, 256, (N, 4)),
        {},
        "",
    ),
    "poisson": (
        lambda: AutoencoderTransformer(2, loss="poisson", **NARROW),
        np.random.default_rng(0).poisson(3, (N, 4)),
        {},
        "",
    ),
    "vae_mixed": (
        lambda: VAEGenerator(2, loss=Mixed(OF_ALL_KINDS), missing="mask", **NARROW),
        of_all_kinds(),
        {},
        "any",
    ),
    "vae_mask": (lambda: VAEGenerator(2, missing="mask", **NARROW), with_holes(table(4)), {}, "any"),
    "filled": (
        lambda: Reconstructor(AutoencoderTransformer(2, **NARROW), filling=zeros_for_nan),
        with_holes(table(4)),
        {},
        "any",
    ),
    "kept": (
        lambda: Reconstructor(AutoencoderTransformer(2, missing="mask", **NARROW), keep_observed=True),
        with_holes(table(4)),
        {},
        "any",
    ),
    "pipeline": (
        lambda: make_pipeline(Reconstructor(AutoencoderTransformer(2, **NARROW)), AutoencoderTransformer(2, **NARROW)),
        table(4),
        {},
        "",
    ),
}


@functools.cache
def fitted(name):
    make, X, beside, _ = ZOO[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make().fit(X, **beside)


def inner(estimator):
    """The autoencoder in an estimator."""
    estimator = estimator[-1] if hasattr(estimator, "steps") else estimator
    return getattr(estimator, "estimator_", estimator)


def note_case(X):
    """Say what was tried, should it fail."""
    shape, dtype = getattr(X, "shape", None), getattr(X, "dtype", None)
    note(f"{type(X).__module__}.{type(X).__name__} {shape} {dtype}\n{str(X)[:800]}")
