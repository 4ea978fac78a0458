"""Networks: modules with ``encode`` and ``decode``."""

from .conv import Conv
from .gru import GRU
from .mlp import MLP
from .pair import EncoderDecoder
from .tcn import TCN

__all__ = ["GRU", "MLP", "TCN", "Conv", "EncoderDecoder"]
