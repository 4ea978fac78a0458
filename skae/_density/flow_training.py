"""Training of a normalizing flow by maximum likelihood; the weights best on held-out rows are kept."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .flow_network import FlowNetwork

_WARMUP = 0.1  # share of the steps in which the learning rate rises
_LARGEST_GRADIENT = 1.0
_EVALUATION_BATCH = 2048


class Rows(NamedTuple):
    """Rows (n, d), standard deviations of their noise or None, conditions (n, k) or None, and weights (n,)."""

    x: Any
    std: Any
    c: Any
    weight: Any

    def at(self, index: Any) -> Rows:
        """Return the rows at ``index``."""
        return Rows(*(None if A is None else A[index] for A in self))

    def on(self, device: torch.device) -> Rows:
        """Return tensors of float32 on the device, of arrays."""
        return Rows(*(None if A is None else torch.tensor(A, dtype=torch.float32, device=device) for A in self))


def train(
    network: FlowNetwork,
    rows: Rows,
    held_out: Rows | None,
    *,
    n_epochs: int,
    lr: float,
    batch_size: int,
    patience: float,
    seed: int,
) -> tuple[list[float], list[float]]:
    """Train ``network`` in place.

    Parameters
    ----------
    network : FlowNetwork
    rows, held_out : Rows
        Those trained on, and those that decide which weights are kept; the last ones are where there are none.
    n_epochs, lr, batch_size, patience
        As in `NormalizingFlow`.
    seed : int
        Of the order of the rows and of their noise.

    Returns
    -------
    losses, held_out_losses : list of float
        Mean negative log-densities of rows in nats: of the batches of each epoch; and of the rows held out, at
        the start and after each epoch.

    Raises
    ------
    FloatingPointError
        When a loss is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr)
    n = len(rows.x)
    n_batches = math.ceil(n / batch_size)
    losses: list[float] = []
    held: list[float] = []
    if held_out is not None:
        held_out = held_out._replace(x=_noisy(held_out, generator))
        held.append(_mean_loss(network, held_out))
    best = [value.detach().clone() for value in network.parameters()]
    step = 0
    for _ in range(n_epochs):
        total = torch.zeros((), device=rows.x.device)
        for index in torch.randperm(n, generator=generator).tensor_split(n_batches):
            for group in optimizer.param_groups:
                group["lr"] = lr * _rate((step + 1) / (n_epochs * n_batches + 1))
            batch = rows.at(index.to(rows.x.device))
            loss = -(network.log_density(_noisy(batch, generator), batch.c) * batch.weight).sum()
            optimizer.zero_grad()
            (loss / batch.weight.sum()).backward()
            nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            step += 1
            total += loss.detach()
        losses.append(float(total / rows.weight.sum()))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"The loss became {losses[-1]} in epoch {len(losses)}: try a lower lr than {lr}.")
        if held_out is None:
            continue
        held.append(_mean_loss(network, held_out))
        if held[-1] <= min(held):
            best = [value.detach().clone() for value in network.parameters()]
        elif len(held) - 1 - int(np.argmin(held)) >= patience:
            break
    if held_out is not None:
        with torch.no_grad():
            for value, kept in zip(network.parameters(), best, strict=True):
                value.copy_(kept)
    return losses, held


def _noisy(rows: Rows, generator: torch.Generator) -> Tensor:
    """Return rows with a new draw of their noise; it is drawn on the CPU, so that devices have the same."""
    if rows.std is None:
        return rows.x
    return rows.x + rows.std * torch.randn(rows.std.shape, generator=generator).to(rows.x.device)


def _rate(share: float) -> float:
    """Return the learning rate, relative to its highest, after a share of the steps: up, and down along a cosine."""
    if share < _WARMUP:
        return share / _WARMUP
    return 0.5 * (1 + math.cos(math.pi * (share - _WARMUP) / (1 - _WARMUP)))


@torch.no_grad()
def _mean_loss(network: FlowNetwork, rows: Rows) -> float:
    parts = torch.arange(len(rows.x), device=rows.x.device).split(_EVALUATION_BATCH)
    found = torch.cat([network.log_density(rows.x[part], None if rows.c is None else rows.c[part]) for part in parts])
    loss = -float((found.double() * rows.weight).sum() / rows.weight.sum())
    return loss if math.isfinite(loss) else math.inf
