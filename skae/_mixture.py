"""Gaussian mixtures: their size by held-out likelihood, and draws given some of the variables."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from ._threads import one_blas_thread

_MAX_COMPONENTS = 128
_MAX_COVARIANCES = 2**19  # numbers in the covariances of a mixture: wide codes get few components
_MAX_ROWS = 10_000  # to choose a size with
_HELD_OUT = 0.2


def choose_mixture(
    codes: np.ndarray, seed: int, sample_weight: np.ndarray | None = None, n_draws: int = 1
) -> GaussianMixture:
    """Fit mixtures of 1, 2, 4, ... components with full covariances, until held-out rows become no more likely.

    The best size is fitted to all ``codes``, (n_draws · n_rows, n_components). What is held out are rows, with all
    their draws. Weighted rows are drawn by their weights.
    """
    rng = np.random.default_rng(seed)
    n_rows = len(codes) // n_draws
    draws = codes.reshape(n_draws, n_rows, -1)
    chosen = rng.permutation(n_rows)
    if sample_weight is not None:
        chosen = rng.choice(n_rows, n_rows, p=sample_weight / sample_weight.sum())
        kept = rng.permutation(np.unique(chosen))
        held = kept[: max(1, round(_HELD_OUT * len(kept)))]
        is_held = np.isin(chosen, held)
        chosen = np.concatenate([rng.permutation(chosen[is_held]), rng.permutation(chosen[~is_held])])
        n_held = int(is_held.sum())
    else:
        n_held = max(1, round(_HELD_OUT * n_rows))
    held_out, seen = (part[: max(1, _MAX_ROWS // n_draws)] for part in (chosen[:n_held], chosen[n_held:]))
    width = codes.shape[1]
    # Relative, since the codes of a plain autoencoder may have any size.
    reg_covar = max(1e-5 * float(draws[:, chosen].reshape(-1, width).var(axis=0).mean()), 1e-12)

    def fit(rows: np.ndarray, n_components: int, start: GaussianMixture | None = None) -> GaussianMixture:
        mixture = GaussianMixture(n_components, reg_covar=reg_covar, max_iter=50, random_state=seed)
        if start is not None:
            mixture.set_params(means_init=start.means_, weights_init=start.weights_, precisions_init=start.precisions_)
        with warnings.catch_warnings():
            # How far it gets is judged below, and a mixture of few distinct rows has empty clusters.
            warnings.simplefilter("ignore", ConvergenceWarning)
            with one_blas_thread():
                return mixture.fit(rows)

    chosen_mixture, best = None, -np.inf
    if len(seen) >= 2:
        training, judging = draws[:, seen].reshape(-1, width), draws[:, held_out].reshape(-1, width)
        size = 1
        while size <= max(1, min(_MAX_COMPONENTS, _MAX_COVARIANCES // width**2, len(seen) // 4)):
            mixture = fit(training, size)
            score = mixture.score(judging)
            if not score > best:
                break
            chosen_mixture, best = mixture, score
            size *= 2
    everything = draws[:, chosen[: max(2, 4 * _MAX_ROWS // n_draws)]].reshape(-1, width)
    if len(everything) < 2:
        everything = np.repeat(everything, 2, axis=0)
    mixture = fit(everything, 1 if chosen_mixture is None else chosen_mixture.n_components, chosen_mixture)
    # The start has done its work, and clones of the mixture are to be fitted without it.
    return mixture.set_params(means_init=None, weights_init=None, precisions_init=None)


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
