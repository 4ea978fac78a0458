"""Prior over codes: a scikit-learn density estimator with `fit` and `sample`."""

from __future__ import annotations

import copy
import inspect
import sys
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import has_fit_parameter

from .._utils.slots import did_you_mean, find_name
from .._utils.threads import blas_threads_given, threads_for
from .autoregressive import Autoregressive
from .flow import NormalizingFlow
from .flow_network import import_zuko
from .mixture import choose_mixture

_CLASSES = {"autoregressive": Autoregressive, "flow": NormalizingFlow}
_NAMES = ("mixture", "auto", *_CLASSES)
_SHORT_NAMES = {"gmm": "mixture", "gaussian_mixture": "mixture", "normalizing_flow": "flow"}
# Codes are NumPy arrays whatever X is, and with dispatch GaussianMixture supports fewer options.
_in_numpy = config_context(array_api_dispatch=False)


def check_prior(prior: Any) -> None:
    """Check that ``prior`` is the name of one or a density estimator, given as a class or an instance."""
    if is_auto(prior) or is_flow(class_of(prior)):
        import_zuko()
    if isinstance(prior, str) and find_name(prior, _NAMES, _SHORT_NAMES):
        return
    if not (callable(getattr(prior, "fit", None)) and callable(getattr(prior, "sample", None))):
        raise TypeError(
            "prior must be None, 'mixture', 'flow', 'auto' or a scikit-learn density estimator with fit and sample, "
            "such as GaussianMixture(10) or KernelDensity(), or 'autoregressive' for the integer codes of a discrete "
            f"bottleneck, got {prior!r}.{did_you_mean(prior, _NAMES)}"
        )


def class_of(prior: Any) -> Any:
    """Return the class that a name stands for; anything else, and 'mixture' and 'auto', which have none, as it is."""
    return _CLASSES.get(_name_of(prior), prior)


def is_auto(prior: Any) -> bool:
    """Whether ``prior`` is to be chosen."""
    return _name_of(prior) == "auto"


def is_flow(prior: Any) -> bool:
    """Whether ``prior`` is a normalizing flow, given as a class or an instance."""
    return isinstance(prior, NormalizingFlow) or (isinstance(prior, type) and issubclass(prior, NormalizingFlow))


def _name_of(prior: Any) -> str:
    return (find_name(prior, _NAMES, _SHORT_NAMES) if isinstance(prior, str) else None) or ""


@_in_numpy
def fit_prior(
    prior: Any, codes: np.ndarray, seed: int, sample_weight: np.ndarray | None = None, n_draws: int = 1
) -> Any:
    """Fit a clone of ``prior`` to ``codes``, in float64.

    ``seed`` is used if the estimator has no ``random_state``, ``sample_weight`` if its `fit` supports it. ``codes`` has
    ``n_draws`` codes per sample: the first draws of all samples, then the second ones, and so on.
    """
    codes = codes if isinstance(prior, str) else codes.astype(np.float64)  # a mixture may be one of a sample of them
    if sample_weight is not None and not sample_weight.all():  # also for estimators without sample weights
        kept = sample_weight > 0
        codes, sample_weight = codes[np.tile(kept, n_draws)], sample_weight[kept]
    if isinstance(prior, str):
        with threads_for(sys.maxsize):
            return choose_mixture(codes, seed, sample_weight, n_draws)
    prior = new_prior(prior, seed)
    weighs = sample_weight is not None and has_fit_parameter(prior, "sample_weight")
    params = {"sample_weight": np.tile(sample_weight, n_draws)} if weighs else {}  # type: ignore[arg-type]
    with threads_for(sys.maxsize), blas_threads_given():
        return prior.fit(codes, **params)


def new_prior(prior: Any, seed: int) -> Any:
    """Return a density estimator that is not fitted, with ``seed`` if it has no ``random_state``."""
    return _seeded(prior() if isinstance(prior, type) else clone(prior), seed, replace=False)


@_in_numpy
def sample_prior(prior: Any, n_samples: int, seed: int) -> np.ndarray:
    """Draw codes (n_samples, n_components) in float32, without changing ``prior``."""
    if "random_state" in inspect.signature(prior.sample).parameters:
        drawn = prior.sample(n_samples, random_state=seed)
    else:
        drawn = _seeded(copy.copy(prior), seed, replace=True).sample(n_samples)
    drawn = drawn[0] if isinstance(drawn, tuple) else drawn  # GaussianMixture also returns the components
    drawn = np.asarray(drawn, dtype=np.float32)
    return np.random.default_rng(seed).permutation(drawn) if isinstance(prior, GaussianMixture) else drawn


def _seeded(prior: Any, seed: int, *, replace: bool) -> Any:
    params = prior.get_params()
    if "random_state" in params and (replace or params["random_state"] is None):
        prior.set_params(random_state=seed)
    return prior
