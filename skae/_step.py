"""A step of training, without what an engine for any net and any optimiser adds around it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.optim import Optimizer

from ._graph import Recorder, can_record
from ._rows import Batch
from ._update import FastUpdate


def is_plain(optimizer: Optimizer) -> bool:
    """Whether the optimiser takes gradients as they are, rather than calling the loss as often as it likes."""
    return inspect.signature(type(optimizer).step).parameters["closure"].default is not inspect.Parameter.empty


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
        self.shows_gradients = bool(net.overriding("on_grad_computed"))
        self.recorder = None
        on_cuda = torch.device(net.device).type == "cuda"
        if on_cuda and not net.compile and can_record(net.module_, net.batch_size):
            self.recorder = Recorder(net.forward_and_backward, self.parameters, lambda: net.stream)

    def look_again(self) -> None:
        """See what callbacks may have changed; for the start of an epoch."""
        self.parameters[:] = [p for group in self.net.optimizer_.param_groups for p in group["params"]]
        self.update.look_again()

    def __call__(self, batch: Batch, **fit_params: Any) -> dict[str, Any]:
        """One step; the loss and what the module gave."""
        net = self.net
        net._set_training(True)
        if self.recorder is None:
            for p in self.parameters:
                p.grad = None
            with net.stream:
                loss, output = net.forward_and_backward(batch)
        else:
            loss, output = self.recorder(batch)
        if self.shows_gradients:
            net.notify_gradients(batch)
        self.update()
        return {"loss": loss, "y_pred": output}
