"""What watches a training run: the best weights, the schedule, the guards and how far it is."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from scipy.stats import ttest_rel
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

from .._data.batches import InMemoryDataset
from .._utils.component import Component
from .net import AutoencoderNet

SCHEDULES = (None, "onecycle", "cosine", "plateau")


class Evidence(NamedTuple):
    """What a training says of whether it has improved on its start."""

    validation: Any  #: the samples
    start: Tensor  #: their objectives before training, (n,)
    best: Tensor  #: and with the best weights
    start_weights: dict[str, Tensor]


class KeepBest(Callback):
    """Keep the weights that validation best, those before the first epoch included, and stop in time.

    Where the start is an answer already, training has to prove itself: unless the best weights are better than
    the start by a paired t-test over the rows (one-sided, at 5 %), the start is kept. The best of many epochs on a
    dozen rows is better than the start by chance alone often enough.

    With ``trust_start='pooled'`` the best weights are put back and the decision is left to whoever has more evidence,
    who finds it in ``evidence_``.

    Parameters
    ----------
    patience : int, inf or None
        Epochs without an improvement after which training stops; None never stops it.
    tol : float
        Relative improvement of the loss that counts for ``patience``. Any improvement counts for
        which weights are kept.
    restore : bool, default=True
        Whether the best weights are put back at the end; otherwise this only keeps the curve.
    trust_start : bool, 'always' or 'pooled', default=False
        Whether the weights before training are an answer already. 'always' keeps them, for where the validation data
        can prove nothing.
    """

    ignores_batch_history = True

    def __init__(
        self, patience: float | None, tol: float, restore: bool = True, trust_start: bool | str = False
    ) -> None:
        self.patience, self.tol, self.restore, self.trust_start = patience, tol, restore, trust_start

    def on_train_begin(
        self, net: AutoencoderNet, X: Any = None, y: InMemoryDataset | None = None, **kwargs: Any
    ) -> None:
        assert y is not None, "KeepBest needs validation data"
        self.first_ = len(net.history)
        self.start_ = net.evaluate(y)
        self.curve_ = [float(self.start_.mean())]
        self._keep(net)
        self.start_weights_ = self.weights_
        self.reference_ = self.curve_[0]
        self.misses_ = 0

    def _keep(self, net: AutoencoderNet) -> None:
        self.best_epoch_ = len(net.history) - self.first_
        # Tensor by tensor: to deep-copy the dict with all that is known of it takes five times as long.
        self.weights_ = {name: t.clone() for name, t in net.module_.state_dict().items()} if self.restore else {}
        self.sample_losses_ = getattr(net, "sample_losses_", self.start_)

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        loss = net.history[-1, "valid_loss"]
        if loss < min(self.curve_):
            self._keep(net)
        self.curve_.append(loss)
        if loss < self.reference_ - self.tol * abs(self.reference_):
            self.reference_, self.misses_ = loss, 0
        else:
            self.misses_ += 1
        if self.is_out_of_patience():
            raise KeyboardInterrupt  # skorch's way to stop

    def is_out_of_patience(self) -> bool:
        """Whether it has stopped training, or has to."""
        return self.patience is not None and self.misses_ >= self.patience

    def on_train_end(self, net: AutoencoderNet, X: Any = None, y: InMemoryDataset | None = None, **kwargs: Any) -> None:
        if self.restore:
            net.module_.load_state_dict(self.weights_)
            if self.trust_start == "pooled":
                self.evidence_ = Evidence(y, self.start_, self.sample_losses_, self.start_weights_)
            elif self.trust_start and not self._is_proven():
                net.module_.load_state_dict(self.start_weights_)
                self.best_epoch_ = 0
        del self.weights_, self.start_weights_, self.start_, self.sample_losses_

    def _is_proven(self) -> bool:
        """Whether the weights kept are better than the start by more than chance."""
        return self.trust_start != "always" and significantly_above(self.start_, self.sample_losses_)


def significantly_above(a: Tensor, b: Tensor, level: float = 0.05) -> bool:
    """Whether ``a`` exceeds ``b``, both (n,), by a one-sided paired t-test (Student, 1908)."""
    a, b = a.double().cpu(), b.double().cpu()
    difference = a - b
    if len(a) < 2 or not difference.mean() > 0:
        return False
    return bool(difference.std() == 0) or ttest_rel(a, b, alternative="greater").pvalue < level


class FiniteLoss(Callback):
    """Stop with an error when a loss is not finite."""

    ignores_batch_history = True
    first_ = 0

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        self.first_ = len(net.history)

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        for key, name in (("train_loss", "training"), ("valid_loss", "validation")):
            loss = net.history[-1].get(key, 0.0)
            if not math.isfinite(loss):
                self._fail(net, f"{name} loss became {loss}")

    def check_weights(self, net: AutoencoderNet) -> None:
        """Check what the last step has left, which no loss has seen."""
        if not all(bool(value.isfinite().all()) for value in net.module_.parameters()):
            self._fail(net, "weights became infinite or NaN")

    def _fail(self, net: AutoencoderNet, what: str) -> None:
        epoch = len(net.history) - self.first_
        raise FloatingPointError(
            f"The {what} in epoch {epoch}. Try a lower lr (now {net.lr}), scale the data, or remove its outliers. "
            "The estimator is as it was before this call."
        )


class Progress(Callback):
    """Tell the parts that ask for it, by an attribute ``progress``, which share of the training is done.

    Parameters
    ----------
    steps : int
        Batches of the whole training.
    """

    ignores_batch_history = True

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        module = net.module_
        self.done_ = 0
        self.parts_ = parts_with_progress(module.bottleneck, module.loss, module.noise)

    def on_batch_begin(self, net: AutoencoderNet, training: bool = True, **kwargs: Any) -> None:
        if training:
            for part in self.parts_:
                part.progress = min(self.done_ / max(self.steps, 1), 1.0)
            self.done_ += 1

    def _release(self) -> None:
        """Training is over, and what goes on from it (`partial_fit`) begins no other course."""
        for part in self.__dict__.pop("parts_", []):
            part.progress = 1.0


def parts_with_progress(*parts: Any) -> list[Any]:
    """Which of ``parts``, and of the parts that they hold, follow the course of training; None holds nothing."""
    layers = (layer for part in parts if part is not None for layer in part.modules())
    return [layer for layer in layers if isinstance(layer, Component) and layer.progress is not None]


class SklearnCallbacks(Callback):
    """Tell scikit-learn's own callbacks (1.9) of every epoch.

    Parameters
    ----------
    estimator : estimator
        Whom they watch.
    context : sklearn.callback.CallbackContext
        Of its `fit`.
    """

    ignores_batch_history = True

    def __init__(self, estimator: Any, context: Any) -> None:
        self.estimator, self.context = estimator, context

    def on_epoch_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        epoch = self.__dict__.pop("epoch_")
        if epoch.call_on_fit_task_end(estimator=self.estimator):
            raise KeyboardInterrupt  # skorch's way to stop

    def _release(self) -> None:
        """Let go of the fit, which the net outlives."""
        self.__dict__.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Plateau(ReduceLROnPlateau):
    """torch's schedule, for losses below 0 too: there a loss times 0.9999 is no improvement."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1, **kwargs: Any) -> None:
        super().__init__(optimizer, **kwargs)  # skorch tells every class but torch's own the epoch, which goes unused

    def _is_better(self, a: float, best: float) -> bool:
        return a < best - self.threshold * abs(best) if math.isfinite(best) else a < best

    is_better = _is_better  # its name in earlier versions


