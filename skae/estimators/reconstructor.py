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
    """Denoise or impute in a pipeline: a transformer that returns reconstructions.

    `transform` returns reconstructed samples instead of codes, with the features of X.

    Parameters
    ----------
    estimator : estimator
        An autoencoder with ``reconstruct``, or a transformer with ``inverse_transform``, such as PCA. `fit` trains a
        clone.
    filling : transformer or callable, default=None
        Initial imputation of missing values (NaN) before the estimator: a transformer such as
        `sklearn.impute.KNNImputer`, which is cloned and fitted, or a function that maps an array with NaN to an array
        of the same shape without NaN, such as biharmonic inpainting. An estimator with ``missing='mask'`` is then
        trained to reconstruct the observed values, and those of ``X_target`` if given. With None, NaN is passed to the
        estimator.
    keep_observed : bool, default=False
        Whether to replace only missing values and keep the observed ones, in the dtype of X.

    Attributes
    ----------
    estimator_ : estimator
        The fitted autoencoder.
    filling_ : transformer or callable
        The fitted ``filling``, unless it is None.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has string names for all of them.

    See Also
    --------
    sklearn.impute.IterativeImputer : Imputes tables by regressions.
    sklearn.impute.MissingIndicator : Indicators of missing values, to combine with a `Reconstructor` in a `make_union`.

    Notes
    -----
    With ``keep_observed=True`` it is an imputer that keeps all features, like those of `sklearn.impute` with
    ``keep_empty_features=True``. A feature without observed values in `fit` has the value given by ``filling``; without
    a filling it is 0, and an estimator with ``missing='mask'`` warns of it by name. Callbacks of scikit-learn
    (``set_callbacks``, from 1.9) that propagate to sub-estimators follow the training.

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
    _empty: np.ndarray | None = None  # True for features without observed values in `fit`; only with a filling

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
            Samples accepted by the estimator; with NaN if the estimator or the filling accepts it.
        y : array-like, default=None
            Passed to the estimator.
        **params : dict
            Parameters of the estimator's `fit`, such as ``X_target``; routed if metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid, or if the `fit` of ``estimator`` or ``filling`` raises it. After any
            error the transformer is unchanged.
        """
        context = begin_fit(self, X, y, max_subtasks=1 + hasattr(self.filling, "set_callbacks"))
        fitted = copy.copy(self)  # a failing fit leaves the estimator unchanged
        fitted._fit(X, y, context, params, owner=self)
        self.__dict__ = fitted.__dict__
        end_fit(context, self, X, y)
        return self

    def _fit(self, X: Any, y: Any, context: Any, params: dict[str, Any], owner: Reconstructor) -> None:
        self._check_params()
        self._refuse_sparse(X)
        X, y = as_array(self._gather(X)), as_array(y)  # accepted by every estimator
        params = {name: as_array(value) for name, value in params.items()}
        params = routed_params(self, params)
        if self.filling is None:
            if not self._takes_list(X):  # images of any size have no number of features
                blocks = as_lazy_array(X)  # gives the number of features of a Dataset
                # The estimator validates X itself.
                with contextlib.suppress(IndexError, KeyError):  # X may have no first sample
                    validate_data(self, X if blocks is None else blocks, reset=True, skip_check_array=True)
            for name in ("filling_", "_empty"):
                self.__dict__.pop(name, None)
        else:
            self.filling_ = self.filling
            if hasattr(self.filling, "fit"):
                self.filling_ = clone(self.filling)
                # Imputers do not support callbacks, and scikit-learn would warn.
                watched = context if hasattr(self.filling_, "set_callbacks") else None
                fit_part(watched, owner, self.filling_, "filling", X)
            masked = getattr(self.estimator, "missing", None) == "mask"
            itself = masked and params.get("X_target") is None  # the observed values of X are the target
            X, known = self._fill(X, reset=True), X
            if params.get("X_target") is not None:
                self._empty = None  # features may have observed values there
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
        """Return ``X`` as one array, if it is a list of sequences or images."""
        return self.estimator._gather(X) if isinstance(self.estimator, BaseAutoencoder) else one_array(X)

    def _takes_list(self, X: Any) -> bool:
        """Return whether X is a sequence of images of any size, and the estimator accepts these."""
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
                "filling needs X as one array. For images of different sizes leave NaN to an estimator with "
                "missing='mask'."
            )
        A = validate_data(self, X, reset=reset, allow_nd=True, ensure_all_finite="allow-nan")
        if reset:
            empty = np.isnan(A).all(axis=0) if is_float(A) else np.zeros(1, bool)
            self._empty = empty if empty.any() else None  # features without observed values are left to the filling
        is_transformer = hasattr(self.filling_, "transform")
        filled = np.asarray(self.filling_.transform(X) if is_transformer else self.filling_(A.copy()))
        if filled.shape != A.shape:
            raise ValueError(
                f"filling must keep the shape of X, {A.shape}, got {filled.shape}.{self._hint_at_dropped(A, filled)}"
            )
        if is_float(filled) and np.isnan(filled).any():
            left = np.isnan(filled).any(axis=0)
            where = f", got NaN in the features {self._named(left)}" if A.ndim == 2 else ""
            raise ValueError(f"filling must leave no NaN{where}.")
        return filled

    def _named(self, features: np.ndarray) -> str:
        """List the features where a mask is True."""
        return named_features(getattr(self, "feature_names_in_", None), np.flatnonzero(features))

    def _hint_at_dropped(self, A: np.ndarray, filled: np.ndarray) -> str:
        """Return a remedy if an imputer has dropped features."""
        if not (filled.ndim == A.ndim == 2 and filled.shape[1] < A.shape[1]):
            return ""
        known = ""
        if self._empty is not None:
            known = f" X had no observed values in the features {self._named(self._empty)}."
        return f"{known} Imputers of scikit-learn keep such features with keep_empty_features=True."

    @return_input_type
    def transform(self, X: Any) -> Any:
        """Reconstruct X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.

        Returns
        -------
        X_hat : ndarray or Tensor of X's shape
            The reconstruction; with ``keep_observed`` X with imputed values. Padding of sequences stays NaN.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
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
        """Get the metadata routing: all metadata of `fit` is passed to the estimator.

        Returns
        -------
        routing : MetadataRouter
            Metadata router.
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
