"""Where NaN may stand in X."""

from __future__ import annotations

from typing import NamedTuple


class NaNPolicy(NamedTuple):
    """Where NaN may stand in X: nowhere, anywhere, or after the end of sequences.

    Parameters
    ----------
    missing : bool, default=False
        Whether any value may be NaN, for one that is not known.
    step_axis : int, default=None
        The axis of X along which sequences run that may end in NaN; None where NaN does not end anything.
    """

    missing: bool = False
    step_axis: int | None = None

    @property
    def allowed(self) -> bool:
        """Whether there may be NaN at all."""
        return self.missing or self.step_axis is not None

    @property
    def free_axis(self) -> int | None:
        """The axis of a sample that may have any length, if there is one."""
        return None if self.step_axis is None else self.step_axis - 1
