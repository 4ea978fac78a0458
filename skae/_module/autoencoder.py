"""The autoencoder: noise, network, bottleneck and loss as one torch module."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._data.pca import Samples
from .._utils.slots import build_module, check_names
from ..bottlenecks import Bottleneck
from ..losses import Loss
from ..nn._layers import LinearSkip
from ..nn._sequence import ended
from ..noise import Noise
from .inspection import Costs, inspect_network, spares_input

_LOSS_ROWS = 4096  # that a loss starts from
_LEAST_SHARE = 1e-6  # of hidden values, where a mask has hidden none
_STANDARDIZED = 2**17  # values standardized at once: what is float64 on the way stays in the caches


class Autoencoder(nn.Module):
    """``x → noise → network.encode → bottleneck → network.decode → loss.link → x̂``.

    It is built from recipes, and never changes them. The network sees standardized values
    ``u = (x − mean) / scale``; `encode`, `decode` and `reconstruct` take and return the data's own units.

    Means are subtracted, and added again, in float64, so the levels of the features cost no digits. There is one mean
    for each feature; for a spatial code there is one for each channel, so that every position is treated alike.

    NaN in ``u`` marks a value that is not known. It enters the network as the mean of its feature, ``baseline`` (of a
    sequence, of its channel), and is left out of the loss. What a noise masks enters in the same way.

    Parameters
    ----------
    network : callable that returns an nn.Module, or nn.Module
        With ``encode`` and ``decode``. A callable is called with whichever of ``input_shape``,
        ``n_components`` and ``n_outputs`` its signature names, and ``network_params``; a module is copied.
    bottleneck, loss, noise : Bottleneck, Loss, Noise or None
        The other boxes; copied.
    input_shape, n_components : tuple of int, int
        Shape of one row, and latent size.
    mean : ndarray that broadcasts to ``input_shape``, or float, default=0.0
        What is subtracted from each feature. One number, as in models of version 0.2, is subtracted in the precision
        of X.
    scale : float, default=1.0
        The standard deviation about ``mean``. Neither it nor ``mean`` is a buffer: they are exact whatever the
        precision of the weights.
    network_params : dict
        The user's ``module__*``.
    missing : bool
        Whether there may be NaN anywhere. A network with ``reads_padding`` expects it after the end of short sequences
        in any case, and its ``encode`` and ``decode`` are told by ``observed``, True where a value is known.
    empty_features : sequence of int
        Flat indices of the features (of a sequence, the channels) that had no known value in training. What they hold
        later is missing all the same, since the network knows nothing of it, and they are decoded as 0.
    n_conditions : int
        Numbers that the decoder is told of a row beside its code; the network is built for so many more components.
    precision : {'float32', 'bf16'}
        Of the network's own arithmetic in training.
    returns_double : bool
        Whether X was given in a precision beyond float32, so that decoded codes should be float64 as well.
    costs : Costs, default=None
        What `inspect_network` found of the same network before; it is asked when None.

    Attributes
    ----------
    n_codes : int
        Width of the code: ``n_components``, times the network's ``n_positions`` if its code is spatial.
    n_weights : int
        Number of weights.
    n_multiplications : int
        About the multiplications that a row costs: the network's weights, each as often as it is used.
    n_values : int
        The largest number of values that a layer makes of a row.
    """

    network: Any  # an nn.Module with encode and decode, which torch has no type for
    bottleneck: Any  # the parts are called and asked for methods of their own, such as code and link
    loss: Any
    noise: Any
    mean: Tensor | float
    baseline: Tensor
    returns_double = False  # in pickles of version 0.2
    n_weights = 0  # there too
    empty: Tensor | None  # a buffer only where there is such a feature: other models have the arrays of 0.2

    def __init__(
        self,
        network: nn.Module | Callable[..., nn.Module],
        bottleneck: Bottleneck,
        loss: Loss,
        noise: Noise | None,
        *,
        input_shape: Sequence[int],
        n_components: int,
        mean: np.ndarray | float = 0.0,
        scale: float = 1.0,
        network_params: Mapping[str, Any] | None = None,
        missing: bool = False,
        empty_features: Sequence[int] = (),
        n_conditions: int = 0,
        precision: str = "float32",
        returns_double: bool = False,
        costs: Costs | None = None,
    ) -> None:
        super().__init__()
        self.bottleneck, self.loss, self.noise = copy.deepcopy((bottleneck, loss, noise))
        self.input_shape, self.n_components = tuple(input_shape), n_components
        self.n_conditions, self.precision, self.returns_double = n_conditions, precision, returns_double
        offered = {
            "input_shape": self.input_shape,
            "n_components": n_components + n_conditions,
            "n_outputs": self.bottleneck.n_outputs(n_components),
        }
        if isinstance(network, nn.Module):
            check_names(network_params or {}, (), "a module that is built already", "module__")
            self.network = copy.deepcopy(network)
        else:
            self.network = build_module(network, offered, network_params or {}, "module")
        self.network.float()
        self._spares_input = spares_input(self.network)
        self.n_codes = n_components * int(getattr(self.network, "n_positions", 1))
        for part in (self.bottleneck, self.loss, self.noise):
            if part is not None:
                part.setup(self.n_codes)
        self.reads_padding = bool(getattr(self.network, "reads_padding", False))
        self.missing, self.may_have_nan = missing, missing or self.reads_padding or bool(empty_features)
        if noise is not None and noise.hidden_only and not self.loss_takes_observed:
            raise TypeError(
                f"noise: hidden_only=True needs a loss that can leave values out, and the forward of "
                f"loss={type(self.loss).__name__} takes no ``observed``."
            )
        if self.may_have_nan and not self.loss_takes_observed:
            raise TypeError(
                f"loss={type(self.loss).__name__} cannot leave missing values out: its forward takes no ``observed``."
            )
        # Sequences may come in other lengths: there is one mean for each channel.
        self.register_buffer("baseline", torch.zeros(self.input_shape[1:] if self.reads_padding else self.input_shape))
        self._set_scaling(mean, scale)
        self.register_buffer("empty", _mask(self.baseline.shape, empty_features) if empty_features else None)
        self.n_weights = sum(p.numel() for p in self.parameters())
        costs = inspect_network(self) if costs is None else costs
        self.n_multiplications, self.n_values = costs.n_multiplications, costs.n_values
        self.train()  # a module that was handed over in evaluation mode is trained like any other

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if not hasattr(self, "empty"):  # as in pickles of version 0.2
            self.register_buffer("empty", None)

    def _set_scaling(self, mean: Any, scale: float) -> None:
        if np.ndim(mean) == 0:
            self.mean, self.scale = float(mean), float(scale)
            return
        mean = np.array(mean, dtype=np.float64)  # a copy: what was read from a file may not be writable
        if np.broadcast_shapes(mean.shape, self.input_shape) != self.input_shape:
            raise ValueError(f"mean must broadcast to rows of shape {self.input_shape}, got the shape {mean.shape}.")
        if self.n_codes > self.n_components and mean.ndim > 1:
            channels = mean.mean(axis=tuple(range(1, mean.ndim)), keepdims=True)
            between = mean - channels
            scale = float(np.sqrt(scale**2 + np.square(between).mean()))
            self.baseline.copy_(torch.from_numpy(np.broadcast_to(between / scale, self.input_shape).copy()))
            mean = channels
        self.mean, self.scale = torch.from_numpy(mean), float(scale)

    @torch.no_grad()
    def init_from(self, u: Tensor, c: Tensor | None = None, samples: Samples | None = None) -> bool:
        """Give every part that has an ``init_from`` standardized samples, in the diagram's order.

        Parameters
        ----------
        u : Tensor of shape (n, *input_shape)
            Samples for all parts; a random part of the training data where these are many or weighted.
        c : Tensor of shape (n, n_conditions), default=None
            Their conditions.
        samples : Samples, default=None
            All samples with their weights, NaN filled, for the linear maps of our own networks; ``u`` when None.

        Returns
        -------
        answers : bool
            Whether the network's ``init_from`` returned that it is an answer now, on which training has to improve.
        """
        answers = False
        self.eval()
        if isinstance(self.mean, float):  # features then have means of their own
            over = tuple(range(u.ndim - self.baseline.ndim))
            self.baseline.copy_(u.nanmean(over).nan_to_num() if self.may_have_nan else u.mean(over))
        observed = self._observed(u)
        filled = self._fill(u)
        if hasattr(self.noise, "init_from"):
            self.noise.init_from(filled)

        def data_for(method: Any) -> Any:
            return samples if samples is not None and method.__module__.startswith("skae.") else filled

        skip = getattr(self.network, "skip", None)  # the attribute of networks that have one, as LinearSkip says
        if self.loss.identity_link and isinstance(skip, LinearSkip) and hasattr(self.bottleneck, "init_skip"):
            self.bottleneck.init_skip(skip, data_for(self.bottleneck.init_skip))
            answers = True
        elif self.loss.identity_link and hasattr(self.network, "init_from"):
            answers = bool(self.network.init_from(data_for(self.network.init_from)))
        if hasattr(self.bottleneck, "init_from"):
            self.bottleneck.init_from(self._encode(filled, observed))
        if type(self.loss).init_from is not Loss.init_from:
            some = slice(None, None, math.ceil(len(u) / _LOSS_ROWS))
            self._init_loss(u[some], None if c is None else c[some])
        self.train()
        return answers

    def _init_loss(self, u: Tensor, c: Tensor | None) -> None:
        raw = self(u, c)[0]
        target = u if self.loss.domain is None else self._in_data_units(u).float()
        target = target.repeat(len(raw) // len(u), *[1] * (u.ndim - 1))
        observed = ~target.isnan() if self.may_have_nan else None
        self.loss.init_from(raw, target.nan_to_num() if self.may_have_nan else target, observed)

    @property
    def loss_takes_observed(self) -> bool:
        """Whether the loss can leave values out."""
        return "observed" in inspect.signature(self.loss.forward).parameters

    def corrupt(self, u: Tensor) -> Tensor:
        """Corrupt samples as `noise` does. What it masks enters as the mean; what is missing stays so."""
        return self.corrupt_and_hide(u)[0]

    def corrupt_and_hide(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and True where a known value has been masked."""
        noisy = self.noise.corrupt(self._fill(u))
        hidden = noisy.isnan()
        noisy = torch.where(hidden, self.baseline, noisy)
        if not self.may_have_nan:
            return noisy, hidden
        missing = u.isnan()
        return torch.where(missing, u, noisy), hidden & ~missing

    def _observed(self, u: Tensor) -> Tensor | None:
        """What a network that reads padding is told."""
        return ~u.isnan() if self.reads_padding else None

    def _fill(self, u: Tensor) -> Tensor:
        return torch.where(u.isnan(), self.baseline, u) if self.may_have_nan else u

    def _encode(self, filled: Tensor, observed: Tensor | None) -> Tensor:
        return self._run(self.network.encode, filled, observed)

    def _decode(self, z: Tensor, observed: Tensor | None, c: Tensor | None) -> Tensor:
        return self._run(self.network.decode, self._widened(z, c), observed)

    def _run(self, half: Callable[..., Tensor], x: Tensor, observed: Tensor | None) -> Tensor:
        """One half of the network; ``observed`` is for one that reads padding."""
        x = x if self._spares_input else x.clone()
        args = (x, observed) if self.reads_padding else (x,)
        if self.precision == "float32" or not self.network.training:
            return half(*args)
        # Every weight is used once in a pass, so that there is nothing to keep a second copy of.
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            return half(*args).float()

    def _widened(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Codes with what the decoder is told beside them: at every position, where they are spatial."""
        n_positions = self.n_codes // self.n_components
        return z if c is None else torch.cat([z, c.to(z).repeat_interleave(n_positions, 1)], 1)

    def _loss(self, raw: Tensor, target: Tensor, partial: bool = False) -> Tensor:
        """The loss of every sample, (n,), without NaN in ``target``; ``partial`` where it may hold some."""
        if partial or self.may_have_nan:
            return self.loss(raw, target.nan_to_num(), ~target.isnan())
        return self.loss(raw, target)

    def forward(self, u: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Run standardized samples through the whole diagram, the decoder being told ``c``, (n, n_conditions).

        Returns
        -------
        raw, z, penalty : Tensor
            The decoder's output (n, *input_shape), the code (n, n_codes), its penalty (n,). A bottleneck that gives k
            codes for each row makes k · n of them.
        hidden : Tensor, only while training with a noise of ``hidden_only``
            True where the noise has masked a known value; of the shape of ``u``.
        """
        observed, noisy, hidden = self._observed(u), u, None
        if self.training and self.noise is not None:
            noisy, hidden = self.corrupt_and_hide(u)
        z, penalty = self.bottleneck(self._encode(self._fill(noisy), observed))
        k = z.shape[0] // u.shape[0]  # `len` would fix the number of rows in an exported program
        if k > 1:
            c = None if c is None else c.repeat(k, 1)
            observed = None if observed is None else observed.repeat(k, *[1] * (u.ndim - 1))
        raw = self._decode(z, observed, c)
        if hidden is not None and self.noise.hidden_only:
            return raw, z, penalty, hidden
        return raw, z, penalty

    def objective(
        self, output: tuple[Tensor, ...], target: Tensor, hidden_share: float | Tensor | None = None
    ) -> Tensor:
        """Loss plus penalty of every sample, (n,); ``target`` as `target` gives it.

        Where ``target`` has only the values that a noise has hidden, ``hidden_share`` is their share of the known ones:
        the loss is divided by it, and stands beside the penalty as that of all values would.

        Of k codes for each sample minus the log of the mean of their exponentials, the bound of Burda et al. (2016).
        """
        raw, _, penalty, *hidden = output
        k = len(raw) // len(target)
        if hidden:
            known = ~target.isnan()
            hidden_share = ((hidden[0] & known).sum() / known.sum()).clamp(min=_LEAST_SHARE)
            target = target.masked_fill(~hidden[0], torch.nan)
        target = target if k == 1 else target.repeat(k, *[1] * (target.ndim - 1))
        objective = self._loss(raw, target, hidden_share is not None)
        if hidden_share is not None:
            objective = objective / hidden_share
        if self.bottleneck.has_penalty:
            objective = objective + penalty
        return objective if k == 1 else math.log(k) - torch.logsumexp(-objective.view(k, -1), 0)

    def mean_objective(self, output: tuple[Tensor, ...], target: Tensor) -> Tensor:
        """The mean of `objective`, with fewer operations where it is a sum over all values."""
        plain = not (self.may_have_nan or self.bottleneck.has_penalty) and len(output[0]) == len(target)
        plain = plain and len(output) == 3
        return self.loss.total(output[0], target) / len(target) if plain else self.objective(output, target).mean()

    def standardize(self, x: Tensor) -> Tensor:
        """Subtract the means, divide by the scale: in float64, then float32."""
        step = max(1, _STANDARDIZED // max(1, math.prod(x.shape[1:])))
        if torch.compiler.is_compiling() or x.device.type != "cpu" or len(x) <= step:
            return self._standardize(x).float()
        u = torch.empty(x.shape, dtype=torch.float32)
        for start in range(0, len(x), step):
            s = slice(start, start + step)
            u[s] = self._standardize(x[s])
        return u

    def _standardize(self, x: Tensor) -> Tensor:
        if isinstance(self.mean, float):
            return self._without_empty((x - self.mean) / self.scale)
        centered = torch.sub(x, self.mean.to(x.device))  # float64, and no one else's
        return self._without_empty(centered.div_(self.scale))

    def _in_data_units(self, u: Tensor) -> Tensor:
        """Standardized values in the data's own units, float64; float32 in models of version 0.2."""
        if isinstance(self.mean, float):
            return u * self.scale + self.mean
        return u.double() * self.scale + self.mean.to(u.device)

    def target(self, x: Tensor) -> Tensor:
        """What the loss compares with: standardized values, or data within the loss's domain."""
        return self.standardize(x) if self.loss.domain is None else self._without_empty(x.float())

    def _without_empty(self, x: Tensor) -> Tensor:
        """Values of features that are known of no training sample count as missing."""
        return x if self.empty is None else x.masked_fill(self.empty.to(x.device), torch.nan)

    def count_known(self, x: Tensor) -> Tensor:
        """The number of values of every row in data units that its loss compares with, (n,)."""
        return (~self.target(x).isnan()).flatten(1).sum(1)

    def encode(self, x: Tensor) -> Tensor:
        """Deterministic codes (n, n_codes) of rows in data units."""
        return self.bottleneck.code(self.outputs(x))

    @property
    def is_variational(self) -> bool:
        """Whether codes are distributions."""
        return hasattr(self.bottleneck, "distribution")

    def distribution(self, x: Tensor) -> Tensor:
        """Mean and standard deviation of the codes of rows in data units, (n, 2, n_codes)."""
        mean, log_variance = self.bottleneck.distribution(self.outputs(x))
        return torch.stack([mean, (log_variance / 2).exp()], 1)

    def decode(self, z: Tensor, c: Tensor | None = None, like: Tensor | None = None, *, noisy: bool = False) -> Tensor:
        """Rows in data units from codes (n, n_codes).

        Sequences have their full length, or that of the rows ``like``, with NaN after their end. ``noisy`` rows are
        drawn from the likelihood, rather than being its centre.
        """
        raw = self._decode(z, None if like is None else self._observed(like), c)
        x_hat = self.loss.sample(raw) if noisy else self.loss.link(raw)
        x_hat = x_hat if self.loss.domain is not None else self._in_data_units(x_hat)
        if self.empty is not None:
            x_hat = x_hat.masked_fill(self.empty, 0)
        if self.reads_padding and like is not None:
            x_hat = x_hat.masked_fill(ended(like), torch.nan)
        return x_hat

    def reconstruct(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Rows in data units from rows in data units; NaN after the end of short sequences."""
        return self.decode(self.encode(x), c, x)

    def reconstruction_loss(self, x: Tensor, target: Tensor, c: Tensor | None = None) -> Tensor:
        """The loss of every row against ``target``, (n,), deterministic, without penalty; for `in_data_units`."""
        return self._loss(self._raw(x, c), self.target(target))

    def squared_error(self, x: Tensor, target: Tensor, c: Tensor | None = None) -> Tensor:
        """The sum of every row's squared errors, in units of ``unit`` squared, and the number of its values: (n, 2)."""
        # In float64, as `reconstruct` puts values together: an error may be far smaller than float32's steps.
        target = self._standardize(target) if self.loss.domain is None else self._without_empty(target)
        error = (self.loss.link(self._raw(x, c)).to(target.dtype) - target).square().flatten(1)
        known = ~target.isnan().flatten(1) if self.may_have_nan else torch.ones_like(error, dtype=torch.bool)
        return torch.stack([torch.where(known, error, 0).sum(1), known.sum(1)], 1)

    def loss_of_codes(self, z: Tensor, x: Tensor, target: Tensor, c: Tensor | None = None) -> Tensor:
        """The loss (n,) of codes against a ``target`` as `target` gives it; ``x`` says where sequences end."""
        return self._loss(self._decode(z, self._observed(x), c), target)

    def outputs(self, x: Tensor) -> Tensor:
        """What the encoder gives for rows in data units, before the bottleneck."""
        u = self.standardize(x)
        return self._encode(self._fill(u), self._observed(u))

    def _raw(self, x: Tensor, c: Tensor | None) -> Tensor:
        return self._decode(self.encode(x), self._observed(x), c)

    @property
    def unit(self) -> float:
        """What 1 in the loss's space is in the data's."""
        return self.scale if self.loss.domain is None else 1.0

    def in_data_units(self, value: Any, n_values: Any) -> Any:
        """Express losses of ``n_values`` values each, tensors or arrays, in the data's own units."""
        return value if self.loss.domain is not None else self.loss.rescale(value, self.scale, n_values)


def _mask(shape: Sequence[int], indices: Sequence[int]) -> Tensor:
    """True at the flat ``indices`` of an array of ``shape``."""
    mask = np.zeros(math.prod(shape), bool)
    mask[list(indices)] = True
    return torch.from_numpy(mask.reshape(tuple(shape)))
