"""Discrete codes with components rounded to a few levels."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .._density.tables import LARGEST_ALPHABET
from .._utils.checks import check_number
from ._usage import count_levels, usage_metrics
from .base import Bottleneck, Latent

_MOMENTUM = 0.2  # of the running statistics; 0.05 is too slow for fast training, and leaves levels unused
_LEAST_VARIANCE = 1e-30  # smallest value whose square root is accurate in float32
# Factor k in standard deviations: the least-squares fit of k tanh(u) to u ~ N(0, 1).
_SPREAD = 1.54
_LEAST_SCALE = 0.03  # minimum scale relative to that of all components: an initially constant one may become useful


class FSQ(Bottleneck):
    r"""Finite scalar quantization: each component of the code is rounded to one of a few levels (Mentzer et al., 2024).

    There is no codebook to learn, and no loss besides the reconstruction loss. With L levels, a component h of the
    encoder's output is mapped to an integer and a value,

    .. math::
        i = \mathrm{round}\left(\tfrac{L - 1}{2} \left(1 + \tanh\frac{h - \mu}{\sigma}\right)\right), \qquad
        z = s \left(\frac{2 i}{L - 1} - 1\right).

    The rounding has a straight-through gradient. The levels are symmetric about 0, which is a level if their number is
    odd. Mean μ and standard deviation σ of each component are running statistics, so that codes stay within the range
    of the levels, outside of which the gradient would vanish and all codes would share one level. The scale s is 1.54
    times the initial standard deviation, so that z is close to h, for decoders initialized to PCA. If all components
    initially have less variance than the data, as with random weights, the scale is increased accordingly.

    All positions of a spatial code share the quantizer. ``net_.history`` records the fraction of the levels in use as
    ``bottleneck_usage``, and the equivalent number of equally frequent levels of a component as
    ``bottleneck_perplexity``.

    Parameters
    ----------
    levels : int or sequence of int, default=8
        Number of levels, from 2 to 4096, of all components, or of each of the ``n_components`` components. A code has
        the sum of their log2 in bits per position.

    References
    ----------
    F. Mentzer, D. Minnen, E. Agustsson and M. Tschannen, 2024. Finite scalar quantization: VQ-VAE made simple. ICLR.

    Examples
    --------
    >>> import torch
    >>> part = FSQ(levels=(3, 4))
    >>> part.setup(n_components=2)
    >>> z = part.code(torch.tensor([[0.1, 0.1], [-5.0, 5.0]]))
    >>> z
    tensor([[ 0.0000,  0.3333],
            [-1.0000,  1.0000]])
    >>> part.indices(z)
    tensor([[1, 2],
            [0, 3]])
    """

    per_position = True
    discrete = True
    draws = False
    n_levels: Tensor
    mean: Tensor
    variance: Tensor
    scale: Tensor
    counts: Tensor

    def __init__(self, levels: int | Sequence[int] = 8) -> None:
        super().__init__()
        self.levels = levels

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        n_levels = self._check_levels(n_components)
        self.register_buffer("n_levels", torch.tensor(n_levels))
        for name, value in (("mean", 0.0), ("variance", 1.0), ("scale", 1.0)):
            self.register_buffer(name, torch.full((n_components,), value))
        self.register_buffer("counts", torch.zeros(n_components, max(n_levels)), persistent=False)

    def _check_levels(self, n_components: int) -> list[int]:
        name = f"{type(self).__name__}: levels"
        levels = self.levels
        if isinstance(levels, str) or not isinstance(levels, Sequence | np.ndarray):
            check_number(name, levels, numbers.Integral, 2, LARGEST_ALPHABET)
            return [int(levels)] * n_components
        for number in levels:
            check_number(f"{name} (each of {levels!r})", number, numbers.Integral, 2, LARGEST_ALPHABET)
        if len(levels) != n_components:
            raise ValueError(
                f"{name} has {len(levels)} entries: n_components must be {len(levels)}, got {n_components}. Pass an "
                "int for the same number of levels in all components."
            )
        return [int(number) for number in levels]

    @property
    def alphabet(self) -> tuple[int, ...]:
        return tuple(self.n_levels.tolist())

    def init_from(self, h: Tensor, generator: torch.Generator | None = None) -> bool:
        """Initialize mean, variance and scale from the encoder's output; return False, as rounded PCA is not PCA."""
        self.mean.copy_(h.mean(0))
        variance = (h - self.mean).square().mean(0)
        self.variance.copy_(variance)
        of_all = variance.mean().sqrt()
        scale = variance.sqrt().clamp(min=_LEAST_SCALE * of_all) / of_all.clamp(max=1)
        self.scale.copy_(_SPREAD * torch.where(of_all > 0, scale, 1.0))
        return False

    def forward(self, h: Tensor) -> Latent:
        if not self.training:
            z = self.code(h)
            return Latent(z, h.new_zeros(h.shape[0]))
        self._follow(h.detach())
        bounded = self._bounded(h)
        indices = self._round(bounded)
        count_levels(self.counts, indices)
        soft = self.scale * bounded  # has the gradient of the code
        z = soft + (self.from_indices(indices) - soft).detach()
        return Latent(z, h.new_zeros(h.shape[0]), indices=indices)

    def _follow(self, h: Tensor) -> None:
        """Update the running statistics with those of a batch."""
        self.mean.lerp_(self.ranks.mean(h.mean(0), len(h)), _MOMENTUM)
        self.variance.lerp_(self.ranks.mean((h - self.mean).square().mean(0), len(h)), _MOMENTUM)

    def _bounded(self, h: Tensor) -> Tensor:
        """Return the encoder's output mapped to (-1, 1)."""
        return ((h - self.mean) * self.variance.clamp(min=_LEAST_VARIANCE).rsqrt()).tanh()

    def _round(self, bounded: Tensor) -> Tensor:
        return ((bounded + 1) / 2 * (self.n_levels - 1)).round().long()

    def code(self, h: Tensor) -> Tensor:
        return self.from_indices(self._round(self._bounded(h)))

    def project(self, z: Tensor) -> Tensor:
        return self.from_indices(self.indices(z))

    def indices(self, z: Tensor) -> Tensor:
        """Return the levels (n, n_components) nearest to codes, from 0."""
        return self._round((z / self.scale).clamp(-1, 1))

    def from_indices(self, indices: Tensor) -> Tensor:
        """Return the codes of levels (n, n_components)."""
        return self.scale * ((2 * indices - (self.n_levels - 1)) / (self.n_levels - 1))

    def metrics(self) -> dict[str, float]:
        """Return the fraction of the levels in use, and their perplexity."""
        self.counts.copy_(self.ranks.sum(self.counts))
        return usage_metrics(self.counts, self.alphabet)
