"""Categorical likelihood, for one category of several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import RARE, Likelihood


class Categorical(Likelihood):
    r"""Cross-entropy of a one-hot encoded category, or of proportions that sum to 1, in nats.

    .. math:: -\sum_j x_j \log \hat x_j, \qquad \hat x_j = e^{\mathrm{raw}_j} / \sum_k e^{\mathrm{raw}_k}

    All features of X are the columns of one category; for several categories, or categories and numbers, see `Mixed`.
    For one-hot X the loss is a negative log-probability. For proportions it is not, and its minimum is their entropy.
    `link` gives probabilities, `sample` a category.

    A category is missing where all of its features are. A sample with some of them missing is ignored as well.

    Examples
    --------
    >>> import torch
    >>> Categorical()(torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 1.0, 0.0]]))
    tensor([1.3863])
    """

    domain = (0.0, 1.0)
    sums_to_one = True
    identity_link = False

    def forward(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> Tensor:
        values = -(x * self._log_probability(raw)).flatten(1).sum(1)
        return values if observed is None else torch.where(observed.flatten(1).all(1), values, 0)

    def _log_probability(self, raw: Tensor) -> Tensor:
        return F.log_softmax(raw.flatten(1), 1).view(raw.shape)

    def link(self, raw: Tensor) -> Tensor:
        return self._log_probability(raw).exp()

    def at_mean(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        mean = mean.clamp(min=RARE)
        return mean.log(), mean

    def sample(self, raw: Tensor) -> Tensor:
        drawn = torch.multinomial(self.link(raw).flatten(1), 1)
        return torch.zeros_like(raw.flatten(1)).scatter_(1, drawn, 1).view(raw.shape)
