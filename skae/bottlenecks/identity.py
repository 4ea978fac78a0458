"""The plain bottleneck: the encoder's output is the code."""

from .base import Bottleneck


class Identity(Bottleneck):
    """A linear, unbounded code without a penalty: its width alone limits it.

    Examples
    --------
    >>> import torch
    >>> Identity()(torch.tensor([[1.0, -2.0]]))
    Latent(z=tensor([[ 1., -2.]]), penalty=tensor([0.]), aux=0.0, indices=None)
    """

    draws = False
