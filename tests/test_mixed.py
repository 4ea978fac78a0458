"""Mixed losses: the sum of their parts, starts, missing categories, names, draws, files and graphs."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skae
from skae import AutoencoderTransformer, VAEGenerator
from skae._utils.rng import Stream
from skae.losses import (
    Bernoulli,
    Categorical,
    Gaussian,
    Huber,
    Laplace,
    Loss,
    Mixed,
    NegativeBinomial,
    Poisson,
    SquaredError,
)  # fmt: skip
from skae.noise import Compose, GaussianNoise, MaskingNoise

QUICK = {"max_epochs": 3, "random_state": 0}
GROUPS = [("gaussian", [0]), ("categorical", [1, 2, 3]), ("bernoulli", [4]), ("poisson", [5]), ("negative_binomial", 6)]
NAMES = ["income", "red", "green", "blue", "owner", "visits", "claims"]


def table(n=120, seed=0):
    """A number, a category, a flag and two counts, which one number tells."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    color = np.eye(3)[np.digitize(z + 0.3 * rng.normal(size=n), [-0.5, 0.5])]
    flag = z + 0.5 * rng.normal(size=n) > 0
    return np.column_stack([1e4 * z + 5e4, color, flag, rng.poisson(np.exp(2 + 0.5 * z)), rng.poisson(np.exp(z))])


def prepared(groups, n_features):
    loss = Mixed(groups)
    loss.setup(1, target_shape=(n_features,))
    return loss.eval()


# ------------------------------------------------------------------ the sum of its parts


PARTS = {
    "gaussian": lambda d: Gaussian(per_feature=True, floor=0.01),
    "squared_error": lambda d: SquaredError(),
    "categorical": lambda d: Categorical(),
    "bernoulli": lambda d: Bernoulli(),
    "poisson": lambda d: Poisson(),
    "negative_binomial": lambda d: NegativeBinomial(),
}


@given(data=st.data(), seed=st.integers(0, 2**31 - 1))
@settings(max_examples=40)
def test_mixed_is_the_sum_of_its_parts(data, seed):
    rng = np.random.default_rng(seed)
    kinds = data.draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=8))
    widths = [data.draw(st.integers(1, 5)) for _ in kinds]
    columns = np.split(rng.permutation(sum(widths)), np.cumsum(widths)[:-1])
    n, d = 4, sum(widths)
    x, raw = np.empty((n, d)), torch.from_numpy(rng.normal(size=(n, d))).float()
    for kind, c in zip(kinds, columns, strict=True):
        x[:, c] = {
            "categorical": np.eye(len(c))[rng.integers(len(c), size=n)],
            "bernoulli": rng.integers(0, 2, (n, len(c))),
        }.get(kind, rng.poisson(3, (n, len(c))))
    x, observed = torch.from_numpy(x).float(), torch.from_numpy(rng.random((n, d)) < 0.8)
    loss = prepared([(kind, c.tolist()) for kind, c in zip(kinds, columns, strict=True)], d)
    for known in (None, observed):
        expected = []
        for kind, c in zip(kinds, columns, strict=True):
            part = PARTS[kind](len(c))
            part.setup(1, target_shape=(len(c),))
            expected.append(part.eval()(raw[:, c], x[:, c], None if known is None else known[:, c]))
        by_group = loss.by_group(raw, x, known)
        torch.testing.assert_close(by_group, torch.stack(expected, 1))
        torch.testing.assert_close(loss(raw, x, known), by_group.sum(1))
    for kind, c in zip(kinds, columns, strict=True):
        part = PARTS[kind](len(c))
        torch.testing.assert_close(loss.link(raw)[:, c], part.link(raw[:, c]))


