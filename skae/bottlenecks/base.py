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
        Codes, which the decoder reconstructs from.
    penalty : Tensor of shape (n,)
        Penalty of each code, in the unit of the loss; part of the training loss and of the validation loss.
    aux : Tensor of shape (n,) or float, default=0.0
        Part of the training loss alone. It is for terms that shape the training without measuring the model, such as
        the commitment loss of a vector quantizer, whose unit moves with the encoder.
    indices : Tensor of shape (n, n_integers) and dtype int64, default=None
        Integers of discrete codes, for those who call `forward` themselves; training does not use them.
    gradient_weight : Tensor of shape (n,), default=None
        What the gradients of the loss and of the penalty of each sample are multiplied by in training.
    """

    z: Tensor
    penalty: Tensor
    aux: Tensor | float = 0.0
    indices: Tensor | None = None
    gradient_weight: Tensor | None = None


class Bottleneck(Component):
    """Base of the bottlenecks.

    A subclass overrides what it needs: `code`, which is deterministic and what ``transform`` returns; `forward`, where
    training differs from it (randomness, a straight-through gradient) or has a penalty; and any of the other methods,
    whose defaults are those of a bottleneck without weights that passes every code on.

    n is the number of samples. A spatial code, such as that of ``Conv(dense=False)``, has n_components channels at each
    of n_positions positions. A bottleneck sees them as one vector of n_components * n_positions numbers, channel by
    channel; with ``per_position`` it sees the vector at each position as if it were a sample. A dense code has one
    position, so that both are the same. Where n_components is the width of a tensor below, it is that of the vectors
    that the bottleneck sees.

    Attributes
    ----------
    per_position : bool
        Whether the bottleneck treats each position of a spatial code alike and alone. Its tensors then have
        n * n_positions rows for n samples, and penalties are summed over the positions of a sample.
    draws : bool
        Whether `forward` may draw random numbers.
    reads_maps : bool
        Whether `forward` gets a spatial code as a map (n, n_outputs, h, w), or (n, n_outputs, n_positions, 1) where its
        height and width are not known, and returns such a map. The other methods get vectors in any case.
    discrete : bool
        Whether codes come from a countable set, with `indices` and `from_indices`. ``inverse_transform`` then decodes
        the nearest valid code, as `project` finds it. With an `alphabet` estimators have integer codes too.
    qualities : (float, float)
        Range of the qualities of `quantize` and `dequantize`.
    standard_normal : bool
        Whether codes are meant to be distributed as N(0, I), so that new samples may be decoded from it.
    ordered : bool
        Whether components are in order of importance, and the decoder takes the first k of them, for any k, with 0 for
        the others. Estimators then decode prefixes of codes and have ``explained_variance_ratio_``.
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
        """Whether `forward` is overridden, unless a subclass says ``has_penalty = False``: training is then faster."""
        return type(self).forward is not Bottleneck.forward

    @property
    def alphabet(self) -> tuple[int | None, ...]:
        """The integers of a code at each position, after `setup`: the number of levels of each, or None if unbounded.

        () by default: a bottleneck that is not discrete, or one whose `indices` are for itself alone.
        """
        return ()

    @property
    def is_variational(self) -> bool:
        """Whether codes are distributions, that is, whether `distribution` is overridden."""
        return type(self).distribution is not Bottleneck.distribution

    # ---------------------------------------------------------------- before training

    def n_outputs(self, n_components: int) -> int:
        """Return the width that the encoder must have for a code of width ``n_components``."""
        return n_components

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        """Check the parameters, and create weights and buffers.

        ``n_components`` is the width of the code at each of ``n_positions`` positions. A subclass that does not take
        ``n_positions`` gets the width of the vectors that it sees.
        """

    def init_from(self, h: Tensor, generator: torch.Generator | None = None) -> bool | None:
        """Start from the encoder's output ``h`` (n, n_outputs) for training samples; do nothing by default.

        A network that starts as PCA keeps that start unless training improves on it significantly. Return False where
        the bottleneck spoils the start, as a quantizer does: the best epoch is then kept without that test. Return
        None for no opinion. Random numbers drawn from ``generator`` are repeatable; a subclass need not take it.
        """
        return None

    def init_skip(self, skip: Any, x: Any) -> bool | None:
        """Start the linear maps ``skip`` of a network that has them, such as `skae.nn.MLP`, from samples ``x``.

        Return False, the default, to leave the start to the network.
        """
        return False

    # ---------------------------------------------------------------- codes

    def forward(self, h: Tensor) -> Latent:
        """Map the encoder's output (n, n_outputs) to codes and their penalties, in training and in evaluation mode.

        It may return k codes for each sample, first one of every sample, then a second one of every sample and so on,
        each with the penalty log q(z|x) − log p(z): the objective is then the importance-weighted bound.
        """
        z = self.code(h)
        return Latent(z, z.new_zeros(z.shape[0]))

    def code(self, h: Tensor) -> Tensor:
        """Return the codes (n, n_components) of the encoder's output (n, n_outputs); deterministic."""
        return h

    def project(self, z: Tensor) -> Tensor:
        """Map any ``z`` (n, n_components) to the nearest valid code; return ``z`` by default.

        Draws from a prior and interpolated codes pass through it before they are decoded. It must leave what `code`
        returns unchanged.
        """
        return z

    def distribution(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes, each (n, n_components), for a variational bottleneck."""
        raise NotImplementedError(f"{type(self).__name__} does not define distribution(h): its codes are points.")

    def indices(self, z: Tensor) -> Tensor:
        """Return the integers, int64 (n, n_integers), of valid codes (n, n_components), for a discrete bottleneck.

        There are as many of them as `alphabet` has entries; without ``per_position`` as many at each position, those of
        the first integer first.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define indices(z): its codes are not discrete.")

    def from_indices(self, indices: Tensor) -> Tensor:
        """Return the codes (n, n_components) that have these ``indices``, for a discrete bottleneck."""
        raise NotImplementedError(f"{type(self).__name__} does not define from_indices: its codes are not discrete.")

    def quantize(self, h: Tensor, quality: float = 0.0) -> Tensor:
        """Return the integers, int64 (n, n_integers), of the encoder's output (n, n_outputs), for a discrete one.

        ``quality`` is for bottlenecks that have more than one; 0 is that of `code`.
        """
        self._check_quality(quality)
        return self.indices(self.code(h))

    def dequantize(self, indices: Tensor, quality: float = 0.0) -> Tensor:
        """Return the codes (n, n_components) of what `quantize` returns, at the same ``quality``."""
        self._check_quality(quality)
        return self.from_indices(indices)

    def _check_quality(self, quality: float) -> None:
        if quality != 0:
            raise ValueError(f"quality == {quality}, must be 0: {type(self).__name__} has one quality.")

    def economize(self, indices: Tensor, h: Tensor, quality: float = 0.0) -> Tensor:
        """Return integers that cost fewer bits than ``indices`` for little more error; these themselves by default.

        `skae.coding` encodes them. Both are maps (n, n_integers, height, width), ``h`` of the encoder's output.
        """
        return indices

    def code_model(self) -> Any:
        """Return the model of the probabilities of the integers that was trained with the bottleneck, None if none was.

        `skae.coding` codes with it; of other discrete bottlenecks it counts integers.
        """
        return None

    # ---------------------------------------------------------------- during training

    def metrics(self) -> dict[str, float]:
        """Return figures on the epoch that ends, such as the share of codes in use; none by default.

        They are recorded in ``net_.history`` as ``bottleneck_<name>``. It is called once after the batches of each
        epoch, and may reset what it counts.
        """
        return {}

    def draw_like(self, like: Tensor) -> Tensor:
        """Draw from N(0, 1) in the shape of ``like``; the same in evaluation mode, so that epochs differ by weights."""
        if torch.compiler.is_exporting():  # a graph holds no generator
            return torch.randn_like(like)
        generator = None if self.training else torch.Generator(like.device).manual_seed(COMMON_SEED)
        return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)
