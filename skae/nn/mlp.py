"""A dense network whose linear skip starts as PCA."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from .._threads import one_blas_thread
from .._validation import check_choice, check_number

_ACTIVATIONS = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
_NORMALIZATIONS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class MLP(nn.Module):
    r"""Multilayer perceptron: the decoder mirrors the encoder.

    With ``linear_skip`` either half is a linear map plus a network,

    .. math:: z = W_e x + b_e + f(x), \qquad \hat x = W_d z + b_d + g(z),

    where the last layers of f and g start at zero and `init_from` sets the linear maps to PCA,
    so that training starts from the best linear answer and learns what is left.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row; flattened for the first layer, restored after the last.
    n_components : int
        Latent size: the width that `decode` takes.
    n_outputs : int, default=None
        Width that `encode` gives; ``n_components`` when None.
    hidden_layer_sizes : sequence of int, default=(256, 128)
        Widths of f's hidden layers, from the data to the code; g has them reversed.
        ``()`` leaves linear maps.
    activation : {'silu', 'relu', 'gelu', 'elu', 'tanh', 'identity'}, default='silu'
        Function after each hidden layer. The code and the output stay linear.
    normalization : {None, 'batch', 'layer'}, default=None
        Normalisation before each activation.
    dropout : float, default=0.0
        Share of the hidden units dropped while training, in [0, 1).
    linear_skip : bool, default=True
        Whether the linear maps are there. Without them f and g start as torch's layers do.

    Examples
    --------
    >>> import torch
    >>> network = MLP(input_shape=(8, 8), n_components=3, hidden_layer_sizes=(32,))
    >>> z = network.encode(torch.zeros(5, 8, 8))
    >>> z.shape, network.decode(z).shape
    (torch.Size([5, 3]), torch.Size([5, 8, 8]))
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_components: int,
        n_outputs: int | None = None,
        *,
        hidden_layer_sizes: Sequence[int] = (256, 128),
        activation: str = "silu",
        normalization: str | None = None,
        dropout: float = 0.0,
        linear_skip: bool = True,
    ) -> None:
        super().__init__()
        check_choice("activation", activation, tuple(_ACTIVATIONS))
        check_choice("normalization", normalization, (None, *_NORMALIZATIONS))
        check_number("dropout", dropout, numbers.Real, 0, 1, bounds="left")
        if isinstance(hidden_layer_sizes, str) or not isinstance(hidden_layer_sizes, Iterable):
            raise TypeError(f"hidden_layer_sizes must be a sequence of integers, got {hidden_layer_sizes!r}.")
        hidden = list(hidden_layer_sizes)
        for width in hidden:
            check_number("every entry of hidden_layer_sizes", width, numbers.Integral, 1)
        self.input_shape = tuple(input_shape)
        n_features = math.prod(self.input_shape)
        n_outputs = n_components if n_outputs is None else n_outputs

        def stack(widths: list[int]) -> nn.Sequential:
            layers: list[nn.Module] = []
            for n_in, n_out in itertools.pairwise(widths[:-1]):
                layers.append(nn.Linear(n_in, n_out))
                if normalization is not None:
                    layers.append(_NORMALIZATIONS[normalization](n_out))
                layers.append(_ACTIVATIONS[activation]())
                if dropout:
                    layers.append(nn.Dropout(dropout))
            return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))

        self.encoder_skip = nn.Linear(n_features, n_outputs) if linear_skip else None
        self.decoder_skip = nn.Linear(n_components, n_features) if linear_skip else None
        # Without hidden layers the skip is all there is: a second linear map would only double it.
        nested = bool(hidden) or not linear_skip
        self.encoder = stack([n_features, *hidden, n_outputs]) if nested else None
        self.decoder = stack([n_components, *reversed(hidden), n_features]) if nested else None
        if linear_skip and nested:
            for half in (self.encoder, self.decoder):
                nn.init.zeros_(half[-1].weight)  # type: ignore[index,arg-type]
                nn.init.zeros_(half[-1].bias)  # type: ignore[index,arg-type]

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (n, *input_shape) to (n, n_outputs)."""
        return _sum(self.encoder_skip, self.encoder, x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (n, n_components) to (n, *input_shape)."""
        return _sum(self.decoder_skip, self.decoder, z).unflatten(1, self.input_shape)

    @torch.no_grad()
    def init_from(self, x: Tensor) -> bool:
        """Start the linear maps as the PCA of the rows ``x``, (n, *input_shape); return whether there are any.

        All components share one scale, which brings the codes to a mean square of 1 and keeps the
        geometry of PCA's. Components that the data do not have start at zero.
        """
        if self.encoder_skip is None or self.decoder_skip is None:
            return False
        rows = x.flatten(1).cpu().numpy()
        k = min(self.decoder_skip.in_features, *rows.shape)
        seed = int(torch.randint(2**31 - 1, ()))
        # Constant rows have no variance to divide by.
        with one_blas_thread(), np.errstate(invalid="ignore"):
            pca = PCA(k, random_state=seed).fit(rows)
        components = torch.from_numpy(pca.components_)
        mean = torch.from_numpy(pca.mean_)
        scale = float(pca.explained_variance_.mean()) ** 0.5
        if not scale > 1e-6:  # constant rows (or one of them): there is nothing to bring to 1
            scale = 1.0
        for skip in (self.encoder_skip, self.decoder_skip):
            nn.init.zeros_(skip.weight)
            nn.init.zeros_(skip.bias)
        self.encoder_skip.weight[:k] = components / scale
        self.encoder_skip.bias[:k] = -(components @ mean) / scale
        self.decoder_skip.weight[:, :k] = components.T * scale
        self.decoder_skip.bias.copy_(mean)
        return True


def _sum(skip: nn.Module | None, stack: nn.Module | None, x: Tensor) -> Tensor:
    if skip is None or stack is None:
        return (stack or skip)(x)  # type: ignore[misc]
    return skip(x) + stack(x)
