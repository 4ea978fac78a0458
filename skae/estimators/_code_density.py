"""The density of codes for the scores of an outlier detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.covariance import ledoit_wolf
from sklearn.mixture import GaussianMixture

from .._density.em import fit_mixture
from .._density.flow_network import import_zuko
from .._density.prior import class_of, fit_prior, is_flow
from .._utils.threads import one_blas_thread
from ._integer_codes import is_integer_density

_SIZE = 5  # of the mixture
_ROWS_FOR_EACH = 20  # of its components, at least
_MOST = 2**19  # entries of all covariances
_WIDTH = 1e-2  # added to all variances of whitened codes
_FLOOR = 1e-9  # of variances before whitening, relative to the mean


def check_density(density: Any) -> None:
    """Check the parameter: None, 'mixture', 'flow', or a density estimator with `score_samples`."""
    if density is None or (isinstance(density, str) and density == "mixture"):
        return
    if is_flow(class_of(density)):
        import_zuko()
        if getattr(density, "conditional", False) is not False:
            raise ValueError(
                f"density={density!r} is conditional on y, but samples are scored without y: set conditional=False."
            )
    elif not _scores(density):
        raise TypeError(
            "density must be None, 'mixture', 'flow' or a density estimator with fit and score_samples, such as "
            f"GaussianMixture(3) or KernelDensity(), got {density!r}."
        )


def _scores(density: Any) -> bool:
    return callable(getattr(density, "fit", None)) and callable(getattr(density, "score_samples", None))


def fit_density(density: Any, step: Any, codes: np.ndarray, seed: int) -> Any:
    """Return the density of codes (n, n_codes): that of the estimator if it has one and ``density`` is None.

    Otherwise it is fitted; None is a mixture of `_SIZE` Gaussians for whitened codes.
    """
    if density is not None:
        return fit_prior(class_of(density), codes, seed)
    found = vars(step).get("prior_")
    if _takes(found, codes.shape[1]):
        return found
    origin = codes.mean(axis=0)
    covariance = ledoit_wolf(codes - origin, assume_centered=True)[0] if len(codes) > 1 else np.eye(len(origin))
    covariance.flat[:: len(origin) + 1] += max(_FLOOR * covariance.trace() / len(origin), np.finfo(np.float32).tiny)
    root = np.linalg.cholesky(covariance)
    white = solve_triangular(root, (codes - origin).T, lower=True).T
    size = max(1, min(_SIZE, len(codes) // _ROWS_FOR_EACH, _MOST // covariance.size))
    with one_blas_thread():
        found = fit_mixture(white, np.ones(len(white)), size, _WIDTH, seed)
    covariances = root @ found.covariances @ root.T
    roots = np.linalg.inv(np.linalg.cholesky(covariances)).transpose(0, 2, 1)
    colored = found._replace(means=found.means @ root.T, covariances=covariances, roots=roots)
    return colored.as_estimator(origin, reg_covar=_WIDTH, random_state=seed)


def _takes(found: Any, width: int) -> bool:
    """Return whether a density fitted by an estimator is one of entire codes."""
    is_one = found is not None and not isinstance(found, list) and hasattr(found, "score_samples")
    return is_one and not is_integer_density(found) and getattr(found, "n_features_in_", width) == width


def distances(density: Any, codes: np.ndarray) -> np.ndarray:
    """Return the negative log-density of codes (n,), for a Gaussian or a mixture relative to its minimum."""
    found = -np.asarray(density.score_samples(codes), dtype=np.float64)
    return np.maximum(found - least(density), 0.0) if isinstance(density, GaussianMixture) else found


def least(density: GaussianMixture) -> float:
    """Return the approximate minimum of the negative log-density of a mixture, at the mean of a component."""
    return float(-density.score_samples(density.means_).max())
