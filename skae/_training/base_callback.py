"""Protocol between the net and the callbacks of the estimator."""

from __future__ import annotations

from skorch.callbacks import Callback


class StopTraining(Exception):
    """Raised by the net to stop training, after all callbacks have been called for the event."""


class BaseCallback(Callback):
    """Base class of callbacks that the estimator adds to a training.

    They do not use random numbers or batches in the history, so that batches need not be recorded. They stop training
    by `StopTraining`; a KeyboardInterrupt is Ctrl-C.
    """

    def release(self) -> None:
        """Release resources of the training; always called at its end."""
