"""Plots of the training and validation loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._common import COLORS, new_axes, open_frame


class TrainingCurveDisplay:
    """Plot of training and validation loss over epochs, with the epoch whose weights were kept.

    Create it by `from_estimator`; the parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : sequence of float
        Training loss of epochs 1, 2, ...
    validation_loss_curve : sequence of float, default=()
        Validation loss before training and after epochs 1, 2, ...; may be empty.
    best_epoch : int, default=None
        Epoch to mark, on the validation curve if there is one; 0 is the initialization.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure with the axes.
    lines_ : list of matplotlib Line2D
        Non-empty curves: training, then validation.
    best_ : matplotlib Line2D or None
        Marker of the best epoch.

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
            Fitted, with ``loss_curve_``; ``validation_loss_curve_`` and ``best_epoch_`` are drawn if available.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, axes of a new figure.
        yscale : str, default='auto'
            Scale of the loss axis, as in `plot`.
        **kwargs
            Passed to `plot`.

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
            raise TypeError(f"{type(estimator).__name__} has no loss_curve_, so there is no training curve to draw.")
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
            Axes to draw on. If None, axes of a new figure.
        yscale : str, default='auto'
            Scale of the loss axis: 'linear', 'log' or another scale of matplotlib. 'auto' is logarithmic if the curves
            are positive and span more than a factor of ten.
        **kwargs
            Passed to matplotlib's ``plot`` for the curves.

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
            "training": (np.arange(1, len(training) + 1), training, COLORS[6]),
            "validation": (np.arange(len(validation)), validation, COLORS[0]),
        }
        curves = {name: curve for name, curve in curves.items() if len(curve[0])}
        if not curves:
            raise ValueError("There is no loss to draw: both curves are empty.")
        ax = new_axes() if ax is None else ax
        self.ax_, self.figure_, self.lines_, self.best_ = ax, ax.figure, [], None
        for name, (epochs, losses, color) in curves.items():
            alone = {"marker": "."} if len(epochs) == 1 else {}  # a single point has no line
            self.lines_ += ax.plot(epochs, losses, **{"color": color, "label": name, **alone, **kwargs})
        (at,) = np.nonzero(epochs == self.best_epoch)  # on the last curve: validation, if there is one
        if at.size:
            style = {
                "color": COLORS[2],
                "zorder": 3,
                "clip_on": False,
                "label": f"weights kept: epoch {self.best_epoch}",
            }
            (self.best_,) = ax.plot(epochs[at], losses[at], "o", **style)
        if yscale == "auto":
            every = np.concatenate([training, validation])
            yscale = "log" if every.min() > 0 and every.max() > 10 * every.min() else "linear"
        ax.set(xlabel="Epoch", ylabel="Mean loss per sample", yscale=yscale)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.legend(frameon=False)
        open_frame(ax)
        return self
