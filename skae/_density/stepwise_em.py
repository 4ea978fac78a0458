"""Gaussian mixtures of many samples: stepwise expectation-maximization (EM; Cappé and Moulines, 2009).

EM uses all samples in each iteration. Here the mean sufficient statistics of the mixture are updated after each
minibatch, so that a few hundred steps replace as many passes over the samples.

Cappé, O. and Moulines, E. (2009), On-line expectation-maximization algorithm for latent data models, Journal of the
Royal Statistical Society B 71(3).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from .em import Mixture

_N_STEPS, _STEP_ROWS = 200, 1000
MOST_ROWS = _N_STEPS * _STEP_ROWS  #: rows that are used; of fewer each is used several times
_DECAY = 0.6  # of the step size; between 0.5 and 1 it converges


class _Statistics(NamedTuple):
    """Means over rows of the shares of components (k,), of shares times rows (k, d) and times squares (k, d, d)."""

    shares: np.ndarray
    rows: np.ndarray
    squares: np.ndarray

    def moved(self, other: _Statistics, step: float) -> _Statistics:
        return _Statistics(*((1 - step) * a + step * b for a, b in zip(self, other, strict=True)))


def refine_in_steps(start: Mixture, rows: np.ndarray, weight: np.ndarray, reg_covar: float) -> Mixture:
    r"""Move ``start`` toward the maximum likelihood of all ``rows``, (n, d), which are in random order.

    After step t the statistics are :math:`(1 - \eta_t) s + \eta_t s_t`, with those of its rows, :math:`s_t`, and
    :math:`\eta_t = (t + 2)^{-0.6}`. Rows are centered and weights (n,) positive. ``bounds`` stay those of ``start``.
    """
    mixture, found = start, _statistics_of(start, reg_covar)
    weight = weight / weight.mean()
    for t in range(_N_STEPS):
        index = np.arange(t * _STEP_ROWS, (t + 1) * _STEP_ROWS) % len(rows)
        joint = mixture.joint_log_density(rows[index])
        shares = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)) * weight[index, np.newaxis]
        found = found.moved(_statistics(rows[index], shares), (t + 2) ** -_DECAY)
        mixture = _maximized(found, reg_covar)._replace(bounds=start.bounds, converged=start.converged)
    return mixture


def _statistics_of(mixture: Mixture, reg_covar: float) -> _Statistics:
    """Return the statistics that ``mixture`` is the maximum of."""
    weights, means = mixture.weights[:, np.newaxis], mixture.means
    covariances = mixture.covariances - reg_covar * np.eye(means.shape[1])
    squares = covariances + means[:, :, np.newaxis] * means[:, np.newaxis]
    return _Statistics(mixture.weights, weights * means, weights[:, :, np.newaxis] * squares)


def _statistics(rows: np.ndarray, shares: np.ndarray) -> _Statistics:
    n, by_component = len(rows), np.ascontiguousarray(shares.T)
    squares = np.stack([(of_one[:, np.newaxis] * rows).T @ rows for of_one in by_component])
    return _Statistics(shares.sum(axis=0) / n, by_component @ rows / n, squares / n)


def _maximized(found: _Statistics, reg_covar: float) -> Mixture:
    shares = found.shares + np.finfo(np.float64).tiny
    means, eye = found.rows / shares[:, np.newaxis], np.eye(found.rows.shape[1])
    covariances = found.squares / shares[:, np.newaxis, np.newaxis] - means[:, :, np.newaxis] * means[:, np.newaxis]
    covariances += reg_covar * eye
    roots = [solve_triangular(np.linalg.cholesky(covariance), eye, lower=True).T for covariance in covariances]
    return Mixture(shares / shares.sum(), means, covariances, np.stack(roots))
