"""A recurrent network for sequences."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .._utils.checks import check_choice, check_number
from .._utils.torch_compat import gru_layer, gru_weights
from ._sequence import SequenceNetwork, steps_inside


class GRU(SequenceNetwork):
    r"""Gated recurrent units that read a sequence, and others that write it.

    The encoder's states are pooled, by mean and maximum over the steps that a row has, and mapped to the code.
    The decoder is told at every step t of T the code, t/T and sines and cosines of :math:`k \pi t/T`; it does not
    read what it wrote, so errors do not add up. Steps without any value at the end of a row are padding: neither
    the code nor the steps before depend on them.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row: (length, channels), or (length,) for one channel.
    n_components : int
        Latent size: the width that `decode` takes.
    n_outputs : int, default=None
        Width that `encode` gives; ``n_components`` when None.
    hidden_size : int, default=64
        Units in each direction of a layer.
    n_layers : int, default=1
        Layers of the encoder, and of the decoder.
    bidirectional : bool, default=True
        Whether each layer reads from both ends.
    n_frequencies : int, default=8
        Number of k, from 1 on, in the sines and cosines. 0 leaves t/T.

    References
    ----------
    K. Cho, B. van Merriënboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk and Y. Bengio, 2014. Learning
    phrase representations using RNN encoder-decoder for statistical machine translation. EMNLP.

    Examples
    --------
    >>> import torch
    >>> network = GRU(input_shape=(20, 3), n_components=2, hidden_size=8)
    >>> x, observed = torch.zeros(5, 20, 3), torch.ones(5, 20, 3, dtype=torch.bool)
    >>> observed[0, 12:] = False  # the first row has 12 steps
    >>> z = network.encode(x, observed)
    >>> z.shape, network.decode(z, observed).shape
    (torch.Size([5, 2]), torch.Size([5, 20, 3]))
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_components: int,
        n_outputs: int | None = None,
        *,
        hidden_size: int = 64,
        n_layers: int = 1,
        bidirectional: bool = True,
        n_frequencies: int = 8,
    ) -> None:
        check_number("hidden_size", hidden_size, numbers.Integral, 1)
        check_number("n_layers", n_layers, numbers.Integral, 1)
        check_choice("bidirectional", bidirectional, (True, False))

        def half(n_in: int) -> nn.Module:
            # torch wants Python's own integers, and grids hold NumPy's.
            return _PackedGRU(
                int(n_in), int(hidden_size), int(n_layers), batch_first=True, bidirectional=bool(bidirectional)
            )

        width = hidden_size * (2 if bidirectional else 1)
        super().__init__(input_shape, n_components, n_outputs, n_frequencies, half, width)


class _PackedGRU(nn.GRU):
    """A GRU that stops, and starts backwards, at each row's length."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        if torch.compiler.is_exporting():
            return self._unpacked(x, lengths)
        if (lengths == x.shape[1]).all():  # the same, in half the time
            return super().forward(x)[0]
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def _unpacked(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The same in whole tensors, one layer and direction after the other: what is packed cannot be exported."""
        inside = steps_inside(lengths, x.shape[1])
        steps = torch.arange(x.shape[1], device=x.device)[:, None]
        # Each row mirrored up to its length. What comes after it is read last in either direction, so it tells nothing.
        mirrored = torch.where(inside, lengths[:, None, None] - 1 - steps, steps)
        n_ways = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            ways = []
            for way, weights in enumerate(gru_weights(self)[layer * n_ways : (layer + 1) * n_ways]):
                read = x.gather(1, mirrored.expand_as(x)) if way else x
                start = x.new_zeros(1, x.shape[0], self.hidden_size)
                h = gru_layer(read, start, weights)
                ways.append(h.gather(1, mirrored.expand_as(h)) if way else h)
            x = torch.cat(ways, 2)
        return x.masked_fill(~inside, 0.0)
