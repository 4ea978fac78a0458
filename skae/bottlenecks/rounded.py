"""Integer codes with a penalty on their information content: rate-distortion optimization."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._density.passes import ContextModel
from .._density.whole_passes import Passes
from .._utils.checks import check_number
from .base import Bottleneck, Latent

_MOST_WIDE = 1024
_MOST_QUALITY = 32  # a factor of 256 in the error, in both directions
_SLOWER = 0.3  # learning rate of the steps, relative to that of the networks
_THRIFT = 0.5  # factor of the estimated savings of a smaller integer
_EQUALIZER = 3 / 8  # gradients are multiplied by 2 ** (this * quality)


class Rounded(Bottleneck):
    r"""Round codes to integers, with their information content as the penalty (Ballé et al., 2017).

    A code h is rounded to the multiple :math:`z = s \, [h / s]` of the step s of its channel. The objective is

    .. math:: D + \lambda \, R, \qquad R = -\log p\left([h / s]\right), \qquad \lambda = \mathtt{step}^2 / 6

    where D is the loss and R the information, in nats, of the integers under a jointly trained model: a logistic
    distribution of each integer, conditioned on those coded before it. With this λ the given step is optimal for a
    squared error, in the limit of small errors. In training, R is computed with uniform noise instead of the rounding
    error, and the rounding has a straight-through gradient.

    One model supports a range of qualities q, with steps :math:`2^{-q/4} s` and the weight :math:`2^{-q/2} \lambda`; q
    is drawn for each sample in training. ``transform`` and the validation loss have quality 0. `skae.coding.compress`
    encodes samples as bytes; it replaces an integer by the next smaller one if that reduces the objective.

    Parameters
    ----------
    step : float, default=0.5
        Initial step of quality 0, in standard deviations of the data if the network is initialized to PCA, and in
        standard deviations of each channel otherwise; greater than 0. The root mean squared error of the quantization
        is about ``step / 12 ** 0.5``; it determines λ.
    qualities : (low, high), default=(-4, 4)
        Range of the qualities, which includes 0. (0, 0) trains for quality 0 only.
    width : int, default=48
        Width of the networks of the probability model; at most 1024.

    References
    ----------
    J. Ballé, V. Laparra and E. P. Simoncelli, 2017. End-to-end optimized image compression. ICLR.

    M. Karczewicz, Y. Ye and I. Chong, 2008. Rate distortion optimized quantization. ITU-T VCEG-AH21.

    Examples
    --------
    >>> import torch
    >>> part = Rounded(step=0.5).eval()
    >>> part.setup(n_components=2)
    >>> part.code(torch.tensor([[0.2, -1.3]]))
    tensor([[ 0.0000, -1.5000]], grad_fn=...)
    >>> part.indices(torch.tensor([[0.2, -1.3]]))
    tensor([[ 0, -3]])
    """

    discrete = True
    reads_maps = True

    def __init__(self, step: float = 0.5, qualities: Sequence[float] = (-4, 4), width: int = 48) -> None:
        super().__init__()
        self.step = step
        self.qualities = qualities
        self.width = width

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        self._check_number("step", numbers.Real, 0, bounds="neither")
        self._check_number("width", numbers.Integral, 1, _MOST_WIDE)
        name = f"{type(self).__name__}: qualities"
        if not isinstance(self.qualities, tuple | list) or len(self.qualities) != 2:
            raise ValueError(f"{name} must be a range (low, high) that includes 0, got {self.qualities!r}.")
        low, high = self.qualities
        check_number(f"{name}, {self.qualities!r}: low", low, numbers.Real, -_MOST_QUALITY, 0)
        check_number(f"{name}, {self.qualities!r}: high", high, numbers.Real, 0, _MOST_QUALITY)
        self.n_channels = n_components
        self.log_step = torch.nn.Parameter(torch.full((n_components,), math.log(self.step) / _SLOWER))
        self.context = ContextModel(n_components, dense=n_positions == 1, width=int(self.width))

    @property
    def alphabet(self) -> tuple[None, ...]:
        return (None,) * self.n_channels

    def init_skip(self, skip: Any, x: Any) -> bool:
        """Initialize to PCA with components in the units of the data, so that all share one step."""
        axes = skip.principal_axes(x, min(skip.decoder.in_features, skip.encoder.out_features))
        same = torch.ones(len(axes.variances), dtype=torch.float64)
        skip.set_axes(axes, to_code=same, to_data=same)
        self._in_units_of_data = True
        return True

    @torch.no_grad()
    def init_from(self, h: Tensor, generator: torch.Generator | None = None) -> bool:
        channels = self._by_channel(h)
        if not self._in_units_of_data:
            deviation = channels.transpose(0, 1).flatten(1).std(1).clamp(min=1e-6)
            self.log_step.copy_((self.step * deviation).log() / _SLOWER)
        self.context.init_from(channels[..., None] / self._steps()[:, None, None])
        return False

    _in_units_of_data = False

    def _steps(self, quality: float = 0.0) -> Tensor:
        """Return the steps of the channels, (n_channels,)."""
        return torch.exp(_SLOWER * self.log_step - quality * (math.log(2) / 4))

    def _by_channel(self, h: Tensor) -> Tensor:
        return h.unflatten(1, (self.n_channels, -1))

    @property
    def price(self) -> float:
        """Weight λ of a nat, in units of the loss."""
        return self.step**2 / 6

    def forward(self, h: Tensor) -> Latent:
        """Map (n, n_channels, height, width), or vectors of a dense code, to codes and their weighted rates."""
        maps = h if h.ndim == 4 else h[:, :, None, None]
        quality = self._draw_qualities(maps)
        steps = self._steps()[:, None, None] * torch.exp2(-quality / 4)[:, None, None, None]
        y = maps / steps
        known = y + (y.round() - y).detach()
        noisy = y + torch.rand_like(y) - 0.5 if self.training else known
        penalty = self.price * torch.exp2(-quality / 2) * self.context(noisy, known, quality)
        # Low qualities have larger errors, which would dominate the gradients without weights.
        weight = torch.exp2(_EQUALIZER * quality) if self.training else None
        return Latent((known * steps).view_as(h), penalty, gradient_weight=weight)

    def _draw_qualities(self, like: Tensor) -> Tensor:
        """Return qualities (n,): 0 in evaluation mode, else stratified draws from the range."""
        n, (low, high) = len(like), self.qualities
        if not self.training or low == high:
            return like.new_zeros(n)
        places = (torch.randperm(n, device=like.device) + torch.rand(n, device=like.device)) / n
        return low + (high - low) * places

    def code(self, h: Tensor) -> Tensor:
        return self.dequantize(self.quantize(h))

    def project(self, z: Tensor) -> Tensor:
        return self.code(z)

    def indices(self, z: Tensor) -> Tensor:
        return self.quantize(z)

    def from_indices(self, indices: Tensor) -> Tensor:
        return self.dequantize(indices)

    def quantize(self, h: Tensor, quality: float = 0.0) -> Tensor:
        return (self._by_channel(h) / self._steps(quality)[:, None]).round().flatten(1).long()

    def dequantize(self, indices: Tensor, quality: float = 0.0) -> Tensor:
        return (self._by_channel(indices) * self._steps(quality)[:, None]).flatten(1)

    @torch.no_grad()
    def economize(self, indices: Tensor, h: Tensor, quality: float = 0.0) -> Tensor:
        """Move integers toward 0 by 1 if the saved bits outweigh the added error.

        This is the rate-distortion optimized quantization of video codecs (Karczewicz, Ye and Chong, 2008), for all
        integers at once: the effect of a change on the probabilities of other integers is ignored, so that only clear
        savings are applied.
        """
        known = indices.float()
        smaller = known - known.sign()
        qualities = torch.full((len(h),), quality, device=h.device)
        now, then = self.context.each([known, smaller], known, qualities)
        y = h / self._steps(quality)[:, None, None]
        # λ is a sixth of a squared step.
        worse = (y - smaller).square() - (y - known).square()
        return torch.where((worse < _THRIFT / 6 * (now - then)) & (indices != 0), smaller, known).long()

    def code_model(self) -> Passes:
        """Return the entropy model of the integers, for `skae.coding`."""
        return Passes.of(self.context, (self.qualities[0], self.qualities[1]))
