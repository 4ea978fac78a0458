"""VAEGenerator: samples from the prior and the posterior, and interpolation, in any layout."""

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skae import VAEGenerator
from skae.bottlenecks import MMD, SquaredNorm, TotalCorrelation
from skae.losses import Likelihood


def small(n_components=2, **params):
    """An estimator that trains in a fraction of a second."""
    defaults = {"max_epochs": 2, "early_stopping": False, "random_state": 0}
    if params.get("module", "mlp") == "mlp":
        defaults["module__hidden_layer_sizes"] = (32,)
    if params.get("module") == "conv":
        defaults |= {"module__channels": (4,), "module__hidden_layer_sizes": ()}
    return VAEGenerator(n_components, **defaults | params)


@pytest.fixture(scope="module")
def few(digits):
    return digits[:300]


@pytest.fixture(scope="module")
def vae(few):
    return small(5).fit(few)


# ------------------------------------------------------------------ sample


def test_samples_resemble_data(vae, few):
    rows = vae.sample(2000, random_state=0)
    assert rows.shape == (2000, 64)
    assert rows.dtype == few.dtype == np.float64
    np.testing.assert_allclose(rows.mean(0), few.mean(0), atol=0.6)
    noisy = vae.sample(2000, random_state=0, noisy=True)
    ours, theirs = np.cov(noisy.T), np.cov(few.T)
    assert np.linalg.norm(ours - theirs) < 0.6 * np.linalg.norm(theirs)
    assert vae.score(noisy) > vae.score(few) - 15


def test_equal_seeds_equal_samples(vae):
    for noisy in (False, True):
        one = vae.sample(5, random_state=3, noisy=noisy)
        np.testing.assert_array_equal(vae.sample(5, random_state=3, noisy=noisy), one)
        np.testing.assert_array_equal(vae.sample(5, 3, noisy=noisy), one)
        state = np.random.RandomState(3)
        np.testing.assert_array_equal(vae.sample(5, state, noisy=noisy), one)
        assert not np.array_equal(vae.sample(5, state, noisy=noisy), one), "it moves on"
        assert not np.array_equal(vae.sample(5, random_state=4, noisy=noisy), one)
        assert not np.array_equal(vae.sample(5, noisy=noisy), vae.sample(5, noisy=noisy))
    np.testing.assert_array_equal(vae.sample(3, random_state=0), vae.sample(np.int64(3), random_state=0))


def test_sampling_does_not_depend_on_threads(vae, few):
    def rows(seed):
        return np.concatenate(
            [
                vae.sample(20, random_state=seed),
                vae.sample(20, random_state=seed, noisy=True),
                vae.sample_posterior(few[:20], random_state=seed, noisy=True)[0],
            ]
        )

    alone = [rows(seed) for seed in range(12)]
    together = Parallel(n_jobs=4, backend="threading")(delayed(rows)(seed) for seed in range(12))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, True, "3", None])
def test_invalid_n_samples_raises(vae, few, n_samples):
    with pytest.raises((ValueError, TypeError), match="n_samples"):
        vae.sample(n_samples)
    with pytest.raises((ValueError, TypeError), match="n_draws"):
        vae.sample_posterior(few, n_draws=n_samples)


@pytest.mark.parametrize(("factor", "shift"), [(255.0, -7.0), (1e-6, 3.0)])
def test_samples_are_in_data_units(vae, few, factor, shift):
    other = small(5).fit(factor * few + shift)
    for noisy in (False, True):
        rows = other.sample(50, random_state=0, noisy=noisy).astype(float)
        # float32 keeps seven digits of the shift
        np.testing.assert_allclose(
            (rows - shift) / factor, vae.sample(50, random_state=0, noisy=noisy), atol=0.05 + 1e-6 * abs(shift) / factor
        )


# ------------------------------------------------------------------ noisy="auto"


@pytest.fixture(scope="module")
def table():
    """A standardized table of 200 samples and 8 features that share two factors and much noise, and two classes."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    factors = rng.normal(size=(200, 2)) + 2 * y[:, None]
    X = factors @ rng.normal(size=(2, 8)) + 2 * rng.normal(size=(200, 8))
    return (X - X.mean(0)) / X.std(0), y


class NoDraws(Likelihood):
    """A likelihood of a user's own, which defines no `sample`."""

    def elementwise(self, raw, x):
        return (raw - x).square() / 2


