"""The interface of all bottlenecks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._utils.component import Component
from .._utils.rng import COMMON_SEED


class Latent(NamedTuple):
    """Output of a bottleneck.

    Parameters
    ----------
    z : Tensor of shape (n, n_components)
        Codes, the input of the decoder.
    penalty : Tensor of shape (n,)
        Penalty of each code, in units of the loss; added to the training loss and to the validation loss.
    aux : Tensor of shape (n,) or float, default=0.0
        Term of the training loss only, for losses that do not measure the quality of the model, such as the commitment
        loss of a vector quantizer, whose scale changes with the encoder.
    indices : Tensor of shape (n, n_integers) and dtype int64, default=None
        Integers of discrete codes, for direct calls of `forward`; not used in training.
    gradient_weight : Tensor of shape (n,), default=None
        Factor of the gradients of the loss and of the penalty of each sample in training.
    """

    z: Tensor
    penalty: Tensor
    aux: Tensor | float = 0.0
    indices: Tensor | None = None
    gradient_weight: Tensor | None = None


class Bottleneck(Component):
    """Base class of bottlenecks.

    A subclass overrides `code`, which is deterministic and defines the output of ``transform``; `forward`, if training
    differs from it (randomness, a straight-through gradient) or has a penalty; and other methods as needed. The
    defaults are those of a bottleneck without weights that leaves codes unchanged.

    n is the number of samples. A spatial code, such as that of ``Conv(dense=False)``, has n_components channels at each
    of n_positions positions. The bottleneck receives them as one vector of n_components * n_positions numbers, channel
    by channel; with ``per_position`` it receives the vector at each position as a separate sample. A dense code has one
    position, so that both are the same. Below, n_components is the width of the vectors that the bottleneck receives.

    Attributes
    ----------
    per_position : bool
        Whether the bottleneck is applied to each position of a spatial code separately. Its tensors then have n *
        n_positions rows for n samples, and penalties are summed over the positions of a sample.
    draws : bool
        Whether `forward` may draw random numbers.
    reads_maps : bool
        Whether `forward` receives and returns a spatial code as a map (n, n_outputs, h, w), or (n, n_outputs,
        n_positions, 1) if its height and width are unknown. The other methods always receive vectors.
    discrete : bool
        Whether codes come from a countable set, with `indices` and `from_indices`. ``inverse_transform`` then decodes
        the nearest valid code, by `project`. With an `alphabet` estimators have integer codes, too.
    qualities : (float, float)
        Range of the qualities of `quantize` and `dequantize`.
    standard_normal : bool
        Whether codes are regularized to the distribution N(0, I), so that it can serve as the prior for new samples.
    ordered : bool
        Whether components are in order of importance, so that the decoder accepts the first k of them, for any k, with
        0 for the others. Estimators then decode prefixes of codes and have ``explained_variance_ratio_``.
    """

    _abstract = True
    per_position: bool = False
    reads_maps: bool = False
    draws: bool = True
    discrete: bool = False
    qualities: Sequence[float] = (0, 0)
    standard_normal: bool = False
    ordered: bool = False

    @property
    def has_penalty(self) -> bool:
        """Whether `forward` is overridden; a subclass may set ``has_penalty = False`` for faster training."""
        return type(self).forward is not Bottleneck.forward

    @property
    def alphabet(self) -> tuple[int | None, ...]:
        """The number of levels of each integer of a code, per position, after `setup`; None if unbounded.

        () by default, for a bottleneck that is not discrete, or whose `indices` are internal.
        """
        return ()

    @property
    def is_variational(self) -> bool:
        """Whether codes are distributions, that is, whether `distribution` is overridden."""
        return type(self).distribution is not Bottleneck.distribution

    # ---------------------------------------------------------------- before training

    def n_outputs(self, n_components: int) -> int:
        """Return the required output width of the encoder for a code of width ``n_components``."""
        return n_components

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        """Check the parameters, and create weights and buffers.

        ``n_components`` is the width of the code at each of ``n_positions`` positions. A subclass without the parameter
        ``n_positions`` is passed the width of the vectors that it receives.
        """

    def init_from(self, h: Tensor, generator: torch.Generator | None = None) -> bool | None:
        """Initialize from the encoder's output ``h`` (n, n_outputs) for training samples; does nothing by default.

        A network initialized to PCA keeps its initial weights unless training improves on them significantly. Return
        False if the bottleneck invalidates the initialization, as a quantizer does: the best epoch is then kept without
        that test; return None otherwise. Random numbers drawn from ``generator`` are reproducible; a subclass may omit
        it.
        """
        return None

    def init_skip(self, skip: Any, x: Any) -> bool | None:
        """Initialize the linear maps ``skip`` of a network, such as `skae.nn.MLP`, from samples ``x``.

        Return False, the default, to leave the initialization to the network.
        """
        return False

    # ---------------------------------------------------------------- codes

    def forward(self, h: Tensor) -> Latent:
        """Map the encoder's output (n, n_outputs) to codes and their penalties, in training and in evaluation mode.

        It may return k codes for each sample, in k blocks of one code per sample, each with the penalty log q(z|x) −
        log p(z): the objective is then the importance-weighted bound.
        """
        z = self.code(h)
        return Latent(z, z.new_zeros(z.shape[0]))

    def code(self, h: Tensor) -> Tensor:
        """Return the codes (n, n_components) of the encoder's output (n, n_outputs); deterministic."""
        return h

    def project(self, z: Tensor) -> Tensor:
        """Map any ``z`` (n, n_components) to the nearest valid code; return ``z`` by default.

        It is applied to draws from a prior and to interpolated codes before decoding. It must leave the output of
        `code` unchanged.
        """
        return z

    def distribution(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes, each (n, n_components), for a variational bottleneck."""
        raise NotImplementedError(f"{type(self).__name__} does not define distribution(h): it is not variational.")

    def indices(self, z: Tensor) -> Tensor:
        """Return the integers, int64 (n, n_integers), of valid codes (n, n_components), for a discrete bottleneck.

        There is one for each entry of `alphabet`; without ``per_position`` one per entry and position, ordered by
        entry.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define indices(z): its codes are not discrete.")

    def from_indices(self, indices: Tensor) -> Tensor:
        """Return the codes (n, n_components) of ``indices``, for a discrete bottleneck."""
        raise NotImplementedError(f"{type(self).__name__} does not define from_indices: its codes are not discrete.")

    def quantize(self, h: Tensor, quality: float = 0.0) -> Tensor:
        """Quantize the encoder's output (n, n_outputs) to integers, int64 (n, n_integers), for a discrete bottleneck.

        ``quality`` is for bottlenecks with several qualities; 0 is the quality of `code`.
        """
        self._check_quality(quality)
        return self.indices(self.code(h))

    def dequantize(self, indices: Tensor, quality: float = 0.0) -> Tensor:
        """Return the codes (n, n_components) of integers from `quantize`, at the same ``quality``."""
        self._check_quality(quality)
        return self.from_indices(indices)

    def _check_quality(self, quality: float) -> None:
        if quality != 0:
            raise ValueError(f"quality == {quality}, must be 0: {type(self).__name__} has one quality.")

    def economize(self, indices: Tensor, h: Tensor, quality: float = 0.0) -> Tensor:
        """Return integers with fewer bits than ``indices`` and a slightly larger error; ``indices`` by default.

        They are encoded by `skae.coding`. ``indices`` and the encoder's output ``h`` are maps (n, n_integers, height,
        width).
        """
        return indices

    def code_model(self) -> Any:
        """Return the entropy model of the integers that was trained with the bottleneck, or None.

        `skae.coding` uses it; for other discrete bottlenecks it uses frequencies of integers.
        """
        return None

    # ---------------------------------------------------------------- during training

    def metrics(self) -> dict[str, float]:
        """Return metrics of the epoch, such as the fraction of codes in use; none by default.

        They are recorded in ``net_.history`` as ``bottleneck_<name>``. The method is called once after the batches of
        each epoch, and may reset counters.
        """
        return {}

    def draw_like(self, like: Tensor) -> Tensor:
        """Draw from N(0, 1) in the shape of ``like``; with a fixed seed in evaluation mode, to compare epochs."""
        if torch.compiler.is_exporting():  # an exported graph has no generator
            return torch.randn_like(like)
        generator = None if self.training else torch.Generator(like.device).manual_seed(COMMON_SEED)
        return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)
