"""A training step without the overhead of skorch."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from torch.optim import Optimizer

from .._data.batches import Batch
from .fused_adam import FastUpdate


@cache
def takes_no_closure(optimizer: type[Optimizer]) -> bool:
    """Return whether an optimizer is known to use gradients without evaluating the loss itself."""
    known = optimizer.__module__.startswith("torch.optim.")
    return known and inspect.signature(optimizer.step).parameters["closure"].default is None


class TrainStep:
    """Equivalent of skorch's `train_step`, prepared for a whole training.

    Parameters
    ----------
    net : AutoencoderNet
        Net whose optimizer does not need a closure.
    """

    def __init__(self, net: Any) -> None:
        self.net, self.update = net, FastUpdate(net.optimizer_)
        self.refresh()

    def refresh(self) -> None:
        """Check for changes by callbacks, at the start of an epoch."""
        self.parameters = [p for group in self.net.optimizer_.param_groups for p in group["params"]]
        self.shows_gradients = bool(self.net.overriding("on_grad_computed"))
        self.update.refresh()

    def __call__(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """Take one step; return the loss and the module's output."""
        net = self.net
        net.set_training(True)
        for p in self.parameters:
            p.grad = None
        with net.rng_context_:
            loss, output = net.forward_and_backward(batch)
        net.ranks.average_gradients(self.parameters, len(batch.u))
        if self.shows_gradients:
            net.notify_gradients(batch)
            self.update.refresh()
        self.update()
        return {"loss": loss, "y_pred": output}
