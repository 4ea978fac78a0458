"""Base of networks for sequences: lengths, positions, pooling, encoding and decoding."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .._utils.checks import check_number


def sequence_lengths(observed: Tensor) -> Tensor:
    """Return the length of each sample, up to its last step with an ``observed`` value (n, L, channels); at least 1."""
    steps = torch.arange(1, observed.shape[1] + 1, device=observed.device)
    return (observed.any(2) * steps).amax(1).clamp(min=1)


def steps_inside(lengths: Tensor, n_steps: int) -> Tensor:
    """Return a mask (n, n_steps, 1) that is True for the steps before each length."""
    return (torch.arange(n_steps, device=lengths.device) < lengths[:, None]).unsqueeze(2)


def position_features(lengths: Tensor, n_steps: int, n_frequencies: int) -> Tensor:
    r"""Compute t/T and sin, cos of :math:`k \pi t/T` for each step t of T, (n, n_steps, 1 + 2 n_frequencies)."""
    t = torch.arange(n_steps, device=lengths.device, dtype=torch.float32) / lengths[:, None]
    k = torch.arange(1, n_frequencies + 1, device=lengths.device)
    angle = math.pi * t[..., None] * k
    return torch.cat([t[..., None], angle.sin(), angle.cos()], dim=2)


def pool(h: Tensor, lengths: Tensor) -> Tensor:
    """Compute mean and maximum over the steps before each length: (n, L, width) to (n, 2 width)."""
    outside = ~steps_inside(lengths, h.shape[1])
    mean = h.masked_fill(outside, 0.0).sum(1) / lengths[:, None]
    return torch.cat([mean, h.masked_fill(outside, -torch.inf).amax(1)], dim=1)


class SequenceNetwork(nn.Module):
    """Base class of networks for sequences of any length.

    Encoder and decoder map (n, L, n_in) and lengths (n,) to (n, L, width), and ignore steps after a sample's length.
    The encoder's outputs are pooled into a code; the decoder's input at each step is the code and the position.

    Parameters
    ----------
    input_shape : tuple of int
        (length, channels), or (length,) for one channel.
    n_components : int
        Latent size: the input width of `decode`.
    n_outputs : int or None
        Output width of `encode`. If None, ``n_components``.
    n_frequencies : int
        Number of sines, and of cosines, that encode the position.
    half : callable
        Returns an encoder or a decoder for its input width ``n_in``.
    width : int
        Output width of the encoder and of the decoder.
    """

    #: Whether steps without any value at the end of a sample are padding.
    reads_padding = True

    def __init__(
        self,
        input_shape: Sequence[int],
        n_components: int,
        n_outputs: int | None,
        n_frequencies: int,
        half: Callable[[int], nn.Module],
        width: int,
    ) -> None:
        super().__init__()
        check_number("n_frequencies", n_frequencies, numbers.Integral, 0)
        self.input_shape = tuple(input_shape)
        if len(self.input_shape) not in (1, 2):
            raise ValueError(
                f"{type(self).__name__} reads rows of shape (length,) or (length, channels), got {self.input_shape}."
            )
        n_channels = 1 if len(self.input_shape) == 1 else self.input_shape[1]
        self.n_frequencies = n_frequencies
        self.encoder = half(n_channels)
        self.code = nn.Linear(2 * width, n_components if n_outputs is None else n_outputs)
        self.decoder = half(n_components + 1 + 2 * n_frequencies)
        self.output = nn.Linear(width, n_channels)

    def encode(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Map sequences (n, L, channels) to (n, n_outputs).

        Parameters
        ----------
        x : Tensor of shape (n, L, channels), or (n, L) for one channel
            Sequences of any length L, without NaN.
        observed : bool Tensor of x's shape, default=None
            Mask of the known values. If None, all. Steps after the last known value are ignored.
        """
        x = self._with_channels(x)
        lengths = self._lengths(observed, x.shape[0], x.shape[1], x.device)
        return self.code(pool(self.encoder(x, lengths), lengths))

    def decode(self, z: Tensor, observed: Tensor | None = None) -> Tensor:
        """Map codes (n, n_components) to (n, L, channels).

        Parameters
        ----------
        z : Tensor of shape (n, n_components)
            Codes.
        observed : bool Tensor of shape (n, L, channels), or (n, L) for one channel, default=None
            Mask that defines the length of each sequence, as in `encode`. If None, that of ``input_shape``.
        """
        n_steps = self.input_shape[0] if observed is None else observed.shape[1]
        lengths = self._lengths(observed, z.shape[0], n_steps, z.device)
        position = position_features(lengths, n_steps, self.n_frequencies).to(z.dtype)
        inputs = torch.cat([z.unsqueeze(1).expand(-1, n_steps, -1), position], dim=2)
        x = self.output(self.decoder(inputs, lengths))
        return x.squeeze(2) if len(self.input_shape) == 1 else x

    def _with_channels(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2) if len(self.input_shape) == 1 else x

    def _lengths(self, observed: Tensor | None, n: int, n_steps: int, device: torch.device) -> Tensor:
        if observed is None:
            return torch.full((n,), n_steps, device=device)
        return sequence_lengths(self._with_channels(observed))


def ended(x: Tensor) -> Tensor:
    """Return a mask that is True after the last step of each sequence (n, length) or (n, length, channels)."""
    known = ~x.isnan() if x.ndim == 2 else ~x.isnan().all(2)
    ended = known.flip(1).cumsum(1).flip(1) == 0
    return ended if x.ndim == 2 else ended[:, :, None]
