"""Resolution of an estimator's parameters to the parts of a model, with checks before data are read."""

from __future__ import annotations

import contextlib
import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from torch import nn
from torch.optim import Optimizer

from .. import bottlenecks, critics, losses
from .. import nn as networks
from .. import noise as noises
from .._data.nan_policy import NaNPolicy
from .._data.sequences import step_axis_of
from .._density.flow import NormalizingFlow, check_flow
from .._density.prior import check_prior, class_of
from .._training.callbacks import SCHEDULES, check_callbacks
from .._utils.checks import check_choice, check_device, check_number
from .._utils.files import check_path
from .._utils.ranks import ALONE, Ranks
from .._utils.rng import check_seed
from .._utils.slots import (
    build,
    check_names,
    did_you_mean,
    find_class,
    find_name,
    resolve,
    select,
    unwrapped,
    without_part,
)
from ._html import SITE

# Arguments of a network besides ``module__*``.
_OFFERED = ("input_shape", "n_components", "n_outputs", "target_shape")


class ModelSpec(NamedTuple):
    """The parts of a model, as objects that `fit` may change."""

    network: nn.Module | Callable[..., nn.Module]
    bottleneck: bottlenecks.Bottleneck
    loss: losses.Loss
    noise: noises.Noise | None
    critic: critics.Critic | None  #: for a second phase of training
    optimizer: type[Optimizer]
    device: torch.device
    missing: bool
    step_axis: int  #: axis of the steps of sequences in X
    ranks: Ranks = ALONE  #: processes that train together

    @property
    def nan(self) -> NaNPolicy:
        """Where X may contain NaN."""
        return NaNPolicy(self.missing, self.step_axis if self.reads_padding else None)

    @property
    def reads_padding(self) -> bool:
        """Return whether the network accepts sequences of different lengths, padded with NaN."""
        return reads_padding(self.network)


def reads_padding(network: Any) -> bool:
    """Return whether a network accepts sequences padded with NaN."""
    return declares(network, "reads_padding")


def declares(network: Any, attribute: str) -> bool:
    """Return whether a network, or a class or partial that creates one, has a true ``attribute``."""
    return bool(getattr(unwrapped(network)[0], attribute, False))


def resolve_parameters(est: Any) -> ModelSpec:
    """Check every parameter that can be checked without data, and look up the parts."""
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
    own = {slot: select(params, slot) for slot in ("bottleneck", "loss", "noise", "critic")}
    for slot in ("noise", "critic"):
        if getattr(est, slot) is None and own[slot]:
            raise ValueError(without_part(f"{slot}__{next(iter(own[slot]))}", slot, None))
    bottleneck = resolve("bottleneck", bottleneck, bottlenecks, bottlenecks.Bottleneck, own["bottleneck"])
    _check_n_components(est.n_components, bottleneck)
    return ModelSpec(
        network,
        bottleneck,
        resolve("loss", est.loss, losses, losses.Loss, own["loss"]),
        None if est.noise is None else resolve("noise", est.noise, noises, noises.Noise, own["noise"]),
        None if est.critic is None else _find_critic(est, own["critic"]),
        optimizer,
        check_device(est.device),
        est.missing == "mask",
        step_axis_of(est),
    )


def _find_critic(est: Any, own: dict[str, Any]) -> critics.Critic:
    critic = resolve("critic", est.critic, critics, critics.Critic, own)
    if type(critic).layers is critics.Critic.layers:
        raise TypeError(
            f"critic={type(critic).__name__} has no network: use 'patch', 'dense', or a subclass of Critic that "
            "defines layers(target_shape, n_conditions)."
        )
    critic.setup(int(est.n_components))  # checks its parameters
    return critic


def _check_shared(est: Any) -> None:
    """Check the plain parameters that all estimators share."""
    check_number("alpha", est.alpha, numbers.Real, 0)
    check_number("l1_ratio", est.l1_ratio, numbers.Real, 0, 1)
    check_number("lr", est.lr, numbers.Real, 0, bounds="neither")
    if not (isinstance(est.max_epochs, str) and est.max_epochs == "auto"):
        check_number("max_epochs", est.max_epochs, numbers.Integral, 0)
    check_number("batch_size", est.batch_size, numbers.Integral, 1)
    check_choice("early_stopping", est.early_stopping, ("auto", True, False))
    check_number("validation_fraction", est.validation_fraction, numbers.Real, 0, 1, bounds="neither")
    endless = isinstance(est.n_iter_no_change, numbers.Real) and est.n_iter_no_change == math.inf
    if not endless:
        check_number("n_iter_no_change", est.n_iter_no_change, numbers.Integral, 1)
    check_number("tol", est.tol, numbers.Real, 0)
    check_choice("lr_schedule", est.lr_schedule, SCHEDULES)
    check_choice("warm_start", est.warm_start, (True, False))
    check_choice("missing", est.missing, ("error", "mask"))
    check_choice("precision", est.precision, ("float32", "bf16"))
    check_choice("compile", est.compile, (True, False))
    if est.random_state is not None:
        check_seed(est.random_state)
    check_number("verbose", int(est.verbose) if isinstance(est.verbose, bool) else est.verbose, numbers.Integral, 0)


