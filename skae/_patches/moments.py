"""Means and covariances of maps, and their transport by whitening and coloring (Li et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Directions of less variance than this share of the largest are round-off: they are not whitened.
_SMALLEST = 1e-7


class Moments(NamedTuple):
    """Mean and covariance of the cells of a map."""

    mean: np.ndarray  #: float64 (C,)
    covariance: np.ndarray  #: float64 (C, C)


def moments(values: np.ndarray) -> Moments:
    """Return the moments of a map (C, h, w)."""
    cells = values.reshape(len(values), -1).astype(np.float64)
    mean = cells.mean(1)
    centered = cells - mean[:, None]
    return Moments(mean, centered @ centered.T / cells.shape[1])


def mixed(parts: Sequence[Moments], shares: Sequence[float]) -> Moments:
    """Return the moments of a mixture, of which each part has a share; shares sum to 1."""
    mean = sum(share * part.mean for share, part in zip(shares, parts, strict=True))
    covariance = sum(
        share * (part.covariance + np.outer(part.mean - mean, part.mean - mean))
        for share, part in zip(shares, parts, strict=True)
    )
    return Moments(np.asarray(mean), np.asarray(covariance))


def transported(values: np.ndarray, target: Moments) -> np.ndarray:
    """Return a map (C, h, w) with the moments of ``target``, as float32.

    Its cells are whitened, by the inverse square root of their covariance, and colored by the square root of the
    target's, so that a map is unchanged by its own moments. In directions in which it does not vary it cannot be given
    the target's variance.
    """
    own = moments(values)
    matrix = _power(target.covariance, 0.5) @ _power(own.covariance, -0.5)
    cells = values.reshape(len(values), -1) - own.mean[:, None]
    return (matrix @ cells + target.mean[:, None]).astype(np.float32).reshape(values.shape)


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """Return a power of a covariance, 0 in directions without variance."""
    variances, directions = np.linalg.eigh(covariance)
    varies = variances > max(_SMALLEST * variances[-1], np.finfo(float).tiny)
    powers = np.where(varies, np.where(varies, variances, 1.0) ** exponent, 0.0)
    return (directions * powers) @ directions.T
