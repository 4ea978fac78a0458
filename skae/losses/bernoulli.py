"""Bernoulli likelihood, for binary data."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .base import RARE, Likelihood


class Bernoulli(Likelihood):
    r"""Binary cross-entropy for X in [0, 1], in nats.

    .. math:: -\sum_j \left[ x_j \log \hat x_j + (1 - x_j) \log (1 - \hat x_j) \right],
              \qquad \hat x = 1 / (1 + e^{-\mathrm{raw}})

    The decoder's output are logits. For binary X the loss is a negative log-probability. For gray values it is not, and
    its minimum is not 0 but the entropy of the values.

    Examples
    --------
    >>> import torch
    >>> Bernoulli()(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
    tensor([1.3863])
    """

    domain = (0.0, 1.0)
    identity_link = False

    def elementwise(self, raw: Tensor, x: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(raw, x, reduction="none")

    def link(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(raw)

    def at_mean(self, mean: Tensor) -> tuple[Tensor, Tensor]:
        mean = mean.clamp(RARE, 1 - RARE)
        return torch.logit(mean), mean * (1 - mean)

    def sample(self, raw: Tensor) -> Tensor:
        return torch.bernoulli(self.link(raw))
