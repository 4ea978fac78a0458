"""Image layouts: inference, errors, conversion and its inverse."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._data.images import find_layout

sides = st.integers(1, 12)
channels = st.integers(1, 5)


@given(
    n=st.integers(1, 4),
    h=sides,
    w=sides,
    c=channels,
    kind=st.sampled_from(["gray", "first", "last"]),
    flat=st.booleans(),
)
@settings(max_examples=200)
def test_arrange_and_restore_round_trip(n, h, w, c, kind, flat):
    shape = {"gray": (h, w), "first": (c, h, w), "last": (h, w, c)}[kind]
    axis = {"gray": None, "first": 0, "last": -1}[kind]
    X = np.arange(n * np.prod(shape)).reshape(n, *shape)
    rows = X.reshape(n, -1) if flat else X
    layout = find_layout(rows.shape[1:], shape if flat else None, axis)
    images = layout.arrange(rows)
    expected = {"gray": lambda: X[:, None], "first": lambda: X, "last": lambda: X.transpose(0, 3, 1, 2)}[kind]()
    np.testing.assert_array_equal(images, expected)
    assert np.shares_memory(images, rows), "no copy"
    back = layout.restore(np.ascontiguousarray(images))
    np.testing.assert_array_equal(back, rows)
    assert back.flags.c_contiguous


@pytest.mark.parametrize(
    ("row_shape", "input_shape", "image_shape", "axis"),
    [
        ((28, 28), None, (28, 28), None),
        ((784,), None, (28, 28), None),
        ((1,), None, (1, 1), None),
        ((1, 1, 1), None, (1, 1, 1), -1),
        ((1,), (1, 1, 1), (1, 1, 1), -1),
        ((32, 32, 3), None, (32, 32, 3), -1),
        ((3, 32, 32), None, (3, 32, 32), 0),
        ((1, 8, 8), None, (1, 8, 8), 0),
        ((8, 8, 4), None, (8, 8, 4), -1),
        ((12,), (2, 2, 3), (2, 2, 3), -1),
        ((12,), (3, 2, 2), (3, 2, 2), 0),
        ((12,), (3, -1), (3, 4), None),
        ((12,), [np.int64(2), 6], (2, 6), None),
        ((2, 6), (2, -1), (2, 6), None),
    ],
)
def test_layout_is_inferred(row_shape, input_shape, image_shape, axis):
    layout = find_layout(row_shape, input_shape, "auto")
    assert (layout.image_shape, layout.channel_axis) == (image_shape, axis)


@given(shape=st.tuples(*[st.integers(1, 5)] * 3))
def test_channel_axis_auto(shape):
    X = np.arange(2 * np.prod(shape)).reshape(2, *shape)
    first, last = (find_layout(shape, None, axis).arrange(X) for axis in (0, -1))
    likely = [side in (1, 3, 4) for side in (shape[0], shape[-1])]
    if likely[0] == likely[1] and not np.array_equal(first, last):
        with pytest.raises(ValueError, match="pass channel_axis=0 or channel_axis=-1"):
            find_layout(shape, None, "auto")
    else:
        found = find_layout(shape, None, "auto")
        np.testing.assert_array_equal(found.arrange(X), last if likely[1] else first)
        np.testing.assert_array_equal(found.restore(found.arrange(X)), X)


@pytest.mark.parametrize("axis", [2, -1])
def test_channel_axis_negative_and_positive(axis):
    assert find_layout((5, 6, 7), None, axis) == find_layout((5, 6, 7), None, -1)
    assert find_layout((5, 6, 7), None, 0) == find_layout((5, 6, 7), None, -3)


@pytest.mark.parametrize(
    ("row_shape", "input_shape", "axis", "match"),
    [
        ((10,), None, "auto", "^X has flattened samples of 10 values, not square gray images: pass input_shape"),
        (
            (5, 8, 8),
            None,
            "auto",
            r"^X has rows of shape \(5, 8, 8\), .*may have their channels first or last: pass channel_axis",
        ),
        ((3, 8, 3), None, "auto", "pass channel_axis=0 or channel_axis=-1"),
        ((1, 8, 1), None, "auto", r"^X has rows of shape \(1, 8, 1\)"),
        ((1, 1, 3), None, "auto", r"^X has rows of shape \(1, 1, 3\)"),
        ((63,), (3, 7, -1), "auto", r"^input_shape is \(3, 7, 3\), .*pass channel_axis=0 or channel_axis=-1"),
        ((10,), (3, 4), "auto", r"input_shape=\(3, 4\) does not hold the 10 values"),
        ((12,), (-1, -1), "auto", "does not hold the 12 values"),
        ((12,), (5, -1), "auto", "does not hold the 12 values"),
        ((12,), (0, -1), "auto", "does not hold the 12 values"),
        ((12,), (-3, -4), "auto", "does not hold the 12 values"),
        ((12,), (), "auto", "does not hold the 12 values"),
        ((3, 4), (4, 3), "auto", r"input_shape=\(4, 3\) does not fit the rows of X, which have the shape \(3, 4\)"),
        ((12,), (12,), "auto", r"^input_shape is \(12,\), but an image has 2 axes, or 3 with channels"),
        ((2, 2, 2, 2), None, "auto", r"^X has rows of shape \(2, 2, 2, 2\), but an image has 2 axes, or 3"),
        ((12,), 12, "auto", "input_shape must be None or a tuple of integers, got 12"),
        ((12,), (3.0, 4), "auto", "input_shape must be None or a tuple of integers"),
        ((12,), "34", "auto", "input_shape must be None or a tuple of integers"),
        ((8, 8), None, 0, r"^channel_axis=0 needs images with three axes, but X has rows of shape \(8, 8\)"),
        ((8, 8, 3), None, 1, "channel_axis must be 'auto', 0 or -1"),
        ((8, 8, 3), None, None, "channel_axis must be 'auto', 0 or -1"),
        ((8, 8, 3), None, "last", "channel_axis must be 'auto', None or an integer, got 'last'"),
    ],
)
def test_invalid_layouts_raise(row_shape, input_shape, axis, match):
    with pytest.raises((ValueError, TypeError), match=match):
        find_layout(row_shape, input_shape, axis)


@pytest.mark.parametrize(
    ("row_shape", "input_shape", "match"),
    [
        ((10,), None, "^X_target has flattened samples"),
        ((5, 8, 8), None, "^X_target has rows of shape"),
        ((10,), (3, 4), "that a row of X_target has"),
        ((3, 4), (4, 3), "does not fit the rows of X_target"),
    ],
)
def test_messages_name_the_array(row_shape, input_shape, match):
    with pytest.raises(ValueError, match=match):
        find_layout(row_shape, input_shape, "auto", "X_target")


@pytest.mark.parametrize("channel_axis", [0, -1, None])
@pytest.mark.parametrize("flat", [False, True])
def test_arrange_matches_for_tensors(channel_axis, flat):
    shape = {0: (3, 4, 5), -1: (4, 5, 3), None: (4, 5)}[channel_axis]
    X = np.random.default_rng(0).normal(size=(6, 60 if len(shape) == 3 else 20) if flat else (6, *shape))
    layout = find_layout(X.shape[1:], shape, channel_axis)
    T = torch.from_numpy(X)
    np.testing.assert_array_equal(layout.arrange(T).numpy(), layout.arrange(X))
    assert layout.arrange(T).data_ptr() == T.data_ptr()
    back = layout.restore(layout.arrange(T))
    assert torch.equal(back, T)
    assert back.is_contiguous()
