"""A probability model of integer codes in a few parallel passes, trained together with the codes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .dense_context import MOST_KNOWN, DenseNets

LARGEST_KNOWN = 127.0  # known values beyond it count as it, so that sums have a bound
LARGEST_ACTIVATION = 128.0  # likewise
LARGEST_UNIT = 2.0**16  # likewise
LEAST_LOG_SCALE, LARGEST_LOG_SCALE = -3.5, 6.0
_EDGES = (0, 4, 16)  # where groups of channels begin; the later ones are each as wide as all before it
_MOST_WIDE = 16  # channels whose neighbors are looked at in windows of 5 × 5, others in 3 × 3
_N_LEVELS = (3, 1)  # of the first groups: how often their grid is refined by half
_N_BESIDE = 3  # values beside the channels that a network sees
_LEAST_P = 1e-7


class Pass(NamedTuple):
    """Channels from ``first`` up to ``last``, at the positions of one phase of a grid of every ``2 ** level``-th.

    The phases: 'coarse' is every second position of the grid along each axis, 'diagonal' those between four of these,
    'rest' what is left, 'even' all but the rest, and 'all' everything. Its network sees the channels before ``first``
    from ``begin`` on.
    """

    first: int
    last: int
    level: int
    phase: str
    begin: int = 0

    @property
    def refines(self) -> bool:
        """Whether some positions of its channels are known before it."""
        return self.phase in ("diagonal", "rest")

    @property
    def name(self) -> str:
        """Name of its network, which levels share."""
        return f"{self.phase}_{self.first}"

    def grid(self, maps: Tensor) -> Tensor:
        """Return the part of maps (..., h, w) on the grid of this pass."""
        every = 2**self.level
        return maps[..., ::every, ::every]

    def mask(self, height: int, width: int) -> Tensor:
        """Return True where a grid of this size has the phase."""
        parity = _parity(height, width)
        if self.phase in _PHASES:
            return parity == _PHASES[self.phase]
        return parity < (2 if self.phase == "even" else 3)

    def known(self, height: int, width: int) -> Tensor:
        """Return True where the channels of this pass are known before it, on a grid of this size."""
        return _parity(height, width) < _PHASES.get(self.phase, 0)


_PHASES = {"coarse": 0, "diagonal": 1, "rest": 2}


def _parity(height: int, width: int) -> Tensor:
    """Return 0 at even rows and columns, 1 at odd ones, and 2 elsewhere."""
    odd_row, odd_column = torch.arange(height)[:, None] % 2, torch.arange(width)[None] % 2
    return torch.where(odd_row == odd_column, odd_row, 2)


def passes_of(n_channels: int, *, dense: bool) -> list[Pass]:
    """Return the passes over a code of so many channels: those of a dense code have a channel each."""
    if dense:
        return [Pass(c, c + 1, 0, "all", max(0, c - MOST_KNOWN)) for c in range(n_channels)]
    edges = [edge for edge in _EDGES if edge < n_channels]
    while 0 < 2 * edges[-1] < n_channels:
        edges.append(2 * edges[-1])
    passes = []
    for group, (a, b) in enumerate(zip(edges, [*edges[1:], n_channels], strict=True)):
        n_levels = _N_LEVELS[group] if group < len(_N_LEVELS) else 0
        if not n_levels:
            passes += [Pass(a, b, 0, "even"), Pass(a, b, 0, "rest")]
            continue
        passes.append(Pass(a, b, n_levels - 1, "coarse"))
        passes += [Pass(a, b, level, phase) for level in range(n_levels)[::-1] for phase in ("diagonal", "rest")]
    return passes


class ContextNet(nn.Module):
    """Mean and log-scale of the values of a pass, from those that are known before it.

    It has ReLU and no normalization, so that `skae.coding` can run it in whole numbers.
    """

    def __init__(self, n_known: int, n_channels: int, width: int, kernel_size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(n_known, width, kernel_size, padding=kernel_size // 2),
                nn.Conv2d(width, width, 1),
                nn.Conv2d(width, 2 * n_channels, 1),
            ]
        )
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, known: Tensor, places: Tensor) -> Tensor:
        """Return the output (n, n_places, 2 * n_channels) at the ``places`` of maps, by their flat indices."""
        first, second, last = self.layers
        h = F.hardtanh(first(known), 0, LARGEST_ACTIVATION)
        h = h.permute(0, 2, 3, 1).flatten(1, 2).index_select(1, places)
        return _at_each(last, F.hardtanh(_at_each(second, h), 0, LARGEST_ACTIVATION))


def _at_each(layer: Any, h: Tensor) -> Tensor:
    """Apply a convolution of 1 × 1 to vectors (n, n_places, n_channels)."""
    return F.linear(h, layer.weight.flatten(1), layer.bias)


class ContextModel(nn.Module):
    r"""The probability of integers given those that passes before theirs have coded.

    A value of a pass has a logistic distribution, integrated over the interval of half an integer on both sides. Its
    mean and scale are computed by a small network from all channels before its group, and from the part of its own
    group that is known around it: a checkerboard (He et al., 2021), refined from coarse to fine for the channels of
    largest variance.

    Codes of a quality q are :math:`2^{q/4}` times those of quality 0. The networks see them in the unit of quality 0,
    beside q itself.

    Parameters
    ----------
    n_channels : int
        Channels of the code.
    dense : bool
        Whether there is a single position.
    width : int
        Width of the networks.

    References
    ----------
    D. He, Y. Zheng, B. Sun, Y. Wang and H. Qin, 2021. Checkerboard context model for efficient learned image
    compression. CVPR.
    """

    def __init__(self, n_channels: int, *, dense: bool, width: int) -> None:
        super().__init__()
        self.dense = dense
        nets: dict[str, nn.Module] = {}
        if dense:  # a network for each channel; together they are three products
            nets["all"] = DenseNets(n_channels, width, _N_BESIDE, LARGEST_ACTIVATION)
        for p in [] if dense else passes_of(n_channels, dense=False):
            n_own = p.last - p.first if p.refines else 0
            kernel_size = 5 if n_own and p.last <= _MOST_WIDE else 3
            if p.name not in nets:
                nets[p.name] = ContextNet(p.first + n_own + _N_BESIDE, p.last - p.first, width, kernel_size)
        self.nets = nn.ModuleDict(nets)
        # Of each channel: what known values are divided by, and the log-scale before training.
        self.register_buffer("unit", torch.ones(n_channels))
        self.register_buffer("base", torch.zeros(n_channels))

    unit: Tensor
    base: Tensor

    @property
    def passes(self) -> list[Pass]:
        """The passes, in their order."""
        return passes_of(len(self.unit), dense=self.dense)

    @torch.no_grad()
    def init_from(self, y: Tensor) -> None:
        """Start from codes (n, n_channels, h, w) of quality 0: every value by the variance of its channel alone."""
        deviation = y.transpose(0, 1).flatten(1).std(1).clamp(min=0.05)
        # A power of 2 is exact in whole numbers.
        self.unit.copy_(torch.exp2(deviation.clamp(1, LARGEST_UNIT).log2().round()))
        self.base.copy_((deviation * math.sqrt(3) / math.pi).log())

    def seen(self, known: Tensor, quality: Tensor) -> Tensor:
        """Return integers (n, n_channels, h, w) as the networks see them: in the unit of quality 0, and small."""
        scaled = known * torch.exp2(-quality / 4)[:, None, None, None]
        return scaled.clamp(-LARGEST_KNOWN, LARGEST_KNOWN) / self.unit[:, None, None]

    def inputs(self, p: Pass, seen: Tensor, quality: Tensor) -> Tensor:
        """Return the input of the network of a pass: the part of ``seen`` that is known before it."""
        height, width = p.grid(seen).shape[2:]
        parts = [p.grid(seen[:, p.begin : p.first])]
        if p.refines:
            parts.append(p.grid(seen[:, p.first : p.last]) * p.known(height, width).to(seen))
        beside = _beside(quality, p.level)[:, :, None, None]
        return torch.cat([*parts, beside.expand(-1, -1, height, width)], 1).contiguous(
            memory_format=torch.channels_last
        )

    def forward(self, noisy: Tensor, known: Tensor, quality: Tensor) -> Tensor:
        """Return minus the log-probability (n,), in nats, of values.

        Parameters
        ----------
        noisy : Tensor of shape (n, n_channels, h, w)
            The values: integers, or integers with noise from [-1/2, 1/2] in their place.
        known : Tensor of shape (n, n_channels, h, w)
            The integers, for the networks.
        quality : Tensor of shape (n,)
            Quality of each code.
        """
        seen = self.seen(known, quality)
        if self.dense:
            mean, log_scale = self._predicted_dense(seen, quality)
            return self._nats(noisy.flatten(1), mean, log_scale, quality).sum(1)
        values, means, log_scales = [], [], []
        for p, places, mean, log_scale in self._predicted(seen, quality):
            v = p.grid(noisy[:, p.first : p.last]).permute(0, 2, 3, 1).flatten(1, 2)
            values.append(v.index_select(1, places).flatten(1))
            means.append(mean.flatten(1))
            log_scales.append(log_scale.flatten(1))
        return self._nats(torch.cat(values, 1), torch.cat(means, 1), torch.cat(log_scales, 1), quality).sum(1)

    def each(self, values: list[Tensor], known: Tensor, quality: Tensor) -> list[Tensor]:
        """Return minus the log-probability of each of several ``values`` in the place of ``known``, in their shape."""
        seen = self.seen(known, quality)
        if self.dense:
            mean, log_scale = self._predicted_dense(seen, quality)
        else:
            mean, log_scale = torch.empty_like(known), torch.empty_like(known)
            for p, places, *found in self._predicted(seen, quality):
                for maps, part in zip((mean, log_scale), found, strict=True):
                    grid = p.grid(maps[:, p.first : p.last]).permute(0, 2, 3, 1)
                    grid[:, places // grid.shape[2], places % grid.shape[2]] = part
        mean, log_scale = mean.flatten(1), log_scale.flatten(1)
        return [self._nats(v.flatten(1), mean, log_scale, quality).view_as(v) for v in values]

    def _predicted(self, seen: Tensor, quality: Tensor) -> Iterator[tuple[Pass, Tensor, Tensor, Tensor]]:
        """Yield each pass, its places on its grid, and means and log-scales (n, n_places, n_channels) of quality 0."""
        for p in self.passes:
            places = p.mask(*p.grid(seen).shape[2:]).flatten().nonzero()[:, 0].to(seen.device)
            if len(places):
                mean, log_scale = self.nets[p.name](self.inputs(p, seen, quality), places).float().chunk(2, 2)
                yield p, places, mean * self.unit[p.first : p.last], log_scale + self.base[p.first : p.last]

    def _predicted_dense(self, seen: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.nets["all"](seen.flatten(1), _beside(quality, 0)).unbind(2)
        return mean * self.unit, log_scale + self.base

    @staticmethod
    def _nats(v: Tensor, mean: Tensor, log_scale: Tensor, quality: Tensor) -> Tensor:
        """Return minus the log-probabilities of values, given means and scales of quality 0."""
        mean = mean * torch.exp2(quality / 4)[:, None]
        return _nats(v, mean, log_scale + (quality * (math.log(2) / 4))[:, None])

    def layers_of(self, p: Pass) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of the network of a pass, as those of convolutions."""
        if self.dense:
            return self.nets["all"].layers_of(p.first)  # type: ignore[operator]
        return [(layer.weight, layer.bias) for layer in self.nets[p.name].layers]  # type: ignore[union-attr]


def _beside(quality: Tensor, level: int) -> Tensor:
    """Return what networks see beside channels, (n, 3)."""
    ones = torch.ones_like(quality)  # beside the zeros that convolutions see beyond the border
    return torch.stack([quality / 4, level * ones, ones], 1)


def _nats(v: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return minus the log-probability of the interval from v - 1/2 to v + 1/2 of a logistic distribution."""
    inverse = torch.exp(-F.hardtanh(log_scale, LEAST_LOG_SCALE, LARGEST_LOG_SCALE))
    below = -(v - mean).abs()  # on the side where differences of the sigmoid keep their digits
    p = torch.sigmoid((below + 0.5) * inverse) - torch.sigmoid((below - 0.5) * inverse)
    return -torch.log(p.clamp(min=_LEAST_P))
