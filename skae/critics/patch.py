"""A convolutional critic of patches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .._utils.checks import check_widths
from .base import Critic, normalized

_LEAST_SIDE = 4  # smallest side of a map that is halved


class Patch(Critic):
    """Convolutional critic of images, which scores overlapping patches instead of entire images (Isola et al., 2017).

    Each stage halves height and width by a 4 × 4 convolution; stages that would reduce a side to less than 2 pixels are
    left out. With the default, a patch has 38 × 38 pixels: entire digits, or the texture of photographs.

    Parameters
    ----------
    channels : int or sequence of int, default=(32, 64, 128)
        Numbers of channels of the stages.
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
                f"critic={type(self).__name__} needs a network with samples of shape (channels, height, width), got "
                f"samples of shape {tuple(target_shape)}: set module='conv' or critic='dense'."
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
