"""From an estimator's parameters and arrays to a trained net."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._data.batches import BatchIterator, InMemoryDataset, row_numbers
from .._data.chunked import is_double, map_rows
from .._data.pca import Samples
from .._data.scaling import mean_and_scale
from .._data.sources import LazyArray
from .._data.sparse import SparseRows, SparseSamples
from .._data.streaming import StreamingDataset
from .._training.callbacks import (
    Evidence,
    FiniteLoss,
    KeepBest,
    Progress,
    SklearnCallbacks,
    parts_with_progress,
    schedule,
    significantly_above,
)
from .._training.checkpoint import Checkpoint
from .._training.net import AutoencoderNet
from .._training.reports import Report, verbosity_callbacks
from .._utils.memory import hold_budget, read_budget
from .._utils.rng import draw_seed
from .._utils.slots import select
from .._utils.threads import threads_for
from ._data import FitData
from ._empty import check_still_empty, find_empty_features
from ._nets import continue_from, make_net
from ._parts import ModelSpec, optimizer_params

_MIN_ROWS_TO_HOLD_OUT = 10
_AUTO_BATCHES, _AUTO_EPOCHS = 15_000, (20, 100)  # max_epochs="auto"
# Up to so many samples a second training is asked where the first leaves doubt, at this level of the t-test.
_FEW_ROWS, _DECISIVE_LEVEL = 1000, 0.01
_MASKS, _MASKED_ROWS = 10, 1000  # at most so many masks of each validation sample, and so many samples with them
_INIT_VALUES = 2**26  # at most this many values are handed to init_from: 256 MB
_SPARSE_INIT_VALUES = 2**20  # of a sparse matrix, where the PCA comes from the matrix
_PCA_VALUES = 2**21  # are read at once for the PCA of the start


class Outcome(NamedTuple):
    """A trained net, and how its training went; losses in the data's own units."""

    net: AutoencoderNet
    n_iter: int
    loss_curve: list[float]
    validation_loss_curve: list[float]
    best_epoch: int
    stopped: bool  # by a callback of the user's
    evidence: Evidence | None  # where one training does not decide whether it has improved on its start


def train(est: Any, parts: ModelSpec, data: FitData, *, one_epoch: bool = False, context: Any = None) -> Outcome:
    """Train a net on ``data``; ``est`` is read and not changed.

    It goes on from ``est.net_`` where there is one and ``warm_start`` or ``one_epoch`` (`partial_fit`,
    which holds nothing out and follows no schedule) asks for it.
    """
    seed = draw_seed(est.random_state)
    checkpoint = None if one_epoch or est.checkpoint is None else Checkpoint(est.checkpoint)
    if checkpoint is not None:
        seed = checkpoint.begin(seed, _description(est, data))
    earlier = getattr(est, "net_", None) if est.warm_start or one_epoch else None
    scaling = _scaling(est, parts, data, earlier)
    outcome = _train(est, parts, data, seed, scaling, earlier, checkpoint, one_epoch=one_epoch, context=context)
    found = outcome.evidence
    if found is None or significantly_above(found.start, found.best, _DECISIVE_LEVEL):
        return outcome._replace(evidence=None)
    second = None
    if not outcome.stopped:
        with suppress(FloatingPointError):  # the first did without
            second = _train(_unwatched(est), parts, data, seed, scaling, None, None, fold=1)
    if second is not None and second.evidence is not None:  # which hidden values there are depends on the samples
        return _decide_together(outcome, found, second, second.evidence)
    kept = significantly_above(found.start, found.best)
    return outcome._replace(evidence=None) if kept else _start_of(outcome, found)


def _unwatched(est: Any) -> Any:
    """A copy that prints nothing and has none of the user's callbacks, which watch one training."""
    other = copy.copy(est)
    other.verbose, other.callbacks = 0, None
    other._extra = {name: value for name, value in est._extra.items() if not name.startswith("callbacks__")}
    return other


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
    return second._replace(net=first.net, evidence=None)  # whose callbacks are the user's


