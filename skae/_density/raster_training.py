"""Training of a `RasterNet`: by weights that are averaged, of which those best on held-out codes are kept."""

from __future__ import annotations

import math

import numpy as np
import torch

from .raster_net import RasterNet

_DECAY = 0.998  # of the averages of weights; less at first
_WARMUP = 0.05  # share of the steps in which the learning rate rises
_WEIGHT_DECAY = 1e-3
_EVALUATION_BATCH = 256


def train(
    net: RasterNet,
    symbols: np.ndarray,
    weight: np.ndarray,
    held_out: np.ndarray,
    *,
    n_epochs: int,
    lr: float,
    batch_size: int,
    dropped: float,
    seed: int,
) -> tuple[list[float], list[float]]:
    """Train ``net`` in place.

    Parameters
    ----------
    net : RasterNet
    symbols : ndarray of int64 of shape (n, n_integers, h, w)
    weight : ndarray of shape (n,)
        Weights of the codes.
    held_out : ndarray of bool of shape (n,)
        The codes that are not trained on. Without any, the last weights are kept.
    n_epochs, lr, batch_size
        As in `Autoregressive`.
    dropped : float
        Share of the codes that are trained on without the biases of their positions.
    seed : int
        Of the order of the codes.

    Returns
    -------
    losses, held_out_losses : list of float
        Mean negative log-likelihoods of a code in nats: of the batches of each epoch; and of the codes held out, at the
        start and after each epoch.

    Raises
    ------
    FloatingPointError
        When a loss is not finite.
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY)
    train_index, held_index = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    n_batches = math.ceil(len(train_index) / batch_size)
    average = [value.detach().clone() for value in net.parameters()]
    n_integers = math.prod(symbols.shape[1:])
    losses: list[float] = []
    held: list[float] = [_mean_loss(net, symbols, weight, held_index)] if len(held_index) else []
    best = [value.clone() for value in average]
    step = 0
    for _ in range(n_epochs):
        total = 0.0
        for index in np.array_split(rng.permutation(train_index), n_batches):
            for group in optimizer.param_groups:
                group["lr"] = lr * _rate((step + 1) / (n_epochs * n_batches + 1))
            placed = torch.from_numpy((rng.random(len(index)) >= dropped).astype(np.float32))
            found = net(torch.from_numpy(symbols[index]), placed)
            loss = (found * torch.from_numpy(weight[index].astype(np.float32))).sum() / weight[index].sum()
            optimizer.zero_grad()
            (loss / n_integers).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1
            total += loss.item() * weight[index].sum()
            share = 1 - min(_DECAY, (1 + step) / (10 + step))
            with torch.no_grad():
                for mean, value in zip(average, net.parameters(), strict=True):
                    mean.lerp_(value, share)
        losses.append(total / weight[train_index].sum())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"The loss became {losses[-1]} in epoch {len(losses)}: try a lower lr than {lr}.")
        if not len(held_index):
            best = average
            continue
        trained = _exchange(net, average)
        held.append(_mean_loss(net, symbols, weight, held_index))
        _exchange(net, trained)
        if held[-1] <= min(held):
            best = [value.clone() for value in average]
    _exchange(net, best)
    return losses, held


def _rate(share: float) -> float:
    """Return the learning rate, relative to its highest, after a share of the steps: up, and down along a cosine."""
    if share < _WARMUP:
        return share / _WARMUP
    return 0.5 * (1 + math.cos(math.pi * (share - _WARMUP) / (1 - _WARMUP)))


@torch.no_grad()
def _mean_loss(net: RasterNet, symbols: np.ndarray, weight: np.ndarray, index: np.ndarray) -> float:
    starts = range(0, len(index), _EVALUATION_BATCH)
    losses = [net(torch.from_numpy(symbols[index[start : start + _EVALUATION_BATCH]])) for start in starts]
    return float(np.average(torch.cat(losses).double().numpy(), weights=weight[index]))


@torch.no_grad()
def _exchange(net: RasterNet, values: list[torch.Tensor]) -> list[torch.Tensor]:
    """Give the network other weights, and return those that it had."""
    before = [value.clone() for value in net.parameters()]
    for value, new in zip(net.parameters(), values, strict=True):
        value.copy_(new)
    return before
