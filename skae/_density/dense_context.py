"""The networks of the probability model of a dense code, each for one channel, computed together."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_KNOWN = 64  # channels before its own that a network sees


class DenseNets(nn.Module):
    """A small network for each channel, which sees the channels before it.

    Parameters
    ----------
    n_channels, width : int
        Number of channels, and width of the hidden layers.
    n_beside : int
        Number of values beside the channels.
    largest : float
        Largest activation.
    """

    def __init__(self, n_channels: int, width: int, n_beside: int, largest: float) -> None:
        super().__init__()
        self.n_known, self.largest = min(n_channels - 1, MOST_KNOWN), largest
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in ((self.n_known + n_beside, width), (width, width), (width, 2)):
            bound = 1 / math.sqrt(n_in)
            self.weights.append(nn.Parameter(torch.empty(n_channels, n_out, n_in).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(n_channels, n_out).uniform_(-bound, bound)))
        nn.init.zeros_(self.weights[-1])
        nn.init.zeros_(self.biases[-1])

    def forward(self, seen: Tensor, beside: Tensor) -> Tensor:
        """Map channels (n, n_channels) and other values (n, n_beside) to (n, n_channels, 2)."""
        n_channels, k = seen.shape[1], self.n_known
        before = F.pad(seen, (k, 0))
        windows = torch.stack([before[:, c : c + k] for c in range(n_channels)])  # (n_channels, n, k)
        x = torch.cat([windows, beside.expand(n_channels, -1, -1)], 2)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
            x = F.hardtanh(x, 0, self.largest) if i < 2 else x
        return x.transpose(0, 1)

    def layers_of(self, channel: int) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of the network of a channel as those of convolutions."""
        layers = [(w[channel][:, :, None, None], b[channel]) for w, b in zip(self.weights, self.biases, strict=True)]
        weight, bias = layers[0]
        return [(weight[:, self.n_known - min(channel, self.n_known) :], bias), *layers[1:]]
