"""The training loss: the mean of the samples' objectives, and a penalty on weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightedMean(nn.Module):
    """The criterion: the mean of the samples' objectives, each times its weight."""

    def forward(self, objective: Tensor, weight: Tensor | None) -> Tensor:
        return objective.mean() if weight is None else (objective * weight).mean()


def elastic_net(module: nn.Module, alpha: float, l1_ratio: float) -> Tensor:
    r"""Return :math:`\alpha (\rho |w|_1 + \tfrac{1 - \rho}{2} |w|_2^2)` of all weights w, biases excluded.

    α and ρ are those of `sklearn.linear_model.ElasticNet`.
    """
    weights = [p for p in module.parameters() if p.ndim > 1]
    if not weights:
        return torch.zeros(())
    l1 = torch.stack([w.abs().sum() for w in weights]).sum()
    l2 = torch.stack([w.square().sum() for w in weights]).sum()
    return alpha * (l1_ratio * l1 + 0.5 * (1 - l1_ratio) * l2)
