"""Corruptions: what is done to a row before it is encoded, while training.

The target stays clean, so the network learns to undo the damage (Vincent et al., 2010). Noise acts
on standardized values, each feature minus its mean, divided by one scale for all: its strength means
the same for pixels in 0..255 and for standardized columns. Outside training it does nothing.

What is masked becomes NaN, the mark of a missing value, and enters the network as one does: as the
mean of its feature over X (in sequences, of its channel). So a network that was trained under a
mask fills holes (``missing="mask"``).

References
----------
P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, 2010. Stacked denoising
autoencoders. Journal of Machine Learning Research 11.

D. Pathak, P. Krähenbühl, J. Donahue, T. Darrell and A. A. Efros, 2016. Context encoders: feature
learning by inpainting. CVPR.
"""

from __future__ import annotations

import numbers

import torch
from torch import Tensor

from ._component import Component
from ._validation import check_choice, check_number

__all__ = ["BlockMasking", "Compose", "GaussianNoise", "MaskingNoise", "Noise", "SaltAndPepper"]


class Noise(Component):
    """Base of the corruptions: ``corrupt(x)`` is applied in training mode only.

    Attributes
    ----------
    hidden_only : bool
        Whether the training loss counts only the values that the noise has masked.
    """

    hidden_only: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, corrupted in training mode; same shape."""
        return self.corrupt(x) if self.training else x

    def corrupt(self, x: Tensor) -> Tensor:
        """Return a corrupted copy of ``x``, (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define corrupt(x)")


class GaussianNoise(Noise):
    """Add independent normal noise to every value.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, in standard deviations of X about the means of its features (of all features
        together, ``sqrt(X.var(axis=0).mean())``); at least 0.

    Examples
    --------
    >>> import torch
    >>> GaussianNoise(scale=0.1).eval()(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        self.scale = scale

    def setup(self, n_components: int) -> None:
        self._check_number("scale", numbers.Real, 0)

    def corrupt(self, x: Tensor) -> Tensor:
        return torch.add(x, torch.randn_like(x), alpha=self.scale)


class MaskingNoise(Noise):
    """Mask a random fraction of the values: NaN, which enters the network as the mean of its feature.

    Parameters
    ----------
    fraction : float, default=0.3
        Share of the values that are masked, each independently; in [0, 1].
    hidden_only : bool, default=False
        Whether the training loss counts only the values that are masked. A network cannot learn to copy a value that it
        does not see, so this trains a denoiser from noisy data alone, as long as the noise of a value does not follow
        from that of others (Krull et al., 2019; Batson and Royer, 2019). The validation loss counts masked values in
        any case.

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

    def __init__(self, fraction: float = 0.3, hidden_only: bool = False) -> None:
        super().__init__()
        self.fraction = fraction
        self.hidden_only = hidden_only

    def setup(self, n_components: int) -> None:
        self._check_number("fraction", numbers.Real, 0, 1)
        check_choice(f"{type(self).__name__}: hidden_only", self.hidden_only, (True, False))

    def corrupt(self, x: Tensor) -> Tensor:
        return x.masked_fill(torch.rand_like(x) < self.fraction, torch.nan)


class BlockMasking(Noise):
    """Mask blocks, holes in images (Pathak et al., 2016).

    A block lies anywhere within the row. Of images (n, channels, height, width) it hides all channels of a rectangle,
    of (n, a, b) a rectangle, and of (n, a) a run.

    Parameters
    ----------
    size : float or int, default=0.4
        Side of a block: in [0, 1] as a share of each side of the image, rounded to whole pixels but at least one, where
        0 is no block and 1 the whole image; or an integer above 1, in pixels, of which a shorter side hides all it has.
    n_blocks : int, default=1
        Blocks in every row, which may overlap; at least 0.
    hidden_only : bool, default=False
        Whether the training loss counts only the values that are masked, as in `MaskingNoise`.

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
            what = f"{type(self).__name__}: size (a share of the side, or an integer above 1 for pixels)"
            check_number(what, self.size, numbers.Real, 0, 1)
        self._check_number("n_blocks", numbers.Integral, 0)
        check_choice(f"{type(self).__name__}: hidden_only", self.hidden_only, (True, False))

    def init_from(self, x: Tensor) -> None:
        """Check that a block of so many pixels fits into the rows ``x``, (n, ...)."""
        longest = max(self._sides(x))
        if self._is_in_pixels() and self.size > longest:
            raise ValueError(
                f"{type(self).__name__}: size={self.size} pixels is more than the longest side of the image, "
                f"{longest}. Give fewer, or a share of the side in [0, 1]."
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


class SaltAndPepper(Noise):
    """Set a random fraction of the values to the smallest or the largest value of X.

    Parameters
    ----------
    fraction : float, default=0.1
        Share of the values that are hit, half of them with either; in [0, 1].

    Examples
    --------
    >>> import torch
    >>> noise = SaltAndPepper(fraction=1.0)
    >>> noise.setup(n_components=1)
    >>> noise.init_from(torch.tensor([[-2.0, 3.0]]))
    >>> sorted(noise(torch.zeros(1, 100)).unique().tolist())
    [-2.0, 3.0]
    """

    low: Tensor
    high: Tensor

    def __init__(self, fraction: float = 0.1) -> None:
        super().__init__()
        self.fraction = fraction

    def setup(self, n_components: int) -> None:
        self._check_number("fraction", numbers.Real, 0, 1)
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(0.0))

    def init_from(self, x: Tensor) -> None:
        """Read the extremes of the data off the conditioned rows ``x``, (n, ...)."""
        self.low.copy_(x.min())
        self.high.copy_(x.max())

    def corrupt(self, x: Tensor) -> Tensor:
        draw = torch.rand_like(x)
        hit = torch.where(draw < self.fraction / 2, self.low, self.high)
        return torch.where(draw < self.fraction, hit, x)


class Compose(Noise):
    """One corruption after the other.

    Parameters
    ----------
    first, second : Noise
        In this order; more of them by nesting. Their parameters are ``first__*`` and ``second__*``.

    Examples
    --------
    >>> noise = Compose(GaussianNoise(0.5), BlockMasking())
    >>> noise.set_params(second__size=0.2)
    Compose(first=GaussianNoise(scale=0.5), second=BlockMasking(hidden_only=False, n_blocks=1, size=0.2))
    """

    first: Noise
    second: Noise

    def __init__(self, first: Noise, second: Noise) -> None:
        super().__init__()
        self.first = first
        self.second = second

    @property
    def hidden_only(self) -> bool:  # type: ignore[override]
        """Whether one of the two is to count only what is masked."""
        return any(getattr(part, "hidden_only", False) for part in (self.first, self.second))

    def setup(self, n_components: int) -> None:
        for name in ("first", "second"):
            part = getattr(self, name)
            if not isinstance(part, Noise):
                raise TypeError(f"Compose: {name} must be a noise, got {part!r}.")
            part.setup(n_components)

    def init_from(self, x: Tensor) -> None:
        """Hand the conditioned rows ``x`` to both."""
        for part in (self.first, self.second):
            init_from = getattr(part, "init_from", None)
            if init_from is not None:
                init_from(x)

    def corrupt(self, x: Tensor) -> Tensor:
        return self.second.corrupt(self.first.corrupt(x))
