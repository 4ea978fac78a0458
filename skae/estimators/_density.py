"""The density of the codes that a generative model draws from."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from .._data.chunked import slices
from .._data.targets import Classes, Targets
from .._density.prior import fit_prior
from ._conditional import Conditional
from ._data import FitData
from ._parts import find_prior
from ._warnings import warn

_ACTIVE = 0.01  # variance of the means of an active component
_MIN_DRAWS = 1000  # codes that a prior is fitted to, at least


class Density(Conditional):
    """Fits the prior to draws from the posteriors of the rows, and sees whether these have collapsed."""

    active_units_: int

    def _store_prior(self, data: FitData, seed: int, earlier: Any) -> None:
        variational = self.module_.is_variational
        both = self._map(self.module_.distribution if variational else self.module_.encode, data.X)
        means = both[:, 0] if variational else both
        present = np.ones(len(means), bool) if data.sample_weight is None else data.sample_weight > 0
        if variational:
            self.active_units_ = int((means[present].var(axis=0, dtype=np.float64) > _ACTIVE).sum())
            # A single feature shares nothing with another.
            if self.active_units_ == 0 and _n_varying(data.X, present) > 1:
                self._warn_of_collapse()
        elif hasattr(self, "active_units_"):
            del self.active_units_
        if self.prior is None:
            return
        if isinstance(self._condition, Classes):
            assert data.condition is not None
            before = [None] * self._condition.width if earlier is None else earlier
            self.prior_ = [
                self._fit_density(both, data, seed + index, np.flatnonzero(of_class)) if of_class.any() else kept
                for index, (of_class, kept) in enumerate(zip(data.condition.T * present, before, strict=True))
            ]
        else:
            self.prior_ = self._fit_density(both, data, seed, np.flatnonzero(present))

    def _fit_density(self, both: np.ndarray, data: FitData, seed: int, rows: np.ndarray) -> Any:
        """The prior of some of the rows, whose codes ``both`` tells as means and deviations, or as themselves."""
        codes, prior = both[rows][None], find_prior(self)
        if codes.ndim == 4:
            # A mixture of a few posteriors is better known by several draws of each.
            n_draws = max(1, _MIN_DRAWS // len(rows))
            noise = np.random.default_rng(seed).standard_normal((n_draws, *codes[0, :, 0].shape), dtype=np.float32)
            codes = codes[:, :, 0] + codes[:, :, 1] * noise
        if isinstance(self._condition, Targets) and _is_full_mixture(prior):
            assert data.condition is not None
            told = np.broadcast_to(data.condition[rows], (len(codes), len(rows), data.condition.shape[1]))
            codes = np.concatenate([codes, told], axis=2)
        weight = None if data.sample_weight is None else data.sample_weight[rows]
        try:
            return fit_prior(prior, codes.reshape(-1, codes.shape[2]), seed, weight, len(codes))
        except ValueError as error:
            raise ValueError(
                f"prior={prior!r} could not be fitted to the codes of {len(rows)} rows: {error}"
            ) from error

    def _warn_of_collapse(self) -> None:
        beta = getattr(self.module_.bottleneck, "beta", None)  # of one of the user's own there may be none
        warn(
            "No component of the code is active: the posterior has collapsed onto N(0, I), and all codes are alike. "
            f"Try more epochs, a lower beta{'' if beta is None else f' (now {beta})'}, "
            "bottleneck=Gaussian(free_bits=0.1) or a longer warmup, a smaller network or a lower lr; if X has no "
            "structure, there is nothing to encode.",
            ConvergenceWarning,
        )


def _n_varying(X: Any, present: np.ndarray) -> int:
    """How many values of a row are not the same in all rows that are ``present``."""
    parts = (X[s][present[s]] for s in slices(X) if present[s].any())
    ends = [(np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)) for rows in parts]
    low, high = np.fmin.reduce([low for low, _ in ends]), np.fmax.reduce([high for _, high in ends])
    return int((low < high).sum())


def _is_full_mixture(prior: Any) -> bool:
    """Whether ``prior`` is a Gaussian mixture that tells codes from targets by its covariances."""
    if isinstance(prior, str):
        return True
    return isinstance(prior, GaussianMixture) and prior.covariance_type == "full"
