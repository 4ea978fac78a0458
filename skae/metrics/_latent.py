"""Metrics of codes that need only the codes."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from .._utils.checks import check_number
from ._checks import check_values


def active_units(Z: Any, *, threshold: float = 0.01) -> int:
    r"""Count the columns of a code that vary over samples.

    A unit u is active if its mean code varies over the samples, :math:`\mathrm{Var}_x(E_{q(u|x)}[u]) >` ``threshold``.
    It is meant for codes of a fixed scale, such as those of variational autoencoders.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, as returned by `transform`; at least two samples.
    threshold : float, default=0.01
        Variance that a unit has to exceed; at least 0.

    Returns
    -------
    n_active : int
        From 0 to n_components.

    Raises
    ------
    ValueError
        If Z is not 2-D, has fewer than two samples, or contains NaN, infinity or values that are not real; if
        ``threshold`` < 0.

    References
    ----------
    Y. Burda, R. Grosse and R. Salakhutdinov, 2016. Importance weighted autoencoders. ICLR.

    Examples
    --------
    >>> from skae.metrics import active_units
    >>> active_units([[0.0, 5.0, 1.0], [0.1, 5.0, -1.0]])
    1
    """
    check_number("threshold", threshold, numbers.Real, 0)
    Z = check_values(Z, "Z")
    if Z.ndim != 2 or len(Z) < 2:
        raise ValueError(f"Z must have the shape (n_samples, n_components) with at least 2 samples, got {Z.shape}.")
    centered = np.subtract(Z, Z[0], dtype=np.float64)  # makes the variance of constant columns exactly 0
    return int((centered.var(axis=0) > threshold).sum())
