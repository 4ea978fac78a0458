"""Convolutional network: shapes, initialization to PCA, layers."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn

from skae.nn import Conv
from skae.nn.conv import _FromRow, _Residual, _ToRow, _Unshuffle

FEW = settings(max_examples=30)

sides = st.integers(1, 40)
shapes = st.tuples(st.integers(1, 5), sides, sides)
small_shapes = st.tuples(st.integers(1, 4), st.integers(1, 11), st.integers(1, 11))
OPTIONS = {
    "channels": st.lists(st.integers(2, 6), min_size=1, max_size=3),
    "kernel_size": st.sampled_from([1, 3, 5]),
    "downsampling": st.sampled_from(["stride", "max_pool", "avg_pool", "unshuffle", None]),
    "upsampling": st.sampled_from(["transpose", "resize", "shuffle"]),
    "normalization": st.sampled_from([None, "batch", "group"]),
    "n_residual_blocks": st.integers(0, 2),
    "activation": st.sampled_from(["silu", "relu", "leaky_relu", "gelu", "elu", "tanh", "identity"]),
    "hidden_layer_sizes": st.lists(st.integers(1, 6), max_size=2),
    "dense": st.booleans(),
    "decoder": st.sampled_from(["mirror", "dense"]),
    "linear_skip": st.booleans(),
}
options = st.fixed_dictionaries(OPTIONS)


pytestmark = pytest.mark.usefixtures("seeded")


def layers(network, kind):
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def images(n, shape, seed=0):
    """Images about a mean that is not 0, their pixels of falling variance."""
    size = math.prod(shape)
    x = np.random.default_rng(seed).normal(size=(n, size)) * 0.8 ** np.arange(size) + np.arange(size) % 7
    return torch.from_numpy(x.reshape(n, *shape)).float()


def disturb(network, seed=0):
    """Give every weight a value, those too that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=generator))
    return network


def halved(shape, n_stages):
    """The sizes that a network passes through."""
    sizes = [tuple(shape[1:])]
    for _ in range(n_stages):
        sizes.append(tuple(math.ceil(side / 2) for side in sizes[-1]))
    return sizes


def sizes_seen(half, function, *args):
    """Height and width of what each layer for images gets, and of the result, without repetitions."""
    seen = []
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.Upsample, nn.PixelShuffle)
    hooks = [
        m.register_forward_pre_hook(lambda m, args: seen.append(tuple(args[0].shape[2:])))
        for m in half.modules()
        if isinstance(m, kinds)
    ]
    seen.append(tuple(function(*args).shape[2:]))
    for hook in hooks:
        hook.remove()
    return [size for size, _ in itertools.groupby(seen) if size]


def code_shape(network, n, width, size=None):
    """Shape of ``width`` channels of code of ``n`` images."""
    if not network.any_size:
        return n, width * network.n_positions
    return n, width, *(math.ceil(side / network.stride) for side in size or network.input_shape[1:])


# ------------------------------------------------------------------ shapes


@given(n=st.integers(2, 3), shape=shapes, k=st.integers(1, 4), wider=st.integers(0, 3), params=options)
@settings(max_examples=60)
def test_output_shape_for_any_size_and_options(n, shape, k, wider, params):
    network = Conv(shape, k, k + wider, **params)
    sizes = halved(shape, len(params["channels"])) if params["downsampling"] else [shape[1:]]
    n_positions = 1 if params["dense"] else math.prod(sizes[-1])
    assert network.n_positions == n_positions
    x = torch.randn(n, *shape)
    for mode in (True, False):
        network.train(mode)
        h = network.encode(x)
        assert h.shape == code_shape(network, n, k + wider)
        assert h.numel() == n * (k + wider) * n_positions
        x_hat = network.decode(torch.randn(code_shape(network, n, k)))
        assert x_hat.shape == x.shape
        assert torch.isfinite(h).all()
        assert torch.isfinite(x_hat).all()