@pytest.mark.parametrize("loss", ["gaussian", "laplace"])
def test_samples_have_spread_of_data(table, loss):
    X, _ = table
    vae = small(2, loss=loss, max_epochs=30).fit(X)
    spread = vae.sample(4000, random_state=0).std(0)
    np.testing.assert_allclose(spread, 1, atol=0.25)
    assert spread.mean() == pytest.approx(1, abs=0.1)
    assert vae.sample(4000, random_state=0, noisy=False).std(0).mean() < 0.8, "the mean is narrower"


def test_samples_of_class_have_its_mean_and_spread(table):
    X, y = table
    vae = small(2, conditional=True, max_epochs=30).fit(X, y)
    for label in (0, 1):
        drawn, of_class = vae.sample(4000, y=label, random_state=0), X[y == label]
        np.testing.assert_allclose(drawn.mean(0), of_class.mean(0), atol=0.35)
        assert drawn.std(0).mean() == pytest.approx(of_class.std(0).mean(), abs=0.12)


def test_posterior_samples_of_missing_values_have_noise(table):
    X, _ = table
    holed = X.copy()
    holed[::2, 0] = np.nan
    vae = small(2, missing="mask", noise="masking_noise", max_epochs=30).fit(holed)

    def coverage(**params):
        draws = vae.sample_posterior(holed, n_draws=200, random_state=0, **params)[:, ::2, 0]
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        return ((low < X[::2, 0]) & (X[::2, 0] < high)).mean()

    assert coverage(noisy=False) < 0.6 < 0.75 < coverage()


FLAT = np.random.default_rng(0).uniform(size=(40, 36))
WAVES = np.sin(np.arange(12) / 2 + FLAT[:, :1] * 6)[..., None] * [1, 2]
ON_WAVES = {"module": "gru", "beta": 0.1, "batch_size": 10}
NOISY_BY_DEFAULT = {
    "table": (FLAT, {}),
    "sequences": (WAVES, ON_WAVES),
    "sequences with channels first": (WAVES.swapaxes(1, 2), {"channel_axis": 0, **ON_WAVES}),
    "sequences of one channel": (WAVES[..., 0], {"module": "tcn", "batch_size": 20}),
    "zeros and ones": ((FLAT > 0.5).astype(float), {"loss": "bernoulli"}),
    "one dimension": (FLAT[:, :1], {}),
}
MEAN_BY_DEFAULT = {
    "images": (FLAT.reshape(40, 6, 6), {}),
    "images with channels": (FLAT.reshape(40, 3, 4, 3), {}),
    "flat images": (FLAT, {"module": "conv"}),
    "flat images for a dense network": (FLAT, {"input_shape": (6, 6)}),
    "a loss that is no likelihood": (FLAT, {"loss": "squared_error", "bottleneck": "mmd"}),
    "a likelihood without draws": (FLAT, {"loss": NoDraws()}),
}


@pytest.mark.filterwarnings("ignore:No component of the code is active")  # after three epochs
@pytest.mark.parametrize("name", [*NOISY_BY_DEFAULT, *MEAN_BY_DEFAULT])
def test_auto_samples_likelihood_except_for_images(name):
    X, params = (NOISY_BY_DEFAULT | MEAN_BY_DEFAULT)[name]
    vae = small(2, **params).fit(X)
    noisy = name in NOISY_BY_DEFAULT
    np.testing.assert_array_equal(vae.sample(5, random_state=0), vae.sample(5, random_state=0, noisy=noisy))
    if noisy:
        assert not np.array_equal(vae.sample(5, random_state=0), vae.sample(5, random_state=0, noisy=False))
    if vae.module_.is_variational:
        by_default, asked = (
            vae.sample_posterior(X[:3], n_draws=2, random_state=0, **given) for given in ({}, {"noisy": noisy})
        )
        np.testing.assert_array_equal(by_default, asked)


