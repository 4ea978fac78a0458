"""From an estimator's parameters and arrays to a trained net."""

from __future__ import annotations

import copy
import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import bottlenecks, losses
from .. import nn as networks
from .. import noise as noises
from .._callbacks import SCHEDULES, FiniteLoss, KeepBest, SklearnCallbacks, check_callbacks, report, schedule
from .._conditioning import map_rows, mean_and_scale
from .._net import AutoencoderNet, BatchIterator, Rows
from .._params import check_names, find_class, resolve, select
from .._random import Stream, draw_seed
from .._threads import threads_for
from .._validation import check_device, check_number, check_training_params
from ._data import Data

_MIN_ROWS_TO_HOLD_OUT = 10
_AUTO_BATCHES, _AUTO_EPOCHS = 15_000, (20, 100)  # max_epochs="auto"
_INIT_VALUES = 2**26  # at most this many values are handed to init_from: 256 MB


class Parts(NamedTuple):
    """The boxes of the diagram, as objects that `fit` may change."""

    network: nn.Module | Callable[..., nn.Module]
    bottleneck: bottlenecks.Bottleneck
    loss: losses.Loss
    noise: noises.Noise | None
    optimizer: type[Optimizer]
    device: torch.device


def check_params(est: Any) -> Parts:
    """Check every parameter that can be checked without data, and look its parts up."""
    check_training_params(est, SCHEDULES)
    check_callbacks(est.callbacks)
    params = est._extra
    for name in ("iterator_train__batch_size", "iterator_valid__batch_size"):
        check_number(name, params.get(name, 1), numbers.Integral, 1)
    optimizer = _find_optimizer(est.optimizer)
    check_names(
        select(params, "iterator_train"), ("shuffle", "drop_last", "batch_size"), "The iterator", "iterator_train__"
    )
    check_names(select(params, "iterator_valid"), ("batch_size",), "The iterator", "iterator_valid__")
    check_names(select(params, "optimizer"), _names_taken(optimizer), f"optimizer={optimizer.__name__}", "optimizer__")
    network = est.module
    if isinstance(network, str):
        network = find_class("module", network, networks, nn.Module, ("input_shape", "n_components", "n_outputs"))
    if not callable(network):
        raise TypeError(f"module must be a string, a class or an nn.Module with encode and decode, got {network!r}.")
    bottleneck = "identity" if est.bottleneck is None else est.bottleneck
    return Parts(
        network,
        resolve("bottleneck", bottleneck, bottlenecks, bottlenecks.Bottleneck),
        resolve("loss", est.loss, losses, losses.Loss),
        None if est.noise is None else resolve("noise", est.noise, noises, noises.Noise),
        optimizer,
        check_device(est.device),
    )


def _find_optimizer(optimizer: Any) -> type[Optimizer]:
    choices = {
        name.lower(): cls
        for name, cls in vars(torch.optim).items()
        if isinstance(cls, type) and issubclass(cls, Optimizer)
    }
    del choices["optimizer"]
    if isinstance(optimizer, str):
        if optimizer.lower() not in choices:
            raise ValueError(f"optimizer must be one of {sorted(choices)} or a torch.optim class, got {optimizer!r}.")
        return choices[optimizer.lower()]
    if not isinstance(optimizer, type):
        raise TypeError(f"optimizer must be a string or a torch.optim class, got {optimizer!r}.")
    return optimizer


def _names_taken(optimizer: type[Optimizer]) -> set[str]:
    """The parameters of an optimiser that are the user's to set; ``lr`` is the estimator's own."""
    return set(inspect.signature(optimizer).parameters) - {"params", "lr"}


class Outcome(NamedTuple):
    """A trained net, and how its training went; losses in the data's own units."""

    net: AutoencoderNet
    n_iter: int
    loss_curve: list[float]
    validation_loss_curve: list[float]
    best_epoch: int


