"""The parts of an estimator, looked up and checked before any data is touched."""

from __future__ import annotations

import functools
import inspect
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from .. import bottlenecks, losses
from .. import nn as networks
from .. import noise as noises
from .._callbacks import SCHEDULES, check_callbacks
from .._files import check_path
from .._params import check_names, find_class, resolve, select
from .._sequences import has_channels_first
from .._validation import check_choice, check_device, check_number


class Parts(NamedTuple):
    """The boxes of the diagram, as objects that `fit` may change."""

    network: nn.Module | Callable[..., nn.Module]
    bottleneck: bottlenecks.Bottleneck
    loss: losses.Loss
    noise: noises.Noise | None
    optimizer: type[Optimizer]
    device: torch.device
    missing: bool
    step_axis: int  #: along which sequences run in X

    @property
    def nan_rules(self) -> dict[str, Any]:
        """Where NaN may be, as `check_rows` takes it."""
        return {"missing": self.missing, "padding": self.step_axis if self.reads_padding else 0}

    @property
    def reads_padding(self) -> bool:
        """Whether the network takes sequences of different lengths, padded with NaN."""
        return reads_padding(self.network)


def reads_padding(network: Any) -> bool:
    """Whether a network takes sequences padded with NaN."""
    return declares(network, "reads_padding")


def declares(network: Any, attribute: str) -> bool:
    """Whether a network, or what a class or a partial one will make, says ``attribute`` of itself."""
    return bool(getattr(unwrapped(network)[0], attribute, False))


def unwrapped(network: Any) -> tuple[Any, dict[str, Any]]:
    """What a partial is one of, and the parameters that it gives; others are themselves and give none."""
    given: dict[str, Any] = {}
    while isinstance(network, functools.partial):
        network, given = network.func, network.keywords | given
    return network, given


def check_params(est: Any) -> Parts:
    """Check every parameter that can be checked without data, and look its parts up."""
    _check_shared(est)
    check_callbacks(est.callbacks)
    check_path("checkpoint", est.checkpoint)
    params = est._extra
    for name in ("iterator_train__batch_size", "iterator_valid__batch_size"):
        check_number(name, params.get(name, 1), numbers.Integral, 1)
    for name in ("iterator_train__shuffle", "iterator_train__drop_last"):
        check_choice(name, params.get(name, True), (True, False))
    optimizer = _find_optimizer(est.optimizer)
    check_names(
        select(params, "iterator_train"), ("shuffle", "drop_last", "batch_size"), "The iterator", "iterator_train__"
    )
    check_names(select(params, "iterator_valid"), ("batch_size",), "The iterator", "iterator_valid__")
    takes = optimizer_params(optimizer)
    check_names(select(params, "optimizer"), takes, f"optimizer={optimizer.__name__}", "optimizer__")
    network = find_network(est.module)
    bottleneck = est._default_bottleneck() if est.bottleneck is None else est.bottleneck
    return Parts(
        network,
        resolve("bottleneck", bottleneck, bottlenecks, bottlenecks.Bottleneck),
        resolve("loss", est.loss, losses, losses.Loss),
        None if est.noise is None else resolve("noise", est.noise, noises, noises.Noise),
        optimizer,
        check_device(est.device),
        est.missing == "mask",
        2 if has_channels_first(getattr(est, "channel_axis", None)) else 1,
    )


def _check_shared(est: Any) -> None:
    """Check the plain parameters that all estimators share."""
    check_number("n_components", est.n_components, numbers.Integral, 1)
    check_number("alpha", est.alpha, numbers.Real, 0)
    check_number("l1_ratio", est.l1_ratio, numbers.Real, 0, 1)
    check_number("lr", est.lr, numbers.Real, 0, bounds="neither")
    if not (isinstance(est.max_epochs, str) and est.max_epochs == "auto"):
        check_number("max_epochs", est.max_epochs, numbers.Integral, 0)
    check_number("batch_size", est.batch_size, numbers.Integral, 1)
    check_choice("early_stopping", est.early_stopping, ("auto", True, False))
    check_number("validation_fraction", est.validation_fraction, numbers.Real, 0, 1, bounds="neither")
    check_number("n_iter_no_change", est.n_iter_no_change, numbers.Integral, 1)
    check_number("tol", est.tol, numbers.Real, 0)
    check_choice("lr_schedule", est.lr_schedule, SCHEDULES)
    check_choice("warm_start", est.warm_start, (True, False))
    check_choice("missing", est.missing, ("error", "mask"))
    check_choice("precision", est.precision, ("float32", "bf16"))
    check_choice("compile", est.compile, (True, False))
    check_number("verbose", int(est.verbose) if isinstance(est.verbose, bool) else est.verbose, numbers.Integral, 0)


def find_network(module: Any) -> Any:
    """The class, callable or module that an estimator's ``module`` stands for."""
    if isinstance(module, str):
        return find_class("module", module, networks, nn.Module, ("input_shape", "n_components", "n_outputs"))
    if not callable(module):
        raise TypeError(f"module must be a string, a class or an nn.Module with encode and decode, got {module!r}.")
    return module


def _find_optimizer(optimizer: Any) -> type[Optimizer]:
    classes = [cls for cls in vars(torch.optim).values() if isinstance(cls, type) and issubclass(cls, Optimizer)]
    choices = {cls.__name__.lower(): cls for cls in classes if cls is not Optimizer}
    if isinstance(optimizer, str):
        if optimizer.lower() not in choices:
            raise ValueError(f"optimizer must be one of {sorted(choices)} or a torch.optim class, got {optimizer!r}.")
        return choices[optimizer.lower()]
    if not isinstance(optimizer, type):
        raise TypeError(f"optimizer must be a string or a torch.optim class, got {optimizer!r}.")
    return optimizer


def optimizer_params(optimizer: type[Optimizer]) -> set[str]:
    """The parameters of an optimiser that are the user's to set; ``lr`` is the estimator's own."""
    return set(inspect.signature(optimizer).parameters) - {"params", "lr"}
