"""Callbacks that report the training: a progress bar, or a line for each epoch."""

from __future__ import annotations

from typing import Any

import torch
from skorch.callbacks import EpochTimer, PrintLog

from .base_callback import BaseCallback
from .net import AutoencoderNet


class Report(BaseCallback):
    """Report losses in the units of the data, as in ``loss_curve_``; the history has those of standardized samples.

    `train_loss` and `valid_loss` are converted with ``n_known``, the mean numbers of values in their sums.
    """

    n_known: dict[str, float] = {}  # noqa: RUF012 (replaced, never changed)

    def losses(self, net: AutoencoderNet) -> dict[str, float]:
        """Return the losses of the last epoch."""
        row = net.history[-1]
        losses = {name: torch.tensor(row[name], dtype=torch.float64) for name in self.n_known if name in row}
        return {name: float(net.module_.in_data_units(loss, self.n_known[name])) for name, loss in losses.items()}


class ProgressBar(Report):
    """A tqdm bar over the epochs, with the losses and the remaining time."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_begin(self, net: AutoencoderNet, **kwargs: Any) -> None:
        from tqdm.auto import tqdm

        self.bar_ = tqdm(total=self.epochs, desc="fit", unit="epoch")

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        names = {"train_loss": "loss", "valid_loss": "validation"}
        self.bar_.set_postfix({names[key]: f"{loss:.4g}" for key, loss in self.losses(net).items()}, refresh=False)
        self.bar_.update()

    def release(self) -> None:
        """Close the bar."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_

    def __getstate__(self) -> dict[str, Any]:
        return {"epochs": self.epochs}  # an open stream cannot be pickled


class EpochLines(Report, PrintLog):
    """skorch's table of the history, with losses of any size."""

    def __init__(self, floatfmt: str = ".5g", **kwargs: Any) -> None:
        super().__init__(floatfmt=floatfmt, **kwargs)

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        self.losses_ = self.losses(net)
        super().on_epoch_end(net, **kwargs)

    def table(self, row: dict[str, Any]) -> str:
        return super().table({**row, **self.losses_})


def verbosity_callbacks(verbose: int, epochs: int) -> list:
    """Return the callbacks for ``verbose``: none, a bar, or lines."""
    if verbose == 0:
        return []
    if verbose == 1:
        return [("progress_bar", ProgressBar(epochs))]
    return [("epoch_timer", EpochTimer()), ("print_log", EpochLines())]
