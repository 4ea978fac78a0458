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
    r"""Gated recurrent units (GRU) as encoder and decoder of sequences.

    The encoder's states are pooled, by mean and maximum over the steps of a sequence, and mapped to the code. The
    decoder's input at step t of T is the code, t/T and sines and cosines of :math:`k \pi t/T`; it is not
    autoregressive, so errors do not accumulate. Steps without any value at the end of a sequence are padding, which
    affects neither the code nor the reconstruction.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample: (length, channels), or (length,) for one channel.
    n_components : int
        Latent size: the input width of `decode`.
    n_outputs : int, default=None
        Output width of `encode`. If None, ``n_components``.
    hidden_size : int, default=64
        Number of hidden units per direction.
    n_layers : int, default=1
        Number of layers in the encoder, and in the decoder.
    bidirectional : bool, default=True
        Whether layers are bidirectional.
    n_frequencies : int, default=8
        Number of sine and cosine pairs, k = 1, ..., ``n_frequencies``. With 0 the position is t/T alone.

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
            # torch requires Python integers, and parameter grids may contain NumPy integers.
            return _PackedGRU(
                int(n_in), int(hidden_size), int(n_layers), batch_first=True, bidirectional=bool(bidirectional)
            )

        width = hidden_size * (2 if bidirectional else 1)
        super().__init__(input_shape, n_components, n_outputs, n_frequencies, half, width)


class _PackedGRU(nn.GRU):
    """GRU whose forward direction ends, and whose backward direction starts, at each sequence's length."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        if torch.compiler.is_exporting():
            return self._unpacked(x, lengths)
        if (lengths == x.shape[1]).all():  # packing would take twice as long
            return super().forward(x)[0]
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(super().forward(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def _unpacked(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Compute `forward` without packed sequences, which cannot be exported, layer by layer and per direction."""
        inside = steps_inside(lengths, x.shape[1])
        steps = torch.arange(x.shape[1], device=x.device)[:, None]
        # Each sequence is reversed up to its length, so that its padding is read last in either direction.
        mirrored = torch.where(inside, lengths[:, None, None] - 1 - steps, steps)
        n_directions = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            outputs = []
            for backward, weights in enumerate(gru_weights(self)[layer * n_directions : (layer + 1) * n_directions]):
                read = x.gather(1, mirrored.expand_as(x)) if backward else x
                start = x.new_zeros(1, x.shape[0], self.hidden_size)
                h = gru_layer(read, start, weights)
                outputs.append(h.gather(1, mirrored.expand_as(h)) if backward else h)
            x = torch.cat(outputs, 2)
        return x.masked_fill(~inside, 0.0)
