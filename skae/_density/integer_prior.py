"""Densities of integer codes that new samples are drawn from, conditional where the decoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from .._data.targets import Classes, NoCondition, Targets
from .autoregressive import Autoregressive
from .factorized import Factorized
from .latent_prior import LatentPrior

INTEGER_DENSITIES = (Autoregressive, Factorized)
_BY_POSITION = {"position_biases": False, "by_position": False}  # their parameters for it


class IntegerPrior(LatentPrior):
    """Fits and samples a density of integer codes: one for all, or one for each class.

    Parameters
    ----------
    prior : Autoregressive or Factorized
        Not fitted.
    condition : Classes, Targets or NoCondition
        What the decoder gets beside codes. The density does not depend on real targets.
    alphabet : sequence of int or None
        Number of levels of each integer, or None.
    of_crops : bool
        Whether codes are those of crops, so that their positions are none in images.
    """

    def __init__(
        self,
        prior: Any,
        condition: Classes | Targets | NoCondition,
        alphabet: Sequence[int | None],
        *,
        of_crops: bool,
    ) -> None:
        super().__init__(prior, condition)
        self.alphabet, self.of_crops = alphabet, of_crops

    def _fit_one(
        self, codes: np.ndarray, c: np.ndarray | None, sample_weight: np.ndarray | None, seed: int, index: np.ndarray
    ) -> Any:
        density = clone(self.prior).set_params(alphabet=self.alphabet)
        params = density.get_params()
        if self.of_crops:
            density.set_params(**{name: value for name, value in _BY_POSITION.items() if name in params})
        if params.get("random_state", 0) is None:
            density.set_params(random_state=seed)
        weight = None if sample_weight is None else sample_weight[index]
        try:
            return density.fit(codes[index], weight)
        except ValueError as error:
            raise ValueError(
                f"prior={self.prior!r} could not be fitted to the codes of {len(index)} rows: {error}"
            ) from error

    def draw_integers(
        self, density: Any, c: np.ndarray | None, n_samples: int, shape: tuple[int, int], seed: int
    ) -> np.ndarray:
        """Draw integer codes (n_samples, n_integers, *shape) from a fitted ``density``, given the conditions ``c``."""
        return self._by_class(
            density, c, n_samples, lambda one, n, its_seed: one.sample(n, shape=shape, random_state=its_seed), seed
        )
