"""Conditional VAEGenerator: classes and real targets, samples and likelihoods."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.exceptions import DataConversionWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Reconstructor, VAEGenerator


def small(n_components=2, **params):
    """An estimator that trains in a fraction of a second."""
    defaults = {"max_epochs": 3, "early_stopping": False, "random_state": 0, "conditional": True}
    if params.get("module", "mlp") == "mlp":
        defaults["module__hidden_layer_sizes"] = (32,)
    return VAEGenerator(n_components, **defaults | params)


@pytest.fixture(scope="module")
def labels():
    return load_digits().target[:400]


@pytest.fixture(scope="module")
def few(digits):
    return digits[:400]


@pytest.fixture(scope="module")
def vae(few, labels):
    return small(4, max_epochs=30).fit(few, labels)


@pytest.fixture(scope="module")
def groups():
    """Rows of three classes, of which there are 60, 30 and 10 in 100, whose means are 0, 10 and 20."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [120, 60, 20])
    return rng.normal(size=(200, 5)) + 10 * y[:, None], y


@pytest.fixture(scope="module")
def slope():
    """Rows whose first feature is a target, and whose second is minus its square."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, 400)
    X = np.stack([t, -(t**2), rng.normal(size=400), t + rng.normal(size=400)], 1)
    return X + 0.1 * rng.normal(size=(400, 4)), t


# ------------------------------------------------------------------ any classes

NAMES = {
    "ints": lambda y: y * 7 - 3,
    "floats": lambda y: y * 2.0,
    "strings": lambda y: np.array(["ant", "bumblebee", "cat"])[y],
    "objects": lambda y: np.array(["ant", "bumblebee", "cat"], dtype=object)[y],
    "list": lambda y: [("ant", "bumblebee", "cat")[i] for i in y],
    "series": lambda y: pd.Series(y, index=np.arange(len(y))[::-1], name="kind"),
    "string series": lambda y: pd.Series(np.array(["ant", "bumblebee", "cat"])[y], dtype="string"),
    "category": lambda y: pd.Series(np.array(["ant", "bumblebee", "cat"])[y]).astype("category"),
    "uint8": lambda y: y.astype(np.uint8),
}


@pytest.mark.parametrize("name", NAMES)
def test_class_labels_of_any_type(groups, name):
    X, index = groups
    y = NAMES[name](index)
    vae, reference = small().fit(X, y), small().fit(X, index)
    classes = np.unique(np.asarray(y))
    assert vae.classes_.tolist() == classes.tolist()
    assert len(vae.prior_) == 3
    for i, label in enumerate(vae.classes_):
        rows = vae.sample(5, random_state=0, y=label)
        np.testing.assert_array_equal(rows, reference.sample(5, random_state=0, y=i))
        assert rows.mean() == pytest.approx(10 * i, abs=1.5)
    np.testing.assert_array_equal(vae.score_samples(X, y), reference.score_samples(X, index))
    np.testing.assert_array_equal(vae.reconstruct(X, y), reference.reconstruct(X, index))
    np.testing.assert_array_equal(vae.sample(random_state=0, y=y), reference.sample(random_state=0, y=index))
    np.testing.assert_array_equal(vae.sample(3, random_state=0), reference.sample(3, random_state=0))


def test_boolean_classes(groups):
    X, y = groups
    vae = small().fit(X, y > 0)
    assert vae.classes_.tolist() == [False, True]
    assert vae.sample(50, y=True, random_state=0).mean() > 8 > 2 > abs(vae.sample(50, y=False, random_state=0).mean())
    assert vae.sample(y=[True, False, np.True_]).shape == (3, 5)


def test_single_class(groups):
    X, _ = groups
    vae = small().fit(X, np.full(200, "only"))
    assert vae.sample(4, random_state=0).shape == (4, 5)
    np.testing.assert_allclose(vae.score_samples(X), vae.score_samples(X, ["only"] * 200), rtol=1e-6)


def test_explicit_condition_type(groups):
    X, y = groups
    assert not hasattr(small(conditional="targets").fit(X, y), "classes_")
    assert small(conditional="classes").fit(X, y).classes_.tolist() == [0, 1, 2]
    assert small().fit(X, y.astype(float)).classes_.tolist() == [0, 1, 2]
    assert not hasattr(small().fit(X, y + 0.5), "classes_")
    assert small(conditional="classes").fit(X, y + 0.5).classes_.tolist() == [0.5, 1.5, 2.5]
    vae = small().fit(X, y)
    assert not hasattr(vae.set_params(conditional="targets").fit(X, y), "classes_"), "those of the fit before are gone"
    with pytest.raises(ValueError, match=r"could not convert|float"):
        small(conditional="targets").fit(X, np.array(["a", "b", "c"])[y])


@pytest.mark.filterwarnings("default::sklearn.exceptions.DataConversionWarning")
def test_column_of_classes_warns(groups):
    X, y = groups
    with pytest.warns(DataConversionWarning):
        vae = small().fit(X, y[:, None])
    assert vae.classes_.tolist() == [0, 1, 2]


# ------------------------------------------------------------------ what is asked for, and what is refused


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensor_as_x_val_raises(groups, unchanged):
    X, y = groups
    nested = torch.nested.nested_tensor([torch.ones(4), torch.ones(3)])  # has no shape to ask for
    vae = small(conditional=True)
    unchanged(vae, lambda: vae.fit(X, y, X_val=nested, y_val=y[:2]), TypeError, "got one that is nested")


@pytest.mark.parametrize("conditional", [True, "classes", "targets"])
def test_fit_requires_y(groups, unchanged, conditional):
    X, y = groups
    vae = small(conditional=conditional)
    for call in (lambda: vae.fit(X), lambda: vae.partial_fit(X), lambda: vae.fit_transform(X)):
        unchanged(vae, call, ValueError, "requires y to be passed")
    unchanged(vae, lambda: vae.fit(X, y[:-1]), ValueError, "inconsistent numbers of samples")
    unchanged(vae, lambda: vae.fit(X, y, X_val=X[:20]), ValueError, "X_val and y_val are both needed")
    unchanged(vae, lambda: vae.fit(X, y, y_val=y[:20]), ValueError, "X_val and y_val are both needed")
    unchanged(vae, lambda: vae.fit(X, y, X_val=X[:20], y_val=y[:3]), ValueError, "inconsistent numbers of samples")
    with np.errstate(invalid="ignore"):  # which scikit-learn meets in telling classes from targets
        unchanged(vae, lambda: vae.fit(X, np.where(y == 1, np.nan, y)), ValueError, "NaN")


def test_invalid_y_leaves_estimator_unchanged(groups, unchanged):
    X, y = groups
    vae = small().fit(X, y)
    unchanged(vae, lambda: vae.fit(X), ValueError, "requires y")
    unchanged(vae, lambda: vae.fit(X, y[:3]), ValueError, "inconsistent")
    unchanged(
        vae,
        lambda: vae.partial_fit(X, y + 1),
        ValueError,
        r"y must contain only classes seen in fit, \[0, 1, 2\], got .*3",
    )
    unchanged(vae, lambda: vae.fit(X, y, X_val=X, y_val=y + 1), ValueError, "y must contain only classes seen in fit")
    vae.set_params(warm_start=True)
    unchanged(vae, lambda: vae.fit(X, y + 1), ValueError, "y must contain only classes seen in fit")
    assert vae.sample(2, y=2, random_state=0).mean() > 15


@pytest.mark.parametrize("unknown", [3, -1, 1.5, "cat", "0"])
def test_unseen_classes_raise(groups, unknown):
    X, y = groups
    vae = small().fit(X, y)
    for call in (
        lambda: vae.sample(2, y=unknown),
        lambda: vae.sample(y=[unknown]),
        lambda: vae.inverse_transform(np.zeros((2, 2)), y=unknown),
        lambda: vae.reconstruct(X, unknown),
        lambda: vae.score_samples(X[:1], [unknown]),
        lambda: vae.interpolate(X[:2], X[2:4], y=unknown),
        lambda: vae.sample_posterior(X[:2], unknown),
    ):
        with pytest.raises(ValueError, match=r"y must contain only classes seen in fit, \[0, 1, 2\], got"):
            call()


def test_unseen_string_class_raises(groups):
    X, y = groups
    vae = small().fit(X, np.array(["ant", "bee", "cat"])[y])
    for unknown in ("dog", "catfish", 1):
        with pytest.raises(ValueError, match=r"y must contain only classes seen in fit, .*'cat'.*got"):
            vae.sample(2, y=unknown)


def test_wrong_length_of_y_raises(groups):
    X, y = groups
    vae = small().fit(X, y)
    assert vae.sample(3, y=[0, 1, 2]).shape == (3, 5)
    assert vae.sample(y=[0, 1, 2]).shape == (3, 5)
    assert vae.sample(3, y=[1, 1, 1]).shape == (3, 5)
    assert vae.sample(y=1).shape == (1, 5)
    assert vae.sample(y=[1]).shape == (1, 5)
    assert vae.sample(y=pd.Series([2, 1], index=[5, 6])).shape == (2, 5)
    for call in (
        lambda: vae.sample(2, y=[0, 1, 2]),
        lambda: vae.sample(5, y=[0, 1, 2]),
        lambda: vae.sample(y=[]),
        lambda: vae.reconstruct(X, [0, 1]),
        lambda: vae.inverse_transform(np.zeros((3, 2)), [0, 1]),
        lambda: vae.score_samples(X[:3], [0, 1]),
        lambda: vae.interpolate(X[:3], X[3:6], y=[0, 1]),
    ):
        with pytest.raises(ValueError, match=r"y must have one entry for all .* samples or one for each"):
            call()
    for call in (lambda: vae.inverse_transform(np.zeros((3, 2))), lambda: vae.interpolate(X[:3], X[3:6])):
        with pytest.raises(ValueError, match="pass y"):
            call()


# ------------------------------------------------------------------ what y does


def test_samples_belong_to_their_class(groups):
    X, y = groups
    vae = small().fit(X, y)
    rows = vae.sample(random_state=0, y=np.tile([0, 1, 2], 100)).reshape(100, 3, 5)
    np.testing.assert_allclose(rows.mean((0, 2)), [0, 10, 20], atol=1.0)
    noisy = vae.sample(random_state=0, y=np.tile([0, 1, 2], 100), noisy=True).reshape(100, 3, 5)
    np.testing.assert_allclose(noisy.mean((0, 2)), [0, 10, 20], atol=1.0)
    assert noisy[:, 0].std(0).mean() == pytest.approx(1, abs=0.6)


def test_sample_without_y_has_class_frequencies_of_fit(groups):
    X, y = groups
    vae = small().fit(X, y)
    rows = vae.sample(2000, random_state=0).mean(1)
    shares = np.histogram(rows, [-np.inf, 5, 15, np.inf])[0] / 2000
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.03)


def test_weights_affect_class_frequencies(groups):
    X, y = groups
    weight = np.array([1.0, 6.0, 1.0])[y]
    weight[y == 2] = 0
    vae = small().fit(X, y, sample_weight=weight)
    rows = vae.sample(1000, random_state=0).mean(1)
    shares = np.histogram(rows, [-np.inf, 5, 15, np.inf])[0] / 1000
    np.testing.assert_allclose(shares, [0.25, 0.75, 0], atol=0.05)
    assert vae.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"Class 2 had no rows|no rows to learn from"):
        vae.sample(2, y=2)
    assert np.isfinite(vae.score_samples(X)).all()


def test_zero_weight_targets_are_ignored(slope):
    X, t = slope
    far, t_far = np.vstack([X, X + 100]), np.r_[t, t + 1e3]
    vae = small(3).fit(far, t_far, sample_weight=np.r_[np.ones(400), np.zeros(400)])
    assert np.abs(vae.sample(300, random_state=0)).max() < 30


@pytest.mark.slow
def test_samples_are_most_likely_under_their_class(vae, digits):
    X, y = digits[400:700], load_digits().target[400:700]
    bounds = np.stack([vae.score_samples(X, c) for c in range(10)], axis=1)
    assert (bounds.argmax(1) == y).mean() > 0.5
    np.testing.assert_allclose(vae.score_samples(X, y), bounds[np.arange(300), y], rtol=1e-4)
    shares = np.bincount(load_digits().target[:400]) / 400
    np.testing.assert_allclose(vae.score_samples(X), logsumexp(bounds + np.log(shares), axis=1), rtol=1e-4)
    assert vae.score(X, y) == pytest.approx(vae.score_samples(X, y).mean(), rel=1e-4)
    assert vae.score(X) == pytest.approx(vae.score_samples(X).mean(), rel=1e-4)
    assert vae.score(X, n_importance_samples=3) != vae.score(X)


def test_reconstruction_without_y_uses_likeliest_class(vae, few, labels):
    bounds = np.stack([vae.score_samples(few, c) for c in range(10)], axis=1)
    np.testing.assert_allclose(vae.reconstruct(few), vae.reconstruct(few, bounds.argmax(1)), atol=1e-4)
    code = vae.transform(few)
    np.testing.assert_allclose(vae.inverse_transform(code, labels), vae.reconstruct(few, labels), atol=1e-3)
    assert not np.allclose(vae.reconstruct(few, 3), vae.reconstruct(few, 8), atol=0.5), "one class for all rows"


def test_code_does_not_contain_class(vae, few, labels):
    turned = vae.inverse_transform(vae.transform(few[labels == 0]), y=1)
    assert (np.stack([vae.score_samples(turned, c) for c in (0, 1)], 1).argmax(1) == 1).mean() > 0.8


def test_class_with_single_sample(groups):
    X, y = groups
    y = y.copy()
    y[-1] = 3
    for params in ({}, {"bottleneck": "mmd"}, {"prior": KernelDensity()}, {"prior": None}):
        rows = small(**params).fit(X, y).sample(5, y=3, random_state=0)
        assert rows.shape == (5, 5)
        assert np.isfinite(rows).all()


def test_samples_of_single_sample_class_vary():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2500, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(2500, 8))
    y = np.r_[np.zeros(2499, int), 1]
    vae = small(3, max_epochs=1).fit(X, y)
    rows = vae.sample(300, y=1, random_state=0)
    draws = vae.sample_posterior(X[-1:], y[-1:], n_draws=300, random_state=0)[:, 0]
    assert rows.std(0).mean() > 0.5 * draws.std(0).mean()


def test_prior_too_large_for_class_raises(groups):
    X, y = groups
    with pytest.raises(ValueError, match=r"could not be fitted to the codes of \d\d rows: .*n_components = 30"):
        # A plain code is one draw of each row.
        small(bottleneck="identity", loss="squared_error", prior=GaussianMixture(30)).fit(X, y)


# ------------------------------------------------------------------ real targets


@pytest.mark.parametrize("prior", ["mixture", None, GaussianMixture(4), KernelDensity(), GaussianMixture])
def test_samples_follow_their_targets(slope, prior):
    X, t = slope
    vae = small(3, prior=prior, max_epochs=30, lr=1e-2).fit(X, t)
    wanted = np.linspace(-1.5, 1.5, 300)
    for rows in (vae.sample(y=wanted, random_state=0), vae.sample(300, y=wanted, random_state=0)):
        assert rows.shape == (300, 4)
        assert np.corrcoef(rows[:, 0], wanted)[0, 1] > 0.9
    assert (
        vae.sample(200, y=1.5, random_state=0)[:, 0].mean()
        > 0.7
        > -0.7
        > (vae.sample(200, y=-1.5, random_state=0)[:, 0].mean())
    )
    assert np.isfinite(vae.sample(5, y=1e3)).all()


def test_prior_as_class(slope):
    X, t = slope
    one, other = small(3, prior=GaussianMixture).fit(X, t), small(3, prior=GaussianMixture()).fit(X, t)
    assert one.prior_.n_features_in_ == other.prior_.n_features_in_ == 4
    np.testing.assert_array_equal(one.sample(4, y=0.5, random_state=0), other.sample(4, y=0.5, random_state=0))


def test_multiple_targets(slope):
    X, t = slope
    Y = np.stack([t, X[:, 2]], 1)
    vae = small(3, max_epochs=30, lr=1e-2).fit(X, pd.DataFrame(Y, columns=["a", "b"]))
    rows = vae.sample(y=Y, random_state=0)
    assert np.corrcoef(rows[:, 0], Y[:, 0])[0, 1] > 0.9
    assert np.corrcoef(rows[:, 2], Y[:, 1])[0, 1] > 0.9
    assert vae.sample(3, y=[1.0, 2.0]).shape == (3, 4), "one pair for all"
    assert vae.sample(y=[1.0, 2.0]).shape == (1, 4)
    assert vae.sample(y=[[1.0, 2.0], [0.0, 0.0]]).shape == (2, 4)
    assert vae.score_samples(X, Y).shape == (400,)
    with pytest.raises(ValueError, match="2 targets for each sample, got 1"):
        vae.score_samples(X, t[:, None])
    with pytest.raises((ValueError, TypeError), match=r"2 targets for each sample|at least 1 dimension"):
        vae.sample(3, y=1.0)
    integers = small(3).fit(X, np.rint(Y * 10).astype(int))
    assert not hasattr(integers, "classes_")


def test_units_of_targets_do_not_matter(slope):
    X, t = slope
    one, other = small(3).fit(X, t), small(3).fit(X, 1e4 * t + 1e6)
    np.testing.assert_allclose(
        other.sample(y=1e4 * t[:9] + 1e6, random_state=0), one.sample(y=t[:9], random_state=0), atol=1e-2
    )
    np.testing.assert_allclose(small(3).fit(X, t[:, None]).score_samples(X, t), one.score_samples(X, t), rtol=1e-3)


def test_constant_target_has_no_effect(slope):
    X, _ = slope
    vae = small(3).fit(X, np.full(400, 2.5))
    assert np.isfinite(vae.sample(9, random_state=0)).all()
    assert np.isfinite(vae.score_samples(X, 2.5)).all()


@pytest.mark.slow
def test_reconstruction_without_targets_uses_likeliest(slope):
    X, t = slope
    vae = small(3, max_epochs=30, lr=1e-2).fit(X, t)
    nearest = ((vae.reconstruct(X) - X) ** 2).mean()
    told = ((vae.reconstruct(X, t) - X) ** 2).mean()
    turned = ((vae.reconstruct(X, -t) - X) ** 2).mean()
    assert nearest < told + 0.5 * (turned - told)
    conditions, shares = vae._context.alternatives()
    assert len(conditions) == 32
    targets = conditions[:, 0] * vae._context.spread + vae._condition.mean
    bounds = np.stack([vae.score_samples(X, target) for target in targets])
    np.testing.assert_allclose(vae.score_samples(X), logsumexp(bounds, axis=0) - np.log(32), atol=1e-3)
    np.testing.assert_allclose(shares, 1 / 32)


def test_targets_are_required_where_unknown(slope):
    X, t = slope
    vae = small(3).fit(X, t)
    for call in (
        lambda: vae.inverse_transform(vae.transform(X)),
        lambda: vae.interpolate(X[:1], X[1:2]),
    ):
        with pytest.raises(ValueError, match="pass y"):
            call()
    assert vae.sample(20, random_state=0).shape == (20, 4), "these are drawn from those of fit"
    assert vae.transform(X).shape == (400, 3)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            vae.sample(2, y=bad)


def test_samples_are_more_likely_under_their_target(slope):
    X, t = slope
    vae = small(3, max_epochs=30, lr=1e-2).fit(X, t)
    assert vae.score(X, t) > vae.score(X, -t) + 0.5


# ------------------------------------------------------------------ training


def test_validation_uses_y_val(groups):
    X, y = groups
    vae = small(early_stopping=True, max_epochs=20).fit(X, y, X_val=X[::2], y_val=y[::2])
    assert len(vae.validation_loss_curve_) == 21
    swapped = small(early_stopping=True, max_epochs=20).fit(X, y, X_val=X[::2], y_val=2 - y[::2])
    assert swapped.validation_loss_curve_[-1] > vae.validation_loss_curve_[-1] + 1e-3, "y_val is used"


def test_partial_fit_with_y(groups):
    X, y = groups
    vae = small()
    classes = [0, 1, 2, 9]
    vae.partial_fit(X[y < 2], y[y < 2], classes=classes)
    assert vae.classes_.tolist() == classes
    assert np.isfinite(vae.score_samples(X[:5])).all()
    with pytest.raises(ValueError, match="no rows to learn from"):
        vae.sample(2, y=9)
    for _ in range(3):
        vae.partial_fit(X, y)
    assert vae.sample(20, y=2, random_state=0).mean() > 12
    with pytest.raises(ValueError, match="y must contain only classes seen in fit"):
        vae.partial_fit(X, y + 5)
    with pytest.raises(ValueError, match="y must contain only classes seen in fit"):
        small().partial_fit(X, y, classes=[0, 1])


def test_partial_fit_without_some_class_can_sample(groups):
    X, y = groups
    vae = small().partial_fit(X, y).partial_fit(X[y > 0], y[y > 0])
    assert vae.sample(200, random_state=0).shape == (200, 5)


def test_classes_of_later_batches_are_sampled(groups):
    X, y = groups
    vae = small().partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    for _ in range(3):
        vae.partial_fit(X, y)
    assert (vae.sample(300, random_state=0).mean(1) > 13).sum() > 5
    assert vae.score(X[y == 2]) > vae.score(X[y == 2], np.zeros(20)) - 3


def test_warm_start_keeps_classes(groups):
    X, y = groups
    vae = small(warm_start=True).fit(X, y)
    vae.fit(X[y < 2], y[y < 2])
    assert vae.classes_.tolist() == [0, 1, 2]
    assert vae.score_samples(X, y).shape == (200,)
    cold = small().fit(X, y).fit(X[y < 2], y[y < 2])
    assert cold.classes_.tolist() == [0, 1]


@pytest.mark.slow
def test_pipelines_searches_and_wrappers(few, labels):
    pipe = make_pipeline(StandardScaler(), small(3)).fit(few, labels)
    assert pipe[-1].sample(2, y=3).shape == (2, 64)
    assert pipe.score(few, labels) == pipe[-1].score(pipe[0].transform(few), labels)
    assert np.isfinite(cross_val_score(small(3), few, labels, cv=2)).all()
    search = GridSearchCV(small(), {"n_components": [1, 4]}, cv=2, error_score="raise").fit(few, labels)
    assert search.score(few, labels) == search.best_estimator_.score(few, labels)
    wrapped = Reconstructor(small(3)).fit(few, labels)
    assert wrapped.transform(few).shape == (400, 64)


@pytest.mark.parametrize(
    "params",
    [
        {"module": "conv", "module__channels": (4,), "module__linear_skip": True},
        {"loss": "squared_error"},
        {"bottleneck": "mmd"},
        {"bottleneck": "total_correlation"},
        {"importance_samples": 3},
    ],
)
def test_conditioning_with_other_parts(few, labels, params):
    vae = small(3, max_epochs=1, **params).fit(few, labels)
    assert vae.sample(3, y=[1, 2, 3], random_state=0).shape == (3, 64)
    assert np.isfinite(vae.score_samples(few[:20])).all()
    assert vae.interpolate(few[:2], few[2:4], 3, y=1).shape == (2, 3, 64)
    assert not np.allclose(vae.inverse_transform(np.zeros((2, 3)), 0), vae.inverse_transform(np.zeros((2, 3)), 1))


def test_spatial_codes_are_conditioned_at_every_position(few, labels):
    vae = small(2, module="conv", module__channels=(4,), module__dense=False, max_epochs=1).fit(few, labels)
    assert vae.sample(3, y=1).shape == (3, 64)
    assert vae.transform(few).shape == (400, vae.module_.n_codes)
    Z = vae.transform(few[:2])
    assert not np.allclose(vae.inverse_transform(Z, 0), vae.inverse_transform(Z, 1))


def test_continued_training_with_another_condition_raises(groups):
    X, y = groups
    vae = small(conditional="classes", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="does not match the y"):
        vae.set_params(conditional="targets").fit(X, y)
    assert vae.classes_.tolist() == [0, 1, 2]


def test_scores_without_y_are_scale_equivariant(groups):
    X, y = groups
    scores = [small(loss="squared_error").fit(a * X, y).score_samples(a * X) / a**2 for a in (1.0, 0.1)]
    np.testing.assert_allclose(*scores, rtol=2e-3)
