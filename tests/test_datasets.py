"""Synthetic data: all combinations of factors, sampling without replacement."""

import numpy as np
import pytest

from skae.datasets import make_sprites

COUNTS = (3, 4, 6, 12, 12)


@pytest.fixture(scope="module")
def sprites():
    return make_sprites()


def centers(X):
    """The center of mass of each image, (column, row)."""
    mass = X.sum(axis=(1, 2))
    at = np.arange(X.shape[1])
    return X.sum(axis=1) @ at / mass, X.sum(axis=2) @ at / mass


def by_factor(values):
    return values.reshape(*COUNTS, *values.shape[1:])


def test_all_combinations_in_order(sprites):
    X, factors = sprites
    assert X.shape == (10_368, 32, 32)
    assert X.dtype == np.float32
    assert factors.dtype == np.int64
    np.testing.assert_array_equal(np.ravel_multi_index(factors.T, COUNTS), np.arange(10_368))


@pytest.mark.parametrize("size", [16, 33])
@pytest.mark.slow
def test_images_are_unique_and_not_cropped(size):
    X, _ = make_sprites(image_size=size)
    assert X.shape[1:] == (size, size)
    assert (X.min(), X.max()) == (0, 1)
    assert len(np.unique(X.reshape(len(X), -1).round(2), axis=0)) == len(X)
    assert not X[:, [0, -1]].any()
    assert not X[:, :, [0, -1]].any()


def test_positions_are_equally_spaced(sprites):
    x, y = map(by_factor, centers(sprites[0]))
    step = (32 - 2 * (0.22 * 32 + 1.5)) / 11
    np.testing.assert_allclose(np.diff(x, axis=3), step, atol=0.15)
    np.testing.assert_allclose(np.diff(y, axis=4), step, atol=0.15)
    np.testing.assert_allclose(np.diff(x, axis=4), 0, atol=0.15)
    np.testing.assert_allclose(np.diff(y, axis=3), 0, atol=0.15)


def test_area_depends_on_scale_only(sprites):
    area = by_factor(sprites[0].sum(axis=(1, 2)))
    per_scale = area.mean(axis=(2, 3, 4), keepdims=True)
    np.testing.assert_allclose(area / per_scale, 1, atol=0.04)
    np.testing.assert_allclose(per_scale[:, 0] / per_scale[:, -1], 0.55**2, rtol=0.03)


def test_areas_match_shapes():
    X, factors = make_sprites(2000, image_size=64, random_state=0)
    radius = 64 * 0.22
    for shape, expected in ((0, 2 * radius**2), (1, np.pi * radius**2 / 2)):
        area = X[(factors[:, 0] == shape) & (factors[:, 1] == 3)].sum(axis=(1, 2))
        np.testing.assert_allclose(area, expected, rtol=0.01)


def test_rotation_is_counterclockwise():
    X, factors = make_sprites(2000, image_size=64, random_state=0)
    radius = 64 * 0.22
    places = np.linspace(radius + 1.5, 64 - radius - 1.5, 12)
    for shape, end in ((1, 0), (2, -90)):  # where an end of the ellipse and the tip of the heart are at first
        rows = np.flatnonzero((factors[:, 1] == 3) & (factors[:, 0] == shape))
        turn, x, y = factors[rows, 2:].T
        assert set(turn) == set(range(6))
        for off, lit in ((0, True), (-30, False), (30, False)):
            angle = np.deg2rad(end + 15 * turn + off)
            column = (places[x] + 0.8 * radius * np.cos(angle)).astype(int)
            row = (places[y] - 0.8 * radius * np.sin(angle)).astype(int)
            assert ((X[rows, row, column] > 0.5) == lit).all()


def test_squares_are_invariant_to_quarter_turns(sprites):
    square = by_factor(sprites[0])[0, :, :, 5, 5].reshape(4, 6, -1)
    forth, back = np.abs(square[:, 1] - square[:, 0]).sum(axis=1), np.abs(square[:, 5] - square[:, 0]).sum(axis=1)
    np.testing.assert_allclose(forth, back, rtol=0.35)
    assert (np.abs(square[:, 3] - square[:, 0]).sum(axis=1) > forth).all()


def test_random_draw_has_no_duplicates(sprites):
    X, factors = make_sprites(3000, random_state=0)
    rows = np.ravel_multi_index(factors.T, COUNTS)
    assert len(np.unique(rows)) == 3000
    np.testing.assert_array_equal(X, sprites[0][rows])
    again, other = make_sprites(3000, random_state=0)[1], make_sprites(3000, random_state=1)[1]
    np.testing.assert_array_equal(again, factors)
    assert (other != factors).any()
    assert len(np.unique(make_sprites(10_368, random_state=0)[1], axis=0)) == 10_368


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples == 0, must be >= 1"),
        ({"n_samples": 10_369}, ValueError, "n_samples == 10369, must be <= 10368"),
        ({"n_samples": 2.0}, TypeError, "n_samples must be an instance of int"),
        ({"image_size": 15}, ValueError, "image_size == 15, must be >= 16"),
        ({"image_size": True}, TypeError, "image_size must be an instance of"),
    ],
)
def test_invalid_parameters_raise(kwargs, error, message):
    with pytest.raises(error, match=message):
        make_sprites(**kwargs)
