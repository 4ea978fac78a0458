"""Two quantizers, written as a user would write them from docs/extending.md, on dense and on spatial codes."""

import numbers
import pickle

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from torch import nn

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae.bottlenecks import Bottleneck, Identity, Latent
from skae.export._parts import Decoder


class FiniteScalarQuantizer(Bottleneck):
    """Every entry of the code is rounded to one of a few levels in [-1, 1] (Mentzer et al., 2024).

    Parameters
    ----------
    levels : int or sequence of int, default=5
        Levels of every component, or of each one.
    """

    per_position = True
    discrete = True
    draws = False

    def __init__(self, levels=5):
        super().__init__()
        self.levels = levels

    def setup(self, n_components, n_positions=1):
        same = isinstance(self.levels, numbers.Integral)
        levels = torch.tensor([self.levels] * n_components if same else self.levels)
        if len(levels) != n_components or levels.min() < 2:
            raise ValueError(f"{type(self).__name__}: levels needs {n_components} entries >= 2, got {self.levels!r}.")
        self.register_buffer("n_levels", levels)

    @property
    def alphabet(self):
        return tuple(self.n_levels.tolist())

    def init_from(self, h, generator=None):
        return False  # PCA that is rounded is no PCA

    def forward(self, h):
        h = h.tanh()
        z = self.project(h)
        return Latent(h + (z - h).detach(), h.new_zeros(len(h)))

    def code(self, h):
        return self.project(h.tanh())

    def project(self, z):
        return self._value(self._level(z))

    def indices(self, z):
        return self._level(z).long()

    def from_indices(self, indices):
        return self._value(indices)

    def _level(self, z):
        return ((z.clamp(-1, 1) + 1) / 2 * (self.n_levels - 1)).round()

    def _value(self, level):
        return (2 * level - self.n_levels + 1) / (self.n_levels - 1)


class VectorQuantizer(Bottleneck):
    """The code is the nearest vector of a codebook that is learned by its gradient (van den Oord et al., 2017).

    Parameters
    ----------
    n_codes : int, default=16
        Vectors in the codebook, which starts as the centers of k-means.
    commitment : float, default=0.25
        Weight of the loss that keeps the encoder near the codebook.
    """

    per_position = True
    discrete = True
    draws = False

    def __init__(self, n_codes=16, commitment=0.25):
        super().__init__()
        self.n_codes = n_codes
        self.commitment = commitment

    def setup(self, n_components, n_positions=1):
        self._check_number("n_codes", numbers.Integral, 2)
        self._check_number("commitment", numbers.Real, 0)
        self.codebook = nn.Parameter(torch.zeros(self.n_codes, n_components))
        self.register_buffer("counts", torch.zeros(self.n_codes))

    @property
    def alphabet(self):
        return (self.n_codes,)

    def init_from(self, h, generator=None):
        some = h[torch.randperm(len(h), generator=generator)[:2000]].cpu().numpy()
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        centers = KMeans(self.n_codes, n_init=1, random_state=seed).fit(some).cluster_centers_
        self.codebook.copy_(torch.from_numpy(centers))
        return False

    def forward(self, h):
        indices = self.indices(h)
        z = self.from_indices(indices)
        if self.training:
            self.counts += torch.bincount(indices[:, 0], minlength=self.n_codes)
        aux = (z - h.detach()).square().sum(1) + self.commitment * (h - z.detach()).square().sum(1)
        return Latent(h + (z - h).detach(), h.new_zeros(len(h)), aux, indices)

    def code(self, h):
        return self.project(h)

    def project(self, z):
        return self.from_indices(self.indices(z))

    def indices(self, z):
        return (z[:, None] - self.codebook).square().sum(2).argmin(1, keepdim=True)

    def from_indices(self, indices):
        return self.codebook[indices[:, 0]]

    def metrics(self):
        share = self.counts / self.counts.sum()
        self.counts.zero_()
        return {"perplexity": float(torch.special.entr(share).sum().exp())}


