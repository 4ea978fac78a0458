"""What encodes a column: numbers of its known values, and back."""

from __future__ import annotations

from typing import Any

import numpy as np


class Codec:
    """Base class: all that a codec knows is in ``state``, a dict of plain values and arrays, which files can hold."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    @property
    def loss(self) -> str:
        """The loss of its columns, for `skae.losses.Mixed`."""
        raise NotImplementedError

    def feature_names(self, name: str) -> list[str]:
        """Return the names of its columns, given the name of the column encoded."""
        raise NotImplementedError

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return (n, n_columns) in float64; rows of NaN where a value is unknown to it."""
        raise NotImplementedError

    def decode(self, Z: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return the values of (n, n_columns); what is left open is drawn with ``rng``, or the most frequent."""
        raise NotImplementedError
