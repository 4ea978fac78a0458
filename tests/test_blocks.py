"""Blocks of maps and their distances."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from skae._patches.blocks import Blocks

RNG = np.random.default_rng(0)
SOURCES = [RNG.normal(size=(3, 9, 12)).astype(np.float32), RNG.normal(size=(3, 7, 6)).astype(np.float32)]


def windows(source, side):
    return sliding_window_view(source, (side, side), axis=(1, 2)).transpose(1, 2, 3, 4, 0).reshape(-1, side, side, 3)


def test_blocks_are_all_windows():
    blocks = Blocks(SOURCES, 4)
    expected = np.concatenate([windows(source, 4) for source in SOURCES])
    np.testing.assert_array_equal([blocks[i] for i in range(len(blocks))], expected)
    for i, (source, row, column) in enumerate(blocks.places):
        np.testing.assert_array_equal(
            blocks[i], np.moveaxis(SOURCES[source][:, row : row + 4, column : column + 4], 0, -1)
        )


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_distances_are_those_written_out(share):
    blocks = Blocks(SOURCES, 4)
    block = RNG.normal(size=(4, 4, 3)).astype(np.float32)
    known = (RNG.random((4, 4)) < share).astype(np.float32)
    errors = np.square(np.concatenate([windows(source, 4) for source in SOURCES]) - block).sum(-1)
    expected = (errors * known).sum((1, 2)) / known.sum()
    np.testing.assert_allclose(blocks.distances(block, known, [0, 1]), expected, rtol=1e-4, atol=1e-4)


def test_distance_to_itself_is_not_negative():
    blocks = Blocks([1000 + SOURCES[0]], 5)
    found = blocks.distances(blocks[17], np.ones((5, 5), np.float32), [0])
    assert found.min() >= 0
    assert found.argmin() == 17


def test_other_sources_are_infinitely_far():
    blocks = Blocks(SOURCES, 4)
    found = blocks.distances(blocks[0], np.ones((4, 4), np.float32), [1])
    np.testing.assert_array_equal(np.isfinite(found), blocks.places[:, 0] == 1)


def test_distances_without_a_known_cell_are_zero():
    blocks = Blocks(SOURCES, 4)
    assert not blocks.distances(blocks[3], np.zeros((4, 4), np.float32), [0, 1]).any()
