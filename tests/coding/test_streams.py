"""Streams of every version so far decode to the integers that were coded. `make_streams.py` says how they were made."""

import numpy as np
import pytest
import torch
from make_streams import CASES, FILES, integers_in

import skae
from skae._density.whole_numbers import WholeConv2d
from skae.coding import compress, decompress

STORED = sorted(FILES.glob("*.skc"))


def stored(path):
    """The integers that a file holds, and the samples that they were decoded to."""
    with np.load(path.with_suffix(".npz")) as arrays:
        names = sorted(arrays.files, key=lambda name: int(name.rpartition("_")[2]))
        return [[arrays[name] for name in names if name.startswith(kind)] for kind in ("integers", "X_hat")]


def test_every_case_has_its_files():
    """After a new case: run ``make_streams.py`` and keep what it makes."""
    assert {path.stem for path in STORED} == set(CASES)


@pytest.mark.parametrize("way", ["one thread", "two threads", "matrix products"])
@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_streams_decode_to_the_same_integers(path, way, monkeypatch):
    before, n_threads = torch.get_num_threads(), 2 if way == "two threads" else 1
    if way == "matrix products":
        monkeypatch.setattr(WholeConv2d, "__call__", WholeConv2d.by_matmul)
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
    assert all(path.stat().st_size < 400_000 for path in FILES.iterdir())


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_devices_code_and_decode_the_same_integers(path, device):
    est = skae.load(path.with_suffix(".skae"), device=device)
    integers, _ = integers_in(est, path.read_bytes())
    for found, expected in zip(integers, stored(path)[0], strict=True):
        np.testing.assert_array_equal(found, expected)
    again = compress(est, decompress(est, path.read_bytes()), quality=CASES[path.stem][3])
    on_cpu = skae.load(path.with_suffix(".skae"), device="cpu")
    for a, b in zip(integers_in(est, again)[0], integers_in(on_cpu, again)[0], strict=True):
        np.testing.assert_array_equal(a, b)
