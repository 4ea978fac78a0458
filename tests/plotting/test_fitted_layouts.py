"""Displays use the image layout of the fitted estimator."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor
from skae.plotting import ReconstructionDisplay, TraversalDisplay
from skae.plotting._images import fitted_layout

N = 5
RNG = np.random.default_rng(0)
COLOR = RNG.uniform(size=(N, 9, 6, 3))
NARROW = RNG.uniform(size=(N, 8, 3, 3))  # of shape (3, 8, 3) with the channels first
LOW = RNG.uniform(size=(N, 3, 8, 3))  # of shape (3, 8, 3) with the channels last
GRAY = RNG.uniform(size=(N, 12, 3))  # of a sequence's shape


def first(images):
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def flat(images):
    return images.reshape(N, -1)


# Rows of X, the estimator's parameters, and the images as matplotlib wants them.
CASES = {
    "first": (first(COLOR), {}, COLOR),
    "last": (COLOR, {}, COLOR),
    "ambiguous, first": (first(NARROW), {"channel_axis": 0}, NARROW),
    "ambiguous, last": (LOW, {"channel_axis": -1}, LOW),
    "flat, first": (flat(first(COLOR)), {"input_shape": (3, 9, 6)}, COLOR),
    "flat, last": (flat(COLOR), {"input_shape": (9, -1, 3)}, COLOR),
    "flat, ambiguous": (flat(first(NARROW)), {"input_shape": (3, 8, 3), "channel_axis": 0}, NARROW),
    "gray": (GRAY, {}, GRAY),
    "gray, flat": (flat(GRAY), {"input_shape": (12, 3)}, GRAY),
    "gray, one channel": (GRAY[..., None], {"channel_axis": 2}, GRAY),
    "transparency": (np.concatenate([COLOR, np.full((N, 9, 6, 1), 7.0)], axis=-1), {}, COLOR),
}
WRAPS = {
    "itself": lambda ae, X: ae.fit(X),
    "in a Reconstructor": lambda ae, X: Reconstructor(ae).fit(X),
    "in a search": lambda ae, X: search(ae).fit(X),
    "in both": lambda ae, X: Reconstructor(search(ae)).fit(X),
}


def exact(**params):
    """An estimator that reconstructs all of the few images it has seen: PCA with as many components."""
    params = {"module__channels": (3,), "module__hidden_layer_sizes": (), "random_state": 0, **params}
    return ConvAutoencoder(N, max_epochs=0, **params)


def search(estimator):
    return GridSearchCV(estimator, {"n_components": [N]}, cv=[(range(N), range(N))])


def tile(display, row, column, image):
    """What is drawn of one image, in the image's own shape."""
    height, width = image.shape[:2]
    picture = np.asarray(display.im_.get_array())
    drawn = picture[row * (height + 1) :, column * (width + 1) :][:height, :width]
    assert drawn.shape == (height, width, 3)
    return drawn if image.ndim == 3 else drawn[..., 0]


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
@pytest.mark.parametrize("case", CASES)
def test_reconstructions_use_fitted_layout(case, wrap):
    X, params, images = CASES[case]
    estimator = wrap(exact(**params), X)
    display = ReconstructionDisplay.from_estimator(estimator, X, X_target=X, n_samples=4, limits=(0, 1))
    assert (np.asarray(display.im_.get_array()).shape[0] + 1) % 3 == 0
    for row in range(3):
        for column in range(4):
            drawn = tile(display, row, column, images[column])
            np.testing.assert_allclose(drawn, images[column], atol=6e-3, err_msg=f"{row} {column}")


@pytest.mark.parametrize("case", CASES)
def test_traversal_uses_fitted_layout(case):
    X, params, images = CASES[case]
    display = TraversalDisplay.from_estimator(exact(**params).fit(X), X, center=2, n_steps=3)
    display.limits = (0, 1)
    display.plot()
    np.testing.assert_allclose(display.images[1, 1], images[2], atol=2e-3)
    np.testing.assert_allclose(tile(display, 1, 1, images[2]), images[2], atol=6e-3)


def test_plotting_again_gives_same_picture():
    X, params, _ = CASES["flat, ambiguous"]
    display = ReconstructionDisplay.from_estimator(exact(**params).fit(X), X)
    assert (display.input_shape, display.channel_axis) == ((3, 8, 3), 0)
    again = ReconstructionDisplay(
        X=display.X, X_hat=display.X_hat, input_shape=display.input_shape, channel_axis=display.channel_axis
    ).plot()
    np.testing.assert_array_equal(again.im_.get_array(), display.im_.get_array())


@pytest.mark.parametrize(
    ("display", "wrap"),
    [
        (ReconstructionDisplay, WRAPS["itself"]),
        (ReconstructionDisplay, WRAPS["in a Reconstructor"]),
        (TraversalDisplay, WRAPS["itself"]),
    ],
)
def test_explicit_layout_overrides_fitted_one(display, wrap):
    options = {"center": 0, "n_steps": 3} if display is TraversalDisplay else {"limits": (0, 1)}

    def middle(drawn, image):
        if display is ReconstructionDisplay:
            return tile(drawn, 0, 0, image)
        drawn.limits = (0, 1)
        return tile(drawn.plot(), 1, 1, image)

    estimator = wrap(exact(channel_axis=0), LOW)  # taken for images of 8 × 3
    drawn = display.from_estimator(estimator, LOW, channel_axis=-1, **options)
    np.testing.assert_allclose(middle(drawn, LOW[0]), LOW[0], atol=6e-3)
    X = flat(LOW)
    estimator = wrap(exact(input_shape=(6, 12)), X)
    drawn = display.from_estimator(estimator, X, input_shape=(3, 8, 3), channel_axis=-1, **options)
    np.testing.assert_allclose(middle(drawn, LOW[0]), LOW[0], atol=6e-3)
    drawn = display.from_estimator(estimator, X, input_shape=(8, 9), **options)
    np.testing.assert_allclose(middle(drawn, X[0].reshape(8, 9)), X[0].reshape(8, 9), atol=6e-3)
    with pytest.raises(ValueError, match=r"^input_shape is \(3, 8, 3\), .*pass channel_axis"):
        display.from_estimator(estimator, X, input_shape=(3, 8, 3), **options)


def test_sequences_without_input_shape_raise():
    ae = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(GRAY)
    for estimator in (ae, Reconstructor(ae).fit(GRAY)):
        with pytest.raises(ValueError, match=r"^X has rows of shape \(12, 3\), .*pass input_shape=\(12, 3\)"):
            ReconstructionDisplay.from_estimator(estimator, GRAY)
    with pytest.raises(ValueError, match=r"^the decoded X has rows of shape \(12, 3\), .*sequences"):
        TraversalDisplay.from_estimator(ae, GRAY)
    display = ReconstructionDisplay.from_estimator(ae, GRAY, input_shape=(12, 3))
    np.testing.assert_allclose(tile(display, 0, 1, GRAY[1]), GRAY[1], atol=6e-3)


def test_fitted_layout_is_found():
    X = flat(GRAY)
    ae = exact(input_shape=(12, 3)).fit(X)
    assert fitted_layout(ae) is ae.layout_
    assert fitted_layout(Reconstructor(ae)) is None, "not fitted"
    assert fitted_layout(PCA(2).fit(X)) is None
    assert fitted_layout(make_pipeline(PCA(2)).fit(X)) is None
    other = FunctionTransformer().fit(X)
    other.layout_ = "of something else"
    assert fitted_layout(other) is None
