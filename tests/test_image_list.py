"""Images one by one: what is read, in which layout, and which image is refused."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import Dataset

from skae._data.image_list import ImageList, as_image_list, is_image_list

SIZES = [(5, 7), (1, 1), (9, 4)]
DTYPES = ["uint8", "uint16", "float32", "float64", "bool"]


def arrays(shapes, dtype="uint8", seed=0):
    rng = np.random.default_rng(seed)
    return [(255 * rng.random(shape)).astype(dtype) for shape in shapes]


def objects(items):
    X = np.empty(len(items), object)
    X[:] = items
    return X


class Photos(Dataset):
    """Images that are read one by one, with a label or without."""

    def __init__(self, images, labeled):
        self.images, self.labeled, self.n_read = images, labeled, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        self.n_read += 1
        return (self.images[i], i) if self.labeled else self.images[i]


def scanned(X, **options):
    images = as_image_list(X, "X", options.pop("channel_axis", "auto"), nan=options.pop("nan", False))
    images.scan()
    return images


# ------------------------------------------------------------------ what is read

SOURCES = {
    "list": list,
    "tuple": tuple,
    "objects": objects,
    "tensors": lambda images: [torch.from_numpy(image) for image in images],
    "dataset": lambda images: Photos(images, labeled=False),
    "labeled": lambda images: Photos(images, labeled=True),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_images_of_different_sizes_are_read_as_they_are(source, dtype):
    found = arrays(SIZES, dtype)
    X = SOURCES[source](found)
    assert is_image_list(X)
    images = scanned(X)
    assert len(images) == 3
    assert images.shapes == SIZES
    assert (images.dtype, images.n_channels) == (np.dtype(dtype), 1)
    for i, image in enumerate(found):
        assert images[i].dtype == np.dtype(dtype)
        np.testing.assert_array_equal(images[i], image[None])
        np.testing.assert_array_equal(images.restore(images[i]), image)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "I;16", "F", "1"])
def test_pil_images(mode):
    if mode == "I;16":
        found = [Image.fromarray(array) for array in arrays(SIZES, "uint16")]
    else:
        found = [Image.fromarray(array).convert(mode) for array in arrays([(*size, 3) for size in SIZES])]
    assert {image.mode for image in found} == {mode}
    expected = [np.asarray(image.convert("RGB") if mode == "P" else image) for image in found]
    images = scanned(found)
    color = mode in ("RGB", "P")
    assert images.n_channels == (3 if color else 1)
    for i, array in enumerate(expected):
        np.testing.assert_array_equal(images[i], np.moveaxis(array, -1, 0) if color else array[None])
    assert is_image_list(found[0])
    np.testing.assert_array_equal(scanned(found[0])[0], images[0])


def test_collection_of_scikit_image(tmp_path):
    io = pytest.importorskip("skimage.io")
    found = arrays([(*size, 3) for size in SIZES])
    for i, image in enumerate(found):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    X = io.ImageCollection(str(tmp_path / "*.png"), load_func=lambda name: np.asarray(Image.open(name)))
    assert is_image_list(X)
    images = scanned(X)
    for i, image in enumerate(found):
        np.testing.assert_array_equal(images[i], np.moveaxis(image, -1, 0))


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((3, 4, 5)),
        torch.zeros(3, 4, 5),
        [[1.0, 2.0], [3.0, 4.0]],
        [np.zeros(4), np.zeros(5)],
        [],
        "photo.png",
        ["photo.png"],
        {"a": np.zeros((2, 2))},
        None,
        3,
    ],
    ids=repr,
)
def test_arrays_and_names_are_not_image_lists(X):
    assert not is_image_list(X)


def test_images_in_memory_are_read_once(monkeypatch):
    X = Photos(arrays(SIZES), labeled=True)
    images = scanned(X)
    n_read = X.n_read
    assert images.is_held
    assert n_read <= 2 + len(SIZES)  # the first is looked at before
    assert [images.read(i).shape for i in range(3)] == [(1, *size) for size in SIZES]
    assert X.n_read == n_read

    monkeypatch.setattr("skae._data.image_list.hold_budget", lambda: 40)
    X = Photos(arrays(SIZES), labeled=True)
    images = scanned(X)
    assert not images.is_held
    assert images.shapes == SIZES
    n_read = X.n_read
    images.read(1)
    assert X.n_read == n_read + 1


def test_arrays_in_memory_are_not_copied(monkeypatch):
    monkeypatch.setattr("skae._data.image_list.hold_budget", lambda: 1)
    found = arrays(SIZES)
    images = scanned(found)
    assert images.is_held
    assert all(np.shares_memory(images.read(i), found[i]) for i in range(3))


@given(order=st.lists(st.sampled_from([(2, 3), (3, 2), (1, 1)]), min_size=1, max_size=8))
def test_runs_hold_consecutive_images_of_one_size(order):
    images = scanned(arrays(order))
    seen = []
    for index, stack in images.runs():
        assert stack.shape == (len(index), 1, *order[index[0]])
        for i, image in zip(index, stack, strict=True):
            np.testing.assert_array_equal(image, images[i])
        seen.append(index)
    assert list(itertools.chain(*seen)) == list(range(len(order)))
    assert all(order[a[0]] != order[b[0]] for a, b in itertools.pairwise(seen))


def test_runs_are_not_too_long(monkeypatch):
    monkeypatch.setattr("skae._data.image_list._RUN", 13)
    assert [len(index) for index, _ in scanned(arrays([(2, 3)] * 5)).runs()] == [2, 2, 1]


def test_images_of_two_float_dtypes_become_the_wider():
    images = scanned([*arrays(SIZES, "float32"), *arrays(SIZES, "float64")])
    assert images.dtype == np.float64


# ------------------------------------------------------------------ the layout


@pytest.mark.parametrize(
    ("shapes", "channel_axis", "moved"),
    [
        ([(5, 7), (6, 4)], "auto", None),
        ([(5, 7), (6, 4)], None, None),
        ([(5, 7, 3), (6, 4, 3)], "auto", -1),
        ([(3, 5, 7), (3, 6, 4)], "auto", 0),
        ([(5, 7, 2), (6, 4, 2)], -1, -1),
        ([(2, 5, 7), (2, 6, 4)], 0, 0),
        ([(3, 5, 3), (4, 6, 3)], -1, -1),
        ([(5, 7, 4), (6, 4, 4)], "auto", -1),
    ],
)
def test_channels_are_found_or_given(shapes, channel_axis, moved):
    found = arrays(shapes)
    images = scanned(found, channel_axis=channel_axis)
    assert images.layout.channel_axis == moved
    for i, image in enumerate(found):
        expected = image[None] if moved is None else np.moveaxis(image, moved, 0)
        np.testing.assert_array_equal(images[i], expected)
        np.testing.assert_array_equal(images.restore(images[i]), image)


@pytest.mark.parametrize(
    ("shapes", "channel_axis", "match"),
    [
        ([(3, 5, 3), (3, 6, 3)], "auto", r"X\[0\] has the shape \(3, 5, 3\), and such .* pass channel_axis=0 or"),
        ([(6, 5, 2), (6, 6, 2)], "auto", "may have their channels first or last"),
        ([(5, 7), (6, 4)], -1, r"channel_axis=-1 needs images with three axes, but X\[0\] has the shape \(5, 7\)"),
        ([(5, 7, 3)], None, "channel_axis must be 'auto', 0 or -1 for images of shape .* got None"),
    ],
)
def test_layout_that_is_not_clear_is_asked_for(shapes, channel_axis, match):
    with pytest.raises(ValueError, match=match):
        scanned(arrays(shapes), channel_axis=channel_axis)


# ------------------------------------------------------------------ what is refused

GOOD = np.ones((6, 5), np.float32)
COLOR = np.ones((6, 5, 3), np.float32)


def with_value(value):
    image = GOOD.copy()
    image[1, 2] = value
    return image


BAD = [
    ([COLOR, np.ones((6, 5, 4), np.float32)], "X[1] has 4 channels, but X[0] has 3: all images must have the same."),
    ([COLOR, COLOR, GOOD], "X[2] has the shape (6, 5), but X[0] is color: convert all images"),
    ([GOOD, COLOR], "X[1] has the shape (6, 5, 3), but X[0] is gray: convert all images"),
    ([GOOD, with_value(np.nan)], "X[1] contains NaN. Set missing='mask'"),
    ([with_value(np.nan)], "X[0] contains NaN. Set missing='mask'"),
    ([GOOD, GOOD, with_value(np.inf)], "X[2] contains infinity, beyond the range of float32"),
    ([GOOD, with_value(-np.inf)], "X[1] contains infinity, beyond the range of float32"),
    ([GOOD.astype(float), with_value(0).astype(float) + 1e39], "X[1] contains values up to 1e+39"),
    ([GOOD, GOOD.astype(object)], "X[1] must be an image of real numbers, got"),
    ([GOOD, GOOD.astype(str)], "X[1] must be an image of real numbers, got"),
    ([GOOD, GOOD.astype(complex)], "X[1] must be an image of real numbers, got dtype complex128."),
    ([GOOD, np.ones((0, 5), np.float32)], "got an array of shape (0, 5)"),
    ([GOOD, np.ones(5, np.float32)], "X[1] must be an image (height, width), or of three axes with channels, got an"),
    ([GOOD, np.ones((2, 2, 2, 2), np.float32)], "got an array of shape (2, 2, 2, 2)"),
    ([GOOD, None], "X[1] must be an image of real numbers, got a NoneType."),
    ([GOOD, "b.png"], "X[1] must be an image of real numbers"),
    (
        [GOOD, GOOD.astype(np.uint8)],
        "X[1] has the dtype uint8 and X[0] the dtype float32: convert all images to the same",
    ),
    (arrays(SIZES[:1]) + arrays(SIZES[:1], "uint16"), "X[1] has the dtype uint16 and X[0] the dtype uint8"),
]


@pytest.mark.parametrize(("X", "message"), BAD, ids=[message[:40] for _, message in BAD])
@pytest.mark.parametrize("source", ["list", "dataset"])
def test_image_that_cannot_be_used_is_named(X, message, source):
    with pytest.raises(ValueError, match=re.escape(message)):
        scanned(SOURCES[source](X))


def test_empty_list_is_not_an_image_list():
    with pytest.raises(ValueError, match=r"X_val must have at least one image, got none\."):
        ImageList(Photos([], labeled=False), "X_val")


def test_missing_values_are_allowed_where_they_may_be():
    images = scanned([GOOD, with_value(np.nan)], nan=True)
    assert np.isnan(images[1]).sum() == 1
    with pytest.raises(ValueError, match=r"X\[1\] must have at least one value that is not NaN"):
        scanned([GOOD, np.full((3, 3), np.nan, np.float32)], nan=True)
    with pytest.raises(ValueError, match=r"X\[1\] contains infinity"):
        scanned([GOOD, with_value(np.inf)], nan=True)
