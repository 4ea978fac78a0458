"""TrainingCurveDisplay: epochs, the marker of the best one, scales."""

import pytest
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.plotting import TrainingCurveDisplay


def curves(display):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in display.lines_}


def draw(loss_curve, validation_loss_curve=(), best_epoch=None, **kwargs):
    display = TrainingCurveDisplay(
        loss_curve=loss_curve, validation_loss_curve=validation_loss_curve, best_epoch=best_epoch
    )
    return display.plot(**kwargs)


def test_training_starts_at_epoch_1_and_validation_at_0():
    display = draw([5.0, 4.0], [6.0, 5.5, 5.0], best_epoch=1)
    assert curves(display) == {"training": ([1, 2], [5.0, 4.0]), "validation": ([0, 1, 2], [6.0, 5.5, 5.0])}
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Epoch", "Mean loss per sample")


@pytest.mark.parametrize(
    ("validation", "best_epoch", "at"),
    [([6.0, 5.5, 5.0], 0, (0, 6.0)), ([6.0, 5.5, 5.0], 2, (2, 5.0)), ([], 2, (2, 4.0))],
)
def test_best_epoch_is_marked(validation, best_epoch, at):
    display = draw([5.0, 4.0], validation, best_epoch)
    assert (display.best_.get_xdata().item(), display.best_.get_ydata().item()) == at
    assert display.best_.get_label() == f"weights kept: epoch {best_epoch}"


@pytest.mark.parametrize(("validation", "best_epoch"), [([], 0), ([], None), ([6.0, 5.0, 4.0], None), ([6.0], 7)])
def test_best_epoch_without_value_is_not_marked(validation, best_epoch):
    assert draw([5.0, 4.0], validation, best_epoch).best_ is None


def test_fitted_estimators(autoencoder):
    display = TrainingCurveDisplay.from_estimator(autoencoder)
    assert curves(display) == {
        "training": ([1, 2], autoencoder.loss_curve_),
        "validation": ([0, 1, 2], autoencoder.validation_loss_curve_),
    }
    assert display.best_.get_xdata().item() == autoencoder.best_epoch_


def test_estimators_without_validation(few):
    ae = AutoencoderTransformer(2, max_epochs=1, early_stopping=False, random_state=0).fit(few)
    assert list(curves(TrainingCurveDisplay.from_estimator(ae))) == ["training"]


def test_estimators_without_training(few):
    ae = AutoencoderTransformer(2, max_epochs=0, random_state=0).fit(few)
    display = TrainingCurveDisplay.from_estimator(ae)
    assert list(curves(display)) == ["validation"]
    assert display.lines_[0].get_marker() == "."  # a line of one point would not be seen
    display.figure_.canvas.draw()
    inside = [tick for tick in display.ax_.get_xticks() if -0.5 < tick < 0.5]
    assert inside == [0]  # no fractions of an epoch


@pytest.mark.parametrize(
    ("loss", "scale"),
    [([100.0, 9.0], "log"), ([100.0, 11.0], "linear"), ([100.0, 0.0], "linear"), ([100.0, -1.0], "linear")],
)
def test_wide_ranges_have_log_scale(loss, scale):
    assert draw(loss).ax_.get_yscale() == scale
    assert draw([50.0], loss).ax_.get_yscale() == scale


def test_explicit_scale_and_style(autoencoder):
    display = TrainingCurveDisplay.from_estimator(autoencoder, yscale="log", linestyle=":")
    assert display.ax_.get_yscale() == "log"
    assert {line.get_linestyle() for line in display.lines_} == {":"}


def test_estimator_without_loss_curve_raises(few):
    with pytest.raises(TypeError, match="PCA has no loss_curve_"):
        TrainingCurveDisplay.from_estimator(PCA(2).fit(few))
    with pytest.raises(ValueError, match="both curves are empty"):
        draw([])
