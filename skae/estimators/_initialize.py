"""Initialization of parts from data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._data.batches import BatchIterator, InMemoryDataset
from .._data.pca import Samples
from .._data.sparse import SparseRows, SparseSamples
from .._data.streaming import StreamingDataset
from .._training.net import AutoencoderNet
from .._utils.memory import read_budget
from .._utils.threads import threads_for
from ._fit_data import FitData

_INIT_VALUES = 2**26  # maximum number of values passed to init_from: 256 MB
_SPARSE_INIT_VALUES = 2**20  # for a sparse matrix, whose PCA is computed from the matrix
_PCA_VALUES = 2**21  # read at once for the initial PCA


def initialize(net: AutoencoderNet, data: FitData, dataset: Any, rng: np.random.Generator) -> bool:
    """Initialize parts from standardized samples; return whether the initial weights are a valid result.

    All samples are used, including those held out: the initial weights are validated on samples they were fitted to, so
    trained weights must improve on them by more than their overfitting to be kept.
    """
    module, index = net.module_, sample_for_parts(net, data, dataset, rng)
    if index is None and not isinstance(dataset, InMemoryDataset):
        index = np.arange(len(data.X))
    some = dataset if index is None else dataset.at(index)
    with net.stream, threads_for(module.n_multiplications * len(some.u)):
        return module.init_from(some.u, some.condition, _all_samples(module, dataset))


def sample_for_parts(net: AutoencoderNet, data: FitData, dataset: Any, rng: np.random.Generator) -> np.ndarray | None:
    """Draw the samples for the initialization of parts, as many as memory allows; None for all of them."""
    n, n_features = len(data.X), math.prod(data.X.shape[1:])
    most = _INIT_VALUES if isinstance(dataset, InMemoryDataset) else read_budget() // 4  # since they are copied
    if isinstance(dataset, StreamingDataset) and dataset.is_sparse:  # about as many as in a batch
        most = max(_SPARSE_INIT_VALUES, net.batch_size * n_features)
    n_drawn = min(n, max(most // n_features, 2 * net.module_.n_components))
    if data.sample_weight is not None:
        # Systematic resampling: with equal weights each sample is drawn once, with weight 2 twice.
        edges = np.cumsum(data.sample_weight / data.sample_weight.sum())
        points = (rng.random() + np.arange(n_drawn)) / n_drawn
        return np.searchsorted(edges, points).clip(max=n - 1)
    if n_drawn < n:  # stratified, without an array of all indices
        edges = np.arange(n_drawn + 1) * n // n_drawn
        return rng.integers(edges[:-1], edges[1:])
    return None


def _all_samples(module: Any, rows: Any) -> Samples:
    """Return all samples with their weights, NaN filled, for a PCA."""
    if isinstance(rows, StreamingDataset) and isinstance(rows.X, SparseRows) and isinstance(module.scale, float):
        mean, fill = (
            np.broadcast_to(A.numpy(), module.input_shape).ravel() for A in (module.mean, module.baseline.cpu())
        )
        weight = None if rows.weight is None else rows.weight.double().numpy()
        return SparseSamples(rows.X, weight, mean, fill.astype(np.float64), module.scale)
    whole, n_features = rows.whole(), math.prod(module.input_shape)
    step = max(1, min(len(whole), _PCA_VALUES // n_features))

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for batch in BatchIterator(whole, step):
            weight = None if batch.weight is None else batch.weight.cpu().numpy()
            yield module._fill(batch.u).flatten(1).cpu().numpy(), weight

    n_present = None if whole.weight is None else int(whole.weight.count_nonzero())
    return Samples(len(whole), n_features, blocks, n_present=n_present)
