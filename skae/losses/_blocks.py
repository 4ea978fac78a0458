"""Groups of columns of a table that share a loss."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._utils.slots import takes
from ._tangent import Tangent
from .base import Likelihood, Loss
from .categorical import Categorical

_NEVER = -1e9  # log-probability of padding categories


class Columns(nn.Module):
    """Columns of a table.

    Parameters
    ----------
    places : list of int
        Column indices; -1 for padding.
    groups : list of int
        The group of each term of the loss.
    """

    columns: Tensor
    groups: Tensor

    def __init__(self, places: list[int], groups: list[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor([max(0, place) for place in places]), persistent=False)
        self.register_buffer("groups", torch.tensor(groups), persistent=False)
        self.tangent = Tangent((len(places),))

    def _own(self, values: Tensor) -> Tensor:
        return values.index_select(1, self.columns)  # its gradient is faster than that of indexing

    def _placed(self, raw: Tensor) -> Tensor:
        return self.tangent(self._own(raw))

    def set_units(self, mean: Tensor, scale: Tensor) -> None:
        """Start at the mean of each column."""
        if self.columns.is_meta:  # created on the meta device, to load values from a file
            return
        columns = self.columns.cpu()
        self._start(mean[columns], scale[columns])

    def _start(self, mean: Tensor, scale: Tensor) -> None:
        raise NotImplementedError


class Block(Columns):
    """Columns with the same loss.

    A loss without a domain compares standardized values, with a separate scale for each column.
    """

    def __init__(self, loss: Loss, places: list[int], groups: list[int], n_components: int) -> None:
        is_sum = type(loss).forward is Loss.forward  # otherwise it is a single term
        super().__init__(places, groups if is_sum else groups[:1])
        self.loss = copy.deepcopy(loss)
        of_shape = {"target_shape": (len(places),)} if takes(loss.setup, "target_shape") else {}
        self.loss.setup(n_components, **of_shape)

    def _start(self, mean: Tensor, scale: Tensor) -> None:
        if type(self.loss).set_units is not Loss.set_units:  # the loss sets its own units
            self.loss.set_units(mean, scale)
        elif self._is_standardized:
            self.tangent.location.copy_(mean)
            self.tangent.slope.copy_(scale)
        else:
            self.tangent.start(self.loss, mean, scale)

    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> None:
        """Initialize the loss."""
        placed, x, observed = self._compared(raw, x, observed)
        starts_itself = type(self.loss).set_units is not Loss.set_units
        if self._is_sum and not (starts_itself or self.loss.identity_link or self._is_standardized):
            self.tangent.flatten(lambda placed: self.loss.values(placed, x, observed), self._own(raw))
            placed = self._placed(raw)
        self.loss.init_from(placed, x, observed)

    def refit_scale(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> None:
        """Let the loss estimate its scale again."""
        self.loss.refit_scale(*self._compared(raw, x, observed))

    def terms(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> Tensor:
        """Compute the loss of each value, or a single term if the loss is not a sum, (n, n_terms)."""
        raw, x, observed = self._compared(raw, x, observed)
        of_scale = self.tangent.slope.log() if self._is_standardized and isinstance(self.loss, Likelihood) else None
        if self._is_sum:
            terms = self.loss.values(raw, x, observed)
            if of_scale is None:
                return terms
            return terms + (of_scale if observed is None else torch.where(observed, of_scale, 0))
        if observed is not None and not takes(self.loss.forward, "observed"):
            raise TypeError(
                f"loss={type(self.loss).__name__} does not support missing values: its forward has no ``observed``."
            )
        terms = self.loss(raw, x) if observed is None else self.loss(raw, x, observed)
        if of_scale is not None:
            terms = terms + (of_scale * (torch.ones_like(x) if observed is None else observed)).sum(1)
        return terms[:, None]

    def link(self, raw: Tensor) -> Tensor:
        """Return the columns in the units of X."""
        return self._in_data_units(self.loss.link, raw)

    def sample(self, raw: Tensor) -> Tensor:
        """Draw the columns; return `link` if the loss is not a likelihood."""
        return self._in_data_units(self.loss.sample if isinstance(self.loss, Likelihood) else self.loss.link, raw)

    @property
    def _is_sum(self) -> bool:
        return type(self.loss).forward is Loss.forward

    @property
    def _is_standardized(self) -> bool:
        return self.loss.domain is None

    def _compared(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the arguments of the loss, in the units that it compares."""
        x, observed = self._own(x), None if observed is None else self._own(observed)
        if self._is_standardized:
            return self._own(raw), (x - self.tangent.location) / self.tangent.slope, observed
        return self._placed(raw), x, observed

    def _in_data_units(self, function: Any, raw: Tensor) -> Tensor:
        if self._is_standardized:
            return self.tangent(function(self._own(raw)))
        return function(self._placed(raw))


class Categories(Columns):
    """One-hot encoded categories, padded to the same number of columns in ``places`` with -1."""

    absent: Tensor

    def __init__(self, places: list[int], groups: list[int]) -> None:
        super().__init__(places, groups)
        absent = torch.tensor([place < 0 for place in places]).unflatten(0, (len(groups), -1))
        self.register_buffer("absent", absent, persistent=False)

    def _start(self, mean: Tensor, scale: Tensor) -> None:
        self.tangent.start(Categorical(), mean, scale)

    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> None:
        """Do nothing."""

    def refit_scale(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> None:
        """Do nothing: there is no scale."""

    def terms(self, raw: Tensor, x: Tensor, observed: Tensor | None) -> Tensor:
        """Compute the cross-entropy of each category, (n, n_categories); 0 where a column of it is not observed."""
        terms = -(self._split(self._own(x)) * self._log_probability(raw)).masked_fill(self.absent, 0).sum(2)
        if observed is None:
            return terms
        return torch.where((self._split(self._own(observed)) | self.absent).all(2), terms, 0)

    def link(self, raw: Tensor) -> Tensor:
        """Return probabilities."""
        return self._log_probability(raw).exp().flatten(1)

    def sample(self, raw: Tensor) -> Tensor:
        """Draw a category, one-hot encoded."""
        log_p = self._log_probability(raw)
        noise = -torch.log(-torch.log(torch.rand_like(log_p).clamp(1e-7, 1 - 1e-7)))  # Gumbel's
        return F.one_hot((log_p + noise).argmax(2), log_p.shape[2]).to(raw).flatten(1)

    def _log_probability(self, raw: Tensor) -> Tensor:
        return self._split(self._placed(raw)).masked_fill(self.absent, _NEVER).log_softmax(2)

    def _split(self, values: Tensor) -> Tensor:
        return values.unflatten(1, self.absent.shape)
