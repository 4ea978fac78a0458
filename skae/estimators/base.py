"""What all estimators share."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from .._data.sequences import step_axis_of
from .._data.shapes import same_shape
from .._data.sources import LazyArray
from .._data.validation import check_rows, gather, unchanged_on_error
from .._density.prior import fit_prior
from .._training.checkpoint import remove_checkpoint
from .._training.state import available
from .._utils.slots import select
from ._advice import warn_of_scales, warn_of_target
from ._data import FitData, check_fit_data
from ._extra import ExtraParams
from ._hints import Hints, names_arguments
from ._html import Documented
from ._inference import Inference
from ._parts import ModelSpec, check_params, find_network, find_prior, reads_padding
from ._sklearn_callbacks import CallbackSupportMixin, begin_fit, end_fit, with_callbacks
from ._training import train
from ._warnings import warn


class BaseAutoencoder(Documented, Hints, Inference, CallbackSupportMixin, ExtraParams):
    """An autoencoder but for its parameters.

    A final class writes its constructor out, and keeps ``**params`` as ``_extra``.
    """

    device: Any
    _has_likelihoods = False  # of codes that are distributions

    @names_arguments
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        X_target: Any = None,
        X_val: Any = None,
        X_val_target: Any = None,
        sample_weight: Any = None,
    ) -> BaseAutoencoder:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples of real numbers, of any range and dtype; at least 2. NaN with ``missing='mask'``, and after the end
            of sequences for a network that reads padding. A list, or a column of a DataFrame, may hold images of one
            size (arrays, tensors or PIL images), or sequences (length, channels), which such a network takes in any
            lengths.
        y : None
            Ignored. What the reconstruction is to be compared with is ``X_target``.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            What the reconstruction is compared with, such as clean rows for a noisy X; X when None. NaN, where X may
            hold it, is left out.
        X_val : {array-like, sparse matrix} with rows of X's shape, default=None
            Rows that training is judged by, in place of a share of X.
        X_val_target : {array-like, sparse matrix} of the shape of ``X_val``, default=None
            The targets of ``X_val``; needed where ``X_target`` and ``X_val`` are given.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows in the loss, the conditioning and the start; none negative. A row of
            weight 0 counts as absent, and only the ratios of weights count. Under minibatches a weight of 2 is not
            the same as a row twice.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit; the message names them.
        FloatingPointError
            When a loss is not finite. After any error the estimator is as it was before.
        MemoryError
            For a layer that this machine cannot train.

        Warns
        -----
        UserWarning
            If y has the shape of X, as a target would; and if one column of a table holds more than 99.9 % of its
            variance, beside which the others are neglected: scale them first.
        """
        return self._fit(
            X,
            y,
            X_target=X_target,
            X_val=X_val,
            X_val_target=X_val_target,
            sample_weight=sample_weight,
        )

    @names_arguments
    def partial_fit(self, X: Any, y: Any = None, *, X_target: Any = None, sample_weight: Any = None) -> BaseAutoencoder:
        """Train for one epoch on X, from where training stands.

        The first call sets the conditioning and the start from its X, so let it be a fair sample.
        Nothing is held out, no schedule is followed, nothing is printed, and the weights of the epoch are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Rows; at least 2 in the first call.
        y : None
            Ignored.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            As in `fit`. Only their ratios within one call count, since each call divides them by their mean: weights
            of 2 for all rows of a call are weights of 1. Give more rows or more calls to what is to count more.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit; the message names them.
        FloatingPointError
            When a loss is not finite. After any error the estimator is as it was before.
        MemoryError
            For a layer that this machine cannot train.
        """
        return self._partial_fit(X, y, X_target=X_target, sample_weight=sample_weight)

    @unchanged_on_error
    def _partial_fit(self, X: Any, y: Any, *, classes: Any = None, **others: Any) -> BaseAutoencoder:
        first = not hasattr(self, "net_")
        parts = self._check_params()
        given, X = X, check_rows(self, X, reset=first, min_rows=2 if first else 1, **parts.nan_rules)
        condition, _ = self._read_conditions(
            y, None, X, None, not first, classes, sample_weight=others["sample_weight"]
        )
        data = check_fit_data(self, parts.loss, X, condition=condition, **others, **parts.nan_rules)
        row_shape = X.shape[1:] if first else self.input_shape_
        self._read_layout(row_shape, again=not first)
        self._warn_of_data(given, data, y, new=first)
        data = data.arranged(self._arrange)
        outcome = train(self, parts, data, one_epoch=True)
        self._store(outcome.net, data, row_shape, more=not first)
        self.n_iter_ = self.best_epoch_ = getattr(self, "n_iter_", 0) + 1
        self.loss_curve_ = [*getattr(self, "loss_curve_", []), *outcome.loss_curve]
        self.validation_loss_curve_: list[float] = []
        return self

    def _fit(self, X: Any, y: Any, *, y_val: Any = None, **others: Any) -> BaseAutoencoder:
        # The number of epochs may depend on X, which is not read yet.
        max_epochs = int(self.max_epochs) if isinstance(self.max_epochs, numbers.Integral) else None
        context = begin_fit(self, X, y, max_subtasks=max_epochs)
        self._fit_rows(X, y, y_val, context, others)
        if self.checkpoint is not None:
            remove_checkpoint(self.checkpoint)  # it has done its work
        return self

    @unchanged_on_error
    def _fit_rows(self, X: Any, y: Any, y_val: Any, context: Any, others: dict[str, Any]) -> None:
        parts = self._check_params()
        again = self.warm_start and hasattr(self, "net_")
        given, X = X, check_rows(self, X, reset=True, min_rows=2, **parts.nan_rules)
        condition, condition_val = self._read_conditions(
            y, y_val, X, others["X_val"], again, sample_weight=others["sample_weight"]
        )
        data = check_fit_data(
            self,
            parts.loss,
            X,
            condition=condition,
            condition_val=condition_val,
            **others,
            **parts.nan_rules,
        )
        free = parts.step_axis - 1 if parts.reads_padding and X.ndim == 3 else None  # sequences may have any length
        if again and not same_shape(X.shape[1:], self.input_shape_, free):
            raise ValueError(f"warm_start needs rows of shape {self.input_shape_} as before, got {X.shape[1:]}.")
        row_shape = self.input_shape_ if again else X.shape[1:]  # a net that goes on keeps its length
        self._read_layout(row_shape, again)
        self._warn_of_data(given, data, y, new=not again)
        data = data.arranged(self._arrange)
        outcome = train(self, parts, data, context=context)
        self._store(outcome.net, data, row_shape)
        self.n_iter_ = outcome.n_iter
        self.loss_curve_ = outcome.loss_curve
        self.validation_loss_curve_ = outcome.validation_loss_curve
        self.best_epoch_ = outcome.best_epoch
        end_fit(context, self, X, y)

    def _check_params(self) -> ModelSpec:
        self._check_extra_names()
        find_prior(self)
        parts = check_params(self)
        if parts.bottleneck.is_variational and not self._has_likelihoods:
            warn(
                f"bottleneck={type(parts.bottleneck).__name__} makes codes distributions, of which "
                f"{type(self).__name__} knows neither likelihoods nor samples: take VAEGenerator.",
                UserWarning,
            )
        return parts

    def _warn_of_data(self, given: Any, data: FitData, y: Any, *, new: bool) -> None:
        """Warn of a y that was meant for X_target, and, as a net begins with it, of a table that wants scaling."""
        if data.X_target is None and data.condition is None:
            warn_of_target(y, data.X, given, step_axis_of(self) - 1)
        is_table = data.X.ndim == 2 and not hasattr(self, "layout_") and not self._may_read_padding()
        if new and is_table and not isinstance(data.X, LazyArray):
            warn_of_scales(data.X, getattr(self, "feature_names_in_", None))

    def _gather(self, X: Any) -> Any:
        """``X`` as one array if it is a collection of samples, before or after `fit`."""
        return gather(self, X, "X", step_axis_of(self) if self._may_read_padding() else 0)

    def _may_read_padding(self) -> bool:
        try:
            return reads_padding(find_network(self.module))
        except (TypeError, ValueError):  # `fit` will tell
            return False

    def _read_layout(self, row_shape: tuple[int, ...], again: bool) -> None:
        """Learn how to arrange rows of ``row_shape``, ``again`` where a net goes on; nothing by default."""

    def _read_conditions(
        self, y: Any, y_val: Any, X: np.ndarray, X_val: Any, again: bool, classes: Any = None, sample_weight: Any = None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Learn from ``y`` what the decoder is told of the rows, ``again`` where a net goes on; nothing by default."""
        return None, None

    def _network_params(self) -> dict[str, Any]:
        """What the network is made with: the user's ``module__*``."""
        return select(self._extra, "module")

    def _default_bottleneck(self) -> Any:
        """What stands for ``bottleneck=None``."""
        return "identity"

    def _store(self, net: Any, data: FitData, row_shape: tuple[int, ...], *, more: bool = False) -> None:
        """Keep a trained net, and what follows from it and the rows it saw; ``more`` of them in `partial_fit`."""
        self.net_ = net
        self.input_shape_ = row_shape
        earlier = getattr(self, "prior_", None)
        if hasattr(self, "prior_"):
            del self.prior_
        self._store_prior(data, net.stream.draw_seed(), earlier if more else None)

    def _store_prior(self, data: FitData, seed: int, earlier: Any) -> None:
        """Fit a density to the codes of the rows that were trained on; ``earlier`` is that of those before."""
        if self.prior is not None:
            self.prior_ = fit_prior(find_prior(self), self._map(self.module_.encode, data.X), seed, data.sample_weight)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._leave_missing_device()

    def _leave_missing_device(self) -> None:
        """After a fit on a device that this machine does not have, be ready to go on with what it has."""
        if "net_" in vars(self) and self.device != "auto" and available(self.device) != self.device:
            warn(
                f"device={self.device!r} is not available here: the estimator runs on {self.net_.device!r}, and its "
                "device is 'auto' from now on.",
                UserWarning,
            )
            self.device = "auto"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.array_api_support = True
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "mask" or self._may_read_padding()
        return tags