def train(est: Any, parts: Parts, data: Data, *, one_epoch: bool = False, context: Any = None) -> Outcome:
    """Train a net on ``data``; ``est`` is read and not changed.

    It goes on from ``est.net_`` where there is one and ``warm_start`` or ``one_epoch`` (`partial_fit`,
    which holds nothing out and follows no schedule) asks for it.
    """
    seed = draw_seed(est.random_state)
    rng = np.random.default_rng(seed)
    earlier = getattr(est, "net_", None) if est.warm_start or one_epoch else None
    n_rows = len(data.X)
    stops_early = est.early_stopping is not False and not one_epoch
    judged = stops_early or data.X_val is not None
    n_held = _n_held_out(est, data) if stops_early else 0
    order = rng.permutation(n_rows) if n_held else np.arange(n_rows)
    n_batches = len(BatchIterator(range(n_rows - n_held), **_batching(est)))
    epochs = 1 if one_epoch else n_epochs(est.max_epochs, n_batches)

    keep = KeepBest(est.n_iter_no_change if stops_early else None, est.tol, restore=stops_early)
    finite = FiniteLoss()
    callbacks: list[Any] = [("finite_loss", finite)]
    callbacks += [("keep_best", keep)] if judged else []
    if not one_epoch:
        monitor = "valid_loss" if judged else "train_loss"
        # Betas that the user has set are not for a cycle to change.
        cycle_betas = "betas" in _names_taken(parts.optimizer) and "optimizer__betas" not in est._extra
        steps = epochs * n_batches
        callbacks += schedule(est.lr_schedule, est.lr, steps, monitor, est.n_iter_no_change, est.tol, cycle_betas)
        callbacks += [] if context is None else [("sklearn_callbacks", SklearnCallbacks(est, context))]
        callbacks += report(int(est.verbose), epochs)
    conditioning = (
        mean_and_scale(data.X, data.sample_weight) if earlier is None else (earlier.module_.mean, earlier.module_.scale)
    )
    net = _make_net(est, parts, data.X.shape[1:], conditioning, seed, callbacks)

    module = net.module_
    u = map_rows(module.condition, data.X)
    if earlier is None:
        trust_start = _init_module(net, u, data.sample_weight, rng)
    else:
        trust_start = False  # it was trained: what more training finds is not by chance better than it
        _resume(net, earlier)
    target = None
    if data.X_target is not None or module.loss.domain is not None:
        target = map_rows(module.target, data.X if data.X_target is None else data.X_target)
    rows = _rows(u, target, parts.device, order[n_held:], data.sample_weight)
    judge: Rows | None = rows if judged else None
    if n_held:
        judge = _rows(u, target, parts.device, order[:n_held], data.sample_weight)
    elif data.X_val is not None:
        seen = data.X_val if data.X_val_target is None else data.X_val_target
        judge = Rows(
            map_rows(module.condition, data.X_val).to(parts.device), map_rows(module.target, seen).to(parts.device)
        )
    del u, target
    # Nothing that the rows seen in training say could prove that training is better than PCA.
    keep.trust_start = "always" if trust_start and judge is rows else trust_start
    if judge is not None and module.noise is not None:
        # A denoiser is judged at denoising, or PCA would win on clean rows. One draw serves all epochs.
        with net.stream, torch.no_grad():
            judge = Rows(module.noise.corrupt(judge.u), judge.target, judge.weight)

    first = len(net.history)
    with threads_for(module.n_parameters * math.ceil(len(rows) / n_batches)):
        net.train_rows(rows, judge, epochs)
    finite.check_weights(net)
    net.module_.eval()
    losses_ = [row["train_loss"] for row in net.history[first:] if "train_loss" in row]  # of epochs that were finished
    n_iter = len(losses_)
    return Outcome(
        net,
        n_iter,
        _in_data_units(net, losses_),
        _in_data_units(net, keep.curve_) if judged else [],
        keep.best_epoch_ if stops_early else n_iter,
    )


def _batching(est: Any) -> dict[str, Any]:
    """What the estimator says of batches, as BatchIterator takes it."""
    return {"batch_size": est.batch_size} | select(est._extra, "iterator_train")


