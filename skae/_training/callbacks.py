"""Callbacks for the best weights, schedules, non-finite losses and progress."""

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
from .base_callback import BaseCallback, StopTraining
from .net import AutoencoderNet

SCHEDULES = (None, "onecycle", "cosine", "plateau")


class Evidence(NamedTuple):
    """Losses before and after training, to test whether it has improved on the initialization."""

    validation: Any  #: the validation samples
    start: Tensor  #: their objectives before training, (n,)
    best: Tensor  #: their objectives with the best weights, (n,)
    start_weights: dict[str, Tensor]


class KeepBest(BaseCallback):
    """Restore the weights with the smallest validation loss, including epoch 0, and stop early.

    If the initial weights are already a solution (PCA), they are kept unless the best weights are significantly better
    by a paired t-test over the validation samples (one-sided, at 5 %): on a few samples the best of many epochs is
    often better by chance.

    With ``trust_start='pooled'`` the best weights are restored, and the caller does the test with ``evidence_``.

    Parameters
    ----------
    patience : int, inf or None
        Number of epochs without an improvement after which training stops; None for no early stop.
    tol : float
        Smallest relative improvement of the loss for ``patience``. Weights are kept for any improvement.
    restore : bool, default=True
        Whether to restore the best weights at the end; otherwise only the curve is recorded.
    trust_start : bool, 'always' or 'pooled', default=False
        Whether the initial weights are already a solution. 'always' keeps them, for validation data without evidence.
    """

    def __init__(
        self, patience: float | None, tol: float, restore: bool = True, trust_start: bool | str = False
    ) -> None:
        self.patience, self.tol, self.restore, self.trust_start = patience, tol, restore, trust_start

    def on_train_begin(
        self, net: AutoencoderNet, X: Any = None, y: InMemoryDataset | None = None, **kwargs: Any
    ) -> None:
        assert y is not None, "KeepBest needs validation data"
        self.first_ = len(net.history)
        self.start_ = net.evaluate(y, net.ranks)
        self.curve_ = [float(self.start_.mean())]
        self._keep(net)
        self.start_weights_ = self.weights_
        self.reference_ = self.curve_[0]
        self.misses_ = 0

    def _keep(self, net: AutoencoderNet) -> None:
        self.best_epoch_ = len(net.history) - self.first_
        # Tensor by tensor: a deep copy of the dict, metadata included, takes five times as long.
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
            raise StopTraining

    def is_out_of_patience(self) -> bool:
        """Return whether training has to stop."""
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
        """Return whether the best weights are significantly better than the initial ones."""
        return self.trust_start != "always" and significantly_above(self.start_, self.sample_losses_)


def significantly_above(a: Tensor, b: Tensor, level: float = 0.05) -> bool:
    """Return whether ``a`` exceeds ``b``, both (n,), by a one-sided paired t-test (Student, 1908)."""
    a, b = a.double().cpu(), b.double().cpu()
    difference = a - b
    if len(a) < 2 or not difference.mean() > 0:
        return False
    return bool(difference.std() == 0) or ttest_rel(a, b, alternative="greater").pvalue < level


class FiniteLoss(BaseCallback):
    """Raise an error if a loss is not finite."""

    first_ = 0

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        self.first_ = len(net.history)

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        for key, name in (("train_loss", "training"), ("valid_loss", "validation")):
            loss = net.history[-1].get(key, 0.0)
            if not math.isfinite(loss):
                self._fail(net, f"{name} loss became {loss}")

    def check_weights(self, net: AutoencoderNet) -> None:
        """Check the weights after the last step, which is not covered by a loss."""
        if not all(bool(value.isfinite().all()) for value in net.module_.parameters()):
            self._fail(net, "weights became infinite or NaN")

    def _fail(self, net: AutoencoderNet, what: str) -> None:
        epoch = len(net.history) - self.first_
        raise FloatingPointError(
            f"The {what} in epoch {epoch}. Try a lower lr (now {net.lr}), scale the data, or remove its outliers. "
            "The estimator is unchanged."
        )


class Progress(BaseCallback):
    """Set ``progress``, the completed fraction of the training, on the parts with this attribute.

    Parameters
    ----------
    steps : int
        Number of batches of the whole training.
    """

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

    def release(self) -> None:
        """Set progress to 1, for continued training by `partial_fit`."""
        for part in self.__dict__.pop("parts_", []):
            part.progress = 1.0


def parts_with_progress(*parts: Any) -> list[Any]:
    """Return the ``parts``, which may be None, and their own parts that have ``progress``."""
    layers = (layer for part in parts if part is not None for layer in part.modules())
    return [layer for layer in layers if isinstance(layer, Component) and layer.progress is not None]


class SklearnCallbacks(BaseCallback):
    """Report every epoch to scikit-learn's own callbacks (1.9).

    Parameters
    ----------
    estimator : estimator
        The estimator of the callbacks.
    context : sklearn.callback.CallbackContext
        The context of its `fit`.
    """

    def __init__(self, estimator: Any, context: Any) -> None:
        self.estimator, self.context = estimator, context

    def on_epoch_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        epoch = self.__dict__.pop("epoch_")
        if epoch.call_on_fit_task_end(estimator=self.estimator):
            raise StopTraining

    def release(self) -> None:
        """Release the fit, since the net lives longer."""
        self.__dict__.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Plateau(ReduceLROnPlateau):
    """torch's schedule, also for negative losses, where torch would treat a loss times 0.9999 as an improvement.

    Parameters
    ----------
    optimizer : Optimizer
    last_epoch : int, default=-1
        Ignored; skorch passes it to schedules that are not torch's.
    tol : float, default=1e-4
        Relative improvement of the loss that counts.
    **kwargs
        For `torch.optim.lr_scheduler.ReduceLROnPlateau`.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1, tol: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(optimizer, threshold=0.0, threshold_mode="abs", **kwargs)
        self.tol = tol

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Count an epoch with the loss ``metrics``."""
        self.threshold = self.tol * abs(self.best) if math.isfinite(self.best) else 0.0
        super().step(metrics)


class Schedule(BaseCallback, LRScheduler):
    """skorch's schedule, marked as not reading batches in the history."""


def schedule(
    name: str | None, lr: float, steps: int, monitor: str, patience: float, tol: float, cycle_betas: bool
) -> list:
    """Return a list with the callback for ``lr_schedule`` over ``steps`` batches, empty for None."""
    common: dict[str, Any] = {"event_name": None}
    if name == "onecycle":
        common |= {"max_lr": lr, "total_steps": max(steps, 1), "cycle_momentum": cycle_betas}
        return [("lr_schedule", Schedule(OneCycleLR, step_every="batch", last_epoch=-1, **common))]
    if name == "cosine":
        common |= {"T_max": max(steps, 1)}
        return [("lr_schedule", Schedule(CosineAnnealingLR, step_every="batch", last_epoch=-1, **common))]
    if name == "plateau":
        waits = patience if math.isinf(patience) else max(patience // 2 - 1, 0)
        common |= {"monitor": monitor, "factor": 0.5, "tol": tol, "patience": waits}
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
            raise TypeError(
                f"callbacks must contain skorch callbacks, or pairs of a name and a callback, got {item!r}."
            )
