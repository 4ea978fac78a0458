"""Counts of the levels of codes in training, for the metrics of an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._density.integer_codes import usage_and_perplexity


def count_levels(counts: Tensor, indices: Tensor) -> None:
    """Add codes (n, n_integers) to ``counts`` (n_integers, n_levels), in place."""
    width = counts.shape[1]
    flat = (indices + width * torch.arange(len(counts), device=indices.device)).flatten()
    counts.view(-1).index_add_(0, flat, torch.ones_like(flat, dtype=counts.dtype))


def usage_metrics(counts: Tensor, alphabet: Sequence[int]) -> dict[str, float]:
    """Return the usage and the perplexity of ``counts`` (n_integers, n_levels), and reset the counts."""
    found = usage_and_perplexity(list(counts.cpu().numpy()), alphabet)
    counts.zero_()
    return dict(zip(("usage", "perplexity"), found, strict=True))
