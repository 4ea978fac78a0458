"""Whether what came out of a file fits together."""

from __future__ import annotations

import math
import types
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity

from .._data.targets import Classes
from .._utils.checks import LARGEST
from ..bottlenecks import Bottleneck
from ..losses import Loss
from ..noise import Noise


def check_restored(est: Any) -> None:
    """Check that the attributes of a fitted autoencoder go with its net, which the net has checked for itself."""
    if "net_" not in vars(est):
        if any(name.endswith("_") for name in vars(est)):  # which scikit-learn takes for fitted
            raise ValueError("it is fitted, and there is no net")
        return
    module, shape = est.net_.module_, est.input_shape_
    parts = isinstance(module.bottleneck, Bottleneck) and isinstance(module.loss, Loss)
    if not (parts and isinstance(module.noise, Noise | None)):
        raise ValueError("the network's parts are none")
    if not _is_shape(shape) or est.n_features_in_ != shape[0]:
        raise ValueError(f"rows cannot have the shape {shape}")
    if tuple(est._layout.arrange(torch.empty((1, *shape), device="meta")).shape[1:]) != module.input_shape:
        raise ValueError(f"rows of shape {shape} do not go into a network for {module.input_shape}")
    if "layout_" in vars(est) and est.layout_.row_shape != shape:
        raise ValueError("the layout is that of other rows")
    names = getattr(est, "feature_names_in_", None)
    if names is not None and (not isinstance(names, np.ndarray) or names.shape != (shape[0],)):
        raise ValueError("there are not as many names as features")
    condition = getattr(est, "_condition", None)
    if condition is not None:
        _check_condition(condition, est)
    if (0 if condition is None else condition.width) != module.n_conditions:
        raise ValueError("the decoder is told something else than what y says")
    costs = (module.n_multiplications, module.n_values)
    if not all(type(cost) is int and 0 <= cost < 2**62 for cost in costs) or module.n_values < math.prod(shape):
        raise ValueError(f"the network's costs cannot be {costs}")
    if not (bool((torch.as_tensor(module.mean).abs() <= LARGEST).all()) and 0 < module.scale <= 2 * LARGEST):
        raise ValueError(f"rows cannot be standardized by its means and the scale {module.scale}")
    for name, tensor in module.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"the weights {name} are not finite")
    _check_stream(est.net_.stream.__getstate__()["states"])
    _check_history(est.net_.history)
    if est.net_.kept_optimizer_ is not None:
        _check_optimizer(est.net_, est.net_.kept_optimizer_)
    _check_prior(getattr(est, "prior_", None), module)


def _check_condition(condition: Any, est: Any) -> None:
    """Check what a decoder is told: its arrays go together."""
    width = condition.width
    if isinstance(condition, Classes):
        fits = condition.classes.shape == (width,) == condition.counts.shape and _is_share(condition.counts)
        prior = getattr(est, "prior_", None)
        fits &= prior is None or (type(prior) is list and len(prior) == width)
        fits &= "classes_" in vars(est) and np.array_equal(est.classes_, condition.classes)
    else:
        n, weight = len(condition.seen), condition.weight
        fits = condition.mean.shape == (width,) == condition.spread.shape and condition.seen.shape == (n, width)
        fits &= n > 0 and all(bool(np.isfinite(A).all()) for A in (condition.mean, condition.spread, condition.seen))
        fits &= bool((condition.spread > 0).all())
        fits &= weight is None or (
            weight.shape == (n,) and _is_share(weight) and math.isclose(weight.sum(), 1, rel_tol=1e-6)
        )
    if not fits:
        raise ValueError("what the decoder is told does not go together")


def _is_share(A: np.ndarray) -> bool:
    return A.dtype.kind == "f" and bool(np.isfinite(A).all()) and bool(A.min() >= 0) and bool(A.sum() > 0)


