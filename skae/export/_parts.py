"""Methods of a fitted autoencoder as torch modules, in the user's units and layout."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .._data.images import ImageLayout
from .._data.sequences import SequenceLayout


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

    #: Names of the input other than the condition, and of the output.
    input_name, output_name = "X", "X_hat"

    def __init__(self, estimator: Any, keep_observed: bool = False, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.layout: ImageLayout | SequenceLayout | None = getattr(estimator, "layout_", None)
        self.row_shape = tuple(estimator.input_shape_)
        self.keep_observed, self.dtype = keep_observed, dtype
        module = estimator.module_
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        self.module = copy.deepcopy(module, {} if device.type == "cpu" else _moved(module))
        self.module.noise = None  # not used in inference
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

    @property
    def step_axis(self) -> int:
        """Time axis of X."""
        return 2 if isinstance(self.layout, SequenceLayout) else 1

    def examples(self) -> dict[str, Tensor]:
        """Return example inputs by name, of three samples, since the exporter would specialize on one."""
        is_code = self.input_name == "Z"
        shape = (self.module.n_codes,) if is_code else self.row_shape
        inputs = {self.input_name: torch.zeros(3, *shape, dtype=torch.float32 if is_code else self.dtype)}
        if self.n_conditions:
            inputs["condition"] = torch.zeros(3, self.n_conditions)
        return inputs

    def _arrange(self, x: Tensor) -> Tensor:
        return x if self.layout is None else self.layout.arrange(x)

    def _restore(self, x: Tensor) -> Tensor:
        x = x.float()
        return x if self.layout is None else self.layout.restore(x)


class Encoder(Part):
    """Encode X."""

    output_name = "Z"

    @property
    def n_conditions(self) -> int:
        """0, since the encoder takes no condition."""
        return 0

    def forward(self, x: Tensor) -> Tensor:
        """Encode samples (n, *row_shape) to codes (n, n_codes)."""
        return self.module.encode(self._arrange(x))


class Decoder(Part):
    """Decode codes."""

    input_name = "Z"

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Decode codes (n, n_codes) to samples (n, *row_shape)."""
        z = self.module.project(z) if self.module.bottleneck.discrete else z
        return self._restore(self.module.decode(z, c))


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
