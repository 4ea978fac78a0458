"""Creation of nets from the parameters of estimators, new or continuing an earlier one."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from torch import nn

from .._data.chunked import is_double
from .._data.scaling import mean_and_scale
from .._training.callbacks import Progress, SklearnCallbacks, parts_with_progress, schedule
from .._training.net import AutoencoderNet
from .._training.reports import verbosity_callbacks
from .._utils.rng import Stream
from .._utils.slots import check_names, select
from ._empty import check_still_empty, find_empty_features
from ._fit_data import FitData
from ._resolve import ModelSpec, optimizer_params

_OF_TARGETS = ("target_shape", "target_mean", "target_scale")


def build_net(
    est: Any,
    spec: ModelSpec,
    data: FitData,
    scaling: dict[str, Any],
    earlier: AutoencoderNet | None,
    seed: int,
    callbacks: list,
) -> AutoencoderNet:
    """Create a net with new weights from the parameters of the estimator."""
    # Sequences may have another length than in the first fit, which defines the network.
    input_shape = data.X.shape[1:] if earlier is None else earlier.module_.input_shape
    params = est._extra
    if scaling.get("target_shape") is not None and not _names_target_shape(spec.network):
        raise ValueError(
            f"X_target has images of (channels, height, width) {scaling['target_shape']}, X of {input_shape}: this "
            "needs a network with a parameter target_shape, such as module='conv'."
        )
    module_params: dict[str, Any] = {
        "network": spec.network,
        "bottleneck": spec.bottleneck,
        "loss": spec.loss,
        "noise": spec.noise,
        "input_shape": input_shape,
        "n_components": int(est.n_components),
        "network_params": est._network_params(),
        "missing": spec.missing,
        "n_conditions": data.condition.width,
        "precision": est.precision,
        **scaling,
    }
    of_boxes = ("module__", "bottleneck__", "loss__", "noise__", "prior__", "critic__")
    others = {name: value for name, value in params.items() if not name.startswith(of_boxes)}
    others.setdefault("iterator_train__shuffle", True)
    other_ways = {"optimizer__foreach", "optimizer__differentiable"} & set(params)
    if "fused" in optimizer_params(spec.optimizer) and not other_ways:
        others.setdefault("optimizer__fused", True)
    net = AutoencoderNet(
        stream=Stream(seed, spec.device),
        alpha=est.alpha,
        l1_ratio=est.l1_ratio,
        optimizer=spec.optimizer,
        lr=est.lr,
        batch_size=est.batch_size,
        callbacks=[*callbacks, *(est.callbacks or [])],
        device=str(spec.device),
        compile=est.compile,
        train_split=None,
        verbose=0 if est.verbose < 2 or spec.ranks.rank else est.verbose,
        **{f"module__{name}": value for name, value in module_params.items()},
        **others,
    ).initialize()
    if net.module_.reads_padding is not spec.reads_padding:
        raise ValueError(
            f"module={spec.network!r} returns a network that reads padding, but does not declare it: "
            "set the attribute reads_padding = True."
        )
    # None removes a callback and its name. Callbacks of the estimator are not changed.
    own = {name for name, _ in callbacks} - {"print_log", "epoch_timer"}
    theirs = {name for name, _ in net.callbacks_} - own
    for name, value in select(params, "callbacks").items():
        if value is not None or name in own:
            check_names([name.partition("__")[0]], theirs, "callbacks", "callbacks__")
    return net


def without_observers(est: Any) -> Any:
    """Return a silent copy without the user's callbacks, for a second training run."""
    other = copy.copy(est)
    other.verbose, other.callbacks = 0, None
    other._extra = {name: value for name, value in est._extra.items() if not name.startswith("callbacks__")}
    return other


def _names_target_shape(network: Any) -> bool:
    """Return whether a network accepts ``target_shape``; a module instance has its own."""
    return isinstance(network, nn.Module) or "target_shape" in inspect.signature(network).parameters