def is_share(n_components: Any) -> bool:
    """Return whether the number of components is given as a fraction of the variance."""
    return isinstance(n_components, float | np.floating) and bool(0 < n_components < 1)


def _check_n_components(n_components: Any, bottleneck: bottlenecks.Bottleneck) -> None:
    if is_share(n_components) and bottleneck.ordered:
        return
    if bottleneck.ordered and isinstance(n_components, float | np.floating):
        raise ValueError(
            f"n_components must be an int of at least 1, or a fraction of the variance in (0, 1), got {n_components!r}."
        )
    if n_components is None or isinstance(n_components, str) or is_share(n_components):
        order = " A fraction of the variance needs components in order of importance: bottleneck='nested'."
        order *= is_share(n_components)
        raise TypeError(
            f"n_components must be an int of at least 1, got {n_components!r}.{order} The variance "
            "that they explain is known only after training: compare several numbers by GridSearchCV(estimator, "
            f"{{'n_components': [2, 4, 8, 16]}}), as on {SITE}guide/latent_size.html"
        )
    check_number("n_components", n_components, numbers.Integral, 1)


def names_of_parts(est: Any) -> dict[str, set[str]]:
    """Return the parameters of the part in each slot, as far as they are known."""

    def of_part(value: Any, slot: str, package: Any, base: type) -> set[str]:
        value = find_class(slot, value, package, base) if isinstance(value, str) else value
        return set(inspect.signature(value).parameters if isinstance(value, type) else value.get_params(deep=False))

    ways: dict[str, Callable[[], set[str]]] = {
        "module": lambda: set(inspect.signature(find_network(est.module)).parameters) - set(_OFFERED),
        "bottleneck": lambda: of_part(
            est.bottleneck or est._default_bottleneck(), "bottleneck", bottlenecks, bottlenecks.Bottleneck
        ),
        "loss": lambda: of_part(est.loss, "loss", losses, losses.Loss),
        "noise": lambda: of_part(est.noise, "noise", noises, noises.Noise),
        "critic": lambda: of_part(est.critic, "critic", critics, critics.Critic),
        "optimizer": lambda: optimizer_params(_find_optimizer(est.optimizer)),
    }
    names: dict[str, set[str]] = {}
    for slot, find in ways.items():
        with contextlib.suppress(AttributeError, TypeError, ValueError):  # `fit` raises the error
            names[slot] = find()
    return names


def find_prior(est: Any) -> Any:
    """Return the density for an estimator's ``prior``; a class is called with ``prior__*``."""
    prior, own = est.prior, select(est._extra, "prior")
    if prior is not None:
        check_prior(prior)
    prior = class_of(prior)
    if own and (prior is None or isinstance(prior, str)):
        raise ValueError(without_part(f"prior__{next(iter(own))}", "prior", prior))
    if isinstance(prior, type):
        prior = build(prior, {}, own, "prior")
    elif own:
        prior = clone(prior).set_params(**own)
    if isinstance(prior, NormalizingFlow):  # raise errors before the training of the network
        check_flow(prior)
    return prior


def find_network(module: Any) -> Any:
    """Return the class, callable or module for an estimator's ``module``."""
    if isinstance(module, str):
        return find_class("module", module, networks, nn.Module, _OFFERED)
    if not callable(module):
        raise TypeError(f"module must be a string, a class or an nn.Module with encode and decode, got {module!r}.")
    return module


def _find_optimizer(optimizer: Any) -> type[Optimizer]:
    classes = [cls for cls in vars(torch.optim).values() if isinstance(cls, type) and issubclass(cls, Optimizer)]
    choices = {cls.__name__.lower(): cls for cls in classes if cls is not Optimizer}
    if isinstance(optimizer, str):
        name = find_name(optimizer, choices)
        if name is None:
            raise ValueError(
                f"optimizer must be one of {sorted(choices)} or a torch.optim class, got {optimizer!r}."
                f"{did_you_mean(optimizer, choices)}"
            )
        return choices[name]
    if not isinstance(optimizer, type):
        raise TypeError(f"optimizer must be a string or a torch.optim class, got {optimizer!r}.")
    return optimizer


def optimizer_params(optimizer: type[Optimizer]) -> set[str]:
    """Return the parameters of an optimizer that the user may set; ``lr`` is a parameter of the estimator."""
    return set(inspect.signature(optimizer).parameters) - {"params", "lr"}
