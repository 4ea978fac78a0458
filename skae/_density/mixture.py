"""Gaussian mixtures: selection of the number of components, and conditional sampling."""

from __future__ import annotations

import copy

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from .._utils.threads import one_blas_thread
from .em import fit_mixture
from .sampling import sample_rows
from .stepwise_em import MOST_ROWS, refine_in_steps

_MAX_COMPONENTS = 128
_MAX_COVARIANCES = 2**19  # entries of all covariances: limits the number of components for wide codes
_MAX_ROWS = 10_000  # codes used to select the number of components
_HELD_OUT = 0.2
_FEW_ITER = 10  # of EM, where training goes on by other means


def choose_mixture(
    codes: np.ndarray,
    seed: int,
    sample_weight: np.ndarray | None = None,
    n_draws: int = 1,
    max_components: int = _MAX_COMPONENTS,
    max_rows: int | None = None,
) -> GaussianMixture:
    """Fit mixtures of 1, 2, 4, ... components until the held-out likelihood no longer increases.

    The best number of components is then fitted to all ``codes``, (n_draws · n_samples, n_components), or to
    ``max_rows`` of them. If that is None, more than 40,000 codes are fitted in steps of some of them, and at most a
    sample of `stepwise_em.MOST_ROWS`. Samples are held out with all their draws. The likelihood is weighted, and
    samples of weight 0 are ignored.
    """
    draws = codes.reshape(n_draws, -1, codes.shape[1])
    weight = np.ones(draws.shape[1]) if sample_weight is None else sample_weight / sample_weight.max()
    draws, weight = draws[:, weight > 0], weight[weight > 0]
    in_steps = max_rows is None and draws[..., 0].size > 4 * _MAX_ROWS
    if max_rows is None and len(weight) > MOST_ROWS // n_draws:
        rows, weight = sample_rows(weight, MOST_ROWS // n_draws, np.random.default_rng(seed))
        draws = draws[:, rows]
    draws = draws.astype(np.float64, copy=False)
    origin = np.average(draws.mean(axis=0), axis=0, weights=weight)
    draws = draws - origin
    # Relative to the variance, since the codes of a deterministic autoencoder may have any scale.
    variance = np.average((draws**2).mean(axis=(0, 2)), weights=weight)
    reg_covar = max(1e-5 * float(variance), 1e-12)
    order = np.random.default_rng(seed).permutation(len(weight))

    def some(rows: np.ndarray, n_most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return at most ``n_most`` codes of ``rows``, with all draws of each, and their weights."""
        rows = rows[: max(1, n_most // n_draws)]
        return draws[:, rows].reshape(-1, draws.shape[2]), np.tile(weight[rows], n_draws)

    n_held = max(1, round(_HELD_OUT * len(order)))
    held_out, seen = some(order[:n_held], _MAX_ROWS), some(order[n_held:], _MAX_ROWS)
    n_seen = len(seen[0]) // n_draws
    most = max(1, min(max_components, _MAX_COVARIANCES // draws.shape[2] ** 2, n_seen // 4)) if n_seen > 1 else 0
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
        if in_steps and best is not None:
            mixture = refine_in_steps(best, *some(order, MOST_ROWS), reg_covar)
        else:
            mixture = fit_mixture(*some(order, max_rows or 4 * _MAX_ROWS), size, reg_covar, seed, best)
    return mixture.as_estimator(origin, reg_covar=reg_covar, random_state=seed)


def refine_mixture(mixture: GaussianMixture, rows: np.ndarray, sample_weight: np.ndarray, seed: int) -> GaussianMixture:
    """Return a mixture of more components, where more rows were given to `choose_mixture` than decide there.

    As many rows as there have one component. It is to be compared with ``mixture`` on rows that neither has seen, and
    to be trained further.
    """
    more = len(rows) / min(len(rows) * (1 - _HELD_OUT), _MAX_ROWS)
    size = mixture.n_components * 2 ** int(np.log2(more))
    size = min(size, _MAX_COMPONENTS, _MAX_COVARIANCES // rows.shape[1] ** 2)
    if size <= mixture.n_components:
        return mixture
    origin = np.average(rows, axis=0, weights=sample_weight)
    rows, sample_weight = (A[: 4 * _MAX_ROWS] for A in (rows - origin, sample_weight))
    with one_blas_thread():
        found = fit_mixture(rows, sample_weight, size, mixture.reg_covar, seed, max_iter=_FEW_ITER)
    return found.as_estimator(origin, reg_covar=mixture.reg_covar, random_state=seed)


def sample_given(mixture: GaussianMixture, given: np.ndarray, seed: int) -> np.ndarray:
    r"""Sample the first variables of a mixture with full covariances, conditioned on the last ones, (n, n_given).

    Within a component they are normal with mean :math:`\mu_z + \Sigma_{zc} \Sigma_{cc}^{-1} (c - \mu_c)` and covariance
    :math:`\Sigma_{zz} - \Sigma_{zc} \Sigma_{cc}^{-1} \Sigma_{cz}`; components are drawn by their posterior given c.
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


def log_density_given(mixture: GaussianMixture, X: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the log-density of the first variables (n, k), conditioned on the last ones (n, n_given)."""
    of_last = marginal(mixture, np.arange(X.shape[1], mixture.n_features_in_))
    return mixture.score_samples(np.concatenate([X, given], axis=1)) - of_last.score_samples(given)


def marginal(mixture: GaussianMixture, kept: np.ndarray) -> GaussianMixture:
    """Return the mixture of the variables ``kept`` (indices), which is exact."""
    other = copy.copy(mixture)
    other.means_, other.n_features_in_ = mixture.means_[:, kept], len(kept)
    kind = mixture.covariance_type
    if kind in ("full", "tied"):
        other.covariances_ = mixture.covariances_[..., kept[:, None], kept]
        other.precisions_ = np.linalg.inv(other.covariances_)
        # The inverse of a lower triangle, transposed, is such a root as scikit-learn keeps.
        other.precisions_cholesky_ = np.linalg.inv(np.linalg.cholesky(other.covariances_)).swapaxes(-1, -2)
    elif kind == "diag":
        for name in ("covariances_", "precisions_", "precisions_cholesky_"):
            setattr(other, name, getattr(mixture, name)[:, kept])
    return other
