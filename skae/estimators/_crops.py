"""Training on crops of images: their size, their number, and their validation."""

from __future__ import annotations

import math
import numbers
from dataclasses import replace
from typing import Any

import numpy as np

from .._data.arrays import as_array
from .._data.collections import one_array
from .._data.crops import AUGMENTATIONS, CropSource
from .._data.image_list import ImageList, as_image_list, is_image_list, listed
from .._data.images import refuse_one_image
from .._data.layout import ImageLayout, layout_of
from .._data.sources import LazyArray
from .._data.targets import NoCondition
from .._data.validation import check_domain, check_sample_weight
from .._training.checkpoint import Checkpoint
from .._utils.checks import check_choice, check_number
from .._utils.memory import working_memory
from .._utils.rng import draw_seed
from .._utils.slots import unwrapped
from ..nn import Conv
from ._fit_data import FitData, read_fit_data
from ._resolve import ModelSpec

_SMALL, _CROP = (
    128,
    64,
)  # largest side of whole training images, and side of the crops of larger ones
_LEAST_CROP = 16  # pixels along a side, of a single image
_LEAST_BATCHES, _MOST_CROPS = 8, 2**14  # of an epoch with n_crops="auto"
_LEAST_FIRST = 64  # minimum number of crops for the initialization of parts
# Minimum and maximum number of validation crops, and their fraction of those of an epoch.
_VALIDATION, _VALIDATION_SHARE = (64, 512), 8


def check_crop_params(est: Any) -> None:
    """Check the parameters of training on crops."""
    if not (isinstance(est.crop_size, str) and est.crop_size == "auto"):
        for side in est.crop_size if isinstance(est.crop_size, tuple | list) else [est.crop_size]:
            check_number("crop_size", side, numbers.Integral, 1)
        if isinstance(est.crop_size, tuple | list) and len(est.crop_size) != 2:
            raise ValueError(f"crop_size must be 'auto', an int or (height, width), got {est.crop_size!r}.")
    if not (isinstance(est.n_crops, str) and est.n_crops == "auto"):
        check_number("n_crops", est.n_crops, numbers.Integral, 1)
    check_choice("augmentation", est.augmentation, tuple(AUGMENTATIONS))
    check_choice("pooling", est.pooling, (None, "mean", "max"))


def takes_any_size(network: Any, params: dict[str, Any]) -> bool:
    """Return whether a network, or a class called with ``params``, accepts images of any size."""
    cls, given = unwrapped(network)
    if isinstance(cls, type) and issubclass(cls, Conv):
        given = given | params
        return given.get("dense", True) is False and given.get("decoder", "mirror") == "mirror"
    return bool(getattr(cls, "any_size", False))


