"""Quilts of blocks of maps."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skae._patches.quilting import block_side, quilt, starts


def smooth(seed, size=(24, 26), channels=2):
    noise = np.random.default_rng(seed).normal(size=(channels, *size))
    return np.stack([gaussian_filter(values, 1.0) for values in noise]).astype(np.float32)


def made(size=(20, 24), side=8, seed=0, sources=(0,), **options):
    maps = [smooth(i) for i in sources]
    return quilt(maps, size, side, 0.3, np.random.default_rng(seed), **options), maps


@pytest.mark.parametrize("tile", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (8, 8), (9, 17), (31, 20)])
def test_every_size_is_filled_with_cells_of_sources(size, tile):
    (values, origins), maps = made(size, tile=tile, n_repairs=5)
    assert values.shape == (2, *size)
    source, row, column = origins
    assert source.max() == 0
    assert values.min() >= maps[0].min()
    assert values.max() <= maps[0].max()
    if min(size) > 8:  # in small ones all cells lie on cuts, where two blocks are averaged
        assert np.isclose(values, maps[0][:, row, column]).all(axis=0).mean() > 0.5


@pytest.mark.parametrize("length", range(3, 40, 4))
@pytest.mark.parametrize("tile", [True, False])
def test_blocks_overlap_and_cover_the_whole_length(length, tile):
    side, overlap = block_side(8, 0.3, (length, length), tile=tile)
    first = starts(length, side, overlap, tile=tile)
    covered = np.zeros(length, int)
    for start in first:
        np.add.at(covered, np.arange(start, start + side) % length, 1)
    assert covered.min() >= 1
    if not tile:
        assert first[-1] + side == length
    if len(first) > 1:
        assert np.diff(first).max() <= side - overlap


@pytest.mark.parametrize("n_repairs", [0, 20])
def test_seams_of_a_torus_are_like_those_inside(n_repairs):
    found = np.stack([made((40, 48), seed=seed, n_repairs=n_repairs)[0].values for seed in range(8)])
    for axis in (2, 3):
        steps = np.abs(np.roll(found, -1, axis) - found).mean(axis=(0, 1, 5 - axis))
        assert 0.75 < steps[-1] / steps[:-1].mean() < 1.25


def test_quilt_of_tileable_source_has_no_cost():
    """Of a periodic map there is a quilt without a seam, and it is found."""
    rows, columns = np.indices((40, 40))
    waves = np.stack([np.sin(np.pi * rows / 4), np.cos(np.pi * columns / 4)]).astype(np.float32)
    values, _ = quilt([waves], (32, 32), 10, 0.3, np.random.default_rng(0), tolerance=0.0)
    shift = np.unravel_index(
        min(range(64), key=lambda k: np.abs(np.roll(waves, np.divmod(k, 8), (1, 2))[:, :32, :32] - values).max()),
        (8, 8),
    )
    np.testing.assert_allclose(values, np.roll(waves, shift, (1, 2))[:, :32, :32], atol=1e-5)


def roughness(**options):
    """Mean squared second difference, which seams add to."""
    found = [made((40, 40), seed=seed, **options)[0].values for seed in range(3)]
    return np.mean([np.square(np.diff(values, n=2, axis=axis)).mean() for values in found for axis in (1, 2)])


def test_blocks_fit_better_than_random_ones():
    assert roughness(tolerance=0.0) < roughness(tolerance=1e6)


def test_repairs_make_seams_no_worse():
    assert roughness(n_repairs=40) < roughness()


def test_penalty_on_reuse_spreads_what_is_used():
    def n_used(reuse):
        _, row, column = made((60, 60), reuse=reuse)[0].origins
        return len(np.unique(row * 100 + column))

    assert n_used(1.0) > 1.05 * n_used(0.0)


def test_labels_are_respected_exactly():
    labels = (np.random.default_rng(0).random((5, 5)) < 0.5).astype(int).repeat(6, 0).repeat(6, 1)
    (_, origins), _ = made((30, 30), sources=(0, 1, 2), owners=[0, 1, 1], labels=labels, n_repairs=10)
    np.testing.assert_array_equal(origins[0] > 0, labels == 1)


def test_equal_seeds_give_equal_results():
    first, second, other = (made(seed=seed, reuse=0.1, n_repairs=5)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.origins, second.origins)
    assert (first.origins != other.origins).any()


def test_constant_sources_give_a_constant_quilt():
    values, _ = quilt([np.full((2, 12, 12), 3, np.float32)], (16, 16), 6, 0.3, np.random.default_rng(0), n_repairs=3)
    np.testing.assert_array_equal(values, np.full((2, 16, 16), 3))
