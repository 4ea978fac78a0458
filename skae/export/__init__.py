"""Fitted autoencoders as ONNX files, alone and as steps of scikit-learn's pipelines."""

from ._onnx import to_onnx
from ._skl2onnx import register_skl2onnx

__all__ = ["register_skl2onnx", "to_onnx"]
