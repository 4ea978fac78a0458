"""A transformer whose output is the reconstruction."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._data.arrays import as_array, as_tensor, check_array, is_float, return_input_type, validate_data
from .._data.chunked import fill_missing
from .._data.collections import one_array
from .._data.dask_lazy import RowWise
from .._data.sources import as_lazy_array, load_if_small
from .._data.sparse import sparse_rows
from .._utils.checks import check_choice
from .._utils.sklearn_compat import CallbackSupportMixin, begin_fit, end_fit, fit_part, with_callbacks
from ._base import BaseAutoencoder
from ._empty import named_features
from ._hints import explain_missing
from ._html import documented
from ._routing import routed_params, router_to_estimator


@documented
class Reconstructor(
    RowWise, OneToOneFeatureMixin, MetaEstimatorMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator
):
    """Make a transformer of what an autoencoder restores: a denoiser or an imputer for a pipeline.

    `transform` returns rows like those that came in, reconstructed, so the next step need not know of any code.

    Parameters
    ----------
    estimator : estimator
        An autoencoder, with ``reconstruct``; or another transformer with ``inverse_transform``, such as PCA. `fit`
        trains a clone.
    filling : transformer or callable, default=None
        Fills the missing values of X (NaN) before the estimator sees it: a transformer, of which `fit` fits a clone,
        such as `sklearn.impute.KNNImputer`, or a function from an array with NaN to one of the same shape without, such
        as a biharmonic one for scratches. An estimator with ``missing='mask'`` is then trained to reconstruct the
        values that are known, and those of ``X_target`` if there is one. None leaves NaN to the estimator.
    keep_observed : bool, default=False
        Whether only missing values are replaced, and the others kept as they are, in X's dtype.

    Attributes
    ----------
    estimator_ : estimator
        The fitted autoencoder.
    filling_ : transformer or callable
        The fitted filling, if there is one.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names for all of them.

    See Also
    --------
    sklearn.impute.IterativeImputer : Fills holes of a table by regressions.
    sklearn.impute.MissingIndicator : Tells what was missing; beside a `Reconstructor` in a `make_union`.

    Notes
    -----
    With ``keep_observed=True`` it is an imputer as those of `sklearn.impute` are with ``keep_empty_features=True``: it
    keeps all features. One that had no known value in `fit` becomes what ``filling`` makes of it; without a filling it
    is 0, of which an estimator with ``missing='mask'`` warns by name. Of scikit-learn's callbacks (``set_callbacks``,
    from 1.9 on) those that go on to estimators within watch the training.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer, Reconstructor
    >>> X = load_digits().data
    >>> X[::3, 20:30] = np.nan
    >>> ae = AutoencoderTransformer(8, missing="mask", noise="masking_noise", max_epochs=2, random_state=0)
    >>> X_filled = Reconstructor(ae, keep_observed=True).fit_transform(X)
    >>> bool(np.isnan(X_filled).any()), bool((X_filled[1::3] == X[1::3]).all())
    (False, True)
    """

    _row_wise: ClassVar[dict[str, Any]] = {"transform": None}
    _empty: np.ndarray | None = None  # True where X had no known value in `fit`; with a filling

    if not TYPE_CHECKING:  # where it would let any attribute pass

        def __getattr__(self, name: str) -> Any:
            return explain_missing(self, name)

    def __init__(self, estimator, *, filling=None, keep_observed=False):
        self.estimator = estimator
        self.filling = filling
        self.keep_observed = keep_observed

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **params: Any) -> Reconstructor:
        """Fit the filling, if there is one, and the estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples as the estimator takes them, in a list too; with NaN where it or the filling takes that.
        y : array-like, default=None
            Handed to the estimator.
        **params : dict
            For the estimator's `fit`, such as ``X_target``; routed where metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit, and whatever the `fit` of ``estimator`` or ``filling`` raises.
            After any error the transformer is as it was before.
        """
        context = begin_fit(self, X, y, max_subtasks=1 + hasattr(self.filling, "set_callbacks"))
        fitted = copy.copy(self)  # a fit that fails leaves this one as it was
        fitted._fit(X, y, context, params, owner=self)
        self.__dict__ = fitted.__dict__
        end_fit(context, self, X, y)
        return self

    def _fit(self, X: Any, y: Any, context: Any, params: dict[str, Any], owner: Reconstructor) -> None:
        self._check_params()
        self._refuse_sparse(X)
        X, y = as_array(self._gather(X)), as_array(y)  # which every estimator takes
        params = {name: as_array(value) for name, value in params.items()}
        params = routed_params(self, params)
        if self.filling is None:
            if not self._takes_list(X):  # of images of any size, without a number of features
                blocks = as_lazy_array(X)  # of a Dataset they tell the number of features
                # The estimator has its own say about X.
                with contextlib.suppress(IndexError, KeyError):  # of what has no first row
                    validate_data(self, X if blocks is None else blocks, reset=True, skip_check_array=True)
            for name in ("filling_", "_empty"):
                self.__dict__.pop(name, None)
        else:
            self.filling_ = self.filling
            if hasattr(self.filling, "fit"):
                self.filling_ = clone(self.filling)
                # An imputer takes no callbacks, of which scikit-learn would warn.
                watched = context if hasattr(self.filling_, "set_callbacks") else None
                fit_part(watched, owner, self.filling_, "filling", X)
            masked = getattr(self.estimator, "missing", None) == "mask"
            itself = masked and params.get("X_target") is None  # what is known of X is its own target
            X, known = self._fill(X, reset=True), X
            if params.get("X_target") is not None:
                self._empty = None  # it may be known there
            if itself:
                params["X_target"] = known
            if params.get("X_val") is not None:
                if itself and params.get("X_val_target") is None:
                    params["X_val_target"] = params["X_val"]
                params["X_val"] = self._fill(params["X_val"], reset=False)
        self.estimator_ = fit_part(context, owner, clone(self.estimator), "estimator", X, y, **params)

    def _refuse_sparse(self, X: Any) -> None:
        if issparse(X) and self.filling is not None:
            raise TypeError(
                "Sparse X is not supported with a filling, which needs a dense X: use X.toarray(), or leave NaN to an "
                "estimator with missing='mask'."
            )

    def _gather(self, X: Any) -> Any:
        """``X`` as one array, if it is a list of sequences or images."""
        return self.estimator._gather(X) if isinstance(self.estimator, BaseAutoencoder) else one_array(X)

    def _takes_list(self, X: Any) -> bool:
        """Whether X is a sequence of images of any size, which the estimator takes."""
        return isinstance(self.estimator, BaseAutoencoder) and self.estimator._takes_list(X)

    def _check_params(self) -> None:
        check_choice("keep_observed", self.keep_observed, (True, False))
        if isinstance(self.estimator, type):
            raise TypeError(f"estimator must be an instance, got the class {self.estimator.__name__}.")
        if not (hasattr(self.estimator, "reconstruct") or hasattr(self.estimator, "inverse_transform")):
            raise TypeError(f"estimator must have reconstruct or inverse_transform, got {self.estimator!r}.")
        takes_nan = self.filling is not None or get_tags(self.estimator).input_tags.allow_nan
        if self.keep_observed and not takes_nan:
            raise ValueError("keep_observed=True needs an estimator that takes NaN (missing='mask'), or a filling.")
        if not (self.filling is None or hasattr(self.filling, "transform") or callable(self.filling)):
            raise TypeError(f"filling must be None, a transformer or a function, got {self.filling!r}.")

    def _fill(self, X: Any, reset: bool) -> np.ndarray:
        X = as_array(self._gather(X))
        if self._takes_list(X):
            raise ValueError(
                "filling needs X as one array. Leave the NaN of images of different sizes to an estimator with "
                "missing='mask'."
            )
        A = validate_data(self, X, reset=reset, allow_nd=True, ensure_all_finite="allow-nan")
        if reset:
            empty = np.isnan(A).all(axis=0) if is_float(A) else np.zeros(1, bool)
            self._empty = empty if empty.any() else None  # what is never known is left to the filling
        is_transformer = hasattr(self.filling_, "transform")
        filled = np.asarray(self.filling_.transform(X) if is_transformer else self.filling_(A.copy()))
        if filled.shape != A.shape:
            raise ValueError(
                f"filling must keep the shape of X, {A.shape}, got {filled.shape}.{self._hint_at_dropped(A, filled)}"
            )
        if is_float(filled) and np.isnan(filled).any():
            left = np.isnan(filled).any(axis=0)
            where = f", got some for the features {self._named(left)}" if A.ndim == 2 else ""
            raise ValueError(f"filling must leave no NaN{where}.")
        return filled

    def _named(self, features: np.ndarray) -> str:
        """List the features where a mask is True."""
        return named_features(getattr(self, "feature_names_in_", None), np.flatnonzero(features))

    def _hint_at_dropped(self, A: np.ndarray, filled: np.ndarray) -> str:
        """What to do where an imputer has dropped features."""
        if not (filled.ndim == A.ndim == 2 and filled.shape[1] < A.shape[1]):
            return ""
        known = ""
        if self._empty is not None:
            known = f" X had no known value for the features {self._named(self._empty)}."
        return f"{known} Imputers of scikit-learn keep such features with keep_empty_features=True."

    @return_input_type
    def transform(self, X: Any) -> Any:
        """Reconstruct X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.

        Returns
        -------
        X_hat : ndarray or Tensor of X's shape
            The reconstruction; with ``keep_observed`` X, its missing values reconstructed. After the end of a sequence
            NaN stays.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        check_is_fitted(self)
        self._refuse_sparse(X)
        X = as_tensor(self._gather(X))
        X = X.detach() if isinstance(X, Tensor) else X
        if hasattr(self, "filling_"):
            seen = self._fill(X, reset=False)
        else:
            seen = X if isinstance(self.estimator_, BaseAutoencoder) else as_array(X)
        if hasattr(self.estimator_, "reconstruct"):
            X_hat = self.estimator_.reconstruct(seen)
        else:
            X_hat = self.estimator_.inverse_transform(self.estimator_.transform(seen))
        if self._empty is not None:
            X_hat = np.where(self._empty, seen.astype(X_hat.dtype), X_hat)
        if not self.keep_observed:
            return X_hat
        if isinstance(X_hat, list):
            return [fill_missing(np.asarray(X[i]), image) for i, image in enumerate(X_hat)]
        if not isinstance(X, Tensor):
            rules = {"allow_nd": True, "ensure_all_finite": "allow-nan", "accept_sparse": "csr", "input_name": "X"}
            X, X_hat = check_array(load_if_small(X), **rules), np.asarray(X_hat)
            X = sparse_rows(X, "X") if issparse(X) else X
        return fill_missing(X[None] if X_hat.ndim > X.ndim else X, X_hat)  # a single sample

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the routing of metadata: all of `fit` goes to the estimator.

        Returns
        -------
        routing : MetadataRouter
            The routing.
        """
        return router_to_estimator(self, self.estimator)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.input_tags.allow_nan = inner.input_tags.allow_nan or self.filling is not None
        keeps = self.keep_observed and not inner.input_tags.allow_nan
        tags.input_tags.sparse = inner.input_tags.sparse and self.filling is None and not keeps
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.array_api_support = True
        return tags
