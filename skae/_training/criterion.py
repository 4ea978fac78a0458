"""The training criterion: the mean objective of the samples and the penalty on the weights of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightedMean(nn.Module):
    """Weighted mean of the objective of the samples."""

    def forward(self, objective: Tensor, weight: Tensor | None) -> Tensor:
        return objective.mean() if weight is None else (objective * weight).mean()


def elastic_net(network: nn.Module, alpha: float, l1_ratio: float) -> Tensor:
    r"""Compute the penalty :math:`\alpha (\rho |w|_1 + \tfrac{1 - \rho}{2} |w|_2^2)` of a network's weights w.

    Biases and scales of normalization layers, which have one axis, are not penalized.

    α and ρ are those of `sklearn.linear_model.ElasticNet`.
    """
    weights = [p for p in network.parameters() if p.ndim > 1]
    if not weights:
        return torch.zeros(())
    l1 = torch.stack([w.abs().sum() for w in weights]).sum()
    l2 = torch.stack([w.square().sum() for w in weights]).sum()
    return alpha * (l1_ratio * l1 + 0.5 * (1 - l1_ratio) * l2)
