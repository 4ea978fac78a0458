"""What a fitted autoencoder does: encode, decode, score and sample."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._data.arrays import as_array, return_input_type
from .._data.chunked import fill_missing, is_double
from .._data.sequences import SequenceLayout
from .._data.sources import arranged
from .._data.validation import check_codes, check_domain, check_rows, check_same_shape, check_sample_weight
from .._density.prior import sample_prior
from .._utils.checks import LARGEST, check_choice, check_number
from .._utils.rng import draw_seed
from ._advice import warn_of_target
from ._passes import Passes
from ._warnings import renamed_argument


def _has_prior(estimator: Any) -> bool:
    if estimator.prior is None:
        raise AttributeError("sample needs a density over the codes: set prior, for example GaussianMixture(10).")
    return True


class Inference(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Passes):
    """The methods of a fitted autoencoder; `fit` gives it ``net_`` and ``input_shape_``.

    Given a tensor, they return tensors on its device; given an array of another library, under array API dispatch, its
    arrays; and NumPy's otherwise. `transform` gives what `set_output` asks for, and `sample` NumPy's arrays always.
    """

    prior_: Any

    @property
    def n_components_(self) -> int:
        """Width of the code."""
        return self.module_.n_codes

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _nan_rules(self) -> dict[str, Any]:
        """Where NaN may be, as `check_rows` takes it."""
        layout = getattr(self, "layout_", None)
        step_axis = 2 if isinstance(layout, SequenceLayout) else 1
        return {"missing": self.module_.missing, "padding": step_axis if self.module_.reads_padding else 0}

    def _check_fitted_rows(self, X: Any) -> Any:
        check_is_fitted(self)
        return check_rows(self, X, reset=False, tensors=True, **self._nan_rules())

    # ---------------------------------------------------------------- encoding and decoding

    @return_input_type
    def transform(self, X: Any) -> Any:
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.

        Returns
        -------
        Z : ndarray or Tensor of shape (n_samples, n_components), float32
            The codes; deterministic, without noise. A spatial code has ``n_components`` columns for every position.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        X = self._check_fitted_rows(X)
        return self._map_rows(self.module_.encode, X)

    @renamed_argument("Z", "X", since="0.3", until="0.5")
    @return_input_type
    def inverse_transform(self, X: Any) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them; a DataFrame of them too.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...)
            Reconstructed samples, in the units of the X that was fitted; float64 where that was float64 or integers
            that float32 does not hold, float32 elsewhere. Sequences are as long as those of `fit`: a code does not know
            its length.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        return self._decode(self._check_fitted_codes(X), project=self.module_.bottleneck.discrete)

    @return_input_type
    def reconstruct(self, X: Any, *, keep_observed: bool = False) -> Any:
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        keep_observed : bool, default=False
            Whether only the missing values are reconstructed, and the others kept as they are; for
            ``missing='mask'``.

        Returns
        -------
        X_hat : ndarray or Tensor of X's shape; with ``keep_observed`` of X's dtype
            The reconstruction: what the code keeps of X; float64 where X is float64 or holds integers that float32 does
            not hold, float32 elsewhere. Corruptions that `noise` has trained against are removed. After the end of a
            sequence it is NaN, as X is; of a list of sequences it is the padded array.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        return self._reconstruct(self._check_fitted_rows(X), keep_observed)

    def _check_fitted_codes(self, X: Any) -> Any:
        check_is_fitted(self)
        return check_codes(X, self._n_features_out)

    def _decode(
        self, Z: Any, c: np.ndarray | None = None, like: Any = None, *, noisy: bool = False, project: bool = True
    ) -> Tensor:
        """Rows from codes, from what the decoder is told beside them, and in the lengths of the rows ``like``."""
        given = {"z": Z, "c": c, "like": None if like is None else arranged(like, self._arrange)}
        arrays = {name: A for name, A in given.items() if A is not None}

        def decode(*parts: Tensor) -> Tensor:
            z, *others = parts
            z = self.module_.project(z.float()) if project else z.float()
            return self.module_.decode(z, **dict(zip([*arrays][1:], others, strict=True)), noisy=noisy)

        end = list(arrays).index("like") if like is not None else None
        dtype = torch.float64 if self.module_.returns_double else torch.float32
        return self._restore(self._run(decode, *arrays.values(), name="the codes", like=end, dtype=dtype))

    def _reconstruct(self, X: Any, keep_observed: bool, c: np.ndarray | None = None) -> Any:
        check_choice("keep_observed", keep_observed, (True, False))
        if keep_observed and not self.module_.missing:
            raise ValueError("keep_observed=True needs an estimator that was fitted with missing='mask'.")
        dtype = torch.float64 if is_double(X) else torch.float32
        X_hat = self._restore(self._map_rows(self.module_.reconstruct, X, c=c, like=0, dtype=dtype))
        return fill_missing(X, X_hat) if keep_observed else X_hat

    # ---------------------------------------------------------------- scoring

    @return_input_type
    def score_samples(self, X: Any, *, X_target: Any = None) -> Any:
        """Compute minus the reconstruction loss of every row: the lower, the more anomalous.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            What the reconstruction is compared with; X when None.

        Returns
        -------
        scores : ndarray or Tensor of shape (n_samples,), float32
            Minus the loss, summed over features, in the data's own units (squared ones for a squared
            error); without the penalty that a bottleneck may add while training. Only values that are known count, so
            rows with few of them, or short sequences, score higher: divide by their number to compare them. Rows
            whose loss float32 does not hold score alike, and lowest. A row without a known value has no score: NaN.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        X, target = self._check_rows_and_target(X, X_target, in_domain=True)
        return self._in_float32(-self._losses(self.module_.reconstruction_loss, X, target))

    def _losses(self, function: Callable[..., Tensor], X: Any, target: Any, c: np.ndarray | None = None) -> Tensor:
        """Losses that ``function`` gives for standardized samples, (n,) in float64, in the data's own units."""
        # What is more anomalous than the largest number is that.
        losses = self._map_rows(lambda *parts: function(*parts).clamp(max=LARGEST), X, target, c=c).double()
        if not self.module_.may_have_nan:
            return self.module_.in_data_units(losses, math.prod(target.shape[1:]))
        n_known = self._map_rows(self.module_.count_known, target).to(losses)
        # Of a row without a known value nothing is lost, which would make it the most normal one.
        return torch.where(n_known > 0, self.module_.in_data_units(losses, n_known), torch.nan)

    @staticmethod
    def _in_float32(scores: Tensor) -> Tensor:
        return scores.clamp(min=-LARGEST).float()

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, X_target: Any = None) -> float:
        """Compute minus the mean squared error of the reconstruction, whatever the loss.

        Searches and `cross_val_score` call it where ``scoring`` is left out. With ``scoring='r2'`` and the like scores
        are NaN, since these need `predict`, which an autoencoder does not have.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : None
            Ignored, with a warning where it has the shape of X.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            What the reconstruction is compared with, such as clean rows for a noisy X; X when None.

        Returns
        -------
        score : float
            Minus the mean over all values that are known, in the data's own units squared; the greater the better. Rows
            without a known value are left out.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        given, (X, target) = X, self._check_rows_and_target(X, X_target)
        if X_target is None:
            warn_of_target(y, X, given)
        weight = check_sample_weight(sample_weight, len(X))
        errors, counts = as_array(self._map_rows(self.module_.squared_error, X, target, dtype=torch.float64)).T
        if not weight @ counts > 0:
            raise ValueError("score needs at least one value that is not NaN, in a row of positive weight.")
        return -float(weight @ errors) / float(weight @ counts) * self.module_.unit**2

    def _check_rows_and_target(self, X: Any, X_target: Any, *, in_domain: bool = False) -> tuple[Any, Any]:
        X = self._check_fitted_rows(X)
        rules: dict[str, Any] = {"loss": self.module_.loss, "columns": getattr(self, "feature_names_in_", None)}
        if X_target is None:
            X = check_domain(X, "X", **rules) if in_domain else X
            return X, X
        target = check_same_shape(self, X_target, "X_target", X, same_length=True, **self._nan_rules())
        return X, check_domain(target, "X_target", **rules) if in_domain else target

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
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
            New samples, in the units of the X that was fitted; of the dtype that `inverse_transform` returns.

        Raises
        ------
        NotFittedError
            Before `fit`, and where ``prior`` was set after it.
        ValueError, TypeError
            If ``n_samples`` or ``random_state`` is not what it has to be.
        """
        self._check_sampling(n_samples)
        return self._decode(sample_prior(self.prior_, n_samples, draw_seed(random_state))).numpy()

    def _check_sampling(self, n_samples: int) -> None:
        check_is_fitted(self)
        if self.prior is not None and not hasattr(self, "prior_"):
            raise NotFittedError("prior was set after fit: fit again, so that there is a density to draw from.")
        check_number("n_samples", n_samples, numbers.Integral, 1)
