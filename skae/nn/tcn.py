"""A convolutional network for sequences."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

from torch import Tensor, nn

from .._utils.checks import check_number
from ._layers import ACTIVATIONS, check_activation, check_odd
from ._sequence import SequenceNetwork, steps_inside


class TCN(SequenceNetwork):
    r"""Temporal convolutional network (TCN): dilated convolutions as encoder and decoder of sequences.

    Layer i = 0, 1, ... is a residual convolution with dilation :math:`2^i`, so that each further layer doubles the
    receptive field of ``(kernel_size - 1) * (2**n_layers - 1) + 1`` steps. It is centered (in the paper, causal). The
    encoder's outputs are pooled, by mean and maximum over the steps of a sequence, and mapped to the code. The
    decoder's input at step t of T is the code, t/T and sines and cosines of :math:`k \pi t/T`. Steps without any value
    at the end of a sequence are padding, which affects neither the code nor the reconstruction.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample: (length, channels), or (length,) for one channel.
    n_components : int
        Latent size: the input width of `decode`.
    n_outputs : int, default=None
        Output width of `encode`. If None, ``n_components``.
    channels : int, default=64
        Number of channels in hidden layers.
    kernel_size : int, default=3
        Kernel size of the convolutions; odd.
    n_layers : int, default=4
        Number of convolutions in the encoder, and in the decoder, with dilations 1, 2, 4 and so on.
    activation : {'silu', 'relu', 'leaky_relu', 'gelu', 'elu', 'tanh', 'identity'}, default='silu'
        Activation function after each convolution; upper and lower case are equivalent. Code and output are linear.
    n_frequencies : int, default=8
        Number of sine and cosine pairs, k = 1, ..., ``n_frequencies``. With 0 the position is t/T alone.

    References
    ----------
    S. Bai, J. Z. Kolter and V. Koltun, 2018. An empirical evaluation of generic convolutional and recurrent
    networks for sequence modeling. arXiv:1803.01271.

    Examples
    --------
    >>> import torch
    >>> network = TCN(input_shape=(20, 3), n_components=2, channels=8)
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
        channels: int = 64,
        kernel_size: int = 3,
        n_layers: int = 4,
        activation: str = "silu",
        n_frequencies: int = 8,
    ) -> None:
        check_number("channels", channels, numbers.Integral, 1)
        check_odd("kernel_size", kernel_size)
        check_number("n_layers", n_layers, numbers.Integral, 1)
        activation = check_activation(activation)

        def half(n_in: int) -> nn.Module:
            return _Convolutions(n_in, channels, kernel_size, n_layers, activation)

        super().__init__(input_shape, n_components, n_outputs, n_frequencies, half, channels)


class _Convolutions(nn.Module):
    """Linear map of each step, followed by residual convolutions of increasing dilation."""

    def __init__(self, n_in: int, channels: int, kernel_size: int, n_layers: int, activation: str) -> None:
        super().__init__()
        self.first = nn.Linear(n_in, channels)
        self.layers = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel_size, padding="same", dilation=2**i) for i in range(n_layers)
        )
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        inside = steps_inside(lengths, x.shape[1])
        # The padding may contain NaN, so it is masked here, not multiplied by 0. Between layers values are finite.
        h = self.first(x.masked_fill(~inside, 0.0)).mT
        for layer in self.layers:
            h = h + self.activation(layer(h * inside.mT))
        return h.mT
