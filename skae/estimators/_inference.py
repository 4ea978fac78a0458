"""What a fitted autoencoder does: encode, decode, score and sample."""

from __future__ import annotations

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

from .._conditioning import keep_known, map_rows
from .._prior import sample_prior
from .._random import draw_seed
from .._threads import threads_for
from .._validation import (
    check_alike,
    check_choice,
    check_codes,
    check_domain,
    check_number,
    check_rows,
    check_sample_weight,
)


def _has_prior(estimator: Any) -> bool:
    if estimator.prior is None:
        raise AttributeError("sample needs a density over the codes: set prior, for example GaussianMixture(10).")
    return True


class Inference(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods of a fitted autoencoder; `fit` gives it ``net_`` and ``input_shape_``."""

    net_: Any
    prior_: Any

    @property
    def module_(self) -> Any:
        """The trained `Autoencoder`, a torch module."""
        return self.net_.module_

    @property
    def _n_features_out(self) -> int:
        return self.module_.n_codes

    def _map(self, function: Callable[..., Tensor], *arrays: np.ndarray) -> np.ndarray:
        """``function`` of all rows of ``arrays``, slice by slice, as one float32 array."""
        self.module_.eval()
        cost, device = self.module_.n_multiplications, self.net_.device

        def run(*parts: Tensor) -> Tensor:
            with threads_for(cost * len(parts[0])):
                return function(*(part.to(device) for part in parts)).cpu()

        with torch.inference_mode():
            return map_rows(run, *arrays, n_values=self.module_.n_values).numpy()

    def _map_rows(
        self, function: Callable[..., Tensor], *arrays: np.ndarray, c: np.ndarray | None = None
    ) -> np.ndarray:
        """``function`` of rows as they came in, and of what the decoder is told of them."""
        return self._map(function, *(self._arrange(A) for A in arrays), *(() if c is None else (c,)))

    def _arrange(self, X: np.ndarray) -> np.ndarray:
        """Bring rows into the shape that the network takes; nothing by default."""
        return X

    def _restore(self, A: np.ndarray) -> np.ndarray:
        """Bring what the network gives into the shape of X's rows; nothing by default."""
        return A

    def _nan_rules(self) -> dict[str, bool]:
        """Where NaN may be, as `check_rows` takes it."""
        return {"missing": self.module_.missing, "padding": self.module_.reads_padding}

    def _check_fitted_rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_rows(self, X, reset=False, **self._nan_rules())

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
            The codes; deterministic, without noise. A spatial code has ``n_components`` columns for every position.
        """
        X = self._check_fitted_rows(X)
        return self._map_rows(self.module_.encode, X)

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Decode codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes; a DataFrame of them too.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...), float32
            Reconstructed rows, in the units of the X that was fitted. Sequences are as long as those of `fit`: a code
            does not know its length.
        """
        return self._decode(self._check_fitted_codes(Z))

    def reconstruct(self, X: Any, *, keep_observed: bool = False) -> np.ndarray:
        """Encode and decode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those of `fit`.
        keep_observed : bool, default=False
            Whether only the missing values are reconstructed, and the others kept as they are; for
            ``missing='mask'``.

        Returns
        -------
        X_hat : ndarray of X's shape, float32; with ``keep_observed`` of X's dtype
            The reconstruction: what the code keeps of X. Damage that `noise` has trained against is mended. After the
            end of a sequence it is NaN, as X is.
        """
        return self._reconstruct(self._check_fitted_rows(X), keep_observed)

    def _check_fitted_codes(self, Z: Any) -> np.ndarray:
        check_is_fitted(self)
        return check_codes(Z, self._n_features_out)

    def _decode(
        self, Z: np.ndarray, c: np.ndarray | None = None, like: np.ndarray | None = None, *, noisy: bool = False
    ) -> np.ndarray:
        """Rows from codes, from what the decoder is told beside them, and in the lengths of the rows ``like``."""
        given = {"z": Z, "c": c, "like": None if like is None else self._arrange(like)}
        arrays = {name: A for name, A in given.items() if A is not None}

        def decode(*parts: Tensor) -> Tensor:
            z, *others = parts
            return self.module_.decode(z.float(), **dict(zip([*arrays][1:], others, strict=True)), noisy=noisy)

        return self._restore(self._map(decode, *arrays.values()))

    def _reconstruct(self, X: np.ndarray, keep_observed: bool, c: np.ndarray | None = None) -> np.ndarray:
        check_choice("keep_observed", keep_observed, (True, False))
        if keep_observed and not self.module_.missing:
            raise ValueError("keep_observed=True needs an estimator that was fitted with missing='mask'.")
        X_hat = self._restore(self._map_rows(self.module_.reconstruct, X, c=c))
        return keep_known(X, X_hat) if keep_observed else X_hat

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
            error); without the penalty that a bottleneck may add while training. Only values that are known count, so
            rows with few of them, or short sequences, score higher: divide by their number to compare them.
        """
        X, target = self._check_rows_and_target(X, X_target)
        check_domain(target, "X" if X_target is None else "X_target", self.module_.loss)
        return self._in_float32(-self._losses(self.module_.reconstruction_loss, X, target))

    def _losses(
        self, function: Callable[..., Tensor], X: np.ndarray, target: np.ndarray, c: np.ndarray | None = None
    ) -> np.ndarray:
        """Losses that ``function`` gives for conditioned rows, (n,) in float64, in the data's own units."""
        losses = self._map_rows(function, X, target, c=c).astype(np.float64)
        n_known: Any = target[0].size
        if target.dtype.kind == "f":
            n_known = n_known - np.isnan(target).reshape(len(target), -1).sum(1)
        return self.module_.in_data_units(losses, n_known)

    @staticmethod
    def _in_float32(scores: np.ndarray) -> np.ndarray:
        return scores.clip(min=np.finfo(np.float32).min).astype(np.float32)

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
            Minus the mean over all values that are known, in the data's own units squared; the greater the better.
        """
        X, target = self._check_rows_and_target(X, X_target)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, len(X))
        errors, counts = self._map_rows(self.module_.squared_error, X, target).astype(np.float64).T
        weight = np.ones(len(X)) if weight is None else weight
        if not weight @ counts > 0:
            raise ValueError("score needs at least one value that is not NaN, in a row of positive weight.")
        return -float(weight @ errors) / float(weight @ counts) * self.module_.unit**2

    def _check_rows_and_target(self, X: Any, X_target: Any) -> tuple[np.ndarray, np.ndarray]:
        X = self._check_fitted_rows(X)
        if X_target is None:
            return X, X
        return X, check_alike(self, X_target, "X_target", X, same_length=True, **self._nan_rules())

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
        self._check_sampling(n_samples)
        return self._decode(sample_prior(self.prior_, n_samples, draw_seed(random_state)))

    def _check_sampling(self, n_samples: int) -> None:
        check_is_fitted(self)
        if self.prior is not None and not hasattr(self, "prior_"):
            raise NotFittedError("prior was set after fit: fit again, so that there is a density to draw from.")
        check_number("n_samples", n_samples, numbers.Integral, 1)
