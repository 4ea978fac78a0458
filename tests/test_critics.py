"""Critics, and the second phase of training."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch.history import History

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator, metrics
from skae._data.batches import Batch, InMemoryDataset
from skae._density.frechet import frechet
from skae._module.halves import decoder_weights
from skae._training import realism as realism_module
from skae._training.adversarial import AdversarialStep, _weights_of
from skae._training.net import AutoencoderNet
from skae._training.realism import KeepMostReal, RandomFeatures, Realism
from skae.critics import Critic, Dense, Patch
from skae.losses import Mixed, NegativeBinomial

TINY = {"max_epochs": 2, "random_state": 0, "module__channels": (4,), "module__hidden_layer_sizes": (16,)}
BRIEF = {"critic__max_epochs": 2, "critic__channels": (4, 8)}
# A skip that starts as PCA, so that codes are in use after two epochs.
GENERATOR = {"module": "conv", "module__linear_skip": True, "prior": GaussianMixture(2), **TINY}
ROWS = {"max_epochs": 2, "random_state": 0, "module__hidden_layer_sizes": (16,), "prior": GaussianMixture(2)}


@pytest.fixture(scope="module")
def images():
    return load_digits().images[:200]


@pytest.fixture(scope="module")
def pair(images):
    """A generator without a critic, and the same with one."""
    plain = VAEGenerator(4, **GENERATOR).fit(images)
    return plain, clone(plain).set_params(critic="patch", critic__tolerance=10, **BRIEF).fit(images)


def spied(init, made):
    """Return a constructor that also keeps what it has made."""

    def keep(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made.append(self)

    return keep


def state(estimator):
    return {name: tensor.numpy() for name, tensor in estimator.module_.state_dict().items()}


# ------------------------------------------------------------------ what stays, and what changes


def test_codes_and_prior_are_those_without_critic(pair, images):
    plain, sharp = pair
    for one, other in zip(plain.transform_distribution(images), sharp.transform_distribution(images), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(plain.prior_.means_, sharp.prior_.means_)
    assert plain.loss_curve_ == sharp.loss_curve_
    assert plain.validation_loss_curve_ == sharp.validation_loss_curve_
    assert (plain.n_iter_, plain.best_epoch_) == (sharp.n_iter_, sharp.best_epoch_)
    assert len(plain.net_.history) == len(sharp.net_.history)


def test_decoder_alone_is_trained(pair):
    plain, sharp = map(state, pair)
    changed = {name for name in plain if not np.array_equal(plain[name], sharp[name])}
    assert changed == {name for name in plain if "decoder" in name} | {"loss.log_scale"}


def test_curve_begins_before_the_phase_and_smallest_is_kept(pair):
    curve = pair[1].critic_curve_
    assert len(curve) == 3
    assert min(curve) < curve[0]
    assert not hasattr(pair[0], "critic_curve_")


def test_no_epoch_leaves_every_bit(pair, images):
    start = VAEGenerator(4, critic="patch", critic__max_epochs=0, **GENERATOR).fit(images)
    np.testing.assert_equal(state(start), state(pair[0]))
    assert len(start.critic_curve_) == 1
    np.testing.assert_array_equal(start.sample(3, random_state=0), pair[0].sample(3, random_state=0))


def test_worse_epochs_are_not_kept(pair, images):
    apart = {"critic__decoder_lr": 0.5, "critic__reconstruction": 0}
    worse = VAEGenerator(4, critic="patch", **apart, **GENERATOR, **BRIEF).fit(images)
    assert np.argmin(worse.critic_curve_) == 0
    np.testing.assert_equal(state(worse), state(pair[0]))


def test_same_seed_same_bits_and_global_streams_stay(pair, images):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = clone(pair[1]).fit(images)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_equal(state(again), state(pair[1]))
    assert again.critic_curve_ == pair[1].critic_curve_


def test_scale_of_likelihood_is_that_of_the_new_decoder(pair, images):
    sharp = pair[1]
    draws = sharp.sample_posterior(images, n_draws=4, random_state=0, noisy=False)
    error = np.sqrt(np.mean((draws - images) ** 2)) / sharp.module_.unit
    assert float(sharp.module_.loss.current_scale) == pytest.approx(error, rel=0.05)


def test_every_block_of_a_table_estimates_its_scale_again():
    torch.manual_seed(0)
    raw, x = torch.zeros(300, 6), torch.rand(300, 6)
    x[:, 3:5], x[:, 5] = torch.eye(2)[torch.arange(300) % 2], torch.arange(300) % 7
    loss = Mixed([("gaussian", [0, 1]), ("laplace", [2]), ("categorical", [3, 4]), (NegativeBinomial(), [5])])
    loss.setup(1, (6,))
    loss.set_units(torch.tensor([1.0, 1, 2, 0.5, 0.5, 3]), torch.tensor([1.0, 2, 4, 0.5, 0.5, 2]))
    loss.init_from(raw + torch.randn(300, 6), x)
    start = loss.blocks[-1].loss.current_dispersion.item()
    loss.refit_scale(raw, x)
    gaussian, laplace = (block.loss.current_scale for block in loss.blocks[:2])
    standard = (x - torch.tensor([1.0, 1, 2, 0.5, 0.5, 3])) / torch.tensor([1.0, 2, 4, 0.5, 0.5, 2])
    torch.testing.assert_close(gaussian, standard[:, :2].square().mean(0).sqrt())
    torch.testing.assert_close(laplace, standard[:, 2:3].abs().mean(0))
    assert loss.blocks[-1].loss.current_dispersion.item() != pytest.approx(start, rel=1e-3)


def test_dispersion_is_estimated_again():
    x = torch.poisson(torch.distributions.Gamma(2.0, torch.full((4000, 1), 0.5)).sample())
    loss = NegativeBinomial()
    loss.setup(1, (1,))
    loss.refit_scale(torch.full((4000, 1), 4.0).log(), x)
    assert loss.current_dispersion.item() == pytest.approx(0.5, rel=0.15)


# ------------------------------------------------------------------ the step


def test_step_changes_decoder_and_critic_alone(pair, images):
    plain = clone(pair[0]).fit(images)
    module, net = plain.module_, plain.net_
    u = module.standardize(torch.from_numpy(images[:20, None]))
    critic = Patch((4, 8))
    critic.setup(4, (1, 8, 8))
    weights = decoder_weights(module, u, None)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    before_turn = [tensor.clone() for tensor in critic.parameters()]
    AdversarialStep(net, critic, weights, None, 1.0, 10)(Batch.of(u, None, None, None))
    changed = [name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed
    assert [name for name in changed if "decoder" not in name] == []
    assert not any(torch.equal(one, other) for one, other in zip(before_turn, critic.parameters(), strict=True))
    assert all(weight.grad is None for weight in [*weights, *critic.parameters()])


def test_weight_of_2_is_a_row_twice_to_both_players():
    def trained(rows, weight):
        torch.manual_seed(0)
        critic = Dense(8, features=0, lr=0.1)
        critic.setup(2, (3,))
        decoder = torch.nn.Linear(2, 3)
        step = AdversarialStep(None, critic, [*decoder.parameters()], None, 1.0, 10)
        # Adam would enlarge rounding errors of gradients that are 0.
        step.critic_optimizer = torch.optim.SGD(critic.parameters(), 0.1)
        batch = Batch.of(x[rows], None, weight, None)
        made = decoder(z[rows])
        step._train_critic(batch, made.detach(), None, weight)
        loss = step._train_decoder(batch, made, None, weight)
        return torch.cat([critic.eval()(x)[-1].flatten(), loss[None]])

    x, z = torch.randn(2, 3), torch.randn(2, 2)
    torch.testing.assert_close(trained([0, 1, 1], None), trained([0, 1], torch.tensor([2 / 3, 4 / 3])))


def test_draws_of_the_prior_weigh_1():
    batch = Batch.of(torch.zeros(2, 3), None, torch.tensor([0.5, 1.5]), None)
    assert _weights_of(batch, 4).tolist() == [0.5, 1.5, 1, 1]
    assert _weights_of(Batch.of(torch.zeros(2, 3), None, None, None), 4) is None


@pytest.mark.parametrize("batching", [{"iterator_train__batch_size": 16, "iterator_train__drop_last": True}, {}])
def test_learning_rates_fall_to_0_at_the_last_step(images, batching, monkeypatch):
    steps = []
    monkeypatch.setattr(AdversarialStep, "__init__", spied(AdversarialStep.__init__, steps))
    rows = images.reshape(len(images), -1)[:130]
    VAEGenerator(2, critic=Dense(4, max_epochs=2), iterator_valid__batch_size=7, **batching, **ROWS).fit(rows)
    (step,) = steps
    assert step.schedules[0].last_epoch == step.schedules[0].total_iters >= 2
    assert step.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("critic", [Patch((4, 8)), Dense(16)])
def test_critic_has_lipschitz_constant_one(critic):
    torch.manual_seed(0)
    critic.setup(2, (1, 8, 8))
    for _ in range(20):  # iterations of the norm
        critic.train()(torch.randn(2, 1, 8, 8))
    a, b = torch.randn(2, 50, 1, 8, 8)
    with torch.no_grad():
        distance = (critic.eval()(a)[-1] - critic(b)[-1]).flatten(1).norm(dim=1)
    # A convolution is normalized as a matrix, and its patches overlap.
    assert bool((distance <= 8 * (a - b).flatten(1).norm(dim=1)).all())


# ------------------------------------------------------------------ the criterion


def test_frechet_is_that_of_metrics_and_weights_are_repetitions():
    rng = np.random.default_rng(0)
    F, G = rng.normal(size=(50, 3)), rng.normal(1, 2, size=(40, 3))
    assert frechet(F, G) == metrics.frechet_distance(F, G)
    assert frechet(F, G, np.full(50, 3.0)) == pytest.approx(frechet(F, G))
    many, weight = np.tile(F, (200, 1)), np.tile(np.r_[np.full(25, 1.0), np.full(25, 3.0)], 200)
    repeated = np.concatenate([many, many[weight == 3], many[weight == 3]])
    assert frechet(many, G, weight) == pytest.approx(frechet(repeated, G), rel=1e-3)


def test_frechet_of_one_row_is_that_of_a_point():
    F, G = np.array([[1.0, 2.0]]), np.random.default_rng(0).normal(size=(30, 2))
    wanted = np.sum((F[0] - G.mean(axis=0)) ** 2) + G.var(axis=0, ddof=1).sum()
    assert frechet(F, G) == pytest.approx(wanted)
    assert frechet(F, G, np.ones(1)) == pytest.approx(wanted)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 13), (5,), (4, 3)])
def test_random_features_are_the_same_at_every_call(shape):
    x = torch.randn(10, *shape)
    found = [RandomFeatures(shape, torch.tensor(0.0), torch.tensor(1.0)).of([x[:4], x[4:]]) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert found[0].std(axis=0).max() > 0


class Perfect(torch.nn.Module):
    """Reconstructs what it was given."""

    def decode(self, z):
        return z


@pytest.mark.parametrize("weighted", [True, False])
def test_distance_of_perfect_reconstructions_is_0(weighted, monkeypatch):
    monkeypatch.setattr(realism_module, "draw_codes", lambda module, u: u)
    monkeypatch.setattr(realism_module, "decode_codes", lambda module, z, c, like: z)
    x = torch.randn(60, 5) + torch.arange(60)[:, None]
    rows = InMemoryDataset(x, None, torch.linspace(0.1, 1.9, 60) if weighted else None)
    net = SimpleNamespace(device="cpu", module_=None, get_iterator=lambda rows, training: [rows[:]])
    assert Realism(net, rows, None, 0.5)(None) == pytest.approx(0, abs=1e-6)


def test_sorted_rows_are_all_compared(monkeypatch):
    made = []
    monkeypatch.setattr(Realism, "__init__", spied(Realism.__init__, made))
    x = np.sort(np.random.default_rng(0).normal(size=(7_000, 3)), axis=0)
    params = ROWS | {"max_epochs": 0, "early_stopping": False}
    VAEGenerator(2, critic=Dense(4, max_epochs=0), **params).fit(x)
    assert len(made[0].samples()) == 5_000
    assert made[0].samples().mean(0).abs().max() < 0.01


def test_few_rows_held_out_are_not_compared_with(images, monkeypatch):
    made = []
    monkeypatch.setattr(Realism, "__init__", spied(Realism.__init__, made))
    for n in (9, 10):
        rows = images.reshape(len(images), -1)
        VAEGenerator(2, critic=Dense(4, max_epochs=0), **ROWS | {"max_epochs": 0}).fit(rows, X_val=rows[:n])
    assert [len(realism.samples()) for realism in made] == [200, 10]


class Falling:
    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, module):
        return next(self.values)


def test_weights_of_smallest_value_are_restored():
    weight = torch.nn.Parameter(torch.zeros(1))
    net = SimpleNamespace(module_=None, history=History())
    keep = KeepMostReal(Falling([3.0, 1.0, 2.0]), [weight])
    keep.on_train_begin(net)
    for epoch in (1, 2):
        net.history.new_epoch()
        weight.data.fill_(epoch)
        keep.on_epoch_end(net)
    keep.on_train_end(net)
    assert weight.item() == 1
    assert keep.curve_ == [3, 1, 2]


# ------------------------------------------------------------------ a hyperparameter like any other


def test_parameters_reach_the_critic(images):
    ae = ConvAutoencoder(3, critic="patch", **TINY, **BRIEF)
    assert clone(ae).get_params()["critic__max_epochs"] == 2
    ae = ConvAutoencoder(3, critic=Patch((4,), max_epochs=1), **TINY)
    ae.set_params(critic__max_epochs=3)
    assert len(ae.fit(images).critic_curve_) == 4
    search = GridSearchCV(ae, {"critic__max_epochs": [0, 1], "critic": [Patch((4,))]}, cv=2).fit(images)
    assert search.best_params_["critic__max_epochs"] in (0, 1)


def test_pipeline_and_files(pair, images, tmp_path):
    rows = images.reshape(len(images), -1)
    pipe = make_pipeline(MinMaxScaler(), ConvAutoencoder(3, critic="patch", **TINY, **BRIEF)).fit(rows)
    skae.save(pipe, tmp_path / "pipe.skae")
    again = skae.load(tmp_path / "pipe.skae")
    np.testing.assert_array_equal(again.transform(rows), pipe.transform(rows))
    assert again[-1].critic_curve_ == pipe[-1].critic_curve_
    assert again[-1].get_params()["critic__channels"] == (4, 8)


def test_warm_start_continues_from_the_trained_decoder(images):
    ae = ConvAutoencoder(3, critic="patch", warm_start=True, **TINY, **BRIEF).fit(images)
    first = state(ae)
    ae.set_params(max_epochs=0).fit(images)
    assert len(ae.critic_curve_) == 3
    assert ae.critic_curve_[0] == pytest.approx(min(ae.critic_curve_[0], 1e9))
    np.testing.assert_array_equal(state(ae)["network.encoder.0.weight"], first["network.encoder.0.weight"])


@pytest.mark.parametrize("verbose", [1, 2])
def test_phase_is_reported(images, verbose, capsys):
    ae = ConvAutoencoder(3, critic="patch", verbose=verbose, **TINY, **BRIEF).fit(images)
    printed = capsys.readouterr()
    assert "2/2" in printed.err if verbose == 1 else f"{ae.critic_curve_[-1]:.4g}"[:3] in printed.out


def test_samples_after_critic_are_the_mean(images):
    vae = VAEGenerator(4, critic=Dense(8, max_epochs=1), **ROWS).fit(images.reshape(len(images), -1))
    for curve, other in (([2.0, 1.0], False), ([1.0, 2.0], True)):
        vae.critic_curve_ = curve
        np.testing.assert_array_equal(vae.sample(3, random_state=0), vae.sample(3, random_state=0, noisy=other))
    assert not np.array_equal(vae.sample(3, random_state=0, noisy=False), vae.sample(3, random_state=0, noisy=True))


class Mine(Critic):
    """A user's own critic."""

    def __init__(self, max_epochs=1):
        super().__init__(max_epochs=max_epochs)

    def layers(self, target_shape, n_conditions):
        return [torch.nn.Flatten(), torch.nn.LazyLinear(1)]


