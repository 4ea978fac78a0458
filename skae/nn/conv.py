"""A convolutional network for images of any size."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._utils.checks import check_choice, check_number
from ._block_skip import BlockSkip, pad_to_multiple
from ._layers import ACTIVATIONS, LinearSkip, check_activation, check_odd, check_widths, dense_stack, zero_


def _group_norm(width: int) -> nn.Module:
    """Return group normalization with at most eight groups of at least two channels."""
    if width == 1:
        return nn.Identity()
    return nn.GroupNorm(math.gcd(8, width // 2) if width % 2 == 0 else 1, width)


_NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "group": _group_norm}


class Conv(nn.Module):
    r"""Convolutional network with stages that halve the image, and a decoder that mirrors the encoder.

    A stage maps (C, H, W) to (C', ⌈H/2⌉, ⌈W/2⌉) if it downsamples, and the decoder restores these sizes exactly. A
    network with a dense code takes images of the size ``input_shape``; one with a spatial code and the decoder 'mirror'
    is fully convolutional and takes images of any size.

    With ``linear_skip`` a linear map is added to encoder and decoder, which training starts from: the last layers of
    the convolutional part are initialized to zero. For a dense code the map is initialized to PCA, as in `MLP`; for a
    spatial code to the PCA of blocks of stride × stride pixels, where stride is the product of those of the stages, and
    its windows overlap by half.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, height and width of an image.
    n_components : int
        Latent size; the number of channels of a spatial code.
    n_outputs : int, default=None
        Output width of `encode`, per position for a spatial code. If None, ``n_components``.
    channels : int or sequence of int, default=(16, 32)
        Number of channels of each stage; at least one stage. An int is a single stage.
    kernel_size : int, default=3
        Kernel size of all convolutions; odd.
    downsampling : {'stride', 'max_pool', 'avg_pool', 'unshuffle', None}, default='stride'
        Downsampling in a stage: a convolution of stride 2; pooling after one of stride 1; or one of stride 1 after each
        2 × 2 block of pixels has become 4 channels, which loses nothing. None keeps the size.
    upsampling : {'transpose', 'resize', 'shuffle'}, default='transpose'
        Upsampling in the decoder: a transposed convolution; nearest-neighbor interpolation and a convolution, which
        avoids checkerboard artifacts (Odena et al., 2016); or a convolution whose channels become blocks of 2 × 2
        pixels (Shi et al., 2016), the fastest. Not used if ``downsampling`` is None.
    normalization : {None, 'batch', 'group'}, default=None
        Normalization before the activation of each stage and in residual blocks.
    n_residual_blocks : int, default=0
        Number of residual blocks (He et al., 2016) after each stage of the encoder, and before each of the decoder.
        Their last layer is initialized to zero (Zhang, Dauphin and Ma, 2019).

        .. versionchanged:: 0.3
           It was initialized at random.
    activation : {'silu', 'relu', 'leaky_relu', 'gelu', 'elu', 'tanh', 'identity'}, default='silu'
        Activation function after each hidden layer; upper and lower case are equivalent. Code and output are linear.
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Widths of the dense layers between the last stage and a dense code; an int is a single layer. The decoder has
        them in reverse order; a dense decoder has them for spatial codes too.
    dense : bool, default=True
        Whether the code is dense. Otherwise it is spatial: ``n_components`` channels at each position of the last
        stage's output.
    decoder : {'mirror', 'dense'}, default='mirror'
        Decoder: the stages in reverse order, or dense layers only.
    target_shape : tuple of int, default=None
        Channels, height and width of what the decoder returns, for pairs of images: other channels, or a whole multiple
        of the height and width of ``input_shape``, which it is when None.
    linear_skip : bool, default=True
        Whether to add the linear maps. A spatial code has them with the decoder 'mirror' only.
        Where ``target_shape`` differs from ``input_shape`` a dense code has none, and for a spatial code the initial
        reconstruction is interpolated (bicubic), the mean of its channels in each channel of the target.

        .. versionchanged:: 0.3
           Spatial codes had none.

    Attributes
    ----------
    n_positions : int
        Number of positions of the spatial code of an image of ``input_shape``; 1 for a dense code.
    any_size : bool
        Whether images may have any height and width.
    stride : int
        Pixels between two positions of a spatial code.
    halo : int or None
        Pixels beyond which nothing around an output pixel matters to it; None if all of the image does, as with
        ``normalization='group'``.

    References
    ----------
    J. Masci, U. Meier, D. Cireşan and J. Schmidhuber, 2011. Stacked convolutional auto-encoders for hierarchical
    feature extraction. ICANN.

    K. He, X. Zhang, S. Ren and J. Sun, 2016. Identity mappings in deep residual networks. ECCV.

    H. Zhang, Y. N. Dauphin and T. Ma, 2019. Fixup initialization: residual learning without normalization. ICLR.

    W. Shi, J. Caballero, F. Huszár, J. Totz, A. P. Aitken, R. Bishop, D. Rueckert and Z. Wang, 2016. Real-time single
    image and video super-resolution using an efficient sub-pixel convolutional neural network. CVPR.

    A. Odena, V. Dumoulin and C. Olah, 2016. Deconvolution and checkerboard artifacts. Distill.

    Examples
    --------
    >>> import torch
    >>> network = Conv(input_shape=(3, 9, 14), n_components=5)
    >>> z = network.encode(torch.zeros(2, 3, 9, 14))
    >>> z.shape, network.decode(z).shape
    (torch.Size([2, 5]), torch.Size([2, 3, 9, 14]))
    >>> network = Conv(input_shape=(3, 32, 32), n_components=5, dense=False)
    >>> z = network.encode(torch.zeros(2, 3, 50, 41))
    >>> z.shape, network.decode(z, (50, 41)).shape
    (torch.Size([2, 5, 13, 11]), torch.Size([2, 3, 50, 41]))
    """

    reads_images = True

    def __init__(
        self,
        input_shape: Sequence[int],
        n_components: int,
        n_outputs: int | None = None,
        *,
        channels: int | Sequence[int] = (16, 32),
        kernel_size: int = 3,
        downsampling: str | None = "stride",
        upsampling: str = "transpose",
        normalization: str | None = None,
        n_residual_blocks: int = 0,
        activation: str = "silu",
        hidden_layer_sizes: int | Sequence[int] = (256,),
        dense: bool = True,
        decoder: str = "mirror",
        target_shape: Sequence[int] | None = None,
        linear_skip: bool = True,
    ) -> None:
        super().__init__()
        widths = check_widths("channels", channels)
        if not widths:
            raise ValueError("channels must hold at least one stage, got an empty sequence.")
        check_odd("kernel_size", kernel_size)
        check_choice("downsampling", downsampling, ("stride", "max_pool", "avg_pool", "unshuffle", None))
        check_choice("upsampling", upsampling, ("transpose", "resize", "shuffle"))
        check_choice("normalization", normalization, (None, *_NORMALIZATIONS))
        check_number("n_residual_blocks", n_residual_blocks, numbers.Integral, 0)
        activation = check_activation(activation)
        hidden = check_widths("hidden_layer_sizes", hidden_layer_sizes)
        check_choice("decoder", decoder, ("mirror", "dense"))
        check_choice("dense", dense, (True, False))
        check_choice("linear_skip", linear_skip, (True, False))
        if len(input_shape) != 3:
            raise ValueError(
                f"Conv needs images of shape (channels, height, width), got rows of shape {tuple(input_shape)}. "
                "ConvAutoencoder brings images of any layout into that shape."
            )
        self.input_shape = tuple(int(side) for side in input_shape)  # nn.Unflatten does not accept NumPy integers
        self.target_shape = (
            self.input_shape if target_shape is None else tuple(check_widths("target_shape", target_shape))
        )
        self.factor = self._find_factor()
        n_components = int(n_components)
        n_outputs = n_components if n_outputs is None else int(n_outputs)
        self._kernel_size, self._downsampling, self._upsampling = kernel_size, downsampling, upsampling
        self._normalization, self._activation = normalization, activation

        self.any_size = not dense and decoder == "mirror"
        self.stride = 2 ** len(widths) if downsampling else 1
        last_size = tuple(math.ceil(side / self.stride) for side in self.input_shape[1:])
        widths = [self.input_shape[0], *widths]
        stages: list[nn.Module] = []
        back: list[nn.Module] = []  # decoder layers, last one first
        for i, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
            blocks = [self._residual_block(n_out) for _ in range(n_residual_blocks)]
            stages += [*self._halve(n_in, n_out), *blocks]
            blocks = [self._residual_block(n_out) for _ in range(n_residual_blocks)]
            after = self._after(n_in) if i else []  # the output is linear
            n_back = n_in if i else self.target_shape[0] * self.factor**2
            back = [*blocks, *self._double(n_out, n_back), *after, *back]
        if self.factor > 1:
            back.append(_Enlarge(self.factor))
        self.halo = None if normalization == "group" else self._find_halo(len(widths) - 1, n_residual_blocks)

        last_shape = (widths[-1], *last_size)  # output shape of the last stage
        n_last, n_pixels = math.prod(last_shape), math.prod(self.target_shape)
        self.n_positions = 1 if dense else math.prod(last_size)
        if dense:
            to_code: list[nn.Module] = [_ToRow(), *dense_stack([n_last, *hidden, n_outputs], activation)]
        else:
            to_code = [nn.Conv2d(widths[-1], n_outputs, 1), *([] if self.any_size else [nn.Flatten()])]
        self.encoder = nn.Sequential(*stages, *to_code)
        if decoder == "dense":
            from_code: list[nn.Module] = [
                *dense_stack([n_components * self.n_positions, *reversed(hidden), n_pixels], activation)
            ]
            self.decoder = nn.Sequential(*from_code, nn.Unflatten(1, self.target_shape))
            last = from_code[-1]
        else:
            if dense:
                from_code = [*dense_stack([n_components, *reversed(hidden), n_last], activation)]
                from_code += [_FromRow(last_shape)]
            else:  # numbers of layers are names in files, where version 0.2 had a layer without weights first
                from_code = [nn.Identity(), nn.Conv2d(n_components, widths[-1], 1)]
            self.decoder = nn.Sequential(*from_code, ACTIVATIONS[activation](), *back)
            last = next(layer for layer in reversed(back) if hasattr(layer, "weight"))
        self.skip: LinearSkip | None = None
        if linear_skip and dense and self.target_shape == self.input_shape:
            self.skip = LinearSkip(self.input_shape, n_components, n_outputs)
        elif linear_skip and self.any_size:
            self.skip = BlockSkip(self.input_shape, n_components, n_outputs, self.stride)
        self.recolor: nn.Module | None = None  # channels of the target from those of the linear reconstruction
        if self.skip is not None and self.target_shape[0] != self.input_shape[0]:
            self.recolor = nn.Conv2d(self.input_shape[0], self.target_shape[0], 1)
            zero_(self.recolor)
            nn.init.constant_(self.recolor.weight, 1 / self.input_shape[0])
        if self.skip is not None:
            zero_(self.encoder[-1])
            zero_(last)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # a tenth faster on a CPU, more on a GPU

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "any_size" not in vars(self):
            self._update_from_0_2()

    def _update_from_0_2(self) -> None:
        """Bring a module of version 0.2, which had fixed sizes, to the layers of today."""
        self.target_shape, self.factor, self.recolor = self.input_shape, 1, None
        spatial = isinstance(self.encoder[-1], nn.Flatten)
        self.any_size = spatial and isinstance(self.decoder[0], nn.Unflatten)
        doubles = [layer for layer in self.decoder if isinstance(layer, nn.ConvTranspose2d | nn.Upsample)]
        n_stages = sum(isinstance(layer, nn.Conv2d) for layer in self.encoder) - spatial
        n_blocks = sum(isinstance(layer, _Residual) for layer in self.encoder) // max(1, n_stages)
        self.stride = 2**n_stages if self._downsampling else 1
        self.halo = None if self._normalization == "group" else self._find_halo(n_stages, n_blocks)
        if self.any_size:
            self.encoder = nn.Sequential(*list(self.encoder)[:-1])
            self.decoder[0] = nn.Identity()
        for layer in doubles:
            if isinstance(layer, nn.ConvTranspose2d):
                layer.output_padding = (1, 1)
            else:
                layer.size, layer.scale_factor = None, 2.0

    def _find_halo(self, n_stages: int, n_residual_blocks: int) -> int:
        """Return a bound on how far, in pixels, an output value is from the input values that it depends on."""
        # The linear maps and their interpolation, and a last block that is padded.
        radius, halo = self._kernel_size // 2, 2 * self.stride + 3 * (self.factor > 1)
        for stage in range(n_stages):
            fine = 2**stage if self._downsampling else 1
            coarse = 2 * fine if self._downsampling else 1
            to_code = radius * (coarse if self._downsampling == "unshuffle" else fine) + coarse
            from_code = (radius + 1) * coarse
            halo += to_code + from_code + 4 * n_residual_blocks * radius * coarse
        return halo

    def _find_factor(self) -> int:
        """Return how many times higher and wider than the input the target is."""
        (_, height, width), target = self.input_shape, list(self.target_shape[1:])
        factor = target[0] // height if len(target) == 2 else 0
        if factor < 1 or target != [factor * height, factor * width]:
            raise ValueError(
                f"target_shape={self.target_shape} must have the height and width of input_shape={self.input_shape}, "
                "or a whole multiple of both."
            )
        return factor

    def _after(self, width: int) -> list[nn.Module]:
        """Return the normalization and activation after a convolution."""
        normalization = [] if self._normalization is None else [_NORMALIZATIONS[self._normalization](width)]
        return [*normalization, ACTIVATIONS[self._activation]()]

    def _same(self, n_in: int, n_out: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(n_in, n_out, self._kernel_size, stride=stride, padding=self._kernel_size // 2)

    def _residual_block(self, width: int) -> nn.Module:
        last = self._same(width, width)
        zero_(last)  # the block starts as the identity, so that deep networks without normalization train steadily
        return _Residual(*self._after(width), self._same(width, width), *self._after(width), last)

    def _halve(self, n_in: int, n_out: int) -> list[nn.Module]:
        pooling: list[nn.Module] = []
        if self._downsampling == "max_pool":
            pooling = [nn.MaxPool2d(2, ceil_mode=True)]
        elif self._downsampling == "avg_pool":
            pooling = [nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)]
        if self._downsampling == "unshuffle":
            return [_Unshuffle(), self._same(4 * n_in, n_out), *self._after(n_out)]
        stride = 2 if self._downsampling == "stride" else 1
        return [self._same(n_in, n_out, stride), *self._after(n_out), *pooling]

    def _double(self, n_in: int, n_out: int) -> list[nn.Module]:
        """Return layers that map (n_in, h, w) to (n_out, 2h, 2w)."""
        if self._downsampling is None:
            return [self._same(n_in, n_out)]
        if self._upsampling == "resize":
            return [nn.Upsample(scale_factor=2), self._same(n_in, n_out)]
        if self._upsampling == "shuffle":
            return [self._same(n_in, 4 * n_out), nn.PixelShuffle(2)]
        k = self._kernel_size
        return [nn.ConvTranspose2d(n_in, n_out, k, stride=2, padding=k // 2, output_padding=1)]

    def encode(self, x: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to (n, n_outputs), or (n, n_outputs, h, w) for a spatial code.

        With a dense decoder a spatial code is (n, n_outputs * n_positions).
        """
        h = self.encoder(x.contiguous(memory_format=torch.channels_last))
        return h if self.skip is None else h + self.skip.encode(x)

    def decode(self, z: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Map codes, as `encode` returns them, to images of ``size``, (height, width); that of `input_shape` when None.

        Only a network of ``any_size`` takes another size, of which ``z`` has ⌈side / stride⌉ positions along each side.
        Where ``target_shape`` is a multiple of ``input_shape``, ``size`` is that of the input.
        """
        size = self.input_shape[1:] if size is None else size
        raw = self._decoded(z, size)
        return raw if self.skip is None else raw + self._linear_reconstruction(z, size)

    def _linear_reconstruction(self, z: Tensor, size: Sequence[int]) -> Tensor:
        assert self.skip is not None
        x_hat = self.skip.decode(z)
        if not self.any_size:
            return x_hat
        x_hat = _cropped(x_hat, size)
        x_hat = x_hat if self.recolor is None else self.recolor(x_hat)
        return x_hat if self.factor == 1 else F.interpolate(x_hat, scale_factor=self.factor, mode="bicubic")

    def _decoded(self, z: Tensor, size: Sequence[int]) -> Tensor:
        """Run the decoder, and crop after each doubling what goes beyond the image at that scale."""
        fine = self.stride
        for layer in self.decoder:
            if type(layer) not in (nn.ConvTranspose2d, nn.Upsample, nn.PixelShuffle):
                z = layer(z)
                continue
            fine //= 2
            wanted = [(side + fine - 1) // fine for side in size]
            if isinstance(layer, nn.ConvTranspose2d) and not torch.compiler.is_compiling():
                z = layer(z, wanted)  # to the bit as in version 0.2; of an exported program the size is not known
            else:
                z = _cropped(layer(z), wanted)
        return z

    def init_from(self, x: Tensor) -> bool:
        """Initialize the linear maps to the PCA of images or of their blocks; return whether there are any."""
        if self.skip is None:
            return False
        self.skip.init_from(x)
        return True


def _cropped(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return the first rows and columns of images."""
    if not torch.compiler.is_compiling() and tuple(x.shape[2:]) == tuple(size):
        return x
    return x.narrow(2, 0, size[0]).narrow(3, 0, size[1])


class _Enlarge(nn.PixelShuffle):
    """Channels as blocks of pixels, for a target that is larger than the input."""


class _Unshuffle(nn.Module):
    """Each 2 × 2 block of pixels as channels; an odd side is padded by its last pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(pad_to_multiple(x, 2), 2)


class _ToRow(nn.Module):
    """Flatten images position by position, which in channels-last memory format needs no copy."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class _FromRow(nn.Module):
    """Unflatten to images of ``shape``, (channels, height, width), undoing `_ToRow`."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        channels, height, width = shape
        self.shape = height, width, channels

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)


class _Residual(nn.Sequential):
    """Sequence of layers with a residual connection."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)