def test_custom_parts_and_objects():
    class WholeRow(Loss):
        def forward(self, raw, x, observed=None):
            return (raw - x).norm(dim=1)

    loss = prepared([(WholeRow(), [0, 1]), (Huber(0.5), [2]), (Laplace(0.3), slice(3, 5))], 5)
    raw, x = torch.ones(2, 5), torch.zeros(2, 5)
    expected = [math.sqrt(2), 0.375, 2 * (1 / 0.3 + math.log(0.6))]
    torch.testing.assert_close(loss.by_group(raw, x), torch.tensor([expected] * 2))
    plain = prepared([(type("Plain", (Loss,), {"forward": lambda self, raw, x: raw.sum(1)})(), [0, 1])], 2)
    with pytest.raises(TypeError, match="loss=Plain does not support missing values"):
        plain(raw[:, :2], x[:, :2], torch.ones(2, 2, dtype=torch.bool))


def test_hundred_categories_are_a_few_blocks():
    rng = np.random.default_rng(0)
    widths = rng.integers(2, 20, 100)
    edges = np.cumsum([0, *widths])
    loss = prepared([("categorical", [*range(a, b)]) for a, b in itertools.pairwise(edges)], edges[-1])
    assert len(loss.blocks) <= 5
    probabilities = loss.link(torch.from_numpy(rng.normal(size=(3, edges[-1]))).float())
    sums = torch.stack([part.sum(1) for part in probabilities.split(widths.tolist(), 1)], 1)
    torch.testing.assert_close(sums, torch.ones(3, 100))


# ------------------------------------------------------------------ units and starts


def test_training_starts_at_the_means():
    X = table()
    module = AutoencoderTransformer(1, loss=Mixed(GROUPS), max_epochs=0, random_state=0).fit(X).module_
    found = module.loss.link(torch.zeros(1, 7)).double().numpy()[0]
    np.testing.assert_allclose(found, X.mean(0), rtol=1e-5)


def test_invariance_to_units_of_numbers():
    X, factor = table(), 1e-6
    groups = [("gaussian", [0]), ("categorical", [1, 2, 3]), ("bernoulli", [4]), ("poisson", [5]), ("laplace", 6)]
    other = X * [factor, 1, 1, 1, 1, 1, 1]
    one, two = (AutoencoderTransformer(2, loss=Mixed(groups), **QUICK).fit(A) for A in (X, other))
    np.testing.assert_allclose(one.transform(X), two.transform(other), atol=1e-3)
    np.testing.assert_allclose(one.reconstruct(X)[:, 0] * factor, two.reconstruct(other)[:, 0], rtol=1e-3)
    shift = two.score_samples(other) - one.score_samples(X)
    np.testing.assert_allclose(shift, -math.log(factor), rtol=1e-3)


def test_categories_enter_the_network_with_the_weight_of_a_number():
    X = table()
    ae = AutoencoderTransformer(2, loss=Mixed(GROUPS), max_epochs=0, random_state=0).fit(X)
    u = ae.module_.standardize(torch.from_numpy(X))
    np.testing.assert_allclose(u.var(0, correction=0), [1, *u[:, 1:4].var(0, correction=0), 1, 1, 1], rtol=1e-4)
    assert float(u[:, 1:4].var(0, correction=0).sum()) == pytest.approx(1, rel=1e-4)


def test_start_as_pca_is_better_than_the_means():
    X = table(400)
    ae = AutoencoderTransformer(2, loss=Mixed(GROUPS), max_epochs=0, random_state=0).fit(X)
    loss, x = ae.module_.loss, torch.from_numpy(X).float()
    at_means = loss.by_group(torch.zeros(400, 7), x).mean(0)
    found = loss.by_group(ae.module_._raw(torch.from_numpy(X), None), x).mean(0)
    assert (found[1:] < 0.95 * at_means[1:]).all(), "what has no scale of its own"


