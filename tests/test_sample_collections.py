"""Collections of samples are stacked into one array, or raise an error with their shapes."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skae._data.collections import one_array


def column_of(items):
    """An array of objects, which NumPy would otherwise make one array of."""
    column = np.empty(len(items), object)
    column[:] = items
    return column


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "objects": column_of,
    "objects (n, 1)": lambda items: column_of(items)[:, None],
    "Series": lambda items: pd.Series(list(items)),
    "DataFrame": lambda items: pd.DataFrame({"samples": pd.Series(list(items), index=range(5, 5 + len(items)))}),
    "polars Series": lambda items: pl.Series([item.tolist() for item in items]),
    "polars DataFrame": lambda items: pl.DataFrame({"samples": [item.tolist() for item in items]}),
    "nested lists": lambda items: [item.tolist() for item in items],
    "tensors": lambda items: [torch.from_numpy(item) for item in items],
    "frames": lambda items: [pd.DataFrame(item) if item.ndim < 3 else item for item in items],
}


@pytest.mark.parametrize("container", CONTAINERS)
@given(seed=st.integers(0, 100), n=st.integers(1, 4), shape=st.lists(st.integers(1, 4), min_size=2, max_size=3))
@settings(deadline=None, max_examples=15)
def test_samples_of_equal_shape_are_stacked(container, seed, n, shape):
    X = np.random.default_rng(seed).normal(size=(n, *shape))
    np.testing.assert_array_equal(one_array(CONTAINERS[container](list(X))), X)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("axis", [0, 1])
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), channels=st.integers(1, 3))
@settings(deadline=None, max_examples=15)
def test_shorter_sequences_are_padded_with_nan(container, axis, lengths, channels):
    rng = np.random.default_rng(0)
    items = [rng.normal(size=(length, channels)) for length in lengths]
    padded = np.full((len(items), max(lengths), channels), np.nan)
    for row, item in zip(padded, items, strict=True):
        row[: len(item)] = item
    if axis == 1:
        items, padded = [np.ascontiguousarray(item.T) for item in items], padded.swapaxes(1, 2)
    found = one_array(CONTAINERS[container](items), step_axis=axis)
    np.testing.assert_array_equal(found, padded)


def test_single_channel_sequences_without_channel_axis():
    found = one_array([[1, 2, 3], [4]], step_axis=0)
    np.testing.assert_array_equal(found, [[1, 2, 3], [4, np.nan, np.nan]])


@pytest.mark.parametrize(("dtypes", "padded"), [("ff", "f4"), ("fd", "f8"), ("ii", "f8"), ("bb", "f8"), ("ee", "f2")])
def test_padding_keeps_the_precision_of_floats(dtypes, padded):
    items = [np.ones((n, 2), dtype) for n, dtype in enumerate(dtypes, 1)]
    assert one_array(items, step_axis=0).dtype == np.dtype(padded)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((3, 2)),
        torch.ones(3, 2),
        [1, 2, 3],
        [],
        None,
        3.0,
        {"a": [1, 2]},
        pd.DataFrame({"a": [1.0, 2.0]}),
        pd.DataFrame({"a": ["x", "y"]}),
        pd.Series([1, 2]),
        np.array([["a"], ["b"]]),
        np.array([[1, None]], object),
        [[1.0, None], [2.0, 3.0]],
    ],
    ids=lambda X: type(X).__name__,
)
def test_other_inputs_pass_unchanged(X):
    assert one_array(X) is X


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "F", "1"])
def test_pil_images_are_converted(mode):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(pixels).convert(mode) for pixels in rng.integers(0, 255, (3, 4, 5, 3), np.uint8)]
    expected = np.stack([np.asarray(image) for image in images])
    np.testing.assert_array_equal(one_array(images), expected)
    np.testing.assert_array_equal(one_array(images[0]), expected[:1])
    np.testing.assert_array_equal(one_array(pd.Series(images)), expected)


def test_pil_palette_images_are_converted_to_rgb():
    colors = Image.fromarray(np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8))
    palette = colors.convert("P")
    np.testing.assert_array_equal(one_array([palette]), np.asarray(palette.convert("RGB"))[None])
    palette.info["transparency"] = 0
    assert one_array([palette]).shape == (1, 4, 5, 4)


def sizes(*shapes):
    return [np.zeros(shape) for shape in shapes]


REFUSED = [
    (sizes((5, 2), (5, 2), (7, 2)), {}, r"X\[0\] has the shape \(5, 2\) and X\[2\] the shape \(7, 2\): .*module='gru'"),
    (sizes((5,), (7,)), {}, r"module='gru' or module='tcn'"),
    (sizes((5, 2), (7, 2)), {"takes_images": lambda: True}, "module__dense=False, or resize"),
    (
        sizes((5, 6, 3), (7, 6, 3)),
        {},
        r"X\[1\] the shape \(7, 6, 3\): use a network for images of any size, .*module__dense=False",
    ),
    (sizes((5, 6), (6, 5)), {}, "images of any size, .* or resize the images to one size"),
    (sizes((5, 6), (5, 6, 3)), {}, "images of any size, .* or resize the images to one size"),
    (sizes((2, 5), (2, 7)), {"step_axis": 0}, r"X\[1\] the shape \(2, 7\)\. If .* pass channel_axis=0"),
    (sizes((5, 2), (7, 2)), {"step_axis": 1}, "channel_axis=-1"),
    (
        sizes((5, 2), (7, 3)),
        {"step_axis": 0},
        r"the same channels, but X\[0\] has .* \(5, 2\) and X\[1\] .* \(7, 3\)\.$",
    ),
    (sizes((5, 2), (7,)), {"step_axis": 0}, "the same channels"),
    (sizes((5, 2, 2), (7, 2, 2)), {"step_axis": 0}, r"must have the shape \(length, channels\)"),
    ([[[1, 2], [3]], [[1, 2], [3, 4]]], {}, r"X\[0\] must be one array, got a list of parts of unequal shape"),
    ("photos", {}, "got the str 'photos'. Files are not opened"),
    (Path("photos"), {}, "Files are not opened"),
    (["a.png", "b.png"], {}, "a list that begins with the str 'a.png'.*torch Dataset"),
    ([Path("a.png")], {}, "'a.png'"),
    (np.array(["a.png"]), {}, "'a.png'"),
    (pd.Series(["a.png"]), {}, "'a.png'"),
]


@pytest.mark.parametrize(("X", "options", "match"), REFUSED, ids=range(len(REFUSED)))
def test_unstackable_collections_raise(X, options, match):
    with pytest.raises(ValueError, match=match):
        one_array(X, **options)
