"""Base class of the encodings of columns."""

from __future__ import annotations

from typing import Any

import numpy as np


class Codec:
    """Base class of codecs, with the fitted state in ``state``, a dict of plain values and arrays, for files."""

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
        """Return (n, n_columns) in float64, with rows of NaN for unknown values."""
        raise NotImplementedError

    def decode(self, Z: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return the values of (n, n_columns); ambiguous ones are drawn with ``rng``, or the most frequent."""
        raise NotImplementedError
