"""The loss over the epochs of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._common import COLOURS, new_axes, open_frame


class TrainingCurveDisplay:
    """Training and validation loss over the epochs, and the epoch whose weights were kept.

    Create it by `from_estimator`; the parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : sequence of float
        The training loss of epochs 1, 2, ...
    validation_loss_curve : sequence of float, default=()
        The validation loss before training and after epochs 1, 2, ...; may be empty.
    best_epoch : int, default=None
        The epoch to mark, on the validation curve where there is one; 0 is the start.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure with the axes.
    lines_ : list of matplotlib Line2D
        The curves that are not empty: training, then validation.
    best_ : matplotlib Line2D or None
        The mark of the best epoch.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import TrainingCurveDisplay
    >>> ae = AutoencoderTransformer(8, max_epochs=1, random_state=0).fit(load_digits().data)
    >>> display = TrainingCurveDisplay.from_estimator(ae)
    >>> [line.get_label() for line in display.lines_]
    ['training', 'validation']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        loss_curve: Sequence[float],
        validation_loss_curve: Sequence[float] = (),
        best_epoch: int | None = None,
    ):
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, yscale: str = "auto", **kwargs: Any
    ) -> TrainingCurveDisplay:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator object
            Fitted, with ``loss_curve_``; ``validation_loss_curve_`` and ``best_epoch_`` are drawn where it has them.
        ax : matplotlib Axes, default=None
            Where to draw; in a new figure when None.
        yscale : str, default='auto'
            Scale of the loss, as in `plot`.
        **kwargs
            Passed on to `plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no ``loss_curve_``.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(f"{type(estimator).__name__} has no loss_curve_: it tells nothing about its training.")
        display = cls(
            loss_curve=estimator.loss_curve_,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", ()),
            best_epoch=getattr(estimator, "best_epoch_", None),
        )
        return display.plot(ax, yscale=yscale, **kwargs)

    def plot(self, ax: Any = None, *, yscale: str = "auto", **kwargs: Any) -> TrainingCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; in a new figure when None.
        yscale : str, default='auto'
            Scale of the loss: 'linear', 'log' or another of matplotlib's. 'auto' is logarithmic where the curves are
            positive and span more than a factor of ten.
        **kwargs
            Passed on to matplotlib's ``plot`` for the curves.

        Returns
        -------
        display : TrainingCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If both curves are empty.
        """
        training, validation = np.asarray(self.loss_curve), np.asarray(self.validation_loss_curve)
        curves = {
            "training": (np.arange(1, len(training) + 1), training, COLOURS[6]),
            "validation": (np.arange(len(validation)), validation, COLOURS[0]),
        }
        curves = {name: curve for name, curve in curves.items() if len(curve[0])}
        if not curves:
            raise ValueError("There is no loss to draw: both curves are empty.")
        ax = new_axes() if ax is None else ax
        self.ax_, self.figure_, self.lines_, self.best_ = ax, ax.figure, [], None
        for name, (epochs, losses, colour) in curves.items():
            alone = {"marker": "."} if len(epochs) == 1 else {}  # a line needs two points
            self.lines_ += ax.plot(epochs, losses, **{"color": colour, "label": name, **alone, **kwargs})
        (at,) = np.nonzero(epochs == self.best_epoch)  # on the last curve: validation, where there is one
        if at.size:
            style = {
                "color": COLOURS[2],
                "zorder": 3,
                "clip_on": False,
                "label": f"weights kept: epoch {self.best_epoch}",
            }
            (self.best_,) = ax.plot(epochs[at], losses[at], "o", **style)
        if yscale == "auto":
            every = np.concatenate([training, validation])
            yscale = "log" if every.min() > 0 and every.max() > 10 * every.min() else "linear"
        ax.set(xlabel="Epoch", ylabel="Mean loss of a row", yscale=yscale)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.legend(frameon=False)
        open_frame(ax)
        return self