def read_crops(
    est: Any, spec: ModelSpec, X: Any, y: Any, *, goes_on: bool, reset: bool, one_epoch: bool, **arrays: Any
) -> FitData | None:
    """Read images and draw training crops; return None if the network is trained on X itself."""
    X, X_target, X_val, X_val_target = map(
        listed, (X, *(arrays.pop(name, None) for name in ("X_target", "X_val", "X_val_target")))
    )
    images = _images_to_crop(est, spec, X, X_target, goes_on=goes_on)
    if images is None:
        return None
    earlier = est.module_.input_shape[1:] if goes_on else None
    size = _crop_size(est, images, earlier, any_size=takes_any_size(spec.network, est._network_params()))
    targets = _targets(images, X_target, "X_target", est, spec)
    translates = targets is not None and (targets.n_channels, targets.shapes) != (images.n_channels, images.shapes)
    if set(images.shapes) == {size} and not (translates or _asks_for_crops(est) or _is_read_by_images_alone(X)):
        return None
    y_val, weight = arrays.pop("y_val", None), arrays.pop("sample_weight", None)
    weight = None if weight is None else check_sample_weight(weight, len(images))
    source, held = CropSource(images, targets, size, est.augmentation, weight), None
    rng = np.random.default_rng(seed := _seed(est, spec, one_epoch=one_epoch))
    if X_val is not None:
        held = _validation_source(est, spec, X_val, X_val_target, source)
    elif est.early_stopping and not one_epoch:
        source, held = source.split(est.validation_fraction, rng)
        y_val = None if held is None else y
    n_crops = _n_crops(est, source)
    n_first = min(n_crops, max(_LEAST_FIRST, working_memory(1 / 8) // (4 * images.n_channels * math.prod(size))))
    (x, target), first = _cut(source, n_first, rng)
    (x_val, target_val), second = (None, None), None
    if held is not None:
        least, most = _VALIDATION
        n_held = max(least, min(held.n_distinct, most, n_crops // _VALIDATION_SHARE))
        (x_val, target_val), second = _cut(held, n_held, rng)
    conditional = getattr(est, "conditional", False) is not False and y is not None
    layout = ImageLayout(x.shape[1:], x.shape[1:], images.layout.channel_axis, any_size=True)
    if goes_on and layout[2:] != layout_of(est)[2:]:
        raise ValueError(f"Training can continue only with images in the same layout, {layout_of(est)}, got {layout}.")
    data = read_fit_data(
        est,
        spec,
        x,
        np.asarray(as_array(y))[first] if conditional else None,
        goes_on=goes_on,
        reset=reset,
        X_target=None if translates else target,
        X_val=x_val,
        X_val_target=None if translates else target_val,
        layout=layout,
        translates=translates,
        **({"y_val": as_array(y_val)[second]} if conditional and second is not None else {}),
        **arrays,
    )
    c_images = None if isinstance(data.condition, NoCondition) else data.condition.encode(as_array(y))
    data = replace(data, crops=source, n_crops=n_crops, c_images=c_images, seed=seed)
    if not translates or targets is None:
        return data
    for name, A in (("X_target", target), ("X_val_target", target_val)):
        if A is not None:
            check_domain(A, name, spec.loss)
    shape = target.shape[1:]
    target_layout = ImageLayout(shape, shape, targets.layout.channel_axis, any_size=True)
    return replace(data, X_target=target, X_val_target=target_val, target_layout=target_layout)


def _seed(est: Any, spec: ModelSpec, *, one_epoch: bool) -> int:
    """Draw the seed of a fit; a resumed fit uses the same crops as before."""
    seed = spec.ranks.gather(draw_seed(est.random_state))[0]
    return seed if est.checkpoint is None or one_epoch else Checkpoint(est.checkpoint, spec.ranks).seed_or(seed)


def _validation_source(est: Any, spec: ModelSpec, X_val: Any, X_val_target: Any, source: CropSource) -> CropSource:
    """Return the source of validation crops: ``X_val``, in the layout of ``source``."""
    if source.targets is not None and X_val_target is None:
        raise ValueError("X_val needs X_val_target if X_target is given.")
    images = _scanned(X_val, "X_val", est, spec)
    _refuse_small(images, source.size)
    targets = _targets(images, X_val_target, "X_val_target", est, spec, like=source.targets)
    return CropSource(images, targets, source.size, None)


def _cut(source: CropSource, n: int, rng: np.random.Generator) -> tuple[tuple[Any, Any], np.ndarray]:
    """Return ``n`` crops and their targets in the user's layout, and the indices of their images."""
    places = source.draw(n, rng)
    x, target = source.cut(places)
    target = None if source.targets is None else source.targets.layout.restore(target)
    return (source.images.layout.restore(x), target), places[:, 0]


def _images_to_crop(est: Any, spec: ModelSpec, X: Any, X_target: Any, *, goes_on: bool) -> ImageList | None:
    """Return the scanned images of X if they may have to be cropped."""
    any_size = takes_any_size(spec.network, est._network_params())
    for name in ("crop_size", "n_crops", "pooling"):
        if getattr(est, name) not in ("auto", None) and not any_size:
            raise ValueError(
                f"{name}={getattr(est, name)!r} needs a network that takes images of any size: set "
                "module__dense=False, for a spatial code."
            )
    asks = _asks_for_crops(est) or _is_of_other_shape(X_target, X)
    if not (any_size or asks) or not est._reads_images(spec.network):
        return None
    if not _holds_images(X, est):
        shape = _shape_of(X)
        side = math.isqrt(shape[1]) if len(shape) == 2 else 0
        if any_size and shape == (side**2, side**2) and getattr(est, "input_shape", None) is None:
            raise ValueError(
                f"X of shape {shape} may be one image or flattened images: pass [X] for one image, or "
                f"input_shape=({side}, {side}) for flattened images."
            )
        if asks:
            one_array(X, "X")  # an error for paths and other items without pixels
            raise ValueError(
                "crop_size, n_crops and augmentation need images (n, height, width), or with channels, or a list of "
                f"images, but X {'has flattened images: reshape it' if len(shape) == 2 else 'has none'}."
            )
        return None
    row_shape = _shape_of(X)[1:]
    if not asks and row_shape and X.dtype != object:
        sides = [side for side in row_shape if side not in (3, 4)]
        # `partial_fit` and `warm_start` on images of the same size use the images themselves again.
        same = goes_on and row_shape == est.input_shape_ and layout_of(est)[3:] != (True,)
        if same or (not goes_on and max(sides, default=0) <= _SMALL and len(X) > 1):
            return None
    return _scanned(X, "X", est, spec)


def _asks_for_crops(est: Any) -> bool:
    return est.augmentation is not None or est.crop_size != "auto" or est.n_crops != "auto"


def _shape_of(A: Any) -> tuple[int, ...]:
    """Return the shape of an array; () for objects without a shape, such as nested tensors."""
    try:
        return tuple(getattr(A, "shape", ()))
    except RuntimeError:
        return ()


def _is_of_other_shape(X_target: Any, X: Any) -> bool:
    """Return whether X and ``X_target`` are arrays of images of different shapes."""
    shapes = [_shape_of(A) for A in (X, X_target)]
    return all(len(shape) in (3, 4) for shape in shapes) and shapes[0] != shapes[1]


def _scanned(X: Any, name: str, est: Any, spec: ModelSpec) -> ImageList:
    images = as_image_list(X, name, est.channel_axis, nan=spec.missing)
    images.scan()
    return images


def _holds_images(X: Any, est: Any) -> bool:
    """Return whether X has images that are not flattened."""
    flat = getattr(est, "input_shape", None) is not None
    if is_image_list(X):
        return not flat
    shape = _shape_of(X)
    if not flat and len(shape) == 3 and isinstance(est.channel_axis, str):
        refuse_one_image(tuple(shape[1:]))
    return len(shape) in (3, 4) and not flat and not isinstance(X, LazyArray)


def _is_read_by_images_alone(X: Any) -> bool:
    """Return whether X is a sequence that only `ImageList` supports."""
    return is_image_list(X) and not isinstance(X, list | tuple | np.ndarray) and not hasattr(X, "__getitems__")


def _crop_size(est: Any, images: ImageList, earlier: Any, *, any_size: bool) -> tuple[int, int]:
    smallest = np.min(images.shapes, axis=0)
    equal = len(set(images.shapes)) == 1
    size: Any
    if earlier is not None:
        size = earlier
    elif not any_size:
        if not equal:
            i = next(i for i, shape in enumerate(images.shapes) if shape != images.shapes[0])
            raise ValueError(
                f"X[0] has the size {images.shapes[0]}, X[{i}] the size {images.shapes[i]}: images of different sizes "
                "need a network that takes images of any size, module__dense=False."
            )
        size = images.shapes[0]
    elif isinstance(est.crop_size, str):
        if equal and max(images.shapes[0]) <= _SMALL and len(images) > 1:
            size = images.shapes[0]
        else:  # for a single small image, so that crops differ
            side = int(smallest.min()) if len(images) > 1 else (int(smallest.min()) + 1) // 2
            size = (min(_CROP, max(side, min(_LEAST_CROP, int(smallest.min())))),) * 2
    else:
        size = tuple(est.crop_size) if isinstance(est.crop_size, tuple | list) else (est.crop_size,) * 2
    _refuse_small(images, size)
    if str(est.augmentation).startswith("flip_rotate") and size[0] != size[1]:
        raise ValueError(f"augmentation={est.augmentation!r} needs square crops, got crops of size {size}.")
    return int(size[0]), int(size[1])


def _refuse_small(images: ImageList, size: tuple[int, ...]) -> None:
    for i, shape in enumerate(images.shapes):
        if shape[0] < size[0] or shape[1] < size[1]:
            raise ValueError(
                f"{images.name}[{i}] has the size {shape}, smaller than the crops of {tuple(size)}: remove it, or "
                "reduce crop_size."
            )


def _targets(
    images: ImageList, X_target: Any, name: str, est: Any, spec: ModelSpec, like: ImageList | None = None
) -> ImageList | None:
    """Return the target images, each of the size of its image or a multiple, with the channels of ``like``."""
    if X_target is None:
        return None
    targets, beside = _scanned(X_target, name, est, spec), images.name
    if len(targets) != len(images):
        raise ValueError(f"{name} must have {len(images)} images, like {beside}, got {len(targets)}.")
    factor = max(1, targets.shapes[0][0] // images.shapes[0][0])
    for i, (size, found) in enumerate(zip(images.shapes, targets.shapes, strict=True)):
        if found != (factor * size[0], factor * size[1]):
            times = f"{factor} times the size" if factor > 1 else "the size, or an integer multiple,"
            raise ValueError(f"{name}[{i}] must have {times} of {beside}[{i}], {size}, got {found}.")
    if like is not None and like.n_channels != targets.n_channels:
        raise ValueError(f"{name} must have the {like.n_channels} channels of X_target, got {targets.n_channels}.")
    return targets


def _n_crops(est: Any, source: CropSource) -> int:
    if not isinstance(est.n_crops, str):
        return int(est.n_crops)
    if {tuple(region) for region in source.regions[:, 3:].tolist()} == {source.size}:
        return len(source.regions)
    least = _LEAST_BATCHES * est.batch_size
    return min(max(least, source.n_distinct), max(_MOST_CROPS, len(source.regions), least))