def test_users_own_critic(images):
    assert len(ConvAutoencoder(3, critic=Mine(), **TINY).fit(images).critic_curve_) == 2
    for critic in (Critic, Critic()):
        with pytest.raises(TypeError, match=r"critic=Critic has no network: use 'patch', 'dense'.*layers"):
            ConvAutoencoder(3, critic=critic, **TINY).fit(images)


# ------------------------------------------------------------------ other data, other parts


@pytest.mark.parametrize(
    "params",
    [
        {"bottleneck": "vector_quantizer", "module__dense": False},
        {"noise": "masking_noise", "module__dense": False, "augmentation": "flip"},
        {"loss": "discretized_logistic", "early_stopping": False, "prior": GaussianMixture(2)},
        {"loss": "bernoulli", "prior": GaussianMixture(2), "module__dense": False, "crop_size": 6},
    ],
)
def test_other_parts(images, params):
    X = images / 16 if params.get("loss") == "bernoulli" else images
    weight = np.arange(1.0, len(X) + 1)
    ae = ConvAutoencoder(3, critic="patch", **TINY, **BRIEF, **params).fit(X, sample_weight=weight)
    assert np.isfinite(ae.critic_curve_).all()
    assert np.isfinite(ae.reconstruct(X[:3])).all()


@pytest.mark.parametrize("kind", ["classes", "targets"])
def test_conditional(images, kind):
    y = load_digits().target[:200] % 2 if kind == "classes" else images.mean(axis=(1, 2))
    vae = VAEGenerator(3, conditional=kind, critic="patch", **GENERATOR, **BRIEF).fit(images, y)
    assert np.isfinite(vae.critic_curve_).all()
    assert vae.sample(4, random_state=0, y=y[:4]).shape == (4, 8, 8)


