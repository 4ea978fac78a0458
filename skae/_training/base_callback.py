"""What the net and the callbacks of an estimator's own agree on."""

from __future__ import annotations

from skorch.callbacks import Callback


class StopTraining(Exception):
    """Ends training in order: the net raises it once all callbacks have seen the event at which one wants to stop."""


class BaseCallback(Callback):
    """A callback that the estimator itself adds to a training.

    It draws no random numbers and reads no batches from the history, so that none need be recorded for it. It stops
    training by `StopTraining`; a KeyboardInterrupt while it runs is Ctrl-C.
    """

    def release(self) -> None:
        """Let go of what the training held; called however the training ended."""
