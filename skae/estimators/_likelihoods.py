"""What a fitted generative model tells of rows: their codes as distributions, and how likely they are."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from torch import Tensor

from .._data.arrays import as_array, return_input_type
from .._data.validation import check_sample_weight
from .._module.bounds import common_noise, lower_bound
from .._utils.checks import check_number
from ._advice import warn_of_target
from ._conditional import Conditional
from ._warnings import renamed_argument

_N_DRAWS = 32  # codes that the evidence lower bound is a mean over


def is_variational(estimator: Any) -> bool:
    """For methods that are there only where codes are distributions, as far as is known."""
    if hasattr(estimator, "net_") and not estimator.module_.is_variational:
        raise AttributeError(
            "transform_distribution and sample_posterior need a bottleneck that gives distributions, such as the "
            f"default, bottleneck=None; got {estimator.module_.bottleneck!r}."
        )
    return True


class Likelihoods(Conditional):
    """The methods of a fitted generative model that tell codes and likelihoods."""

    # ---------------------------------------------------------------- encoding and decoding

    @available_if(is_variational)
    @return_input_type
    def transform_distribution(self, X: Any) -> tuple[Any, Any]:
        """Encode X as distributions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.

        Returns
        -------
        mean : ndarray or Tensor of shape (n_samples, n_components), float32
            The means of the posteriors q(z|x), which `transform` returns.
        std : ndarray or Tensor of shape (n_samples, n_components), float32
            Their standard deviations.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        X = self._check_fitted_rows(X)
        both = self._map_rows(self.module_.distribution, X)
        return both[:, 0], both[:, 1]

    @renamed_argument("Z", "X", since="0.3", until="0.5")
    @return_input_type
    def inverse_transform(self, X: Any, y: Any = None) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them; a DataFrame of them too.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets of the rows, for a conditional estimator.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...)
            Decoded samples, in the units of the X that was fitted; float64 where that was float64 or integers that
            float32 does not hold, float32 elsewhere. Sequences have the length of `fit`.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        X = self._check_fitted_codes(X)
        return self._decode(X, self._encode_condition(y, len(X)), project=self.module_.bottleneck.discrete)

    @return_input_type
    def reconstruct(self, X: Any, y: Any = None, *, keep_observed: bool = False) -> Any:
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator. Without them each row gets the class (or the
            one of 32 targets of the fit) under which it is most likely, at the cost of `score_samples`.
        keep_observed : bool, default=False
            Whether only the missing values are reconstructed, and the others kept as they are; for ``missing='mask'``.

        Returns
        -------
        X_hat : ndarray or Tensor of X's shape, float32; with ``keep_observed`` of X's dtype
            The decoded means of the posteriors.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        X = self._check_fitted_rows(X)
        return self._reconstruct(X, keep_observed, self._likely_condition(X, y))

    def _likely_condition(self, X: Any, y: Any) -> np.ndarray | None:
        if self._condition is None or y is not None:
            return self._encode_condition(y, len(X))
        conditions, _ = self._condition.alternatives()
        return conditions[as_array(self._bounds(X, X, conditions, None).argmax(1))]

    # ---------------------------------------------------------------- likelihood

    @return_input_type
    def score_samples(
        self, X: Any, y: Any = None, *, X_target: Any = None, n_importance_samples: int | None = None
    ) -> Any:
        r"""Compute a lower bound of the log-likelihood of every row, in nats.

        It is the evidence lower bound, :math:`E_{q(z|x)} \log p(x|z) - \mathrm{KL}(q(z|x) \| p(z))`, whatever ``beta``
        was in training: the divergence exactly, the mean over 32 codes. All rows share the same random numbers, so it
        is the same at every call. p(z) is N(0, I), not ``prior_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator, whose bound is that of log p(x|y). Without
            them it is that of log p(x), over all classes as often as they were in `fit`, or over 32 of its targets, and
            costs as many times more.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            The rows whose likelihood is told, where codes come from others; X when None.
        n_importance_samples : int, default=None
            Codes for the tighter bound :math:`\log \tfrac1k \sum_{i \le k} p(x, z_i) / q(z_i|x)` (Burda et al., 2016)
            in place of the evidence lower bound. 500 and more come near the log-likelihood itself, at the cost of so
            many decodings.

        Returns
        -------
        scores : ndarray or Tensor of shape (n_samples,), float32
            The bound in nats, of the density of X in its own units (of the probability, for integers): the higher, the
            more likely. Only values that are known count, and a row without one has no score: NaN. With a loss that is
            no likelihood it is minus the loss and the divergence, in the loss's unit rather than nats; with a
            bottleneck without a distribution minus the loss, as in `AutoencoderTransformer`.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        return self._in_float32(self._scores(X, y, X_target, n_importance_samples))

    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_target: Any = None,
        n_importance_samples: int | None = None,
    ) -> float:
        """Compute the mean of `score_samples`, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator; ignored by others.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `score_samples`.
        n_importance_samples : int, default=None
            As in `score_samples`.

        Returns
        -------
        score : float
            The greater the better; rows without a known value are left out.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        scores = as_array(self._scores(X, y, X_target, n_importance_samples))
        weight, known = check_sample_weight(sample_weight, len(scores)), ~np.isnan(scores)
        if not weight[known].any():
            raise ValueError("score needs at least one value that is not NaN, in a row of positive weight.")
        return float(np.average(scores[known], weights=weight[known]))

    def _scores(self, X: Any, y: Any, X_target: Any, n_importance_samples: int | None) -> Tensor:
        given, (X, target) = X, self._check_rows_and_target(X, X_target, in_domain=True)
        if X_target is None and self._condition is None:
            warn_of_target(y, X, given)
        if n_importance_samples is not None:
            check_number("n_importance_samples", n_importance_samples, numbers.Integral, 1)
            if not self.module_.is_variational:
                raise ValueError("n_importance_samples needs a bottleneck that gives distributions.")
        if self._condition is not None and y is None:
            conditions, shares = self._condition.alternatives()
            # They are weighed in the unit of the loss, which only for a likelihood is that of the scores.
            unit = self.module_.in_data_units(1.0, 0)
            bounds = self._bounds(X, target, conditions, n_importance_samples)
            return unit * torch.logsumexp(bounds / unit + torch.from_numpy(np.log(shares)).to(bounds), 1)
        c = None if self._condition is None else self._encode_condition(y, len(X))
        return self._bound(X, target, c, n_importance_samples)

    def _bounds(self, X: Any, target: Any, conditions: np.ndarray, n_importance_samples: int | None) -> Tensor:
        """The bound of every row under every one of the conditions, (n_samples, n_conditions)."""
        everywhere = (np.broadcast_to(c, (len(X), len(c))) for c in conditions)
        return torch.stack([self._bound(X, target, c, n_importance_samples) for c in everywhere], 1)

    def _bound(self, X: Any, target: Any, c: np.ndarray | None, n_importance_samples: int | None) -> Tensor:
        module = self.module_
        if not module.is_variational:
            return -self._losses(module.reconstruction_loss, X, target, c)
        importance = n_importance_samples is not None
        noise = common_noise(n_importance_samples or _N_DRAWS, module.n_codes, antithetic=not importance)

        def loss(x: Any, target: Any, c: Any = None) -> Any:
            return -lower_bound(module, x, target, c, noise, importance=importance)

        return -self._losses(loss, X, target, c)
