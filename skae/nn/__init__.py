"""Networks: modules with ``encode`` and ``decode``."""

from .conv import Conv
from .encoder_decoder import EncoderDecoder
from .gru import GRU
from .mlp import MLP
from .tcn import TCN

__all__ = ["GRU", "MLP", "TCN", "Conv", "EncoderDecoder"]
