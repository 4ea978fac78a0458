"""Training and validation samples: split, kept in memory or streamed, and corrupted once for validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._data.batches import BatchIterator, InMemoryDataset
from .._data.chunked import map_rows
from .._data.crops import CropDataset
from .._data.sources import LazyArray
from .._data.sparse import SparseRows
from .._data.streaming import StreamingDataset
from .._training.net import AutoencoderNet
from .._utils.memory import hold_budget, read_budget
from ._fit_data import FitData
from ._resolve import ModelSpec

_MIN_ROWS_TO_HOLD_OUT = 10
_MASKS, _MASKED_ROWS = 10, 1000  # maximum number of masks for each validation sample, and of samples with masks

Dataset = InMemoryDataset | StreamingDataset | CropDataset


def n_held_out(est: Any, spec: ModelSpec, data: FitData, n_rows: int) -> int:
    """Return the number of validation samples of ``n_rows`` samples of X."""
    if data.X_val is not None or (est.early_stopping == "auto" and n_rows < _MIN_ROWS_TO_HOLD_OUT):
        return 0
    n_held = math.ceil(est.validation_fraction * n_rows)
    if n_held >= n_rows:
        raise ValueError(f"validation_fraction={est.validation_fraction} leaves no samples of {n_rows} for training.")
    if isinstance(data.X, LazyArray) and not (isinstance(data.X, SparseRows) and spec.noise is None):  # kept in memory
        n_held = max(1, min(n_held, read_budget() // (4 * math.prod(data.X.shape[1:]))))
    return n_held


def training_data(net: AutoencoderNet, data: FitData, index: np.ndarray) -> Dataset:
    """Return the samples at ``index``: in memory on the device if they fit, else streamed."""
    module, device = net.module_, torch.device(net.device)
    find_target = _target_of(module, data.X_target)
    seen = data.X if data.X_target is None else data.X_target
    weight = None
    if data.sample_weight is not None:  # with mean 1 over these samples
        weight = torch.from_numpy(data.sample_weight / data.sample_weight[index].mean()).float()
    c = None if data.c is None else torch.from_numpy(data.c)
    n_bytes = _bytes_to_hold(data.X, find_target)
    # A lazy array does not fit into memory, though it might fit on another device.
    if data.crops is None and (
        n_bytes > hold_budget(device) or (isinstance(data.X, LazyArray) and device.type == "cpu")
    ):
        window = max(1, read_budget() // (n_bytes // len(data.X)))
        return StreamingDataset(
            data.X, module.standardize, find_target, window, device, data.X_target, weight, c, index
        )

    def hold(function: Callable[[Tensor], Tensor], X: Any) -> Tensor:
        return map_rows(lambda x: function(x).to(device), X, device=device)

    target = None if find_target is None else hold(find_target, seen)
    where = None if len(index) == len(data.X) and (index[:-1] < index[1:]).all() else torch.from_numpy(index)
    weight, c, where = (None if t is None else t.to(device) for t in (weight, c, where))
    held = InMemoryDataset(hold(module.standardize, data.X), target, weight, c, where)
    if data.crops is None:
        return held
    c = None if data.c_images is None else torch.from_numpy(data.c_images)
    return CropDataset(data.crops, data.n_crops, held, module.standardize, find_target, device, c)


def validation_data(net: AutoencoderNet, data: FitData, rows: Any, held_out: np.ndarray) -> Any:
    """Return the validation data: held-out samples, ``X_val``, or the training samples.

    Held-out samples are in memory, or streamed from a sparse matrix. ``X_val`` is streamed if it does not fit.
    """
    if len(held_out) and isinstance(rows, StreamingDataset) and rows.is_sparse:
        return rows.part(held_out)
    if len(held_out):
        held = rows.at(held_out)
        if held.weight is not None:
            held.weight = held.weight / held.weight.mean()
        return held
    if data.X_val is None:
        return rows
    module, device, X = net.module_, torch.device(net.device), data.X_val
    find_target = _target_of(module, data.X_val_target)
    c = None if data.c_val is None else torch.from_numpy(data.c_val)
    n_bytes = _bytes_to_hold(X, find_target)
    if isinstance(X, SparseRows) or n_bytes > hold_budget(device):
        window = max(1, read_budget() // (n_bytes // len(X)))
        return StreamingDataset(X, module.standardize, find_target, window, device, data.X_val_target, None, c)
    u = map_rows(module.standardize, X)
    target = (
        None if find_target is None else map_rows(find_target, X if data.X_val_target is None else data.X_val_target)
    )
    return InMemoryDataset(*(None if t is None else t.to(device) for t in (u, target, None, c)))  # type: ignore[arg-type]


def _target_of(module: Any, X_target: Any) -> Callable[[Tensor], Tensor] | None:
    """Return the function that computes targets of the loss, or None if these are the standardized samples."""
    return module.target if X_target is not None or module.loss.domain is not None else None


def _bytes_to_hold(X: Any, find_target: Callable | None) -> int:
    return 4 * math.prod(X.shape) * (1 if find_target is None else 2)


def corrupt_validation(net: AutoencoderNet, validation: Any) -> tuple[Any, float | None]:
    """Corrupt the validation data of a denoiser once for all epochs; on clean samples PCA would be better.

    With masking, only masked values are compared, since the initial PCA copies the others. Their fraction of the
    observed values is returned with the samples, or None.
    """
    module = net.module_
    if module.noise is None:
        return validation, None
    rows = validation.in_memory()
    with net.stream, torch.no_grad():
        noisy, hidden = module.corrupt_and_hide(rows.u)
        if not (bool(hidden.any()) and module.loss_takes_observed):
            return InMemoryDataset(noisy, rows.target, rows.weight, rows.condition), None
        rows = rows.repeated(max(1, min(_MASKS, _MASKED_ROWS // len(rows))))
        noisy, hidden = module.corrupt_and_hide(rows.u)
    known = ~rows.target.isnan()
    share = float((hidden & known).sum() / known.sum())
    if not share > 0:  # no value was masked
        return InMemoryDataset(noisy, rows.target, rows.weight, rows.condition), None
    return InMemoryDataset(noisy, rows.target.masked_fill(~hidden, torch.nan), rows.weight, rows.condition), share


def mean_known(net: AutoencoderNet, rows: Dataset | None) -> float:
    """Return the mean number of values in the loss of a sample."""
    if rows is None or not net.module_.may_have_nan:
        return float(math.prod(net.module_.target_shape))
    rows = rows.in_memory() if isinstance(rows, CropDataset) else rows
    total = 0.0
    for batch in BatchIterator(rows, net.batch_size if isinstance(rows, StreamingDataset) and rows.is_sparse else 4096):
        known = (~batch.y.isnan()).flatten(1).sum(1).double()
        total += float((known if batch.weight is None else known * batch.weight).sum())
    return total / len(rows)
