"""The density of codes that an outlier detector judges rows by."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.covariance import ledoit_wolf
from sklearn.mixture import GaussianMixture

from .._density.em import Mixture
from .._density.prior import fit_prior
from ._integer_codes import is_integer_density

_FLOOR = 1e-9  # of variances, as a share of the mean one


def check_density(density: Any) -> None:
    """Check the parameter: None, 'mixture', or a density estimator with `score_samples`."""
    if density is None or (isinstance(density, str) and density == "mixture"):
        return
    if not _scores(density):
        raise TypeError(
            "density must be None, 'mixture' or a density estimator with fit and score_samples, such as "
            f"GaussianMixture(3) or KernelDensity(), got {density!r}."
        )


def _scores(density: Any) -> bool:
    return callable(getattr(density, "fit", None)) and callable(getattr(density, "score_samples", None))


def fit_density(density: Any, step: Any, codes: np.ndarray, seed: int) -> Any:
    """Return the density of codes (n, n_codes): that of the estimator if it has one and ``density`` is None.

    Otherwise it is fitted; None is a Gaussian whose covariance is shrunk towards a multiple of the identity by the
    amount of Ledoit and Wolf (2004), so that there may be more codes than rows.
    """
    if density is not None:
        return fit_prior(density, codes, seed)
    found = vars(step).get("prior_")
    if _takes(found, codes.shape[1]):
        return found
    origin = codes.mean(axis=0)
    away = codes - origin
    covariance = ledoit_wolf(away, assume_centered=True)[0] if len(codes) > 1 else np.zeros((codes.shape[1],) * 2)
    variance = covariance.trace() / len(covariance)
    covariance.flat[:: len(covariance) + 1] += max(_FLOOR * variance, np.finfo(np.float32).tiny)
    root = np.linalg.inv(np.linalg.cholesky(covariance)).T
    one = Mixture(np.ones(1), 0 * origin[None], covariance[None], root[None], bounds=(0.0,), converged=True)
    return one.as_estimator(origin, reg_covar=0.0, random_state=seed)


def _takes(found: Any, width: int) -> bool:
    """Whether a density that an estimator has fitted is one of its whole codes."""
    is_one = found is not None and not isinstance(found, list) and hasattr(found, "score_samples")
    return is_one and not is_integer_density(found) and getattr(found, "n_features_in_", width) == width


def distances(density: Any, codes: np.ndarray) -> np.ndarray:
    """Return minus the log-density of codes (n,); that of a Gaussian or a mixture above its least, so not negative."""
    found = -np.asarray(density.score_samples(codes), dtype=np.float64)
    return np.maximum(found - least(density), 0.0) if isinstance(density, GaussianMixture) else found


def least(density: GaussianMixture) -> float:
    """Return the least that minus the log-density of a mixture can be, at the mean of a component or nearly."""
    return float(-density.score_samples(density.means_).max())
