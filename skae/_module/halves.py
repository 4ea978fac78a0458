"""A trained autoencoder's two halves apart: codes of standardized samples, and the weights that decode them alone."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .._data.batches import Batch
from .autoencoder import Autoencoder


@torch.no_grad()
def draw_codes(module: Autoencoder, u: Tensor) -> Tensor:
    """Return flat codes (n, n_codes) of standardized samples: of a variational bottleneck drawn from the posteriors.

    Those of an ordered bottleneck are its prefixes, in training and in evaluation mode as in `Autoencoder.forward`.
    """
    h = module._encode(module._fill(u), module._observed(u))
    if module.bottleneck.ordered:  # the decoder is to go on decoding prefixes
        return module._flat(module._latent(h)[0])
    h = module._h_to_bottleneck(module._flat(h))
    if not module.is_variational:
        return module._from_bottleneck(module.bottleneck.code(h), len(u))
    mean, log_variance = module.bottleneck.distribution(h)
    return module._from_bottleneck(mean + (log_variance / 2).exp() * torch.randn_like(mean), len(u))


def decode_codes(module: Autoencoder, z: Tensor, c: Tensor | None, like: Tensor) -> Tensor:
    """Return what flat codes are decoded to, (n, *target_shape), in the units of the target of the loss.

    Images are of the size of the samples ``like``.
    """
    return module.loss.link(module._decode(z, None, c, module._size_of(like)))


def decoder_weights(module: Autoencoder, u: Tensor, c: Tensor | None) -> list[nn.Parameter]:
    """Return the network's trainable weights that samples are decoded with and codes do not depend on."""
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
    """Let a likelihood estimate its scale anew from samples, for a decoder that has changed."""
    made: list[Tensor] = []
    targets: list[Tensor] = []
    for batch in batches:
        made.append(module._decode(draw_codes(module, batch.u), None, batch.condition, module._size_of(batch.u)))
        targets.append(batch.y)
    module.loss.refit_scale(torch.cat(made), torch.cat(targets))
