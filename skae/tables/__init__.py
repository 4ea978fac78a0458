"""Tables of numbers, categories and missing values: encoded, reconstructed, and synthesized."""

from ._encoder import TableEncoder

__all__ = ["TableEncoder"]
