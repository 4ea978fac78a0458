"""Masking noise: single values, and blocks."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._utils.checks import check_choice, check_number
from .._utils.columns import find_columns, list_of_groups
from .base import Noise


class MaskingNoise(Noise):
    """Mask a random fraction of the values: NaN, which the network replaces by the mean of the feature.

    Parameters
    ----------
    fraction : float, default=0.3
        Probability of each value to be masked, independently; in [0, 1].
    hidden_only : bool, default=False
        Whether the training loss includes only masked values. Since the network cannot copy masked values, this trains
        a denoiser from noisy data alone, provided that the noise of different values is independent (Krull et al.,
        2019; Batson and Royer, 2019). The validation loss always includes only masked values.
    groups : list of lists of columns, default=None
        Columns of a table to mask together, by index or name, for dependent columns such as those of a one-hot encoded
        category, where unmasked columns would reveal the masked ones. With None each value is masked independently,
        except for the categories of `skae.losses.Mixed`.

    References
    ----------
    A. Krull, T.-O. Buchholz and F. Jug, 2019. Noise2Void: learning denoising from single noisy images. CVPR.

    J. Batson and L. Royer, 2019. Noise2Self: blind denoising by self-supervision. ICML.

    Examples
    --------
    >>> import torch
    >>> MaskingNoise(fraction=1.0)(torch.ones(1, 2))
    tensor([[nan, nan]])
    """

    groups: Sequence[Any] | None = None  # in pickles of version 0.2

    def __init__(
        self, fraction: float = 0.3, hidden_only: bool = False, groups: Sequence[Sequence[int | str]] | None = None
    ) -> None:
        super().__init__()
        self.fraction = fraction
        self.hidden_only = hidden_only
        self.groups = groups

    def find_features(self, names: Sequence[str] | None, shape: Sequence[int]) -> None:
        if self.groups is None:
            return
        name, groups = type(self).__name__, self._checked_groups()
        if len(shape) != 1:
            raise ValueError(f"{name}: groups needs a table, (n_samples, n_features), got samples of shape {shape}.")
        self.groups = [find_columns(group, names, shape[0], f"{name}: groups[{i}]") for i, group in enumerate(groups)]

    def mask_together(self, groups: list[list[int]]) -> None:
        self.groups = groups if self.groups is None and groups else self.groups

    def _checked_groups(self) -> list:
        """Return the groups as a list."""
        return [] if self.groups is None else list_of_groups(self.groups, type(self).__name__, "lists of columns")

    def setup(self, n_components: int) -> None:
        self._check_number("fraction", numbers.Real, 0, 1)
        check_choice(f"{type(self).__name__}: hidden_only", self.hidden_only, (True, False))
        self._checked_groups()

    def corrupt(self, x: Tensor) -> Tensor:
        draws = torch.rand_like(x)
        if self.groups:
            first = list(range(x.shape[1]))  # the draw of the first column is used for the group
            for group in self.groups:
                for column in group:
                    first[column] = group[0]
            draws = draws[:, first]
        return x.masked_fill(draws < self.fraction, torch.nan)


class BlockMasking(Noise):
    """Mask contiguous blocks, such as rectangles in images (Pathak et al., 2016).

    The position of a block is random. In images (n, channels, height, width) it is a rectangle in all channels, in
    (n, a, b) a rectangle, and in (n, a) an interval.

    Parameters
    ----------
    size : float or int, default=0.4
        Side of a block. A value in [0, 1] is a fraction of each side of the image, rounded to whole pixels but at least
        one (0 means no block); an integer above 1 is a number of pixels, limited to the side of the image.
    n_blocks : int, default=1
        Number of blocks per sample, which may overlap; at least 0.
    hidden_only : bool, default=False
        Whether the training loss includes only masked values, as in `MaskingNoise`.

    Examples
    --------
    >>> import torch
    >>> hidden = BlockMasking(size=0.5)(torch.ones(1, 3, 8, 8)).isnan()
    >>> hidden.sum(dim=(2, 3))
    tensor([[16, 16, 16]])
    >>> BlockMasking(size=3)(torch.ones(1, 3, 8, 8)).isnan().sum(dim=(2, 3))
    tensor([[9, 9, 9]])
    """

    def __init__(self, size: float = 0.4, n_blocks: int = 1, hidden_only: bool = False) -> None:
        super().__init__()
        self.size = size
        self.n_blocks = n_blocks
        self.hidden_only = hidden_only

    def setup(self, n_components: int) -> None:
        if not self._is_in_pixels():
            what = f"{type(self).__name__}: size (a fraction of the side, or an integer above 1 for pixels)"
            check_number(what, self.size, numbers.Real, 0, 1)
        self._check_number("n_blocks", numbers.Integral, 0)
        check_choice(f"{type(self).__name__}: hidden_only", self.hidden_only, (True, False))

    def init_from(self, x: Tensor) -> None:
        """Check that a block given in pixels fits into the samples ``x``, (n, ...)."""
        longest = max(self._sides(x))
        if self._is_in_pixels() and self.size > longest:
            raise ValueError(
                f"{type(self).__name__}: size={self.size} pixels exceeds the longest side of the image, "
                f"{longest}. Use a smaller size, or a fraction of the side in [0, 1]."
            )

    def _is_in_pixels(self) -> bool:
        return isinstance(self.size, numbers.Integral) and self.size > 1

    def _sides(self, x: Tensor) -> tuple[int, ...]:
        return tuple(x.shape[-2:] if x.ndim > 2 else x.shape[1:])

    def corrupt(self, x: Tensor) -> Tensor:
        if not self.size or not self.n_blocks:
            return x.clone()
        sides = self._sides(x)
        hidden = x.new_ones((len(x), self.n_blocks, *[1] * len(sides)), dtype=torch.bool)
        for axis, side in enumerate(sides):
            length = min(int(self.size), side) if self._is_in_pixels() else max(1, round(self.size * side))
            start = torch.randint(side - length + 1, (len(x), self.n_blocks, 1), device=x.device)
            place = torch.arange(side, device=x.device)
            within = (place >= start) & (place < start + length)
            hidden = hidden & within.view(len(x), self.n_blocks, *[side if a == axis else 1 for a in range(len(sides))])
        hidden = hidden.any(1)
        return x.masked_fill(hidden.view(len(x), *[1] * (x.ndim - 1 - len(sides)), *sides), torch.nan)
