"""Export of fitted autoencoders to ONNX, alone and within scikit-learn pipelines."""

from ._onnx import to_onnx
from ._skl2onnx import register_skl2onnx

__all__ = ["register_skl2onnx", "to_onnx"]
