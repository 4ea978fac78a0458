"""Gaussian mixtures: their size by held-out likelihood, and draws given some of the variables."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from .._utils.threads import one_blas_thread
from .em import fit_mixture

_MAX_COMPONENTS = 128
_MAX_COVARIANCES = 2**19  # numbers in the covariances of a mixture: wide codes get few components
_MAX_ROWS = 10_000  # to choose a size with
_HELD_OUT = 0.2


def choose_mixture(
    codes: np.ndarray, seed: int, sample_weight: np.ndarray | None = None, n_draws: int = 1
) -> GaussianMixture:
    """Fit mixtures of 1, 2, 4, ... components with full covariances, until held-out rows become no more likely.

    The best size is fitted to all ``codes``, (n_draws · n_rows, n_components). What is held out are rows, with all
    their draws. The likelihood is weighted: equal weights are the same as none, and rows of weight 0 count as absent.
    """
    draws = codes.reshape(n_draws, -1, codes.shape[1])
    weight = np.ones(draws.shape[1]) if sample_weight is None else sample_weight / sample_weight.max()
    draws, weight = draws[:, weight > 0], weight[weight > 0]
    origin = np.average(draws.mean(axis=0), axis=0, weights=weight)
    draws = draws - origin
    # Relative, since the codes of a plain autoencoder may have any size.
    variance = np.average((draws**2).mean(axis=(0, 2)), weights=weight)
    reg_covar = max(1e-5 * float(variance), 1e-12)
    order = np.random.default_rng(seed).permutation(len(weight))

    def some(rows: np.ndarray, n_most: int) -> tuple[np.ndarray, np.ndarray]:
        """At most so many codes of ``rows``, all draws of each, and their weights."""
        rows = rows[: max(1, n_most // n_draws)]
        return draws[:, rows].reshape(-1, draws.shape[2]), np.tile(weight[rows], n_draws)

    n_held = max(1, round(_HELD_OUT * len(order)))
    held_out, seen = some(order[:n_held], _MAX_ROWS), some(order[n_held:], _MAX_ROWS)
    n_seen = len(seen[0]) // n_draws
    most = max(1, min(_MAX_COMPONENTS, _MAX_COVARIANCES // draws.shape[2] ** 2, n_seen // 4)) if n_seen > 1 else 0
    best, best_score, size = None, -np.inf, 1
    with one_blas_thread():
        while size <= most:
            mixture = fit_mixture(*seen, size, reg_covar, seed)
            score = mixture.score(*held_out)
            if not score > best_score:
                break
            best, best_score = mixture, score
            size *= 2
        size = 1 if best is None else len(best.weights)
        mixture = fit_mixture(*some(order, 4 * _MAX_ROWS), size, reg_covar, seed, best)
    return mixture.as_estimator(origin, reg_covar=reg_covar, random_state=seed)


def sample_given(mixture: GaussianMixture, given: np.ndarray, seed: int) -> np.ndarray:
    r"""Draw the first variables of a mixture with full covariances, given the last ones, (n, n_given).

    Each component's are normal with mean :math:`\mu_z + \Sigma_{zc} \Sigma_{cc}^{-1} (c - \mu_c)` and covariance
    :math:`\Sigma_{zz} - \Sigma_{zc} \Sigma_{cc}^{-1} \Sigma_{cz}`, and weighs as likely as it makes c.
    """
    rng = np.random.default_rng(seed)
    k = mixture.means_.shape[1] - given.shape[1]
    noise, uniform = rng.standard_normal((len(given), k)), rng.random((len(given), 1))
    log_weights = []
    for weight, mean, covariance in zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True):
        away = given - mean[k:]
        solved = np.linalg.solve(covariance[k:, k:], away.T).T
        log_determinant = np.linalg.slogdet(covariance[k:, k:])[1]
        log_weights.append(np.log(weight) - 0.5 * ((away * solved).sum(1) + log_determinant))
    shares = np.exp(log_weights - logsumexp(log_weights, axis=0)).T
    chosen = (shares.cumsum(1) < uniform).sum(1).clip(max=len(log_weights) - 1)
    drawn = np.empty((len(given), k))
    for index in np.unique(chosen):
        rows, mean, covariance = chosen == index, mixture.means_[index], mixture.covariances_[index]
        slope = np.linalg.solve(covariance[k:, k:], covariance[k:, :k])
        values, vectors = np.linalg.eigh(covariance[:k, :k] - covariance[:k, k:] @ slope)
        root = vectors * np.sqrt(values.clip(min=0))
        drawn[rows] = mean[:k] + (given[rows] - mean[k:]) @ slope + noise[rows] @ root.T
    return drawn.astype(np.float32)
