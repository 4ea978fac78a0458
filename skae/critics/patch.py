"""A convolutional critic of patches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .._utils.checks import check_widths
from .base import Critic, normalized

_LEAST_SIDE = 4  # of a map that is halved


class Patch(Critic):
    """Convolutional critic of images, which scores overlapping patches rather than the image (Isola et al., 2017).

    Each stage halves height and width by a convolution of 4 × 4; stages that would make less than 2 pixels of a side
    are left out. A patch of the default is 38 pixels high and wide: digits are seen as a whole, and of photographs the
    texture.

    Parameters
    ----------
    channels : int or sequence of int, default=(32, 64, 128)
        Channels of the stages.
    adversarial : float, default=0.3
        Weight of the scores in the decoder's loss; at least 0. The three terms are written out at `Critic`.
    features : float, default=1.0
        Weight of the distance in the critic's hidden layers; at least 0.
    reconstruction : float, default=0.2
        Weight of the squared error, in units of that before the phase; at least 0.
    lr : float, default=2e-3
        Learning rate of the critic, which falls to 0 over the phase.
    decoder_lr : float, default=1e-3
        Learning rate of the decoder, which does so too.
    max_epochs : int or 'auto', default='auto'
        Epochs of the phase. 'auto' takes as many as make 1,500 batches, from 1 to 50.
    tolerance : float, default=0.5
        Share by which the held-out squared error may grow at no cost to the distance; at least 0.

    References
    ----------
    P. Isola, J.-Y. Zhu, T. Zhou and A. A. Efros, 2017. Image-to-image translation with conditional adversarial
    networks. CVPR.

    Examples
    --------
    >>> import torch
    >>> critic = Patch(channels=(8, 16))
    >>> critic.setup(n_components=2, target_shape=(1, 28, 28))
    >>> [tuple(h.shape[1:]) for h in critic(torch.zeros(5, 1, 28, 28))]
    [(8, 14, 14), (16, 7, 7), (1, 7, 7)]
    """

    def __init__(
        self,
        channels: int | Sequence[int] = (32, 64, 128),
        adversarial: float = 0.3,
        features: float = 1.0,
        reconstruction: float = 0.2,
        lr: float = 2e-3,
        decoder_lr: float = 1e-3,
        max_epochs: int | str = "auto",
        tolerance: float = 0.5,
    ) -> None:
        super().__init__(adversarial, features, reconstruction, lr, decoder_lr, max_epochs, tolerance)
        self.channels = channels

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None, n_conditions: int = 0) -> None:
        check_widths(f"{type(self).__name__}: channels", self.channels)
        super().setup(n_components, target_shape, n_conditions)

    def check_shape(self, target_shape: Sequence[int]) -> None:
        if len(target_shape) != 3:
            raise ValueError(
                f"critic={type(self).__name__} needs images that the network takes as such (channels, height, width), "
                f"got samples of shape {tuple(target_shape)}: set module='conv', or take critic='dense'."
            )

    def layers(self, target_shape: Sequence[int], n_conditions: int) -> list[nn.Module]:
        width, side = target_shape[0] + n_conditions, min(target_shape[1:])
        stages: list[nn.Module] = []
        for channels in check_widths("channels", self.channels):
            if side < _LEAST_SIDE:
                break
            halve = normalized(nn.Conv2d(width, channels, 4, stride=2, padding=1))
            stages.append(nn.Sequential(halve, nn.LeakyReLU(0.2)))
            width, side = channels, side // 2
        return [*stages, normalized(nn.Conv2d(width, 1, 3, padding=1))]