def _train(
    est: Any,
    parts: ModelSpec,
    data: FitData,
    seed: int,
    scaling: dict[str, Any],
    earlier: AutoencoderNet | None,
    checkpoint: Checkpoint | None,
    *,
    one_epoch: bool = False,
    context: Any = None,
    fold: int = 0,
) -> Outcome:
    """Train once, from ``earlier`` if there is such a net; with ``fold=1`` other samples are held out."""
    rng = np.random.default_rng(seed)
    stops_early = bool(est.early_stopping) and not one_epoch
    validates = stops_early or data.X_val is not None
    order = row_numbers(len(data.X), data.sample_weight)
    n_held = _n_held_out(est, parts, data, len(order)) if stops_early else 0
    if n_held:
        rng.shuffle(order)
        order = np.roll(order, -fold * n_held)
    n_batches = len(BatchIterator(range(len(order) - n_held), **_batching(est)))
    epochs = 1 if one_epoch else n_epochs(est.max_epochs, n_batches)

    finite = FiniteLoss()
    keep = KeepBest(est.n_iter_no_change if stops_early else None, est.tol, restore=stops_early)
    callbacks = [("finite_loss", finite), *([("keep_best", keep)] if validates else [])]
    if not one_epoch:
        callbacks += _training_callbacks(
            est, parts, epochs, n_batches, "valid_loss" if validates else "train_loss", context
        )
    # Sequences may have another length by now, which is not that of the network.
    input_shape = data.X.shape[1:] if earlier is None else earlier.module_.input_shape
    n_conditions = 0 if data.condition is None else data.condition.shape[1]
    with threads_for(0):  # nothing here is worth the time that other threads take to wake up
        net = make_net(est, parts, input_shape, scaling, n_conditions, seed, callbacks)
        rows = _rows(net, data, order[n_held:])
    # What was trained before is not bettered by chance.
    trust_start = _init_module(net, data, rows, rng) if earlier is None else False
    with threads_for(0):
        if earlier is not None:
            continue_from(net, earlier)
        validation = _validation_data(net, data, rows, order[:n_held]) if validates else None
        # Nothing that the rows seen in training say could prove that training is better than PCA.
        keep.trust_start = "always" if trust_start and validation is rows else trust_start
        n_known, n_known_validation = _n_known(net, rows), _n_known(net, validation)
        if validation is not None:
            validation, net.hidden_share_ = _corrupted(net, validation)
            if net.hidden_share_ is not None:  # PCA copies what it sees, and is no answer to what is hidden
                keep.trust_start = False
        few = 2 * n_held <= len(order) <= _FEW_ROWS
        if keep.trust_start is True and n_held and few and not net.callbacks_change_updates():
            keep.trust_start = "pooled"
        for _, callback in net.callbacks_:
            if isinstance(callback, Report):
                callback.n_known = {"train_loss": n_known, "valid_loss": n_known_validation}

    first = len(net.history)
    with threads_for(net.module_.n_multiplications * math.ceil(len(rows) / n_batches)):
        net.train_rows(rows, validation, epochs, checkpoint)
        finite.check_weights(net)
    net.module_.eval()
    finished = [row["train_loss"] for row in net.history[first:] if "train_loss" in row]
    return Outcome(
        net,
        n_iter=len(finished),
        loss_curve=_in_data_units(net, finished, n_known),
        validation_loss_curve=_in_data_units(net, keep.curve_, n_known_validation) if validates else [],
        best_epoch=keep.best_epoch_ if stops_early else len(finished),
        stopped=len(finished) < epochs and not (validates and keep.is_out_of_patience()),
        evidence=keep.__dict__.pop("evidence_", None),
    )


def _scaling(est: Any, parts: ModelSpec, data: FitData, earlier: AutoencoderNet | None) -> dict[str, Any]:
    """How X becomes standardized values and back, as parameters of `Autoencoder`; that of ``earlier`` stays."""
    by_channel = parts.reads_padding
    if earlier is None:
        mean, scale = mean_and_scale(data.X, data.sample_weight, by_channel=by_channel)
        empty = find_empty_features(est, data, by_channel=by_channel) if parts.missing else ()
        return {"mean": mean, "scale": scale, "empty_features": empty, "returns_double": is_double(data.X)}
    module = earlier.module_
    return {
        "mean": module.mean if isinstance(module.mean, float) else module.mean.numpy(),
        "scale": module.scale,
        "empty_features": check_still_empty(est, data, module.empty, by_channel=by_channel),
        "returns_double": module.returns_double,
    }


def _description(est: Any, data: FitData) -> list[Any]:
    """What makes a training the one that it is."""
    aside = ("callbacks", "checkpoint", "device", "verbose")
    params = {name: value for name, value in sorted(est.get_params(deep=False).items()) if name not in aside}
    weights = est.module_.state_dict().values() if est.warm_start and hasattr(est, "net_") else ()
    return [type(est).__qualname__, params, *data, *(tensor.cpu().numpy() for tensor in weights)]