def test_interpolations_are_noise_free(table):
    X, _ = table
    vae = small(2, max_epochs=5).fit(X)
    ways = vae.interpolate(X[:3], X[3:6], 4)
    np.testing.assert_array_equal(ways, vae.interpolate(X[:3], X[3:6], 4))
    np.testing.assert_allclose(ways[:, 0], vae.reconstruct(X[:3]), atol=1e-5)


# ------------------------------------------------------------------ priors


def test_default_prior_is_full_covariance_mixture(vae, few):
    assert isinstance(vae.prior_, GaussianMixture)
    assert vae.prior_.covariance_type == "full"
    assert vae.prior_.means_.dtype == np.float64
    assert vae.prior_.means_.shape[1] == 5
    mean, std = vae.transform_distribution(few)
    codes = vae.prior_.sample(20000)[0]
    np.testing.assert_allclose(codes.mean(0), mean.mean(0), atol=0.2)
    np.testing.assert_allclose(codes.var(0), mean.var(0) + (std**2).mean(0), rtol=0.25)


def test_no_prior_samples_standard_normal_codes(few, vae):
    plain = small(5, prior=None).fit(few)
    assert not hasattr(plain, "prior_")
    rows = plain.sample(4, random_state=0)
    assert rows.shape == (4, 64)
    assert not np.array_equal(rows, vae.sample(4, random_state=0))
    noisy = plain.sample(3000, random_state=0, noisy=True)
    draws = plain.inverse_transform(np.random.default_rng(0).standard_normal((3000, 5)))
    np.testing.assert_allclose(plain.sample(3000, random_state=0).mean(0), draws.mean(0), atol=0.5)
    np.testing.assert_allclose(noisy.mean(0), draws.mean(0), atol=0.5)
    # a prior that is taken away is no longer drawn from
    vae = small(5).fit(few).set_params(prior=None)
    np.testing.assert_array_equal(vae.sample(4, random_state=0), rows)


@pytest.mark.parametrize("prior", [GaussianMixture(3), GaussianMixture(3, covariance_type="diag"), GaussianMixture])
def test_gaussian_mixture_as_prior(few, prior):
    vae = small(5, prior=prior).fit(few)
    assert vae.prior_ is not prior
    assert vae.sample(7, random_state=0).shape == (7, 64)
    np.testing.assert_array_equal(vae.sample(7, random_state=0), vae.sample(7, random_state=0))


@pytest.mark.parametrize("prior", [KernelDensity(), KernelDensity(bandwidth=1e-6), KernelDensity])
def test_kernel_density_as_prior(few, prior):
    vae = small(5, prior=prior).fit(few)
    np.testing.assert_allclose(vae.sample(500, random_state=0).mean(0), few.mean(0), atol=1.2)


def test_prior_set_after_fit_raises(few):
    vae = small(prior=None).fit(few)
    with pytest.raises(NotFittedError, match="no fitted prior to draw from, since prior was set after fit"):
        vae.set_params(prior="mixture").sample(2)
    assert vae.fit(few).sample(2).shape == (2, 64)


def test_plain_codes_require_prior(few):
    vae = small(bottleneck="identity", prior=None)
    vae.fit(few)
    assert not hasattr(vae, "sample")
    with pytest.raises(AttributeError, match=r"prior='mixture'|has no attribute 'sample'"):
        vae.sample(2)
    assert small(bottleneck="identity").fit(few).sample(2).shape == (2, 64)
    assert not hasattr(small(bottleneck=SquaredNorm(), prior=None).fit(few), "sample")


@pytest.mark.parametrize(
    "bottleneck", [MMD(), "mmd", SquaredNorm(), "total_correlation", TotalCorrelation(2.0), "sparse"]
)
def test_sampling_with_other_bottlenecks(few, bottleneck):
    vae = small(4, bottleneck=bottleneck, loss="squared_error").fit(few)
    rows = vae.sample(300, random_state=0)
    np.testing.assert_allclose(rows.mean(0), few.mean(0), atol=2)
    assert vae.interpolate(few[:2], few[2:4], 3).shape == (2, 3, 64)
    if bottleneck in ("mmd", "total_correlation"):
        assert small(4, bottleneck=bottleneck, prior=None).fit(few).sample(2).shape == (2, 64)


# ------------------------------------------------------------------ sample_posterior