@given(
    shape=shapes,
    n_stages=st.integers(1, 6),
    kernel_size=st.sampled_from([1, 3, 5, 7]),
    downsampling=st.sampled_from(["stride", "max_pool", "avg_pool", "unshuffle"]),
    upsampling=st.sampled_from(["transpose", "resize", "shuffle"]),
    dense=st.booleans(),
)
@FEW
def test_stages_halve_rounding_up_and_decoder_restores_sizes(
    shape, n_stages, kernel_size, downsampling, upsampling, dense
):
    params = {"kernel_size": kernel_size, "downsampling": downsampling, "upsampling": upsampling, "dense": dense}
    network = Conv(shape, 2, channels=(2,) * n_stages, **params)
    expected = halved(shape, n_stages)
    # a convolution sees the half where blocks of pixels have become channels before it
    down = expected[1:] if downsampling == "unshuffle" else expected[: n_stages if dense else None]
    x = torch.randn(1, *shape)
    assert sizes_seen(network.encoder, network.encode, x) == [size for size, _ in itertools.groupby(down)]
    z = torch.randn(code_shape(network, 1, 2))
    back = reversed(expected)
    assert sizes_seen(network.decoder, network.decode, z) == [size for size, _ in itertools.groupby(back)]


@pytest.mark.parametrize("upsampling", ["transpose", "resize", "shuffle"])
def test_no_downsampling_keeps_size(upsampling):
    network = Conv((2, 5, 8), 3, channels=(4, 5), downsampling=None, upsampling=upsampling, dense=False)
    assert network.n_positions == 40
    x = torch.randn(2, 2, 5, 8)
    assert sizes_seen(network.encoder, network.encode, x) == [(5, 8)]
    assert sizes_seen(network.decoder, network.decode, network.encode(x)) == [(5, 8)]
    assert not layers(network, nn.ConvTranspose2d)
    assert not layers(network, nn.Upsample)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 6), (1, 9, 7)])
@pytest.mark.parametrize(("downsampling", "reduce"), [("max_pool", np.max), ("avg_pool", np.mean)])
def test_pooling_at_odd_border_ignores_padding(shape, downsampling, reduce):
    network = Conv(shape, 1, channels=(1,), kernel_size=1, downsampling=downsampling, activation="identity")
    with torch.no_grad():
        network.encoder[0].weight.fill_(1)
        network.encoder[0].bias.zero_()
    x = torch.randn(3, *shape) - 2  # below 0, where padding with zeros would be seen
    with torch.no_grad():
        found = network.encoder[:3](x)[:, 0].numpy()
    for i, j in np.ndindex(found.shape[1:]):
        block = x[:, 0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].flatten(1).numpy()
        np.testing.assert_allclose(found[:, i, j], reduce(block, axis=1), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 5), (1, 7, 9)])
def test_resize_repeats_pixels_and_crops(shape):
    network = only_decoder(shape, "resize")
    with torch.no_grad():
        small = torch.randn(2, 1, *halved(shape, 1)[1])
        found = network.decode(small)
    expected = small.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, : shape[1], : shape[2]]
    torch.testing.assert_close(found, expected)