def _training_callbacks(est: Any, parts: ModelSpec, epochs: int, n_batches: int, monitor: str, context: Any) -> list:
    """The callbacks that follow a whole fit: schedule, scikit-learn's own, and reports."""
    # Betas that the user has set are not for a cycle to change.
    cycle_betas = "betas" in optimizer_params(parts.optimizer) and "optimizer__betas" not in est._extra
    steps = epochs * n_batches
    follows = parts_with_progress(parts.bottleneck, parts.loss, parts.noise)
    return [
        *([("progress", Progress(steps))] if follows else []),
        *schedule(est.lr_schedule, est.lr, steps, monitor, est.n_iter_no_change, est.tol, cycle_betas),
        *([] if context is None else [("sklearn_callbacks", SklearnCallbacks(est, context))]),
        *verbosity_callbacks(int(est.verbose), epochs),
    ]


def _rows(net: AutoencoderNet, data: FitData, index: np.ndarray) -> InMemoryDataset | StreamingDataset:
    """The rows at ``index`` to train on: held on the device where they fit, else read while they are used."""
    module, device = net.module_, torch.device(net.device)
    find_target = module.target if data.X_target is not None or module.loss.domain is not None else None
    seen = data.X if data.X_target is None else data.X_target
    weight = None
    if data.sample_weight is not None:  # of mean 1 among the rows that are meant
        weight = torch.from_numpy(data.sample_weight / data.sample_weight[index].mean()).float()
    c = None if data.condition is None else torch.from_numpy(data.condition)
    n_bytes = 4 * math.prod(data.X.shape) * (1 if find_target is None else 2)
    # Blocks would not be there if they fitted into memory, and may fit on another device all the same.
    if n_bytes > hold_budget(device) or (isinstance(data.X, LazyArray) and device.type == "cpu"):
        window = max(1, read_budget() // (n_bytes // len(data.X)))
        return StreamingDataset(
            data.X, module.standardize, find_target, window, device, data.X_target, weight, c, index
        )

    def hold(function: Callable[[Tensor], Tensor], X: Any) -> Tensor:
        return map_rows(lambda x: function(x).to(device), X, device=device)

    target = None if find_target is None else hold(find_target, seen)
    where = None if len(index) == len(data.X) and (index[:-1] < index[1:]).all() else torch.from_numpy(index)
    weight, c, where = (None if t is None else t.to(device) for t in (weight, c, where))
    return InMemoryDataset(hold(module.standardize, data.X), target, weight, c, where)


def _validation_data(net: AutoencoderNet, data: FitData, rows: Any, held_out: np.ndarray) -> Any:
    """The validation data: held out, ``X_val``, or those that are trained on.

    The first two are held, or read while they are used if they come from a sparse matrix.
    """
    if len(held_out) and isinstance(rows, StreamingDataset) and rows.is_sparse:
        return rows.part(held_out)
    if len(held_out):
        held = rows.at(held_out)
        if held.weight is not None:
            held.weight = held.weight / held.weight.mean()
        return held
    if data.X_val is None:
        return rows
    module, device = net.module_, torch.device(net.device)
    seen = data.X_val if data.X_val_target is None else data.X_val_target
    c = None if data.condition_val is None else torch.from_numpy(data.condition_val)
    if isinstance(data.X_val, SparseRows):
        return StreamingDataset(data.X_val, module.standardize, module.target, 1, device, data.X_val_target, None, c)
    u, target = map_rows(module.standardize, data.X_val), map_rows(module.target, seen)
    return InMemoryDataset(*(None if t is None else t.to(device) for t in (u, target, None, c)))  # type: ignore[arg-type]


def _corrupted(net: AutoencoderNet, validation: Any) -> tuple[Any, float | None]:
    """Corrupt the validation data of a denoiser, or PCA would win on clean samples. One draw serves all epochs.

    Where the noise masks, only the values that it hides count: the start copies the others. Their share of the known
    values is returned with the samples, or None.
    """
    module = net.module_
    if module.noise is None:
        return validation, None
    rows = validation.in_memory()
    with net.stream, torch.no_grad():
        noisy, hidden = module.corrupt_and_hide(rows.u)
        if not (bool(hidden.any()) and module.loss_takes_observed):
            return InMemoryDataset(noisy, rows.target, rows.weight, rows.condition), None
        rows = rows.repeated(max(1, min(_MASKS, _MASKED_ROWS // len(rows))))
        noisy, hidden = module.corrupt_and_hide(rows.u)
    known = ~rows.target.isnan()
    share = float((hidden & known).sum() / known.sum())
    if not share > 0:  # so few are masked that the draw has hidden none
        return InMemoryDataset(noisy, rows.target, rows.weight, rows.condition), None
    return InMemoryDataset(noisy, rows.target.masked_fill(~hidden, torch.nan), rows.weight, rows.condition), share


def _batching(est: Any) -> dict[str, Any]:
    """The parameters that cut rows into batches, as `BatchIterator` takes them."""
    return {"batch_size": est.batch_size} | select(est._extra, "iterator_train")


def n_epochs(max_epochs: int | str, n_batches: int) -> int:
    """How many epochs ``max_epochs`` allows when each has ``n_batches``."""
    if max_epochs != "auto":
        return int(max_epochs)
    low, high = _AUTO_EPOCHS
    return min(max(_AUTO_BATCHES // n_batches, low), high)


def _n_held_out(est: Any, parts: ModelSpec, data: FitData, n_rows: int) -> int:
    """How many of ``n_rows`` of X are kept from training to validation it by."""
    if data.X_val is not None or (est.early_stopping == "auto" and n_rows < _MIN_ROWS_TO_HOLD_OUT):
        return 0
    n_held = math.ceil(est.validation_fraction * n_rows)
    if n_held >= n_rows:
        raise ValueError(f"validation_fraction={est.validation_fraction} leaves none of X's {n_rows} rows to train on.")
    if isinstance(data.X, LazyArray) and not (isinstance(data.X, SparseRows) and parts.noise is None):  # these are held
        n_held = max(1, min(n_held, read_budget() // (4 * math.prod(data.X.shape[1:]))))
    return n_held


def _init_module(
    net: AutoencoderNet, data: FitData, rows: InMemoryDataset | StreamingDataset, rng: np.random.Generator
) -> bool:
    """Hand standardized samples to the parts that start from data; return whether the start is an answer.

    All rows, those held out too: the epoch before training is judged by rows that it has seen, so
    that training must win by more than the start's own overfitting to be kept.
    """
    module = net.module_
    n, most = (
        len(data.X),
        _INIT_VALUES if isinstance(rows, InMemoryDataset) else read_budget() // 4,
    )  # float32; copies are made of it
    if isinstance(rows, StreamingDataset) and rows.is_sparse:  # about as much as a batch
        most = max(_SPARSE_INIT_VALUES, net.batch_size * math.prod(data.X.shape[1:]))
    n_sample = min(n, max(most // math.prod(data.X.shape[1:]), 2 * module.n_components))
    index = None
    if data.sample_weight is not None:
        # Systematic resampling: equal weights take every row once, a weight of 2 takes its row twice.
        edges = np.cumsum(data.sample_weight / data.sample_weight.sum())
        points = (rng.random() + np.arange(n_sample)) / n_sample
        index = np.searchsorted(edges, points).clip(max=n - 1)
    elif n_sample < n:  # one of each of so many parts of X, which needs no array of all row numbers
        edges = np.arange(n_sample + 1) * n // n_sample
        index = rng.integers(edges[:-1], edges[1:])
    some = (
        rows
        if index is None and isinstance(rows, InMemoryDataset)
        else rows.at(np.arange(n) if index is None else index)
    )
    with net.stream, threads_for(module.n_multiplications * len(some.u)):
        return module.init_from(some.u, some.condition, _all_samples(module, rows))


def _all_samples(module: Any, rows: InMemoryDataset | StreamingDataset) -> Samples:
    """All samples with their weights, NaN filled, for a PCA."""
    if isinstance(rows, StreamingDataset) and isinstance(rows.X, SparseRows):
        mean, fill = (
            np.broadcast_to(A.numpy(), module.input_shape).ravel() for A in (module.mean, module.baseline.cpu())
        )
        weight = None if rows.weight is None else rows.weight.double().numpy()
        return SparseSamples(rows.X, weight, mean, fill.astype(np.float64), module.scale)
    whole, n_features = rows.whole(), math.prod(module.input_shape)
    step = max(1, min(len(whole), _PCA_VALUES // n_features))

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for batch in BatchIterator(whole, step):
            weight = None if batch.weight is None else batch.weight.cpu().numpy()
            yield module._fill(batch.u).flatten(1).cpu().numpy(), weight

    n_present = None if whole.weight is None else int(whole.weight.count_nonzero())
    return Samples(len(whole), n_features, blocks, n_present=n_present)


def _n_known(net: AutoencoderNet, rows: InMemoryDataset | StreamingDataset | None) -> float:
    """The mean number of values of a row that its loss adds up."""
    if rows is None or not net.module_.may_have_nan:
        return float(math.prod(net.module_.input_shape))
    total = 0.0
    for batch in BatchIterator(rows, net.batch_size if isinstance(rows, StreamingDataset) and rows.is_sparse else 4096):
        known = (~batch.y.isnan()).flatten(1).sum(1).double()
        total += float((known if batch.weight is None else known * batch.weight).sum())
    return total / len(rows)


def _in_data_units(net: AutoencoderNet, values: list[float], n_known: float) -> list[float]:
    """Losses of standardized samples, as those of X."""
    return net.module_.in_data_units(torch.tensor(values, dtype=torch.float64), n_known).tolist()
