"""Tiles cover an image once, and what is computed of them is what is computed of the whole."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context

from skae import nn as networks
from skae._module.autoencoder import Autoencoder
from skae._module.runner import BatchRunner
from skae._module.tiles import Tile, tile_side, tiles
from skae.bottlenecks import Gaussian, Identity
from skae.losses import SquaredError

pytestmark = pytest.mark.usefixtures("seeded")

OPTIONS = {
    "channels": st.lists(st.integers(2, 3), min_size=1, max_size=2),
    "kernel_size": st.sampled_from([1, 3]),
    "downsampling": st.sampled_from(["stride", "max_pool", "avg_pool", "unshuffle", None]),
    "upsampling": st.sampled_from(["transpose", "resize", "shuffle"]),
    "normalization": st.sampled_from([None, "batch"]),
    "n_residual_blocks": st.integers(0, 1),
    "linear_skip": st.booleans(),
    "dense": st.just(False),
}


# ------------------------------------------------------------------ the tiles


@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)), side=st.integers(1, 70),
    stride=st.sampled_from([1, 2, 4, 8]), halo=st.integers(0, 30),
)  # fmt: skip
@settings(max_examples=50)
def test_tiles_cover_pixels_once_with_halo(size, side, stride, halo):
    covered = np.zeros(size, int)
    for tile in tiles(size, side, stride, halo):
        covered[tile.inner] += 1
        for inner, outer, within, end in zip(tile.inner, tile.outer, tile.within, size, strict=True):
            assert outer.start % stride == 0
            assert inner.start % stride == 0
            assert inner.stop % stride == 0 or inner.stop == end
            assert 0 <= outer.start <= max(0, inner.start - halo)
            assert min(end, inner.stop + halo) <= outer.stop <= end
            assert (within.start + outer.start, within.stop + outer.start) == (inner.start, inner.stop)
    assert (covered == 1).all()


@given(size=st.tuples(st.integers(1, 60), st.integers(1, 60)), stride=st.sampled_from([1, 2, 4]))
def test_tiles_of_a_code_cover_every_position_once(size, stride):
    covered = np.zeros([math.ceil(side / stride) for side in size], int)
    for tile in tiles(size, 24, stride, 5):
        covered[tile.coarse(stride).inner] += 1
    assert (covered == 1).all()


def test_positions_of_codes_correspond_to_blocks():
    tile = Tile((slice(4, 19), slice(0, 8)), (slice(8, 19), slice(0, 8)))
    assert tile.coarse(4) == Tile((slice(1, 5), slice(0, 2)), (slice(2, 5), slice(0, 2)))
    assert tile.within == (slice(4, 15), slice(0, 8))


@pytest.mark.parametrize("halo", [0, 7, 100])
@pytest.mark.parametrize("stride", [1, 8])
def test_tiles_fit_into_memory_but_are_not_all_halo(stride, halo):
    with config_context(working_memory=1):
        side = tile_side(1e9, stride, halo)
    assert side % stride == 0
    assert side > max(4 * halo, 64) - stride
    with config_context(working_memory=1024):
        sides = [tile_side(n, stride, halo) for n in (1, 10, 100)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] ** 2 * 4 * 3 <= 2**28


# ------------------------------------------------------------------ tiles against the whole


def build(n_channels, bottleneck=None, target_shape=None, **params):
    """A module of any size whose weights have no pattern."""
    module = Autoencoder(
        networks.Conv, bottleneck or Identity(), SquaredError(), None, input_shape=(n_channels, 8, 8), n_components=2,
        network_params=params | {"dense": False}, mean=np.full((n_channels, 1, 1), 0.5), scale=0.7,
        target_shape=target_shape, target_mean=np.full((1, 1, 1), 0.1), target_scale=1.5,
    )  # fmt: skip
    with torch.no_grad():
        for p in module.network.parameters():
            p.copy_(0.3 * torch.randn(p.shape))
    return module.eval()


def counted(module):
    """The sizes of the images that the network encodes and decodes from now on."""
    seen, encode, decode = [], module.network.encode, module.network.decode
    module.network.encode = lambda x: seen.append(tuple(x.shape[2:])) or encode(x)
    module.network.decode = lambda z, size: seen.append(tuple(size)) or decode(z, size)
    return seen


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * float(1 + expected.abs().max()))


@given(
    n_channels=st.sampled_from([1, 3]), strides=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    odd=st.tuples(st.integers(0, 7), st.integers(0, 7)), params=st.fixed_dictionaries(OPTIONS),
    transposed=st.booleans(),
)  # fmt: skip
@settings(max_examples=12)
def test_tiles_match_whole_image(n_channels, strides, odd, params, transposed):
    module = build(n_channels, **params)
    stride, halo = module.network.stride, module.network.halo
    size = [step * 2 * stride + more + 1 for step, more in zip(strides, odd, strict=True)]
    size[0] += halo + 8  # so that some tiles do not see all of the image
    size = size[::-1] if transposed else size
    x = torch.randn(2, n_channels, *size).numpy()
    target = torch.randn(2, n_channels, *size).numpy()
    runner = BatchRunner(module, "cpu")

    def decode(z, size=size):
        return module.decode(z, size=size)

    def results():
        codes = runner.run(module.encode, x, gives="code")
        yield codes
        yield runner.run(decode, codes.numpy(), gives="image", size=size)
        yield runner.run(module.reconstruct, x, gives="image")
        yield runner.run(module.reconstruction_loss, x, target, gives="sum")
        yield runner.run(module.squared_error, x, target, gives="sum", dtype=torch.float64)

    whole = list(results())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._module.runner.tile_side", lambda *args: 1)
        side = 2 * math.ceil(halo / stride) * stride + 6
        patch.setattr("skae._module.runner.tiles", lambda size, _, *others: tiles(size, side, *others))
        seen = counted(module)
        tiled = list(results())
    assert len(set(seen)) > 1
    for found, expected in zip(tiled, whole, strict=True):
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        close(found, expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (127, 130)])
def test_tiles_in_little_memory_match_whole_image(size):
    module = build(1, channels=(2,), kernel_size=1)
    runner, x = BatchRunner(module, "cpu"), torch.randn(1, 1, *size).numpy()
    whole = runner.run(module.reconstruct, x)
    seen = counted(module)
    with config_context(working_memory=0.1):
        close(runner.run(module.reconstruct, x, gives="image"), whole)
    assert (set(seen) == {size}) is (size == (1, 1))


def test_means_and_deviations_of_posteriors_are_tiled_too(monkeypatch):
    module = build(1, Gaussian(), channels=(3,))
    runner, x = BatchRunner(module, "cpu"), torch.randn(1, 1, 41, 37).numpy()
    whole = runner.run(module.distribution, x, gives="code")
    monkeypatch.setattr("skae._module.runner.tile_side", lambda *args: 2)
    seen = counted(module)
    found = runner.run(module.distribution, x, gives="code")
    assert len(seen) > 1
    close(found, whole)


@pytest.mark.parametrize("side", [5, 14])  # of the images of `fit`; 14 is that of some tiles
def test_missing_values_in_tiles_match_whole_image(monkeypatch, side):
    params = {"network_params": {"dense": False, "channels": (2,), "kernel_size": 1}, "n_components": 2}
    module = Autoencoder(
        networks.Conv, Identity(), SquaredError(), None, missing=True, input_shape=(1, side, side),
        mean=np.arange(float(side**2)).reshape(1, side, side), scale=3.0, **params,
    ).eval()  # fmt: skip
    x = torch.randn(1, 1, 40, 41)
    x[torch.rand(x.shape) < 0.3] = torch.nan
    runner, halo = BatchRunner(module, "cpu"), module.network.halo
    whole = runner.run(module.encode, x.numpy(), gives="code")
    monkeypatch.setattr("skae._module.runner.tile_side", lambda *args: 2 * halo + 2)
    seen = counted(module)
    found = runner.run(module.encode, x.numpy(), gives="code")
    assert len(seen) > 1
    close(found, whole)


@pytest.mark.parametrize("upsampling", ["transpose", "shuffle"])
@pytest.mark.slow
def test_tiles_of_larger_targets_with_other_channels(monkeypatch, upsampling):
    module = build(1, channels=(3,), upsampling=upsampling, target_shape=(3, 16, 16))
    runner = BatchRunner(module, "cpu")
    x, target = torch.randn(1, 1, 41, 37).numpy(), torch.randn(1, 3, 82, 74).numpy()

    def results():
        yield runner.run(module.reconstruct, x, gives="image")
        yield runner.run(module.squared_error, x, target, gives="sum", dtype=torch.float64)

    whole = list(results())
    assert whole[0].shape == target.shape
    monkeypatch.setattr("skae._module.runner.tile_side", lambda *args: 2)
    seen = counted(module)
    for found, expected in zip(results(), whole, strict=True):
        close(found, expected)
    assert len(set(seen)) > 1


@pytest.mark.parametrize("gives", ["code", "image", "sum"])
def test_network_with_group_normalization_is_never_tiled(monkeypatch, gives):
    module = build(1, channels=(4,), normalization="group")
    runner, x = BatchRunner(module, "cpu"), torch.randn(1, 1, 90, 70).numpy()
    monkeypatch.setattr("skae._module.runner.tile_side", lambda *args: 2)
    seen = counted(module)
    function = {"code": module.encode, "image": module.reconstruct, "sum": module.squared_error}[gives]
    runner.run(function, *[x] * (2 if gives == "sum" else 1), gives=gives)
    assert set(seen) == {(90, 70)}


def test_functions_of_the_whole_image_are_not_tiled(monkeypatch):
    module = build(1, channels=(2,))
    monkeypatch.setattr("skae._module.runner.tile_side", lambda *args: 2)
    seen = counted(module)
    BatchRunner(module, "cpu").run(module.encode, torch.randn(1, 1, 60, 50).numpy())
    assert seen == [(60, 50)]