class Schedule(LRScheduler):
    """skorch's own, but that it reads nothing of the batches, so that nothing need be written down for it."""

    ignores_batch_history = True


def schedule(
    name: str | None, lr: float, steps: int, monitor: str, patience: float, tol: float, cycle_betas: bool
) -> list:
    """The callback for ``lr_schedule`` over ``steps`` batches, in a list that is empty for None."""
    common: dict[str, Any] = {"event_name": None}
    if name == "onecycle":
        common |= {"max_lr": lr, "total_steps": max(steps, 1), "cycle_momentum": cycle_betas}
        return [("lr_schedule", Schedule(OneCycleLR, step_every="batch", last_epoch=-1, **common))]
    if name == "cosine":
        common |= {"T_max": max(steps, 1)}
        return [("lr_schedule", Schedule(CosineAnnealingLR, step_every="batch", last_epoch=-1, **common))]
    if name == "plateau":
        waits = patience if math.isinf(patience) else max(patience // 2 - 1, 0)
        common |= {"monitor": monitor, "factor": 0.5, "threshold": tol, "patience": waits}
        return [("lr_schedule", Schedule(Plateau, **common))]
    return []


def check_callbacks(callbacks: Any) -> None:
    """Check a list of skorch callbacks: classes, objects, or pairs of a name and one of these."""
    if callbacks is None:
        return
    if not isinstance(callbacks, list | tuple):
        raise TypeError(f"callbacks must be None or a list of skorch callbacks, got {callbacks!r}.")
    for item in callbacks:
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        if not (isinstance(callback, Callback) or (isinstance(callback, type) and issubclass(callback, Callback))):
            raise TypeError(f"callbacks must hold skorch callbacks, or pairs of a name and one, got {item!r}.")
