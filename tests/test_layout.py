"""Layouts: samples are converted to the layout of the network and back without changes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skae._data.images import ImageLayout
from skae._data.layout import NO_LAYOUT, find_sample_layout, layout_of
from skae._data.sequences import SequenceLayout


def find(shape, input_shape=None, channel_axis="auto", **flags):
    flags = {"reads_padding": False, "reads_images": False, "takes_input_shape": True} | flags
    return find_sample_layout(shape, input_shape, channel_axis, **flags)


@given(
    n=st.integers(1, 3),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    channels=st.sampled_from([None, 1, 3, 4]),
    first=st.booleans(),
    flat=st.booleans(),
    tensor=st.booleans(),
)
def test_restore_inverts_arrange_for_images(n, height, width, channels, first, flat, tensor):
    shape = (height, width) if channels is None else (channels, height, width) if first else (height, width, channels)
    axis = None if channels is None else 0 if first else -1
    X = np.arange(n * np.prod(shape), dtype=np.float32).reshape(n, *((-1,) if flat else shape))
    layout = find(X.shape[1:], shape if flat else None, axis, reads_images=True)
    X = torch.from_numpy(X) if tensor else X
    arranged = layout.arrange(X)
    assert arranged.shape == (n, channels or 1, height, width)
    restored = layout.restore(arranged)
    assert type(restored) is type(X)
    np.testing.assert_array_equal(restored, X)


def test_restore_inverts_arrange_for_sequences():
    layout = find((2, 7), channel_axis=0, reads_padding=True)
    assert isinstance(layout, SequenceLayout)
    X = np.random.default_rng(0).normal(size=(3, 2, 7))
    assert layout.arrange(X).shape == (3, 7, 2)
    np.testing.assert_array_equal(layout.restore(layout.arrange(X)), X)
    assert layout.arrange(X[:, :, :4]).shape == (3, 4, 2), "sequences may have any length"


def test_no_layout_returns_its_argument():
    X = np.ones((2, 3))
    assert NO_LAYOUT.arrange(X) is X
    assert NO_LAYOUT.restore(X) is X
    assert not NO_LAYOUT.is_image


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((5,), {}, type(NO_LAYOUT)),
        ((4, 5), {}, type(NO_LAYOUT)),
        ((4, 5), {"reads_images": True}, ImageLayout),
        ((16,), {"reads_images": True}, ImageLayout),
        ((4, 5), {"channel_axis": None}, ImageLayout),
        ((20,), {"input_shape": (4, 5)}, ImageLayout),
        ((4, 5), {"reads_padding": True}, type(NO_LAYOUT)),
        ((4, 5), {"reads_padding": True, "channel_axis": 0}, SequenceLayout),
        ((20,), {"reads_padding": True, "input_shape": (4, 5)}, ImageLayout),
    ],
)
def test_parameters_and_network_choose_the_layout(shape, options, expected):
    assert type(find(shape, **options)) is expected


def test_channel_axis_raises_for_a_table():
    with pytest.raises(ValueError, match=r"channel_axis=0 is for sequences .* table of 4 columns"):
        find((4,), channel_axis=0, takes_input_shape=False)


def test_single_color_image_raises():
    with pytest.raises(ValueError, match="as a single color image has"):
        find((40, 3), reads_images=True)


def test_layout_of_an_estimator_without_one():
    assert layout_of(SimpleNamespace()) is NO_LAYOUT
    layout = ImageLayout((4,), (2, 2), None)
    assert layout_of(SimpleNamespace(layout_=layout)) is layout