def test_posterior_samples_are_centered_at_reconstruction(vae, few):
    draws = vae.sample_posterior(few[:20], n_draws=400, random_state=0, noisy=False)
    assert draws.shape == (400, 20, 64)
    assert draws.dtype == few.dtype == np.float64
    spread = draws.std(0)
    off = np.abs(draws.mean(0) - vae.reconstruct(few[:20]))
    assert off.mean() < 0.3 * spread.mean() + 0.01
    assert (spread.max(1) > 0).all()
    noisy = vae.sample_posterior(few[:20], n_draws=400, random_state=0, noisy=True)
    assert noisy.std(0).mean() > 1.2 * spread.mean()
    inside = np.abs(few[:20] - noisy.mean(0)) < 3 * noisy.std(0)
    assert inside.mean() > 0.95, "the row may well have been such a draw"
    np.testing.assert_array_equal(
        vae.sample_posterior(few[:3], n_draws=2, random_state=1),
        vae.sample_posterior(few[:3], n_draws=2, random_state=1),
    )
    assert vae.sample_posterior(few[:3]).shape == (1, 3, 64)


# ------------------------------------------------------------------ interpolate


def test_mismatched_interpolation_ends_raise(vae, few):
    with pytest.raises(ValueError, match=r"X_b must have the shape \(2, 64\) of X_a, got \(3, 64\)"):
        vae.interpolate(few[:2], few[:3])


@pytest.mark.parametrize("method", ["spherical", "linear"])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_interpolation_ends_are_reconstructions(vae, few, method, steps):
    a, b = few[:30], few[30:60]
    ways = vae.interpolate(a, b, steps, method=method)
    assert ways.shape == (30, steps, 64)
    assert ways.dtype == few.dtype == np.float64
    np.testing.assert_allclose(ways[:, 0], vae.reconstruct(a), atol=1e-3)
    np.testing.assert_allclose(ways[:, -1], vae.reconstruct(b), atol=1e-3)
    np.testing.assert_allclose(vae.interpolate(b, a, steps, method=method)[:, ::-1], ways, atol=1e-3)
    same = vae.interpolate(a, a, steps, method=method)
    np.testing.assert_allclose(same, np.repeat(vae.reconstruct(a)[:, None], steps, 1), atol=1e-3)


def test_linear_and_spherical_interpolation(vae, few):
    a, b = vae.transform(few[:30]), vae.transform(few[30:60])
    middle = vae.interpolate(few[:30], few[30:60], 3, method="linear")[:, 1]
    np.testing.assert_allclose(middle, vae.inverse_transform((a + b) / 2), atol=1e-3)
    direction = a / np.linalg.norm(a, axis=1, keepdims=True) + b / np.linalg.norm(b, axis=1, keepdims=True)
    length = (np.linalg.norm(a, axis=1) + np.linalg.norm(b, axis=1)) / 2
    turned = direction / np.linalg.norm(direction, axis=1, keepdims=True) * length[:, None]
    middle = vae.interpolate(few[:30], few[30:60], 3)[:, 1]
    np.testing.assert_allclose(middle, vae.inverse_transform(turned), atol=1e-2)


