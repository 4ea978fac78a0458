"""A step of training, without what an engine for any net and any optimiser adds around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._data.batches import Batch
from .cuda_graphs import Recorder, can_record
from .fused_adam import FastUpdate


@cache
def is_plain(optimizer: type[Optimizer]) -> bool:
    """Whether an optimiser is known to take gradients as they are, rather than calling the loss as it likes."""
    known = optimizer.__module__.startswith("torch.optim.")
    return known and inspect.signature(optimizer.step).parameters["closure"].default is None


class QuickStep:
    """What skorch's `train_step` does, prepared for a whole training.

    Parameters
    ----------
    net : AutoencoderNet
        Its optimiser is plain.
    """

    def __init__(self, net: Any) -> None:
        self.net, self.update = net, FastUpdate(net.optimizer_)
        self.parameters = [p for group in net.optimizer_.param_groups for p in group["params"]]
        others = net.callbacks_of_others()
        self.shows_gradients = bool(net.overriding("on_grad_computed"))
        self.passes: Callable[[Batch], tuple[Tensor, Any]] = self._pass
        # They might keep an output, which the next step overwrites, or change what a recording has fixed.
        if torch.device(net.device).type == "cuda" and not net.compile and not others:
            n_rows = net.get_params_for("iterator_train").get("batch_size", net.batch_size)
            if can_record(net.module_, n_rows):
                self.passes = Recorder(self._pass, self.parameters)

    def refresh(self) -> None:
        """See what callbacks may have changed; for the start of an epoch."""
        self.parameters[:] = [p for group in self.net.optimizer_.param_groups for p in group["params"]]
        self.update.refresh()

    def _pass(self, batch: Batch) -> tuple[Tensor, Any]:
        for p in self.parameters:
            p.grad = None
        return self.net.forward_and_backward(batch)

    def __call__(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """One step; the loss and what the module gave."""
        net = self.net
        net._set_training(True)
        with net.lent_:
            loss, output = self.passes(batch)
        if self.shows_gradients:
            net.notify_gradients(batch)
            self.update.refresh()
        self.update()
        return {"loss": loss, "y_pred": output}
