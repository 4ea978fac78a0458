"""Fits in which the decoder is told y."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from .._data.arrays import as_array
from .._data.targets import Classes, Targets, find_condition
from .._data.validation import check_sample_weight
from .._utils.sklearn_compat import with_callbacks
from ._data import FitData
from ._hints import names_arguments
from .base import BaseAutoencoder


class Conditional(BaseAutoencoder):
    """An autoencoder whose decoder may be told y; a final class has a parameter ``conditional``."""

    _has_likelihoods = True
    conditional: Any
    classes_: np.ndarray
    _condition: Classes | Targets | None = None

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
        y_val: Any = None,
        sample_weight: Any = None,
    ) -> Conditional:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples of real numbers, of any range and dtype; at least 2. NaN with ``missing='mask'``, and after the end
            of sequences for a network that reads padding. A list, or a column of a DataFrame, may hold images of one
            size (arrays, tensors or PIL images), or sequences (length, channels), which such a network takes in any
            lengths.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            With ``conditional`` the classes or the targets of the rows; ignored otherwise.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            What the reconstruction is compared with, such as clean rows for a noisy X; X when None. NaN, where X may
            hold it, is left out.
        X_val : {array-like, sparse matrix} with rows of X's shape, default=None
            Rows that training is judged by, in place of a share of X.
        X_val_target : {array-like, sparse matrix} of the shape of ``X_val``, default=None
            The targets of ``X_val``; needed where ``X_target`` and ``X_val`` are given.
        y_val : array-like, default=None
            The classes or targets of ``X_val``; needed where ``conditional`` and ``X_val`` are given.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows in the loss, the conditioning, the start and the prior; none negative. A row of
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
        ConvergenceWarning
            If no component is active: the posterior has collapsed onto N(0, I), and codes say nothing of the rows.
        UserWarning
            If y is ignored and has the shape of X, as a target would; and if one column of a table holds more than
            99.9 % of its variance, beside which the others are neglected: scale them first.
        """
        self._fit(
            X,
            y,
            X_target=X_target,
            X_val=X_val,
            X_val_target=X_val_target,
            y_val=y_val,
            sample_weight=sample_weight,
        )
        return self

    @names_arguments
    def partial_fit(
        self, X: Any, y: Any = None, *, X_target: Any = None, sample_weight: Any = None, classes: Any = None
    ) -> Conditional:
        """Train for one epoch on X, from where training stands.

        The first call sets the conditioning, the start and the classes from its arguments, so let X be a fair sample.
        Nothing is held out, no schedule is followed, nothing is printed, and the weights of the epoch are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Rows; at least 2 in the first call.
        y : array-like, default=None
            As in `fit`.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            As in `fit`. In the loss only their ratios within one call count, since each call divides them by their
            mean: weights of 2 for all rows of a call are weights of 1. Give more rows or more calls to what is to count
            more. In the shares of classes, by which `sample` draws them, the weights of all calls add up.
        classes : array-like of shape (n_classes,), default=None
            All classes that any y will hold; those of the first y when None. For the first call.

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

        Warns
        -----
        ConvergenceWarning
            As in `fit`.
        """
        self._partial_fit(X, y, X_target=X_target, sample_weight=sample_weight, classes=classes)
        return self

    def _read_conditions(
        self, y: Any, y_val: Any, X: np.ndarray, X_val: Any, again: bool, classes: Any = None, sample_weight: Any = None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        y, y_val, classes = map(as_array, (y, y_val, classes))
        if self.conditional is False:
            for name, value in (("y_val", y_val), ("classes", classes)):
                if value is not None:
                    raise ValueError(f"{name} has a meaning only with conditional=True, got conditional=False.")
            self._condition = None
        elif y is None:
            # scikit-learn's own words, which its checks look for.
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        elif not again or self._condition is None:
            weight = None if sample_weight is None else check_sample_weight(sample_weight, len(X))
            if weight is not None:
                check_consistent_length(X, y)
            self._condition = find_condition(self.conditional, y, classes, weight)
        elif self.conditional is not True and (self.conditional == "classes") != isinstance(self._condition, Classes):
            raise ValueError(
                f"conditional={self.conditional!r} describes another y than the one fitted before: "
                "training goes on only with what the decoder is told."
            )
        if isinstance(self._condition, Classes):
            self.classes_ = self._condition.classes
        elif hasattr(self, "classes_"):
            del self.classes_
        if self._condition is None:
            return None, None
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together for a conditional estimator: give both or neither.")
        condition = self._condition.encode(y)
        check_consistent_length(X, condition)
        if y_val is None:
            return condition, None
        return condition, self._condition.encode(y_val)

    def _store(self, net: Any, data: FitData, row_shape: tuple[int, ...], *, more: bool = False) -> None:
        if self._condition is not None:
            assert data.condition is not None
            self._condition = self._condition.learned(data.condition, data.sample_weight, more=more)
        super()._store(net, data, row_shape, more=more)

    def _encode_condition(self, y: Any, n_rows: int) -> np.ndarray | None:
        """What the decoder is told of ``n_rows`` rows, one y for all or one for each."""
        y = as_array(y)
        if self._condition is None:
            if y is not None:
                raise ValueError("y has a meaning only for an estimator that was fitted with conditional=True.")
            return None
        if y is None:
            raise ValueError("This estimator is conditional: it needs y, the class or the targets of the rows.")
        if self._condition.is_single(y):
            return np.repeat(self._condition.encode(np.asarray(y)[None]), n_rows, axis=0)
        c = self._condition.encode(y)
        if len(c) != n_rows:
            raise ValueError(f"y must be one for all {n_rows} rows or one for each of them, got {len(c)}.")
        return c

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.conditional is not False
        return tags
