"""Where X may contain NaN."""

from __future__ import annotations

from typing import NamedTuple


class NaNPolicy(NamedTuple):
    """Where X may contain NaN: nowhere, anywhere, or after the end of sequences.

    Parameters
    ----------
    missing : bool, default=False
        Whether any value may be NaN, as a missing value.
    step_axis : int, default=None
        The axis of the steps of sequences padded with NaN; None without padding.
    """

    missing: bool = False
    step_axis: int | None = None

    @property
    def allowed(self) -> bool:
        """Whether X may contain NaN."""
        return self.missing or self.step_axis is not None

    @property
    def free_axis(self) -> int | None:
        """The axis of a sample with variable length, or None."""
        return None if self.step_axis is None else self.step_axis - 1
