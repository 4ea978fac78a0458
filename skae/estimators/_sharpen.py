"""The second phase of `fit` for an estimator with a critic: adversarial training of the decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .._module.halves import refit_scale
from .._training.adversarial import AdversarialStep, Draws, weights_to_train
from .._training.realism import KeepMostReal, Realism
from .._training.reports import verbosity_callbacks
from .._training.some_rows import some_batches
from .._utils.threads import threads_for
from ._fit import Outcome
from ._fit_data import FitData
from ._integer_codes import is_integer_density
from ._ordered import explained_shares
from ._resolve import ModelSpec

_BATCHES, _EPOCHS = 1_500, (1, 50)  # max_epochs="auto"
_LEAST = 10  # minimum number of held-out samples for distances, which need a covariance
_POOL = (2**9, 2**13)  # minimum and maximum number of codes drawn from the prior
_POOL_VALUES = 2**23


def check_critic(spec: ModelSpec, data: FitData) -> None:
    """Raise an error before training for parts that do not support a critic."""
    critic = spec.critic
    if critic is None:
        return
    name = f"critic={type(critic).__name__}"
    if spec.missing:
        raise ValueError(
            f"{name} does not support missing values: impute them and set missing='error', or set critic=None."
        )
    if spec.reads_padding:
        network = getattr(spec.network, "__name__", type(spec.network).__name__)
        raise ValueError(
            f"{name} does not support module={network}, since a critic would treat the padding of sequences as values. "
            "Set critic=None, or use a network without padding, such as module='mlp'."
        )
    if any(loss.sums_to_one for loss, _ in spec.loss.by_columns()):
        raise ValueError(
            f"{name} needs a loss of numbers, got {spec.loss!r}: draws of categories have no gradient. Set critic=None."
        )
    critic.check_shape((data.X if data.X_target is None else data.X_target).shape[1:])


def sharpen(est: Any, critic: Any, outcome: Outcome) -> dict[str, Any]:
    """Train the decoder of ``outcome.net`` against ``critic``; return fitted attributes.

    ``est`` has a fitted prior. Its decoder is unchanged if no epoch is better.
    """
    net, module = outcome.net, outcome.net.module_
    draws = _draws(est, net, len(outcome.rows))
    realism = Realism(net, outcome.measured(_LEAST), draws, critic.tolerance)
    real = realism.samples()
    with net.stream:
        critic.setup(module.n_components, module.target_shape, module.n_conditions)
        critic.init_from(real)
        decoder = weights_to_train(net, critic, realism.parts[0][0])
    critic.to(net.device)
    keep, n_batches = KeepMostReal(realism, decoder), outcome.n_batches
    epochs = _n_epochs(critic.max_epochs, n_batches)
    step = AdversarialStep(net, critic, decoder, draws, realism.error, epochs * n_batches)
    callbacks = [("keep_most_real", keep), *verbosity_callbacks(int(est.verbose), epochs)]
    with net.following(step, callbacks), threads_for(module.n_multiplications * len(outcome.rows) // n_batches):
        net.train_rows(outcome.rows, None, epochs)
    fitted: dict[str, Any] = {"critic_curve_": keep.curve_}
    if np.argmin(keep.curve_) > 0:
        with net.stream:
            refit_scale(module, some_batches(net, outcome.rows))
        shares = explained_shares(outcome, one_epoch=False)
        fitted |= {} if shares is None else {"_explained_shares": shares.tolist()}
    return fitted


def _n_epochs(max_epochs: int | str, n_batches: int) -> int:
    low, high = _EPOCHS
    return min(max(_BATCHES // n_batches, low), high) if isinstance(max_epochs, str) else int(max_epochs)


def _draws(est: Any, net: Any, n: int) -> Draws | None:
    """Draw about ``n`` codes from the prior; None without a prior, or with one of integers, which is too slow."""
    module, drawn_from_normal = net.module_, est._has_likelihoods and net.module_.bottleneck.standard_normal
    if not drawn_from_normal if est.prior is None else is_integer_density(est.prior_):
        return None
    least, most = _POOL
    n = max(least, min(n, most, _POOL_VALUES // module.n_codes))
    seed = net.stream.draw_seed()
    c = est._context.draw(n, np.random.default_rng(seed)) if est._context else None
    codes = torch.from_numpy(est._draw_codes(n, c, seed)).to(net.device)
    with torch.no_grad():
        return Draws(module.project(codes.float()), None if c is None else torch.from_numpy(c).to(codes))