SMALL = {"max_epochs": 3, "random_state": 0, "prior": GaussianMixture(3, random_state=0)}
QUANTIZERS = [FiniteScalarQuantizer(), VectorQuantizer()]
NETWORKS = {
    "dense": lambda **params: AutoencoderTransformer(3, module__hidden_layer_sizes=(32,), **SMALL | params),
    "spatial": lambda **params: ConvAutoencoder(3, module__dense=False, module__channels=(8, 8), **SMALL | params),
}
POSITIONS = {"dense": 1, "spatial": 4}
by_quantizer = pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda part: type(part).__name__)
by_network = pytest.mark.parametrize("network", NETWORKS)


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:400]


def data_for(network, X):
    return X.reshape(-1, 8, 8) if network == "spatial" else X


@pytest.fixture(scope="module")
def fitted(X):
    return {
        (network, type(quantizer)): make(bottleneck=quantizer).fit(data_for(network, X))
        for network, make in NETWORKS.items()
        for quantizer in QUANTIZERS
    }


@pytest.fixture
def model(fitted, network, quantizer):
    return fitted[network, type(quantizer)]


def vectors_of(Z, n_positions):
    """The code at every position, (n * n_positions, n_components)."""
    return Z.reshape(len(Z), -1, n_positions).swapaxes(1, 2).reshape(-1, Z.shape[1] // n_positions)


def are_valid(Z, model, n_positions):
    """Whether there is a valid code at every position, by the definition of the quantizer."""
    part, vectors = model.module_.bottleneck, vectors_of(np.asarray(Z), n_positions)
    if isinstance(part, FiniteScalarQuantizer):
        return np.isin(vectors, np.linspace(-1, 1, part.levels).astype(np.float32)).all()
    codebook = part.codebook.detach().numpy()
    return (vectors[:, None] == codebook).all(2).any(1).all()


@by_network
@by_quantizer
def test_codes_are_valid_at_every_position(model, network, X):
    Z = model.transform(data_for(network, X))
    assert Z.shape == (len(X), 3 * POSITIONS[network])
    assert are_valid(Z, model, POSITIONS[network])
    assert len(np.unique(vectors_of(Z, POSITIONS[network]), axis=0)) >= 4


@by_network
@by_quantizer
def test_training_improves_on_the_start(network, quantizer, X):
    model = NETWORKS[network](bottleneck=quantizer, max_epochs=20, lr=1e-2).fit(data_for(network, X))
    assert model.best_epoch_ > 0
    assert min(model.validation_loss_curve_) < 0.98 * model.validation_loss_curve_[0]


def decoded_codes(model, monkeypatch):
    """The list that the codes which reach the decoder from now on are put into."""
    seen, decode = [], model.module_.network.decode
    monkeypatch.setattr(model.module_.network, "decode", lambda z, *size: seen.append(z.flatten(1)) or decode(z, *size))
    return seen


@by_network
@by_quantizer
def test_samples_are_decoded_from_valid_codes(model, network, monkeypatch):
    seen = decoded_codes(model, monkeypatch)
    X_new = model.sample(50, random_state=0)
    assert np.isfinite(X_new).all()
    assert len(np.concatenate(seen)) == 50
    assert are_valid(np.concatenate(seen), model, POSITIONS[network])


@by_quantizer
def test_interpolations_are_decoded_from_valid_codes(quantizer, X, monkeypatch):
    model = VAEGenerator(3, bottleneck=quantizer, max_epochs=2, random_state=0).fit(X)
    seen = decoded_codes(model, monkeypatch)
    ways = model.interpolate(X[:5], X[5:10], 7)
    assert len(np.concatenate(seen)) == 35
    assert are_valid(np.concatenate(seen), model, 1)
    np.testing.assert_allclose(ways[:, -1], model.reconstruct(X[5:10]), rtol=1e-5)


@by_network
@by_quantizer
def test_inverse_transform_decodes_the_nearest_valid_codes(model, network, X):
    X = data_for(network, X)
    Z = model.transform(X)
    np.testing.assert_array_equal(model.inverse_transform(Z), model.reconstruct(X))
    near = Z + np.random.default_rng(0).uniform(-1e-4, 1e-4, Z.shape)
    np.testing.assert_array_equal(model.inverse_transform(near), model.inverse_transform(Z))


@by_network
@by_quantizer
def test_exported_decoders_decode_the_nearest_valid_codes(model, network, X):
    Z = model.transform(data_for(network, X))
    X_hat = Decoder(model)(torch.from_numpy(Z + 1e-5)).detach().numpy()
    np.testing.assert_allclose(X_hat, model.inverse_transform(Z), rtol=1e-5, atol=1e-5)


@by_network
@by_quantizer
def test_indices_stand_for_the_codes_of_all_positions(model, network, X):
    Z = torch.from_numpy(model.transform(data_for(network, X)))
    indices = model.module_.indices(Z)
    assert indices.dtype == torch.int64
    assert indices.shape == (len(Z), POSITIONS[network], len(model.alphabet_))
    assert torch.equal(model.module_.from_indices(indices), Z)


@by_network
@by_quantizer
def test_estimators_have_integer_codes_and_a_model_of_them(model, network, X):
    X = data_for(network, X)
    indices = model.indices(X)
    assert indices.shape == (len(X), len(model.alphabet_), *((2, 2) if network == "spatial" else ()))
    np.testing.assert_allclose(model.from_indices(indices), model.reconstruct(X), rtol=1e-5, atol=1e-5)
    assert np.isfinite(model.code_model_.score_samples(indices.reshape(len(X), len(model.alphabet_), -1, 1))).all()


@by_network
@by_quantizer
def test_files_and_pickles_keep_the_model(model, network, quantizer, X, tmp_path):
    X = data_for(network, X)
    skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae", trusted=[type(quantizer)])
    for again in (loaded, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.transform(X), model.transform(X))
        np.testing.assert_array_equal(again.sample(5, random_state=1), model.sample(5, random_state=1))


@by_network
@by_quantizer
def test_fits_with_the_same_seed_are_equal(model, network, quantizer, X):
    X = data_for(network, X)
    again = NETWORKS[network](bottleneck=quantizer).fit(X)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


@by_network
@pytest.mark.parametrize(
    ("quantizer", "grid"),
    [(FiniteScalarQuantizer(), {"bottleneck__levels": [3, 6]}), (VectorQuantizer(), {"bottleneck__n_codes": [4, 9]})],
    ids=["levels", "n_codes"],
)
def test_grid_search_sets_parameters_of_the_quantizer(network, quantizer, grid, X):
    X = data_for(network, X)
    model = NETWORKS[network](bottleneck=quantizer, max_epochs=1, prior=None)
    search = GridSearchCV(model, grid | {"n_components": [2, 4]}, cv=2, error_score="raise").fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert are_valid(best.transform(X), best, POSITIONS[network])


@pytest.mark.parametrize("levels", [(5, 5), (5, 1, 5)])
def test_parameters_are_checked_against_the_width_at_a_position(levels, X):
    model = NETWORKS["spatial"](bottleneck=FiniteScalarQuantizer(levels))
    with pytest.raises(ValueError, match=r"FiniteScalarQuantizer: levels needs 3 entries >= 2, got \(5, "):
        model.fit(data_for("spatial", X))


@by_network
def test_metrics_of_every_epoch_are_in_the_history(fitted, network, X):
    perplexity = fitted[network, VectorQuantizer].net_.history[:, "bottleneck_perplexity"]
    assert len(perplexity) == 3
    assert all(1 < value <= 16 for value in perplexity)
    others = fitted[network, FiniteScalarQuantizer].net_.history[0]
    assert not any(name.startswith("bottleneck_") for name in others)


class UnusedWeights(Identity):
    """A bottleneck whose weights no loss depends on."""

    def setup(self, n_components, n_positions=1):
        self.weight = nn.Parameter(torch.ones(n_components, n_components))


def test_weight_penalties_leave_codebooks_alone(X):
    model = AutoencoderTransformer(3, bottleneck=UnusedWeights(), alpha=1.0, max_epochs=2, early_stopping=False)
    assert (model.fit(X).module_.bottleneck.weight == 1).all()
