"""Validation of the arrays of a fit against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from .._data.arrays import as_array
from .._data.crops import CropSource
from .._data.layout import Layout, find_sample_layout, layout_of
from .._data.shapes import same_shape
from .._data.sources import LazyArray, arranged
from .._data.sparse import SparseRows
from .._data.targets import NO_CONDITION, Classes, NoCondition, Targets, find_condition
from .._data.validation import check_domain, check_known, check_rows, check_same_shape, check_sample_weight
from ._resolve import ModelSpec

_FEATURES = ("n_features_in_", "feature_names_in_")  # set by scikit-learn's validation of X


@dataclass(frozen=True)
class FitData:
    """Validated arrays, without the samples of weight 0; a `LazyArray` keeps them.

    Parameters
    ----------
    X, X_target, X_val, X_val_target : array or None
        Samples in the layout of the network.
    sample_weight : ndarray of shape (n_samples,) or None
    c, c_val : ndarray of shape (n_samples, width) or None
        Conditions for the decoder.
    sample_shape : tuple of int
        Shape of a sample in the user's layout.
    layout : Layout
        Conversion between the layouts of the user and of the network.
    condition : Classes, Targets or NoCondition
        Encoding of y as conditions.
    features : dict
        ``n_features_in_``, and ``feature_names_in_`` if X has names.
    """

    X: Any
    X_target: Any
    X_val: Any
    X_val_target: Any
    sample_weight: np.ndarray | None
    c: np.ndarray | None
    c_val: np.ndarray | None
    sample_shape: tuple[int, ...]
    layout: Layout
    condition: Classes | Targets | NoCondition
    features: dict[str, Any]
    crops: CropSource | None = None  #: source of the crops, a sample of which is X
    n_crops: int = 0  #: number of crops in an epoch
    c_images: np.ndarray | None = None  #: conditions of the images of the crops
    target_layout: Layout | None = None  #: for targets of another shape than samples
    seed: int | None = None  #: seed of the crops and of the training

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All arrays, for a fingerprint."""
        return self.X, self.X_target, self.X_val, self.X_val_target, self.sample_weight, self.c, self.c_val

    @property
    def feature_names(self) -> np.ndarray | None:
        """The names of the features, or None."""
        return self.features.get("feature_names_in_")


def read_fit_data(
    est: Any,
    spec: ModelSpec,
    X: Any,
    y: Any,
    *,
    goes_on: bool,
    reset: bool,
    X_target: Any = None,
    X_val: Any = None,
    X_val_target: Any = None,
    y_val: Any = None,
    sample_weight: Any = None,
    classes: Any = None,
    layout: Layout | None = None,
    translates: bool = False,
) -> FitData:
    """Validate the arrays of a fit; ``est`` is not changed.

    Parameters
    ----------
    est : estimator
        Its parameters and, if training ``goes_on``, its fitted attributes define valid arrays.
    spec : ModelSpec
    goes_on : bool
        Whether training continues an earlier fit.
    reset : bool
        Whether X may have other features than before.
    layout : Layout, default=None
        Layout of the samples, if known.
    translates : bool, default=False
        Whether there are targets of another shape, which are validated elsewhere.
    """
    scratch = stand_in(est, vars(est))  # scikit-learn's validation sets attributes of the estimator
    X = check_rows(scratch, X, reset=reset, min_rows=2 if reset else 1, nan=spec.nan)
    _find_features(spec, getattr(scratch, "feature_names_in_", None), X.shape[1:])
    condition = _find_condition(est, y, X, sample_weight, classes, y_val, goes_on=goes_on)
    c, c_val = _conditions(est, condition, X, y, X_val, y_val)
    X, X_target, X_val, X_val_target = _check_beside(
        scratch, spec, X, X_target, X_val, X_val_target, c_val, translates=translates
    )
    sample_shape = X.shape[1:]
    if goes_on and reset:
        _check_shape_as_before(est, spec, sample_shape, X.ndim)
    if goes_on:
        sample_shape = est.input_shape_  # in continued training the network keeps its length
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(X))
        kept = sample_weight > 0
        if not kept.all() and not isinstance(X, LazyArray):
            X, sample_weight = X[kept], sample_weight[kept]
            X_target = None if X_target is None else X_target[np.flatnonzero(kept)]
            c = None if c is None else c[kept]
            check_known(X, "X", "in a sample of positive weight")
    features = {name: vars(scratch)[name] for name in _FEATURES if name in vars(scratch)}
    layout = _find_layout(est, spec, sample_shape, goes_on=goes_on) if layout is None else layout
    return FitData(X, X_target, X_val, X_val_target, sample_weight, c, c_val, sample_shape, layout, condition, features)


def _find_features(spec: ModelSpec, names: Any, shape: tuple[int, ...]) -> None:
    """Replace names of columns by indices in the parts."""
    spec.loss.find_features(names, shape)
    if spec.noise is not None:
        spec.noise.find_features(names, shape)
        spec.noise.mask_together(spec.loss.joint_columns())


