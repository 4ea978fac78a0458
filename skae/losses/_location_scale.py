"""Base of likelihoods with a location and a scale, which estimates the scale."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .._utils.checks import check_choice
from .base import Likelihood, parameter_shape

_MEMORY = 0.95  # decay of the moving mean over the batches' scales, about the last twenty


class LocationScale(Likelihood):
    """Likelihood with the decoder's output as location and a scale: a single one for all values, or one per feature.

    Sample weights do not affect the scale. A subclass defines the ``statistic`` of residuals from whose mean `scale_of`
    estimates the scale, and the density.
    """

    per_feature = False  # default of subclasses without the parameter, and of pickles of version 0.2

    def __init__(self, scale: str | float = "optimal", floor: float = 1e-3) -> None:
        super().__init__()
        self.scale = scale
        self.floor = floor

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        check_choice(f"{type(self).__name__}: per_feature", self.per_feature, (True, False))
        self._check_number("floor", numbers.Real, 0, bounds="neither")
        if isinstance(self.scale, str):
            check_choice(f"{type(self).__name__}: scale", self.scale, ("optimal", "learned"))
        else:
            self._check_number("scale", numbers.Real, 0, bounds="neither")
        shape = parameter_shape(target_shape) if self.per_feature else ()
        start = torch.full(shape, 0.0 if isinstance(self.scale, str) else math.log(self.scale))
        if self.scale == "learned":
            self.log_scale = nn.Parameter(start)
        else:
            self.register_buffer("log_scale", start)

    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        if isinstance(self.scale, str):
            self.log_scale.data.copy_(self._best(raw, x, observed).log())

    def refit_scale(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        LocationScale.init_from(self, raw, x, observed)

    def values(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        values = self.negative_log_density(raw, x, self._scale(raw, x, observed))
        return values if observed is None else torch.where(observed, values, 0)

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return self.negative_log_density(raw, x, self._scale(raw, x, None))

    @property
    def current_scale(self) -> Tensor:
        """Return the scale used outside of training."""
        scale = self.log_scale.exp()
        # Below the floor the gradient is that at the floor, so that a learned scale can recover.
        return scale + (scale.clamp(min=self.floor) - scale).detach()

    def _scale(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> Tensor:
        if not (self.training and self.scale == "optimal"):
            return self.current_scale
        # The optimal scale can be detached, since the derivative of the likelihood with respect to it is zero. (The
        # scale of the logistic distribution is only near the optimum.)
        scale = self._best(raw, x, observed)
        with torch.no_grad():
            self.log_scale.lerp_(scale.log().to(self.log_scale), 1 - _MEMORY)
        # A batch may have too few observed values of a feature to estimate its scale.
        return self.current_scale if self.per_feature else scale

    @torch.no_grad()
    def _best(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> Tensor:
        """Return the maximum-likelihood scale of a batch; features without observed values keep the previous scale."""
        statistic, shape = self.statistic(raw, x), self.log_scale.shape
        if not shape and observed is None:
            mean = self.ranks.mean(statistic.mean(), statistic.numel())
            return self.scale_of(mean).clamp(min=self.floor)
        known = torch.ones_like(statistic) if observed is None else observed.to(statistic)
        total = (statistic if observed is None else torch.where(observed, statistic, 0)).sum_to_size(shape)
        count = known.sum_to_size(shape)
        total, count = self.ranks.sum(total), self.ranks.sum(count)
        best = self.scale_of(total / count.clamp(min=1)).clamp(min=self.floor)
        return torch.where(count > 0, best, self.current_scale) if self.per_feature else best

    def statistic(self, raw: Tensor, x: Tensor) -> Tensor:
        """Compute the statistic of each residual that determines the scale."""
        raise NotImplementedError

    def scale_of(self, mean: Tensor) -> Tensor:
        """Convert the mean `statistic` to a scale."""
        raise NotImplementedError

    def negative_log_density(self, raw: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        """Compute the negative log-density of each value of ``x``."""
        raise NotImplementedError