def test_numbers_have_separate_scales():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 1))
    X = z + rng.normal(size=(500, 3)) * [0.05, 0.5, 2.0]
    ae = AutoencoderTransformer(1, loss=Mixed([("gaussian", [0, 1, 2])]), max_epochs=40, random_state=0).fit(X)
    (block,) = ae.module_.loss.blocks
    scales = block.loss.current_scale.detach().numpy() * X.std(0)
    errors = np.sqrt(((ae.reconstruct(X) - X) ** 2).mean(0))
    np.testing.assert_allclose(scales, np.maximum(errors, 0.01 * X.std(0)), rtol=0.2)


def test_scale_of_a_column_without_known_values_in_a_batch_stays():
    loss = Gaussian(per_feature=True)
    loss.setup(1, target_shape=(2,))
    raw, x = torch.zeros(4, 2), torch.full((4, 2), 0.5)
    loss.init_from(raw, x)
    before = loss.current_scale.clone()
    known = torch.tensor([[True, False]]).expand(4, 2)
    loss.train()(raw, 2 * x, known)
    assert loss.current_scale[1] == before[1]
    assert loss.current_scale[0] > before[0]
    loss.init_from(raw, x, known & False)
    assert torch.isfinite(loss.current_scale).all()


@pytest.mark.parametrize("cls", [Gaussian, Laplace])
def test_scales_of_channels(cls):
    loss = cls(per_feature=True)
    loss.setup(1, target_shape=(3, 4, 5))
    x = torch.arange(1.0, 4.0)[None, :, None, None].expand(6, 3, 4, 5)
    loss.init_from(torch.zeros(6, 3, 4, 5), x)
    torch.testing.assert_close(loss.current_scale.flatten(), torch.arange(1.0, 4.0))


def test_constant_columns_and_unseen_categories():
    X = table()
    X[:, 0], X[:, 6], X[:, 4] = 7.0, 0.0, 1.0
    X[:, 1:4] = [[0, 1, 0]] * len(X)
    vae = VAEGenerator(2, loss=Mixed(GROUPS), **QUICK).fit(X)
    other = X[:3].copy()
    other[0, 1:4], other[1, 6], other[2, 4] = [1, 0, 0], 5, 0
    assert np.isfinite(vae.score_samples(other)).all()
    assert (vae.score_samples(other) < vae.score_samples(X[:3])).all()
    np.testing.assert_allclose(vae.reconstruct(X)[:, 2], 1, atol=1e-2)


# ------------------------------------------------------------------ missing values and noise


def test_missing_category_is_left_out_and_is_restored_as_probabilities():
    X = table()
    X[::4, 1:4] = np.nan
    X[1::4, 0] = np.nan
    ae = AutoencoderTransformer(2, loss=Mixed(GROUPS), missing="mask", **QUICK).fit(X)
    filled = ae.reconstruct(X, keep_observed=True)
    np.testing.assert_allclose(filled[:, 1:4].sum(1), 1, rtol=1e-5)
    assert (filled[:, 1:4] >= 0).all()
    x = torch.from_numpy(X).float()
    values = ae.module_.loss.by_group(torch.zeros(len(X), 7), x.nan_to_num(), ~x.isnan())
    assert (values[::4, 1] == 0).all()
    assert (values[1::4, 0] == 0).all()
    assert (values[2::4] != 0).all()


def masked(noise, n=400, d=7):
    with Stream(0):
        return noise.corrupt(torch.zeros(n, d)).isnan()


def test_noise_masks_groups_together():
    hidden = masked(MaskingNoise(0.4, groups=[[1, 2, 3], [6, 5]]))
    assert torch.equal(hidden[:, 1], hidden[:, 2])
    assert torch.equal(hidden[:, 1], hidden[:, 3])
    assert torch.equal(hidden[:, 5], hidden[:, 6])
    assert not torch.equal(hidden[:, 0], hidden[:, 1])
    np.testing.assert_allclose(hidden.double().mean(0), 0.4, atol=0.1)


