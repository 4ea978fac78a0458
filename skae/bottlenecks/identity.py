"""A bottleneck that leaves codes unchanged."""

from .base import Bottleneck


class Identity(Bottleneck):
    """Use the encoder's output as the code, without a penalty.

    Examples
    --------
    >>> import torch
    >>> Identity()(torch.tensor([[1.0, -2.0]]))
    Latent(z=tensor([[ 1., -2.]]), penalty=tensor([0.]), aux=0.0, indices=None, gradient_weight=None)
    """

    draws = False
