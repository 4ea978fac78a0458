"""A step of two turns: a critic learns to tell decoded samples from real ones, then the decoder learns from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._data.batches import Batch
from .._module.halves import decode_codes, draw_codes

_BETAS = (0.0, 0.9)  # momentum makes two players that follow each other overshoot
_LEAST = 1e-12  # variance of a layer


class Draws(NamedTuple):
    """Codes from the prior, (n, n_codes), and their conditions."""

    codes: Tensor
    condition: Tensor | None

    def some(self, n: int) -> Draws:
        """Return ``n`` of them, drawn from torch's global generator."""
        index = torch.randint(len(self.codes), (n,), device=self.codes.device)
        return Draws(self.codes[index], None if self.condition is None else self.condition[index])


class AdversarialStep:
    """The step of a phase in which the weights ``decoder`` alone are trained, against a critic.

    Parameters
    ----------
    net : AutoencoderNet
        Trained. Its module stays in evaluation mode, so that the scale of a likelihood and running statistics stay.
    critic : Critic
        Set up; it is trained too.
    decoder : list of nn.Parameter
        What the decoder's turn updates.
    draws : Draws or None
        Codes from the prior, which are decoded beside those of the batch.
    error : float
        The squared error before the phase, mean over values: the unit of the decoder's.
    """

    def __init__(self, net: Any, critic: Any, decoder: list[Any], draws: Draws | None, error: float) -> None:
        self.net, self.critic, self.decoder, self.draws, self.error = net, critic, decoder, draws, error
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), lr=float(critic.lr), betas=_BETAS)
        self.optimizer = torch.optim.Adam(decoder, lr=float(critic.decoder_lr), betas=_BETAS)

    def refresh(self) -> None:
        """Do nothing: what callbacks may change, this step does not use."""

    def __call__(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Take both turns; return the decoder's loss and the reconstructions."""
        module, x, n = self.net.module_, batch.y, len(batch.y)
        self.net.set_training(False)
        with self.net.stream:
            u = batch.u if module.noise is None else module.corrupt(batch.u)
            codes, c = draw_codes(module, u), batch.condition
            if self.draws is not None:
                drawn = self.draws.some(n)
                codes = torch.cat([codes, drawn.codes])
                c = None if c is None or drawn.condition is None else torch.cat([c, drawn.condition])
        made = decode_codes(module, codes, c, u)
        self._train_critic(batch, made.detach(), c)
        return {"loss": self._train_decoder(batch, made, c), "y_pred": made[:n]}

    def _train_critic(self, batch: Batch, made: Tensor, c: Tensor | None) -> None:
        """Raise the scores of the batch and lower those of what was ``made``, under the conditions ``c``."""
        n, real_c = len(batch.y), batch.condition
        both_c = None if c is None or real_c is None else torch.cat([real_c, c])
        scores = self.critic.train()(torch.cat([batch.y, made]), both_c)[-1].flatten(1)
        real = (1 - scores[:n]).relu().mean(1)
        loss = _mean(real, batch.weight) + (1 + scores[n:]).relu().mean()
        _update(self.critic_optimizer, list(self.critic.parameters()), loss)

    def _train_decoder(self, batch: Batch, made: Tensor, c: Tensor | None) -> Tensor:
        """Train the decoder on what it ``made``, first the reconstructions of the batch; return its loss."""
        critic, n = self.critic.eval(), len(batch.y)
        with torch.no_grad():
            *hidden, _ = critic(batch.y, batch.condition)
        *hidden_made, scores = critic(made, c)
        error = (made[:n] - batch.y).square().flatten(1).mean(1)
        loss = critic.reconstruction / self.error * _mean(error, batch.weight)
        for h, h_made in zip(hidden, hidden_made, strict=True):
            distance = (h_made[:n] - h).square().flatten(1).mean(1)
            loss = loss + critic.features / h.var().clamp(min=_LEAST) * _mean(distance, batch.weight)
        loss = loss - critic.adversarial * scores.mean()
        _update(self.optimizer, self.decoder, loss)
        return loss.detach()


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (values * weight).mean()


def _update(optimizer: torch.optim.Optimizer, weights: list[Any], loss: Tensor) -> None:
    """Take a step by the gradients of ``loss`` in ``weights`` alone; they are not left behind."""
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    optimizer.zero_grad()
