"""The arrays of a fit, validated against each other, and what follows from them."""

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

_FEATURES = ("n_features_in_", "feature_names_in_")  # what scikit-learn's validation learns from X


@dataclass(frozen=True)
class FitData:
    """Validated arrays, without the samples of weight 0, which count as absent; in a `LazyArray` they remain.

    Parameters
    ----------
    X, X_target, X_val, X_val_target : array or None
        Samples as the network takes them.
    sample_weight : ndarray of shape (n_samples,) or None
    c, c_val : ndarray of shape (n_samples, width) or None
        Conditions for the decoder.
    sample_shape : tuple of int
        Shape of a sample as the user has it.
    layout : Layout
        How samples are brought into the shape that the network takes.
    condition : Classes, Targets or NoCondition
        How y becomes conditions.
    features : dict
        ``n_features_in_``, and ``feature_names_in_`` where X has names.
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
    crops: CropSource | None = None  #: where crops come from, of which X holds some
    n_crops: int = 0  #: of an epoch
    c_images: np.ndarray | None = None  #: conditions of the images that crops come from
    target_layout: Layout | None = None  #: of targets that have another shape than samples
    seed: int | None = None  #: that crops were cut with, and that training begins with

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All arrays, for a fingerprint."""
        return self.X, self.X_target, self.X_val, self.X_val_target, self.sample_weight, self.c, self.c_val

    @property
    def feature_names(self) -> np.ndarray | None:
        """The names of the features, where X has some."""
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
        Whose parameters, and where training ``goes_on`` fitted attributes, say what fits.
    spec : ModelSpec
    goes_on : bool
        Whether training continues that of an earlier fit.
    reset : bool
        Whether X may have other features than before.
    layout : Layout, default=None
        That of the samples, if it is known.
    translates : bool, default=False
        Whether there are targets of another shape, which are checked elsewhere.
    """
    scratch = stand_in(est, vars(est))  # scikit-learn's validation writes to the estimator that it is given
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
        sample_shape = est.input_shape_  # a network that goes on keeps its length
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(X))
        kept = sample_weight > 0
        if not kept.all() and not isinstance(X, LazyArray):
            X, sample_weight = X[kept], sample_weight[kept]
            X_target = None if X_target is None else X_target[np.flatnonzero(kept)]
            c = None if c is None else c[kept]
            check_known(X, "X", "in a row of positive weight")
    features = {name: vars(scratch)[name] for name in _FEATURES if name in vars(scratch)}
    layout = _find_layout(est, spec, sample_shape, goes_on=goes_on) if layout is None else layout
    return FitData(X, X_target, X_val, X_val_target, sample_weight, c, c_val, sample_shape, layout, condition, features)


def _find_features(spec: ModelSpec, names: Any, shape: tuple[int, ...]) -> None:
    """Let the parts find the columns that they name."""
    spec.loss.find_features(names, shape)
    if spec.noise is not None:
        spec.noise.find_features(names, shape)
        spec.noise.mask_together(spec.loss.joint_columns())


def as_network_takes_them(data: FitData) -> FitData:
    """Return the data with all samples in the shape that the network takes."""
    names = ("X", "X_target", "X_val", "X_val_target")
    given = {name: getattr(data, name) for name in names if getattr(data, name) is not None}
    layouts = dict.fromkeys(names, data.layout)
    if data.target_layout is not None:
        layouts |= {"X_target": data.target_layout, "X_val_target": data.target_layout}
    return replace(data, **{name: arranged(A, layouts[name].arrange) for name, A in given.items()})


def stand_in(est: Any, state: dict[str, Any]) -> Any:
    """Return an object of the class of ``est`` with the attributes ``state``, that may be written to."""
    other = object.__new__(type(est))
    vars(other).update(state)
    return other


def _find_condition(
    est: Any, y: Any, X: Any, sample_weight: Any, classes: Any, y_val: Any, *, goes_on: bool
) -> Classes | Targets | NoCondition:
    """Learn from y what the decoder is conditioned on; where training goes on it is as before."""
    conditional, before = getattr(est, "conditional", False), est._context
    if conditional is False:
        for name, value in (("y_val", y_val), ("classes", classes)):
            if value is not None:
                raise ValueError(f"{name} has a meaning only with conditional=True, got conditional=False.")
        return NO_CONDITION
    y = as_array(y)
    if y is None:
        # scikit-learn's own words, which its checks look for.
        raise ValueError(f"This {type(est).__name__} estimator requires y to be passed, but the target y is None.")
    if not goes_on or not before:
        weight = None if sample_weight is None else check_sample_weight(sample_weight, len(X))
        if weight is not None:
            check_consistent_length(X, y)
        return find_condition(conditional, y, as_array(classes), weight)
    if conditional is not True and (conditional == "classes") != isinstance(before, Classes):
        raise ValueError(
            f"conditional={conditional!r} describes another y than the one fitted before: training goes on only with "
            "the same kind of y."
        )
    return before


def _conditions(est: Any, condition: Any, X: Any, y: Any, X_val: Any, y_val: Any) -> tuple[Any, Any]:
    """Return the conditions of X and of ``X_val``."""
    if not condition:
        return None, None
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val go together for a conditional estimator: give both or neither.")
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
            raise ValueError("X_val_target needs X_val, the rows that it is the target of.")
        X_val_target = check_same_shape(
            scratch, X_val_target, "X_val_target", X_val, same_length=True, beside="X_val", nan=spec.nan
        )
    elif X_target is not None and X_val is not None:
        raise ValueError("X_val needs X_val_target where X is given an X_target.")
    for name, A in (("X_val", X_val), ("X_val_target", X_val_target)):
        if isinstance(A, LazyArray) and not isinstance(A, SparseRows) and spec.noise is not None:
            raise ValueError(
                f"{name} is corrupted once and held with noise={spec.noise!r}, so it must fit into memory, got "
                f"{A.size} values: pass fewer rows."
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
        raise ValueError(f"warm_start needs rows of shape {est.input_shape_} as before, got {sample_shape}.")


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
        raise ValueError(f"Training goes on only with rows laid out as before: {layout_of(est)}, got {layout}.")
    return layout