def test_images_of_any_size():
    rng = np.random.default_rng(0)
    images = [rng.random((20, 24)), rng.random((31, 18))]
    ae = ConvAutoencoder(3, critic="patch", module__dense=False, n_crops=16, crop_size=8, **TINY, **BRIEF).fit(images)
    assert [image.shape for image in ae.reconstruct(images)] == [(20, 24), (31, 18)]


def test_targets_of_another_shape(images):
    large = images.repeat(2, axis=1).repeat(2, axis=2)
    ae = ConvAutoencoder(3, critic="patch", **TINY, **BRIEF).fit(images, X_target=large)
    assert ae.reconstruct(images[:2]).shape == (2, 16, 16)


# ------------------------------------------------------------------ errors


def test_partial_fit_is_not_there(images):
    ae = ConvAutoencoder(3, critic="patch", **TINY)
    assert not hasattr(ae, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        ae.partial_fit(images)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"critic": "patches"}, "critic must be one of.*'patches'.*Did you mean 'patch'"),
        ({"critic": 3}, "critic must be a string, a Critic class"),
        ({"critic__lr": 1}, "critic__lr needs a critic"),
        ({"critic": "patch", "critic__rate": 1}, "critic=Patch has no parameter critic__rate"),
        ({"critic": "patch", "critic__lr": 0}, "Patch: lr == 0"),
        ({"critic": "patch", "critic__max_epochs": "many"}, "Patch: max_epochs"),
        ({"critic": "dense", "missing": "mask"}, "critic=Dense does not support missing values"),
        ({"critic": "patch"}, "critic=Patch needs .*got samples of shape.*critic='dense'"),
        ({"critic": "dense", "loss": "categorical"}, "critic=Dense needs a loss of numbers"),
    ],
)
def test_errors_come_before_training(params, message):
    X = np.eye(4)[np.arange(40) % 4]
    with pytest.raises((TypeError, ValueError), match=message):
        VAEGenerator(2, **params, **ROWS).fit(X)


