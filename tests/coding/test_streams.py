"""Streams of every version so far decode to the integers that were coded. `make_streams.py` says how they were made."""

import numpy as np
import pytest
import torch
from make_streams import CASES, FILES, integers_in

import skae

STORED = sorted(FILES.glob("*.skc"))


def stored(path):
    """The integers that a file holds, and the samples that they were decoded to."""
    with np.load(path.with_suffix(".npz")) as arrays:
        names = sorted(arrays.files, key=lambda name: int(name.rpartition("_")[2]))
        return ([arrays[name] for name in names if name.startswith(kind)] for kind in ("integers", "X_hat"))


def test_every_case_has_its_files():
    """After a new case: run ``make_streams.py`` and keep what it makes."""
    assert {path.stem for path in STORED} == set(CASES)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_streams_decode_to_the_same_integers(path, n_threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        integers, images = integers_in(skae.load(path.with_suffix(".skae")), path.read_bytes())
    finally:
        torch.set_num_threads(before)
    wanted, X_hat = stored(path)
    for found, expected in zip(integers, wanted, strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(images, X_hat, strict=True):  # another processor may add in another order
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1.01 if found.dtype.kind == "u" else 1e-3)


def test_stored_streams_are_small():
    assert all(path.stat().st_size < 60_000 for path in FILES.iterdir())
