"""On few samples two trainings decide together whether PCA is replaced."""

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, LRScheduler

from skae import AutoencoderTransformer, VAEGenerator
from skae._training.callbacks import Evidence, significantly_above
from skae.estimators import _fit


def curved(n, noise=0.05, seed=0):
    """Samples near a curve in the plane, which PCA with one component cannot follow."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-1, 1, size=(n, 1))
    return np.hstack([t, t**2, t**3, np.abs(t)]) + noise * rng.normal(size=(n, 4))


def isotropic(n, seed=0):
    """Samples of which PCA is the best answer."""
    return np.random.default_rng(seed).normal(size=(n, 5))


@pytest.fixture
def trainings(monkeypatch):
    """The outcomes of single trainings."""
    outcomes, train = [], _fit._train_once

    def watched(*args, **kwargs):
        outcome = train(*args, **kwargs)
        weights = {name: t.clone() for name, t in outcome.net.module_.state_dict().items()}
        outcomes.append((outcome, weights))
        return outcome

    monkeypatch.setattr(_fit, "_train_once", watched)
    return outcomes


def fit(X, n_components=1, **params):
    return AutoencoderTransformer(n_components, random_state=0, **{"max_epochs": 30} | params).fit(X)


def same(a, b):
    return all(torch.equal(t, b[name]) for name, t in a.items())


def test_second_training_has_same_start_and_other_validation_set(trainings):
    fit(isotropic(100))
    (first, _), (second, _) = trainings
    assert same(first.evidence.start_weights, second.evidence.start_weights)
    held_out = [{tuple(row) for row in o.evidence.validation.in_memory().u.tolist()} for o in (first, second)]
    assert len(held_out[0]) == len(held_out[1]) == 10
    assert not held_out[0] & held_out[1]


@pytest.mark.slow
def test_better_training_is_kept_if_significant(trainings):
    kept = set()
    for seed in range(12):
        trainings.clear()
        X = curved(60, noise=0.2, seed=seed)
        ae = AutoencoderTransformer(1, random_state=seed, max_epochs=40).fit(X)
        weights = ae.module_.state_dict()
        if len(trainings) == 1:
            assert same(weights, trainings[0][1])
            kept.add("decisive")
            continue
        (first, one), (second, other) = trainings
        starts, bests = ([getattr(o.evidence, name) for o in (first, second)] for name in ("start", "best"))
        if not significantly_above(torch.cat(starts), torch.cat(bests)):
            assert same(weights, first.evidence.start_weights)
            assert ae.best_epoch_ == 0
            kept.add("start")
        else:
            gains = [float((start - best).mean()) for start, best in zip(starts, bests, strict=True)]
            best, outcome = (one, first) if gains[0] >= gains[1] else (other, second)
            assert same(weights, best)
            assert ae.best_epoch_ == outcome.best_epoch > 0
            kept.add("first" if best is one else "second")
    assert kept >= {"start", "first", "second"}, kept


def test_clear_first_training_needs_no_second(trainings):
    ae = fit(curved(400), max_epochs=60)
    assert len(trainings) == 1
    assert ae.best_epoch_ > 0
    assert same(ae.module_.state_dict(), trainings[0][1])


@pytest.mark.parametrize(
    ("n", "params", "given"),
    [
        (1001, {}, {}),
        (9, {}, {}),
        (100, {"early_stopping": False}, {}),
        (100, {"module__linear_skip": False}, {}),
        (100, {"noise": "masking_noise"}, {}),
        (100, {}, {"X_val": isotropic(20, seed=1)}),
    ],
    ids=str,
)
def test_large_data_or_random_start_train_once(trainings, n, params, given):
    ae = AutoencoderTransformer(1, random_state=0, max_epochs=2, **params).fit(isotropic(n), **given)
    assert len(trainings) == 1
    assert trainings[0][0].evidence is None
    assert len(ae.validation_loss_curve_) in (0, 3)


def test_diverging_second_training_is_ignored(trainings, monkeypatch):
    train = _fit._train_once

    def diverges(*args, **kwargs):
        if kwargs.get("fold"):
            raise FloatingPointError("The training loss became nan in epoch 1.")
        return train(*args, **kwargs)

    monkeypatch.setattr(_fit, "_train_once", diverges)
    ae = fit(isotropic(100))
    found = trainings[0][0].evidence
    assert isinstance(found, Evidence)
    expected = trainings[0][1] if significantly_above(found.start, found.best) else found.start_weights
    assert same(ae.module_.state_dict(), expected)


@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAEGenerator])
def test_equal_seeds_equal_bits_with_second_training(kind, capsys):
    X = isotropic(80)
    one, other = (kind(2, random_state=0, max_epochs=3, verbose=2).fit(X) for _ in range(2))
    assert same(one.module_.state_dict(), other.module_.state_dict())
    assert capsys.readouterr().out.count("train_loss") == 2
    assert len(one.loss_curve_) == one.n_iter_ == len(one.net_.history) == 3
    assert not one.module_.training


@pytest.mark.slow
def test_small_tables_beat_pca_on_average():
    shares = {}
    for name in ("iris", "wine", "breast_cancer", "diabetes"):
        X = StandardScaler().fit_transform(getattr(datasets, f"load_{name}")().data)
        for size in (2, 3):
            found = []
            for seed in range(100, 106):
                A, B = train_test_split(X, test_size=0.25, random_state=seed)
                mean = A.mean(0)
                V = np.linalg.svd(A - mean, full_matrices=False)[2][:size]
                pca = ((B - mean - (B - mean) @ V.T @ V) ** 2).mean()
                found.append(-AutoencoderTransformer(size, random_state=seed).fit(A).score(B) / pca)
            shares[name, size] = np.mean(found)
    assert np.mean(list(shares.values())) < 0.96, shares
    assert max(shares.values()) < 1.02, shares


class Stops(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


class Freezes(Callback):
    def on_grad_computed(self, net, **kwargs):
        for p in net.module_.parameters():
            p.grad.zero_()


@pytest.mark.parametrize("callback", [Stops, Freezes, LRScheduler("StepLR", step_size=1)])
def test_no_second_training_with_acting_callbacks(trainings, callback):
    ae = fit(isotropic(100), callbacks=[callback])
    assert len(trainings) == 1
    if callback is Stops:
        assert ae.n_iter_ == 2
    if callback is Freezes:
        assert ae.best_epoch_ == 0
