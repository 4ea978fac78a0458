"""Checks of a distributed fit: equal calls of all ranks, and supported parts."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import joblib
import torch
from torch import nn

from .._training.step import takes_no_closure
from .._utils.ranks import ALONE, Ranks
from .._version import __version__
from ._resolve import ModelSpec

# Parameters that may differ between ranks: that of rank 0 is used, or each rank has its own.
_FREE = ("callbacks", "checkpoint", "device", "random_state", "verbose")
_BATCH_NORMALIZATION = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def joined(spec: ModelSpec, ranks: Ranks) -> ModelSpec:
    """Return the model spec of ``ranks``, with one CUDA device for each rank if there are several."""
    own = spec.device
    if ranks is not ALONE and own.type == "cuda" and own.index is None:
        own = torch.device("cuda", ranks.local_rank)
    return spec._replace(ranks=ranks, device=own)


def check_same_call(spec: ModelSpec, est: Any, X: Any, arrays: dict[str, Any], *, goes_on: bool) -> None:
    """Raise an error if ranks call `fit` in different ways."""
    if spec.ranks is ALONE:
        return
    described = {
        **{name: value for name, value in est.get_params().items() if name.partition("__")[0] not in _FREE},
        "the estimator": type(est).__name__,
        "the type of the device": spec.device.type,
        "checkpoint": None if est.checkpoint is None else "a path",
        "the shape of X": _size_of(X),
        "the list of other arrays": [name for name, value in arrays.items() if value is not None],
        "the earlier fit": _fit_before(est) if goes_on else None,
        "the version of skae and torch": (__version__, torch.__version__),
    }
    spec.ranks.check_same({name: re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)) for name, value in described.items()})


def _size_of(X: Any) -> Any:
    """Return the shape of an array, the length of a list, and None for anything else, an error in `fit`."""
    with suppress(RuntimeError, TypeError):  # nested tensors, and objects without a length
        return getattr(X, "shape", None) or len(X)
    return None


def _fit_before(est: Any) -> str:
    """Return a digest of the random state after a fit, which determines the order of samples."""
    return joblib.hash(est.net_.stream.__getstate__()["states"])[:8]


def check_same_data(spec: ModelSpec, scaling: dict[str, Any]) -> None:
    """Raise an error if the means or scales of X differ between ranks."""
    if spec.ranks is not ALONE:
        spec.ranks.check_same({"X": f"one of the mean and scale {joblib.hash(scaling)[:8]}"})


def check_parts(spec: ModelSpec, net: Any, smallest: int) -> None:
    """Raise an error for unsupported parts before training; ``smallest`` is the size of the smallest batch."""
    if spec.ranks is ALONE:
        return
    whole = [f"critic={type(spec.critic).__name__}"] if spec.critic is not None else []
    for layer in net.module_.modules():
        normalizes = isinstance(layer, _BATCH_NORMALIZATION) or getattr(layer, "running_mean", None) is not None
        if normalizes or getattr(layer, "whole_batch", False):
            whole.append(type(layer).__name__)
    if whole:
        raise ValueError(
            f"distributed=True does not support {whole[0]}, which needs the whole batch, while each rank has a part of "
            "it. Use another part (for batch normalization module__normalization='layer' or 'group'), or set "
            "distributed=False."
        )
    if not takes_no_closure(spec.optimizer):  # type: ignore[arg-type]
        raise ValueError(
            f"distributed=True needs an optimizer of torch.optim that does not evaluate the loss itself, got optimizer="
            f"{spec.optimizer.__name__}: use 'adam', or set distributed=False."
        )
    if smallest < spec.ranks.size:
        raise ValueError(
            f"distributed=True needs at least one sample in each batch for each of the {spec.ranks.size} ranks, but "
            f"the smallest batch has {smallest}: increase batch_size, or start fewer processes."
        )
