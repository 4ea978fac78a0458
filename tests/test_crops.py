"""Crops: where they lie, how they are turned, what is held out, and what is read for them."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from skae._data.crops import AUGMENTATIONS, CropDataset, CropSource
from skae._data.image_list import ImageList


def numbered(shapes, n_channels=1):
    """Images in which every value tells where it is: image, channel, row and column."""
    found = []
    for i, shape in enumerate(shapes):
        c, y, x = np.indices((n_channels, *shape))
        found.append(((i * 4 + c) * 256 + y) * 256 + x)
    return found


def place_of(values):
    """Image, row and column of the pixels of a crop's first channel."""
    return values // 256**2 // 4, values // 256 % 256, values % 256


class Counting:
    """Images that are read one by one; the numbers of those read are kept."""

    def __init__(self, images):
        self.images, self.read = images, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        self.read.append(i)
        return self.images[i]


def listed(images, nothing_held=False):
    found = ImageList(images, channel_axis=0)
    with pytest.MonkeyPatch.context() as patch:
        if nothing_held:
            patch.setattr("skae._data.image_list.hold_budget", lambda: 0)
        found.scan()
    assert found.is_held is not nothing_held
    return found


def source(shapes, size, augmentation=None, targets=None, **params):
    return CropSource(listed(numbered(shapes, 3)), targets, size, augmentation, **params)


