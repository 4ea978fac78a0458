"""The variance explained by the first components of an ordered code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

_ROUNDING = 1e-12  # relative rounding error of sums of squares of equal targets


@torch.no_grad()
def explained_by_prefixes(module: Any, batches: Iterable[Any]) -> np.ndarray:
    """Return the explained variance of the first 1, 2, ..., n_components components.

    Parameters
    ----------
    module : Autoencoder
        Module with an ordered bottleneck; it is set to evaluation mode.
    batches : iterable of Batch
        Standardized samples, their targets, weights and conditions.

    Returns
    -------
    shares : ndarray of shape (n_components,), float64
        1 minus the sum of squared errors over that of squares about the means of features, as in
        `skae.metrics.explained_variance`; 0 if all targets are equal.
    """
    module.eval()
    # Differences of standardized values are converted to those of data; other losses compare data directly.
    scale = module._scaling(target=True)[1] if module.loss.domain is None else 1.0
    errors = np.zeros(module.n_components)
    sums: Any = 0.0  # sums of weights, of weighted values and of their squares, by feature
    for batch in batches:
        known = ~batch.y.isnan()
        weight = known.double()
        if batch.weight is not None:
            weight = weight * batch.weight.view(-1, *[1] * (known.ndim - 1))
        factor = scale.to(known.device) if isinstance(scale, Tensor) else scale
        target = batch.y.nan_to_num().double() * factor
        sums = sums + torch.stack([(weight * target**power).sum(0) for power in range(3)])
        for k, raw in enumerate(_decoded_prefixes(module, batch)):
            error = module.loss.link(raw).double() * factor - target
            errors[k] += float((weight * error.square()).sum())
    n, first, squares = sums
    total = float((squares - first.square() / n.clamp(min=torch.finfo(n.dtype).tiny)).sum())
    return 1 - errors / total if total > _ROUNDING * float(squares.sum()) else np.zeros_like(errors)


def _decoded_prefixes(module: Any, batch: Any) -> Iterable[Tensor]:
    """Yield the decoded first 1, 2, ... components of samples."""
    u, observed = batch.u, module._observed(batch.u)
    h = module._flat(module._encode(module._fill(u), observed))
    z = module._from_bottleneck(module.bottleneck.code(module._h_to_bottleneck(h)), u.shape[0])
    prefix, width = torch.zeros_like(z), z.shape[1] // module.n_components
    for stop in range(width, z.shape[1] + 1, width):
        prefix[:, stop - width : stop] = z[:, stop - width : stop]
        yield module._decode(prefix.clone(), observed, batch.condition, module._size_of(u))
