"""What all displays have in common."""

import matplotlib.pyplot as plt
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, plotting
from skae.plotting import LatentDisplay, ReconstructionDisplay, TrainingCurveDisplay, TraversalDisplay

DISPLAYS = [getattr(plotting, name) for name in plotting.__all__]
OF_ROWS = [ReconstructionDisplay, LatentDisplay, TraversalDisplay]


def draw(display, estimator, X, **kwargs):
    return display.from_estimator(estimator, **({} if display is TrainingCurveDisplay else {"X": X}), **kwargs)


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_display_draws_into_a_figure_of_its_own(display, autoencoder, few):
    drawn = draw(display, autoencoder, few)
    assert type(drawn) is display
    assert drawn.figure_ is drawn.ax_.figure
    assert plt.get_fignums() == [drawn.figure_.number]


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_display_draws_where_it_is_told(display, autoencoder, few, axes):
    drawn = draw(display, autoencoder, few, ax=axes)
    assert drawn.ax_ is axes
    assert axes.has_data()
    assert plt.get_fignums() == [axes.figure.number]


@pytest.mark.parametrize("display", DISPLAYS)
def test_plot_draws_again_and_returns_the_display(display, autoencoder, few, axes):
    drawn = draw(display, autoencoder, few)
    assert drawn.plot(axes) is drawn
    assert drawn.ax_ is axes
    assert drawn.figure_ is axes.figure


@pytest.mark.parametrize("display", DISPLAYS)
def test_an_estimator_must_be_fitted(display, few):
    with pytest.raises(NotFittedError):
        draw(display, AutoencoderTransformer(2), few)


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.usefixtures("no_matplotlib")
def test_missing_matplotlib_is_told(display, autoencoder, few):
    with pytest.raises(ImportError, match=r'pip install "skae\[plot\]"'):
        draw(display, autoencoder, few)


@pytest.mark.parametrize("display", OF_ROWS)
def test_any_estimator_that_maps_both_ways_will_do(display, pca, few):
    draw(display, pca, few)
    draw(display, make_pipeline(StandardScaler(), pca).fit(few), few)


@pytest.mark.parametrize("display", OF_ROWS)
def test_rows_of_a_data_frame_and_frames_of_codes(display, few):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(few, columns=[f"pixel {i}" for i in range(64)])
    draw(display, PCA(3).set_output(transform="pandas").fit(frame), frame)
