"""Nearest patches, and the pictures that are made of them."""

import numpy as np
import pytest
import torch
from sklearn import config_context

from skae._patches.guided import guided_quilt
from skae._patches.search import Collage, Patches, smooth_window
from skae._patches.shares import assign


def random_maps(seed=0, sizes=((12, 15), (9, 11)), n_channels=3):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n_channels, *size)).astype(np.float32) for size in sizes]


def test_nearest_is_that_of_brute_force():
    maps, query = random_maps(), random_maps(1, [(8, 7)])[0]
    patches = Patches(maps, 3)

    def vectors(values):
        return np.lib.stride_tricks.sliding_window_view(values, (3, 3), (1, 2)).transpose(1, 2, 0, 3, 4).reshape(-1, 27)

    all_vectors = np.concatenate([vectors(values) for values in maps])
    expected = ((vectors(query)[:, None] - all_vectors) ** 2).sum(2)
    found, distances = patches.nearest(patches.query(query), 2)
    order = expected.argsort(1)[:, :2]
    np.testing.assert_array_equal(found.sort(1)[0], np.sort(order, 1))
    # All 27 axes are kept, so that distances are exact.
    np.testing.assert_allclose(distances.sort(1)[0], np.take_along_axis(expected, order, 1), rtol=1e-3)
    assert len(patches) == len(all_vectors) == len(patches.places)


def test_search_in_little_memory_is_the_same():
    patches, query = Patches(random_maps(), 3), random_maps(1, [(30, 30)])[0]
    whole = patches.nearest(patches.query(query))[0]
    with config_context(working_memory=0.1):
        np.testing.assert_array_equal(patches.nearest(patches.query(query))[0], whole)


def test_places_name_the_patches():
    maps = random_maps()
    patches = Patches(maps, 3)
    for index in (0, 17, len(patches) - 1):
        source, row, column = patches.places[index].tolist()
        cut = maps[source][:, row : row + 3, column : column + 3]
        assert patches.nearest(patches.query(cut))[0].item() == index


def test_moved_stays_within_a_source():
    patches = Patches(random_maps(), 3)
    index = torch.arange(len(patches))
    for rows, columns in ((0, 1), (-2, 0), (3, -1)):
        found = patches.moved(index, rows, columns)
        there = found >= 0
        shift = patches.places[found[there]] - patches.places[there]
        assert (shift == torch.tensor([0, rows, columns])).all()
        limits = torch.tensor([[10, 13], [7, 9]])[patches.places[:, 0]]
        to = patches.places[:, 1:] + torch.tensor([rows, columns])
        np.testing.assert_array_equal(there, ((to >= 0) & (to < limits)).all(1))


@pytest.mark.parametrize("side", [1, 3, 5])
def test_map_swapped_with_itself_is_itself(side):
    values = random_maps(2, [(11, 14)])[0]
    patches = Patches([values], side)
    query = patches.query(values)
    chosen = patches.coherent(query, patches.nearest(query)[0], patches.grid((11, 14)))
    origins = patches.origins(chosen, (11, 14))
    np.testing.assert_array_equal(origins[1:], np.indices((11, 14)))
    np.testing.assert_allclose(Collage([values]).blend(origins, np.ones(side)), values, rtol=1e-5)


def test_coherent_patches_continue_each_other_more_often():
    # Without structure to follow, regions grow.
    source, flat = random_maps(3, [(30, 30)])[0], np.zeros((3, 20, 20), np.float32)
    patches = Patches([source], 3)
    query = patches.query(flat)
    nearest, _ = patches.nearest(query)
    grid = patches.grid((20, 20))
    chosen = patches.coherent(query, nearest, grid)

    def continued(index):
        return float((patches.moved(index[:, :-1], 0, 1) == index[:, 1:]).float().mean())

    assert continued(nearest.reshape(grid)) == 0
    assert continued(chosen) > 0.3
    assert len(chosen.unique()) > 10


