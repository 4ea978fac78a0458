"""Recurrent layers as ONNX operators, which compute both directions and take the length of each sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.torch_compat import gru_weights


@torch.library.custom_op("skae::onnx_gru", mutates_args=())
def onnx_gru(
    x: Tensor, lengths: Tensor, weights: Tensor, recurrent: Tensor, biases: Tensor, hidden_size: int
) -> Tensor:
    """Stand for one layer in a traced graph: (n, L, n_in) and lengths (n,) to (n, L, n_directions * hidden_size)."""
    raise NotImplementedError("skae::onnx_gru is a placeholder for an ONNX node and cannot be run.")


@onnx_gru.register_fake
def _(x: Tensor, lengths: Tensor, weights: Tensor, recurrent: Tensor, biases: Tensor, hidden_size: int) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], weights.shape[0] * hidden_size)


def translations() -> dict[Any, Callable]:
    """Return the translation of `onnx_gru` to ONNX, for torch's exporter."""
    from onnx import TensorProto
    from onnxscript import opset18

    op: Any = opset18  # its type hints do not accept attributes by keyword

    def translate(x: Any, lengths: Any, weights: Any, recurrent: Any, biases: Any, hidden_size: int) -> Any:
        y, _ = op.GRU(
            op.Transpose(x, perm=[1, 0, 2]),  # ONNX expects the steps first
            weights,
            recurrent,
            biases,
            op.Cast(lengths, to=TensorProto.INT32),
            direction="bidirectional" if weights.shape[0] == 2 else "forward",
            hidden_size=hidden_size,
            linear_before_reset=1,  # as in torch
        )
        return op.Reshape(op.Transpose(y, perm=[2, 0, 1, 3]), op.Constant(value_ints=[0, 0, -1]))

    return {torch.ops.skae.onnx_gru.default: translate}


class TraceableGRU(nn.Module):
    """Replacement of `nn.GRU` for sequences of any length, with weights in the order of ONNX.

    Packed sequences do not exist in ONNX, and torch's own export unrolls all steps.
    """

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self.hidden_size, self.n_layers = gru.hidden_size, gru.num_layers
        n_ways = 2 if gru.bidirectional else 1
        for layer in range(gru.num_layers):
            ways = gru_weights(gru)[layer * n_ways : (layer + 1) * n_ways]
            w, r, b_w, b_r = (torch.stack([_reordered(way[i].detach()) for way in ways]) for i in range(4))
            for name, tensor in (("weights", w), ("recurrent", r), ("biases", torch.cat([b_w, b_r], 1))):
                self.register_buffer(f"{name}{layer}", tensor)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Compute the states (n, L, width) of sequences (n, L, n_in)."""
        for layer in range(self.n_layers):
            tensors = (getattr(self, f"{name}{layer}") for name in ("weights", "recurrent", "biases"))
            x = onnx_gru(x, lengths, *tensors, self.hidden_size)
        return x


def _reordered(tensor: Tensor) -> Tensor:
    """Reorder gates from torch (reset, update, new) to ONNX (update, reset, new)."""
    reset, update, new = tensor.chunk(3)
    return torch.cat([update, reset, new])


def make_traceable(module: nn.Module) -> None:
    """Replace the recurrent layers of skae's networks in ``module``."""
    from ..nn.gru import _PackedGRU

    for parent in [*module.modules()]:
        for name, child in parent.named_children():
            if type(child) is _PackedGRU:
                setattr(parent, name, TraceableGRU(child))
