"""A network that predicts each integer of a code from those before it, in raster order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LARGEST_EMBEDDING = 16  # numbers that stand for the value of an integer; fewer where there are many integers
_MOST_FEATURES = 256


class _Masked(nn.Conv2d):
    """A convolution over the rows above and the positions to the left; with ``itself``, over its own position too."""

    mask: Tensor

    def __init__(self, n_in: int, n_out: int, kernel_size: int, *, itself: bool, groups: int = 1) -> None:
        super().__init__(n_in, n_out, kernel_size, padding=kernel_size // 2, groups=groups)
        center = kernel_size // 2
        mask = torch.zeros(1, 1, kernel_size, kernel_size)
        mask[..., :center, :] = 1
        mask[..., center, : center + itself] = 1
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding, groups=self.groups)


class _Heads(nn.Conv2d):
    """The hidden units of all integers of a position, each of which sees the integers before its own."""

    mask: Tensor

    def __init__(self, n_features: Sequence[int], width: int) -> None:
        super().__init__(sum(n_features) + 1, len(n_features) * width, 1)
        mask = torch.zeros(self.weight.shape)
        mask[:, -1] = 1
        for k in range(len(n_features)):
            mask[k * width : (k + 1) * width, : sum(n_features[:k])] = 1
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias)


class _Block(nn.Module):
    """A residual block: a masked convolution of each channel by itself, and a layer of hidden units at each position.

    It has no normalization, so that it can be computed in whole numbers, and starts as the identity.
    """

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.context = _Masked(width, width, kernel_size, itself=True, groups=width)
        self.hidden = nn.Conv2d(width, 2 * width, 1)
        self.out = nn.Conv2d(2 * width, width, 1)
        for value in self.out.parameters():
            nn.init.zeros_(value)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(F.relu(self.hidden(self.context(x))))


class RasterNet(nn.Module):
    """Predicts each integer from those of the positions above and to the left, and those before it at its own position.

    Parameters
    ----------
    n_levels : sequence of int
        Number of values of each of the integers at a position.
    size : (int, int) or None
        Height and width of the codes, for a bias at each position; None for codes of any size.
    n_layers : int
        Residual blocks.
    width, kernel_size : int
        Channels, and the side of the convolutions, which is odd.
    """

    def __init__(
        self, n_levels: Sequence[int], size: tuple[int, int] | None, n_layers: int, width: int, kernel_size: int
    ) -> None:
        super().__init__()
        n_integers = len(n_levels)
        most = max(2, min(_LARGEST_EMBEDDING, _MOST_FEATURES // n_integers))
        self.n_features = [min(n, most) for n in n_levels]
        self.embeddings = nn.ParameterList(
            nn.Parameter(_start_of_embedding(*sizes)) for sizes in zip(n_levels, self.n_features, strict=True)
        )
        self.first = _Masked(sum(self.n_features) + 1, width, kernel_size, itself=False)
        self.positions = None if size is None else nn.Parameter(torch.zeros(1, width, *size))
        self.blocks = nn.ModuleList(_Block(width, kernel_size) for _ in range(n_layers))
        n_hidden = width if n_integers <= 8 or not n_layers else max(16, 8 * width // n_integers)
        self.from_context = nn.Conv2d(width, n_integers * n_hidden, 1, bias=False)
        self.heads = _Heads(self.n_features, n_hidden)
        self.logits = nn.ModuleList(nn.Conv2d(n_hidden, n, 1) for n in n_levels)
        for layer in self.logits:
            nn.init.zeros_(next(layer.parameters()))  # the weight

    def start_from(self, symbols: np.ndarray) -> None:
        """Start with the frequencies of each integer's values in ``symbols`` (n, n_integers, h, w)."""
        with torch.no_grad():
            for k, layer in enumerate(self.logits):
                _, bias = layer.parameters()
                counts = np.bincount(symbols[:, k].ravel(), minlength=len(bias)) + 0.5
                bias.copy_(torch.from_numpy(np.log(counts / counts.max())))

    def embed(self, symbols: Tensor) -> Tensor:
        """Return the numbers that stand for symbols (n, n_integers, h, w), and ones, which tell where the border is."""
        parts = [F.embedding(symbols[:, k], table).movedim(3, 1) for k, table in enumerate(self.embeddings)]
        return torch.cat([*parts, torch.ones_like(parts[0][:, :1])], 1)

    def forward(self, symbols: Tensor, placed: Tensor | None = None) -> Tensor:
        """Return the negative log-likelihoods of symbols, (n,), in nats.

        ``placed`` (n,) holds 0 for codes that are taken without the biases of their positions.
        """
        embedded = self.embed(symbols)
        x = self.first(embedded)
        if self.positions is not None:
            x = x + (self.positions if placed is None else self.positions * placed[:, None, None, None])
        for block in self.blocks:
            x = block(x)
        hidden = F.relu(self.from_context(x) + self.heads(embedded)).chunk(len(self.logits), 1)
        losses = [
            F.cross_entropy(layer(part), symbols[:, k], reduction="none").sum((1, 2))
            for k, (layer, part) in enumerate(zip(self.logits, hidden, strict=True))
        ]
        return torch.stack(losses).sum(0)


def _start_of_embedding(n_levels: int, n_features: int) -> Tensor:
    """Return unit vectors; or, for more levels, the value, waves of it, and random numbers, which know no order."""
    if n_features == n_levels:
        return torch.eye(n_levels)
    value = torch.linspace(-1, 1, n_levels)[:, None]
    scales = math.pi * 2.0 ** torch.arange((n_features + 1) // 4)
    columns = [value, (value * scales).sin(), (value * scales).cos()]
    n_random = n_features - sum(column.shape[1] for column in columns)
    return torch.cat([*columns, torch.randn(n_levels, max(n_random, 0))], 1)[:, :n_features]