def test_origins_of_cells_at_the_border_continue():
    patches = Patches([random_maps()[0]], 3)
    values = random_maps()[0]
    index = patches.nearest(patches.query(values))[0].reshape(patches.grid(values.shape[1:]))
    np.testing.assert_array_equal(patches.origins(index, (12, 15))[1:], np.indices((12, 15)))


@pytest.mark.parametrize("unit", [1, 2, 4])
def test_collage_of_unmoved_cells_is_the_picture(unit):
    picture = random_maps(4, [(5 * unit, 6 * unit)])[0]
    origins = np.concatenate([np.zeros((1, 5, 6), int), np.indices((5, 6)) * unit])
    found = Collage([picture], unit).blend(origins, smooth_window(unit))
    np.testing.assert_allclose(found, picture, atol=1e-6)


def test_collage_averages_windows():
    sources = [np.zeros((1, 4, 4), np.float32), np.ones((1, 4, 4), np.float32)]
    origins = np.zeros((3, 1, 4), int)
    origins[0, 0, 2:] = 1
    np.testing.assert_allclose(Collage(sources).blend(origins, np.ones(3))[0, 0], [0, 1 / 3, 2 / 3, 1], atol=1e-6)


def test_smooth_windows_sum_to_one():
    window = smooth_window(4)
    np.testing.assert_allclose(window[:4] + window[4:], 1)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.2, 0.8), (0.1, 0.3, 0.6), (0.0, 1.0), (0.25, 0.25, 0.25, 0.25)])
@pytest.mark.parametrize("kind", ["random", "equal"])
def test_shares_are_exact(shares, kind):
    rng = np.random.default_rng(0)
    costs = rng.random((len(shares), 20, 30)) if kind == "random" else np.zeros((len(shares), 20, 30))
    labels = assign(costs, np.broadcast_to(np.array(shares)[:, None, None], costs.shape))
    got = np.bincount(labels.ravel(), minlength=len(shares)) / labels.size
    np.testing.assert_allclose(got, shares, atol=len(shares) / labels.size)


def test_labels_go_where_they_cost_least():
    costs = np.zeros((2, 10, 10))
    costs[1, :, :5] = 1
    labels = assign(costs, np.full((2, 10, 10), 0.5))
    np.testing.assert_array_equal(labels[:, :5], 0)
    np.testing.assert_array_equal(labels[:, 5:], 1)


def test_certain_shares_are_obeyed():
    shares = np.zeros((3, 10, 10))
    shares[0, :3], shares[1, 3:5], shares[2, 5:] = 1, 1, 1
    labels = assign(np.random.default_rng(0).random((3, 10, 10)), shares)
    np.testing.assert_array_equal(labels, shares.argmax(0))


def test_guided_quilt_of_a_map_by_itself_is_itself():
    values = random_maps(5, [(17, 21)])[0]
    patches = Patches([values], 4)
    origins = guided_quilt([values], values, patches, np.random.default_rng(0))
    np.testing.assert_array_equal(origins, np.concatenate([np.zeros((1, 17, 21), int), np.indices((17, 21))]))


@pytest.mark.parametrize("side", [1, 2, 4, 6])
def test_guided_quilt_fills_every_cell(side):
    sources, guide = random_maps(6, [(14, 15), (13, 14)]), random_maps(7, [(9, 13)])[0]
    found = [guided_quilt(sources, guide, Patches(sources, side), np.random.default_rng(s)) for s in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    for source, (height, width) in enumerate([(14, 15), (13, 14)]):
        rows, columns = found[0][1:, found[0][0] == source]
        assert (rows < height).all()
        assert (columns < width).all()
    assert set(np.unique(found[0][0])) <= {0, 1}


def test_guidance_brings_the_quilt_near_to_the_guide():
    sources, guide = random_maps(8, [(40, 40)]), random_maps(9, [(20, 20)])[0]
    patches = Patches(sources, 4)
    errors = []
    for guidance in (0.01, 10):
        s, r, c = guided_quilt(sources, guide, patches, np.random.default_rng(0), guidance=guidance, reuse=0)
        assert (s == 0).all()
        errors.append(np.square(sources[0][:, r, c] - guide).mean())
    assert errors[1] < errors[0]
