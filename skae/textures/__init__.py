"""Texture synthesis and style transfer with codes of autoencoders."""

from ._style import StyleTransfer
from ._synthesizer import TextureSynthesizer

__all__ = ["StyleTransfer", "TextureSynthesizer"]
