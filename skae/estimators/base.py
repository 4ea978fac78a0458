"""What all estimators share."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._conditioning import slices, to_tensor
from .._params import check_names
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
from ._training import Data, Parts, check_params, train

try:  # scikit-learn 1.9, experimental there
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return ``method`` as it is."""
        return method


# The slots whose parameters are set by names with double underscores.
_SLOTS = ("module", "optimizer", "iterator_train", "iterator_valid", "callbacks")


def _has_prior(estimator: Any) -> bool:
    if estimator.prior is None:
        raise AttributeError("sample needs a density over the codes: set prior, for example GaussianMixture(10).")
    return True


class BaseAutoencoder(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Fitting, encoding, decoding and scoring, for estimators that only add parameters.

    A final class writes its constructor out, and keeps ``**params`` as ``_extra``.
    """

    _extra: dict[str, Any]

    # ---------------------------------------------------------------- parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those named with double underscores included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of the parts that are objects.

        Returns
        -------
        params : dict
            Parameter names and their values.
        """
        return super().get_params(deep=deep) | self._extra

    def set_params(self, **params: Any) -> BaseAutoencoder:
        """Set parameters: the constructor's, those of parts, and ``module__*``, ``optimizer__*`` and the like.

        Parameters
        ----------
        **params : dict
            Parameter names and their values.

        Returns
        -------
        self : object
            The estimator.
        """
        extra = {name: value for name, value in params.items() if self._is_extra(name, params)}
        super().set_params(**{name: value for name, value in params.items() if name not in extra})
        self._extra = self._extra | extra
        return self

    def _is_extra(self, name: str, params: dict[str, Any]) -> bool:
        """Whether ``name`` is kept for a class, rather than set on a part that is an object."""
        slot, _, rest = name.partition("__")
        part = params.get(slot, getattr(self, slot, None))
        return name in self._extra or (bool(rest) and slot in _SLOTS and not hasattr(part, "get_params"))

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
        if getattr(self, "_skl_callbacks", None) or hasattr(self, "_parent_callback_ctx"):
            # The number of epochs may depend on X, which is not read yet: None says that it is not known.
            known = isinstance(self.max_epochs, numbers.Integral)
            context = self._init_callback_context(max_subtasks=self.max_epochs if known else None)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with unchanged_on_error(self):
            parts = self._check_params()
            X = check_rows(self, X, reset=True, min_rows=2)
            data = _check_data(X, parts, X_target, X_val, X_val_target, sample_weight)
            if self.warm_start and hasattr(self, "net_") and X.shape[1:] != self.input_shape_:
                raise ValueError(f"warm_start needs rows of shape {self.input_shape_} as before, got {X.shape[1:]}.")
            outcome = train(self, parts, data, context=context)
            self._store(outcome.net, X)
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
            data = _check_data(X, parts, X_target, None, None, sample_weight)
            outcome = train(self, parts, data, one_epoch=True)
            self._store(outcome.net, X)
            self.n_iter_ = self.best_epoch_ = getattr(self, "n_iter_", 0) + 1
            self.loss_curve_ = [*getattr(self, "loss_curve_", []), *outcome.loss_curve]
            self.validation_loss_curve_ = []
        return self

    def _check_params(self) -> Parts:
        # scikit-learn wants constructors that refuse nothing, so a name mistyped there is told here.
        stray = [name for name in self._extra if name.partition("__")[0] not in _SLOTS or "__" not in name]
        check_names(stray, self._get_param_names(), type(self).__name__)
        if self.prior is not None:
            check_prior(self.prior)
        return check_params(self)

    def _store(self, net: Any, X: np.ndarray) -> None:
        """Keep a trained net, and what follows from it and the rows it saw."""
        self.net_ = net
        self.input_shape_ = X.shape[1:]
        if self.prior is not None:
            self.prior_ = fit_prior(self.prior, self._map(self.module_.encode, X), net.stream.draw_seed())
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

    def _map(self, function: Callable[[Tensor], Tensor], A: np.ndarray) -> np.ndarray:
        """``function`` of all rows of ``A``, slice by slice, as one float32 array."""
        self.module_.eval()
        out = None
        n_parameters = self.module_.n_parameters
        with torch.inference_mode():
            for s in slices(A):
                with threads_for(n_parameters * (s.stop - s.start)):
                    part = function(to_tensor(A[s]).to(self.net_.device))
                if out is None:
                    out = np.empty((len(A), *part.shape[1:]), dtype=np.float32)
                out[s] = part.cpu().numpy()
        assert out is not None
        return out

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
        return self._map(self.module_.encode, self._check_fitted_rows(X))

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
        return self._map(self.module_.reconstruct, self._check_fitted_rows(X))

    # ---------------------------------------------------------------- scoring

    def score_samples(self, X: Any) -> np.ndarray:
        """Compute minus the reconstruction loss of every row: the lower, the more anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those of `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float32
            Minus the loss, summed over features, in the data's own units (squared ones for a squared
            error); without the penalty that a bottleneck may add while training.
        """
        X = self._check_fitted_rows(X)
        check_domain(X, "X", self.module_.loss)
        return -self._map(self.module_.reconstruction_loss, X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Compute minus the mean squared error of the reconstruction, whatever the loss.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those of `fit`.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Minus the mean over all values, in the data's own units squared; the greater the better.
        """
        X = self._check_fitted_rows(X)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, len(X))
        errors = self._map(self.module_.squared_error, X).astype(np.float64)
        return -float(np.average(errors, weights=weight)) * self.module_.unit**2

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
        check_is_fitted(self, "prior_")
        check_number("n_samples", n_samples, numbers.Integral, 1)
        return self._map(self.module_.decode, sample_prior(self.prior_, n_samples, draw_seed(random_state)))


def _check_data(X: np.ndarray, parts: Parts, X_target: Any, X_val: Any, X_val_target: Any, sample_weight: Any) -> Data:
    """Validate what comes beside X, all of it against X."""
    if X_target is not None:
        X_target = check_alike(X_target, "X_target", X, same_length=True)
    if X_val is not None:
        X_val = check_alike(X_val, "X_val", X, same_length=False)
    if X_val_target is not None:
        if X_val is None:
            raise ValueError("X_val_target needs X_val, the rows that it is the target of.")
        X_val_target = check_alike(X_val_target, "X_val_target", X_val, same_length=True)
    elif X_target is not None and X_val is not None:
        raise ValueError("X_val needs X_val_target where X is given an X_target.")
    for name, target, rows in (("X_target", X_target, X), ("X_val_target", X_val_target, X_val)):
        if target is not None:
            check_domain(target, name, parts.loss)
        elif rows is not None:
            check_domain(rows, name.removesuffix("_target"), parts.loss)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(X))
    return Data(X, X_target, X_val, X_val_target, sample_weight)
