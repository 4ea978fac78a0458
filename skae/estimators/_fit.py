"""Train a net: once, or twice if the result on few samples is inconclusive."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch

from .._data.batches import BatchIterator, row_numbers
from .._training.adversarial import check_decoder
from .._training.callbacks import Evidence, FiniteLoss, KeepBest, significantly_above
from .._training.checkpoint import Checkpoint
from .._training.net import AutoencoderNet
from .._training.reports import Report
from .._utils.rng import draw_seed
from .._utils.slots import select
from .._utils.threads import threads_for, threads_given
from ._build import build_net, continue_from, find_scaling, training_callbacks, without_observers
from ._distributed import check_parts, check_same_data
from ._fit_data import FitData
from ._initialize import initialize
from ._n_components import with_number
from ._resolve import ModelSpec
from ._training_data import corrupt_validation, mean_known, n_held_out, training_data, validation_data

_AUTO_BATCHES, _AUTO_EPOCHS = 15_000, (20, 100)  # max_epochs="auto"
# Maximum number of samples for a second training run after an inconclusive t-test, at this level.
_FEW_ROWS, _DECISIVE_LEVEL = 1000, 0.01


class Outcome(NamedTuple):
    """A trained net and the record of its training, with losses in the units of the data."""

    net: AutoencoderNet
    n_iter: int
    loss_curve: list[float]
    validation_loss_curve: list[float]
    best_epoch: int
    stopped: bool  # by a callback of the user
    evidence: Evidence | None  # if it is inconclusive whether training has improved on the initialization
    rows: Any  # training samples
    held_out: Any  # uncorrupted validation samples, None without validation
    n_batches: int  # in an epoch

    def measured(self, least: int) -> Any:
        """Return the held-out samples or, if these are fewer than ``least``, the training samples."""
        return self.rows if self.held_out is None or len(self.held_out) < least else self.held_out


class _Plan(NamedTuple):
    """Training and validation samples, and the length of the training."""

    training: np.ndarray
    held_out: np.ndarray
    stops_early: bool
    validates: bool
    n_batches: int
    smallest: int  # number of samples of the smallest batch
    epochs: int

    @property
    def has_few_samples(self) -> bool:
        """Return whether a second training run with another validation split is possible."""
        n_held, n = len(self.held_out), len(self.training) + len(self.held_out)
        return 0 < 2 * n_held <= n <= _FEW_ROWS


@threads_given()
def train(
    est: Any,
    spec: ModelSpec,
    data: FitData,
    *,
    earlier: AutoencoderNet | None = None,
    one_epoch: bool = False,
    context: Any = None,
) -> Outcome:
    """Train a net on ``data`` with the parameters of ``est``, which is not changed.

    Training continues from ``earlier`` if given. With ``one_epoch``, for `partial_fit`, there is no validation and no
    schedule. ``context`` is that of scikit-learn's callbacks.
    """
    seed = spec.ranks.gather(draw_seed(est.random_state))[0] if data.seed is None else data.seed
    checkpoint = None if one_epoch or est.checkpoint is None else Checkpoint(est.checkpoint, spec.ranks)
    if checkpoint is not None:
        seed = checkpoint.begin(seed, _description(est, data))
    scaling = find_scaling(spec, data, earlier)
    check_same_data(spec, scaling)
    est = with_number(est, spec, data, scaling, earlier, one_epoch=one_epoch)
    first = _train_once(est, spec, data, seed, scaling, earlier, checkpoint, one_epoch=one_epoch, context=context)
    found = first.evidence
    if found is None or significantly_above(found.start, found.best, _DECISIVE_LEVEL):
        return first._replace(evidence=None)
    second = None
    if not first.stopped:
        with suppress(FloatingPointError):  # the first one succeeded
            second = _train_once(without_observers(est), spec, data, seed, scaling, fold=1)
    if second is not None and second.evidence is not None:  # masked values depend on the samples
        return _decide_together(first, found, second, second.evidence)
    kept = significantly_above(found.start, found.best)
    return first._replace(evidence=None) if kept else _start_of(first, found)


def _train_once(
    est: Any,
    spec: ModelSpec,
    data: FitData,
    seed: int,
    scaling: dict[str, Any],
    earlier: AutoencoderNet | None = None,
    checkpoint: Checkpoint | None = None,
    *,
    one_epoch: bool = False,
    context: Any = None,
    fold: int = 0,
) -> Outcome:
    """Build, initialize and train a net; ``fold=1`` has another validation split."""
    rng = np.random.default_rng(seed)
    plan = _plan(est, spec, data, rng, fold, one_epoch=one_epoch)
    finite = FiniteLoss()
    keep = KeepBest(est.n_iter_no_change if plan.stops_early else None, est.tol, restore=plan.stops_early)
    callbacks = [("finite_loss", finite), *([("keep_best", keep)] if plan.validates else [])]
    if not one_epoch:
        monitor = "valid_loss" if plan.validates else "train_loss"
        callbacks += training_callbacks(est, spec, plan.epochs, plan.n_batches, monitor, context)

    with threads_for(0):  # the work is too small for more threads
        net = build_net(est, spec, data, scaling, earlier, seed, callbacks)
        dataset = training_data(net, data, plan.training)
    # Pretrained weights are replaced only by significantly better ones.
    trust_start = initialize(net, data, dataset, rng) if earlier is None else False
    check_parts(spec, net, plan.smallest)
    if spec.critic is not None:
        check_decoder(net, spec.critic, dataset)
    with threads_for(0):
        if earlier is not None:
            continue_from(net, earlier)
        validation = held_out = validation_data(net, data, dataset, plan.held_out) if plan.validates else None
        # Without held-out samples there is no evidence that training has improved on PCA.
        keep.trust_start = "always" if trust_start and validation is dataset else trust_start
        n_known, n_known_validation = mean_known(net, dataset), mean_known(net, validation)
        if validation is not None:
            validation, net.hidden_share_ = corrupt_validation(net, validation)
            if net.hidden_share_ is not None:  # PCA copies observed values, and does not impute masked ones
                keep.trust_start = False
        changes = any(spec.ranks.gather(net.callbacks_change_updates()))  # all ranks must agree on a second run
        if keep.trust_start is True and plan.has_few_samples and not changes:
            keep.trust_start = "pooled"
        for _, callback in net.callbacks_:
            if isinstance(callback, Report):
                callback.n_known = {"train_loss": n_known, "valid_loss": n_known_validation}

    first = len(net.history)
    with threads_for(net.module_.n_multiplications * math.ceil(len(dataset) / plan.n_batches)):
        net.train_rows(dataset, validation, plan.epochs, checkpoint, spec.ranks)
        finite.check_weights(net)
    net.module_.eval()
    finished = [row["train_loss"] for row in net.history[first:] if "train_loss" in row]
    return Outcome(
        net,
        n_iter=len(finished),
        loss_curve=_in_data_units(net, finished, n_known),
        validation_loss_curve=_in_data_units(net, keep.curve_, n_known_validation) if plan.validates else [],
        best_epoch=keep.best_epoch_ if plan.stops_early else len(finished),
        stopped=len(finished) < plan.epochs and not (plan.validates and keep.is_out_of_patience()),
        evidence=keep.__dict__.pop("evidence_", None),
        rows=dataset,
        held_out=held_out,
        n_batches=plan.n_batches,
    )


def _plan(est: Any, spec: ModelSpec, data: FitData, rng: np.random.Generator, fold: int, *, one_epoch: bool) -> _Plan:
    stops_early = bool(est.early_stopping) and not one_epoch
    order = row_numbers(len(data.X), data.sample_weight)
    n_held = n_held_out(est, spec, data, len(order)) if stops_early else 0
    if n_held:
        rng.shuffle(order)
        order = np.roll(order, -fold * n_held)
    batching = {"batch_size": est.batch_size} | select(est._extra, "iterator_train")
    n_rows = len(order) - n_held if data.crops is None else data.n_crops
    sizes = BatchIterator(range(n_rows), **batching).sizes
    epochs = 1 if one_epoch else n_epochs(est.max_epochs, len(sizes))
    validates = stops_early or data.X_val is not None
    return _Plan(order[n_held:], order[:n_held], stops_early, validates, len(sizes), min(sizes), epochs)


def n_epochs(max_epochs: int | str, n_batches: int) -> int:
    """Return how many epochs ``max_epochs`` allows when each has ``n_batches``."""
    if max_epochs != "auto":
        return int(max_epochs)
    low, high = _AUTO_EPOCHS
    return min(max(_AUTO_BATCHES // n_batches, low), high)


def _start_of(outcome: Outcome, found: Evidence) -> Outcome:
    outcome.net.module_.load_state_dict(found.start_weights)
    outcome.net.module_.eval()
    return outcome._replace(best_epoch=0, evidence=None)


def _decide_together(first: Outcome, found: Evidence, second: Outcome, other: Evidence) -> Outcome:
    """Keep the one of two nets that has gained more on the samples held out from it, or the start.

    Both are validated on different samples, which together decide whether training improves on the start.
    """
    if not significantly_above(torch.cat([found.start, other.start]), torch.cat([found.best, other.best])):
        return _start_of(first, found)
    gains = [float((evidence.start - evidence.best).mean()) for evidence in (found, other)]
    if gains[0] >= gains[1]:
        return first._replace(evidence=None)
    first.net.module_.load_state_dict(second.net.module_.state_dict())
    first.net.module_.eval()
    return second._replace(net=first.net, evidence=None)  # it has the user's callbacks


def _description(est: Any, data: FitData) -> list[Any]:
    """Return everything that determines a training run."""
    aside = ("callbacks", "checkpoint", "device", "verbose")
    params = {name: value for name, value in sorted(est.get_params(deep=False).items()) if name not in aside}
    weights = est.module_.state_dict().values() if est.warm_start and hasattr(est, "net_") else ()
    crops = () if data.crops is None else data.crops.described()
    arrays = [*data.arrays, data.c_images, *(tensor.cpu().numpy() for tensor in weights)]
    return [type(est).__qualname__, params, *arrays, *crops]


def _in_data_units(net: AutoencoderNet, values: list[float], n_known: float) -> list[float]:
    """Convert losses of standardized samples to the units of X."""
    return net.module_.in_data_units(torch.tensor(values, dtype=torch.float64), n_known).tolist()
