"""The density of the codes that a generative model draws from."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from .._conditions import Classes, Targets
from .._prior import fit_prior
from ._conditional import Conditional
from ._data import Data

_ACTIVE = 0.01  # variance of the means of an active component
_MIN_DRAWS = 2000  # codes that a prior is fitted to, at least


class Density(Conditional):
    """Fits the prior to draws from the posteriors of the rows, and sees whether these have collapsed."""

    active_units_: int

    def _store_prior(self, data: Data, seed: int) -> None:
        variational = hasattr(self.module_.bottleneck, "distribution")
        both = self._map(self.module_.distribution if variational else self.module_.encode, data.X)
        means = both[:, 0] if variational else both
        if variational:
            self.active_units_ = int((means.var(axis=0, dtype=np.float64) > _ACTIVE).sum())
            varies = np.fmin.reduce(data.X, axis=0) < np.fmax.reduce(data.X, axis=0)
            if self.active_units_ == 0 and varies.sum() > 1:  # a single feature shares nothing with another
                self._warn_of_collapse()
        elif hasattr(self, "active_units_"):
            del self.active_units_
        if self.prior is None:
            return
        rng = np.random.default_rng(seed)
        # A mixture of a few posteriors is better known by several draws of each.
        n_draws = max(1, _MIN_DRAWS // len(means)) if variational else 1
        draws = np.broadcast_to(means, (n_draws, *means.shape))
        if variational:
            draws = draws + both[:, 1] * rng.standard_normal(draws.shape, dtype=np.float32)
        self.prior_ = self._fit_density(draws, data, seed)

    def _fit_density(self, draws: np.ndarray, data: Data, seed: int) -> Any:
        """The prior of codes (n_draws, n_samples, n_components): one for each class, or one with the targets."""
        weight, n_draws = data.sample_weight, len(draws)
        if isinstance(self._condition, Classes):
            assert data.condition is not None
            densities: list[Any] = []
            for index in range(self._condition.width):
                rows = np.flatnonzero(data.condition[:, index])
                part = draws[:, rows].reshape(-1, draws.shape[2])
                of_rows = None if weight is None else weight[rows]
                densities.append(fit_prior(self.prior, part, seed + index, of_rows, n_draws) if len(rows) else None)
            return densities
        if isinstance(self._condition, Targets) and _is_full_mixture(self.prior):
            told = np.broadcast_to(data.condition, (n_draws, *data.condition.shape))  # type: ignore[union-attr, arg-type]
            draws = np.concatenate([draws, told], axis=2)
        return fit_prior(self.prior, draws.reshape(-1, draws.shape[2]), seed, weight, n_draws)

    def _warn_of_collapse(self) -> None:
        warnings.warn(
            "No component of the code is active: the posterior has collapsed onto N(0, I), and all codes are alike. "
            f"Try a lower beta (now {self.module_.bottleneck.beta}), bottleneck=Gaussian(free_bits=0.1) or a longer "
            "warmup, a smaller network or a lower lr; if X has no structure, there is nothing to encode.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _is_full_mixture(prior: Any) -> bool:
    """Whether ``prior`` is a Gaussian mixture that tells codes from targets by its covariances."""
    if isinstance(prior, str) or prior is GaussianMixture:
        return True
    return isinstance(prior, GaussianMixture) and prior.covariance_type == "full"
