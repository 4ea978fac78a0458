"""The autoencoder: noise, network, bottleneck and loss as one torch module."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._data.pca import Samples
from .._utils.slots import build_module, check_names, takes
from ..bottlenecks import Bottleneck, Latent
from ..losses import Loss
from ..nn._sequence import ended
from ..noise import Noise
from . import initialization
from .inspection import Costs, inspect_network, spares_input

_LEAST_SHARE = 1e-6  # minimum fraction of masked values, if a mask has masked none
_STANDARDIZED = 2**17  # values standardized at once, so that their float64 intermediates stay in the caches


class Autoencoder(nn.Module):
    """``x → noise → network.encode → bottleneck → network.decode → loss.link → x̂``.

    It copies its parts. The network receives standardized values ``u = (x − mean) / scale``; `encode`, `decode` and
    `reconstruct` accept and return data in their original units, x.

    Means are subtracted and added in float64, so that large offsets lose no digits. Each feature has its own mean, or
    each channel for a spatial code, so that all positions are treated equally.

    NaN in ``u`` marks a missing value. It is replaced by the mean of its feature, ``baseline`` (for sequences, of its
    channel), at the input of the network, and left out of the loss. Values masked by a noise are replaced in the same
    way.

    Parameters
    ----------
    network : callable that returns an nn.Module, or nn.Module
        Network with ``encode`` and ``decode``. A callable is called with those of ``input_shape``, ``n_components`` and
        ``n_outputs`` in its signature, and ``network_params``; a module is copied.
    bottleneck, loss, noise : Bottleneck, Loss, Noise or None
        The other parts; copied.
    input_shape, n_components : tuple of int, int
        Shape of one sample, and latent size.
    mean : ndarray that broadcasts to ``input_shape``, or float, default=0.0
        Subtracted from each feature. A single number, as in models of version 0.2, is subtracted in the precision of X.
    scale : float or ndarray of shape (n_features,), default=1.0
        Standard deviation about ``mean``; one for each feature if required by the loss. ``mean`` and ``scale`` are not
        buffers, so that they are exact for any precision of the weights.
    network_params : dict
        The user's ``module__*``.
    missing : bool
        Whether any value may be NaN. A network with ``reads_padding`` always accepts NaN after the end of short
        sequences; its ``encode`` and ``decode`` are passed ``observed``, the mask of observed values.
    empty_features : sequence of int
        Flat indices of the features (for sequences, the channels) without observed values in training. They are always
        treated as missing, since the network has not learned them, and decoded as 0.
    n_conditions : int
        Width of the condition, which is concatenated to the code; the network is built with this number of additional
        components.
    precision : {'float32', 'bf16'}
        Precision of the network's arithmetic in training.
    returns_double : bool
        Whether X had a precision beyond float32, so that decoded codes should be float64 as well.
    target_shape : tuple of int, default=None
        Shape of a target; ``input_shape`` if None.
    target_mean, target_scale : ndarray that broadcasts to ``target_shape``, and float, default=None
        ``mean`` and ``scale`` of the targets, if ``target_shape`` is given.
    costs : Costs, default=None
        Result of `inspect_network` for the same network; it is run when None.

    Attributes
    ----------
    n_codes : int
        Width of the code: ``n_components``, times the network's ``n_positions`` if its code is spatial.
    any_size : bool
        Whether the network takes images of any height and width. Its ``encode`` then maps (n, C, H, W) to a map
        (n, n_outputs, h, w), where h = ⌈H / stride⌉, and its ``decode`` takes (n, n_components, h, w) and the size to
        return, (H, W). Here codes are flat all the same, channel by channel.
    n_weights : int
        Number of weights.
    n_multiplications : int
        Approximate number of multiplications for a sample: the network's weights, each as often as it is used.
    n_values : int
        Largest number of values that a layer computes for a sample.
    """

    network: Any  # an nn.Module with encode and decode, for which torch has no type
    bottleneck: Any  # typed Any, since torch does not type submodules
    loss: Any
    noise: Any
    mean: Tensor | float
    scale: Tensor | float
    baseline: Tensor
    returns_double = False  # missing in pickles of version 0.2
    target_shape: tuple[int, ...] = ()  # likewise
    n_weights = 0  # likewise
    empty: (
        Tensor | None
    )  # a buffer only if there are such features, so that other models have the same arrays as in 0.2

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
        scale: np.ndarray | float = 1.0,
        network_params: Mapping[str, Any] | None = None,
        missing: bool = False,
        empty_features: Sequence[int] = (),
        n_conditions: int = 0,
        precision: str = "float32",
        returns_double: bool = False,
        target_shape: Sequence[int] | None = None,
        target_mean: np.ndarray | None = None,
        target_scale: float | None = None,
        costs: Costs | None = None,
    ) -> None:
        super().__init__()
        self.bottleneck, self.loss, self.noise = copy.deepcopy((bottleneck, loss, noise))
        self.input_shape, self.n_components = tuple(input_shape), n_components
        self.target_shape = self.input_shape if target_shape is None else tuple(target_shape)
        self.n_conditions, self.precision, self.returns_double = n_conditions, precision, returns_double
        offered = {
            "input_shape": self.input_shape,
            "n_components": n_components + n_conditions,
            "n_outputs": self.bottleneck.n_outputs(n_components),
            **({"target_shape": self.target_shape} if self.translates else {}),
        }
        if isinstance(network, nn.Module):
            check_names(network_params or {}, (), "a module that is built already", "module__")
            self.network = copy.deepcopy(network)
        else:
            self.network = build_module(network, offered, network_params or {}, "module")
        self.network.float()
        self._spares_input = spares_input(self.network)
        self.n_codes = n_components * self._find_n_positions()
        self._set_up_parts()
        self.reads_padding = bool(getattr(self.network, "reads_padding", False))
        self.missing, self.may_have_nan = missing, missing or self.reads_padding or bool(empty_features)
        self._check_loss()
        # Sequences may have other lengths later: there is one mean for each channel.
        self.register_buffer("baseline", torch.zeros(self.input_shape[1:] if self.reads_padding else self.input_shape))
        self._set_scaling(mean, scale)
        if self.translates:
            self.target_mean, self.target_scale = torch.from_numpy(np.array(target_mean)), target_scale
        of_target = (target_mean, target_scale) if self.translates else (mean, scale)
        self.loss.set_units(*(torch.from_numpy(np.array(values, dtype=np.float64)) for values in of_target))
        for part in () if noise is None else self.noise.modules():  # a noise inside another one has none
            if isinstance(part, Noise):
                part.data_scale = self.scale if isinstance(self.scale, float) else self.scale.numpy()
        self.register_buffer("empty", _mask(self.baseline.shape, empty_features) if empty_features else None)
        self.n_weights = sum(p.numel() for p in self.parameters())
        costs = inspect_network(self) if costs is None else costs
        self.n_multiplications, self.n_values = costs.n_multiplications, costs.n_values
        self.train()  # also for a module passed in evaluation mode

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if not hasattr(self, "empty"):  # as in pickles of version 0.2
            self.register_buffer("empty", None)

    def _find_n_positions(self) -> int:
        """Return the number of positions of the code of a sample of ``input_shape``."""
        if self.any_size:
            return math.prod(self.code_size(self.input_shape[1:]))
        return int(getattr(self.network, "n_positions", 1))

    @property
    def translates(self) -> bool:
        """Whether targets have another shape than samples."""
        return self.target_shape not in ((), self.input_shape)

    @property
    def factor(self) -> int:
        """Ratio of the height and width of a target to those of its sample."""
        return self.target_shape[-1] // self.input_shape[-1] if self.translates else 1

    @property
    def any_size(self) -> bool:
        """Whether the network accepts images of any height and width."""
        return bool(getattr(self.network, "any_size", False))

    def code_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return height and width of the code of an image of ``size``, for a network that accepts any size."""
        stride = self.network.stride
        return tuple((side + stride - 1) // stride for side in size)

    def n_codes_of(self, x: Tensor) -> int:
        """Return the width of the codes of samples, which depends on the size of images of any size."""
        return self.n_components * math.prod(self.code_size(x.shape[2:])) if self.any_size else self.n_codes

    def _set_up_parts(self) -> None:
        if takes(self.bottleneck.setup, "n_positions"):
            self.bottleneck.setup(self.n_components, n_positions=self.n_positions)
        else:
            self.bottleneck.setup(self.n_components if self.bottleneck.per_position else self.n_codes)
        of_shape = {"target_shape": self.target_shape} if takes(self.loss.setup, "target_shape") else {}
        self.loss.setup(self.n_codes, **of_shape)
        if self.noise is not None:
            self.noise.setup(self.n_codes)

    def _check_loss(self) -> None:
        if self.loss_takes_observed:
            return
        if self.noise is not None and self.noise.hidden_only:
            raise TypeError(
                f"noise: hidden_only=True needs a loss with a parameter ``observed`` of forward, got "
                f"loss={type(self.loss).__name__}."
            )
        if self.may_have_nan:
            raise TypeError(
                f"loss={type(self.loss).__name__} does not support missing values: its forward has no ``observed``."
            )

    def _set_scaling(self, mean: Any, scale: Any) -> None:
        if np.ndim(mean) == 0:
            self.mean, self.scale = float(mean), float(scale)
            return
        mean = np.array(mean, dtype=np.float64)  # a copy: an array read from a file may not be writable
        if np.broadcast_shapes(mean.shape, self.input_shape) != self.input_shape:
            raise ValueError(f"mean must broadcast to samples of shape {self.input_shape}, got the shape {mean.shape}.")
        if np.ndim(scale) > 0:
            self.mean, self.scale = torch.from_numpy(mean), torch.from_numpy(np.array(scale, dtype=np.float64))
            return
        if self.n_positions > 1 and mean.ndim > 1:
            channels = mean.mean(axis=tuple(range(1, mean.ndim)), keepdims=True)
            between = mean - channels
            scale = float(np.sqrt(scale**2 + np.square(between).mean()))
            self.baseline.copy_(torch.from_numpy(np.broadcast_to(between / scale, self.input_shape).copy()))
            mean = channels
        self.mean, self.scale = torch.from_numpy(mean), float(scale)

    def init_from(self, u: Tensor, c: Tensor | None = None, samples: Samples | None = None) -> bool:
        """Initialize all parts from standardized samples; see `initialization.init_from`."""
        return initialization.init_from(self, u, c, samples)

    @property
    def n_positions(self) -> int:
        """Number of positions of a spatial code; 1 for a dense one."""
        return self.n_codes // self.n_components

    @property
    def is_variational(self) -> bool:
        """Whether codes are distributions."""
        return self.bottleneck.is_variational

    @property
    def loss_takes_observed(self) -> bool:
        """Whether the loss supports missing values."""
        return takes(self.loss.forward, "observed")

    # ---------------------------------------------------------------- units

    def standardize(self, x: Tensor, *, target: bool = False) -> Tensor:
        """Subtract the means and divide by the scale, of samples or targets: in float64, then float32."""
        if torch.compiler.is_compiling() or x.device.type != "cpu":
            return self._standardize(x, target).float()
        step = max(1, _STANDARDIZED // max(1, math.prod(x.shape[1:])))
        if len(x) <= step:
            return self._standardize(x, target).float()
        u = torch.empty(x.shape, dtype=torch.float32)
        for start in range(0, len(x), step):
            s = slice(start, start + step)
            u[s] = self._standardize(x[s], target)
        return u

    def _scaling(self, target: bool) -> tuple[Any, Any]:
        """Return mean and scale of samples or of targets."""
        return (self.target_mean, self.target_scale) if target and self.translates else (self.mean, self.scale)

    def _standardize(self, x: Tensor, target: bool = False) -> Tensor:
        mean, scale = self._scaling(target)
        if isinstance(mean, float):
            return self._without_empty((x - mean) / scale)
        centered = torch.sub(x, mean.to(x.device))  # float64, and a new tensor, so that it may be overwritten
        return self._without_empty(centered.div_(scale.to(x.device) if isinstance(scale, Tensor) else scale))

    def _without_empty(self, x: Tensor) -> Tensor:
        """Mark the values of features without observed values in training as missing."""
        empty = self._empty_of(x)
        return x if empty is None else x.masked_fill(empty.to(x.device), torch.nan)

    def _empty_of(self, x: Tensor) -> Tensor | None:
        """Return the mask of features of ``x`` without observed values in training; None for images of another size."""
        other = (self.any_size or self.translates) and x.shape[1:] != self.baseline.shape
        return None if other else self.empty

    def _in_data_units(self, u: Tensor) -> Tensor:
        """Return standardized values in the units of the targets, float64; float32 in models of version 0.2."""
        mean, scale = self._scaling(target=True)
        if isinstance(mean, float):
            return u * scale + mean
        scale = scale.to(u.device) if isinstance(scale, Tensor) else scale
        return u.double() * scale + mean.to(u.device)

    def target(self, x: Tensor) -> Tensor:
        """Return the target of the loss: standardized values, or data within the loss's domain."""
        return self.standardize(x, target=True) if self.loss.domain is None else self._without_empty(x.float())

    def count_known(self, x: Tensor) -> Tensor:
        """Return the number of values in the loss of each sample in data units, (n,)."""
        return (~self.target(x).isnan()).flatten(1).sum(1)

    def _within(self, A: Tensor, inner: tuple[slice, slice] | None) -> Tensor:
        """Return the part of reconstructions or targets at ``inner``, rows and columns of the input."""
        if inner is None:
            return A
        rows, columns = (slice(self.factor * part.start, self.factor * part.stop) for part in inner)
        return A[..., rows, columns]

    @property
    def unit(self) -> float:
        """The unit of the loss's space, in data units."""
        return self._scaling(target=True)[1] if self.loss.domain is None else 1.0

    def in_data_units(self, value: Any, n_values: Any) -> Any:
        """Convert losses of ``n_values`` values each, tensors or arrays, to the units of the data."""
        return value if self.loss.domain is not None else self.loss.rescale(value, self.unit, n_values)

    # ---------------------------------------------------------------- noise and missing values

    def corrupt(self, u: Tensor) -> Tensor:
        """Corrupt samples with `noise`. Masked values are replaced by their means; missing values stay NaN."""
        return self.corrupt_and_hide(u)[0]

    def corrupt_and_hide(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the corrupted samples, and the mask of observed values that were masked."""
        noisy = self.noise.corrupt(self._fill(u))
        hidden = noisy.isnan()
        noisy = torch.where(hidden, self._baseline_of(u), noisy)
        if not self.may_have_nan:
            return noisy, hidden
        missing = u.isnan()
        return torch.where(missing, u, noisy), hidden & ~missing

    def _fill(self, u: Tensor) -> Tensor:
        """Replace missing values by their means."""
        return torch.where(u.isnan(), self._baseline_of(u), u) if self.may_have_nan else u

    def _baseline_of(self, u: Tensor) -> Tensor | float:
        """Return the replacement of missing values of ``u``; in images of another size the mean of the channel, 0."""
        return 0.0 if self.any_size and u.shape[1:] != self.baseline.shape else self.baseline

    def _observed(self, u: Tensor) -> Tensor | None:
        """Return the mask of observed values, for a network that reads padding."""
        return ~u.isnan() if self.reads_padding else None

    # ---------------------------------------------------------------- the two halves of the network

    def _encode(self, filled: Tensor, observed: Tensor | None) -> Tensor:
        return self._run(self.network.encode, filled, observed)

    def _flat(self, h: Tensor) -> Tensor:
        """Flatten a map of codes, channel by channel; return anything else unchanged."""
        return h.flatten(1) if self.any_size and isinstance(h, Tensor) else h

    def _decode(
        self, z: Tensor, observed: Tensor | None, c: Tensor | None, size: Sequence[int] | None = None
    ) -> Tensor:
        """Decode codes or maps, for a network of any size to images of ``size``, or the size of `fit` if None."""
        if not self.any_size:
            return self._run(self.network.decode, self._with_condition(z, c), observed)
        size = self.input_shape[1:] if size is None else size
        maps = z if z.ndim == 4 else z.unflatten(1, (-1, *self.code_size(size)))
        if c is not None:  # at every position; ONNX Runtime does not expand to an unknown size
            maps = torch.cat([maps, c.to(z)[:, :, None, None] + torch.zeros_like(maps[:, :1])], 1)
        return self._run(lambda z: self.network.decode(z, size), maps, None)

    def _size_of(self, x: Tensor) -> Sequence[int] | None:
        """Return height and width of samples, for a network that accepts any size."""
        return x.shape[2:] if self.any_size else None

    def _run(self, half: Callable[..., Tensor], x: Tensor, observed: Tensor | None) -> Tensor:
        """Run the encoder or decoder of the network; ``observed`` is for networks that read padding."""
        x = x if self._spares_input else x.clone()
        args = (x, observed) if self.reads_padding else (x,)
        if self.precision == "float32" or not self.network.training:
            return half(*args)
        # Each weight is used once in a pass, so caching its cast would only use memory.
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
            return half(*args).float()

    def _with_condition(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Append the condition to the codes, at every position if they are spatial."""
        if c is None:
            return z
        return torch.cat([z, c.to(z).repeat_interleave(z.shape[1] // self.n_components, 1)], 1)

    def decoded_shape(self, z: Tensor, c: Tensor | None) -> tuple[int, ...]:
        """Return the shape of a code in the network's ``decode``."""
        flat = self._with_condition(z, c)
        return tuple(
            (flat.unflatten(1, (-1, *self.code_size(self.input_shape[1:]))) if self.any_size else flat).shape[1:]
        )

    # ---------------------------------------------------------------- the bottleneck, and how codes are laid out

    def _to_bottleneck(self, flat: Tensor, width: int) -> Tensor:
        """Split (n, width * n_positions), channel by channel, into (n * n_positions, width) if it is per position."""
        if not self.bottleneck.per_position or flat.shape[1] == width:
            return flat
        return flat.unflatten(1, (width, -1)).transpose(1, 2).flatten(0, 1)

    def _h_to_bottleneck(self, h: Tensor) -> Tensor:
        return self._to_bottleneck(h, self.bottleneck.n_outputs(self.n_components))

    def _z_to_bottleneck(self, z: Tensor) -> Tensor:
        return self._to_bottleneck(z, self.n_components)

    def _from_bottleneck(self, vectors: Tensor, n: int) -> Tensor:
        """Undo `_to_bottleneck` for ``n`` samples."""
        if not self.bottleneck.per_position or vectors.shape[0] == n:
            return vectors
        return vectors.unflatten(0, (n, -1)).transpose(1, 2).flatten(1)

    def _by_sample(self, values: Tensor, n: int) -> Tensor:
        """Reshape (n * n_positions, ...) to (n, n_positions, ...) if the bottleneck is per position."""
        return values.unflatten(0, (n, -1)) if self.bottleneck.per_position else values

    def _latent(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return codes, penalties (n,), which include the auxiliary loss in training, and gradient weights or None.

        Codes are (n, n_codes), or the map (n, n_components, h, w) if the bottleneck leaves it unchanged: flattening and
        unflattening would copy it twice, since the network has channels last in memory.
        """
        if self._passes_on:
            return h, h.new_zeros(h.shape[0]), None
        if self.bottleneck.reads_maps:
            maps = h if h.ndim == 4 or self.n_positions == 1 else self._as_column(h)
            latent = Latent(*self.bottleneck(maps))
            z = latent.z if h.ndim == 4 else latent.z.flatten(1)
            return z, self._whole_penalty(latent), latent.gradient_weight
        h = self._flat(h)
        latent = Latent(*self.bottleneck(self._h_to_bottleneck(h)))
        penalty = self._whole_penalty(latent)
        if not self.bottleneck.per_position:
            return latent.z, penalty, None
        # With several codes per sample, blocks of one code per sample follow each other.
        n_positions = h.shape[1] // self.bottleneck.n_outputs(self.n_components)
        n = latent.z.shape[0] // n_positions
        return self._from_bottleneck(latent.z, n), self._by_sample(penalty, n).sum(1), None

    def _whole_penalty(self, latent: Latent) -> Tensor:
        """Return the penalty, which includes the auxiliary loss in training."""
        if self.training and isinstance(latent.aux, Tensor):
            return latent.penalty + latent.aux
        return latent.penalty

    def _as_column(self, h: Tensor) -> Tensor:
        """Return flat spatial codes of unknown height and width as maps (n, width, n_positions, 1)."""
        return h.unflatten(1, (-1, self.n_positions, 1))

    @property
    def _passes_on(self) -> bool:
        """Return whether codes are the map of the encoder's output, unchanged."""
        cls = type(self.bottleneck)
        return self.any_size and cls.forward is Bottleneck.forward and cls.code is Bottleneck.code

    def completed(self, z: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Append zeros to flat codes of only the first components; for images of ``size`` if sizes may vary."""
        n_missing = self.n_components * math.prod(self.map_size(size)) - z.shape[1]
        return nn.functional.pad(z, (0, n_missing)) if n_missing > 0 else z

    def project(self, z: Tensor) -> Tensor:
        """Map any codes (n, n_codes) to the nearest valid ones."""
        return self._from_bottleneck(self.bottleneck.project(self._z_to_bottleneck(z)), z.shape[0])

    def indices(self, z: Tensor) -> Tensor:
        """Return the indices of discrete codes (n, n_codes); (n, n_positions) if the bottleneck is per position."""
        return self._by_sample(self.bottleneck.indices(self._z_to_bottleneck(z)), z.shape[0])

    def from_indices(self, indices: Tensor) -> Tensor:
        """Return the codes (n, n_codes) of ``indices``, as returned by `indices`."""
        n = indices.shape[0]
        indices = indices.flatten(0, 1) if self.bottleneck.per_position else indices
        return self._from_bottleneck(self.bottleneck.from_indices(indices), n)

    def quantize(
        self, h: Tensor, size: Sequence[int] | None = None, quality: float = 0.0, *, economical: bool = False
    ) -> Tensor:
        """Return the integers (n, n_integers, h, w) of the encoder's flat output, for images of ``size``.

        ``economical`` integers take fewer bits with a slightly larger error.
        """
        found = self._by_sample(self.bottleneck.quantize(self._h_to_bottleneck(h), quality), h.shape[0])
        if found.ndim == 3:  # (n, n_positions, n_integers)
            found = found.transpose(1, 2)
        found = found.reshape(h.shape[0], len(self.bottleneck.alphabet), *self.map_size(size))
        if not economical:
            return found
        return self.bottleneck.economize(found, h.reshape(h.shape[0], -1, *self.map_size(size)), quality)

    def dequantize(self, indices: Tensor, quality: float = 0.0) -> Tensor:
        """Return the flat codes (n, n_codes) of integers, as returned by `quantize`."""
        n = indices.shape[0]
        flat = indices.flatten(2)
        flat = flat.transpose(1, 2).flatten(0, 1) if self.bottleneck.per_position else flat.flatten(1)
        return self._from_bottleneck(self.bottleneck.dequantize(flat, quality), n)

    def map_size(self, size: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return height and width of the code map of images of ``size``, or of those in `fit` if None."""
        if self.any_size:
            return self.code_size(self.input_shape[1:] if size is None else size)
        return self.n_positions, 1

    # ---------------------------------------------------------------- training

    def forward(self, u: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Compute the forward pass of standardized samples with conditions ``c`` (n, n_conditions).

        Returns
        -------
        raw, z, penalty : Tensor
            The decoder's output (n, *target_shape), the code (n, n_codes), or its map if the bottleneck leaves it
            unchanged, and its penalty (n,). With k codes per sample there are k · n of each.
        hidden : Tensor, only in training with a noise of ``hidden_only``
            Mask of the observed values masked by the noise, in the shape of ``u``.
        """
        observed, noisy, hidden = self._observed(u), u, None
        if self.training and self.noise is not None:
            noisy, hidden = self.corrupt_and_hide(u)
        z, penalty, weight = self._latent(self._encode(self._fill(noisy), observed))
        k = z.shape[0] // u.shape[0]  # `len` would fix the number of samples in an exported program
        if k > 1:
            c = None if c is None else c.repeat(k, 1)
            observed = None if observed is None else observed.repeat(k, *[1] * (u.ndim - 1))
        raw = self._decode(z, observed, c, self._size_of(u))
        if weight is not None:
            raw, penalty = _with_gradients(raw, weight), _with_gradients(penalty, weight)
        if hidden is not None and self.noise.hidden_only:
            return raw, z, penalty, hidden
        return raw, z, penalty

    def objective(
        self, output: tuple[Tensor, ...], target: Tensor, hidden_share: float | Tensor | None = None
    ) -> Tensor:
        """Return the loss plus the penalty of each sample, (n,), for a ``target`` from `target`.

        If ``target`` has only masked values, ``hidden_share`` is their fraction of the observed ones: the loss is
        divided by it, so that its size relative to the penalty is that of a loss of all values.

        With k codes per sample, it is minus the log of the mean of their exponentials, the bound of Burda et al.
        (2016).
        """
        raw, _, penalty, *hidden = output
        k = len(raw) // len(target)
        if hidden:
            known = ~target.isnan()
            n_hidden, n_known = (self.noise.ranks.sum(which.sum()) for which in (hidden[0] & known, known))
            hidden_share = (n_hidden / n_known).clamp(min=_LEAST_SHARE)
            target = target.masked_fill(~hidden[0], torch.nan)
        target = target if k == 1 else target.repeat(k, *[1] * (target.ndim - 1))
        objective = self._loss(raw, target, hidden_share is not None)
        if hidden_share is not None:
            objective = objective / hidden_share
        if self.bottleneck.has_penalty:
            objective = objective + penalty
        return objective if k == 1 else math.log(k) - torch.logsumexp(-objective.view(k, -1), 0)

    def mean_objective(self, output: tuple[Tensor, ...], target: Tensor) -> Tensor:
        """Return the mean of `objective`, with fewer operations if it is a sum over all values."""
        plain = not (self.may_have_nan or self.bottleneck.has_penalty) and len(output[0]) == len(target)
        plain = plain and len(output) == 3
        return self.loss.total(output[0], target) / len(target) if plain else self.objective(output, target).mean()

    def _loss(self, raw: Tensor, target: Tensor, partial: bool = False) -> Tensor:
        """Return the loss of each sample, (n,); ``partial`` if ``target`` has NaN although samples have none."""
        if partial or self.may_have_nan:
            return self.loss(raw, target.nan_to_num(), ~target.isnan())
        return self.loss(raw, target)

    # ---------------------------------------------------------------- inference, in data units

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (n, n_codes) of samples in data units; deterministic."""
        return self._from_bottleneck(self.bottleneck.code(self._h_to_bottleneck(self.outputs(x))), x.shape[0])

    def outputs(self, x: Tensor) -> Tensor:
        """Return the encoder's output for samples in data units, before the bottleneck."""
        return self._flat(self._outputs(x))

    def _outputs(self, x: Tensor) -> Tensor:
        u = self.standardize(x)
        return self._encode(self._fill(u), self._observed(u))

    def _codes(self, x: Tensor) -> Tensor:
        """Return codes, as a map if the bottleneck leaves it unchanged."""
        return self._outputs(x) if self._passes_on else self.encode(x)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes of samples in data units, each (n, n_codes)."""
        mean, log_variance = self.bottleneck.distribution(self._h_to_bottleneck(self.outputs(x)))
        return self._from_bottleneck(mean, x.shape[0]), self._from_bottleneck(log_variance, x.shape[0])

    def distribution(self, x: Tensor) -> Tensor:
        """Return means and standard deviations of the codes of samples in data units, (n, 2, n_codes)."""
        mean, log_variance = self.posterior(x)
        return torch.stack([mean, (log_variance / 2).exp()], 1)

    def decode(
        self,
        z: Tensor,
        c: Tensor | None = None,
        like: Tensor | None = None,
        *,
        noisy: bool = False,
        size: Sequence[int] | None = None,
    ) -> Tensor:
        """Decode codes (n, n_codes), with the conditions ``c``, into samples in data units.

        Sequences have full length, or that of the samples ``like``, with NaN after their end. Images have the ``size``
        (H, W), for a network that accepts any size, or that of training if None. ``noisy`` samples are drawn from the
        likelihood; others are its mean.
        """
        raw = self._decode(z, None if like is None else self._observed(like), c, size)
        x_hat = self.loss.sample(raw) if noisy else self.loss.link(raw)
        x_hat = x_hat if self.loss.domain is not None else self._in_data_units(x_hat)
        empty = self._empty_of(x_hat)
        if empty is not None:
            x_hat = x_hat.masked_fill(empty, 0)
        if self.reads_padding and like is not None:
            x_hat = x_hat.masked_fill(ended(like), torch.nan)
        return x_hat

    def reconstruct(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Encode and decode samples in data units; NaN after the end of short sequences."""
        return self.decode(self._codes(x), c, x, size=self._size_of(x))

    def reconstruction_loss(
        self, x: Tensor, target: Tensor, c: Tensor | None = None, inner: tuple[slice, slice] | None = None
    ) -> Tensor:
        """Return the loss of each sample for ``target``, (n,), without penalty; for `in_data_units`.

        For images, only the part ``inner`` is used, rows and columns.
        """
        return self._loss(self._within(self._raw(x, c), inner), self._within(self.target(target), inner))

    def loss_of_codes(self, z: Tensor, x: Tensor, target: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the loss (n,) of codes for a ``target`` from `target`; sequences have the lengths of ``x``."""
        return self._loss(self._decode(z, self._observed(x), c, self._size_of(x)), target)

    def squared_error(
        self, x: Tensor, target: Tensor, c: Tensor | None = None, inner: tuple[slice, slice] | None = None
    ) -> Tensor:
        """Return each sample's sum of squared errors, in units of ``unit`` squared, and number of values, (n, 2).

        For images, only the part ``inner`` is used, rows and columns.
        """
        # In float64, like `reconstruct`: errors may be far smaller than the resolution of float32.
        target = self._standardize(target, True) if self.loss.domain is None else self._without_empty(target.double())
        target = self._within(target, inner)
        error = (self.loss.link(self._within(self._raw(x, c), inner)).to(target.dtype) - target).square().flatten(1)
        known = ~target.isnan().flatten(1) if self.may_have_nan else torch.ones_like(error, dtype=torch.bool)
        return torch.stack([torch.where(known, error, 0).sum(1), known.sum(1)], 1)

    def _raw(self, x: Tensor, c: Tensor | None) -> Tensor:
        return self._decode(self._codes(x), self._observed(x), c, self._size_of(x))


def _with_gradients(values: Tensor, weight: Tensor) -> Tensor:
    """Return the values unchanged, with gradients multiplied by ``weight``, one for each sample."""
    weighted = values * weight.view(-1, *[1] * (values.ndim - 1))
    return weighted + (values - weighted).detach()


def _mask(shape: Sequence[int], indices: Sequence[int]) -> Tensor:
    """Return a mask of ``shape`` that is True at the flat ``indices``."""
    mask = np.zeros(math.prod(shape), bool)
    mask[list(indices)] = True
    return torch.from_numpy(mask.reshape(tuple(shape)))