@pytest.mark.parametrize("module", ["gru", "tcn"])
def test_sequences_have_no_critic(module):
    with pytest.raises(
        ValueError, match=r"critic=Dense does not support module=\w+, since a critic would treat the padding"
    ):
        VAEGenerator(2, module=module, critic="dense").fit(np.zeros((20, 5, 2)))


def test_decoder_without_separate_weights_raises(monkeypatch):
    class Tied(torch.nn.Module):
        def __init__(self, input_shape, n_components):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(input_shape[0], n_components))

        def encode(self, x):
            return x @ self.weight

        def decode(self, z):
            return z @ self.weight.T

    X = np.random.default_rng(0).normal(size=(40, 4))
    monkeypatch.setattr(AutoencoderNet, "train_rows", lambda *args: 1 / 0)  # the error comes before
    with pytest.raises(ValueError, match="Tied has none"):
        VAEGenerator(2, module=Tied, bottleneck="identity", critic="dense", max_epochs=1).fit(X)


def test_interruption_leaves_the_earlier_fit(pair, images, monkeypatch):
    sharp = clone(pair[1]).fit(images)
    before = dict(vars(sharp))
    monkeypatch.setattr(AdversarialStep, "__call__", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sharp.fit(images)
    assert vars(sharp) == before


def test_checkpoint_resumes_from_the_end_of_the_first_phase(pair, images, tmp_path, monkeypatch):
    path = tmp_path / "fit.pt"
    vae = clone(pair[1]).set_params(checkpoint=path)
    with monkeypatch.context() as context:
        context.setattr(AdversarialStep, "__call__", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            vae.fit(images)
    assert path.exists()
    again = clone(vae).fit(images)
    np.testing.assert_equal(state(again), state(pair[1]))
    assert again.critic_curve_ == pair[1].critic_curve_
    assert not path.exists()


def test_other_estimators_have_none(images):
    with pytest.raises(TypeError, match="AutoencoderTransformer has no parameter critic__lr"):
        AutoencoderTransformer(2, critic__lr=1).fit(images.reshape(len(images), -1))
    with pytest.raises(ValueError, match="Invalid parameter 'critic' for estimator AutoencoderTransformer"):
        AutoencoderTransformer(2).set_params(critic__lr=1)


# ------------------------------------------------------------------ full fits


def test_ordered_codes_keep_their_order(images):
    params = {"bottleneck": "nested", "critic": "patch", "critic__channels": (16, 32), "critic__decoder_lr": 5e-3}
    plain = ConvAutoencoder(6, **TINY | params, critic__tolerance=10, critic__max_epochs=0).fit(images, X_val=images)
    sharp = clone(plain).set_params(critic__max_epochs=10).fit(images, X_val=images)
    assert np.argmin(sharp.critic_curve_) > 0
    np.testing.assert_array_equal(sharp.transform(images), plain.transform(images))
    for k in (1, 3, 6):
        explained = metrics.explained_variance(images, sharp.inverse_transform(sharp.transform(images)[:, :k]))
        assert sharp.explained_variance_ratio_[:k].sum() == pytest.approx(explained, abs=1e-5)
        assert explained > 0.8 * plain.explained_variance_ratio_[:k].sum()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_no_collapse_on_digits(seed):
    images = load_digits().images
    train, test = images[:400], images[500:900]
    quick = {"batch_size": 32, "module__hidden_layer_sizes": (64,), "prior": GaussianMixture(10), "random_state": seed}
    vae = VAEGenerator(8, module="conv", max_epochs=15, warm_start=True, **quick).fit(train)
    before = vae.sample(400, random_state=0)
    vae.set_params(critic=Patch((16, 32), max_epochs=8), max_epochs=0).fit(train)
    after = vae.sample(400, random_state=0)
    assert min(vae.critic_curve_) < 0.95 * vae.critic_curve_[0]
    collapsed = np.repeat(after[:10], 40, axis=0) + np.random.default_rng(0).normal(0, 0.1, after.shape)
    covered, covered_before, least = (
        metrics.precision_recall_density_coverage(test, rows).coverage for rows in (after, before, collapsed)
    )
    assert covered > max(0.8 * covered_before, 1.5 * least)
    rows, before, after = (A.reshape(400, -1) for A in (test, before, after))
    assert metrics.frechet_distance(rows, after) < metrics.frechet_distance(rows, before)