def check_works(est: Any) -> None:
    """Check that one of scikit-learn's own transformers can do its work: what does not fit shows with the first row."""
    if not (hasattr(est, "transform") and "n_features_in_" in vars(est)):
        return
    width, largest = (
        est.n_features_in_,
        max((A.size for A in vars(est).values() if isinstance(A, np.ndarray)), default=0),
    )
    if type(width) is not int or not 0 < width <= largest:
        raise ValueError(f"a {type(est).__name__} cannot have learned {width} features")
    row = np.full((1, width), np.nan if hasattr(est, "missing_values") else 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.transform(row)


def check_reconstructor(est: Any) -> None:
    """Check that a fitted `Reconstructor` has what it works with."""
    if "n_features_in_" not in vars(est) and "estimator_" not in vars(est):
        return
    inner, filling = est.estimator_, getattr(est, "filling_", None)
    if not (hasattr(inner, "reconstruct") or hasattr(inner, "inverse_transform")):
        raise ValueError(f"a {type(inner).__name__} reconstructs nothing")
    if not (filling is None or hasattr(filling, "transform") or isinstance(filling, types.FunctionType)):
        raise ValueError(f"a {type(filling).__name__} fills nothing")


def check_metric(density: KernelDensity) -> None:
    """Check that distances are not computed by a function from a file."""
    params = density.metric_params or {}
    if density.metric == "pyfunc" or not isinstance(density.metric, str) or any(map(callable, params.values())):
        raise ValueError(f"a KernelDensity cannot have the metric {density.metric!r}")


def _check_stream(states: list[Any]) -> None:
    try:
        torch.Generator().set_state(torch.from_numpy(states[0]))
    except (RuntimeError, TypeError, IndexError) as error:
        raise ValueError(f"the random stream has no state: {error}") from error
    if len(states) > 2 or any(state.shape != (16,) for state in states[1:]):  # CUDA's
        raise ValueError("the random stream has no state for a device")


def _check_history(history: Any) -> None:
    """Check that training, which looks back for the best epoch, finds numbers."""
    for row in history:
        losses = {name for name in row if name.endswith("_loss")} | {
            name.removesuffix("_best") for name in row if name.endswith("_loss_best")
        }
        if not all(isinstance(row.get(name), float | int) for name in losses) or type(row.get("batches")) is not list:
            raise ValueError("the history is none")


def _check_optimizer(net: Any, kept: Any) -> None:
    """Check that an optimiser's state is like the one that a first step leaves.

    Torch does not look: a fused update reads as much of a state as there are weights, whatever its shape.
    """
    named = [
        (name, torch.zeros_like(p, device="cpu").requires_grad_(p.requires_grad))
        for name, p in net.get_all_learnable_params()
    ]
    args, kwargs = net.get_params_for_optimizer("optimizer", named)
    again = net.optimizer(*args, **kwargs)
    for _, parameter in named:
        parameter.grad = torch.zeros_like(parameter)
    again.step(lambda: torch.zeros(()))
    wanted = again.state_dict()
    groups = [group["params"] for group in kept["param_groups"]]
    if groups != [group["params"] for group in wanted["param_groups"]]:
        raise ValueError("the optimiser's state is that of other weights")
    flat = isinstance(again, torch.optim.LBFGS)
    n_weights = sum(parameter.numel() for _, parameter in named)
    for index, found in kept["state"].items():
        model = wanted["state"].get(index, {})
        if not (found.keys() == model.keys() or (flat and found.keys() >= model.keys())):
            raise ValueError("the optimiser's state is that of another one")
        for name, value in found.items():
            shapes = {(), (n_weights,)} if flat else {tuple(getattr(model[name], "shape", ()))}
            if not _is_state(value, shapes):
                raise ValueError(f"the optimiser's state has a {name} that cannot be")


def _is_state(value: Any, shapes: set[tuple[int, ...]]) -> bool:
    if isinstance(value, list):
        return all(_is_state(item, shapes) for item in value)
    if isinstance(value, np.ndarray):
        return value.shape in shapes and value.dtype.kind in "fi" and bool(np.isfinite(value).all())
    return value is None or isinstance(value, bool) or (isinstance(value, float | int) and math.isfinite(value))


def _check_prior(prior: Any, module: Any) -> None:
    one_each = isinstance(prior, list)  # for every class
    for density in prior if one_each else [prior]:
        if density is None:
            continue
        if not hasattr(density, "sample"):
            raise ValueError(f"a {type(density).__name__} is no density")
        widths = {module.n_codes} if one_each else {module.n_codes, module.n_codes + module.n_conditions}
        if isinstance(density, BayesianGaussianMixture | GaussianMixture):
            _check_mixture(density, widths)
        elif isinstance(density, KernelDensity) and density.tree_.data.shape[1] != module.n_codes:
            raise ValueError("a density of something else than codes")


def _check_mixture(mixture: Any, widths: set[int]) -> None:
    n, width = mixture.n_components, mixture.n_features_in_
    if width not in widths:
        raise ValueError(f"a density of {width} numbers is none of codes")
    shape = {"full": (n, width, width), "tied": (width, width), "diag": (n, width), "spherical": (n,)}
    found = {"weights_": (n,), "means_": (n, width)}
    found |= dict.fromkeys(("covariances_", "precisions_cholesky_"), shape[mixture.covariance_type])
    for name, wanted in found.items():
        A = getattr(mixture, name)
        if not (isinstance(A, np.ndarray) and A.shape == wanted and A.dtype.kind == "f" and np.isfinite(A).all()):
            raise ValueError(f"a mixture cannot have these {name}")
    if mixture.weights_.min() < 0 or not math.isclose(mixture.weights_.sum(), 1, rel_tol=1e-6):
        raise ValueError("a mixture's weights must sum to 1")


def _is_shape(shape: Any) -> bool:
    return type(shape) is tuple and len(shape) > 0 and all(type(side) is int and side > 0 for side in shape)