def exact():
    """An estimator whose codes are its rows, and three special ones: 0, a row, and its opposite."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(20, 2))
    X = np.vstack([half, -half])
    return small(2, bottleneck="identity", loss="squared_error", max_epochs=0).fit(X), X


@pytest.mark.parametrize("method", ["spherical", "linear"])
def test_spherical_interpolation_of_collinear_codes(method):
    vae, X = exact()
    zero, row = np.zeros((1, 2)), X[:1]
    np.testing.assert_allclose(vae.transform(zero), 0, atol=1e-6)
    for a, b in ((row, -row), (row, 3 * row), (row, row), (zero, zero)):
        way = vae.interpolate(a, b, 5, method=method)[0]
        np.testing.assert_allclose(way, a + np.linspace(0, 1, 5)[:, None] * (b - a), atol=1e-4)
    for a, b in ((zero, row), (row, zero)):  # 0 lies in no direction, or in one that rounding gave it
        way = vae.interpolate(a, b, 5, method=method)[0]
        np.testing.assert_allclose(way[[0, -1]], np.vstack([a, b]), atol=1e-4)
        np.testing.assert_allclose(
            np.linalg.norm(way - a, axis=1), np.linspace(0, 1, 5) * np.linalg.norm(b - a), atol=0.02
        )


def test_spherical_interpolation_of_one_component(few):
    ways = small(1).fit(few).interpolate(few[:10], few[10:20], 4)
    assert np.isfinite(ways).all()


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"steps": 1}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"method": "slerp"}, "method must be one of 'spherical', 'linear'"),
        ({"X_b": np.zeros((3, 64))}, "X_b must have the shape"),
        ({"X_b": np.zeros((5, 63))}, "X_b must have the shape"),
        ({"X_b": np.full((5, 64), np.nan)}, "X_b.*NaN|NaN"),
    ],
)
def test_invalid_interpolations_raise(vae, few, params, match):
    params = {"X_b": few[5:10]} | params
    with pytest.raises((ValueError, TypeError), match=match):
        vae.interpolate(few[:5], **params)


# ------------------------------------------------------------------ images and sequences

PICTURES = np.random.default_rng(0).uniform(size=(40, 3, 6, 9)) * np.array([1, 2, 3])[:, None, None]
LAYOUTS = {
    "gray": (PICTURES[:, 0], {}),
    "last": (np.moveaxis(PICTURES, 1, -1), {}),
    "first": (PICTURES, {}),
    "two channels first": (PICTURES[:, :2], {"channel_axis": 0}),
    "flat first": (PICTURES.reshape(40, -1), {"input_shape": (3, 6, 9)}),
    "flat last": (np.moveaxis(PICTURES, 1, -1).reshape(40, -1), {"input_shape": (6, 9, -1)}),
    "flat gray": (PICTURES[:, 0].reshape(40, -1), {"input_shape": (6, 9)}),
    "bytes": ((PICTURES * 80).astype(np.uint8), {}),
}


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("module", ["conv", "mlp"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_samples_have_layout_of_x(name, module, conditional):
    X, params = LAYOUTS[name]
    shape = X.shape[1:]
    y = np.arange(40) % 2 if conditional else None
    vae = small(3, module=module, conditional=conditional, **params).fit(X, y)
    told = {"y": 1} if conditional else {}
    assert vae.sample(5, random_state=0, **told).shape == (5, *shape)
    assert vae.sample(5, random_state=0, noisy=True).shape == (5, *shape)
    assert vae.sample_posterior(X[:4], n_draws=2, random_state=0).shape == (2, 4, *shape)
    assert vae.interpolate(X[:4], X[4:8], 6, **told).shape == (4, 6, *shape)
    assert vae.reconstruct(X).shape == X.shape
    assert vae.score_samples(X).shape == (40,)
    assert vae.inverse_transform(vae.transform(X), **told).shape == X.shape


@pytest.mark.parametrize("name", ["last", "first", "flat first", "flat last"])
def test_samples_keep_channel_axis(name):
    X, params = LAYOUTS[name]
    vae = small(3, module="conv", module__linear_skip=True, **params).fit(X)
    images = vae.layout_.arrange(vae.sample(200, random_state=0))
    np.testing.assert_allclose(images.mean((0, 2, 3)), [0.5, 1, 1.5], atol=0.2)
    draws = vae.sample_posterior(X[:20], n_draws=20, random_state=0)
    np.testing.assert_allclose(vae.layout_.arrange(draws.mean(0)).mean((0, 2, 3)), [0.5, 1, 1.5], atol=0.2)


def test_ambiguous_channel_axis_raises(unchanged):
    vae = small(module="conv")
    unchanged(vae, lambda: vae.fit(PICTURES[:, :2]), ValueError, "channel_axis=0 or channel_axis=-1")
    unchanged(vae, lambda: vae.fit(PICTURES[:, 0].reshape(40, -1)), ValueError, "pass input_shape")


def test_sampling_of_spatial_codes():
    vae = small(2, module="conv", module__dense=False).fit(PICTURES[:, 0])
    mean, std = vae.transform_distribution(PICTURES[:, 0])
    assert mean.shape == std.shape == (40, vae.module_.n_codes)
    assert vae.sample(3, random_state=0).shape == (3, 6, 9)
    assert vae.sample_posterior(PICTURES[:2, 0], n_draws=3).shape == (3, 2, 6, 9)


@pytest.fixture(scope="module")
def sequences():
    """60 waves of two channels and up to 12 steps, padded with NaN."""
    rng = np.random.default_rng(0)
    t = np.arange(12)
    X = np.sin(t * rng.uniform(0.3, 1, (60, 1)) + rng.uniform(0, 6, (60, 1)))[..., None] * [1, 2]
    for row, length in zip(X, rng.integers(4, 13, 60), strict=True):
        row[length:] = np.nan
    return X


@pytest.mark.parametrize("module", ["gru", "tcn"])
@pytest.mark.slow
def test_sequences_of_different_lengths(sequences, module):
    X = sequences
    vae = small(3, module=module, max_epochs=20, batch_size=20).fit(X)
    assert np.isfinite(vae.transform(X)).all()
    assert np.isfinite(vae.score_samples(X)).all()
    np.testing.assert_array_equal(np.isnan(vae.reconstruct(X)), np.isnan(X))
    rows = vae.sample(5, random_state=0, noisy=True)
    assert rows.shape == (5, 12, 2)
    assert np.isfinite(rows).all()
    for out, shape in (
        (vae.sample_posterior(X[:4], n_draws=3, random_state=0), (3, 4, 12, 2)),
        (vae.interpolate(X[:4], X[4:8], 5), (4, 5, 12, 2)),
    ):
        assert out.shape == shape
    alone = vae.score_samples(X[:1, : np.isfinite(X[0, :, 0]).sum()])
    np.testing.assert_allclose(alone[0], vae.score_samples(X)[0], rtol=1e-3)


@pytest.mark.slow
def test_posterior_samples_have_length_of_sequence(sequences):
    vae = small(3, module="gru", max_epochs=20, batch_size=20).fit(sequences)
    draws = vae.sample_posterior(sequences[:9], n_draws=3, random_state=0)
    np.testing.assert_array_equal(np.isnan(draws), np.isnan(np.stack([sequences[:9]] * 3)))


# ------------------------------------------------------------------ missing values


@pytest.fixture(scope="module")
def holes(few):
    X = few.copy()
    X[::2, 24:32] = np.nan
    return X


def test_missing_values_are_imputed_and_known_ones_kept(few, holes):
    vae = small(5, missing="mask", noise="masking_noise", max_epochs=20).fit(holes)
    filled = vae.reconstruct(holes, keep_observed=True)
    known = np.isfinite(holes)
    np.testing.assert_array_equal(filled[known], few[known])
    ours = ((filled - few)[~known] ** 2).mean()
    mean = ((np.nanmean(holes, 0) - few)[~known] ** 2).mean()
    assert ours < 0.85 * mean
    assert np.isfinite(vae.score_samples(holes)).all()
    assert np.isfinite(vae.sample(3)).all()
    for y in (None, holes):
        assert np.isfinite(vae.interpolate(few[:300] if y is None else holes, few[:300], 3)).all()


def test_posterior_samples_are_multiple_imputations(few, holes):
    vae = small(5, missing="mask", noise="masking_noise", max_epochs=20).fit(holes)
    draws = vae.sample_posterior(holes, n_draws=60, random_state=0, noisy=True)
    assert draws.shape == (60, *holes.shape)
    assert np.isfinite(draws).all()
    hidden = ~np.isfinite(holes)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    covered = ((few >= low - 0.5) & (few <= high + 0.5))[hidden]
    assert covered.mean() > 0.75, "an interval of nine in ten draws holds most of the values that were hidden"


@pytest.mark.parametrize("conditional", [True, "targets"])
def test_missing_values_with_condition(holes, conditional):
    y = load_digits().target[:300]
    vae = small(3, missing="mask", conditional=conditional).fit(holes, y)
    assert np.isfinite(vae.sample_posterior(holes[:5], y[:5], n_draws=2)).all()
    assert np.isfinite(vae.reconstruct(holes, y, keep_observed=True)).all()
    assert np.isfinite(vae.score_samples(holes, y)).all()
