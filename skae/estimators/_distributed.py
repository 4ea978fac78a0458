"""What a distributed fit asks of its ranks, and of the parts that they train."""

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

# Parameters that may differ: those of rank 0 count, or each rank has its own.
_FREE = ("callbacks", "checkpoint", "device", "random_state", "verbose")
_BATCH_NORMALIZATION = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def joined(spec: ModelSpec, ranks: Ranks) -> ModelSpec:
    """Return what is to be trained, by ``ranks``; where these have several CUDA devices, each has its own."""
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
        "the fit that training goes on from": _fit_before(est) if goes_on else None,
        "the version of skae and torch": (__version__, torch.__version__),
    }
    spec.ranks.check_same({name: re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value)) for name, value in described.items()})


def _size_of(X: Any) -> Any:
    """Return the shape of an array, the length of a list, and None for what `fit` refuses."""
    with suppress(RuntimeError, TypeError):  # nested tensors, and what is no collection
        return getattr(X, "shape", None) or len(X)
    return None


def _fit_before(est: Any) -> str:
    """Return a digest of the random stream that a fit has left, from which the order of samples will come."""
    return joblib.hash(est.net_.stream.__getstate__()["states"])[:8]


def check_same_data(spec: ModelSpec, scaling: dict[str, Any]) -> None:
    """Raise an error if ranks have found different means or scales of X."""
    if spec.ranks is not ALONE:
        spec.ranks.check_same({"X": f"one of the mean and scale {joblib.hash(scaling)[:8]}"})


def check_parts(spec: ModelSpec, net: Any, smallest: int) -> None:
    """Refuse, before any training, what ranks cannot train; ``smallest`` is the number of samples of a batch."""
    if spec.ranks is ALONE:
        return
    whole = [f"critic={type(spec.critic).__name__}"] if spec.critic is not None else []
    for layer in net.module_.modules():
        normalizes = isinstance(layer, _BATCH_NORMALIZATION) or getattr(layer, "running_mean", None) is not None
        if normalizes or getattr(layer, "whole_batch", False):
            whole.append(type(layer).__name__)
    if whole:
        raise ValueError(
            f"distributed=True does not work with {whole[0]}, which looks at the whole batch: each rank has a share of "
            "it. Take another part (for batch normalization module__normalization='layer' or 'group'), or set "
            "distributed=False."
        )
    if not takes_no_closure(spec.optimizer):  # type: ignore[arg-type]
        raise ValueError(
            f"distributed=True needs an optimizer of torch.optim that takes gradients as they are, and optimizer="
            f"{spec.optimizer.__name__} may call the loss itself: take 'adam', or set distributed=False."
        )
    if smallest < spec.ranks.size:
        raise ValueError(
            f"distributed=True needs at least one row of every batch for each of the {spec.ranks.size} ranks, and a "
            f"batch has {smallest}: raise batch_size, or start fewer processes."
        )
