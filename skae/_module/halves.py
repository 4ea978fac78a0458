"""Encoder and decoder of a trained autoencoder: codes of standardized samples, and weights of only the decoder."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .._data.batches import Batch
from .autoencoder import Autoencoder


@torch.no_grad()
def draw_codes(module: Autoencoder, u: Tensor) -> Tensor:
    """Return flat codes (n, n_codes) of standardized samples, drawn from the posteriors of a variational bottleneck.

    With an ordered bottleneck these are prefixes, as in `Autoencoder.forward`.
    """
    h = module._encode(module._fill(u), module._observed(u))
    if module.bottleneck.ordered:  # so that the decoder is still trained on prefixes
        return module._flat(module._latent(h)[0])
    h = module._h_to_bottleneck(module._flat(h))
    if not module.is_variational:
        return module._from_bottleneck(module.bottleneck.code(h), len(u))
    mean, log_variance = module.bottleneck.distribution(h)
    return module._from_bottleneck(mean + (log_variance / 2).exp() * torch.randn_like(mean), len(u))


def decode_codes(module: Autoencoder, z: Tensor, c: Tensor | None, like: Tensor) -> Tensor:
    """Decode flat codes to (n, *target_shape), in the units of the target of the loss.

    Images have the size of the samples ``like``.
    """
    return module.loss.link(module._decode(z, None, c, module._size_of(like)))


def decoder_weights(module: Autoencoder, u: Tensor, c: Tensor | None) -> list[nn.Parameter]:
    """Return the trainable weights of the decoder that codes do not depend on."""
    weights = [weight for weight in module.network.parameters() if weight.requires_grad]

    def used(output: Tensor) -> list[bool]:
        if not output.requires_grad:
            return [False] * len(weights)
        return [g is not None for g in torch.autograd.grad(output.sum(), weights, allow_unused=True)]

    with torch.enable_grad():
        encodes = used(module._flat(module._encode(module._fill(u), module._observed(u))))
        decodes = used(module._decode(draw_codes(module, u), None, c, module._size_of(u)))
    return [w for w, before, after in zip(weights, encodes, decodes, strict=True) if after and not before]


@torch.no_grad()
def refit_scale(module: Autoencoder, batches: Iterable[Batch]) -> None:
    """Let a likelihood re-estimate its scale from samples, after the decoder has changed."""
    made: list[Tensor] = []
    targets: list[Tensor] = []
    for batch in batches:
        made.append(module._decode(draw_codes(module, batch.u), None, batch.condition, module._size_of(batch.u)))
        targets.append(batch.y)
    module.loss.refit_scale(torch.cat(made), torch.cat(targets))
