"""The estimators."""

from .transformer import AutoencoderTransformer

__all__ = ["AutoencoderTransformer"]
