"""The autoencoder: noise, network, bottleneck and loss as one torch module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._params import build, check_names
from .bottlenecks import Bottleneck
from .losses import Loss
from .noise import Noise


class Autoencoder(nn.Module):
    """``x → noise → network.encode → bottleneck → network.decode → loss.link → x̂``.

    It is built from recipes, and never changes them. The network sees conditioned values
    ``u = (x − mean) / scale``; `encode`, `decode` and `reconstruct` take and return the data's own units.

    Parameters
    ----------
    network : callable that returns an nn.Module, or nn.Module
        With ``encode`` and ``decode``. A callable is called with whichever of ``input_shape``,
        ``n_components`` and ``n_outputs`` its signature names, and ``network_params``; a module is copied.
    bottleneck, loss, noise : Bottleneck, Loss, Noise or None
        The other boxes; copied.
    input_shape : tuple of int
        Shape of one row.
    n_components : int
        Latent size.
    mean, scale : float
        The conditioning. Plain numbers rather than buffers: exact whatever the precision of the weights.
    network_params : dict
        The user's ``module__*``.
    """

    network: Any  # an nn.Module with encode and decode, which torch has no type for
    bottleneck: Any  # the parts are called and asked for methods of their own, such as code and link
    loss: Any
    noise: Any

    def __init__(
        self,
        network: nn.Module | Callable[..., nn.Module],
        bottleneck: Bottleneck,
        loss: Loss,
        noise: Noise | None,
        *,
        input_shape: Sequence[int],
        n_components: int,
        mean: float = 0.0,
        scale: float = 1.0,
        network_params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.bottleneck, self.loss, self.noise = copy.deepcopy(bottleneck), copy.deepcopy(loss), copy.deepcopy(noise)
        for part in (self.bottleneck, self.loss, self.noise):
            if part is not None:
                part.setup(n_components)
        self.input_shape, self.n_components = tuple(input_shape), n_components
        self.mean, self.scale = float(mean), float(scale)
        offered = {
            "input_shape": self.input_shape,
            "n_components": n_components,
            "n_outputs": self.bottleneck.n_outputs(n_components),
        }
        network_params = network_params or {}
        if isinstance(network, nn.Module):
            check_names(network_params, (), "a module that is built already", "module__")
            self.network = copy.deepcopy(network)
        else:
            self.network = build(network, offered, network_params, "module")
        self.network.float()
        self._check_network(offered["n_outputs"])
        self.train()  # a module that was handed over in evaluation mode is trained like any other

    @property
    def n_parameters(self) -> int:
        """Number of trainable values: about the multiplications that a row costs a dense network."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def _check_network(self, n_outputs: int) -> None:
        """Run two rows through the network, so that a shape that does not fit is told before training."""
        name = type(self.network).__name__
        for method in ("encode", "decode"):
            if not callable(getattr(self.network, method, None)):
                raise TypeError(f"module must have encode and decode, but {name} has no {method}.")
        self.network.eval()  # two rows must not count in running statistics
        like = next(self.network.parameters(), torch.zeros(()))
        h = self.network.encode(like.new_zeros(2, *self.input_shape))
        found = tuple(h.shape[1:]) if isinstance(h, Tensor) else type(h).__name__
        if found != (n_outputs,):
            raise ValueError(
                f"module: {name}.encode must map rows of shape {self.input_shape} to ({n_outputs},) "
                f"for n_components={self.n_components}, got {found}."
            )
        raw = self.network.decode(like.new_zeros(2, self.n_components))
        if raw.shape != (2, *self.input_shape):
            raise ValueError(
                f"module: {name}.decode must map 2 codes of shape ({self.n_components},) "
                f"to {(2, *self.input_shape)}, got {tuple(raw.shape)}."
            )

    @torch.no_grad()
    def init_from(self, u: Tensor) -> bool:
        """Give every part that has an ``init_from`` the conditioned rows ``u``, in the diagram's order.

        Returns whether the network's said that it is an answer now, which training has yet to better.
        """
        answers = False
        self.eval()
        if hasattr(self.noise, "init_from"):
            self.noise.init_from(u)
        if hasattr(self.network, "init_from") and self.loss.identity_link:
            answers = bool(self.network.init_from(u))
        if hasattr(self.bottleneck, "init_from"):
            self.bottleneck.init_from(self.network.encode(u))
        self.train()
        return answers

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run conditioned rows through the whole diagram.

        Returns
        -------
        raw, z, penalty : Tensor
            The decoder's output (n, *input_shape), the code (n, n_components), its penalty (n,).
        """
        noisy = u if self.noise is None else self.noise(u)
        z, penalty = self.bottleneck(self.network.encode(noisy))
        return self.network.decode(z), z, penalty

    def objective(self, output: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
        """Loss plus penalty of every row, (n,); ``target`` as `target` gives it."""
        raw, _, penalty = output
        return self.loss(raw, target) + penalty

    def condition(self, x: Tensor) -> Tensor:
        """Subtract the mean, divide by the scale: in the precision of ``x``, then float32."""
        return ((x - self.mean) / self.scale).float()

    def target(self, x: Tensor) -> Tensor:
        """What the loss compares with: conditioned values, or data within the loss's domain."""
        return self.condition(x) if self.loss.domain is None else x.float()

    def encode(self, x: Tensor) -> Tensor:
        """Deterministic codes (n, n_components) of rows in data units."""
        return self.bottleneck.code(self.network.encode(self.condition(x)))

    def decode(self, z: Tensor) -> Tensor:
        """Rows in data units from codes (n, n_components)."""
        x = self.loss.link(self.network.decode(z))
        return x if self.loss.domain is not None else x * self.scale + self.mean

    def reconstruct(self, x: Tensor) -> Tensor:
        """``decode(encode(x))``."""
        return self.decode(self.encode(x))

    def reconstruction_loss(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of every row against ``target``, (n,), deterministic, without penalty; for `in_data_units`."""
        raw = self.network.decode(self.encode(x))
        return self.loss(raw, self.target(target))

    def squared_error(self, x: Tensor, target: Tensor) -> Tensor:
        """The mean squared error of every row's reconstruction, (n,), in units of ``unit`` squared."""
        u_hat = self.loss.link(self.network.decode(self.encode(x)))
        return (u_hat - self.target(target)).square().flatten(1).mean(1)

    @property
    def unit(self) -> float:
        """What 1 in the loss's space is in the data's."""
        return self.scale if self.loss.domain is None else 1.0

    def in_data_units(self, value: Any) -> Any:
        """Express losses, a tensor or an array of them, in the data's own units."""
        return value if self.loss.domain is not None else self.loss.rescale(value, self.scale)
