"""New textures of any size from exemplars, and photographs in the style of other images, by codes of autoencoders."""

from ._style import StyleTransfer
from ._synthesizer import TextureSynthesizer

__all__ = ["StyleTransfer", "TextureSynthesizer"]
