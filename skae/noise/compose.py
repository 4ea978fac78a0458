"""Composition of corruptions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .base import Noise


class Compose(Noise):
    """Apply two corruptions in sequence.

    Parameters
    ----------
    first, second : Noise
        Corruptions in the order of application; nest for more than two. Their parameters are ``first__*`` and
        ``second__*``.

    Examples
    --------
    >>> from skae.noise import BlockMasking, GaussianNoise
    >>> noise = Compose(GaussianNoise(0.5), BlockMasking())
    >>> noise.set_params(second__size=0.2)
    Compose(first=GaussianNoise(scale=0.5, unit='std'), second=BlockMasking(hidden_only=False, n_blocks=1, size=0.2))
    """

    first: Noise
    second: Noise

    def __init__(self, first: Noise, second: Noise) -> None:
        super().__init__()
        self.first = first
        self.second = second

    @property
    def hidden_only(self) -> bool:  # type: ignore[override]
        """Whether the training loss includes only masked values, if either of the two requires it."""
        return any(getattr(part, "hidden_only", False) for part in (self.first, self.second))

    def setup(self, n_components: int) -> None:
        for name in ("first", "second"):
            part = getattr(self, name)
            if not isinstance(part, Noise):
                raise TypeError(f"Compose: {name} must be a Noise object, got {part!r}.")
            part.setup(n_components)

    def find_features(self, names: Sequence[str] | None, shape: Sequence[int]) -> None:
        """Replace names of features by their numbers in both."""
        for part in (self.first, self.second):
            if isinstance(part, Noise):
                part.find_features(names, shape)

    def mask_together(self, groups: list[list[int]]) -> None:
        """Mask the columns of each group together in both."""
        for part in (self.first, self.second):
            if isinstance(part, Noise):
                part.mask_together(groups)

    def init_from(self, x: Tensor) -> None:
        """Initialize both from the standardized samples ``x``."""
        for part in (self.first, self.second):
            part.init_from(x)

    def corrupt(self, x: Tensor) -> Tensor:
        return self.second.corrupt(self.first.corrupt(x))
