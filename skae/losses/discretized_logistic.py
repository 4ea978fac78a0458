"""Discretized logistic likelihood, for integers in a bounded range such as pixels."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ._location_scale import LocationScale


class DiscretizedLogistic(LocationScale):
    r"""Negative log-probability of integers 0, ..., ``n_levels`` − 1, in nats (Salimans et al., 2017).

    A logistic distribution around the decoder's output is discretized into bins of width 1; the first and the last bin
    include the tails:

    .. math:: P(x) = F\left(\frac{x + \tfrac12 - \mu}{s}\right) - F\left(\frac{x - \tfrac12 - \mu}{s}\right),
              \qquad F(t) = 1 / (1 + e^{-t}), \quad \mu = \tfrac12 (1 + \mathrm{raw}) (\mathrm{n\_levels} - 1)

    Divided by log 2 the values are bits, which compare with the rates of lossless compressors.

    Parameters
    ----------
    n_levels : int, default=256
        Number of levels; at least 2. X must contain integers from 0 to ``n_levels`` − 1, of any dtype.
    scale : {'optimal', 'learned'} or float, default='optimal'
        The scale s, relative to half the range. 'optimal' estimates it from the mean absolute error of each batch, and
        uses a moving mean of these outside of training; 'learned' trains it as a parameter; a float is a fixed value.
    floor : float, default=1e-3
        Lower bound of the relative scale; above 0.

    References
    ----------
    T. Salimans, A. Karpathy, X. Chen and D. P. Kingma, 2017. PixelCNN++: improving the PixelCNN with discretized
    logistic mixture likelihood and other modifications. ICLR.

    Examples
    --------
    >>> import torch
    >>> loss = DiscretizedLogistic(n_levels=2, scale=1.0)
    >>> loss.setup(n_components=1)
    >>> loss(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))  # two fair coins
    tensor([1.3863])
    """

    identity_link = False
    integer = True

    def __init__(self, n_levels: int = 256, scale: str | float = "optimal", floor: float = 1e-3) -> None:
        super().__init__(scale, floor)
        self.n_levels = n_levels

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        self._check_number("n_levels", numbers.Integral, 2)
        super().setup(n_components, target_shape)

    @property
    def domain(self) -> tuple[float, float]:  # type: ignore[override]
        """The interval from 0 to the highest level."""
        # X is checked against the domain before `setup` checks the parameters.
        if not isinstance(self.n_levels, numbers.Integral) or self.n_levels > 2**24:
            self._check_number("n_levels", numbers.Integral, 2)
        return 0.0, self.n_levels - 1.0

    @property
    def _half(self) -> float:
        return (self.n_levels - 1) / 2

    def at_mean(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        return mean / self._half - 1, torch.full_like(mean, self._half)

    def statistic(self, raw: Tensor, x: Tensor) -> Tensor:
        # Outputs beyond the range are not errors: values at an end of the range lead there, and must not increase s.
        return (raw.clamp(-1, 1) - (x / self._half - 1)).abs()

    def scale_of(self, mean: Tensor) -> Tensor:
        return mean / (2 * math.log(2))  # the mean absolute deviation of a logistic distribution is 2 s log 2

    def negative_log_density(self, raw: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        s = scale * self._half
        below = (x - 0.5 - self._half * (1 + raw)) / s
        above = (x + 0.5 - self._half * (1 + raw)) / s
        # F(b) - F(a) = F(b) F(-a) (1 - exp(a - b)) loses no digits; the bins of the tails end at infinity, where F is
        # 1.
        left, right = x <= 0, x >= self.n_levels - 1
        inside = -torch.log(-torch.expm1(-1 / s))
        values = torch.where(right, 0, -F.logsigmoid(above)) + torch.where(left, 0, -F.logsigmoid(-below))
        return values + torch.where(left | right, 0, inside)

    def link(self, raw: Tensor) -> Tensor:
        return (self._half * (1 + raw)).clamp(0, self.n_levels - 1)

    def sample(self, raw: Tensor) -> Tensor:
        s = self.current_scale * self._half
        uniform = torch.rand_like(raw).clamp(1e-6, 1 - 1e-6)
        drawn = self._half * (1 + raw) + s * torch.logit(uniform)
        return drawn.round().clamp(0, self.n_levels - 1)
