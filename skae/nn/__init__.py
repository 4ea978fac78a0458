"""Networks: modules with ``encode`` and ``decode``."""

from .mlp import MLP
from .pair import EncoderDecoder

__all__ = ["MLP", "EncoderDecoder"]