@pytest.mark.parametrize("noise", ["masking_noise", MaskingNoise(), Compose(GaussianNoise(0.1), MaskingNoise())])
def test_noise_masks_categories_of_a_mixed_loss_together(noise):
    ae = AutoencoderTransformer(2, loss=Mixed(GROUPS), noise=noise, **QUICK).fit(table())
    hidden = masked(ae.module_.noise)
    assert torch.equal(hidden[:, 1], hidden[:, 2])
    assert torch.equal(hidden[:, 1], hidden[:, 3])
    given = getattr(noise, "second", noise)
    assert getattr(given, "groups", None) is None, "the user's object is not changed"


def test_groups_of_a_noise_are_named():
    X = pd.DataFrame(table(), columns=NAMES)
    noise = MaskingNoise(groups=[["income", "visits"]])
    ae = AutoencoderTransformer(2, noise=noise, **QUICK)
    with pytest.warns(UserWarning, match="More than 99.9 %"):
        assert ae.fit(X).module_.noise.groups == [[0, 5]]
    for groups, match in (
        ([["income", "visit"]], r"MaskingNoise: groups\[0\] names the column 'visit', .*Did you mean 'visits'"),
        ([[0, 9]], r"MaskingNoise: groups\[0\] has the column 9, but X has 7, from 0 to 6"),
        (7, "MaskingNoise: groups must be a list of lists of columns, got 7"),
    ):
        with pytest.raises(ValueError, match=match):
            AutoencoderTransformer(2, noise=MaskingNoise(groups=groups), **QUICK).fit(X)
    with pytest.raises(ValueError, match="groups needs a table"):
        AutoencoderTransformer(2, noise=MaskingNoise(groups=[[0]]), **QUICK).fit(np.zeros((5, 2, 2)))


def test_noise_in_the_units_of_each_column():
    X = table(400)
    noise = GaussianNoise(2.0, unit="data")
    module = AutoencoderTransformer(2, loss=Mixed(GROUPS), noise=noise, max_epochs=0, random_state=0).fit(X).module_
    with Stream(0):
        added = module.noise.corrupt(torch.zeros(20_000, 7)) * module.scale
    np.testing.assert_allclose(added.std(0), 2.0, rtol=0.05)


# ------------------------------------------------------------------ columns


WAYS = {
    "names": [("gaussian", ["income"]), ("categorical", ["red", "green", "blue"]), ("bernoulli", "owner"),
              ("poisson", "visits"), ("negative_binomial", "claims")],
    "negative": [("gaussian", [0]), ("categorical", slice(1, 4)), ("bernoulli", [-3]), ("poisson", -2),
                 (NegativeBinomial(), 6)],
    "masks": [("gaussian", np.arange(7) == 0), (Categorical(), np.arange(1, 4)), ("bernoulli", (4,)), (Poisson, [5]),
              ("nb", [False] * 6 + [True])],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_columns_may_be_numbers_names_slices_and_masks(way):
    X = pd.DataFrame(table(), columns=NAMES)
    expected = AutoencoderTransformer(2, loss=Mixed(GROUPS), **QUICK).fit(X).transform(X)
    loss = Mixed(WAYS[way])
    ae = AutoencoderTransformer(2, loss=loss, **QUICK).fit(X)
    assert np.array_equal(ae.transform(X), expected)
    assert ae.get_params()["loss__groups"] is WAYS[way], "the user's object is not changed"
    assert np.isfinite(ae.score_samples(X)).all()


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ("gaussian", r"Mixed: groups must be a list of \(loss, columns\), got 'gaussian'"),
        ([("gaussian",)], r"groups\[0\] must be a pair \(loss, columns\)"),
        ([("gaussian", [0, 1])], r"each column of X once, but lack 5 of them, first 'green'"),
        ([*GROUPS, ("gaussian", "red")], r"repeat 1 of them, first 'red'"),
        (
            [("gaussian", "incomes")],
            r"groups\[0\] names the column 'incomes', which X does not have. Did you mean 'income'",
        ),
        ([("gaussian", [7])], r"groups\[0\] has the column 7, but X has 7"),
        ([("normal", slice(0, 7))], r"Mixed: groups\[0\]: loss must be one of .*'gaussian'.*got 'normal'"),
        ([(Huber(-1), slice(0, 7))], "Huber: delta == -1, must be > 0"),
    ],
)
def test_groups_are_checked(groups, match):
    X = pd.DataFrame(table(), columns=NAMES)
    with pytest.raises(ValueError, match=match):
        AutoencoderTransformer(2, loss=Mixed(groups), **QUICK).fit(X)