def n_epochs(max_epochs: int | str, n_batches: int) -> int:
    """How many epochs ``max_epochs`` allows when each has ``n_batches``."""
    if max_epochs != "auto":
        return int(max_epochs)
    low, high = _AUTO_EPOCHS
    return min(max(_AUTO_BATCHES // n_batches, low), high)


def _n_held_out(est: Any, data: Data) -> int:
    """How many rows of X are kept from training to judge it by."""
    n_rows = len(data.X)
    if data.X_val is not None or (est.early_stopping == "auto" and n_rows < _MIN_ROWS_TO_HOLD_OUT):
        return 0
    n_held = math.ceil(est.validation_fraction * n_rows)
    if n_held >= n_rows:
        raise ValueError(f"validation_fraction={est.validation_fraction} leaves none of X's {n_rows} rows to train on.")
    return n_held


def _make_net(
    est: Any, parts: Parts, input_shape: tuple, conditioning: tuple[float, float], seed: int, callbacks: list
) -> AutoencoderNet:
    """A net with fresh weights, as the estimator's parameters describe it."""
    params = est._extra
    module_params: dict[str, Any] = {
        "network": parts.network,
        "bottleneck": parts.bottleneck,
        "loss": parts.loss,
        "noise": parts.noise,
        "input_shape": input_shape,
        "n_components": int(est.n_components),
        "mean": conditioning[0],
        "scale": conditioning[1],
        "network_params": select(params, "module"),
    }
    others = {name: value for name, value in params.items() if not name.startswith("module__")}
    others.setdefault("iterator_train__shuffle", True)
    other_ways = {"optimizer__foreach", "optimizer__differentiable"} & set(params)
    if parts.device.type in ("cpu", "cuda") and "fused" in _names_taken(parts.optimizer) and not other_ways:
        others.setdefault("optimizer__fused", True)
    net = AutoencoderNet(
        stream=Stream(seed, parts.device),
        alpha=est.alpha,
        l1_ratio=est.l1_ratio,
        optimizer=parts.optimizer,
        lr=est.lr,
        batch_size=est.batch_size,
        callbacks=[*callbacks, *(est.callbacks or [])],
        device=str(parts.device),
        train_split=None,
        verbose=0 if est.verbose < 2 else est.verbose,
        **{f"module__{name}": value for name, value in module_params.items()},
        **others,
    ).initialize()
    # None takes a callback out, so that its name is no longer there. Those of the estimator are not to be touched.
    own = {name for name, _ in callbacks} - {"print_log", "epoch_timer"}
    theirs = {name for name, _ in net.callbacks_} - own
    for name, value in select(params, "callbacks").items():
        if value is not None or name in own:
            check_names([name.partition("__")[0]], theirs, "callbacks", "callbacks__")
    return net


def _init_module(net: AutoencoderNet, u: Tensor, sample_weight: np.ndarray | None, rng: np.random.Generator) -> bool:
    """Hand a sample of the conditioned rows to the parts that start from data; return whether the start is an answer.

    All rows, those held out too: the epoch before training is judged by rows that it has seen, so
    that training must win by more than the start's own overfitting to be kept.
    """
    n_sample = min(len(u), max(1, _INIT_VALUES // max(1, u[:1].numel())))
    if sample_weight is not None:
        # Systematic resampling: equal weights take every row once, a weight of 2 takes its row twice.
        edges = np.cumsum(sample_weight / sample_weight.sum())
        points = (rng.random() + np.arange(n_sample)) / n_sample
        u = u[np.searchsorted(edges, points).clip(max=len(u) - 1)]
    elif n_sample < len(u):
        u = u[rng.choice(len(u), n_sample, replace=False)]
    with net.stream:
        return net.module_.init_from(u.to(net.device))


def _resume(net: AutoencoderNet, earlier: AutoencoderNet) -> None:
    """Let ``net`` go on from copies of the weights, the optimiser's state and the history of ``earlier``."""
    try:
        net.module_.load_state_dict(earlier.module_.state_dict())
    except RuntimeError as error:
        raise ValueError(f"The parameters describe another network than the one fitted before: {error}") from error
    if type(net.optimizer_) is type(earlier.optimizer_):
        state = copy.deepcopy(earlier.optimizer_.state_dict())
        groups = net.optimizer_.state_dict()["param_groups"]
        for group, before in zip(groups, state["param_groups"], strict=True):
            group |= {"initial_lr": before["initial_lr"]} if "initial_lr" in before else {}  # schedulers look for it
        net.optimizer_.load_state_dict(state | {"param_groups": groups})
    net.history = type(earlier.history)(earlier.history)  # epochs that are over do not change any more
    net.stream = copy.deepcopy(earlier.stream)


def _rows(
    u: Tensor,
    target: Tensor | None,
    device: torch.device,
    index: np.ndarray | None = None,
    sample_weight: np.ndarray | None = None,
) -> Rows:
    """The rows, or those at ``index``, on the device, with weights of mean 1."""

    def take(t: Tensor) -> Tensor:
        return (t if index is None or len(index) == len(t) else t[index]).to(device)

    weight = None
    if sample_weight is not None:
        chosen = sample_weight[index]
        weight = torch.from_numpy(chosen / chosen.mean()).float().to(device)
    return Rows(take(u), None if target is None else take(target), weight)


def _in_data_units(net: AutoencoderNet, values: list[float]) -> list[float]:
    """Losses of conditioned rows, as those of X."""
    return net.module_.in_data_units(torch.tensor(values, dtype=torch.float64)).tolist()
