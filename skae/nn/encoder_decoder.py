"""A network composed of a separate encoder and decoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from .._utils.slots import build_module, check_names, select


class EncoderDecoder(nn.Module):
    """Network composed of a separate encoder and decoder.

    Parameters
    ----------
    encoder, decoder : nn.Module, or callable that returns one
        Modules are deep-copied. A class (or any callable) is called with those of ``input_shape``,
        ``n_components`` and ``n_outputs`` that are in its signature, and with its parameters from
        ``params``. The encoder maps ``(n, *input_shape)`` to (n, n_outputs), the decoder maps
        (n, n_components) to ``(n, *input_shape)``.
    input_shape : tuple of int
        Shape of one sample.
    n_components : int
        Latent size.
    n_outputs : int, default=None
        Output width of the encoder. If None, ``n_components``.
    **params
        Parameters ``encoder__<name>`` and ``decoder__<name>`` of classes.

    Examples
    --------
    >>> from torch import nn
    >>> from skae import AutoencoderTransformer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> ae = AutoencoderTransformer(
    ...     n_components=2, max_epochs=1, module=EncoderDecoder,
    ...     module__encoder=nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)),
    ...     module__decoder=nn.Linear(2, 4))
    >>> ae.fit_transform(X).shape
    (150, 2)
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(
        self,
        encoder: nn.Module | Callable[..., nn.Module],
        decoder: nn.Module | Callable[..., nn.Module],
        input_shape: Sequence[int],
        n_components: int,
        n_outputs: int | None = None,
        **params: Any,
    ) -> None:
        super().__init__()
        offered = {
            "input_shape": tuple(input_shape),
            "n_components": n_components,
            "n_outputs": n_components if n_outputs is None else n_outputs,
        }
        halves = {"encoder": encoder, "decoder": decoder}
        check_names({name.partition("__")[0] for name in params}, halves, type(self).__name__)
        for name, half in halves.items():
            given = select(params, name)
            if isinstance(half, nn.Module):
                check_names(given, (), f"an {name} that is a module already", f"{name}__")
                self.add_module(name, copy.deepcopy(half))
            else:
                self.add_module(name, build_module(half, offered, given, name))

    def encode(self, x: Tensor) -> Tensor:
        """Map samples ``(n, *input_shape)`` to (n, n_outputs)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (n, n_components) to ``(n, *input_shape)``."""
        return self.decoder(z)
