"""The number of components, if given as a fraction of the variance."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import nn

from .._data.batches import row_numbers
from .._data.pca import Samples, principal_axes
from .._utils.slots import unwrapped
from .._utils.threads import threads_for
from ._build import build_net, without_observers
from ._fit_data import FitData
from ._initialize import sample_for_parts
from ._resolve import ModelSpec, is_share
from ._training_data import training_data

_MARGIN, _LEAST_MORE = 1.25, 3  # factor of the number of components of PCA, and minimum number of additional ones
_MOST_AXES, _PCA_ROWS = 256, 10_000  # for that PCA


def with_number(
    est: Any, spec: ModelSpec, data: FitData, scaling: dict[str, Any], earlier: Any, *, one_epoch: bool
) -> Any:
    """Return the estimator to train: itself, or a copy with an integer number of components.

    For a fraction of the variance, continued training keeps the number of components. Otherwise it is a quarter more
    than PCA needs for this fraction, and superfluous components are truncated afterwards.
    """
    share = est.n_components
    if not is_share(share):
        return est
    if one_epoch and earlier is None:
        raise ValueError(
            f"n_components={share} is determined by fit, from which partial_fit can continue: call fit first, or set "
            "n_components to an int."
        )
    sized = copy.copy(est)
    sized.n_components = (
        _more_than_enough(est, spec, data, scaling, float(share)) if earlier is None else earlier.module_.n_components
    )
    return sized


def _more_than_enough(est: Any, spec: ModelSpec, data: FitData, scaling: dict[str, Any], share: float) -> int:
    if isinstance(unwrapped(spec.network)[0], nn.Module):
        raise ValueError(
            f"n_components={share} needs a network that can be built for any number of components: pass the class of "
            "module, or set n_components to an int."
        )
    one = without_observers(est)
    one.n_components = 1
    with threads_for(0):
        net = build_net(one, spec, data, scaling, None, 0, [])
        dataset = training_data(net, data, row_numbers(len(data.X), data.sample_weight))
    module = net.module_
    if module.n_positions > 1 or module.any_size:
        raise ValueError(
            f"n_components={share} needs a dense code, and that of module={est.module!r} is spatial: set n_components "
            "to an int, the number of its channels."
        )
    index = sample_for_parts(net, data, dataset, np.random.default_rng(0))
    index = np.arange(len(data.X)) if index is None else index
    index = index[:: math.ceil(len(index) / _PCA_ROWS)]
    samples = Samples.of(module._fill(dataset.at(index).u))
    axes = principal_axes(samples, _MOST_AXES, seed=0)
    total = float(axes.variances.sum() + axes.rest)
    explained = axes.variances.cumsum(0) / total if total > 0 else torch.ones(1)
    n_of_pca = min(int((explained < share).sum()) + 1, len(axes.variances))
    return min(max(n_of_pca + _LEAST_MORE, math.ceil(_MARGIN * n_of_pca)), samples.n_features)