def continue_from(net: AutoencoderNet, earlier: AutoencoderNet) -> None:
    """Continue with ``net`` from copies of the weights, the optimizer's state and the history of ``earlier``."""
    try:
        net.module_.load_state_dict(earlier.module_.state_dict())
    except RuntimeError as error:
        changes = _changes(earlier.get_params_for("module"), net.get_params_for("module"))
        raise ValueError(
            "warm_start and partial_fit continue from the weights of the last fit, which need the same network: "
            f"{'; '.join(changes) or error}. Reset it, or fit again with warm_start=False."
        ) from (None if changes else error)
    if type(net.optimizer_) is type(earlier.optimizer_):
        state = copy.deepcopy(earlier.optimizer_.state_dict())
        groups = net.optimizer_.state_dict()["param_groups"]
        for group, before in zip(groups, state["param_groups"], strict=True):
            group |= {"initial_lr": before["initial_lr"]} if "initial_lr" in before else {}  # needed by schedulers
        net.optimizer_.load_state_dict(state | {"param_groups": groups})
    net.history = type(earlier.history)(earlier.history)  # records of past epochs are shared, since they do not change
    net.stream = earlier.stream.continued_on(net.device)


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """List the differences of two recipes by the names of the estimator's parameters."""
    names = {"network": "module", "n_conditions": "the width of y"}

    def words(recipe: dict[str, Any]) -> dict[str, str]:
        slots = ("n_components", "n_conditions", "network", "bottleneck", "loss", "noise")
        found = {names.get(slot, slot): recipe.get(slot) for slot in slots}
        found |= {f"module__{name}": value for name, value in (recipe.get("network_params") or {}).items()}
        # Parts are compared by repr, since they are copied at every fit.
        return {name: getattr(value, "__name__", None) or repr(value) for name, value in found.items()}

    old, new = words(before), words(now)
    pairs = {name: (old.get(name, "its default"), new.get(name, "its default")) for name in old | new}
    return [f"{name} was {was} and is {is_}" for name, (was, is_) in pairs.items() if was != is_]


def find_scaling(spec: ModelSpec, data: FitData, earlier: AutoencoderNet | None) -> dict[str, Any]:
    """Return the standardization of X, as parameters of `Autoencoder`, or that of an ``earlier`` net."""
    by_channel = spec.reads_padding
    if earlier is None and data.crops is not None:
        mean, scale = _mean_and_scale_of_images(data.X)
        found = {"mean": mean, "scale": scale, "returns_double": is_double(data.X)}
        return found | (_target_scaling(data, found) if data.target_layout is not None else {})
    if earlier is None:
        mean, scale = mean_and_scale(data.X, data.sample_weight, by_channel=by_channel)
        scales = None
        if spec.loss.scales_features:
            std = mean_and_scale(data.X, data.sample_weight, by_channel=by_channel, by_feature=True)[1]
            scales = spec.loss.feature_scales(std)
        empty = find_empty_features(data, by_channel=by_channel) if spec.missing else ()
        return {
            "mean": mean,
            "scale": scale if scales is None else scales,
            "empty_features": empty,
            "returns_double": is_double(data.X),
        }
    module = earlier.module_
    return {
        "mean": module.mean if isinstance(module.mean, float) else module.mean.numpy(),
        "scale": module.scale if isinstance(module.scale, float) else module.scale.numpy(),
        "empty_features": check_still_empty(data, module.empty, by_channel=by_channel),
        "returns_double": module.returns_double,
        **({name: earlier.get_params_for("module")[name] for name in _OF_TARGETS} if module.translates else {}),
    }


def _mean_and_scale_of_images(images: Any) -> tuple[Any, float]:
    """Return one mean for each channel of images (n, channels, height, width), (channels, 1, 1), and their scale."""
    pixels = images.transpose(0, 2, 3, 1).reshape(len(images), -1, images.shape[1])
    mean, scale = mean_and_scale(pixels, by_channel=True)
    return mean[:, None, None], scale


def _target_scaling(data: FitData, of_x: dict[str, Any]) -> dict[str, Any]:
    """Return shape, mean and scale of targets of another shape than samples."""
    targets = data.X_target
    if targets.shape[1] == data.X.shape[1]:  # in the units of X, so that interpolation is a valid initialization
        mean, scale = of_x["mean"], of_x["scale"]
    else:
        mean, scale = _mean_and_scale_of_images(targets)
    return dict(zip(_OF_TARGETS, (targets.shape[1:], mean, scale), strict=True))


def training_callbacks(est: Any, spec: ModelSpec, epochs: int, n_batches: int, monitor: str, context: Any) -> list:
    """Return the callbacks of a whole fit: schedule, scikit-learn's own, and reports."""
    # Betas set by the user must not be changed by the one-cycle schedule.
    cycle_betas = "betas" in optimizer_params(spec.optimizer) and "optimizer__betas" not in est._extra
    steps = epochs * n_batches
    follows = parts_with_progress(spec.bottleneck, spec.loss, spec.noise)
    return [
        *([("progress", Progress(steps))] if follows else []),
        *schedule(est.lr_schedule, est.lr, steps, monitor, est.n_iter_no_change, est.tol, cycle_betas),
        *([] if context is None else [("sklearn_callbacks", SklearnCallbacks(est, context))]),
        *verbosity_callbacks(0 if spec.ranks.rank else int(est.verbose), epochs),
    ]
