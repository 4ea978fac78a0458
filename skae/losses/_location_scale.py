"""What likelihoods with a location and a scale share: where the scale comes from."""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor, nn

from .._utils.checks import check_choice
from .base import Likelihood, row_sums

_MEMORY = 0.95  # of the scale after training, in the scales of the batches: the last twenty or so


class LocationScale(Likelihood):
    """A density around the decoder's output, of one scale for all values.

    Rows count alike in the scale, whatever their weights. A subclass says which ``statistic`` of a residual tells the
    scale, which `scale_of` its mean is best for, and how likely a residual is.
    """

    def __init__(self, scale: str | float = "optimal", floor: float = 1e-3) -> None:
        super().__init__()
        self.scale = scale
        self.floor = floor

    def setup(self, n_components: int) -> None:
        self._check_number("floor", numbers.Real, 0, bounds="neither")
        if isinstance(self.scale, str):
            check_choice(f"{type(self).__name__}: scale", self.scale, ("optimal", "learned"))
        else:
            self._check_number("scale", numbers.Real, 0, bounds="neither")
        start = torch.tensor(0.0 if isinstance(self.scale, str) else math.log(self.scale))
        if self.scale == "learned":
            self.log_scale = nn.Parameter(start)
        else:
            self.register_buffer("log_scale", start)

    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        if isinstance(self.scale, str):
            self.log_scale.data.copy_(self._best(raw, x, observed).log())

    def forward(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        scale = self._scale(raw, x, observed)
        return row_sums(self.negative_log_density(raw, x, scale), observed)

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return self.negative_log_density(raw, x, self._scale(raw, x, None))

    @property
    def current_scale(self) -> Tensor:
        """The scale of all values, outside of training."""
        scale = self.log_scale.exp()
        # Below the floor the gradient is that at the floor, so that a learned scale finds back.
        return scale + (scale.clamp(min=self.floor) - scale).detach()

    def _scale(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> Tensor:
        if not (self.training and self.scale == "optimal"):
            return self.current_scale
        # As a constant of the batch it gives the decoder the gradient of the likelihood at its best scale, since there
        # the likelihood does not move with the scale. (A logistic one's is not the best, but near.)
        scale = self._best(raw, x, observed)
        with torch.no_grad():
            self.log_scale.lerp_(scale.log().to(self.log_scale), 1 - _MEMORY)
        return scale

    @torch.no_grad()
    def _best(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> Tensor:
        """The scale under which these rows are most likely."""
        statistic = self.statistic(raw, x)
        if observed is None:
            mean = statistic.mean()
        else:
            mean = torch.where(observed, statistic, 0).sum() / observed.sum().clamp(min=1)
        return self.scale_of(mean).clamp(min=self.floor)

    def statistic(self, raw: Tensor, x: Tensor) -> Tensor:
        """What of every residual tells the scale."""
        raise NotImplementedError

    def scale_of(self, mean: Tensor) -> Tensor:
        """The scale that a mean `statistic` stands for."""
        raise NotImplementedError

    def negative_log_density(self, raw: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        """Minus the log-density of every value of ``x``."""
        raise NotImplementedError
