"""Minimum-error cuts."""

import itertools

import numpy as np
import pytest

from skae._patches.cuts import block_weights, min_cut


@pytest.mark.parametrize("seed", range(5))
def test_cut_is_the_cheapest_of_all_paths(seed):
    errors = np.random.default_rng(seed).random((5, 4))
    paths = (
        path
        for path in itertools.product(range(4), repeat=5)
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise(path))
    )
    cheapest = min(paths, key=lambda path: sum(errors[row, column] for row, column in enumerate(path)))
    weights = min_cut(errors)
    np.testing.assert_array_equal((weights == 0.5).argmax(axis=1), cheapest)
    for row, column in zip(weights, cheapest, strict=True):
        np.testing.assert_array_equal(row, [0] * column + [0.5] + [1] * (3 - column))


def test_block_without_overlaps_is_kept_whole():
    assert (block_weights(np.ones((6, 6)), (0, 0, 0, 0)) == 1).all()


@pytest.mark.parametrize(("side", "turn"), [("left", 0), ("bottom", 1), ("right", 2), ("top", 3)])
def test_cut_of_each_side_is_that_of_the_turned_block(side, turn):
    errors = np.random.default_rng(0).random((6, 6))
    widths = {"top": 0, "bottom": 0, "left": 0, "right": 0} | {side: 3}
    found = block_weights(np.rot90(errors, turn), tuple(widths.values()))
    np.testing.assert_array_equal(np.rot90(found, -turn), block_weights(errors, (0, 0, 3, 0)))


def test_weights_outside_of_the_overlaps_are_one():
    weights = block_weights(np.random.default_rng(0).random((9, 9)), (2, 3, 1, 2))
    assert (weights[2:-3, 1:-2] == 1).all()
    assert (weights < 1).any(axis=1).all()
    assert (weights < 1).any(axis=0).all()
