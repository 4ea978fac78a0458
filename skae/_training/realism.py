"""The distance between decoded and real samples, independent of the critic, and the selection of the best epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._density.frechet import frechet
from .._module.halves import decode_codes, draw_codes
from .._utils.rng import COMMON_SEED, Stream
from .adversarial import Draws
from .base_callback import BaseCallback, StopTraining
from .net import AutoencoderNet
from .some_rows import SOME, some_batches

_DRAWS, _LEAST = 4, 500  # draws from the prior for each held-out sample, and minimum
_FEATURES = 64


class Realism:
    r"""The distance between decoded and held-out samples; smaller is better.

    .. math:: \tfrac12 \left(d(x, \hat x_q) + d(x, \hat x_p)\right)
              \max\left(1, \frac{\mathrm{MSE}}{(1 + t) \, \mathrm{MSE}_0}\right)

    d is the Fréchet distance between `RandomFeatures` of held-out samples x and those of their reconstructions, decoded
    from the posterior q with the same weights, and of samples of the prior p; without a prior only the first is used.
    If the squared error of reconstructions exceeds that before the phase by more than the tolerance t, the distance
    increases in proportion. All calls use the same samples, codes and features.

    Parameters
    ----------
    net : AutoencoderNet
        The net before the phase.
    rows : dataset of the engine
        Held-out samples; about 5,000 of them are used, see `some_batches`.
    draws : Draws or None
        Codes from the prior.
    tolerance : float
    """

    def __init__(self, net: Any, rows: Any, draws: Draws | None, tolerance: float) -> None:
        self.tolerance = tolerance
        with Stream(COMMON_SEED, net.device):
            self.parts = [(batch, draw_codes(net.module_, batch.u)) for batch in some_batches(net, rows)]
        real = self.samples()
        n_draws = min(max(_DRAWS * len(real), _LEAST), SOME)
        self.draws = None if draws is None else draws.first(n_draws)
        weights = [batch.weight for batch, _ in self.parts if batch.weight is not None]
        self.weight = torch.cat(weights).double().cpu().numpy() if weights else None
        self.features = RandomFeatures(real.shape[1:], real.mean(), real.std()).to(real.device)
        self.real = self.features.of([real])
        self.error = self._error(net.module_)

    def samples(self) -> Tensor:
        """Return the held-out samples, in the units of the loss."""
        return torch.cat([batch.y for batch, _ in self.parts])

    @torch.no_grad()
    def __call__(self, module: Any) -> float:
        """Return the distance for a module in evaluation mode; infinite if its output is not finite."""
        found = [self.features.of(self._reconstructions(module))]
        like = self.parts[0][0].u
        if self.draws is not None:
            pieces = zip(*(_pieces(A, len(self.draws.codes)) for A in self.draws), strict=True)
            found.append(self.features.of(decode_codes(module, z, c, like) for z, c in pieces))
        if not all(np.isfinite(G).all() for G in found):
            return math.inf
        weights = self.weight, None  # those of the samples for reconstructions; the prior is already weighted
        pairs = zip(found, weights, strict=False)
        distance = sum(frechet(self.real, G, self.weight, w) for G, w in pairs) / len(found)
        return distance * max(1.0, self._error(module) / ((1 + self.tolerance) * self.error))

    def _reconstructions(self, module: Any) -> Any:
        for batch, codes in self.parts:
            yield decode_codes(module, codes, batch.condition, batch.u)

    @torch.no_grad()
    def _error(self, module: Any) -> float:
        errors = [
            (made - batch.y).square().flatten(1).mean(1)
            for made, (batch, _) in zip(self._reconstructions(module), self.parts, strict=True)
        ]
        return max(float(np.average(torch.cat(errors).double().cpu().numpy(), weights=self.weight)), 1e-12)


def _pieces(A: Tensor | None, n: int, size: int = 256) -> Sequence[Tensor | None]:
    return [None] * math.ceil(n / size) if A is None else A.split(size)


class RandomFeatures(nn.Module):
    """Features of a fixed random network for samples of one shape: convolutional for images.

    Distances in random convolutional features discriminate samples similarly to those of a trained network, without
    training data.

    Parameters
    ----------
    shape : sequence of int
        Of a sample.
    mean, scale : Tensor
        Mean and scale for the standardization of samples.
    """

    def __init__(self, shape: Sequence[int], mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale.clamp(min=1e-6))
        with Stream(COMMON_SEED):
            self.layers = nn.Sequential(*_random_layers(tuple(shape)))

    @torch.no_grad()
    def of(self, batches: Any) -> np.ndarray:
        """Return the features of samples, (n, d) in float64."""
        return torch.cat([self.layers((x - self.mean) / self.scale) for x in batches]).double().cpu().numpy()


def _random_layers(shape: tuple[int, ...]) -> list[nn.Module]:
    if len(shape) != 3:
        wide = _random(nn.Linear(math.prod(shape), 4 * _FEATURES))
        return [nn.Flatten(), wide, nn.ReLU(), _random(nn.Linear(4 * _FEATURES, _FEATURES)), nn.ReLU()]
    fine = _random(nn.Conv2d(shape[0], _FEATURES // 2, 5, stride=2, padding=2))
    coarse = _random(nn.Conv2d(_FEATURES // 2, _FEATURES, 3, stride=2, padding=1))
    return [fine, nn.ReLU(), coarse, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]


def _random(layer: Any) -> nn.Module:
    """Return a layer without bias, with orthogonal weights scaled for a rectifier."""
    nn.init.orthogonal_(layer.weight, gain=math.sqrt(2))
    nn.init.zeros_(layer.bias)
    return layer


class KeepMostReal(BaseCallback):
    """Restore the weights with the smallest distance, including those before the phase.

    Parameters
    ----------
    realism : Realism
    weights : list of nn.Parameter
        Weights trained in the phase.
    """

    def __init__(self, realism: Realism, weights: list[Any]) -> None:
        self.realism, self.weights = realism, weights

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        self.curve_ = [self.realism(net.module_)]
        self._keep()

    def _keep(self) -> None:
        self.best_ = [weight.detach().clone() for weight in self.weights]

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        value = self.realism(net.module_)
        if value < min(self.curve_):
            self._keep()
        self.curve_.append(value)
        net.history.record("distance", value)
        if not math.isfinite(value):
            raise StopTraining

    def on_train_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        for weight, best in zip(self.weights, self.best_, strict=True):
            weight.data.copy_(best)
