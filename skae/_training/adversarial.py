"""Adversarial training step: update a critic of decoded and real samples, then the decoder."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LinearLR

from .._data.batches import Batch
from .._module.halves import decode_codes, decoder_weights, draw_codes
from .._utils.rng import COMMON_SEED, Stream

_BETAS = (0.0, 0.9)  # without momentum, which destabilizes adversarial training
_LEAST = 1e-12  # minimum variance of a layer


class Draws(NamedTuple):
    """Codes from the prior, (n, n_codes), and their conditions."""

    codes: Tensor
    condition: Tensor | None

    def first(self, n: int) -> Draws:
        """Return the first ``n`` codes."""
        return Draws(self.codes[:n], None if self.condition is None else self.condition[:n])

    def some(self, n: int) -> Draws:
        """Return ``n`` random codes, drawn with torch's global generator."""
        index = torch.randint(len(self.codes), (n,), device=self.codes.device)
        return Draws(self.codes[index], None if self.condition is None else self.condition[index])


def weights_to_train(net: Any, critic: Any, batch: Batch) -> list[Any]:
    """Return the weights that a phase with ``critic`` trains, determined with a ``batch``.

    Raises
    ------
    ValueError
        If there are no such weights.
    """
    found = decoder_weights(net.module_, batch.u, batch.condition)
    if not found:
        raise ValueError(
            f"critic={type(critic).__name__} trains the weights of the decoder that codes do not depend on, but "
            f"{type(net.module_.network).__name__} has none: do not share the decoder's weights, or set "
            "critic=None."
        )
    return found


def check_decoder(net: Any, critic: Any, rows: Any) -> None:
    """Raise the error of `weights_to_train` before training, without changes."""
    was_training = net.module_.training
    net.set_training(False)
    with Stream(COMMON_SEED, net.device):
        weights_to_train(net, critic, rows.at(np.arange(1))[:])
    net.set_training(was_training)


class AdversarialStep:
    """The training step of a phase in which only the weights ``decoder`` are trained, against a critic.

    Parameters
    ----------
    net : AutoencoderNet
        A trained net. Its module stays in evaluation mode, so that the scale of a likelihood and running statistics do
        not change.
    critic : Critic
        A critic after `setup`, which is trained, too.
    decoder : list of nn.Parameter
        Weights to update.
    draws : Draws or None
        Codes from the prior, which are decoded together with those of the batch.
    error : float
        Mean squared error before the phase, the unit of the squared error in the decoder's loss.
    n_steps : int
        Number of steps over which learning rates decay linearly to 0, so that adversarial training converges.
    """

    def __init__(
        self, net: Any, critic: Any, decoder: list[Any], draws: Draws | None, error: float, n_steps: int
    ) -> None:
        self.net, self.critic, self.decoder, self.draws, self.error = net, critic, decoder, draws, error
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), lr=float(critic.lr), betas=_BETAS)
        self.optimizer = torch.optim.Adam(decoder, lr=float(critic.decoder_lr), betas=_BETAS)
        self.schedules = [LinearLR(o, 1.0, 0.0, max(n_steps, 1)) for o in (self.critic_optimizer, self.optimizer)]

    def refresh(self) -> None:
        """Do nothing: this step does not depend on anything that callbacks may change."""

    def __call__(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Update critic and decoder; return the decoder's loss and the reconstructions."""
        module = self.net.module_
        self.net.set_training(False)
        pairs = batch if self.draws is None else _first(batch, -(-len(batch.y) // 2))
        n, n_drawn = len(pairs.y), len(batch.y) - len(pairs.y)
        with self.net.stream:
            u = pairs.u if module.noise is None else module.corrupt(pairs.u)
            codes, c = draw_codes(module, u), pairs.condition
            if self.draws is not None:
                drawn = self.draws.some(n_drawn)
                codes = torch.cat([codes, drawn.codes])
                c = None if c is None or drawn.condition is None else torch.cat([c, drawn.condition])
        made, weight = decode_codes(module, codes, c, u), _weights_of(pairs, len(codes))
        self._train_critic(batch, made.detach(), c, weight)
        loss = self._train_decoder(pairs, made, c, weight)
        for schedule in self.schedules:
            schedule.step()
        return {"loss": loss, "y_pred": made[:n]}

    def _train_critic(self, batch: Batch, made: Tensor, c: Tensor | None, weight: Tensor | None) -> None:
        """Update the critic with the batch and the samples ``made`` by the decoder, under the conditions ``c``."""
        n, c_real = len(batch.y), batch.condition
        c = None if c is None or c_real is None else torch.cat([c_real, c])
        scores = self.critic.train()(torch.cat([batch.y, made]), c)[-1].flatten(1)
        real = (1 - scores[:n]).relu().mean(1)
        loss = _mean(real, batch.weight) + _mean((1 + scores[n:]).relu().mean(1), weight)
        _update(self.critic_optimizer, list(self.critic.parameters()), loss)

    def _train_decoder(self, pairs: Batch, made: Tensor, c: Tensor | None, weight: Tensor | None) -> Tensor:
        """Update the decoder with the samples that it ``made``, reconstructions of ``pairs`` first; return its loss."""
        critic, n = self.critic.eval(), len(pairs.y)
        with torch.no_grad():
            *hidden, _ = critic(pairs.y, pairs.condition)
        *hidden_made, scores = critic(made, c)
        error = (made[:n] - pairs.y).square().flatten(1).mean(1)
        loss = critic.reconstruction / self.error * _mean(error, pairs.weight)
        for h, h_made in zip(hidden, hidden_made, strict=True):
            distance = (h_made[:n] - h).square().flatten(1).mean(1)
            loss = loss + critic.features / h.var().clamp(min=_LEAST) * _mean(distance, pairs.weight)
        loss = loss - critic.adversarial * _mean(scores.flatten(1).mean(1), weight)
        _update(self.optimizer, self.decoder, loss)
        return loss.detach()


def _first(batch: Batch, n: int) -> Batch:
    return Batch.of(*(None if t is None else t[:n] for t in batch.tensors()))  # type: ignore[arg-type]


def _weights_of(pairs: Batch, n: int) -> Tensor | None:
    """Return the weights of ``n`` decoded samples: those of ``pairs`` for reconstructions, 1 for draws from the prior.

    The prior is already weighted.
    """
    if pairs.weight is None:
        return None
    return torch.cat([pairs.weight, pairs.weight.new_ones(n - len(pairs.weight))])


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (values * weight).mean()


def _update(optimizer: torch.optim.Optimizer, weights: list[Any], loss: Tensor) -> None:
    """Take a step with the gradients of ``loss`` for ``weights`` only, and clear them."""
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    optimizer.zero_grad()
