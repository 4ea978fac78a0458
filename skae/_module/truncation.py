"""Smaller networks for the first components of ordered codes, from slices of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._utils.rng import COMMON_SEED, Stream
from .._utils.slots import unwrapped
from .autoencoder import Autoencoder
from .state import module_arrays

_TOLERANCE = 1e-4  # relative, of sums in another order


def truncated_module(module: Autoencoder, recipe: dict[str, Any], k: int) -> Autoencoder:
    """Return the `Autoencoder` of the first ``k`` components, on the CPU and in evaluation mode.

    Its codes are the first components of those of ``module``, and decoded as by ``module`` with the others set to 0. A
    ValueError is raised if slices of the weights do not give this, as in a network of another width.
    """
    network = unwrapped(recipe["network"])[0]
    if isinstance(network, nn.Module):
        raise ValueError(
            f"module={type(network).__name__}(...) was built for {module.n_components} components: truncate needs "
            "a class, to build it with fewer."
        )
    name = getattr(network, "__name__", repr(network))
    try:
        with Stream(0):
            small = Autoencoder(**recipe | {"n_components": k})
        weights = small.state_dict()
        found = module.state_dict()
        small.load_state_dict({key: sliced(found[key].cpu(), weights[key].shape, module, k) for key in weights})
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _refusal(name, k) from error
    state = module_arrays(module)
    for key, attributes in state["attributes"].items():
        vars(small.get_submodule(key)).update(attributes)
    for key in state["frozen"]:
        small.get_parameter(key).requires_grad_(False)
    if not _agree(module, small.eval()):
        raise _refusal(name, k)
    return small


def _refusal(name: str, k: int) -> ValueError:
    return ValueError(
        f"module={name} cannot be truncated: the weights for the first {k} components are not slices of its "
        f"weights. Fit an estimator with n_components={k}."
    )


def sliced(A: Tensor, shape: Any, module: Autoencoder, k: int) -> Tensor:
    """Return the part of a weight for the first ``k`` components, in the ``shape`` of the result.

    An axis that differs has the components first, with the same number of entries each, followed by others, such as
    conditions.
    """
    for axis, (old, new) in enumerate(zip(A.shape, shape, strict=True)):
        if old == new:
            continue
        width, rest = divmod(old - new, module.n_components - k)
        if width < 1 or rest or module.n_components * width > old:
            raise ValueError(f"An axis of {old} entries cannot have {new} of {k} components.")
        kept = torch.cat([torch.arange(k * width), torch.arange(module.n_components * width, old)])
        A = A.index_select(axis, kept.to(A.device))
    return A


def _agree(module: Autoencoder, small: Autoencoder) -> bool:
    """Return whether two modules give the same prefixes, and decode them equally, for two random samples."""
    training = module.training
    pairs = zip(_results(module.eval(), small.n_codes), _results(small, small.n_codes), strict=True)
    found = all(bool((a - b).abs().max() <= _TOLERANCE * a.abs().max()) for a, b in pairs)
    module.train(training)
    return found


@torch.no_grad()
def _results(module: Any, n_codes: int) -> tuple[Tensor, Tensor]:
    """Return the first ``n_codes`` of the encoder's output for random samples, and decoded random codes."""
    generator = torch.Generator().manual_seed(COMMON_SEED)
    device = module.baseline.device

    def random(*shape: int) -> Tensor:
        return torch.randn(2, *shape, generator=generator).to(device)

    u, c, z = random(*module.input_shape), random(module.n_conditions), random(n_codes)
    observed = module._observed(u)
    raw = module._decode(module.completed(z), observed, c if module.n_conditions else None, module._size_of(u))
    return module._flat(module._encode(u, observed))[:, :n_codes].cpu(), raw.cpu()