@pytest.mark.parametrize(("column", "match"), [(0.5, "must contain indices or names"), (None, "must be a column")])
def test_columns_of_other_types_raise(column, match):
    columns = [column] if column else column
    with pytest.raises(TypeError, match=match):
        AutoencoderTransformer(2, loss=Mixed([("gaussian", columns)]), **QUICK).fit(table())


def test_names_need_a_frame_and_groups_a_table():
    with pytest.raises(ValueError, match="names the column 'income', but X has no names"):
        AutoencoderTransformer(2, loss=Mixed(WAYS["names"]), **QUICK).fit(table())
    with pytest.raises(ValueError, match=r"Mixed needs a table, \(n_samples, n_features\)"):
        AutoencoderTransformer(2, loss=Mixed([("gaussian", [0])]), **QUICK).fit(np.zeros((5, 2, 2)))


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        ((3, 5), -1, r"loss=Poisson needs X in \[0, inf\], .*in column 'visits'"),
        ((3, 6), 0.5, "loss=NegativeBinomial needs integers in X, got other values in column 'claims'"),
        ((3, 4), 2, r"loss=Bernoulli needs X in \[0, 1\], .*in column 'owner'"),
        (
            (3, slice(1, 4)),
            [1, 1, 0],
            "loss=Categorical .* in columns 'red', 'green' and 'blue' of X, got a sum of 2",
        ),
        ((3, slice(1, 4)), [0, 0, 0], "got a sum of 0"),
        ((3, 1), np.nan, "got NaN in some of them and not in others"),
    ],
)
def test_targets_that_do_not_fit_raise_by_name(place, value, match):
    X = table()
    X[place] = value
    X = pd.DataFrame(X, columns=NAMES)
    with pytest.raises(ValueError, match=match):
        AutoencoderTransformer(2, loss=Mixed(GROUPS), missing="mask", **QUICK).fit(X)
    fitted = AutoencoderTransformer(2, loss=Mixed(GROUPS), missing="mask", **QUICK).fit(
        pd.DataFrame(table(), columns=NAMES)
    )
    with pytest.raises(ValueError, match=match):
        fitted.score_samples(X)


def test_shares_are_categories_too():
    X = np.random.default_rng(0).dirichlet([1, 2, 3, 4], 50)
    ae = AutoencoderTransformer(2, loss="categorical", max_epochs=20, random_state=0).fit(X)
    np.testing.assert_allclose(ae.reconstruct(X).sum(1), 1, rtol=1e-5)
    assert -ae.score(X) < X.var(0).mean()


# ------------------------------------------------------------------ draws, searches, files and graphs


def test_draws_are_numbers_categories_flags_and_counts():
    X = pd.DataFrame(table(400), columns=NAMES)
    vae = VAEGenerator(2, loss=Mixed(WAYS["names"]), max_epochs=20, random_state=0).fit(X)
    drawn = vae.sample(4000, random_state=0)
    assert np.array_equal(np.unique(drawn[:, 1:5]), [0, 1])
    assert (drawn[:, 1:4].sum(1) == 1).all()
    assert np.array_equal(drawn[:, 5:], drawn[:, 5:].round())
    assert (drawn[:, 5:] >= 0).all()
    np.testing.assert_allclose(drawn[:, 1:5].mean(0), X.iloc[:, 1:5].mean(), atol=0.1)
    assert 3e3 < drawn[:, 0].std() < 3e4
    assert np.array_equal(drawn, vae.sample(4000, random_state=0))
    assert vae.score(X) == pytest.approx(vae.score_samples(X).mean(), rel=1e-5)
    assert vae.sample_posterior(X[:3], n_draws=2, random_state=0).shape[-1] == 7


