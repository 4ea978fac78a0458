"""Discrete codes whose components are rounded to a few levels."""

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

_MOMENTUM = 0.2  # of the running statistics; with 0.05 fast trainings leave them behind, and levels unused
_LEAST_VARIANCE = 1e-30  # of which float32 takes the root without losing digits
# By so much of a standard deviation u, tanh(u) is multiplied: the least-squares fit to u ~ N(0, 1) of k tanh(u).
_SPREAD = 1.54
_LEAST_SCALE = 0.03  # of a component, relative to that of all: one that starts constant may become useful


class FSQ(Bottleneck):
    r"""Finite scalar quantization: each component of the code is rounded to one of a few levels (Mentzer et al., 2024).

    There is no codebook to learn, and no loss beside that of the reconstruction. With its number of levels L, a
    component h of the encoder's output becomes an integer and a value,

    .. math::
        i = \mathrm{round}\left(\tfrac{L - 1}{2} \left(1 + \tanh\frac{h - \mu}{\sigma}\right)\right), \qquad
        z = s \left(\frac{2 i}{L - 1} - 1\right).

    The rounding has the gradient of the identity. The levels lie symmetric about 0, which is one of them where their
    number is odd. Mean μ and standard deviation σ of every component follow training as running statistics, so that
    codes cannot leave the range that the levels are spread over, where they would have no gradient and fall on one
    level. The scale s is 1.54 times the standard deviation at the start, so that z is near h, and a decoder that starts
    as PCA starts well. Where all components start with less variance than the data, as random weights make them, it is
    that much larger.

    Each position of a spatial code is quantized alike. ``net_.history`` has the share of the levels in use as
    ``bottleneck_usage``, and as ``bottleneck_perplexity`` how many levels of a component, used equally often, would
    carry as much.

    Parameters
    ----------
    levels : int or sequence of int, default=8
        Numbers of levels, from 2 to 4096: of all components, or of each of the ``n_components`` components. A code has
        the sum of their log2 in bits at each position.

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
                f"{name} has {len(levels)} entries: n_components must be {len(levels)}, got {n_components}. An int is "
                "the number of levels of all components."
            )
        return [int(number) for number in levels]

    @property
    def alphabet(self) -> tuple[int, ...]:
        return tuple(self.n_levels.tolist())

    def init_from(self, h: Tensor, generator: torch.Generator | None = None) -> bool:
        """Start mean, variance and scale from the encoder's output; PCA that is rounded is no PCA."""
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
        """Move the running statistics towards those of a batch."""
        self.mean.lerp_(self.ranks.mean(h.mean(0), len(h)), _MOMENTUM)
        self.variance.lerp_(self.ranks.mean((h - self.mean).square().mean(0), len(h)), _MOMENTUM)

    def _bounded(self, h: Tensor) -> Tensor:
        """Return the encoder's output within (-1, 1)."""
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
        """Return the share of the levels in use, and their perplexity."""
        self.counts.copy_(self.ranks.sum(self.counts))
        return usage_metrics(self.counts, self.alphabet)
