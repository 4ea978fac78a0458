"""The training engine: a skorch net whose target is its input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, LRScheduler, PrintLog
from torch import Tensor, nn

from .._data.batches import Batch, BatchIterator, InMemoryDataset, Inputs, is_in_part
from .._data.crops import CropDataset
from .._data.streaming import StreamingDataset
from .._module.autoencoder import Autoencoder
from .._module.inspection import draws_nothing
from .._utils.component import Component
from .._utils.ranks import ALONE, Ranks
from .._utils.rng import COMMON_SEED, Stream
from .base_callback import BaseCallback, StopTraining
from .criterion import WeightedMean, elastic_net
from .skorch_compat import BareNet
from .state import NetStateMixin
from .step import TrainStep, takes_no_closure

# Attributes that exist only during training.
_TRANSIENT = ("sample_losses_", "rng_context_", "train_step_", "checkpoint_", "hidden_share_", "stops_")
_ESTIMATOR_TRAINS = (
    "net_ is trained by its estimator, which prepares the data: call {0} on the estimator. predict, forward, infer and "
    "save_params work on net_; they take standardized samples."
)


class AutoencoderNet(NetStateMixin, BareNet):
    """A skorch net for an `Autoencoder`, trained by `train_rows`.

    It only replaces what skorch does with pairs of X and y. Callbacks, history, ``set_params``, ``predict`` and
    ``save_params`` are those of skorch. Use ``fit`` and ``partial_fit`` of the estimator.

    Parameters
    ----------
    stream : Stream
        Source of the module's random numbers.
    alpha, l1_ratio : float, default=0.0
        See `elastic_net`.
    **kwargs
        For `skorch.NeuralNet`.
    """

    ranks: Ranks = ALONE  # replaced during training

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

    def initialize(self) -> AutoencoderNet:
        with self.stream:
            super().initialize()
        return self

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        raise NotImplementedError(_ESTIMATOR_TRAINS.format("fit"))

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        raise NotImplementedError(_ESTIMATOR_TRAINS.format("partial_fit"))

    def train_rows(
        self, rows: Any, validation: Any, epochs: int, checkpoint: Any = None, ranks: Ranks = ALONE
    ) -> AutoencoderNet:
        """Train on ``rows`` with ``validation`` data, either in memory or streaming; together with other ``ranks``.

        A callback may stop training, see `notify`; any other KeyboardInterrupt is raised.
        """
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr  # the final rate of an earlier schedule would be too small for a warm start
        try:
            with self._together(ranks):
                self.notify("on_train_begin", X=rows, y=validation)
                self.checkpoint_ = checkpoint
                done, stopped = (0, False) if checkpoint is None else checkpoint.resume(self, epochs)
                with suppress(StopTraining):
                    self.fit_loop(rows, validation, epochs=0 if stopped else epochs - done)
                self.notify("on_train_end", X=rows, y=validation)
        finally:
            for _, callback in self.callbacks_:
                if isinstance(callback, BaseCallback):
                    callback.release()
        return self

    @contextmanager
    def _together(self, ranks: Ranks) -> Iterator[None]:
        """Context of training with other ``ranks``, from the weights of the first one."""
        followers = [self, *(layer for layer in self.module_.modules() if isinstance(layer, Component))]
        followers = [] if ranks is ALONE else followers
        ranks.take_first(*self.module_.parameters(), *self.module_.buffers())
        for one in followers:
            vars(one)["ranks"] = ranks
        try:
            yield
        finally:
            for one in followers:
                del vars(one)["ranks"]

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> AutoencoderNet:
        draws = self.unknown_callbacks() or not draws_nothing(self.module_)
        self.rng_context_ = (
            self.stream if draws else nullcontext()
        )  # entering takes 10 % of the time of a small network's step
        try:
            with torch.enable_grad():
                return super().fit_loop(X, y, epochs, **fit_params)
        finally:
            for name in _TRANSIENT:
                self.__dict__.pop(name, None)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; if one stops training, this takes effect after all have been called.

        As documented by skorch, a callback stops training by raising KeyboardInterrupt. Ctrl-C during a callback of the
        user cannot be distinguished from this, and also stops training; at any other time it aborts `fit`. Ranks that
        train together stop together, at the end of an epoch.
        """
        if method_name in ("on_train_begin", "on_train_end"):  # no training to stop
            super().notify(method_name, **kwargs)
            return
        getattr(self, method_name)(self, **kwargs)
        stops = self.__dict__.pop("stops_", False)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **kwargs)
            except StopTraining:
                stops = True
            except KeyboardInterrupt:
                if isinstance(callback, BaseCallback):
                    raise
                stops = True
        if method_name == "on_epoch_end":
            stops = self.ranks.agree_to_stop(stops, self.module_)
            if self.ranks.rank == 0 and self.__dict__.get("checkpoint_") is not None:
                self.checkpoint_.write(self, stopped=stops)
        elif self.ranks is not ALONE:
            self.stops_, stops = stops, False
        if stops:
            raise StopTraining

    def evaluate(self, rows: Any, ranks: Ranks = ALONE) -> Tensor:
        """Return the weighted objective of each sample, (n,), in evaluation mode; its mean is the loss.

        ``rows`` is a dataset of the engine, or an array or tensor of standardized samples. When ``ranks`` train
        together, each evaluates its part, as after an epoch.
        """
        if isinstance(rows, np.ndarray | Tensor):
            rows = InMemoryDataset(torch.as_tensor(rows, dtype=torch.float32, device=self.device))
        iterator = self.get_iterator(rows, training=False)
        if ranks is ALONE:
            return torch.cat([self._evaluate_batch(batch)[1] for batch in iterator])
        self._take_part(iterator, training=False)
        return self._of_all_ranks([self._evaluate_batch(batch)[1] for batch in iterator if len(batch.u)], iterator)

    @torch.no_grad()
    def _evaluate_batch(self, batch: Batch) -> tuple[Any, Tensor]:
        self.set_training(False)
        with self.__dict__.get("rng_context_", self.stream):
            output = self._output(batch)
        objective = self.module_.objective(output, batch.y, self.__dict__.get("hidden_share_"))
        if batch.weight is not None:
            objective = objective * batch.weight
        return output, objective + self._penalty() if self.alpha else objective

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        if isinstance(X, InMemoryDataset | StreamingDataset | CropDataset):
            return X, y
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        if training:
            self.iterator_train__seed = self.stream.draw_seed()
        iterator = super().get_iterator(dataset, training)
        if training and self.__dict__.get("checkpoint_") is not None:
            self.checkpoint_.follow(self, iterator)
        return iterator

    def set_training(self, training: bool) -> None:
        """Set the module's mode only if it changes, since setting it visits all layers."""
        if self.module_.training is not training:
            self.module_.train(training)

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        # A restored net is not trained, and loading a file must not start a compiler.
        if self.compile and self.loading_state_ is None and isinstance(module, Autoencoder):
            module.compile()  # in place: `torch.compile` would rename the state
        return module

    def infer(self, x: Any, **fit_params: Any) -> Any:
        with self.stream:
            if isinstance(x, Inputs):
                return super().infer(x.u, **({} if x.condition is None else {"c": x.condition}), **fit_params)
            n_conditions = self.module_.n_conditions
            if n_conditions and not (isinstance(x, dict) and "c" in x):
                raise ValueError(
                    f"The network is conditional: pass {{'u': samples, 'c': conditions}}, with conditions of shape "
                    f"(n, {n_conditions}), got {type(x).__name__}."
                )
            return super().infer(x, **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        weight = X.weight if isinstance(X, Inputs) else None
        if weight is None and type(self.criterion_) is WeightedMean:
            loss = self.module_.mean_objective(y_pred, y_true)
        else:
            loss = self.criterion_(self.module_.objective(y_pred, y_true), weight)
        # The validation loss includes the penalty: without it, unpenalized initial weights would be preferred.
        return loss + self._penalty() if self.alpha else loss

    def _penalty(self) -> Tensor:
        return elastic_net(self.module_.network, self.alpha, self.l1_ratio)

    # ---------------------------------------------------------------- the loop

    def _output(self, batch: Batch) -> Any:
        """Return the module's output for a batch on the device."""
        # The module is compiled for training; evaluation would compile it again.
        call = self.module_ if self.module_.training or not self.compile else self.module_.forward
        return call(batch.u) if batch.condition is None else call(batch.u, batch.condition)

    def forward_and_backward(self, batch: Batch) -> tuple[Tensor, Any]:
        """Return loss and output; gradients are stored in the parameters."""
        output = self._output(batch)
        loss = self.get_loss(output, batch.y, X=batch.X, training=True)
        (loss if self.ranks is ALONE else loss * len(batch.u)).backward()
        return loss, output

    def overriding(self, *methods: str) -> list[Callback]:
        """Return the callbacks that override one of ``methods``."""
        return [
            callback
            for _, callback in self.callbacks_
            if any(
                getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name) for name in methods
            )
        ]

    def unknown_callbacks(self) -> list[Callback]:
        """Return the callbacks that may read batches in the history, or change the state of the training."""
        return [callback for _, callback in self.callbacks_ if not _only_reads_epochs(callback)]

    def callbacks_change_updates(self) -> bool:
        """Return whether callbacks of the user may change gradients or learning rates."""
        schedules = (callback for _, callback in self.callbacks_ if isinstance(callback, LRScheduler))
        own = all(isinstance(callback, BaseCallback) for callback in schedules)
        return bool(self.overriding("on_grad_computed")) or not own

    def notify_gradients(self, batch: Batch) -> None:
        """Call the callbacks that use gradients."""
        named = list(self.get_all_learnable_params())  # each callback may iterate over it
        self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)

    @contextmanager
    def following(self, step: Any, callbacks: list) -> Iterator[None]:
        """Context of training with another ``step``, with ``callbacks`` and a separate history.

        Parameters
        ----------
        step : callable
            Takes a batch, updates weights, and returns ``loss`` and ``y_pred`` like `TrainStep`; its ``refresh()`` is
            called at the start of each epoch.
        callbacks : list of (str, BaseCallback)
        """
        net: Any = self
        for _, callback in callbacks:
            callback.initialize()
        kept = net.callbacks_, net.history
        net.callbacks_, net.history, net.strategy_ = callbacks, type(net.history)(), step
        try:
            yield
        finally:
            net.callbacks_, net.history = kept
            del net.strategy_

    def _prepared_step(self) -> Any:
        """Return the step of another strategy, or a faster `train_step`, if the optimizer allows it."""
        if "strategy_" in vars(self):
            self.strategy_.refresh()
            return self.strategy_
        if not takes_no_closure(type(self.optimizer_)):  # type: ignore[arg-type]
            return None
        step = self.__dict__.get("train_step_")
        if step is None or step.update.optimizer is not self.optimizer_:  # a callback may have created another one
            self.train_step_ = TrainStep(self)
        else:
            step.refresh()
        return self.train_step_

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Run one pass. Losses are summed on the device and read once, to synchronize only at the end.

        Only callbacks that override methods for batches are called for batches, and batches are recorded in the history
        only if a callback may read them.
        """
        if iterator is None:
            return
        listeners = self.overriding("on_batch_begin", "on_batch_end")
        recorded = bool(self.unknown_callbacks())

        def notify_batch(event: str, **results: Any) -> None:
            if recorded:
                self.notify(event, batch=batch, training=training, **results)
            else:
                for callback in listeners:
                    getattr(callback, event)(self, batch=batch, training=training, **results)

        sample_losses: list[Tensor] = []

        def evaluate(batch: Batch, **fit_params: Any) -> dict[str, Any]:
            output, objective = self._evaluate_batch(batch)
            sample_losses.append(objective)
            return {"loss": objective.mean(), "y_pred": output}

        if self.ranks is not ALONE:
            self._take_part(iterator, training=training)
        step = (self._prepared_step() or step_fn) if training else evaluate
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        n_rows = 0
        for batch in iterator:
            if not len(batch.u):  # fewer validation samples than ranks
                continue
            notify_batch("on_batch_begin")
            if training and recorded and listeners:  # they may have changed the prepared state
                step = self._prepared_step() or step_fn
            result = step(batch, **fit_params)
            total.add_(result["loss"].detach(), alpha=len(batch.u))
            n_rows += len(batch.u)
            if recorded:
                self.history.record_batch(prefix + "_loss", result["loss"].item())
                self.history.record_batch(prefix + "_batch_size", len(batch.u))
            notify_batch("on_batch_end", **result)
        if sample_losses:
            self.sample_losses_ = torch.cat(sample_losses)  # so that `evaluate` need not be called again
        sums = torch.tensor([float(total), n_rows], dtype=torch.float64)
        if self.ranks is not ALONE:
            sums = self.ranks.sum(sums)
            if not training:
                self.sample_losses_ = self._of_all_ranks(sample_losses, iterator)
        loss = float(sums[0] / sums[1])
        self.history.record(prefix + "_batch_count", len(iterator))
        self.history.record(prefix + "_loss", loss)
        earlier = itertools.islice(reversed(self.history), 1, None)
        best = next((row[prefix + "_loss"] for row in earlier if row.get(prefix + "_loss_best")), math.inf)
        self.history.record(prefix + "_loss_best", loss <= best)
        if training:
            for name, value in self.module_.bottleneck.metrics().items():
                self.history.record(f"bottleneck_{name}", float(value))

    def _take_part(self, iterator: Any, *, training: bool) -> None:
        """Let an iterator yield the part of this rank, without changing the common random state."""
        iterator.part = self.ranks.rank, self.ranks.size
        seed = self.stream.draw_seed() if training else COMMON_SEED
        self.rng_context_ = Stream(seed + self.ranks.rank, self.device)

    def _of_all_ranks(self, values: list[Tensor], iterator: Any) -> Tensor:
        """Gather the values of all validation samples; each rank has those of its part of every batch."""
        whole = torch.zeros(sum(iterator.sizes), device=self.device)
        whole[torch.from_numpy(is_in_part(0, len(whole), iterator.sizes, iterator.part))] = torch.cat(
            [*values, whole[:0]]
        )
        return self.ranks.sum(whole)


def _only_reads_epochs(callback: Callback) -> bool:
    """Return whether a callback is the estimator's, or one of skorch that reads only epochs."""
    if type(callback) is LRScheduler:
        return callback.step_every == "epoch"
    return type(callback) in (EarlyStopping, EpochTimer, PrintLog) or isinstance(callback, BaseCallback)