def undone(crop, turn):
    """A crop as it lies in its image."""
    crop = np.rot90(crop, -(turn // 2), axes=(1, 2))
    return crop[:, :, ::-1] if turn % 2 else crop


def dataset(crops, n_crops, **params):
    defaults = {"find_target": None, "device": torch.device("cpu")}
    return CropDataset(crops, n_crops, None, standardize=lambda x: x.float(), **defaults | params)


def epoch(data, sizes, seed):
    return list(data.batches(sizes, torch.Generator().manual_seed(seed)))


sides = st.integers(3, 12)
shapes = st.lists(st.tuples(sides, sides), min_size=1, max_size=4)

# ------------------------------------------------------------------ places


@given(
    shapes=shapes, size=st.tuples(st.integers(1, 3), st.integers(1, 3)), n=st.integers(1, 40),
    augmentation=st.sampled_from(list(AUGMENTATIONS)), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40)
def test_crop_is_the_part_of_its_image_turned(shapes, size, n, augmentation, seed):
    size = (size[0], size[0]) if str(augmentation).startswith("flip_rotate") else size
    crops = source(shapes, size, augmentation)
    places = crops.draw(n, np.random.default_rng(seed))
    assert places.shape == (n, 5)
    x, target = crops.cut(places)
    assert target is None
    assert x.shape == (n, 3, *size)
    for crop, (i, top, left, turn, height) in zip(x, places, strict=True):
        width = round(height * size[1] / size[0])
        assert augmentation == "flip_rotate_scale" or height == size[0]
        assert 1 <= height <= 2 * size[0]
        assert 0 <= top <= shapes[i][0] - height
        assert 0 <= left <= shapes[i][1] - width
        whole = crops.images[i][:, top : top + height, left : left + width]
        if height == size[0]:
            np.testing.assert_array_equal(undone(crop, turn), whole)
    again = crops.draw(n, np.random.default_rng(seed))
    np.testing.assert_array_equal(again, places)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_crops_of_another_scale_are_resampled_without_aliasing(dtype):
    rows, columns = np.mgrid[:64, :80]
    wave = (100 + 50 * np.sin(rows / 9) + 50 * np.cos(columns / 11)).astype(dtype)
    stripes = (255 * (columns % 2)).astype(dtype)
    crops = CropSource(listed([wave[None], stripes[None]]), None, (16, 16), "flip_rotate_scale")
    places = crops.draw(200, np.random.default_rng(0))
    x, _ = crops.cut(places)
    assert x.dtype == dtype
    heights = places[:, 4]
    assert heights.min() < 10 < 28 < heights.max() <= 32
    for crop, (i, top, left, turn, height) in zip(x[:, 0], places, strict=True):
        if i == 0:  # smooth: what was between the pixels
            at = (np.arange(16) + 0.5) * height / 16 - 0.5
            expected = 100 + 50 * np.sin((top + at)[:, None] / 9) + 50 * np.cos((left + at) / 11)
            np.testing.assert_allclose(undone(crop[None], turn)[0, 2:-2, 2:-2], expected[2:-2, 2:-2], atol=3)
        elif height >= 30:
            assert np.ptp(crop[2:-2, 2:-2].astype(float)) < 100, "stripes of single pixels become gray"


@given(shapes=shapes, n=st.integers(1, 60), seed=st.integers(0, 99))
def test_every_image_gets_its_share_of_crops_up_to_one(shapes, n, seed):
    crops = source(shapes, (3, 3))
    places = crops.draw(n, np.random.default_rng(seed))
    areas = np.array([(h - 2) * (w - 2) for h, w in shapes])
    counts = np.bincount(places[:, 0], minlength=len(shapes))
    assert (np.abs(counts - n * areas / areas.sum()) <= 1 + 1e-9).all()


@pytest.mark.parametrize("weight", [None, np.array([1.0, 3.0, 0.0])])
def test_positions_are_uniform_times_weight_of_image(weight):
    shapes = [(4, 6), (5, 3), (3, 3)]
    crops = source(shapes, (3, 2), weight=weight)
    rng, n = np.random.default_rng(0), 4000
    places = np.concatenate([crops.draw(20, rng) for _ in range(n // 20)])
    counts = Counter(map(tuple, places[:, :3].tolist()))
    expected = {
        (i, top, left): 1.0 if weight is None else weight[i]
        for i, (h, w) in enumerate(shapes)
        for top in range(h - 2)
        for left in range(w - 1)
    }
    expected = {place: share for place, share in expected.items() if share}
    assert set(counts) == set(expected)
    shares = np.array(list(expected.values()))
    found = [counts[place] for place in expected]
    assert chisquare(found, n * shares / shares.sum()).pvalue > 1e-4


@pytest.mark.parametrize(("augmentation", "n_turns"), [(None, 1), ("flip", 2), ("flip_rotate", 8)])
def test_turns_are_distinct_and_as_likely(augmentation, n_turns):
    crops = source([(2, 2)], (2, 2), augmentation)
    places = crops.draw(800, np.random.default_rng(0))
    x, _ = crops.cut(places)
    views = Counter(crop.tobytes() for crop in x)
    assert len(views) == n_turns
    assert min(views.values()) > 800 / n_turns / 2
    if augmentation == "flip":
        image = crops.images[0]
        assert set(views) == {image.tobytes(), np.ascontiguousarray(image[:, :, ::-1]).tobytes()}


def test_windows_of_half_to_twice_the_size_are_resampled():
    shapes, side = [(40, 60), (10, 30), (8, 8)], 8
    crops = source(shapes, (side, side), "flip_rotate_scale")
    places = crops.draw(600, np.random.default_rng(0))
    for (i, top, left, _, window), (height, width) in zip(places, np.array(shapes)[places[:, 0]], strict=True):
        assert side / 2 <= window <= min(2 * side, height, width), i
        assert 0 <= top <= height - window
        assert 0 <= left <= width - window
    assert places[places[:, 0] == 0, 4].max() > 1.8 * side
    x, _ = crops.cut(places)
    assert x.shape == (600, 3, side, side)
    # Of an image of column numbers the mean of a crop is the center of its window.
    plain = places[places[:, 3] == 0]
    ramps = CropSource(listed([np.tile(np.arange(60.0), (1, 60, 1))] * 3), None, (side, side), "flip_rotate_scale")
    x, _ = ramps.cut(plain)
    np.testing.assert_allclose(x.mean((1, 2, 3)), plain[:, 2] + (plain[:, 4] - 1) / 2, atol=0.05 * side)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resampled_floats_stay_in_their_range(dtype):
    noise = np.random.default_rng(0).choice(np.array([0, 1], dtype), (1, 40, 40))
    noise[0, :8, :8] = np.nan
    images = ImageList([noise], channel_axis=0, nan=True)
    images.scan()
    crops = CropSource(images, None, (16, 16), "flip_rotate_scale")
    x, _ = crops.cut(crops.draw(50, np.random.default_rng(1)))
    known = x[~np.isnan(x)]
    assert x.dtype == dtype
    assert 0.5 < known.size / x.size < 1
    assert (known.min(), known.max()) == (0, 1)
    assert 0.3 < known.mean() < 0.7


def test_resampled_integers_stay_in_their_range():
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (1, 40, 40))
    crops = CropSource(listed([noise]), None, (16, 16), "flip_rotate_scale")
    x, _ = crops.cut(crops.draw(50, np.random.default_rng(1)))
    assert x.dtype == np.uint8
    assert (x == 0).mean() > 0.05, "values beyond the range are clipped, not wrapped"
    means = x.mean((1, 2, 3))
    assert means.min() > 90
    assert means.max() < 165


def test_crops_that_cover_the_images_are_counted():
    assert source([(4, 6), (5, 3)], (3, 2)).n_distinct == math.ceil((24 + 15) / 6)


# ------------------------------------------------------------------ what is held out


def pixels(crops, n=3000):
    """The pixels, (image, row, column), that crops hold."""
    x, _ = crops.cut(crops.draw(n, np.random.default_rng(0)))
    return set(zip(*(part.ravel().tolist() for part in place_of(x[:, 0])), strict=True))


@pytest.mark.parametrize("share", [0.1, 0.34, 0.99])
@pytest.mark.parametrize("n_images", [10, 13])
def test_of_many_images_whole_ones_are_held_out(n_images, share):
    crops = source([(5, 4)] * n_images, (3, 3), "flip")
    trained, held = crops.split(share, np.random.default_rng(0))
    of_trained, of_held = ({image for image, _, _ in pixels(part)} for part in (trained, held))
    assert len(of_held) == min(math.ceil(share * n_images), n_images - 1)
    assert of_trained | of_held == set(range(n_images))
    assert not of_trained & of_held
    other = crops.split(share, np.random.default_rng(1))[1]
    assert share > 0.9 or not np.array_equal(other.regions, held.regions)


@given(
    shapes=st.lists(st.tuples(st.integers(3, 30), st.integers(3, 30)), min_size=1, max_size=3),
    share=st.floats(0.05, 0.5),
)
@settings(max_examples=20)
def test_held_out_strips_of_few_images_are_disjoint(shapes, share):
    crops = source(shapes, (3, 3))
    trained, held = crops.split(share, np.random.default_rng(0))
    if held is None:
        assert all(max(shape) < 6 for shape in shapes)
        assert pixels(trained) == pixels(crops)
        return
    ours, theirs = pixels(trained), pixels(held)
    assert not ours & theirs
    assert {image for image, _, _ in ours} == set(range(len(shapes)))
    for i, (height, width) in enumerate(shapes):
        strip = {(y, x) for image, y, x in theirs if image == i}
        if max(height, width) >= 6:
            least = max(math.ceil(share * max(height, width)), 3)
            assert least == len({place[0 if height >= width else 1] for place in strip}) or not strip
        else:
            assert not strip


# ------------------------------------------------------------------ targets


@pytest.mark.parametrize("augmentation", list(AUGMENTATIONS))
def test_targets_are_cut_at_the_same_places(augmentation):
    images = numbered([(5, 7), (4, 4)], 1)
    crops = CropSource(listed(images), listed([-image for image in images]), (3, 3), augmentation)
    x, target = crops.cut(crops.draw(30, np.random.default_rng(0)))
    np.testing.assert_array_equal(target, -x)


@pytest.mark.parametrize("augmentation", [None, "flip", "flip_rotate"])
def test_targets_of_twice_the_size_show_the_same_part(augmentation):
    images = numbered([(5, 7), (4, 4)], 1)
    larger = [np.repeat(np.repeat(image, 2, 1), 2, 2) for image in images]
    crops = CropSource(listed(images), listed(larger), (3, 3), augmentation)
    x, target = crops.cut(crops.draw(30, np.random.default_rng(0)))
    assert target.shape == (30, 1, 6, 6)
    np.testing.assert_array_equal(target, np.repeat(np.repeat(x, 2, 2), 2, 3))


# ------------------------------------------------------------------ epochs


@pytest.mark.parametrize("nothing_held", [False, True])
def test_every_epoch_has_new_crops_and_equal_generators_give_equal_ones(nothing_held):
    crops = CropSource(listed(Counting(numbered([(30, 31), (25, 40)], 2)), nothing_held), None, (4, 5), "flip")
    data = dataset(crops, 20)
    assert len(data) == 20
    assert data.weight is None
    generator = torch.Generator().manual_seed(3)
    first, second = (list(data.batches([8, 8, 4], generator)) for _ in range(2))
    again = epoch(data, [8, 8, 4], 3)
    assert [tuple(batch.u.shape) for batch in first] == [(8, 2, 4, 5), (8, 2, 4, 5), (4, 2, 4, 5)]
    assert all(batch.y is batch.u for batch in first)
    for batch, same, other in zip(first, again, second, strict=True):
        assert torch.equal(batch.u, same.u)
        assert not torch.equal(batch.u, other.u)


@pytest.mark.parametrize("nothing_held", [False, True])
def test_batches_have_targets_and_conditions_of_their_images(nothing_held):
    images = numbered([(9, 8)] * 5, 1)
    crops = CropSource(listed(Counting(images), nothing_held), listed([image + 0.5 for image in images]), (3, 3), None)
    condition = torch.arange(5.0)[:, None]
    for batch in epoch(dataset(crops, 30, find_target=lambda x: x.double(), condition=condition), [16, 14], 0):
        torch.testing.assert_close(batch.y, batch.u.double() + 0.5)
        numbers, _, _ = place_of(batch.u[:, 0, 0, 0].long())
        assert torch.equal(batch.condition[:, 0].long(), numbers)


def test_images_are_read_once_per_group_of_batches():
    images = Counting(numbered([(9, 8)] * 12, 1))
    crops = CropSource(listed(images, nothing_held=True), None, (3, 3), None)
    images.read.clear()
    data = dataset(crops, 24 * 8)
    epoch(data, [8] * 24, 0)  # three groups of eight batches
    assert set(images.read) == set(range(12))
    assert len(images.read) <= 12 + 2  # those at the border of two groups are read twice


def test_crops_of_images_that_are_read_are_distributed_as_of_those_held():
    shapes = [(4, 6), (5, 3), (3, 4)]
    counts = []
    for nothing_held in (False, True):
        data = dataset(CropSource(listed(Counting(numbered(shapes, 1)), nothing_held), None, (3, 2), None), 400)
        seen = Counter()
        for seed in range(5):
            for batch in epoch(data, [40] * 10, seed):
                seen.update(batch.u[:, 0, 0, 0].long().tolist())
        counts.append(seen)
    assert counts[0] == counts[1], "the same draws, in another order"
    assert len(counts[0]) == 2 * 5 + 3 * 2 + 1 * 3
    assert chisquare(list(counts[0].values())).pvalue > 1e-4


def test_batches_of_images_that_are_read_mix_these():
    crops = CropSource(listed(Counting(numbered([(9, 8)] * 6, 1)), nothing_held=True), None, (3, 3), None)
    for batch in epoch(dataset(crops, 8 * 16), [16] * 8, 0):
        assert len(set(place_of(batch.u[:, 0, 0, 0].long())[0].tolist())) >= 3
