"""Rows that a generative model makes."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from sklearn.utils.metaestimators import available_if
from torch import Tensor

from .._data.arrays import as_array, return_input_type
from .._data.chunked import to_tensor
from .._data.targets import Classes
from .._data.validation import check_same_shape
from .._density.mixture import sample_given
from .._density.prior import sample_prior
from .._utils.checks import check_choice, check_number
from .._utils.rng import Stream, draw_seed
from ..losses import Likelihood
from ._likelihoods import Likelihoods, is_variational


def _generates(estimator: Any) -> bool:
    if estimator.prior is None and hasattr(estimator, "net_") and not estimator.module_.bottleneck.standard_normal:
        raise AttributeError("sample needs a density over the codes: set prior, for example prior='mixture'.")
    return True


class Sampling(Likelihoods):
    """The methods of a fitted generative model that make rows."""

    @available_if(_generates)
    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        y: Any = None,
        noisy: bool | str = "auto",
    ) -> np.ndarray:
        """Generate samples: draw codes from ``prior_``, or from N(0, I) with ``prior=None``, and decode them.

        Tables and sequences are drawn with the noise that the likelihood p(x|z) has around its mean, so that features
        have the spread that they have in X. Images are the mean, which has no noise in its pixels.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows at every call.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets of the rows, for a conditional estimator: one for all of them, or one for each, whose
            number ``n_samples`` then need not repeat. Without them they are drawn as they were in `fit`.
        noisy : {'auto', True, False}, default='auto'
            Whether samples are drawn from the likelihood p(x|z), noise included, or are its mean. True needs a loss
            that is a likelihood. 'auto' draws if the loss is one, unless X holds images: rows that the network takes
            for images, and rows of several axes that it does not take for sequences. Flat rows that only you know to
            be images are drawn with noise: pass False for them, or ``input_shape`` to the estimator.

            .. versionchanged:: 0.3
               The default was False.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
            New samples, in the units of the X that was fitted; of the dtype that `inverse_transform` returns.

        Raises
        ------
        NotFittedError
            Before `fit`, and where ``prior`` was set after it.
        ValueError, TypeError
            If the arguments do not fit: ``y`` for an estimator that is not conditional, ``noisy=True`` for a loss that
            is no likelihood.
        """
        self._check_sampling(n_samples)
        noisy = self._is_noisy(noisy)
        y = as_array(y)
        seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(4)
        if n_samples == 1 and self._condition is not None and y is not None and not self._condition.is_single(y):
            n_samples = len(y) or 1  # none at all is refused below
        if self._condition is not None and y is None:
            c: np.ndarray | None = self._condition.draw(n_samples, np.random.default_rng(seeds[0]))
        else:
            c = self._encode_condition(y, n_samples)
        return self._decode_seeded(self._draw_codes(n_samples, c, int(seeds[1])), c, int(seeds[2]), noisy).numpy()

    def _draw_codes(self, n: int, c: np.ndarray | None, seed: int) -> np.ndarray:
        """Codes from ``prior_``, given what the decoder is told."""
        width = self._n_features_out
        if self.prior is None:
            return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)
        if isinstance(self._condition, Classes):
            codes = np.empty((n, width), np.float32)
            for index, density in enumerate(self.prior_):
                rows = np.flatnonzero(c[:, index])  # type: ignore[index]
                if len(rows):
                    if density is None:
                        raise ValueError(f"Class {self.classes_.tolist()[index]!r} had no rows to learn from.")
                    codes[rows] = sample_prior(density, len(rows), seed + index)
            return codes
        if c is not None and isinstance(self.prior_, GaussianMixture) and self.prior_.n_features_in_ > width:
            return sample_given(self.prior_, c, seed)
        return sample_prior(self.prior_, n, seed)

    def _decode_seeded(
        self, codes: np.ndarray | Tensor, c: np.ndarray | None, seed: int, noisy: bool, like: Tensor | None = None
    ) -> Tensor:
        if not noisy:
            return self._decode(codes, c, like)
        with Stream(seed, self.net_.device):
            return self._decode(codes, c, like, noisy=True)

    def _is_noisy(self, noisy: Any) -> bool:
        """Whether to draw from the likelihood, as ``noisy`` says."""
        check_choice("noisy", noisy, ("auto", True, False))
        loss = self.module_.loss
        if noisy == "auto":
            has_draws = isinstance(loss, Likelihood) and type(loss).sample is not Likelihood.sample
            return has_draws and not self._has_images()
        if noisy and not isinstance(loss, Likelihood):
            raise ValueError(f"noisy=True needs a loss that is a likelihood, got {loss!r}.")
        return bool(noisy)

    def _has_images(self) -> bool:
        """Whether rows are images: the network takes them for such, or they have the axes of images."""
        if hasattr(self, "layout_"):
            return self.layout_.is_image
        return len(self.input_shape_) > 1 and not self.module_.reads_padding

    @available_if(is_variational)
    @return_input_type
    def sample_posterior(
        self,
        X: Any,
        y: Any = None,
        *,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        noisy: bool | str = "auto",
    ) -> Any:
        """Generate samples like those of X: draw codes from the posterior q(z|x) of each, and decode them.

        With ``missing='mask'`` they are draws of what the missing values may have been.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features) or (n_rows, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator; as in `reconstruct`.
        n_samples : int, default=1
            Number of draws for each row.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows at every call.
        noisy : {'auto', True, False}, default='auto'
            Whether samples are drawn from the likelihood, noise included, or are its mean; as in `sample`.

            .. versionchanged:: 0.3
               The default was False.

        Returns
        -------
        X : ndarray or Tensor of shape (n_samples, n_rows, n_features) or (n_samples, n_rows, ...)
            Draws, of the dtype that `inverse_transform` returns, the first of every row before the second of any;
            sequences as long as those of X.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        X = self._check_fitted_rows(X)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        noisy = self._is_noisy(noisy)
        c = self._likely_condition(X, y)
        seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(2)
        mean, deviation = self._map_rows(self.module_.distribution, X).unbind(1)
        noise = np.random.default_rng(seeds[0]).standard_normal((n_samples, *mean.shape), dtype=np.float32)
        codes = (mean + deviation * torch.from_numpy(noise).to(mean)).flatten(0, 1)
        c = None if c is None else np.tile(c, (n_samples, 1))
        like = to_tensor(X[:]).repeat(n_samples, *[1] * (X.ndim - 1)) if self.module_.reads_padding else None
        rows = self._decode_seeded(codes, c, int(seeds[1]), noisy, like)
        return rows.reshape(n_samples, len(X), *rows.shape[1:])

    @return_input_type
    def interpolate(self, X_a: Any, X_b: Any, n_steps: int = 10, *, y: Any = None, method: str = "spherical") -> Any:
        """Generate rows on the way from one row to another: codes between theirs, decoded.

        Each is the mean of p(x|z), without the noise of `sample`, so that they change evenly.

        Parameters
        ----------
        X_a, X_b : array-like of shape (n_rows, n_features) or (n_rows, ...)
            Where the ways begin and end.
        n_steps : int, default=10
            Rows on each way, the reconstructions of its ends among them; at least 2. Sequences are as long as those of
            `fit`, whatever the length of the ends.
        y : array-like, default=None
            Classes or targets of the ways, for a conditional estimator: one for all, or one for each.
        method : {'spherical', 'linear'}, default='spherical'
            'linear' goes straight, through codes nearer to 0 than either end, where in many dimensions hardly any row
            lies; 'spherical' turns the one code into the other about 0 (White, 2016) while its length changes evenly.

        Returns
        -------
        X : ndarray or Tensor of shape (n_rows, n_steps, n_features) or (n_rows, n_steps, ...)
            The ways, of the dtype that `inverse_transform` returns.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        X_a = self._check_fitted_rows(X_a)
        X_b = check_same_shape(self, X_b, "X_b", X_a, same_length=False, beside="X_a", **self._nan_rules())
        if len(X_b) != len(X_a):
            raise ValueError(f"X_b must have the shape {tuple(X_a.shape)} of X_a, got {tuple(X_b.shape)}.")
        check_number("n_steps", n_steps, numbers.Integral, 2)
        check_choice("method", method, ("spherical", "linear"))
        c = self._encode_condition(y, len(X_a))
        a, b = (self._map_rows(self.module_.encode, X)[:, None].double() for X in (X_a, X_b))
        b, t = b.to(a), torch.linspace(0, 1, n_steps, dtype=a.dtype, device=a.device)[:, None]
        codes = _spherical(a, b, t) if method == "spherical" else a + t * (b - a)
        c = None if c is None else np.repeat(c, n_steps, axis=0)
        rows = self._decode(codes.flatten(0, 1).float(), c)
        return rows.reshape(len(X_a), n_steps, *rows.shape[1:])


def _spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Turn ``a`` into ``b``, both (n, 1, k), at the shares ``t``, (steps, 1): direction and length at an even pace.

    Codes that lie on one line through 0 have no plane to turn in, and are joined straight.
    """
    length_a, length_b = (z.norm(dim=2, keepdim=True) for z in (a, b))
    angle = (a / length_a * (b / length_b)).sum(2, keepdim=True).clamp(-1, 1).acos()
    direction = (((1 - t) * angle).sin() * (a / length_a) + (t * angle).sin() * (b / length_b)) / angle.sin()
    turned = ((1 - t) * length_a + t * length_b) * direction
    return torch.where(angle.sin() > 1e-6, turned, a + t * (b - a))
