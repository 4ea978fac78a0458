"""Base class of the estimators, without their parameters."""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._data.arrays import as_array, return_input_type
from .._data.chunked import fill_missing, is_double
from .._data.dask_lazy import RowWise
from .._data.image_list import ImageList, as_image_list, is_image_list
from .._data.layout import NO_LAYOUT, Layout, is_given, layout_of
from .._data.nan_policy import NaNPolicy
from .._data.sequences import SequenceLayout, step_axis_of
from .._data.sources import LazyArray, arranged
from .._data.targets import NO_CONDITION
from .._data.validation import (
    check_codes,
    check_domain,
    check_rows,
    check_same_shape,
    check_sample_weight,
    gather,
)
from .._density.latent_prior import LatentPrior
from .._module.runner import BatchRunner
from .._training.checkpoint import remove_checkpoint
from .._training.state import available
from .._utils.checks import LARGEST, check_choice, check_number
from .._utils.ranks import Ranks, fitting_together
from .._utils.rng import draw_seed
from .._utils.sklearn_compat import CallbackSupportMixin, begin_fit, end_fit, output_container, with_callbacks
from .._utils.slots import select
from . import _extra
from ._advice import warn_of_scales, warn_of_target
from ._crops import check_crop_params, read_crops, takes_any_size
from ._distributed import check_same_call, joined
from ._fit import Outcome, train
from ._fit_data import FitData, as_network_takes_them, read_fit_data, stand_in
from ._hints import explain_missing, names_arguments
from ._html import documented
from ._image_arguments import (
    as_any_size,
    by_image,
    check_image_size,
    code_maps,
    count_values,
    pooled,
    width_of_draws,
)
from ._integer_codes import (
    as_user_has_them,
    check_integer_prior,
    codes_of_integers,
    describe_integer_codes,
    draw_integer_codes,
    fit_integer_prior,
    has_integer_codes,
    integers_of,
    is_integer_density,
)
from ._ordered import explained_shares, smallest
from ._resolve import ModelSpec, find_network, find_prior, is_share, reads_padding, resolve_parameters
from ._sharpen import check_critic, sharpen
from ._warnings import renamed_argument, warn

# All fitted attributes. `_condition` encodes y for the decoder.
FITTED = (
    *("net_", "input_shape_", "layout_", "target_layout_", "n_features_in_", "feature_names_in_"),
    *("_condition", "classes_"),
    *("alphabet_", "code_model_", "code_usage_", "code_perplexity_"),
    *("prior_", "critic_curve_", "active_units_", "n_iter_", "best_epoch_", "loss_curve_", "validation_loss_curve_"),
    "_explained_shares",
)


def _has_prior(estimator: Any) -> bool:
    if estimator.prior is None:
        raise AttributeError("sample needs a density of the codes: set prior, for example GaussianMixture(10).")
    return True


def goes_by_epochs(estimator: Any) -> bool:
    """Check that there is no critic, whose phase needs validation samples and the end of a `fit`."""
    if estimator.critic is not None:
        raise AttributeError(
            f"partial_fit trains without a critic, and critic={estimator.critic!r}: call fit, or set critic=None."
        )
    return True


