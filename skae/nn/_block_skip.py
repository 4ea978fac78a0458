"""A lapped linear map beside a spatial code, initialized to the block PCA of images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._data.pca import Axes, Samples
from ._layers import LinearSkip, zero_


class BlockSkip(LinearSkip):
    r"""Linear encoder and decoder of overlapping blocks, added to the nonlinear ones and initialized to block PCA.

    The code at each position is linear in a window of 2 · stride × 2 · stride pixels, and adds such a window to the
    reconstruction, as a lapped transform does (Malvar and Staelin, 1989). The initial weights are those of the PCA of
    the stride × stride block in the middle, the Karhunen-Loève transform of blocks, and zero around it.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, height and width of an image.
    n_components, n_outputs : int
        Channels of the code, and of the encoder's output.
    stride : int
        Side of a block; 1 or even.

    References
    ----------
    H. S. Malvar and D. H. Staelin, 1989. The LOT: transform coding without blocking effects. IEEE Transactions on
    Acoustics, Speech, and Signal Processing 37(4).
    """

    def __init__(self, input_shape: Sequence[int], n_components: int, n_outputs: int, stride: int) -> None:
        margin = stride // 2
        super().__init__((input_shape[0], *[stride + 2 * margin] * 2), n_components, n_outputs)
        self.image_shape, self.stride, self.margin = tuple(input_shape), stride, margin

    @property
    def _block(self) -> tuple[int, ...]:
        """Shape of the block in the middle of a window."""
        return self.input_shape[0], self.stride, self.stride

    def encode(self, x: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to (n, n_outputs, ⌈height/stride⌉, ⌈width/stride⌉)."""
        weight = self.encoder.weight.unflatten(1, self.input_shape)
        x = pad_to_multiple(x, self.stride)
        return F.conv2d(x, weight, self.encoder.bias, stride=self.stride, padding=self.margin)

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (n, n_components, h, w) to images (n, channels, h * stride, w * stride)."""
        weight = self.decoder.weight.T.unflatten(1, self.input_shape)
        x_hat = F.conv_transpose2d(z, weight, stride=self.stride, padding=self.margin)
        # A single bias for each channel, as every pixel belongs to several windows.
        return x_hat + self.decoder.bias.unflatten(0, self.input_shape).mean((1, 2), keepdim=True)

    def principal_axes(self, x: Tensor | Samples, n_components: int) -> Axes:
        """Compute at most ``n_components`` principal axes of the blocks of images, as float64 tensors."""
        return super().principal_axes(self._blocks_of(Samples.of(x) if isinstance(x, Tensor) else x), n_components)

    def _blocks_of(self, images: Samples) -> Samples:
        """Return the blocks of flattened images as samples."""
        _, height, width = self.image_shape

        def blocks() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
            for rows, weight in images.blocks():
                x = pad_to_multiple(torch.from_numpy(rows).unflatten(1, self.image_shape), self.stride)
                found = F.unfold(x, self.stride, stride=self.stride).transpose(1, 2)  # (n, n_blocks, n_features)
                yield found.flatten(0, 1).numpy(), None if weight is None else np.repeat(weight, found.shape[1])

        n_blocks = math.ceil(height / self.stride) * math.ceil(width / self.stride)
        n_present = images.n_present * n_blocks
        return Samples(images.n_samples * n_blocks, math.prod(self._block), blocks, n_present=n_present)

    def set_axes(self, axes: Axes, to_code: Tensor, to_data: Tensor) -> None:
        """Set codes to the projections of the middle blocks; see `LinearSkip.set_axes`."""
        for half in (self.encoder, self.decoder):
            zero_(half)
        k, c = len(axes.directions), self.input_shape[0]
        # One mean for each channel, which zero padding and the decoder's bias need.
        mean = axes.mean.view(c, -1).mean(1).repeat_interleave(self.stride**2)
        encoder = axes.directions * to_code[:, None]
        middle = slice(self.margin, self.margin + self.stride)
        window = (slice(None), slice(None), middle, middle)
        self.encoder.weight.unflatten(1, self.input_shape)[:k][window] = encoder.view(k, *self._block).to(
            self.encoder.weight
        )
        self.encoder.bias[:k] = -(encoder @ mean).to(self.encoder.bias)
        decoder = (axes.directions * to_data[:, None]).view(k, *self._block)
        self.decoder.weight.T.unflatten(1, self.input_shape)[:k][window] = decoder.to(self.decoder.weight)
        self.decoder.bias.copy_(axes.mean.view(c, -1).mean(1).repeat_interleave((self.stride + 2 * self.margin) ** 2))


def pad_to_multiple(x: Tensor, stride: int) -> Tensor:
    """Repeat the last row and column until height and width are multiples of ``stride``."""
    if torch.compiler.is_compiling():  # of an exported program the size is not known
        for axis in (2, 3):
            side = x.shape[axis]
            index = torch.arange((side + stride - 1) // stride * stride, device=x.device)
            x = x.index_select(axis, torch.where(index < side, index, side - 1))
        return x
    bottom, right = -x.shape[2] % stride, -x.shape[3] % stride
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x
