"""The lapped linear map starts as the PCA of blocks, for images of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from skae import ConvAutoencoder
from skae._data.pca import Samples
from skae.nn import Conv
from skae.nn._block_skip import BlockSkip, pad_to_multiple

pytestmark = pytest.mark.usefixtures("seeded")

sides = st.integers(1, 13)


def textures(n, shape, seed=0):
    """Images whose neighboring pixels are alike, each channel about a mean of its own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, *shape)).cumsum(-1).cumsum(-2)
    x = x / x.std() + np.arange(1, shape[0] + 1)[:, None, None]
    return torch.from_numpy(x).float()


def blocks_of(x, stride):
    """The blocks of images, (n, h, w, channels * stride * stride); the last pixels are repeated to fill them."""
    height, width = x.shape[2:]
    edges = (0, 0), (0, 0), (0, -height % stride), (0, -width % stride)
    x = np.pad(np.asarray(x, np.float64), edges, mode="edge")
    n, c, height, width = x.shape
    x = x.reshape(n, c, height // stride, stride, width // stride, stride)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(n, height // stride, width // stride, -1)


def images_of(blocks, stride, size):
    """Undo `blocks_of`."""
    n, h, w, n_features = blocks.shape
    c = n_features // stride**2
    x = blocks.reshape(n, h, w, c, stride, stride).transpose(0, 3, 1, 4, 2, 5).reshape(n, c, h * stride, w * stride)
    return x[:, :, : size[0], : size[1]]


def block_pca(x, stride, k, seen=None):
    """Images projected on the axes of the PCA of their blocks, about one mean for each channel."""
    blocks = blocks_of(x, stride)
    rows = blocks.reshape(-1, blocks.shape[-1])
    pca = PCA(min(k, *rows.shape), svd_solver="full").fit(rows)
    mean = pca.mean_.reshape(x.shape[1], -1).mean(1).repeat(stride**2)
    seen = x if seen is None else seen
    blocks = blocks_of(seen, stride) - mean
    return images_of(blocks @ pca.components_.T @ pca.components_ + mean, stride, seen.shape[2:]), pca


@given(
    n=st.integers(2, 6), shape=st.tuples(st.integers(1, 3), sides, sides), other=st.tuples(sides, sides),
    stride=st.sampled_from([1, 2, 4]), k=st.integers(1, 6), wider=st.integers(0, 2),
)  # fmt: skip
@settings(max_examples=30)
def test_start_is_block_pca_for_images_of_any_size(n, shape, other, stride, k, wider):
    x, seen = textures(n, shape, seed=n), textures(2, (shape[0], *other), seed=1)
    skip = BlockSkip(shape, k, k + wider, stride)
    skip.init_from(x)
    for images in (x, seen):
        with torch.no_grad():
            h = skip.encode(images)
            found = skip.decode(h[:, :k])[:, :, : images.shape[2], : images.shape[3]]
        assert h.shape == (len(images), k + wider, *(-(-side // stride) for side in images.shape[2:]))
        expected, pca = block_pca(x, stride, k, images)
        if pca.explained_variance_[-1] > 1e-6 * pca.explained_variance_[0]:  # the axes are not arbitrary
            np.testing.assert_allclose(found, expected, atol=1e-3)
        assert float(h[:, pca.n_components_ :].abs().sum()) == 0, "components that the data do not have"


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("downsampling", ["stride", "unshuffle"])
def test_error_of_the_whole_network_is_that_of_block_pca(n_channels, downsampling):
    x = textures(20, (n_channels, 17, 22))
    network = Conv(x.shape[1:], 5, channels=(4, 4), dense=False, downsampling=downsampling)
    assert network.init_from(x) is True
    with torch.no_grad():
        error = (network.decode(network.encode(x)) - x).square().mean()
    expected, pca = block_pca(x, 4, 5)
    assert float(error) == pytest.approx(np.square(expected - x.numpy()).mean(), rel=1e-4)
    # scikit-learn's PCA has one mean for each pixel of a block, which images alike at every place do not need
    rows = blocks_of(x, 4)
    plain = pca.inverse_transform(pca.transform(rows.reshape(-1, rows.shape[-1]))).reshape(rows.shape)
    assert float(error) == pytest.approx(np.square(images_of(plain, 4, x.shape[2:]) - x.numpy()).mean(), rel=0.02)


@given(shape=st.tuples(st.integers(1, 3), sides, sides), stride=st.sampled_from([1, 2, 4]))
@settings(max_examples=20)
def test_complete_code_is_the_identity(shape, stride):
    k = shape[0] * stride**2
    skip, x = BlockSkip((shape[0], 2 * stride, 2 * stride), k, k, stride), textures(3, shape)
    skip.init_from(torch.randn(40, *skip.image_shape))
    with torch.no_grad():
        found = skip.decode(skip.encode(x))[:, :, : shape[1], : shape[2]]
    torch.testing.assert_close(found, x, atol=1e-3, rtol=1e-3)


def test_codes_have_unit_mean_square():
    x = textures(50, (2, 12, 16))
    x = 30 * (x - x.mean((0, 2, 3), keepdim=True))
    skip = BlockSkip(x.shape[1:], 3, 3, 4)
    skip.init_from(x)
    assert float(skip.encode(x).detach().square().mean()) == pytest.approx(1, rel=1e-2)


def test_weights_of_images_repeat_them():
    x = textures(5, (2, 9, 6))
    weight = torch.tensor([2.0, 1, 0, 1, 1])
    weighted, repeated = (BlockSkip(x.shape[1:], 3, 3, 2) for _ in range(2))
    weighted.init_from(Samples.of(x, weight))
    repeated.init_from(x[[0, 0, 1, 3, 4]])
    with torch.no_grad():
        found, expected = (skip.decode(skip.encode(x)) for skip in (weighted, repeated))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_windows_overlap_by_half_and_start_as_blocks():
    skip = BlockSkip((1, 8, 8), 2, 2, 4)
    assert skip.encoder.weight.shape == (2, 8 * 8)
    skip.init_from(textures(9, (1, 8, 8)))
    for weight in (skip.encoder.weight, skip.decoder.weight.T):
        window = weight.detach().reshape(2, 8, 8)
        assert (window[:, 2:6, 2:6] != 0).all()
        assert window.count_nonzero() == 2 * 4 * 4


@given(height=sides, width=sides, stride=st.integers(1, 9))
def test_border_is_repeated_up_to_a_multiple_of_the_stride(height, width, stride):
    x = torch.randn(2, 1, height, width)
    found = pad_to_multiple(x, stride)
    edges = (0, 0), (0, 0), (0, -height % stride), (0, -width % stride)
    np.testing.assert_array_equal(found, np.pad(x.numpy(), edges, mode="edge"))


@pytest.mark.parametrize(("shape", "channel_axis"), [((12, 14), None), ((13, 11, 3), -1)])
def test_error_is_at_most_that_of_block_pca(shape, channel_axis):
    n_channels = 1 if channel_axis is None else 3
    x = textures(60, (n_channels, *shape[:2]))
    X = x.numpy()[:, 0] if channel_axis is None else np.moveaxis(x.numpy(), 1, -1)
    params = {"module__dense": False, "module__channels": (4, 4), "channel_axis": channel_axis, "random_state": 0}
    start = ConvAutoencoder(4, max_epochs=0, early_stopping=False, **params).fit(X)
    expected, _ = block_pca(x, 4, 4)
    error = np.square(start.reconstruct(X) - X).mean()
    assert error == pytest.approx(np.square(expected - x.numpy()).mean(), rel=1e-3)
    trained = ConvAutoencoder(4, max_epochs=4, lr=1e-2, **params).fit(X)
    curve = trained.validation_loss_curve_
    assert curve[trained.best_epoch_] == min(curve) <= curve[0]
