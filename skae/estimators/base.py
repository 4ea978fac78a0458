"""What all estimators share."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._conditioning import map_rows
from .._prior import check_prior, fit_prior, sample_prior
from .._random import draw_seed
from .._threads import threads_for
from .._validation import (
    check_alike,
    check_codes,
    check_domain,
    check_number,
    check_rows,
    check_sample_weight,
    unchanged_on_error,
)
from ._data import Data, check_data
from ._extra import ExtraParams
from ._training import Parts, check_params, train

try:  # scikit-learn 1.9, experimental there
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return ``method`` as it is."""
        return method


def _has_prior(estimator: Any) -> bool:
    if estimator.prior is None:
        raise AttributeError("sample needs a density over the codes: set prior, for example GaussianMixture(10).")
    return True


class BaseAutoencoder(
    ExtraParams, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Fitting, encoding, decoding and scoring, for estimators that only add parameters.

    A final class writes its constructor out, and keeps ``**params`` as ``_extra``.
    """

    # ---------------------------------------------------------------- fitting

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
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows of real numbers, of any range and dtype; at least 2.
        y : None
            Ignored.
        X_target : array-like of X's shape, default=None
            What the reconstruction is compared with, such as clean rows for a noisy X; X when None.
        X_val : array-like with rows of X's shape, default=None
            Rows that training is judged by, in place of a share of X.
        X_val_target : array-like of the shape of ``X_val``, default=None
            The targets of ``X_val``; needed where ``X_target`` and ``X_val`` are given.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows in the loss, the conditioning and the start; none negative. A row of
            weight 0 is as good as absent. Under minibatches a weight of 2 is not the same as a row twice.

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
        """
        context = None
        # Attributes that scikit-learn sets where callbacks were given to this estimator, or to one around it.
        if getattr(self, "_skl_callbacks", None) or hasattr(self, "_parent_callback_ctx"):
            # The number of epochs may depend on X, which is not read yet: None says that it is not known.
            known = isinstance(self.max_epochs, numbers.Integral)
            context = self._init_callback_context(max_subtasks=self.max_epochs if known else None)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with unchanged_on_error(self):
            parts = self._check_params()
            X = check_rows(self, X, reset=True, min_rows=2)
            data = check_data(
                self,
                parts.loss,
                X,
                X_target=X_target,
                X_val=X_val,
                X_val_target=X_val_target,
                sample_weight=sample_weight,
            )
            if self.warm_start and hasattr(self, "net_") and X.shape[1:] != self.input_shape_:
                raise ValueError(f"warm_start needs rows of shape {self.input_shape_} as before, got {X.shape[1:]}.")
            outcome = train(self, parts, data, context=context)
            self._store(outcome.net, data)
            self.n_iter_ = outcome.n_iter
            self.loss_curve_ = outcome.loss_curve
            self.validation_loss_curve_ = outcome.validation_loss_curve
            self.best_epoch_ = outcome.best_epoch
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def partial_fit(self, X: Any, y: Any = None, *, X_target: Any = None, sample_weight: Any = None) -> BaseAutoencoder:
        """Train for one epoch on X, from where training stands.

        The first call sets the conditioning and the start from its X, so let it be a fair sample.
        Nothing is held out, no schedule is followed, and the weights of the epoch are kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows; at least 2 in the first call.
        y : None
            Ignored.
        X_target : array-like of X's shape, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            As in `fit`.

        Returns
        -------
        self : object
            The estimator. After an error it is as it was before.
        """
        with unchanged_on_error(self):
            first = not hasattr(self, "net_")
            parts = self._check_params()
            X = check_rows(self, X, reset=first, min_rows=2 if first else 1)
            data = check_data(self, parts.loss, X, X_target=X_target, sample_weight=sample_weight)
            outcome = train(self, parts, data, one_epoch=True)
            self._store(outcome.net, data)
            self.n_iter_ = self.best_epoch_ = getattr(self, "n_iter_", 0) + 1
            self.loss_curve_ = [*getattr(self, "loss_curve_", []), *outcome.loss_curve]
            self.validation_loss_curve_ = []
        return self

    def _check_params(self) -> Parts:
        self._check_extra_names()
        if self.prior is not None:
            check_prior(self.prior)
        return check_params(self)

    def _store(self, net: Any, data: Data) -> None:
        """Keep a trained net, and what follows from it and the rows it saw."""
        self.net_ = net
        self.input_shape_ = data.X.shape[1:]
        if self.prior is not None:
            codes = self._map(self.module_.encode, data.X)
            self.prior_ = fit_prior(self.prior, codes, net.stream.draw_seed(), data.sample_weight)
        elif hasattr(self, "prior_"):
            del self.prior_

    # ---------------------------------------------------------------- fitted

    @property
    def module_(self) -> Any:
        """The trained `Autoencoder`, a torch module."""
        return self.net_.module_

    @property
    def _n_features_out(self) -> int:
        return self.module_.n_components

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _map(self, function: Callable[..., Tensor], *arrays: np.ndarray) -> np.ndarray:
        """``function`` of all rows of ``arrays``, slice by slice, as one float32 array."""
        self.module_.eval()
        n_parameters, device = self.module_.n_parameters, self.net_.device

        def run(*parts: Tensor) -> Tensor:
            with threads_for(n_parameters * len(parts[0])):
                return function(*(part.to(device) for part in parts)).cpu()

        with torch.inference_mode():
            return map_rows(run, *arrays).numpy()

    def _check_fitted_rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_rows(self, X, reset=False)

    # ---------------------------------------------------------------- encoding and decoding

    def transform(self, X: Any) -> np.ndarray:
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those of `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            The codes; deterministic, without noise.
        """
        X = self._check_fitted_rows(X)
        return self._map(self.module_.encode, X)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Decode codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes; a DataFrame of them too.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...), float32
            Reconstructed rows, in the units of the X that was fitted.
        """
        check_is_fitted(self)
        Z = check_codes(Z, self._n_features_out)
        return self._map(lambda z: self.module_.decode(z.float()), Z)

    def reconstruct(self, X: Any) -> np.ndarray:
        """Encode and decode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those of `fit`.

        Returns
        -------
        X_hat : ndarray of X's shape, float32
            The reconstruction: what the code keeps of X. Damage that `noise` has trained against is mended.
        """
        X = self._check_fitted_rows(X)
        return self._map(self.module_.reconstruct, X)

    # ---------------------------------------------------------------- scoring

    def score_samples(self, X: Any, *, X_target: Any = None) -> np.ndarray:
        """Compute minus the reconstruction loss of every row: the lower, the more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those of `fit`.
        X_target : array-like of X's shape, default=None
            What the reconstruction is compared with; X when None.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float32
            Minus the loss, summed over features, in the data's own units (squared ones for a squared
            error); without the penalty that a bottleneck may add while training.
        """
        X, target = self._check_rows_and_target(X, X_target)
        check_domain(target, "X" if X_target is None else "X_target", self.module_.loss)
        loss = self._map(self.module_.reconstruction_loss, X, target).astype(np.float64)
        largest = np.finfo(np.float32).max
        return -self.module_.in_data_units(loss).clip(max=largest).astype(np.float32)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, X_target: Any = None) -> float:
        """Compute minus the mean squared error of the reconstruction, whatever the loss.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those of `fit`.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows.
        X_target : array-like of X's shape, default=None
            What the reconstruction is compared with, such as clean rows for a noisy X; X when None.

        Returns
        -------
        score : float
            Minus the mean over all values, in the data's own units squared; the greater the better.
        """
        X, target = self._check_rows_and_target(X, X_target)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, len(X))
        errors = self._map(self.module_.squared_error, X, target).astype(np.float64)
        return -float(np.average(errors, weights=weight)) * self.module_.unit**2

    def _check_rows_and_target(self, X: Any, X_target: Any) -> tuple[np.ndarray, np.ndarray]:
        X = self._check_fitted_rows(X)
        return X, X if X_target is None else check_alike(self, X_target, "X_target", X, same_length=True)

    # ---------------------------------------------------------------- generating

    @available_if(_has_prior)
    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """Draw rows: codes from ``prior_``, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows at every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...), float32
            New rows, in the units of the X that was fitted.
        """
        check_is_fitted(self)
        if not hasattr(self, "prior_"):
            raise NotFittedError("prior was set after fit: fit again, so that there is a density to draw from.")
        check_number("n_samples", n_samples, numbers.Integral, 1)
        return self._map(self.module_.decode, sample_prior(self.prior_, n_samples, draw_seed(random_state)))
