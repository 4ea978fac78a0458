"""Behavior common to all displays."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from pictures import Blocks, Colors
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, plotting
from skae._data.arrays import as_array
from skae.plotting import (
    LatentDisplay,
    ReconstructionDisplay,
    StyleDisplay,
    TextureDisplay,
    TrainingCurveDisplay,
    TraversalDisplay,
)

DISPLAYS = [getattr(plotting, name) for name in plotting.__all__]
OF_ROWS = [ReconstructionDisplay, LatentDisplay, TraversalDisplay]


IMAGES = np.random.default_rng(0).random((2, 12, 16, 3))
OF_IMAGES = {TextureDisplay: Blocks().fit(IMAGES), StyleDisplay: Colors().fit(IMAGES)}  # have estimators of their own


def draw(display, estimator, X, **kwargs):
    if display in OF_IMAGES:
        estimator, X = OF_IMAGES[display], IMAGES
    without_x = display in (TextureDisplay, TrainingCurveDisplay)
    return display.from_estimator(estimator, **({} if without_x else {"X": X}), **kwargs)


@pytest.mark.parametrize("display", DISPLAYS)
def test_new_figure_by_default(display, autoencoder, few):
    drawn = draw(display, autoencoder, few)
    assert type(drawn) is display
    assert drawn.figure_ is drawn.ax_.figure
    assert plt.get_fignums() == [drawn.figure_.number]


@pytest.mark.parametrize("display", DISPLAYS)
def test_explicit_axes(display, autoencoder, few, axes):
    drawn = draw(display, autoencoder, few, ax=axes)
    assert drawn.ax_ is axes
    assert axes.has_data()
    assert plt.get_fignums() == [axes.figure.number]


@pytest.mark.parametrize("display", DISPLAYS)
def test_plot_returns_self(display, autoencoder, few, axes):
    drawn = draw(display, autoencoder, few)
    assert drawn.plot(axes) is drawn
    assert drawn.ax_ is axes
    assert drawn.figure_ is axes.figure


@pytest.mark.parametrize("display", DISPLAYS)
def test_unfitted_estimator_raises(display, few):
    unfitted = clone(OF_IMAGES[display]) if display in OF_IMAGES else AutoencoderTransformer(2)
    with pytest.raises(NotFittedError):
        display.from_estimator(unfitted, **({} if display in (TextureDisplay, TrainingCurveDisplay) else {"X": few}))


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.usefixtures("no_matplotlib")
def test_missing_matplotlib_raises(display, autoencoder, few):
    with pytest.raises(ImportError, match=r'pip install "skae\[plot\]"'):
        draw(display, autoencoder, few)


@pytest.mark.parametrize("display", OF_ROWS)
def test_other_estimators_with_inverse_transform(display, pca, few):
    of_pca, of_pipeline = (draw(display, est, few) for est in (pca, make_pipeline(StandardScaler(), pca).fit(few)))
    names = {"images", "points", "X_hat"} & set(vars(of_pca))
    assert names
    for name in names:
        found, scaled = getattr(of_pca, name), getattr(of_pipeline, name)
        assert found.shape == scaled.shape
        assert not np.allclose(found, scaled)


@pytest.mark.parametrize("display", OF_ROWS)
@pytest.mark.parametrize("how", ["gradient", "bfloat16"])
def test_tensors(display, how, autoencoder, few):
    X = torch.tensor(few)  # whole numbers up to 16, which bfloat16 holds
    X = X.float().requires_grad_() if how == "gradient" else X.bfloat16()
    kwargs = {"y": torch.arange(200.0).requires_grad_()} if display is LatentDisplay else {}
    drawn, expected = draw(display, autoencoder, X, **kwargs), draw(display, autoencoder, few)
    names = {"images", "points", "X", "X_hat"} & set(vars(drawn))
    assert names
    for name in names:
        np.testing.assert_allclose(as_array(getattr(drawn, name)), getattr(expected, name), rtol=1e-6, atol=1e-5)


def test_tensor_codes(codes):
    Z = torch.tensor(codes, requires_grad=True)
    np.testing.assert_array_equal(LatentDisplay.from_codes(Z).points, codes)
    assert LatentDisplay.from_codes(Z.bfloat16()).points.shape == codes.shape


@pytest.mark.parametrize("display", OF_ROWS)
def test_dataframes_as_input_and_output(display, few):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(few, columns=[f"pixel {i}" for i in range(64)])
    drawn = draw(display, PCA(3).set_output(transform="pandas").fit(frame), frame)
    expected = draw(display, PCA(3).fit(few), few)
    names = {"images", "points", "X", "X_hat"} & set(vars(drawn))
    assert names
    for name in names:
        np.testing.assert_allclose(getattr(drawn, name), getattr(expected, name))