@documented
class BaseAutoencoder(RowWise, ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator):
    """Base class of the autoencoders, without parameters.

    A subclass defines its constructor, and stores ``**params`` as ``_extra``.

    Methods of a fitted autoencoder return the array type of their input: tensors on the same device for tensors, arrays
    of the same library under array API dispatch, and NumPy arrays otherwise. `transform` follows `set_output`, and
    `sample` always returns NumPy arrays. For a dask DataFrame, or a dask array too large for memory, `transform`,
    `inverse_transform`, `reconstruct` and `score_samples` return dask collections.
    """

    _extra: dict[str, Any]
    _has_likelihoods = False  # True if codes may be distributions
    _row_wise: ClassVar[dict[str, Any]] = {
        "transform": None,
        "inverse_transform": None,
        "reconstruct": None,
        "score_samples": np.float32,
    }
    channel_axis: Any = "auto"
    crop_size: Any = "auto"
    n_crops: Any = "auto"
    augmentation: Any = None
    pooling: Any = None
    critic: Any = None
    distributed: Any = False
    device: Any
    net_: Any
    prior_: Any
    code_model_: Any
    input_shape_: tuple[int, ...]

    __metadata_request__inverse_transform: ClassVar[dict[str, Any]] = {"size": UNUSED}  # not passed by pipelines

    if not TYPE_CHECKING:  # else type checkers would accept any attribute

        def __getattr__(self, name: str) -> Any:
            return explain_missing(self, name)

    # ---------------------------------------------------------------- parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, including those with double underscores.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of parts that are objects.

        Returns
        -------
        params : dict
            Parameter names and their values.
        """
        return super().get_params(deep=deep) | self._extra

    def set_params(self, **params: Any) -> BaseAutoencoder:
        """Set parameters of the estimator and of its parts, such as ``module__*`` and ``optimizer__*``.

        Setting a part to an object discards the parameters set before by its prefix, such as ``noise__*``.

        Parameters
        ----------
        **params : dict
            Parameter names and their values.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If a name is unknown; no parameter is set then.
        """
        constructor, self_extra = _extra.split_params(self, params)
        super().set_params(**constructor)
        self._extra = self_extra
        return self

    # ---------------------------------------------------------------- fitting

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
            Real-valued samples of any range and dtype; at least 2. NaN is allowed with ``missing='mask'``, and as
            padding at the end of sequences if the network reads padding. A list or a DataFrame column may hold images
            (arrays, tensors or PIL images) or sequences (length, channels) of different lengths. Images must have the
            same size, unless the network accepts any size (``module__dense=False``): then X may also be a torch Dataset
            or another sequence of images, and one image is enough.
        y : None
            Ignored. Pass reconstruction targets as ``X_target``.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            Target of the reconstruction, such as clean samples for a noisy X; X if None. NaN is left out, where X may
            contain it. For image translation with ``module='conv'``, the target may have other channels than X, or an
            integer multiple of its height and width.
        X_val : {array-like, sparse matrix} with samples of X's shape, default=None
            Validation samples, used instead of a fraction of X. If they do not fit into memory, they are read in every
            epoch, unless there is a ``noise``.
        X_val_target : {array-like, sparse matrix} of the shape of ``X_val``, default=None
            Targets of ``X_val``; required if ``X_target`` and ``X_val`` are given.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Non-negative sample weights, applied in the loss, the means, the scale and the initialization. Samples of
            weight 0 are ignored, and only ratios of weights matter. Because of minibatches, a weight of 2 is not the
            same as repeating a sample.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid; the message names it.
        FloatingPointError
            If a loss is not finite. After any error the estimator is unchanged.
        MemoryError
            If a layer is too large for this machine.

        Warns
        -----
        UserWarning
            If y has the shape of X, which suggests that ``X_target`` was meant; and if one column of a table has more
            than 99.9 % of the variance, so that the others would be neglected: scale the columns first.
        """
        return self._fit(
            X,
            y,
            X_target=X_target,
            X_val=X_val,
            X_val_target=X_val_target,
            sample_weight=sample_weight,
        )

    @available_if(goes_by_epochs)
    @names_arguments
    def partial_fit(self, X: Any, y: Any = None, *, X_target: Any = None, sample_weight: Any = None) -> BaseAutoencoder:
        """Train for one more epoch on X.

        The first call determines the means, the scale and the initialization, so its X should be representative. There
        is no validation, no schedule and no output, and the weights after the epoch are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples; at least 2 in the first call.
        y : None
            Ignored.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            As in `fit`. Weights are divided by their mean in each call, so only ratios within a call matter. To give a
            call more influence, pass more samples or call it more often.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid; the message names it.
        FloatingPointError
            If a loss is not finite. After any error the estimator is unchanged.
        MemoryError
            If a layer is too large for this machine.
        """
        return self._fit(X, y, one_epoch=True, X_target=X_target, sample_weight=sample_weight)

    def _fit(self, X: Any, y: Any, **params: Any) -> BaseAutoencoder:
        check_choice("distributed", self.distributed, (True, False))
        with fitting_together(self.distributed) as ranks:
            return self._fit_with(ranks, X, y, **params)

    def _fit_with(self, ranks: Ranks, X: Any, y: Any, *, one_epoch: bool = False, **arrays: Any) -> BaseAutoencoder:
        """Fit in steps; the estimator does not change before the last one, which stores the result."""
        context = None if one_epoch else begin_fit(self, X, y, max_subtasks=self._n_epochs_if_known())
        spec = joined(self._resolve(), ranks)
        goes_on = (one_epoch or self.warm_start) and "net_" in vars(self)
        check_same_call(spec, self, X, arrays, goes_on=goes_on)
        reset = not (one_epoch and goes_on)
        data = read_crops(self, spec, X, y, goes_on=goes_on, reset=reset, one_epoch=one_epoch, **arrays)
        if data is None:
            data = read_fit_data(self, spec, X, y, goes_on=goes_on, reset=reset, **arrays)
        self._warn_of_data(X, data, y, scales=not (goes_on or spec.loss.scales_features))
        data = as_network_takes_them(data)
        check_critic(spec, data)
        earlier = self.net_ if goes_on else None
        outcome = train(self, spec, data, earlier=earlier, one_epoch=one_epoch, context=context)
        outcome.net.by_epochs_ = one_epoch
        shares = explained_shares(outcome, one_epoch=one_epoch)
        if shares is not None and earlier is None and is_share(self.n_components):
            outcome, shares = smallest(outcome, shares, float(self.n_components))
        state = self._fitted_state(outcome, data, shares, goes_on=one_epoch and goes_on)
        if spec.critic is not None:
            state |= sharpen(stand_in(self, state), spec.critic, outcome)
        ranks.gather(None)  # a failure in another rank must leave this one unchanged, too
        self.__dict__ = state  # in one assignment, so that an interrupt never leaves a partly updated estimator
        end_fit(context, self, X, y)
        if self.checkpoint is not None and not one_epoch and ranks.rank == 0:
            remove_checkpoint(self.checkpoint)  # no longer needed
        return self

    def _resolve(self) -> ModelSpec:
        """Check the parameters and look up the parts."""
        _extra.check_extra_names(self)
        prior = find_prior(self)
        check_crop_params(self)
        spec = resolve_parameters(self)
        check_integer_prior(prior, spec.bottleneck)
        if spec.bottleneck.is_variational and not self._has_likelihoods:
            warn(
                f"bottleneck={type(spec.bottleneck).__name__} is variational, but {type(self).__name__} has no "
                "likelihoods and no sampling: use VAEGenerator.",
                UserWarning,
            )
        return spec

    def _fitted_state(
        self, outcome: Outcome, data: FitData, shares: np.ndarray | None, *, goes_on: bool
    ) -> dict[str, Any]:
        """Return the parameters and all fitted attributes. With ``goes_on`` epochs and curves are appended."""
        net, n_iter, loss_curve, best_epoch = outcome.net, outcome.n_iter, outcome.loss_curve, outcome.best_epoch
        condition = data.condition.learned(data.c, data.sample_weight, more=goes_on)
        earlier = vars(self).get("prior_") if goes_on else None
        described = self._describe_codes(net, data, net.stream.draw_seed(), earlier)
        described |= describe_integer_codes(net, data, described.get("prior_"))
        if goes_on:
            n_iter = best_epoch = self.n_iter_ + 1
            loss_curve = [*self.loss_curve_, *loss_curve]
        fitted = (
            data.features
            | described
            | {
                "net_": net,
                "input_shape_": data.sample_shape,
                "n_iter_": n_iter,
                "best_epoch_": best_epoch,
                "loss_curve_": loss_curve,
                "validation_loss_curve_": outcome.validation_loss_curve,
            }
        )
        if shares is not None:
            fitted["_explained_shares"] = shares.tolist()
        if data.layout is not NO_LAYOUT:
            fitted["layout_"] = data.layout
        if data.target_layout is not None:
            fitted["target_layout_"] = data.target_layout
        if condition:
            fitted["_condition"] = condition
        if condition.classes is not None:
            fitted["classes_"] = condition.classes
        return {name: value for name, value in vars(self).items() if name not in FITTED} | fitted

    def _describe_codes(self, net: Any, data: FitData, seed: int, earlier: Any) -> dict[str, Any]:
        """Fit the density of the codes, continuing from ``earlier`` if given, and return fitted attributes."""
        if self.prior is None:
            return {}
        codes = BatchRunner(net.module_, net.device).run(net.module_.encode, data.X).numpy()
        return {"prior_": self._fit_prior(codes, net, data, seed, earlier)}

    def _fit_prior(self, codes: np.ndarray, net: Any, data: FitData, seed: int, earlier: Any) -> Any:
        prior = find_prior(self)
        if is_integer_density(prior):
            return fit_integer_prior(prior, net, data, seed, earlier)
        prior = LatentPrior(prior, data.condition, width_of_draws(net.module_, data.layout))
        return prior.fit(codes, data.c, data.sample_weight, seed, earlier)

    def _warn_of_data(self, X: Any, data: FitData, y: Any, *, scales: bool) -> None:
        """Warn if y was probably meant as X_target, and, with ``scales``, if columns of a table need scaling."""
        if data.X_target is None and not data.condition:
            warn_of_target(y, data.X, X, step_axis_of(self) - 1)
        is_table = data.X.ndim == 2 and data.layout is NO_LAYOUT and not self._may_read_padding()
        if scales and is_table and not isinstance(data.X, LazyArray):
            warn_of_scales(data.X, data.feature_names)

    def _n_epochs_if_known(self) -> int | None:
        """Return the number of epochs, or None if it depends on X, which has not been read yet."""
        return int(self.max_epochs) if isinstance(self.max_epochs, numbers.Integral) else None

    # ---------------------------------------------------------------- hooks of subclasses

    def _reads_images(self, network: Any) -> bool:
        """Return whether the network takes samples as images without a parameter for it."""
        return False

    def _network_params(self) -> dict[str, Any]:
        """Return the parameters of the network: the user's ``module__*``."""
        return select(self._extra, "module")

    def _default_bottleneck(self) -> Any:
        """Return the bottleneck used for ``bottleneck=None``."""
        return "identity"

    # ---------------------------------------------------------------- the fitted model

    @property
    def module_(self) -> Any:
        """The trained `Autoencoder`, a torch module."""
        return self.net_.module_

    @property
    def n_components_(self) -> int:
        """Width of the code."""
        return self.module_.n_codes

    @property
    def explained_variance_ratio_(self) -> np.ndarray:
        """Increase of the explained variance by each component of an ordered code, (n_components,)."""
        # Stored as a list: an array would have to be of X's library under array API dispatch.
        shares = vars(self).get("_explained_shares")
        if shares is None:
            raise AttributeError("explained_variance_ratio_")  # `__getattr__` explains it
        return np.diff(shares, prepend=0.0)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_ if self.pooling is None else self.module_.n_components

    @property
    def _runner(self) -> BatchRunner:
        return BatchRunner(self.module_, self.net_.device)

    @property
    def _layout(self) -> Layout:
        return layout_of(self)

    @property
    def _target_layout(self) -> Layout:
        """Layout of reconstructions: that of X, or of targets of another shape."""
        return vars(self).get("target_layout_", self._layout)

    @property
    def _context(self) -> Any:
        """Encoding of y for the decoder."""
        return vars(self).get("_condition") or NO_CONDITION

    @property
    def _nan(self) -> NaNPolicy:
        """Where X may contain NaN, once fitted."""
        step_axis = 2 if isinstance(self._layout, SequenceLayout) else 1
        return NaNPolicy(self.module_.missing, step_axis if self.module_.reads_padding else None)

    def _may_read_padding(self) -> bool:
        """Return whether the network, fitted or not, accepts sequences padded with NaN."""
        try:
            return reads_padding(find_network(self.module))
        except (TypeError, ValueError):  # `fit` will raise it
            return False

    def _takes_images(self) -> bool:
        """Return whether samples are images according to the parameters."""
        given = is_given(getattr(self, "input_shape", None), self.channel_axis)
        return given or self._reads_images(find_network(self.module))

    def _takes_list(self, X: Any) -> bool:
        """Return whether X is a sequence of images and the network, fitted or not, accepts images of any size."""
        return is_image_list(X) and takes_any_size(find_network(self.module), self._network_params())

    def _gather(self, X: Any) -> Any:
        """Return a collection of samples as one array, before or after `fit`; keep images of any size as a list."""
        if self._takes_list(X):
            return X
        return gather(self, X, "X", NaNPolicy(step_axis=step_axis_of(self) if self._may_read_padding() else None))

    def _run(
        self,
        function: Callable[..., Tensor],
        *arrays: Any,
        c: np.ndarray | None = None,
        lengths_of: int | None = None,
        dtype: torch.dtype = torch.float32,
        gives: str | None = None,
    ) -> Any:
        """Apply ``function`` to samples in the user's layout and their conditions; return a list for an `ImageList`."""
        if isinstance(arrays[0], ImageList):

            def run(*parts: Any) -> Tensor:
                inputs = [part for part in parts if part is not None]
                return self._runner.run(function, *inputs, dtype=dtype, gives=gives)

            return by_image(run, arrays[0], *arrays[1:], c)
        seen = {id(A): arranged(A, self._layout.arrange) for A in arrays}  # an array passed twice is arranged once
        inputs = [*(seen[id(A)] for A in arrays), *([] if c is None else [c])]
        return self._runner.run(function, *inputs, lengths_of=lengths_of, dtype=dtype, gives=gives)

    def _run_together(self, function: Callable[..., Tensor], *arrays: Any, **options: Any) -> Tensor:
        """Apply ``function``, whose results do not depend on the image size, and return one tensor."""
        found = self._run(function, *arrays, **options)
        return torch.stack(found) if isinstance(found, list) else found

    def _check_fitted_rows(self, X: Any) -> Any:
        check_is_fitted(self)
        if self.module_.any_size:
            images = as_any_size(self, X)
            if images is not None:
                return images
        return check_rows(self, X, reset=False, tensors=True, nan=self._nan)

    def _check_fitted_codes(self, X: Any) -> Any:
        check_is_fitted(self)
        ordered = self.module_.bottleneck.ordered
        return check_codes(X, self.n_components_, self.module_.n_positions if ordered else None)

    # ---------------------------------------------------------------- encoding and decoding

    @return_input_type
    def transform(self, X: Any) -> Any:
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.

        Returns
        -------
        Z : ndarray or Tensor of shape (n_samples, n_components), or list of ndarray, float32
            The codes, computed without noise. A spatial code has ``n_components`` columns for each position, unless it
            is pooled; a list of images of any size gives a list of maps (n_components, h, w).

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        X = self._check_fitted_rows(X)
        Z = self._run(self.module_.encode, X, gives="code")
        if self.pooling is not None:
            together = [Z] if isinstance(Z, Tensor) else [z[None] for z in Z]
            return torch.cat([pooled(z, self.module_.n_components, self.pooling) for z in together])
        if isinstance(Z, Tensor):
            return Z
        if output_container(self) != "default":
            raise ValueError("set_output needs codes of one width: set pooling='mean' or 'max' for images of any size.")
        return self._maps(Z, X)

    def _maps(self, codes: list[Tensor], images: ImageList) -> list[np.ndarray]:
        """Return the flat codes of images as maps (n_components, h, w)."""
        sizes = [self.module_.code_size(images.read(i).shape[1:]) for i in range(len(images))]
        return [as_array(z.unflatten(0, (-1, *size))) for z, size in zip(codes, sizes, strict=True)]

    def _check_fitted_array(self, X: Any, name: str = "X") -> Any:
        """Check samples for a method that does not support images of different sizes."""
        X = self._check_fitted_rows(X)
        if isinstance(X, ImageList):
            raise ValueError(f"{name} must be an array of images of one size here, got a sequence: stack them first.")
        return X

    def _size_of(self, X: Any) -> Any:
        """Return height and width of the images of X, if the network accepts any size."""
        return self._layout.arrange(X[:1]).shape[2:] if self.module_.any_size else None

    @renamed_argument("Z", "X", since="0.3", until="0.5")
    @return_input_type
    def inverse_transform(self, X: Any, *, size: Any = None) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components), or list of arrays
            Codes, as returned by `transform`. For images of any size also code maps (n_samples, n_components, h, w), or
            a list of maps (n_components, h, w). With an ordered bottleneck also the first components alone: the first
            columns, or the first channels of a spatial code.
        size : int, (height, width) or list of such, default=None
            Size of the images, or of each image of a list, if the network accepts any size. If None, the size of `fit`
            or, for maps of another size, the size that corresponds to the map.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Reconstructed samples, as a list for a list, in the units of X in `fit`; float64 if that was float64 or
            integers beyond the precision of float32, float32 otherwise. Sequences have the length of those of `fit`,
            since a code does not contain the length.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        return self._decode_given(X, None, size)

    def _decode_given(self, Z: Any, y: Any, size: Any) -> Any:
        """Decode codes passed by the user: of the width of `fit`, or maps for images of any size."""
        check_is_fitted(self)
        self._refuse_to_decode()
        project = self.module_.bottleneck.discrete
        if not self.module_.any_size and size is not None:
            raise ValueError("size needs a network that takes images of any size: set module__dense=False before fit.")
        maps = code_maps(self, Z, size) if self.module_.any_size else None
        if maps is None:
            Z = self._check_fitted_codes(Z)
            return self._decode(Z, self._context.of_samples(y, len(Z)), project=project)
        c = self._context.of_samples(y, sum(len(codes) for codes, _ in maps))
        found, stop = [], 0
        for codes, own in maps:
            start, stop = stop, stop + len(codes)
            found.append(self._decode(codes, None if c is None else c[start:stop], project=project, size=own))
        is_list = isinstance(Z, list | tuple) and len(getattr(Z[0], "shape", ())) == 3
        return [as_array(image[0]) for image in found] if is_list else found[0]

    @available_if(has_integer_codes)
    @return_input_type
    def indices(self, X: Any) -> Any:
        """Encode X as integers, for a discrete bottleneck.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.

        Returns
        -------
        indices : ndarray or Tensor, or list of ndarray, int64
            Integer codes of shape (n_samples, n_integers), with one integer for each entry of ``alphabet_``. A spatial
            code gives maps (n_samples, n_integers, h, w), or (n_samples, n_integers, n_positions, 1) if positions have
            no height and width. A list of images of any size gives a list of maps (n_integers, h, w).

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        X = self._check_fitted_rows(X)

        def integers(x: Tensor) -> Tensor:
            return integers_of(self.module_, x)

        found = self._run(integers, X, gives="code", dtype=torch.int64)
        if isinstance(found, Tensor):
            return as_user_has_them(self, found, self._size_of(X))
        sizes = [X.read(i).shape[1:] for i in range(len(X))]
        return [as_array(as_user_has_them(self, flat[None], size)[0]) for flat, size in zip(found, sizes, strict=True)]

    @available_if(has_integer_codes)
    @return_input_type
    def from_indices(self, indices: Any, *, size: Any = None) -> Any:
        """Decode integer codes, for a discrete bottleneck.

        Parameters
        ----------
        indices : array-like of shape (n_samples, n_integers) or (n_samples, n_integers, h, w), or list of arrays
            Integers, as returned by `indices`.
        size : int, (height, width) or list of such, default=None
            Size of the images, or of each image of a list, if the network accepts any size. If None, the size of `fit`
            or, for maps of another size, the size that corresponds to the map.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Reconstructed samples, as returned by `inverse_transform`.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        """
        check_is_fitted(self)
        return self._decode_given(codes_of_integers(self, indices), None, size)

    def _refuse_to_decode(self) -> None:
        if self.module_.translates:
            raise ValueError(
                f"{type(self).__name__} was fitted on an X_target of another shape than X: codes do not decode to X, "
                "use reconstruct to translate X to the target."
            )
        if self.pooling is not None:
            raise ValueError(
                f"pooling={self.pooling!r} gives codes that cannot be decoded: set pooling=None, before or after fit."
            )

    @return_input_type
    def reconstruct(self, X: Any, *, keep_observed: bool = False) -> Any:
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.
        keep_observed : bool, default=False
            Whether to replace only missing values and keep the observed ones, for ``missing='mask'``.

        Returns
        -------
        X_hat : ndarray or Tensor of X's shape, or list of ndarray; with ``keep_observed`` of X's dtype
            The reconstruction; float64 if X is float64 or has integers beyond the precision of float32, float32
            otherwise. Corruption of the kind simulated by ``noise`` is removed. Sequences are padded with NaN at the
            end, as in X; a list of sequences gives a padded array, and a list of images of any size a list. After `fit`
            with an ``X_target`` of another shape, it has the layout and the units of the target.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        return self._reconstruct(self._check_fitted_rows(X), keep_observed)

    def _decode(
        self,
        Z: Any,
        c: np.ndarray | None = None,
        like: Any = None,
        *,
        noisy: bool = False,
        project: bool = True,
        size: Any = None,
    ) -> Tensor:
        """Decode codes under conditions, to the lengths of the sequences ``like`` or to images of ``size``.

        With ``project`` codes are first mapped to valid ones, for codes that do not come from `transform`, such as
        draws.
        """
        arrays = [Z]
        if c is not None:
            arrays.append(c)
        if like is not None:
            arrays.append(arranged(like, self._layout.arrange))

        def decode(z: Tensor, *others: Tensor, size: Any = size) -> Tensor:
            others_by_name = {} if c is None else {"c": others[0]}
            others_by_name |= {} if like is None else {"like": others[-1]}
            z = self.module_.completed(z.float(), size)
            z = self.module_.project(z) if project else z
            return self.module_.decode(z, **others_by_name, noisy=noisy, size=size)

        dtype = torch.float64 if self.module_.returns_double else torch.float32
        lengths_of = None if like is None else len(arrays) - 1
        size = self.module_.input_shape[1:] if self.module_.any_size and size is None else size
        ways: dict[str, Any] = {"size": size, "gives": None if noisy else "image"} if self.module_.any_size else {}
        found = self._runner.run(decode, *arrays, name="the codes", lengths_of=lengths_of, dtype=dtype, **ways)
        return self._target_layout.restore(found)

    def _reconstruct(self, X: Any, keep_observed: bool, c: np.ndarray | None = None) -> Any:
        check_choice("keep_observed", keep_observed, (True, False))
        if keep_observed and self.module_.translates:
            raise ValueError("keep_observed=True needs an X_target of the shape of X.")
        if keep_observed and not self.module_.missing:
            raise ValueError("keep_observed=True needs an estimator that was fitted with missing='mask'.")
        dtype = torch.float64 if is_double(X) else torch.float32
        found = self._run(self.module_.reconstruct, X, c=c, lengths_of=0, dtype=dtype, gives="image")
        if not isinstance(X, ImageList):
            X_hat = self._target_layout.restore(found)
            return fill_missing(X, X_hat) if keep_observed else X_hat
        images = (fill_missing(X[i], as_array(image)) if keep_observed else image for i, image in enumerate(found))
        return [as_array(self._target_layout.restore(image[None])[0]) for image in images]

    # ---------------------------------------------------------------- scoring

    @return_input_type
    def score_samples(self, X: Any, *, X_target: Any = None) -> Any:
        """Compute the negative reconstruction loss of each sample: the lower, the more anomalous.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            Target of the reconstruction; X if None.

        Returns
        -------
        scores : ndarray or Tensor of shape (n_samples,), float32
            The negative loss, summed over features, in the units of the data (squared for a squared error), without the
            penalty of the bottleneck. Missing values are left out, so samples with few observed values, or short
            sequences, have higher scores: divide by the number of values to compare them. Losses beyond the range of
            float32 are clipped to it. The score of a sample without observed values is NaN.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        X, target = self._check_rows_and_target(X, X_target, in_domain=True)
        return self._in_float32(-self._losses(self.module_.reconstruction_loss, X, target))

    def _losses(
        self,
        function: Callable[..., Tensor],
        X: Any,
        target: Any,
        c: np.ndarray | None = None,
        gives: str | None = "sum",
    ) -> Tensor:
        """Return the losses of ``function`` of standardized samples, (n,) in float64, in the units of X."""

        # Losses beyond float32 are clipped to its largest number.
        def clamped(*parts: Any, **inner: Any) -> Tensor:
            return function(*parts, **inner).clamp(max=LARGEST)

        losses = self._run_together(clamped, X, target, c=c, gives=gives).double()
        if not self.module_.may_have_nan:
            return self.module_.in_data_units(losses, count_values(target))
        n_known = self._run_together(self.module_.count_known, target).to(losses)
        # A sample without observed values has no loss, which would make it the least anomalous one.
        return torch.where(n_known > 0, self.module_.in_data_units(losses, n_known), torch.nan)

    @staticmethod
    def _in_float32(scores: Tensor) -> Tensor:
        return scores.clamp(min=-LARGEST).float()

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, X_target: Any = None) -> float:
        """Compute the negative mean squared error of the reconstruction, for any loss.

        It is the default score of searches and `cross_val_score`. Scorers such as ``scoring='r2'`` give NaN, since they
        need `predict`, which an autoencoder does not have.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.
        y : None
            Ignored, with a warning if it has the shape of X.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Sample weights.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            Target of the reconstruction, such as clean samples for a noisy X; X if None.

        Returns
        -------
        score : float
            The negative mean over all observed values, in squared units of the data; greater is better.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        given, (X, target) = X, self._check_rows_and_target(X, X_target)
        if X_target is None and not isinstance(X, ImageList):
            warn_of_target(y, X, given)
        weight = check_sample_weight(sample_weight, len(X))
        found = self._run_together(self.module_.squared_error, X, target, dtype=torch.float64, gives="sum")
        errors, counts = as_array(found).T
        if not weight @ counts > 0:
            raise ValueError("score needs at least one value that is not NaN, in a sample of positive weight.")
        return -float(weight @ errors) / float(weight @ counts) * self.module_.unit**2

    def _check_rows_and_target(self, X: Any, X_target: Any, *, in_domain: bool = False) -> tuple[Any, Any]:
        X = self._check_fitted_rows(X)
        rules: dict[str, Any] = {"loss": self.module_.loss, "columns": getattr(self, "feature_names_in_", None)}
        if self.module_.translates:
            if X_target is None:
                raise ValueError("X_target is required, since it has another shape than X: pass the target of X.")
            X = X if isinstance(X, ImageList) else as_image_list(as_array(X), "X", self._channel_axis(), nan=True)
        if isinstance(X, ImageList):
            return X, X if X_target is None else self._check_target_images(X, X_target)
        if X_target is None:
            X = check_domain(X, "X", **rules) if in_domain else X
            return X, X
        target = check_same_shape(self, X_target, "X_target", X, same_length=True, nan=self._nan)
        return X, check_domain(target, "X_target", **rules) if in_domain else target

    def _check_target_images(self, images: ImageList, X_target: Any) -> ImageList:
        """Check the target images of a list of images."""
        module = self.module_
        targets = as_image_list(X_target, "X_target", self._channel_axis(of_target=True), nan=module.missing)
        if len(targets) != len(images):
            raise ValueError(f"X_target must have {len(images)} images, like X, got {len(targets)}.")
        for i in range(len(images)):
            _, *size = images.read(i).shape
            wanted, found = (module.target_shape[0], *(module.factor * side for side in size)), targets.read(i).shape
            if wanted != found:
                raise ValueError(
                    f"X_target[{i}] must have {wanted[0]} channels and the size {wanted[1:]} to match X[{i}], got "
                    f"{found[0]} channels and the size {found[1:]}."
                )
        return targets

    def _channel_axis(self, *, of_target: bool = False) -> Any:
        """Return the axis of the channels of images, or None."""
        layout = self._target_layout if of_target else self._layout
        return getattr(layout, "channel_axis", None)

    # ---------------------------------------------------------------- sampling

    @available_if(_has_prior)
    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None, *, size: Any = None
    ) -> np.ndarray:
        """Generate samples by decoding codes drawn from ``prior_``.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across calls.
        size : int or (height, width), default=None
            Size of the images, for a network that accepts any size (``module__dense=False``); the size of `fit` if
            None. Requires an estimator fitted on crops, or ``prior='autoregressive'``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
            Generated samples in the units of X in `fit`, with the dtype of `inverse_transform`.

        Raises
        ------
        NotFittedError
            Before `fit`, or if ``prior`` was set after it.
        ValueError, TypeError
            If ``n_samples`` or ``random_state`` is invalid.
        """
        self._check_sampling(n_samples)
        size = self._sample_size(size)
        return self._decode(self._draw_codes(n_samples, None, draw_seed(random_state), size), size=size).numpy()

    def _sample_size(self, size: Any) -> tuple[int, int] | None:
        """Check the size of images to generate; None stands for the size of `fit`."""
        if size is None:
            return None
        size = check_image_size(size)
        if not self.module_.any_size:
            raise ValueError("size needs a network that takes images of any size: module='conv', module__dense=False.")
        if size == tuple(self.module_.input_shape[1:]):
            return None
        of_wholes = self.prior is not None and width_of_draws(self.module_, self._layout) is None
        if of_wholes and not is_integer_density(self.prior_):
            raise ValueError(
                f"size={size} needs {self._priors_of_any_size}, or an estimator fitted on crops: prior_ is a "
                f"density of the codes of whole images of the size {tuple(self.module_.input_shape[1:])}."
            )
        return size

    _priors_of_any_size = "prior='autoregressive'"

    def _draw_codes(self, n: int, c: np.ndarray | None, seed: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """Draw codes from ``prior_`` under conditions, for images of ``size``."""
        if is_integer_density(self.prior_):
            return draw_integer_codes(self, c, n, size, seed)
        width = self.n_components_
        if size is not None:
            width = self.module_.n_components * math.prod(self.module_.code_size(size))
        prior = LatentPrior(self.prior, self._context, width_of_draws(self.module_, self._layout))
        return prior.sample(self.prior_, c, n, width, seed)

    def _check_sampling(self, n_samples: int) -> None:
        check_is_fitted(self)
        if self.prior is not None and not hasattr(self, "prior_"):
            raise NotFittedError(
                "There is no fitted prior to draw from, since prior was set after fit, or could not be truncated: fit "
                "again, with warm_start=True and max_epochs=0 to keep the weights."
            )
        check_number("n_samples", n_samples, numbers.Integral, 1)

    # ---------------------------------------------------------------- state and tags

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, with the optimizer's state, twice the weights, only if training may continue."""
        state = super().__getstate__()
        if "net_" in state and not (self.warm_start or self.net_.by_epochs_):
            state = state | {"net_": self.net_.without_optimizer()}
        return state

    def __copy__(self) -> BaseAutoencoder:
        other = object.__new__(type(self))
        other.__setstate__(dict(vars(self)))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> BaseAutoencoder:
        other = memo[id(self)] = object.__new__(type(self))
        other.__setstate__(copy.deepcopy(self.__dict__, memo))
        return other

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._keep_former_defaults()
        self._leave_missing_device()

    def _keep_former_defaults(self) -> None:
        """Set the defaults of version 0.2 explicitly for its networks, so that training continues with the same one."""
        if "net_" in vars(self) and self.net_.is_updated_:
            self._extra = {"module__linear_skip": False} | self._extra
            self.net_.is_updated_ = False

    def _leave_missing_device(self) -> None:
        """After a fit on a device that is not available here, set ``device='auto'`` with a warning."""
        if "net_" in vars(self) and self.device != "auto" and available(self.device) != self.device:
            warn(
                f"device={self.device!r} is not available here: the estimator was moved to {self.net_.device!r}, and "
                "device set to 'auto'.",
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
        tags.target_tags.required = getattr(self, "conditional", False) is not False
        return tags
