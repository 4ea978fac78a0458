"""A random sample of weighted rows, in which rows of large weight are not missed."""

from __future__ import annotations

import numpy as np


def sample_rows(weight: np.ndarray, n_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    r"""Draw about ``n_rows`` rows and return their indices, in random order, and their weights.

    Row i is drawn with probability :math:`p_i = \min(1, c w_i)`, with a c such that these add up to ``n_rows``, and
    gets the weight :math:`w_i / p_i`: so rare rows of large weight are there for sure, and sums of weights are right on
    average. Rows are drawn at equal distances of the cumulated p (systematic sampling; Madow, 1949).

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Positive weights.
    n_rows : int
        Size of the sample, less than n.
    rng : numpy.random.Generator

    Returns
    -------
    rows : ndarray of int64 of shape (n_rows,) or one less
    weight : ndarray of shape (n_rows,) or one less
    """
    share = weight * (n_rows / weight.sum())
    sure = share >= 1
    while True:  # what is beyond 1 falls to the others, and may raise some of them above it
        share = np.where(sure, 1.0, weight * ((n_rows - sure.sum()) / weight[~sure].sum()))
        if not (share[~sure] >= 1).any():
            break
        sure |= share >= 1
    order = rng.permutation(len(weight))
    places = np.searchsorted(share[order].cumsum(), rng.random() + np.arange(n_rows), side="right")
    rows = order[places[places < len(order)]]
    return rows, weight[rows] / share[rows]
