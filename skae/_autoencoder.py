"""The autoencoder: noise, network, bottleneck and loss as one torch module."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._params import build, check_names
from .bottlenecks import Bottleneck
from .losses import Loss
from .noise import Noise

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Autoencoder(nn.Module):
    """``x → noise → network.encode → bottleneck → network.decode → loss.link → x̂``.

    It is built from recipes, and never changes them. The network sees conditioned values
    ``u = (x − mean) / scale``; `encode`, `decode` and `reconstruct` take and return the data's own units.

    NaN in ``u`` marks a value that is not known. It enters the network as the mean of its feature, ``baseline`` (of a
    sequence, of its channel), and is left out of the loss. What a noise masks enters in the same way.

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
    missing : bool
        Whether there may be NaN anywhere. A network with ``reads_padding`` expects it after the end of short sequences
        in any case, and its ``encode`` and ``decode`` are told by ``observed``, True where a value is known.

    Attributes
    ----------
    n_codes : int
        Width of the code: ``n_components``, times the network's ``n_positions`` if its code is spatial.
    n_multiplications : int
        About the multiplications that a row costs: the network's weights, each as often as it is used.
    n_values : int
        The largest number of values that a layer makes of a row.
    """

    network: Any  # an nn.Module with encode and decode, which torch has no type for
    bottleneck: Any  # the parts are called and asked for methods of their own, such as code and link
    loss: Any
    noise: Any
    baseline: Tensor

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
        missing: bool = False,
    ) -> None:
        super().__init__()
        self.bottleneck, self.loss, self.noise = copy.deepcopy(bottleneck), copy.deepcopy(loss), copy.deepcopy(noise)
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
        self.n_codes = n_components * int(getattr(self.network, "n_positions", 1))
        for part in (self.bottleneck, self.loss, self.noise):
            if part is not None:
                part.setup(self.n_codes)
        self.reads_padding = bool(getattr(self.network, "reads_padding", False))
        self.missing = missing
        self._has_nan = missing or self.reads_padding
        if self._has_nan and "observed" not in inspect.signature(self.loss.forward).parameters:
            raise TypeError(
                f"loss={type(self.loss).__name__} cannot leave missing values out: its forward takes no ``observed``."
            )
        # Sequences may come in other lengths: there is one mean for each channel.
        self.register_buffer("baseline", torch.zeros(self.input_shape[1:] if self.reads_padding else self.input_shape))
        self._check_network(self.bottleneck.n_outputs(self.n_codes))
        self.train()  # a module that was handed over in evaluation mode is trained like any other

    @torch.no_grad()
    def _check_network(self, n_outputs: int) -> None:
        """Run two rows through the network: tell a shape that does not fit before training, and count."""
        name = type(self.network).__name__
        for method in ("encode", "decode"):
            if not callable(getattr(self.network, method, None)):
                raise TypeError(f"module must have encode and decode, but {name} has no {method}.")
        self.n_multiplications, self.n_values = 0, math.prod(self.input_shape)
        hooks = [module.register_forward_hook(self._count) for module in self.network.modules()]
        self.network.eval()  # two rows must not count in running statistics
        try:
            like = next(self.network.parameters(), torch.zeros(()))
            x = like.new_zeros(2, *self.input_shape)
            h = self._encode(x, self._observed(x))
            found = tuple(h.shape[1:]) if isinstance(h, Tensor) else type(h).__name__
            if found != (n_outputs,):
                raise ValueError(
                    f"module: {name}.encode must map rows of shape {self.input_shape} to ({n_outputs},) "
                    f"for n_components={self.n_components}{self._positions()}, got {found}."
                )
            raw = self._decode(like.new_zeros(2, self.n_codes), self._observed(x))
            if raw.shape != (2, *self.input_shape):
                raise ValueError(
                    f"module: {name}.decode must map 2 codes of shape ({self.n_codes},) "
                    f"to {(2, *self.input_shape)}, got {tuple(raw.shape)}."
                )
        finally:
            for hook in hooks:
                hook.remove()

    def _positions(self) -> str:
        return f" and its n_positions={self.n_codes // self.n_components}" if self.n_codes > self.n_components else ""

    def _count(self, module: nn.Module, args: tuple, output: Any) -> None:
        """Add what a layer costs that was called with two rows."""
        output = output[0] if isinstance(output, tuple) else output  # recurrent layers give their state too
        if not isinstance(output, Tensor):
            return
        n_uses = 1
        if isinstance(module, _CONVOLUTIONS):
            n_uses = math.prod(output.shape[2:])
        elif isinstance(module, _TRANSPOSED):
            n_uses = math.prod(args[0].shape[2:])
        elif isinstance(module, nn.Linear | nn.RNNBase):
            n_uses = math.prod(output.shape[1:-1])
        self.n_multiplications += n_uses * sum(p.numel() for p in module.parameters(recurse=False))
        self.n_values = max(self.n_values, output[:1].numel())

    @torch.no_grad()
    def init_from(self, u: Tensor) -> bool:
        """Give every part that has an ``init_from`` the conditioned rows ``u``, in the diagram's order.

        Returns whether the network's said that it is an answer now, which training has yet to better.
        """
        answers = False
        self.eval()
        over = tuple(range(u.ndim - self.baseline.ndim))
        self.baseline.copy_(u.nanmean(over).nan_to_num() if self._has_nan else u.mean(over))
        observed = self._observed(u)
        filled = self._fill(u)
        if hasattr(self.noise, "init_from"):
            self.noise.init_from(filled)
        if hasattr(self.network, "init_from") and self.loss.identity_link:
            answers = bool(self.network.init_from(filled))
        if hasattr(self.bottleneck, "init_from"):
            self.bottleneck.init_from(self._encode(filled, observed))
        self.train()
        return answers

    def corrupt(self, u: Tensor) -> Tensor:
        """Damage rows as `noise` does. What it masks enters as the mean; what is missing stays so."""
        noisy = self.noise.corrupt(self._fill(u))
        noisy = torch.where(noisy.isnan(), self.baseline, noisy)
        return torch.where(u.isnan(), u, noisy) if self._has_nan else noisy

    def _observed(self, u: Tensor) -> Tensor | None:
        """What a network that reads padding is told."""
        return ~u.isnan() if self.reads_padding else None

    def _fill(self, u: Tensor) -> Tensor:
        return torch.where(u.isnan(), self.baseline, u) if self._has_nan else u

    def _encode(self, filled: Tensor, observed: Tensor | None) -> Tensor:
        return self.network.encode(filled, observed) if self.reads_padding else self.network.encode(filled)

    def _decode(self, z: Tensor, observed: Tensor | None) -> Tensor:
        return self.network.decode(z, observed) if self.reads_padding else self.network.decode(z)

    def _loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """The loss of every row, (n,), without the values that are not known."""
        if not self._has_nan:
            return self.loss(raw, target)
        return self.loss(raw, target.nan_to_num(), ~target.isnan())

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run conditioned rows through the whole diagram.

        Returns
        -------
        raw, z, penalty : Tensor
            The decoder's output (n, *input_shape), the code (n, n_codes), its penalty (n,).
        """
        observed = self._observed(u)
        noisy = self.corrupt(u) if self.training and self.noise is not None else u
        z, penalty = self.bottleneck(self._encode(self._fill(noisy), observed))
        return self._decode(z, observed), z, penalty

    def objective(self, output: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
        """Loss plus penalty of every row, (n,); ``target`` as `target` gives it."""
        raw, _, penalty = output
        return self._loss(raw, target) + penalty

    def condition(self, x: Tensor) -> Tensor:
        """Subtract the mean, divide by the scale: in the precision of ``x``, then float32."""
        return ((x - self.mean) / self.scale).float()

    def target(self, x: Tensor) -> Tensor:
        """What the loss compares with: conditioned values, or data within the loss's domain."""
        return self.condition(x) if self.loss.domain is None else x.float()

    def encode(self, x: Tensor) -> Tensor:
        """Deterministic codes (n, n_codes) of rows in data units."""
        u = self.condition(x)
        return self.bottleneck.code(self._encode(self._fill(u), self._observed(u)))

    def decode(self, z: Tensor) -> Tensor:
        """Rows in data units from codes (n, n_codes); sequences in their full length."""
        return self._in_data_space(self._decode(z, None))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Rows in data units from rows in data units; NaN after the end of short sequences."""
        raw = self._raw(x)
        x_hat = self._in_data_space(raw)
        if self.reads_padding:
            x_hat = x_hat.masked_fill(_ended(x), torch.nan)
        return x_hat

    def reconstruction_loss(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss of every row against ``target``, (n,), deterministic, without penalty; for `in_data_units`."""
        return self._loss(self._raw(x), self.target(target))

    def squared_error(self, x: Tensor, target: Tensor) -> Tensor:
        """The sum of every row's squared errors, in units of ``unit`` squared, and the number of its values: (n, 2)."""
        target = self.target(target)
        error = (self.loss.link(self._raw(x)) - target).square().flatten(1)
        known = ~target.isnan().flatten(1) if self._has_nan else torch.ones_like(error, dtype=torch.bool)
        return torch.stack([torch.where(known, error, 0).sum(1), known.sum(1)], 1)

    def _raw(self, x: Tensor) -> Tensor:
        u = self.condition(x)
        observed = self._observed(u)
        return self._decode(self.bottleneck.code(self._encode(self._fill(u), observed)), observed)

    def _in_data_space(self, raw: Tensor) -> Tensor:
        x = self.loss.link(raw)
        return x if self.loss.domain is not None else x * self.scale + self.mean

    @property
    def unit(self) -> float:
        """What 1 in the loss's space is in the data's."""
        return self.scale if self.loss.domain is None else 1.0

    def in_data_units(self, value: Any) -> Any:
        """Express losses, a tensor or an array of them, in the data's own units."""
        return value if self.loss.domain is not None else self.loss.rescale(value, self.scale)


def _ended(x: Tensor) -> Tensor:
    """True after the last step of every sequence in ``x``, (n, length) or (n, length, channels)."""
    known = ~x.isnan() if x.ndim == 2 else ~x.isnan().all(2)
    ended = known.flip(1).cumsum(1).flip(1) == 0
    return ended if x.ndim == 2 else ended[:, :, None]
