"""Training steps recorded once and played again, for devices that compute faster than Python calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._data.batches import Batch
from .._module.inspection import is_known

_WARM_UP = 3  # steps of a shape before it is recorded: libraries choose their algorithms in the first ones
# Multiplications from which a step takes milliseconds on any GPU of today, and its launches no longer matter.
_LONG = 2**35

Step = Callable[[Batch], tuple[Tensor, Any]]


def can_record(module: Any, n_rows: int) -> bool:
    """Whether to record steps of ``n_rows`` of an `Autoencoder`.

    What Python does in a step is not repeated when it is played again. Layers of ours and of torch do nothing that
    depends on more than the batch, but for parts that ask how far training is; of others nothing is known.
    """
    layers = list(module.modules())
    hooked = any(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks for layer in layers)
    # Wider than what is told of it: whatever has such an attribute may read it.
    waits = module.reads_padding or any(getattr(layer, "progress", None) is not None for layer in layers)
    known = all(is_known(type(layer)) for layer in layers)
    return known and not hooked and not waits and module.n_multiplications * n_rows < _LONG


class Recorder:
    """Forward and backward passes as CUDA graphs, one for each shape of a batch.

    The optimiser's step is not recorded: it is one kernel, and its rates change from step to step.

    Parameters
    ----------
    step : callable
        Takes a batch, leaves its gradients alone in the parameters, and returns the loss and the module's output. It
        must not wait for the device.
    parameters : list of Parameter
        What gets gradients.
    """

    def __init__(self, step: Step, parameters: list[nn.Parameter]) -> None:
        self.step, self.parameters = step, parameters
        self.seen: dict[tuple, int] = {}
        self.recordings: dict[tuple, _Recording] = {}
        self.failed = False

    def __call__(self, batch: Batch) -> tuple[Tensor, Any]:
        """Do what ``step`` does."""
        key = tuple(None if t is None else tuple(t.shape) for t in batch.tensors())
        if not self.failed and self.seen.get(key, 0) >= _WARM_UP and key not in self.recordings:
            self._record(key, batch)
        self.seen[key] = self.seen.get(key, 0) + 1
        if key not in self.recordings:
            loss, output = self.step(batch)
            # An autograd graph that outlives its step would tie the parameters to the stream that it ran on.
            return loss.detach(), tuple(t.detach() for t in output)
        recording = self.recordings[key]
        result = recording.play(batch)
        for p, gradient in zip(self.parameters, recording.gradients, strict=True):
            p.grad = gradient
        return result

    def _record(self, key: tuple, batch: Batch) -> None:
        stream = torch.cuda.current_stream() if torch.cuda.is_available() else None
        try:
            self.recordings[key] = _Recording(self.step, batch, self.parameters)
        except RuntimeError as error:  # something in the step waits for the device, or there is no memory left
            if stream is not None:  # a capture that fails leaves its own behind
                torch.cuda.set_stream(stream)
            logging.getLogger(__name__).info("Steps are not recorded as CUDA graphs: %s", error)
            self.failed = True


class _Recording:
    """One CUDA graph, and the tensors that it reads and writes."""

    def __init__(self, step: Step, batch: Batch, parameters: list[nn.Parameter]) -> None:
        self.inputs = [None if t is None else t.clone() for t in batch.tensors()]
        static = Batch.of(*self.inputs)  # type: ignore[arg-type]
        self.graph = torch.cuda.CUDAGraph()
        # A stream of this device, as torch's own for captures is of the first one used. Other threads may go on.
        with torch.cuda.device(static.u.device):
            stream = torch.cuda.Stream(static.u.device)
            with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
                loss, output = step(static)
        self.loss, self.output = loss.detach(), tuple(t.detach() for t in output)
        self.gradients = [p.grad for p in parameters]

    def play(self, batch: Batch) -> tuple[Tensor, Any]:
        """Run the graph on ``batch``; the loss and the output are overwritten by the next call."""
        for held, new in zip(self.inputs, batch.tensors(), strict=True):
            if held is not None and new is not None:
                held.copy_(new)
        self.graph.replay()
        return self.loss, self.output