def test_groups_without_a_distribution_are_drawn_without_noise():
    loss = prepared([("squared_error", [0]), ("bernoulli", [1])], 2)
    raw = torch.full((50, 2), 0.3)
    with Stream(0):
        drawn = loss.sample(raw)
    assert (drawn[:, 0] == raw[:, 0]).all()
    assert drawn[:, 1].unique().tolist() == [0, 1]


def test_mixed_losses_in_searches_and_pipelines():
    X = pd.DataFrame(table(60), columns=NAMES)
    ae = AutoencoderTransformer(2, loss=Mixed(WAYS["names"]), max_epochs=2, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(), ae).set_output(transform="pandas")
    search = GridSearchCV(pipeline, {"autoencodertransformer__n_components": [1, 2]}, cv=2).fit(X)
    assert next(iter(search.best_estimator_.transform(X).columns)).startswith("autoencodertransformer")
    AutoencoderTransformer(2, loss="mixed", loss__groups=GROUPS, **QUICK).fit(X)


def test_training_continues():
    X = pd.DataFrame(table(), columns=NAMES)
    ae = AutoencoderTransformer(2, loss=Mixed(WAYS["names"]), warm_start=True, **QUICK).fit(X)
    first = ae.loss_curve_[-1]
    ae.fit(X).partial_fit(X)
    assert ae.loss_curve_[-1] < first


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Mixed(GROUPS), "categorical"], ids=["mixed", "categorical"])
def test_graphs_have_the_link(loss, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    from skae.export import to_onnx

    X = table().astype("float32")
    X = X if isinstance(loss, Mixed) else X[:, 1:4]
    ae = AutoencoderTransformer(2, loss=loss, **QUICK).fit(X)
    to_onnx(ae, tmp_path / "ae.onnx")
    (found,) = onnxruntime.InferenceSession(tmp_path / "ae.onnx").run(None, {"X": X[:11]})
    np.testing.assert_allclose(found, ae.reconstruct(X[:11]), rtol=1e-4, atol=1e-5)


def test_sparse_tables_are_checked_and_fitted():
    from scipy.sparse import csr_array

    X = table()
    dense, sparse = (AutoencoderTransformer(2, loss=Mixed(GROUPS), **QUICK).fit(A) for A in (X, csr_array(X)))
    np.testing.assert_allclose(sparse.transform(csr_array(X)), dense.transform(X), atol=1e-4)
    X[2, 1:4] = 0
    with pytest.raises(ValueError, match="got a sum of 0"):
        AutoencoderTransformer(2, loss=Mixed(GROUPS), **QUICK).fit(csr_array(X))


@pytest.mark.parametrize("columns", [slice(2), pd.Index(["a", "b"]), np.array([0, 1]), [True, True, False]], ids=str)
def test_columns_of_any_kind_are_saved(columns, tmp_path):
    df = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=list("abc"))
    model = AutoencoderTransformer(1, loss=Mixed([("gaussian", columns), ("laplace", "c")]), max_epochs=1).fit(df)
    skae.save(model, tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    np.testing.assert_array_equal(again.reconstruct(df), model.reconstruct(df))
    again.fit(df)


def test_numbers_are_no_categories():
    with pytest.raises(ValueError, match="OneHotEncoder creates such columns; for numbers use loss='squared_error'"):
        AutoencoderTransformer(1, loss=Mixed([("categorical", [0, 1])])).fit(np.full((9, 2), 3.0))
    with pytest.raises(ValueError, match=r"needs X in \[0, inf\].* Shift it, or use loss="):
        AutoencoderTransformer(1, loss="poisson").fit(-np.ones((9, 2)))
