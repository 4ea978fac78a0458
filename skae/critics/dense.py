"""A dense critic of tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from .._utils.checks import check_widths
from .base import Critic, normalized


class Dense(Critic):
    """Dense critic, for tables or entire images.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(256, 256)
        Widths of the hidden layers.
    adversarial : float, default=0.3
        Weight of the scores in the decoder's loss; at least 0. The three terms are defined in `Critic`.
    features : float, default=1.0
        Weight of the distance in the hidden layers of the critic; at least 0.
    reconstruction : float, default=0.2
        Weight of the squared error, relative to that before the phase; at least 0.
    lr : float, default=2e-3
        Initial learning rate of the critic, which decays to 0.
    decoder_lr : float, default=1e-3
        Initial learning rate of the decoder, which decays to 0.
    max_epochs : int or 'auto', default='auto'
        Number of epochs of the phase. 'auto' chooses 1 to 50 epochs, for about 1,500 batches in total.
    tolerance : float, default=0.5
        Relative increase of the held-out squared error without a penalty in the distance; at least 0.

    Examples
    --------
    >>> import torch
    >>> critic = Dense(hidden_layer_sizes=16)
    >>> critic.setup(n_components=2, target_shape=(64,))
    >>> [tuple(h.shape[1:]) for h in critic(torch.zeros(5, 64))]
    [(16,), (1,)]
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (256, 256),
        adversarial: float = 0.3,
        features: float = 1.0,
        reconstruction: float = 0.2,
        lr: float = 2e-3,
        decoder_lr: float = 1e-3,
        max_epochs: int | str = "auto",
        tolerance: float = 0.5,
    ) -> None:
        super().__init__(adversarial, features, reconstruction, lr, decoder_lr, max_epochs, tolerance)
        self.hidden_layer_sizes = hidden_layer_sizes

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None, n_conditions: int = 0) -> None:
        check_widths(f"{type(self).__name__}: hidden_layer_sizes", self.hidden_layer_sizes)
        super().setup(n_components, target_shape, n_conditions)

    def layers(self, target_shape: Sequence[int], n_conditions: int) -> list[nn.Module]:
        # In samples with several axes the condition is appended to each pixel.
        width = math.prod(target_shape) + n_conditions * math.prod(target_shape[1:])
        stages: list[nn.Module] = []
        for units in check_widths("hidden_layer_sizes", self.hidden_layer_sizes):
            stages.append(nn.Sequential(nn.Flatten(), normalized(nn.Linear(width, units)), nn.LeakyReLU(0.2)))
            width = units
        return [*stages, nn.Sequential(nn.Flatten(), normalized(nn.Linear(width, 1)))]
