"""The parts of a fitted autoencoder as modules from X, as the user has it, to what the method returns."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .._data.images import ImageLayout
from .._data.sequences import SequenceLayout


class Part(nn.Module):
    """What `transform`, `inverse_transform` or `reconstruct` compute, on the CPU and for inference.

    Parameters
    ----------
    estimator : Inference
        A fitted one; its module is copied.
    keep_observed : bool
        Whether only missing values are reconstructed.
    dtype : torch.dtype
        Of X. With float64 the mean is subtracted before values are rounded to float32.
    """

    #: Names of the inputs but for the condition, and of the output.
    reads, gives = "X", "X_hat"

    def __init__(self, estimator: Any, keep_observed: bool = False, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.layout: ImageLayout | SequenceLayout | None = getattr(estimator, "layout_", None)
        self.row_shape = tuple(estimator.input_shape_)
        self.keep_observed, self.dtype = keep_observed, dtype
        module = estimator.module_
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        self.module = copy.deepcopy(module, {} if device.type == "cpu" else _moved(module))
        self.module.noise = None  # it is for training
        if dtype == torch.float64:  # the exporter writes Python's floats as float32
            self.module.mean, self.module.scale = (
                torch.as_tensor(value, dtype=dtype) for value in (module.mean, module.scale)
            )
        self.eval()

    @property
    def told(self) -> int:
        """How many numbers the decoder is told of a row beside its code."""
        return self.module.n_conditions

    @property
    def any_length(self) -> bool:
        """Whether rows are sequences that may have any length."""
        return self.reads == "X" and self.module.reads_padding and len(self.row_shape) == 2

    @property
    def step_axis(self) -> int:
        """Along which sequences run in X."""
        return 2 if isinstance(self.layout, SequenceLayout) else 1

    def examples(self) -> dict[str, Tensor]:
        """Inputs to trace with, by name. Three rows: 1 would be taken for a constant."""
        shape = (self.module.n_codes,) if self.reads == "Z" else self.row_shape
        inputs = {self.reads: torch.zeros(3, *shape, dtype=torch.float32 if self.reads == "Z" else self.dtype)}
        if self.told:
            inputs["condition"] = torch.zeros(3, self.told)
        return inputs

    def _arrange(self, x: Tensor) -> Tensor:
        return x if self.layout is None else self.layout.arrange(x)

    def _restore(self, x: Tensor) -> Tensor:
        x = x.float()
        return x if self.layout is None else self.layout.restore(x)


class Encoder(Part):
    """From X to codes."""

    gives = "Z"

    @property
    def told(self) -> int:
        """Nothing."""
        return 0

    def forward(self, x: Tensor) -> Tensor:
        """Codes (n, n_codes) of rows (n, *row_shape)."""
        return self.module.encode(self._arrange(x))


class Decoder(Part):
    """From codes to rows of X."""

    reads = "Z"

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Rows (n, *row_shape) of codes (n, n_codes)."""
        z = self.module.project(z) if self.module.bottleneck.discrete else z
        return self._restore(self.module.decode(z, c))


class Reconstruction(Part):
    """From X to its reconstruction."""

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Rows (n, *row_shape) of rows."""
        x_hat = self._restore(self.module.reconstruct(self._arrange(x), c))
        return torch.where(x.isnan(), x_hat, x) if self.keep_observed else x_hat


PARTS = {"encoder": Encoder, "decoder": Decoder, "reconstruct": Reconstruction}


def _moved(module: nn.Module) -> dict[int, Any]:
    """What `copy.deepcopy` is to take for the tensors of a module: copies on the CPU, and none on the device."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach().cpu(), p.requires_grad) for p in module.parameters()}
    return memo | {id(b): b.detach().cpu() for b in module.buffers()}