def as_network_takes_them(data: FitData) -> FitData:
    """Return the data with all samples in the layout of the network."""
    names = ("X", "X_target", "X_val", "X_val_target")
    given = {name: getattr(data, name) for name in names if getattr(data, name) is not None}
    layouts = dict.fromkeys(names, data.layout)
    if data.target_layout is not None:
        layouts |= {"X_target": data.target_layout, "X_val_target": data.target_layout}
    return replace(data, **{name: arranged(A, layouts[name].arrange) for name, A in given.items()})


def stand_in(est: Any, state: dict[str, Any]) -> Any:
    """Return a temporary object of the class of ``est`` with the attributes ``state``."""
    other = object.__new__(type(est))
    vars(other).update(state)
    return other


def _find_condition(
    est: Any, y: Any, X: Any, sample_weight: Any, classes: Any, y_val: Any, *, goes_on: bool
) -> Classes | Targets | NoCondition:
    """Return the encoding of y; in continued training it is unchanged."""
    conditional, before = getattr(est, "conditional", False), est._context
    if conditional is False:
        for name, value in (("y_val", y_val), ("classes", classes)):
            if value is not None:
                raise ValueError(f"{name} needs conditional=True, got conditional=False.")
        return NO_CONDITION
    y = as_array(y)
    if y is None:
        # The wording is required by scikit-learn's checks.
        raise ValueError(f"This {type(est).__name__} estimator requires y to be passed, but the target y is None.")
    if not goes_on or not before:
        weight = None if sample_weight is None else check_sample_weight(sample_weight, len(X))
        if weight is not None:
            check_consistent_length(X, y)
        return find_condition(conditional, y, as_array(classes), weight)
    if conditional is not True and (conditional == "classes") != isinstance(before, Classes):
        raise ValueError(
            f"conditional={conditional!r} does not match the y of the earlier fit: training can continue only with "
            "the same kind of y."
        )
    return before


def _conditions(est: Any, condition: Any, X: Any, y: Any, X_val: Any, y_val: Any) -> tuple[Any, Any]:
    """Return the conditions of X and of ``X_val``."""
    if not condition:
        return None, None
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val are both needed for a conditional estimator: pass both or neither.")
    c = condition.encode(as_array(y))
    check_consistent_length(X, c)
    return c, None if y_val is None else condition.encode(as_array(y_val))


def _check_beside(
    scratch: Any, spec: ModelSpec, X: Any, X_target: Any, X_val: Any, X_val_target: Any, c_val: Any, *, translates: bool
) -> tuple[Any, Any, Any, Any]:
    """Validate targets and validation data against X, and values against the domain of the loss."""
    if X_target is not None:
        X_target = check_same_shape(scratch, X_target, "X_target", X, same_length=True, nan=spec.nan)
    if X_val is not None:
        X_val = check_same_shape(scratch, X_val, "X_val", X, same_length=False, nan=spec.nan)
        if c_val is not None:
            check_consistent_length(X_val, c_val)
    if X_val_target is not None:
        if X_val is None:
            raise ValueError("X_val_target needs X_val.")
        X_val_target = check_same_shape(
            scratch, X_val_target, "X_val_target", X_val, same_length=True, beside="X_val", nan=spec.nan
        )
    elif X_target is not None and X_val is not None:
        raise ValueError("X_val needs X_val_target if X_target is given.")
    for name, A in (("X_val", X_val), ("X_val_target", X_val_target)):
        if isinstance(A, LazyArray) and not isinstance(A, SparseRows) and spec.noise is not None:
            raise ValueError(
                f"{name} is corrupted once with noise={spec.noise!r}, and must fit into memory, got {A.size} values: "
                "pass fewer samples."
            )
    columns = getattr(scratch, "feature_names_in_", None)
    if translates:
        return X, None, X_val, None
    if X_target is None:
        X = check_domain(X, "X", spec.loss, columns)
    else:
        X_target = check_domain(X_target, "X_target", spec.loss, columns)
    if X_val_target is not None:
        X_val_target = check_domain(X_val_target, "X_val_target", spec.loss, columns)
    elif X_val is not None:
        X_val = check_domain(X_val, "X_val", spec.loss, columns)
    return X, X_target, X_val, X_val_target


def _check_shape_as_before(est: Any, spec: ModelSpec, sample_shape: tuple[int, ...], ndim: int) -> None:
    free = spec.nan.free_axis if ndim == 3 else None  # sequences may have any length
    if not same_shape(sample_shape, est.input_shape_, free):
        raise ValueError(f"warm_start needs samples of shape {est.input_shape_}, as before, got {sample_shape}.")


def _find_layout(est: Any, spec: ModelSpec, sample_shape: tuple[int, ...], *, goes_on: bool) -> Layout:
    layout = find_sample_layout(
        sample_shape,
        getattr(est, "input_shape", None),
        est.channel_axis,
        reads_padding=spec.reads_padding,
        reads_images=est._reads_images(spec.network),
        takes_input_shape=hasattr(est, "input_shape"),
    )
    if goes_on and layout != layout_of(est):
        raise ValueError(f"Training can continue only with samples in the same layout, {layout_of(est)}, got {layout}.")
    return layout
