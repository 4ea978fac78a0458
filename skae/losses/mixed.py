"""A loss for tables with a separate loss for each group of columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._utils.columns import find_columns, list_of_groups
from .._utils.slots import resolve
from ._blocks import Block, Categories
from .base import Likelihood, Loss
from .categorical import Categorical
from .gaussian import Gaussian
from .laplace import Laplace

FLOOR = 1e-2  # lower bound of the scales of numbers, in standard deviations of their columns
#: Likelihoods of numbers by name, with a scale for each column.
_NUMBERS = {"gaussian": Gaussian, "laplace": Laplace}


class Mixed(Likelihood):
    """A loss for tables of numbers, categories, flags and counts, with a separate loss for each group of columns.

    Columns may have different units: the input of the network is each column divided by its standard deviation (for a
    category, that of all its columns together), and training starts from the mean of each column. Likelihoods of
    numbers have a scale for each column, so that accurately reconstructed and noisy columns, categories and counts are
    all weighted by their log-likelihood in nats. `link` gives means, probabilities and rates; `sample` draws numbers,
    one-hot categories, flags and counts.

    Parameters
    ----------
    groups : list of (loss, columns)
        ``loss`` is 'gaussian', 'laplace', 'squared_error' or another string for numbers, 'categorical' for the columns
        of one one-hot encoded category, 'bernoulli' for flags, 'poisson' or 'negative_binomial' for counts; or an
        object of `skae.losses`. ``columns`` is the index or the name of a column, a list of these, a slice or a mask.
        Names need a DataFrame in `fit`. Each column belongs to exactly one group.

        'gaussian' and 'laplace' are short for ``Gaussian(per_feature=True, floor=0.01)`` and the same for `Laplace`.
        Scales of objects are also in standard deviations of each column, and errors are divided by it.

    Notes
    -----
    A missing category is NaN in all of its columns. It is left out of the loss, and `link` imputes probabilities.
    `skae.noise.MaskingNoise` masks the columns of a category together.

    X is compared in float32: subtract large offsets first.

    Examples
    --------
    >>> import torch
    >>> loss = Mixed([("gaussian", [0]), ("categorical", [1, 2, 3]), ("poisson", [4])])
    >>> loss.setup(n_components=1, target_shape=(5,))
    >>> loss = loss.eval()  # in training, scales follow the batches
    >>> loss.by_group(torch.zeros(1, 5), torch.tensor([[0.0, 0.0, 1.0, 0.0, 2.0]]))
    tensor([[0.9189, 1.0986, 1.6931]])
    >>> loss.link(torch.zeros(1, 5))
    tensor([[0.0000, 0.3333, 0.3333, 0.3333, 1.0000]])
    """

    domain = (-math.inf, math.inf)
    identity_link = False
    linear_start = True

    blocks: Any  # typed Any, since torch.nn.ModuleList hides the methods
    order: Tensor

    def __init__(self, groups: Sequence[tuple[Any, Any]]) -> None:
        super().__init__()
        self.groups = groups

    # ---------------------------------------------------------------- groups

    def find_features(self, names: Sequence[str] | None, shape: Sequence[int]) -> None:
        self.groups = self._resolved(names, shape)

    def _resolved(self, names: Sequence[str] | None, shape: Sequence[int] | None) -> list[tuple[Any, list[int]]]:
        """Return the groups with their columns as integers, checked."""
        name = type(self).__name__
        if shape is None or len(shape) != 1:
            raise ValueError(f"{name} needs a table, (n_samples, n_features), got samples of shape {shape}.")
        n_features = shape[0]
        found = []
        for i, group in enumerate(list_of_groups(self.groups, name, "(loss, columns)")):
            if not (isinstance(group, tuple | list) and len(group) == 2):
                raise ValueError(f"{name}: groups[{i}] must be a pair (loss, columns), got {group!r}.")
            found.append((group[0], find_columns(group[1], names, n_features, f"{name}: groups[{i}]")))
        times = np.bincount([*itertools.chain(*(columns for _, columns in found))], minlength=n_features)
        for wrong, what in ((times == 0, "lack"), (times > 1, "repeat")):
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                raise ValueError(
                    f"{name}: groups must contain each column of X once, but {what} {wrong.sum()} of them, first "
                    f"{first if names is None else repr(names[first])}."
                )
        return found

    def _losses(self) -> list[Loss]:
        """Return an object for each group."""
        return [_loss_of(loss, f"{type(self).__name__}: groups[{i}]") for i, (loss, _) in enumerate(self.groups)]

    def by_columns(self) -> list[tuple[Loss, Any]]:
        return [(loss, columns) for loss, (_, columns) in zip(self._losses(), self.groups, strict=True)]

    def joint_columns(self) -> list[list[int]]:
        return [columns for loss, columns in self.by_columns() if loss.sums_to_one]

    def feature_scales(self, std: np.ndarray) -> np.ndarray:
        scales = std.copy()
        for columns in self.joint_columns():
            scales[columns] = math.sqrt(np.square(std[columns]).sum())
        return np.where(scales > 0, scales, 1.0)

    # ---------------------------------------------------------------- before training

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        groups = self._resolved(None, target_shape)  # columns are indices by now
        losses = self._losses()
        together: dict[Any, list[int]] = {}  # groups that are computed together
        for i, (given, columns) in enumerate(groups):
            if columns and type(losses[i]) is Categorical:  # grouped by similar numbers of categories, to pad them
                together.setdefault(("categorical", math.ceil(math.log2(len(columns)))), []).append(i)
            elif columns:
                together.setdefault(given if isinstance(given, str) else i, []).append(i)
        self.blocks, all_places = nn.ModuleList(), []
        for found in together.values():
            loss, width = losses[found[0]], max(len(groups[i][1]) for i in found)
            if type(loss) is Categorical:
                places = [place for i in found for place in [*groups[i][1], *[-1] * (width - len(groups[i][1]))]]
                self.blocks.append(Categories(places, found))
            else:
                places = [place for i in found for place in groups[i][1]]
                self.blocks.append(Block(loss, places, [i for i in found for _ in groups[i][1]], n_components))
            all_places += places
        order = [all_places.index(column) for column in range(len(all_places) - all_places.count(-1))]
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def set_units(self, mean: Tensor, scale: Tensor) -> None:
        for block in self.blocks:
            block.set_units(mean.expand(self.order.shape), scale.expand(self.order.shape))

    @torch.no_grad()
    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        for block in self.blocks:
            block.init_from(raw, x, observed)

    @torch.no_grad()
    def refit_scale(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        for block in self.blocks:
            block.refit_scale(raw, x, observed)

    # ---------------------------------------------------------------- values

    def forward(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        return torch.cat([block.terms(raw, x, observed) for block in self.blocks], 1).sum(1)

    def by_group(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Compute the loss of each group, (n, n_groups), whose sum is that of the sample."""
        terms = torch.cat([block.terms(raw, x, observed) for block in self.blocks], 1)
        groups = torch.cat([block.groups for block in self.blocks])
        return terms.new_zeros(len(terms), len(self.groups)).index_add_(1, groups, terms)

    def link(self, raw: Tensor) -> Tensor:
        return torch.cat([block.link(raw) for block in self.blocks], 1).index_select(1, self.order)

    def sample(self, raw: Tensor) -> Tensor:
        """Sample each group; groups whose loss is not a likelihood have no noise."""
        return torch.cat([block.sample(raw) for block in self.blocks], 1).index_select(1, self.order)


def _loss_of(loss: Any, name: str) -> Loss:
    from .. import losses  # it imports this module

    if isinstance(loss, str) and loss in _NUMBERS:
        return _NUMBERS[loss](floor=FLOOR, per_feature=True)
    try:
        return resolve("loss", loss, losses, Loss)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