def only_decoder(shape, upsampling):
    """A network that upsamples its code of one channel and does nothing else."""
    params = {"kernel_size": 1, "activation": "identity", "dense": False, "linear_skip": False}
    network = Conv(shape, 1, channels=(1,), upsampling=upsampling, **params)
    with torch.no_grad():
        for layer in layers(network.decoder, nn.Conv2d):
            layer.weight.fill_(1)
            layer.bias.zero_()
    return network


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 5), (1, 7, 9)])
def test_shuffle_makes_blocks_of_channels_and_crops(shape):
    network = only_decoder(shape, "shuffle")
    with torch.no_grad():
        network.decoder[-2].bias.copy_(torch.arange(4))
        small = torch.randn(2, 1, *halved(shape, 1)[1])
        found = network.decode(small)
    for i, j in np.ndindex(shape[1:]):
        torch.testing.assert_close(found[:, 0, i, j], small[:, 0, i // 2, j // 2] + 2 * (i % 2) + j % 2)


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 6, 5), (2, 7, 9)])
def test_unshuffle_loses_nothing_and_repeats_the_border(shape):
    network = Conv(shape, 1, channels=(1,), downsampling="unshuffle")
    x = torch.randn(3, *shape)
    found = network.encoder[0](x)
    height, width = halved(shape, 1)[1]
    assert found.shape == (3, 8, height, width)
    for i, j in np.ndindex(2 * height, 2 * width):
        pixel = x[:, :, min(i, shape[1] - 1), min(j, shape[2] - 1)]
        assert torch.equal(found.unflatten(1, (2, 4))[:, :, 2 * (i % 2) + j % 2, i // 2, j // 2], pixel)


@pytest.mark.parametrize("dense", [True, False])
def test_numpy_integers_are_accepted(dense):
    params = {"channels": np.array([4, 5]), "kernel_size": np.int64(3), "n_residual_blocks": np.int64(1)}
    network = Conv((3, 7, 6), np.int64(2), np.int64(3), dense=dense, **params)
    assert network.encode(torch.zeros(1, 3, 7, 6)).shape == code_shape(network, 1, 3)
    assert network.decode(torch.zeros(code_shape(network, 1, 2))).shape == (1, 3, 7, 6)
    shape = tuple(np.array([3, 7, 6]))
    assert Conv(shape, 2, dense=dense).encode(torch.zeros(1, 3, 7, 6)).shape == ((1, 2) if dense else (1, 2, 2, 2))


@pytest.mark.parametrize("dense", [True, False])
def test_memory_format_does_not_matter(dense):
    network = disturb(Conv((3, 9, 6), 4, channels=(5, 6), dense=dense, normalization="group")).eval()
    x = torch.randn(4, 3, 9, 6)
    z = network.encode(x)
    copies = [
        x.contiguous(memory_format=torch.channels_last),
        x.permute(3, 0, 2, 1).contiguous().permute(1, 3, 2, 0),
        x.repeat_interleave(2, 0)[::2],
    ]
    assert not any(other.is_contiguous() for other in copies)
    for other in copies:
        torch.testing.assert_close(network.encode(other), z, atol=1e-5, rtol=1e-5)
    codes = z.movedim(0, -1).contiguous().movedim(-1, 0)
    assert not codes.is_contiguous()
    torch.testing.assert_close(network.decode(codes), network.decode(z), atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------ the layers asked for


def kinds(module):
    """The types of the layers in order, those of a residual block in a list of their own."""
    return [kinds(layer) if isinstance(layer, _Residual) else type(layer) for layer in module]


@pytest.mark.parametrize(
    ("normalization", "norm"), [(None, []), ("batch", [nn.BatchNorm2d]), ("group", [nn.GroupNorm])]
)
@pytest.mark.parametrize("n_blocks", [0, 2])
def test_layers_follow_parameters(normalization, norm, n_blocks):
    after = [*norm, nn.ELU]
    block = [*after, nn.Conv2d, *after, nn.Conv2d]
    params = {"normalization": normalization, "n_residual_blocks": n_blocks, "activation": "elu"}
    strided = Conv((3, 8, 8), 2, channels=(4, 6), hidden_layer_sizes=(7,), **params)
    dense = [nn.Linear, nn.ELU, nn.Linear]
    assert kinds(strided.encoder) == [nn.Conv2d, *after, *[block] * n_blocks] * 2 + [_ToRow, *dense]
    assert kinds(strided.decoder) == [
        *dense,
        _FromRow,
        nn.ELU,
        *[block] * n_blocks,
        nn.ConvTranspose2d,
        *after,
        *[block] * n_blocks,
        nn.ConvTranspose2d,
    ]
    pooled = Conv((3, 8, 8), 2, channels=(4,), downsampling="avg_pool", upsampling="resize", dense=False, **params)
    assert kinds(pooled.encoder) == [
        *[nn.Conv2d, *after, nn.AvgPool2d, *[block] * n_blocks],
        nn.Conv2d,
    ]
    assert kinds(pooled.decoder) == [
        *[nn.Identity, nn.Conv2d, nn.ELU],
        *[*[block] * n_blocks, nn.Upsample, nn.Conv2d],
    ]
    shuffled = Conv((3, 8, 8), 2, channels=(4,), downsampling="unshuffle", upsampling="shuffle", dense=False, **params)
    assert kinds(shuffled.encoder) == [_Unshuffle, nn.Conv2d, *after, *[block] * n_blocks, nn.Conv2d]
    assert kinds(shuffled.decoder) == [
        *[nn.Identity, nn.Conv2d, nn.ELU],
        *[*[block] * n_blocks, nn.Conv2d, nn.PixelShuffle],
    ]
    short = Conv((3, 8, 8), 2, channels=(4,), decoder="dense", hidden_layer_sizes=(), downsampling="max_pool", **params)
    assert kinds(short.encoder) == [nn.Conv2d, *after, nn.MaxPool2d, *[block] * n_blocks, _ToRow, nn.Linear]
    assert kinds(short.decoder) == [nn.Linear, nn.Unflatten]


@pytest.mark.parametrize("kernel_size", [1, 5])
def test_channels_and_kernel_size(kernel_size):
    network = Conv((3, 8, 8), 2, channels=(4, 6), kernel_size=kernel_size, n_residual_blocks=1, hidden_layer_sizes=(7,))
    convolutions = layers(network, nn.Conv2d) + layers(network, nn.ConvTranspose2d)
    assert {layer.kernel_size for layer in convolutions} == {(kernel_size, kernel_size)}
    assert [(m.in_channels, m.out_channels) for m in network.encoder if isinstance(m, nn.Conv2d)] == [(3, 4), (4, 6)]
    back = [(m.in_channels, m.out_channels) for m in network.decoder if isinstance(m, nn.ConvTranspose2d)]
    assert back == [(6, 4), (4, 3)]
    widths = [[(m.in_features, m.out_features) for m in layers(half, nn.Linear)] for half in _halves(network)]
    assert widths == [[(24, 7), (7, 2)], [(2, 7), (7, 24)]]


def _halves(network):
    return network.encoder, network.decoder


def test_residual_block_starts_as_identity_and_adds_its_input():
    network = Conv((1, 6, 6), 2, channels=(4,), n_residual_blocks=1, normalization="group")
    for block in layers(network, _Residual):
        x = torch.randn(2, 4, 6, 6)
        torch.testing.assert_close(block(x), x)
    for block in layers(disturb(network), _Residual):
        assert not torch.allclose(block(x), x, atol=1e-3)
        with torch.no_grad():
            block[-1].weight.zero_()
            block[-1].bias.fill_(0.5)
        torch.testing.assert_close(block(x), x + 0.5)


@given(width=st.integers(2, 80))
@settings(max_examples=80)
def test_group_norm_has_at_least_two_channels_per_group(width):
    (norm,) = layers(Conv((1, 2, 2), 1, channels=(width,), normalization="group"), nn.GroupNorm)
    assert width % norm.num_groups == 0
    assert width // norm.num_groups >= 2
    assert norm.num_groups <= 8


@pytest.mark.parametrize("channels", [(1,), (2,), (3,)])
def test_group_norm_of_single_pixel(channels):
    network = Conv((1, 1, 1), 2, channels=channels, normalization="group").eval()
    assert torch.isfinite(network.decode(network.encode(torch.ones(1, 1, 1, 1)))).all()


def test_code_and_output_are_unbounded():
    for dense in (True, False):
        network = Conv((1, 8, 8), 2, activation="tanh", dense=dense, linear_skip=False)
        network = disturb(network)
        z = network.encode(100 * torch.randn(200, 1, 8, 8))
        x_hat = network.decode(100 * torch.randn_like(z))
        for out in (z, x_hat):
            assert out.min() < -1
            assert out.max() > 1


# ------------------------------------------------------------------ the spatial code


@pytest.mark.parametrize("extra", [0, 3])
@pytest.mark.parametrize("decoder", ["mirror", "dense"])
def test_spatial_code_has_channels_and_is_flattened_by_channel_for_a_dense_decoder(decoder, extra):
    network = Conv((2, 9, 5), 3, 3 + extra, channels=(4,), dense=False, decoder=decoder, linear_skip=False)
    assert network.n_positions == 15
    to_code = layers(network.encoder, nn.Conv2d)[-1]
    with torch.no_grad():
        to_code.weight.zero_()
        to_code.bias.copy_(torch.arange(3.0 + extra))
    h = network.encode(torch.randn(2, 2, 9, 5))
    expected = torch.arange(3.0 + extra)[:, None, None].expand(2, -1, 5, 3)
    torch.testing.assert_close(h, expected if decoder == "mirror" else expected.flatten(1))


@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize(
    ("downsampling", "upsampling", "normalization", "n_blocks"),
    [
        ("stride", "transpose", None, 0),
        ("stride", "resize", "batch", 1),
        ("max_pool", "resize", None, 1),
        ("avg_pool", "transpose", "batch", 0),
        ("unshuffle", "shuffle", None, 1),
    ],
)
@pytest.mark.parametrize("n_stages", [1, 2])
def test_spatial_code_is_translation_equivariant(
    kernel_size, downsampling, upsampling, normalization, n_blocks, n_stages
):
    network = Conv(
        (2, 14 * 2**n_stages, 15 * 2**n_stages),
        3,
        channels=(4,) * n_stages,
        kernel_size=kernel_size,
        downsampling=downsampling,
        upsampling=upsampling,
        normalization=normalization,
        n_residual_blocks=n_blocks,
        dense=False,
    )
    disturb(network).eval()
    step, edge = 2**n_stages, 5  # positions that borders reach
    x = torch.randn(2, *network.input_shape)
    moved = x.roll((step, 2 * step), (2, 3))
    with torch.no_grad():
        z, z_moved = (network.encode(image) for image in (x, moved))
        inner = z[:, :, edge : -edge - 1, edge : -edge - 2]
        assert inner.std() > 1e-2
        torch.testing.assert_close(z_moved[:, :, edge + 1 : -edge, edge + 2 : -edge], inner, atol=1e-4, rtol=1e-4)

        code = torch.randn(2, 3, 14, 15)
        out, out_moved = (network.decode(c) for c in (code, code.roll((1, 2), (2, 3))))
    edge *= step
    inner = out[:, :, edge : -edge - step, edge : -edge - 2 * step]
    assert inner.std() > 1e-2
    torch.testing.assert_close(
        out_moved[:, :, edge + step : -edge, edge + 2 * step : -edge], inner, atol=1e-3, rtol=1e-4
    )


# ------------------------------------------------------------------ images of any size


def convolutional(most_stages, most_blocks):
    """Parameters of networks that take images of any size."""
    fixed = {"channels": st.lists(st.integers(2, 4), min_size=1, max_size=most_stages), "dense": st.just(False)}
    fixed["n_residual_blocks"] = st.integers(0, most_blocks)
    names = ["kernel_size", "downsampling", "upsampling", "normalization", "activation", "linear_skip"]
    return st.fixed_dictionaries(fixed | {name: OPTIONS[name] for name in names})


@given(size=st.tuples(sides, sides), built_for=shapes, wider=st.integers(0, 2), params=convolutional(3, 1))
@settings(max_examples=40)
def test_images_of_any_size_are_mapped_as_by_a_network_of_their_size(size, built_for, wider, params):
    network = disturb(Conv(built_for, 2, 2 + wider, **params)).eval()
    own = Conv((built_for[0], *size), 2, 2 + wider, **params).eval()
    own.load_state_dict(network.state_dict())
    assert network.any_size
    assert network.stride == own.stride == (2 ** len(params["channels"]) if params["downsampling"] else 1)
    assert network.halo == own.halo
    x = torch.randn(2, built_for[0], *size)
    with torch.no_grad():
        h = network.encode(x)
        assert h.shape == code_shape(network, 2, 2 + wider, size)
        assert torch.equal(h, own.encode(x))
        x_hat = network.decode(h[:, :2], size)
        assert x_hat.shape == x.shape
        assert torch.isfinite(x_hat).all()
        assert torch.equal(x_hat, own.decode(h[:, :2]))


@given(params=convolutional(2, 1), across=st.integers(1, 5), transposed=st.booleans())
@settings(max_examples=40)
def test_halo_bounds_receptive_field_tightly(params, across, transposed):
    network = Conv((1, 8, 8), 2, **params | {"activation": "silu"})  # which never hides a change
    if params["normalization"] == "group":
        assert network.halo is None
        return
    disturb(network).eval().double()
    halo, stride = network.halo, network.stride
    length, axis = 2 * halo + 2 * stride + 3, 2 if transposed else 3
    x = torch.randn(1, 1, *((length, across) if transposed else (across, length)), dtype=torch.float64)

    def through(x):
        with torch.no_grad():
            return network.decode(network.encode(x), x.shape[2:]).movedim(axis, 0)

    before, reach = through(x), 0
    for cut in range(halo + 1, halo + 1 + stride):
        for beyond in (slice(cut, None), slice(0, cut)):
            other = x.clone()
            other.movedim(axis, 0)[beyond] = torch.randn_like(x.movedim(axis, 0)[beyond])
            change = (through(other) - before).abs().flatten(1).amax(1)
            moved = (change > 1e-12 * before.abs().max()).nonzero()[:, 0]
            first, last = int(moved.min()), int(moved.max())
            reach = max(reach, cut - first if beyond.start else last - cut + 1)
    assert reach <= halo
    assert halo <= 3 * reach + 6 * stride


# ------------------------------------------------------------------ the start


@given(n=st.integers(2, 30), shape=small_shapes, k=st.integers(1, 8), wider=st.integers(0, 3), params=options)
@settings(max_examples=50)
def test_initialization_is_pca(n, shape, k, wider, params):
    params = params | {"dense": True, "linear_skip": True}
    x = images(n, shape, seed=n)
    network = Conv(shape, k, k + wider, **params)
    assert network.init_from(x) is True
    rows = x.flatten(1).double().numpy()
    pca = PCA(min(k, *rows.shape), svd_solver="full").fit(rows)
    expected = pca.inverse_transform(pca.transform(rows)).reshape(x.shape)
    for mode in (True, False):
        network.train(mode)
        with torch.no_grad():
            h = network.encode(x)
            x_hat = network.decode(h[:, :k])
        np.testing.assert_allclose(x_hat.numpy(), expected, atol=1e-3)
        assert float(h[:, min(k, *rows.shape) :].abs().sum()) == 0, "components that the data do not have"


def test_initial_codes_have_unit_mean_square():
    x = 50 * images(200, (3, 5, 4))
    network = Conv((3, 5, 4), 4)
    network.init_from(x)
    z = network.encode(x).detach()
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-3, rtol=0)
    assert float(z.square().sum()) / (199 * 4) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("decoder", ["mirror", "dense"])
def test_convolutional_part_starts_at_zero_and_has_gradients(decoder):
    network = Conv((2, 7, 5), 3, channels=(4, 5), decoder=decoder)
    x = images(20, (2, 7, 5))
    network.init_from(x)
    z = network.encode(x)
    assert torch.equal(z, network.skip.encode(x))
    assert torch.equal(network.decode(z), network.skip.decode(z))
    assert network.encoder[0].weight.abs().sum() > 0, "zero in all layers would never move"
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        (network.decode(network.encode(x)) - x).square().sum(dim=(1, 2, 3)).mean().backward()
        optimizer.step()
    still = [name for name, p in network.named_parameters() if torch.equal(p, before[name])]
    assert still == []


@pytest.mark.parametrize(
    "params",
    [{"linear_skip": False}, {"dense": False, "decoder": "dense"}, {"dense": False, "linear_skip": False}],
)
def test_no_linear_skip_keeps_default_initialization(params):
    network = Conv((2, 7, 5), 3, channels=(4,), **params)
    assert network.skip is None
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert network.init_from(images(20, (2, 7, 5))) is False
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    assert all(p.abs().sum() > 0 for name, p in network.named_parameters())


@given(value=st.sampled_from([0.0, 1.0, -3.25, 1e-30, 250.0]), n=st.integers(1, 4), shape=small_shapes, params=options)
@FEW
def test_constant_images_are_reconstructed_initially(value, n, shape, params):
    x = torch.full((n, *shape), value)
    network = Conv(shape, 2, **params).eval()
    answers = network.init_from(x)
    assert answers == (params["linear_skip"] and (params["dense"] or params["decoder"] == "mirror"))
    x_hat = network.decode(network.encode(x))
    assert torch.isfinite(x_hat).all()
    if answers:
        torch.testing.assert_close(x_hat, x)


@pytest.mark.parametrize("dense", [True, False])
def test_init_from_changes_neither_input_nor_gradients(dense):
    x = images(10, (3, 4, 5))
    before = x.clone()
    network = Conv((3, 4, 5), 2, dense=dense)
    network.init_from(x)
    assert torch.equal(x, before)
    assert all(p.requires_grad and p.grad is None for p in network.parameters())


# ------------------------------------------------------------------ rows and gradients


@given(shape=small_shapes, params=options, seed=st.integers(0, 2**20))
@settings(max_examples=40)
def test_samples_are_independent_in_eval_mode(shape, params, seed):
    network = disturb(Conv(shape, 3, **params), seed)
    x = images(5, shape, seed)
    with torch.no_grad():
        network.encode(x), network.decode(torch.randn(code_shape(network, 5, 3)))  # running statistics move
        network.eval()
        z = network.encode(x)
        x_hat = network.decode(z)
        tolerance = {"rtol": 1e-4, "atol": 1e-4 * float(1 + z.abs().max() + x_hat.abs().max())}
        order = torch.tensor([3, 0, 4, 1, 2])
        torch.testing.assert_close(network.encode(x[order]), z[order], **tolerance)
        for i in range(5):
            torch.testing.assert_close(network.encode(x[i : i + 1]), z[i : i + 1], **tolerance)
            torch.testing.assert_close(network.decode(z[i : i + 1]), x_hat[i : i + 1], **tolerance)


@given(n=st.integers(2, 4), shape=small_shapes, params=options, wider=st.integers(0, 2), constant=st.booleans())
@settings(max_examples=40)
def test_all_gradients_are_finite(n, shape, params, wider, constant):
    network = Conv(shape, 2, 2 + wider, **params)
    x = torch.ones(n, *shape) if constant else images(n, shape)
    network.init_from(x)
    h = network.encode(x)
    code = h[:, :2] if network.any_size else h[:, : 2 * network.n_positions]
    loss = (network.decode(code) - x).square().sum() + h.square().sum()
    loss.backward()
    for name, p in network.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all(), name


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("downsampling", ["stride", "max_pool", "avg_pool", "unshuffle", None])
@pytest.mark.parametrize("upsampling", ["transpose", "resize", "shuffle"])
def test_every_parameter_affects_the_output(dense, downsampling, upsampling):
    params = {"dense": dense, "downsampling": downsampling, "upsampling": upsampling, "n_residual_blocks": 1}
    network = disturb(Conv((2, 7, 10), 3, channels=(4, 5), **params))
    x = torch.randn(4, 2, 7, 10)
    (network.decode(network.encode(x)) - x).square().sum().backward()
    assert [name for name, p in network.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_learns_beyond_pca():
    """A blot at any place is two numbers, and far more components of PCA."""
    centers = 2 + 8 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    grid = torch.arange(13.0)
    distance = (grid[None, :, None] - centers[:, :1, None]) ** 2 + (grid[None, None] - centers[:, 1:, None]) ** 2
    x = torch.exp(-distance / 4)[:, None] * 3
    network = Conv((1, 13, 13), 2, channels=(8, 16), hidden_layer_sizes=(32,))
    network.init_from(x)

    def loss():
        return (network.decode(network.encode(x)) - x).square().sum(dim=(1, 2, 3)).mean()

    start = loss().item()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.6 * start


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"kernel_size": 2}, "kernel_size must be odd, got 2"),
        ({"kernel_size": 0}, "kernel_size == 0, must be >= 1"),
        ({"kernel_size": -3}, "kernel_size == -3, must be >= 1"),
        ({"kernel_size": 3.0}, "kernel_size must be an instance of int"),
        ({"kernel_size": (3, 3)}, "kernel_size must be an instance of int"),
        ({"kernel_size": True}, "kernel_size must be an instance of Integral, not bool"),
        ({"channels": ()}, "channels must hold at least one stage, got an empty sequence"),
        ({"channels": []}, "channels must hold at least one stage, got an empty sequence"),
        ({"channels": 16.0}, "channels must be an integer or a sequence of integers, got 16.0"),
        ({"channels": "16"}, "channels must be an integer or a sequence of integers, got '16'"),
        ({"channels": (4, 0)}, "channels == 0, must be >= 1"),
        ({"channels": (4.0,)}, "channels must be an instance of int"),
        (
            {"downsampling": "pool"},
            "downsampling must be one of 'stride', 'max_pool', 'avg_pool', 'unshuffle', None, got 'pool'",
        ),
        ({"downsampling": False}, "downsampling must be one of"),
        ({"upsampling": None}, "upsampling must be one of 'transpose', 'resize', 'shuffle', got None"),
        ({"normalization": "layer"}, "normalization must be one of None, 'batch', 'group', got 'layer'"),
        ({"n_residual_blocks": -1}, "n_residual_blocks == -1, must be >= 0"),
        ({"n_residual_blocks": 1.5}, "n_residual_blocks must be an instance of int"),
        ({"activation": "swoosh"}, "activation must be one of 'relu', 'leaky_relu'"),
        ({"hidden_layer_sizes": 8.0}, "hidden_layer_sizes must be an integer or a sequence of integers, got 8"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes == 0, must be >= 1"),
        ({"decoder": "linear"}, "decoder must be one of 'mirror', 'dense', got 'linear'"),
        (
            {"input_shape": (8, 8)},
            r"Conv needs images of shape \(channels, height, width\), got rows of shape \(8, 8\)",
        ),
        ({"input_shape": (64,)}, r"got rows of shape \(64,\)\. ConvAutoencoder brings images of any layout"),
        ({"input_shape": (1, 2, 8, 8)}, r"got rows of shape \(1, 2, 8, 8\)"),
    ],
)
def test_invalid_parameters_raise(params, match):
    with pytest.raises((ValueError, TypeError), match=match):
        Conv(**{"input_shape": (1, 8, 8), "n_components": 2} | params)
