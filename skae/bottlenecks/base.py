"""The contract that every bottleneck keeps."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .._utils.component import Component
from .._utils.rng import COMMON_SEED


class Latent(NamedTuple):
    """What a bottleneck hands to the decoder and to the loss.

    Parameters
    ----------
    z : Tensor of shape (n, n_components)
        The code that is decoded.
    penalty : Tensor of shape (n,)
        What the code costs, in the unit of the loss.
    """

    z: Tensor
    penalty: Tensor


class Bottleneck(Component):
    """Base of the bottlenecks.

    ``forward`` is used while training, where it may be random, and while judging (in evaluation mode), where it is not;
    ``code`` is deterministic and is what ``transform`` returns. A bottleneck with an attribute ``progress`` finds there
    which share of the training is done.

    There may be three more methods, `Gaussian` having the first two: ``distribution(h)`` gives the mean and the
    log-variance of the code, each (n, n_components), and makes the bottleneck a variational one; ``init_skip(skip, x)``
    starts the linear maps of a network that has them (`skae.nn.MLP`) from the standardized samples, in place of the
    network's own PCA; ``init_from(h)`` starts from what the encoder makes of them.

    Attributes
    ----------
    standard_normal : bool
        Whether codes are meant to be distributed as N(0, I), so that rows may be generated from it.
    draws : bool
        Whether `forward` may draw random numbers.
    """

    _abstract = True
    standard_normal: bool = False
    draws: bool = True

    def draw_like(self, like: Tensor) -> Tensor:
        """Draw N(0, 1) in the shape of ``like``; while judging always the same, so that epochs differ by weights."""
        if torch.compiler.is_exporting():  # a graph holds no generator
            return torch.randn_like(like)
        generator = None if self.training else torch.Generator(like.device).manual_seed(COMMON_SEED)
        return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)

    @property
    def has_penalty(self) -> bool:
        """Whether `forward` is its own; the one that all have asks for no penalty."""
        return type(self).forward is not Bottleneck.forward

    def n_outputs(self, n_components: int) -> int:
        """Width that the encoder must have for a code of ``n_components``."""
        return n_components

    def forward(self, h: Tensor) -> Latent:
        """Turn the encoder's output (n, n_outputs) into a code and its penalty.

        It may give k codes for each row, all rows after each other k times, each with the penalty
        log q(z|x) − log p(z): the objective is then the importance-weighted bound of the k.
        """
        z = self.code(h)
        return Latent(z, z.new_zeros(z.shape[0]))

    def code(self, h: Tensor) -> Tensor:
        """Return the code (n, n_components) of the encoder's output (n, n_outputs)."""
        return h
