"""What networks for sequences share: lengths, positions, pooling, and the way from a row to its code and back."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .._utils.checks import check_number


def sequence_lengths(observed: Tensor) -> Tensor:
    """Length of each row of ``observed``, (n, L, channels): up to the last step with any value, and at least 1."""
    steps = torch.arange(1, observed.shape[1] + 1, device=observed.device)
    return (observed.any(2) * steps).amax(1).clamp(min=1)


def steps_inside(lengths: Tensor, n_steps: int) -> Tensor:
    """Mask (n, n_steps, 1): True for the steps that a row of that length has."""
    return (torch.arange(n_steps, device=lengths.device) < lengths[:, None]).unsqueeze(2)


def position_features(lengths: Tensor, n_steps: int, n_frequencies: int) -> Tensor:
    r"""Where each step lies in its row: t/T and sin, cos of :math:`k \pi t/T`, (n, n_steps, 1 + 2 n_frequencies)."""
    t = torch.arange(n_steps, device=lengths.device, dtype=torch.float32) / lengths[:, None]
    k = torch.arange(1, n_frequencies + 1, device=lengths.device)
    angle = math.pi * t[..., None] * k
    return torch.cat([t[..., None], angle.sin(), angle.cos()], dim=2)


def pool(h: Tensor, lengths: Tensor) -> Tensor:
    """Mean and maximum over the steps that a row has: (n, L, width) to (n, 2 width)."""
    outside = ~steps_inside(lengths, h.shape[1])
    mean = h.masked_fill(outside, 0.0).sum(1) / lengths[:, None]
    return torch.cat([mean, h.masked_fill(outside, -torch.inf).amax(1)], dim=1)


class SequenceNetwork(nn.Module):
    """A network that reads a row step by step up to its length, and writes one as long as it is told.

    Both halves are modules that map (n, L, n_in) and lengths (n,) to (n, L, width), whatever stands after a row's
    length. The encoder's steps are pooled into a code; the decoder is given the code and the position at each step.

    Parameters
    ----------
    input_shape : tuple of int
        (length, channels), or (length,) for one channel.
    n_components : int
        Latent size: the width that `decode` takes.
    n_outputs : int or None
        Width that `encode` gives; ``n_components`` when None.
    n_frequencies : int
        Number of sines, and of cosines, that tell the decoder the position.
    half : callable
        Makes an encoder or a decoder from its ``n_in``.
    width : int
        What a half gives for each step.
    """

    #: Steps without any value at the end of a row are padding to this network.
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
        """Map rows (n, L, channels) to (n, n_outputs).

        Parameters
        ----------
        x : Tensor of shape (n, L, channels), or (n, L) for one channel
            Rows of any length L; missing values are filled in.
        observed : bool Tensor of x's shape, default=None
            Where x has values; everywhere when None. Steps after a row's last value do not count.
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
            Says how long each row becomes, as in `encode`; as long as ``input_shape`` when None.
        """
        n_steps = self.input_shape[0] if observed is None else observed.shape[1]
        lengths = self._lengths(observed, z.shape[0], n_steps, z.device)
        position = position_features(lengths, n_steps, self.n_frequencies).to(z.dtype)
        told = torch.cat([z.unsqueeze(1).expand(-1, n_steps, -1), position], dim=2)
        x = self.output(self.decoder(told, lengths))
        return x.squeeze(2) if len(self.input_shape) == 1 else x

    def _with_channels(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2) if len(self.input_shape) == 1 else x

    def _lengths(self, observed: Tensor | None, n: int, n_steps: int, device: torch.device) -> Tensor:
        if observed is None:
            return torch.full((n,), n_steps, device=device)
        return sequence_lengths(self._with_channels(observed))


def ended(x: Tensor) -> Tensor:
    """True after the last step of every sequence in ``x``, (n, length) or (n, length, channels)."""
    known = ~x.isnan() if x.ndim == 2 else ~x.isnan().all(2)
    ended = known.flip(1).cumsum(1).flip(1) == 0
    return ended if x.ndim == 2 else ended[:, :, None]
