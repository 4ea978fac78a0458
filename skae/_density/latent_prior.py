"""The density of codes that new samples are drawn from, conditional where the decoder is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

from .._data.targets import Classes, NoCondition, Targets
from .flow import NormalizingFlow
from .likelier import fit_likelier
from .mixture import log_density_given, marginal, sample_given
from .prior import fit_prior, is_auto, is_flow, new_prior, sample_prior

_MIN_DRAWS = 1000  # codes that a density is fitted to, at least
_MOST_VECTORS = 2**12  # of spatial codes; more would not change a mixture of so few dimensions
_MOST_VECTORS_OF_FLOW = 2**16


class LatentPrior:
    """Fits and samples a density of codes: one for all, one for each class, or one of codes and targets together.

    Codes of different classes lie apart even where the decoder knows the class. For real targets a Gaussian mixture
    with full covariances is fitted to codes and targets, and sampled by its conditional distribution. A normalizing
    flow is one of codes given classes or targets. Any other density is one for each class, or one for all targets.

    Parameters
    ----------
    prior : density estimator, 'mixture' or 'auto'
        Not fitted; as `fit_prior` takes it. 'auto' is the likelier of a mixture and a flow.
    condition : Classes, Targets or NoCondition
        What the decoder gets beside codes.
    width : int, default=None
        Number of channels of spatial codes whose positions are drawn one by one, independently, so that there may be
        any number of them. Codes are drawn as a whole when None.
    """

    def __init__(self, prior: Any, condition: Classes | Targets | NoCondition, width: int | None = None) -> None:
        self.prior, self.condition, self.width = prior, condition, width

    def fit(
        self, codes: np.ndarray, c: np.ndarray | None, sample_weight: np.ndarray | None, seed: int, earlier: Any = None
    ) -> Any:
        """Return the fitted density, or a list of one for each class.

        Parameters
        ----------
        codes : ndarray of shape (n, n_components) or (n, 2, n_components)
            Codes; or means and standard deviations of posteriors, from which codes are drawn.
        c : ndarray of shape (n, width) or None
            Conditions.
        sample_weight : ndarray of shape (n,) or None
            Weights; samples of weight 0 count as absent.
        seed : int
            For draws, and for densities without a ``random_state`` of their own.
        earlier : list or None
            Densities of classes fitted before, for those that have no sample now.
        """
        if self.width is not None:
            codes, c, sample_weight = self._by_position(codes, c, sample_weight, seed)
        if is_auto(self.prior):
            mixture, flow = (LatentPrior(prior, self.condition) for prior in ("mixture", NormalizingFlow))
            return fit_likelier(mixture, flow, codes, c, sample_weight, seed, earlier)
        if is_flow(self.prior):
            return self._fit_flow(codes, c, sample_weight, seed)
        present = np.ones(len(codes), bool) if sample_weight is None else sample_weight > 0
        if not isinstance(self.condition, Classes):
            return self._fit_one(codes, c, sample_weight, seed, np.flatnonzero(present))
        assert c is not None
        before = earlier if isinstance(earlier, list) else [None] * self.condition.width
        return [
            self._fit_one(codes, c, sample_weight, seed + index, np.flatnonzero(of_class)) if of_class.any() else kept
            for index, (of_class, kept) in enumerate(zip(c.T * present, before, strict=True))
        ]

    def _fit_one(
        self, codes: np.ndarray, c: np.ndarray | None, sample_weight: np.ndarray | None, seed: int, index: np.ndarray
    ) -> Any:
        """Fit the density of the samples at ``index``."""
        codes = codes[index][None]
        if codes.ndim == 4:
            # A mixture of a few posteriors is better known by several draws of each.
            n_draws = max(1, _MIN_DRAWS // len(index))
            noise = np.random.default_rng(seed).standard_normal((n_draws, *codes[0, :, 0].shape), dtype=np.float32)
            codes = codes[:, :, 0] + codes[:, :, 1] * noise
        if isinstance(self.condition, Targets) and _is_full_mixture(self.prior):
            assert c is not None
            conditions = np.broadcast_to(c[index], (len(codes), len(index), c.shape[1]))
            codes = np.concatenate([codes, conditions], axis=2)
        weight = None if sample_weight is None else sample_weight[index]
        try:
            return fit_prior(self.prior, codes.reshape(-1, codes.shape[2]), seed, weight, len(codes))
        except ValueError as error:
            raise self._failed(len(index), error) from error

    def _fit_flow(
        self, codes: np.ndarray, c: np.ndarray | None, sample_weight: np.ndarray | None, seed: int
    ) -> NormalizingFlow:
        """Fit one flow to all codes and their conditions; it draws from the posteriors in each epoch."""
        kinds: dict[type, Any] = {Classes: "classes", Targets: "targets"}
        conditional = kinds.get(type(self.condition), False)
        flow = new_prior(self.prior, seed).set_params(conditional=conditional)
        codes, spread = (codes[:, 0], codes[:, 1]) if codes.ndim == 3 else (codes, None)
        try:
            return flow.fit(codes, self._decoded(c), sample_weight, spread)
        except ValueError as error:
            raise self._failed(len(codes), error) from error

    def _failed(self, n: int, error: Exception) -> ValueError:
        return ValueError(f"prior={self.prior!r} could not be fitted to the codes of {n} rows: {error}")

    def _decoded(self, c: np.ndarray | None) -> np.ndarray | None:
        """Return y, which a flow takes."""
        return None if isinstance(self.condition, NoCondition) or c is None else self.condition.decode(c)

    def log_density(self, density: Any, codes: np.ndarray, c: np.ndarray | None) -> np.ndarray:
        """Return the log-densities of codes (n, n_components), given the conditions ``c``; of mixtures and flows."""
        if isinstance(density, NormalizingFlow):
            return density.score_samples(codes, self._decoded(c))
        if isinstance(density, list):
            assert c is not None
            found = np.empty(len(codes))
            for label in np.flatnonzero(c.any(axis=0)):
                rows = c[:, label] > 0
                found[rows] = density[label].score_samples(codes[rows])
            return found
        return density.score_samples(codes) if c is None else log_density_given(density, codes, c)

    def sample(self, density: Any, c: np.ndarray | None, n_samples: int, n_components: int, seed: int) -> np.ndarray:
        """Draw codes (n_samples, n_components) in float32 from a fitted ``density``, given the conditions ``c``."""
        if self.width is None:
            return self._draw(density, c, n_samples, n_components, seed)
        n_positions = n_components // self.width
        c = None if c is None else np.repeat(c, n_positions, axis=0)
        vectors = self._draw(density, c, n_samples * n_positions, self.width, seed)
        return vectors.reshape(n_samples, n_positions, self.width).swapaxes(1, 2).reshape(n_samples, n_components)

    def _by_position(
        self, codes: np.ndarray, c: np.ndarray | None, sample_weight: np.ndarray | None, seed: int
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Return the vectors at the positions of spatial codes, not too many of them, as samples."""
        assert self.width is not None
        vectors = codes.reshape(*codes.shape[:-1], self.width, -1)  # (n, ..., width, n_positions)
        n, n_positions = len(codes), vectors.shape[-1]
        vectors = np.moveaxis(vectors, -1, 1).reshape(n * n_positions, *vectors.shape[1:-1])
        index = np.arange(len(vectors))
        most = _MOST_VECTORS_OF_FLOW if is_flow(self.prior) or is_auto(self.prior) else _MOST_VECTORS
        if len(index) > most:
            index = np.random.default_rng(seed).choice(index, most, replace=False)
        others = (None if A is None else A[index // n_positions] for A in (c, sample_weight))
        return (vectors[index], *others)  # type: ignore[return-value]

    def _draw(self, density: Any, c: np.ndarray | None, n_samples: int, n_components: int, seed: int) -> np.ndarray:
        if c is not None and isinstance(density, GaussianMixture) and density.n_features_in_ > n_components:
            return sample_given(density, c, seed)
        if isinstance(density, NormalizingFlow):
            self._check_classes(density, c)
            return density.sample(n_samples, seed, self._decoded(c)).astype(np.float32)
        return self._by_class(density, c, n_samples, sample_prior, seed)

    def _check_classes(self, flow: NormalizingFlow, c: np.ndarray | None) -> None:
        """Refuse classes of the estimator that the flow has not seen, in its latest fit."""
        if c is None or not isinstance(self.condition, Classes):
            return
        asked = self.condition.classes[c.any(axis=0)]
        unseen = asked[~np.isin(asked, flow.classes_)].tolist()
        if unseen:
            raise ValueError(
                f"Class {unseen[0]!r} had no rows to learn from: prior='flow' knows the classes of the latest fit or "
                f"partial_fit, {flow.classes_.tolist()}. Pass y of these, or take prior='mixture', which keeps earlier "
                "classes."
            )

    def _by_class(
        self,
        density: Any,
        c: np.ndarray | None,
        n_samples: int,
        draw: Callable[[Any, int, int], np.ndarray],
        seed: int,
    ) -> np.ndarray:
        """Return the draws of ``draw(density, n_samples, seed)``, for classes from the density of each."""
        if not isinstance(self.condition, Classes):
            return draw(density, n_samples, seed)
        assert c is not None
        codes: Any = None
        for label, of_class in enumerate(density):
            rows = np.flatnonzero(c[:, label])
            if len(rows):
                if of_class is None:
                    raise ValueError(f"Class {self.condition.classes.tolist()[label]!r} had no rows to learn from.")
                drawn = draw(of_class, len(rows), seed + label)
                codes = np.empty((n_samples, *drawn.shape[1:]), drawn.dtype) if codes is None else codes
                codes[rows] = drawn
        return codes


def of_first_components(density: Any, k: int, n_components: int) -> Any:
    """Return a fitted ``density`` of the first ``k`` of ``n_components`` numbers of codes; None where it is not known.

    It is known of Gaussian mixtures, with targets too, and of lists of them, where None is a class without samples.
    """
    if isinstance(density, list):
        found = [of_first_components(of_class, k, n_components) for of_class in density]
        return None if any(new is None is not old for new, old in zip(found, density, strict=True)) else found
    if not isinstance(density, GaussianMixture):
        return None
    return marginal(density, np.r_[:k, n_components : density.n_features_in_])


def _is_full_mixture(prior: Any) -> bool:
    """Whether ``prior`` is a Gaussian mixture that relates codes to targets by its covariances."""
    if isinstance(prior, str):
        return True
    return isinstance(prior, GaussianMixture) and prior.covariance_type == "full"
