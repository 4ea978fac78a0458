"""The training engine: a skorch net whose target is its input."""

from __future__ import annotations

import dis
import itertools
import math
from contextlib import nullcontext
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, LRScheduler, PrintLog
from skorch.utils import TeeGenerator
from torch import Tensor, nn

from .._data.batches import Batch, BatchIterator, InMemoryDataset, Inputs
from .._data.streaming import StreamingDataset
from .._module.autoencoder import Autoencoder
from .._module.inspection import draws_nothing
from .._utils.rng import Stream
from .criterion import WeightedMean, elastic_net
from .state import NetStateMixin
from .step import QuickStep, is_plain

_OF_TRAINING = (
    "sample_losses_",
    "lent_",
    "quick_step_",
    "checkpoint_",
    "hidden_share_",
)  # attributes that do not outlive it


class AutoencoderNet(NetStateMixin, NeuralNet):
    """A skorch net for an `Autoencoder`; its ``fit`` takes `InMemoryDataset` and, as y, the validation data.

    Only what skorch does for pairs of X and y is changed. Callbacks, history, checkpoints and
    ``set_params`` are skorch's.

    Parameters
    ----------
    stream : Stream
        Whatever the module draws comes from here.
    alpha, l1_ratio : float, default=0.0
        See `elastic_net`.
    **kwargs
        For `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: type[nn.Module] = Autoencoder,
        *,
        stream: Stream,
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        criterion: type[nn.Module] = WeightedMean,
        iterator_train: type = BatchIterator,
        iterator_valid: type = BatchIterator,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module, criterion=criterion, iterator_train=iterator_train, iterator_valid=iterator_valid, **kwargs
        )
        self.stream = stream
        self.alpha = alpha
        self.l1_ratio = l1_ratio

    @property
    def _default_callbacks(self) -> list:
        return []  # the estimator hands over all that there are

    def initialize(self) -> AutoencoderNet:
        with self.stream:
            super().initialize()
        return self

    def train_rows(self, rows: Any, validation: Any, epochs: int, checkpoint: Any = None) -> AutoencoderNet:
        """Train on ``rows`` with ``validation`` data, either in memory or streaming; Ctrl-C is no early stop."""
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr  # where an earlier schedule left it, a warm start would not move
        try:
            self.notify("on_train_begin", X=rows, y=validation)
            self.checkpoint_ = checkpoint
            done, stopped = (0, False) if checkpoint is None else checkpoint.resume(self, epochs)
            try:
                self.fit_loop(rows, validation, epochs=0 if stopped else epochs - done)
            except KeyboardInterrupt as stop:
                if not _raised_by_callback(stop):
                    raise
            self.notify("on_train_end", X=rows, y=validation)
        finally:
            for _, callback in self.callbacks_:
                if hasattr(callback, "_release"):  # our own; a user's callback has its own ways
                    callback._release()
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> AutoencoderNet:
        spared = not self.callbacks_of_others() and draws_nothing(self.module_)
        self.lent_ = nullcontext() if spared else self.stream  # a tenth of a small network's step
        try:
            with torch.enable_grad():
                return super().fit_loop(X, y, epochs, **fit_params)
        finally:
            for name in _OF_TRAINING:
                self.__dict__.pop(name, None)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; one that stops training at an epoch's end does so after all have seen the epoch."""
        if method_name != "on_epoch_end":
            super().notify(method_name, **kwargs)
            return
        self.on_epoch_end(self, **kwargs)
        stop = None
        for _, callback in self.callbacks_:
            try:
                callback.on_epoch_end(self, **kwargs)
            except KeyboardInterrupt as error:
                if not _raised_by_callback(error):
                    raise
                stop = error
        if self.__dict__.get("checkpoint_") is not None:
            self.checkpoint_.write(self, stopped=stop is not None)
        if stop is not None:
            raise stop

    def evaluate(self, rows: Any) -> Tensor:
        """The objective of every row times its weight, (n,), in evaluation mode; its mean is the loss."""
        return torch.cat([self._evaluate_batch(batch)[1] for batch in self.get_iterator(rows, training=False)])

    @torch.no_grad()
    def _evaluate_batch(self, batch: Batch) -> tuple[Any, Tensor]:
        self._set_training(False)
        with self.__dict__.get("lent_", self.stream):
            output = self._output(batch)
        objective = self.module_.objective(output, batch.y, self.__dict__.get("hidden_share_"))
        if batch.weight is not None:
            objective = objective * batch.weight
        return output, objective + self._penalty() if self.alpha else objective

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        if isinstance(X, InMemoryDataset | StreamingDataset):
            return X, y
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        if training:
            self.iterator_train__seed = self.stream.draw_seed()
        iterator = super().get_iterator(dataset, training)
        if training and self.__dict__.get("checkpoint_") is not None:
            self.checkpoint_.follow(self, iterator)
        return iterator

    def _set_training(self, training: bool = True) -> None:
        if self.module_.training is not training:  # skorch walks the whole module at every batch
            super()._set_training(training)

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        # What was kept is not trained itself, and a file does not start a compiler.
        if self.compile and self.loading_state_ is None and isinstance(module, Autoencoder):
            module.compile()  # in place: `torch.compile` would rename what is in the state
        return module

    def infer(self, x: Tensor, **fit_params: Any) -> Any:
        with self.stream:
            if isinstance(x, Inputs):
                return super().infer(x.u, **({} if x.condition is None else {"c": x.condition}), **fit_params)
            return super().infer(x, **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        weight = X.weight if isinstance(X, Inputs) else None
        if weight is None and type(self.criterion_) is WeightedMean:
            loss = self.module_.mean_objective(y_pred, y_true)
        else:
            loss = self.criterion_(self.module_.objective(y_pred, y_true), weight)
        # A validation that let the weights go free would favour a start that did not have to mind them.
        return loss + self._penalty() if self.alpha else loss

    def _penalty(self) -> Tensor:
        return elastic_net(self.module_, self.alpha, self.l1_ratio)

    # ---------------------------------------------------------------- the loop

    def _output(self, batch: Batch) -> Any:
        """What the module gives for a batch that is on the device already."""
        # What is compiled is compiled for training; judging would compile it again.
        call = self.module_ if self.module_.training or not self.compile else self.module_.forward
        return call(batch.u) if batch.condition is None else call(batch.u, batch.condition)

    def forward_and_backward(self, batch: Batch) -> tuple[Tensor, Any]:
        """Loss and output; gradients are left in the parameters."""
        output = self._output(batch)
        loss = self.get_loss(output, batch.y, X=batch.X, training=True)
        loss.backward()
        return loss, output

    def overriding(self, *methods: str) -> list[Callback]:
        """The callbacks that have something to do in one of ``methods``."""
        return [
            callback
            for _, callback in self.callbacks_
            if any(
                getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name) for name in methods
            )
        ]

    def callbacks_of_others(self) -> list[Callback]:
        """The callbacks that may read batches in the history, or change what training relies on."""
        return [callback for _, callback in self.callbacks_ if not _is_harmless(callback)]

    def is_steered(self) -> bool:
        """Whether callbacks of others change gradients or learning rates, as far as one can know."""
        schedules = (callback for _, callback in self.callbacks_ if isinstance(callback, LRScheduler))
        own = all(getattr(callback, "ignores_batch_history", False) for callback in schedules)
        return bool(self.overriding("on_grad_computed")) or not own

    def notify_gradients(self, batch: Batch) -> None:
        """Show the gradients to the callbacks that look at them."""
        named = TeeGenerator(self.get_all_learnable_params())
        self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)

    def _quick_step(self) -> QuickStep | None:
        """`train_step`, quicker, if the optimiser lets it."""
        if not is_plain(type(self.optimizer_)):  # type: ignore[arg-type]
            return None
        step = self.__dict__.get("quick_step_")
        if step is None or step.update.optimizer is not self.optimizer_:  # a callback may have made another one
            step = self.quick_step_ = QuickStep(self)
        step.refresh()
        return step

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """One pass. The losses are added up on the device and read once, which is where Python waits.

        Only callbacks that override a method for batches are told of them, and batches are written down in the history
        only if there is a callback that may read them there.
        """
        if iterator is None:
            return
        listeners = self.overriding("on_batch_begin", "on_batch_end")
        recorded = bool(self.callbacks_of_others())

        def tell(event: str, **what: Any) -> None:
            if recorded:
                self.notify(event, batch=batch, training=training, **what)
            else:
                for callback in listeners:
                    getattr(callback, event)(self, batch=batch, training=training, **what)

        sample_losses: list[Tensor] = []

        def evaluate(batch: Batch, **fit_params: Any) -> dict[str, Any]:
            output, objective = self._evaluate_batch(batch)
            sample_losses.append(objective)
            return {"loss": objective.mean(), "y_pred": output}

        step = (self._quick_step() or step_fn) if training else evaluate
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        n_rows = 0
        for batch in iterator:
            tell("on_batch_begin")
            if training and recorded and listeners:  # who may have changed what was prepared
                step = self._quick_step() or step_fn
            result = step(batch, **fit_params)
            total.add_(result["loss"].detach(), alpha=len(batch.u))
            n_rows += len(batch.u)
            if recorded:
                self.history.record_batch(prefix + "_loss", result["loss"].item())
                self.history.record_batch(prefix + "_batch_size", len(batch.u))
            tell("on_batch_end", **result)
        if sample_losses:
            self.sample_losses_ = torch.cat(sample_losses)  # so that nobody has to call `evaluate` again
        loss = float(total) / n_rows
        self.history.record(prefix + "_batch_count", len(iterator))
        self.history.record(prefix + "_loss", loss)
        earlier = itertools.islice(reversed(self.history), 1, None)
        best = next((row[prefix + "_loss"] for row in earlier if row.get(prefix + "_loss_best")), math.inf)
        self.history.record(prefix + "_loss_best", loss <= best)


def _is_harmless(callback: Callback) -> bool:
    """Whether a callback is our own, or one of skorch's that only looks at epochs."""
    if type(callback) is LRScheduler:
        return callback.step_every == "epoch"
    return type(callback) in (EarlyStopping, EpochTimer, PrintLog) or getattr(callback, "ignores_batch_history", False)


def _raised_by_callback(error: BaseException) -> bool:
    """Whether a callback raised ``error``, skorch's way to stop, rather than a signal from outside.

    A callback does so by a ``raise`` statement; Ctrl-C strikes between any two instructions.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not isinstance(trace.tb_frame.f_locals.get("self"), Callback):
        return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
