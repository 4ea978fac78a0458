"""Methods of a fitted autoencoder as torch modules, in the user's units and layout."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .._data.images import ImageLayout
from .._data.sequences import SequenceLayout
from ..estimators._image_arguments import pooled


class Part(nn.Module):
    """Computation of `transform`, `inverse_transform` or `reconstruct`, on the CPU and in inference mode.

    Parameters
    ----------
    estimator : estimator object
        Fitted; its module is copied.
    keep_observed : bool
        Whether only missing values are reconstructed.
    dtype : torch.dtype
        Dtype of X. With float64 the mean is subtracted before values are rounded to float32.
    """

    #: Names of the input other than the condition, and of the outputs.
    input_name: str = "X"
    output_names: tuple[str, ...] = ("X_hat",)

    def __init__(self, estimator: Any, keep_observed: bool = False, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.layout: ImageLayout | SequenceLayout | None = getattr(estimator, "layout_", None)
        self.row_shape = tuple(estimator.input_shape_)
        self.keep_observed, self.dtype = keep_observed, dtype
        module = estimator.module_
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        self.module = copy.deepcopy(module, {} if device.type == "cpu" else _moved(module))
        self.module.noise = None  # not used in inference
        self.any_size = self._takes_any_size()
        if self.any_size:
            self.module.baseline = torch.zeros(())  # of no size that images may have
        if dtype == torch.float64:  # the exporter stores Python floats as float32
            self.module.mean, self.module.scale = (
                torch.as_tensor(value, dtype=dtype) for value in (module.mean, module.scale)
            )
        self.eval()

    @property
    def n_conditions(self) -> int:
        """Width of the condition; 0 if there is none."""
        return self.module.n_conditions

    @property
    def any_length(self) -> bool:
        """Whether samples are sequences of any length."""
        return self.input_name == "X" and self.module.reads_padding and len(self.row_shape) == 2

    def _takes_any_size(self) -> bool:
        """Whether images may have any height and width: not flat ones, nor with a mean for each missing pixel."""
        layout, module = self.layout, self.module
        is_plain = module.any_size and isinstance(layout, ImageLayout) and layout.row_shape == layout.image_shape
        return is_plain and module.empty is None and not (module.may_have_nan and module.baseline.any())

    @property
    def free_axes(self) -> dict[int, str]:
        """Axes of the first input that may have any length, but for the first, and their names."""
        if self.any_length:
            return {2 if isinstance(self.layout, SequenceLayout) else 1: "length"}
        if not (self.any_size and isinstance(self.layout, ImageLayout)):
            return {}
        return {axis: name for axis, name in enumerate(self.layout.axes, 1) if name != "channels"}

    @property
    def least_side(self) -> int | None:
        """Least side that a program is traced for; its graph takes smaller ones too."""
        return self.module.network.stride + 1 if self.any_size and self.input_name == "X" else None

    @property
    def needs_free_axes(self) -> bool:
        """Whether a graph for one size only would be of no use."""
        return isinstance(self.layout, ImageLayout) and self.layout.any_size

    def _example_shape(self) -> tuple[int, ...]:
        shape = list(self.row_shape)
        if self.any_size:  # no multiple of the stride, nor a square
            for k, axis in enumerate(self.free_axes):
                shape[axis - 1] = (3 + k) * self.module.network.stride + 1
        return tuple(shape)

    def examples(self) -> dict[str, Tensor]:
        """Return example inputs by name, of three samples, since the exporter would specialize on one."""
        dtype = torch.float32 if self.input_name == "Z" else self.dtype
        inputs = {self.input_name: torch.zeros(3, *self._example_shape(), dtype=dtype)}
        if self.n_conditions:
            inputs["condition"] = torch.zeros(3, self.n_conditions)
        return inputs

    def _arrange(self, x: Tensor) -> Tensor:
        return x if self.layout is None else self.layout.arrange(x)

    def _restore(self, x: Tensor) -> Tensor:
        x = x.float()
        return x if self.layout is None else self.layout.restore(x)


class Encoder(Part):
    """Encode X.

    Parameters
    ----------
    estimator, dtype : object
        As of `Part`.
    maps : bool
        Whether codes of images of any size are maps, rather than flat.
    """

    output_names = ("Z",)

    def __init__(self, estimator: Any, maps: bool = True, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(estimator, dtype=dtype)
        self.maps, self.pooling = maps and self.needs_free_axes, estimator.pooling

    @property
    def n_conditions(self) -> int:
        """0, since the encoder takes no condition."""
        return 0

    def forward(self, x: Tensor) -> Tensor:
        """Encode samples (n, *row_shape) to codes (n, n_codes), or maps (n, n_components, h, w)."""
        x = self._arrange(x)
        z, k = self.module.encode(x), self.module.n_components
        if self.pooling is not None:
            return pooled(z, k, self.pooling)
        return z.unflatten(1, (k, *self.module.code_size(x.shape[2:]))) if self.maps else z


class Decoder(Part):
    """Decode codes."""

    input_name = "Z"

    @property
    def free_axes(self) -> dict[int, str]:
        """Height and width of code maps."""
        return {2: "code_height", 3: "code_width"} if self.needs_free_axes else {}

    def _example_shape(self) -> tuple[int, ...]:
        return (self.module.n_components, 3, 4) if self.needs_free_axes else (self.module.n_codes,)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Decode codes (n, n_codes), or maps (n, n_components, h, w), to samples (n, *row_shape)."""
        size = [side * self.module.network.stride for side in z.shape[2:]] if self.needs_free_axes else None
        z = z.flatten(1)
        z = self.module.project(z) if self.module.bottleneck.discrete else z
        return self._restore(self.module.decode(z, c, size=size))


class Reconstruction(Part):
    """Reconstruct X."""

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Reconstruct samples (n, *row_shape)."""
        x_hat = self._restore(self.module.reconstruct(self._arrange(x), c))
        return torch.where(x.isnan(), x_hat, x) if self.keep_observed else x_hat


PARTS = {"encoder": Encoder, "decoder": Decoder, "reconstruct": Reconstruction}


def _moved(module: nn.Module) -> dict[int, Any]:
    """Return a memo for `copy.deepcopy` that maps the tensors of a module to copies on the CPU."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach().cpu(), p.requires_grad) for p in module.parameters()}
    return memo | {id(b): b.detach().cpu() for b in module.buffers()}
