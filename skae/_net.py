"""The training engine: a skorch net whose target is its input."""

from __future__ import annotations

import dis
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import Dataset

from ._autoencoder import Autoencoder
from ._random import Stream


class Inputs(NamedTuple):
    """Rows of which more is known than their values; skorch hands it around as X."""

    u: Tensor  #: conditioned rows
    weight: Tensor | None  #: their weights, if they have any
    condition: Tensor | None  #: what the decoder is told of them, if anything


class Batch(NamedTuple):
    """What skorch unpacks as ``X, y``."""

    X: Tensor | Inputs  #: conditioned rows, alone where there is nothing else
    y: Tensor  #: the loss's target

    @property
    def u(self) -> Tensor:
        """The rows alone."""
        return self.X.u if isinstance(self.X, Inputs) else self.X

    @property
    def weight(self) -> Tensor | None:
        """The weights alone, or None."""
        return self.X.weight if isinstance(self.X, Inputs) else None


class Rows(Dataset):
    """Rows held as tensors, cut by index rather than collected one by one.

    Parameters
    ----------
    u : Tensor of shape (n, *input_shape)
        Conditioned rows.
    target : Tensor or None
        What the loss compares with; ``u`` when None.
    weight : Tensor of shape (n,) or None
        Weights of mean 1.
    condition : Tensor of shape (n, n_conditions) or None
        What the decoder is told of each row.
    """

    def __init__(
        self,
        u: Tensor,
        target: Tensor | None = None,
        weight: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> None:
        self.u, self.weight, self.condition = u, weight, condition
        self.target = u if target is None else target

    def __len__(self) -> int:
        return len(self.u)

    def __getitem__(self, index: Any) -> Batch:
        u = self.u[index]
        target = u if self.target is self.u else self.target[index]
        if self.weight is None and self.condition is None:
            return Batch(u, target)
        weight, condition = (None if t is None else t[index] for t in (self.weight, self.condition))
        return Batch(Inputs(u, weight, condition), target)


class BatchIterator:
    """Batches of nearly equal size, none larger than ``batch_size``.

    Equal sizes leave no last batch of a single row, on which batch normalisation would fail.

    Parameters
    ----------
    rows : Rows, or whatever has a length and takes an index or a slice
    batch_size : int
    shuffle : bool, default=False
        A new order at every iteration.
    drop_last : bool, default=False
        Cut batches of exactly ``batch_size`` and leave out the rest, if there is a full one.
    seed : int, default=0
        Of the orders; no global stream is read.
    """

    def __init__(
        self, rows: Any, batch_size: int, shuffle: bool = False, drop_last: bool = False, seed: int = 0
    ) -> None:
        self.rows, self.shuffle = rows, shuffle
        self.generator = torch.Generator().manual_seed(seed)
        n = len(rows)
        drop_last = drop_last and n >= batch_size
        self.n_batches = n // batch_size if drop_last else math.ceil(n / batch_size)
        self.n_rows = self.n_batches * batch_size if drop_last else n

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.rows)
        if self.shuffle:
            order = torch.randperm(n, generator=self.generator)[: self.n_rows]
            for index in order.to(self.rows.u.device).tensor_split(self.n_batches):
                yield self.rows[index]
        else:
            edges = [self.n_rows * i // self.n_batches for i in range(self.n_batches + 1)]
            for start, stop in itertools.pairwise(edges):
                yield self.rows[start:stop]


class WeightedMean(nn.Module):
    """The criterion: the mean of the rows' objectives, each times its weight."""

    def forward(self, objective: Tensor, weight: Tensor | None) -> Tensor:
        return objective.mean() if weight is None else (objective * weight).mean()


def elastic_net(module: nn.Module, alpha: float, l1_ratio: float) -> Tensor:
    r"""Penalty on weights, :math:`\alpha (\rho |w|_1 + \tfrac{1 - \rho}{2} |w|_2^2)`; biases go free.

    α and ρ are those of `sklearn.linear_model.ElasticNet`.
    """
    weights = [p for p in module.parameters() if p.ndim > 1]
    if not weights:
        return torch.zeros(())
    l1 = torch.stack([w.abs().sum() for w in weights]).sum()
    l2 = torch.stack([w.square().sum() for w in weights]).sum()
    return alpha * (l1_ratio * l1 + 0.5 * (1 - l1_ratio) * l2)


class AutoencoderNet(NeuralNet):
    """A skorch net for an `Autoencoder`; its ``fit`` takes `Rows` and, as y, the rows to be judged by.

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

    def train_rows(self, rows: Rows, judge: Rows | None, epochs: int) -> AutoencoderNet:
        """Train on ``rows``, judged by ``judge``; unlike `fit`, Ctrl-C is not taken for an early stop."""
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr  # where an earlier schedule left it, a warm start would not move
        try:
            self.notify("on_train_begin", X=rows, y=judge)
            try:
                self.fit_loop(rows, judge, epochs=epochs)
            except KeyboardInterrupt as stop:
                if not _raised_by_callback(stop):
                    raise
            self.notify("on_train_end", X=rows, y=judge)
        finally:
            for _, callback in self.callbacks_:
                if hasattr(callback, "_release"):  # our own; a user's callback has its own ways
                    callback._release()
        return self

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
        if stop is not None:
            raise stop

    def judge(self, rows: Rows) -> Tensor:
        """The objective of every row times its weight, (n,), in evaluation mode; its mean is the loss."""
        self._set_training(False)
        objectives = []
        with torch.no_grad():
            for batch in self.get_iterator(rows, training=False):
                objective = self.module_.objective(self.infer(batch.X), batch.y)
                objectives.append(objective if batch.weight is None else objective * batch.weight)
            return torch.cat(objectives) + (self._penalty() if self.alpha else 0.0)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        if isinstance(X, Rows):
            return X, y
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        if training:
            self.iterator_train__seed = self.stream.draw_seed()
        return super().get_iterator(dataset, training)

    def _set_training(self, training: bool = True) -> None:
        if self.module_.training is not training:  # skorch walks the whole module at every batch
            super()._set_training(training)

    def infer(self, x: Tensor, **fit_params: Any) -> Any:
        with self.stream:
            if isinstance(x, Inputs):
                return super().infer(x.u, **({} if x.condition is None else {"c": x.condition}), **fit_params)
            return super().infer(x, **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        weight = X.weight if isinstance(X, Inputs) else None
        loss = self.criterion_(self.module_.objective(y_pred, y_true), weight)
        # A judge that let the weights go free would favour a start that did not have to mind them.
        return loss + self._penalty() if self.alpha else loss

    def _penalty(self) -> Tensor:
        return elastic_net(self.module_, self.alpha, self.l1_ratio)

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """One pass. The losses are added up on the device and read once, which is where skorch waits."""
        if iterator is None:
            return
        total: Any = 0.0
        n_rows = n_batches = 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            size = len(batch.u)
            self.history.record_batch(prefix + "_batch_size", size)
            self.notify("on_batch_end", batch=batch, training=training, **step)
            total = total + step["loss"].detach() * size
            n_rows += size
            n_batches += 1
        loss = float(total) / n_rows
        self.history.record(prefix + "_batch_count", n_batches)
        self.history.record(prefix + "_loss", loss)
        earlier = [row[prefix + "_loss"] for row in self.history[:-1] if prefix + "_loss" in row]
        self.history.record(prefix + "_loss_best", loss <= min(earlier, default=math.inf))


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
