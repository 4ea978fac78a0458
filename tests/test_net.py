"""The net: batches, validation, training against a plain loop, interruptions, callbacks and the fitted net."""

import copy
import pickle
import signal

import numpy as np
import pytest
import skorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.helper import predefined_split
from torch import nn

from skae import AutoencoderTransformer, VAEGenerator
from skae._data.batches import BatchIterator, InMemoryDataset
from skae._training.callbacks import FiniteLoss
from skae._training.net import AutoencoderNet, WeightedMean, elastic_net
from skae._utils.rng import Stream
from skae.bottlenecks import Identity, Sparse
from skae.losses import SquaredError

pytestmark = pytest.mark.usefixtures("seeded")


class Small(nn.Module):
    """A network with nothing random in it."""

    def __init__(self, input_shape=(6,), n_components=2):
        super().__init__()
        (d,) = input_shape
        self.down = nn.Sequential(nn.Linear(d, 5), nn.Tanh(), nn.Linear(5, n_components))
        self.up = nn.Linear(n_components, d)

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


def small(**params):
    defaults = {"max_epochs": 3, "random_state": 0, "lr_schedule": None, "early_stopping": False, "batch_size": 25}
    if "module" not in params:
        defaults["module__hidden_layer_sizes"] = (5,)
    return AutoencoderTransformer(2, **defaults | params)


class Watch(Callback):
    """Counts, and keeps the batches that were trained on."""

    def __init__(self, extra=0):
        self.extra = extra

    def on_train_begin(self, net, **kwargs):
        self.epochs_, self.batches_, self.ends_ = 0, [], 0

    def on_batch_begin(self, net, batch, training, **kwargs):
        if training:
            self.batches_.append(
                (batch.u.clone(), batch.y.clone(), None if batch.weight is None else batch.weight.clone())
            )

    def on_epoch_end(self, net, **kwargs):
        self.epochs_ += 1

    def on_train_end(self, net, **kwargs):
        self.ends_ += 1


# ------------------------------------------------------------------ batches

sizes = {"n": st.integers(1, 60), "batch_size": st.integers(1, 70), "seed": st.integers(0, 2**31 - 1)}


def numbered(n):
    return InMemoryDataset(torch.arange(n).float()[:, None])


def orders(batches, times=1):
    """The row numbers of every batch, iteration by iteration."""
    return [[batch.u.flatten().int().tolist() for batch in batches] for _ in range(times)]


def flat(batches):
    return [row for batch in batches for row in batch]


@given(shuffle=st.booleans(), **sizes)
@settings(max_examples=100)
def test_batches_have_every_sample_once_and_nearly_equal_sizes(n, batch_size, seed, shuffle):
    batches = BatchIterator(numbered(n), batch_size, shuffle=shuffle, seed=seed)
    (cut,) = orders(batches)
    assert sorted(flat(cut)) == list(range(n))
    lengths = [len(batch) for batch in cut]
    assert max(lengths) <= batch_size
    assert max(lengths) - min(lengths) <= 1
    assert len(cut) == len(batches) == -(-n // batch_size), "and there are no more than that takes"
    if not shuffle:
        assert flat(cut) == list(range(n)), "in their order"


@given(shuffle=st.booleans(), **sizes)
@settings(max_examples=100)
def test_drop_last_leaves_full_batches(n, batch_size, seed, shuffle):
    batches = BatchIterator(numbered(n), batch_size, shuffle=shuffle, drop_last=True, seed=seed)
    (cut,) = orders(batches)
    lengths = [len(batch) for batch in cut]
    assert lengths == ([batch_size] * (n // batch_size) if n >= batch_size else [n])
    assert len(batches) == len(cut)
    assert len(set(flat(cut))) == sum(lengths), "no row twice"


@given(**sizes)
@settings(max_examples=50)
def test_orders_repeat_with_the_seed_and_differ_between_epochs(n, batch_size, seed):
    first = orders(BatchIterator(numbered(n), batch_size, shuffle=True, seed=seed), 3)
    assert orders(BatchIterator(numbered(n), batch_size, shuffle=True, seed=seed), 3) == first
    if n >= 20:  # fewer may come in the same order by chance
        assert first[0] != first[1] != first[2]
        assert orders(BatchIterator(numbered(n), batch_size, shuffle=True, seed=seed + 1), 3) != first


@given(shuffle=st.booleans(), weighted=st.booleans(), targeted=st.booleans(), **sizes)
@settings(max_examples=25)
def test_targets_and_weights_stay_with_their_samples(n, batch_size, seed, shuffle, weighted, targeted):
    u = torch.arange(n).float()[:, None].repeat(1, 3)
    rows = InMemoryDataset(u, -u if targeted else None, 10 * torch.arange(n).float() if weighted else None)
    assert len(rows) == n
    for batch in BatchIterator(rows, batch_size, shuffle=shuffle, seed=seed):
        target, weight = batch.y, batch.weight
        assert torch.equal(target, -batch.u if targeted else batch.u)
        assert weight is None or torch.equal(weight, 10 * batch.u[:, 0])
        assert (weight is None) is not weighted


# ------------------------------------------------------------------ criterion and penalty


def test_weighted_mean():
    objective, weight = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.5, 0.0, 2.5])
    assert float(WeightedMean()(objective, None)) == 3.0
    assert float(WeightedMean()(objective, weight)) == pytest.approx(15.5 / 3)


@given(alpha=st.floats(0, 10), l1_ratio=st.floats(0, 1), seed=st.integers(0, 2**31 - 1))
@settings(max_examples=25)
def test_elastic_net(alpha, l1_ratio, seed):
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Conv1d(1, 2, 3)).double()
    weights = np.concatenate([p.detach().numpy().ravel() for p in (module[0].weight, module[2].weight)])
    expected = alpha * (l1_ratio * np.abs(weights).sum() + (1 - l1_ratio) / 2 * (weights**2).sum())
    assert float(elastic_net(module, alpha, l1_ratio).detach()) == pytest.approx(expected)
    for p in module.parameters():
        if p.ndim == 1:
            nn.init.constant_(p, 100.0)
    assert float(elastic_net(module, alpha, l1_ratio).detach()) == pytest.approx(expected), "biases and norms go free"


def test_elastic_net_of_a_module_without_weights():
    assert float(elastic_net(nn.ReLU(), 1.0, 0.5)) == 0.0


# ------------------------------------------------------------------ validation


def make_net(lr=0.01, batch_size=7, seed=0, **params):
    network = Small()
    defaults = {
        "module__network": network,
        "module__bottleneck": Identity(),
        "module__loss": SquaredError(),
        "module__noise": None,
        "module__input_shape": (6,),
        "module__n_components": 2,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return AutoencoderNet(stream=Stream(seed), lr=lr, batch_size=batch_size, **defaults | params).initialize()


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), weighted=st.booleans())
@settings(max_examples=25)
def test_validation_loss_does_not_depend_on_batches(n, batch_size, weighted):
    net = make_net(batch_size=batch_size, module__bottleneck=Sparse(0.3))
    generator = torch.Generator().manual_seed(n)
    u, target = torch.randn(n, 6, generator=generator), torch.randn(n, 6, generator=generator)
    weight = torch.rand(n, generator=generator) if weighted else None
    found = float(torch.as_tensor(net.evaluate(InMemoryDataset(u, target, weight))).mean())
    z = net.module_.network.down(u)
    objective = (net.module_.network.up(z) - target).square().sum(1) + 0.3 * z.abs().sum(1)
    expected = objective.mean() if weight is None else (objective * weight).mean()
    assert found == pytest.approx(float(expected.detach()), rel=1e-5)


def test_evaluate_changes_nothing():
    class Normed(Small):
        def __init__(self):
            super().__init__()
            self.norm, self.drop = nn.BatchNorm1d(6), nn.Dropout(0.5)

        def encode(self, x):
            return super().encode(self.drop(self.norm(x)))

    net = make_net(module__network=Normed())
    before = copy.deepcopy(net.module_.state_dict())
    rows = InMemoryDataset(torch.randn(20, 6))
    once, again = (torch.as_tensor(net.evaluate(rows)) for _ in range(2))
    assert torch.equal(once, again), "it drops nothing"
    assert all(torch.equal(net.module_.state_dict()[name], value) for name, value in before.items())
    assert not once.requires_grad


def test_valid_loss_equals_evaluate():
    net = make_net()
    rows, held_out = InMemoryDataset(torch.randn(30, 6)), InMemoryDataset(torch.randn(11, 6), weight=torch.rand(11))
    net.train_rows(rows, held_out, 2)
    assert net.history[-1, "valid_loss"] == pytest.approx(
        float(torch.as_tensor(net.evaluate(held_out)).mean()), rel=1e-5
    )


# ------------------------------------------------------------------ against a plain loop


def torch_loop(network, optimizer, batches, alpha=0.0, l1_ratio=0.0):
    """What training is, written out; returns the mean loss of the batches."""
    losses = []
    for u, target, weight in batches:
        optimizer.zero_grad()
        loss = (network.decode(network.encode(u)) - target).square().sum(1)
        loss = loss.mean() if weight is None else (loss * weight).mean()
        for p in network.parameters():
            if p.ndim > 1:
                loss = loss + alpha * (l1_ratio * p.abs().sum() + (1 - l1_ratio) / 2 * p.square().sum())
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()) * len(u))
    return sum(losses) / sum(len(u) for u, *_ in batches)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.02)),
        ("SGD", lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.02)),
        ("AdamW", lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.02)),
    ],
    ids=["sgd", "momentum", "adam", "adamw", "rmsprop"],
)
@pytest.mark.parametrize(("weighted", "alpha", "l1_ratio"), [(False, 0.1, 0.3), (True, 0.0, 0.0)])
def test_training_equals_a_plain_torch_loop(blobs, name, make, weighted, alpha, l1_ratio):
    network, watch = Small(), Watch()
    own = {"momentum": 0.9, "nesterov": True} if name == "SGD" else {"weight_decay": 0.1} if name == "AdamW" else {}
    weight = np.linspace(0.2, 2, 60) if weighted else None
    ae = small(
        module=network,
        optimizer=name,
        lr=0.02,
        alpha=alpha,
        l1_ratio=l1_ratio,
        callbacks=[watch],
        **{f"optimizer__{key}": value for key, value in own.items()},
    ).fit(blobs, sample_weight=weight)

    assert [len(u) for u, *_ in watch.batches_] == [20] * 9
    probability = None if weight is None else weight / weight.sum()
    mean = np.average(blobs, axis=0, weights=probability)
    scale = np.sqrt(np.average(((blobs - mean) ** 2).mean(1), weights=probability))
    rows = torch.from_numpy((blobs - mean) / scale).float()
    seen = torch.cat([u for u, *_ in watch.batches_[:3]])
    which = torch.cdist(seen, rows).argmin(1)
    assert sorted(which.tolist()) == list(range(60)), "an epoch is every row once"
    torch.testing.assert_close(seen, rows[which], atol=1e-6, rtol=0)
    if weighted:
        weights = torch.cat([w for _, _, w in watch.batches_[:3]])
        np.testing.assert_allclose(weights.numpy(), (weight / weight.mean())[which.numpy()], rtol=1e-6)
        assert float(weights.mean()) == pytest.approx(1)

    mine = copy.deepcopy(network)
    optimizer = make(mine.parameters())
    curve = [torch_loop(mine, optimizer, watch.batches_[i : i + 3], alpha, l1_ratio) for i in (0, 3, 6)]
    for key, value in ae.module_.network.state_dict().items():
        torch.testing.assert_close(value, mine.state_dict()[key], atol=2e-5, rtol=1e-4)
    np.testing.assert_allclose([row["train_loss"] for row in ae.net_.history], curve, rtol=1e-4)
    np.testing.assert_allclose(ae.loss_curve_, np.array(curve) * scale**2, rtol=1e-4)


def test_order_of_samples_follows_random_state_and_differs_between_calls(blobs):
    def orders(watch):
        return [u.tolist() for u, *_ in watch.batches_]

    seen = []
    for seed in (0, 0, 1):
        ae = small(callbacks=[Watch()], random_state=seed, max_epochs=1)
        for method in (ae.fit, ae.partial_fit, ae.partial_fit, ae.set_params(warm_start=True).fit):
            method(blobs)
            seen.append(orders(ae.callbacks[0]))
    assert seen[:4] == seen[4:8]
    assert all(seen[i] != seen[j] for i in range(4) for j in (*range(i), *range(8, 12)))


@pytest.mark.parametrize("loss", ["squared_error", "bernoulli"])
def test_training_with_a_target_equals_a_plain_torch_loop(blobs, loss):
    X = (blobs - blobs.min()) / (blobs.max() - blobs.min())
    Y = X[:, ::-1]
    network = Small()
    ae = small(module=network, optimizer="sgd", loss=loss, iterator_train__shuffle=False).fit(X, X_target=Y)
    mean, scale = X.mean(0), np.sqrt(X.var(0).mean())
    u = torch.from_numpy((X - mean) / scale).float()
    target = torch.from_numpy(Y.copy() if loss == "bernoulli" else (Y - mean) / scale).float()
    optimizer = torch.optim.SGD(network.parameters(), lr=2e-3)
    for _ in range(3):
        for s in (slice(0, 20), slice(20, 40), slice(40, 60)):
            optimizer.zero_grad()
            raw = network.decode(network.encode(u[s]))
            if loss == "bernoulli":
                value = nn.functional.binary_cross_entropy_with_logits(raw, target[s], reduction="sum") / 20
            else:
                value = (raw - target[s]).square().sum() / 20
            value.backward()
            optimizer.step()
    for key, value in ae.module_.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("heard", "fused"), [(False, True), (True, False), (True, True)])
def test_training_and_history_equal_those_of_plain_skorch(heard, fused):
    network, u, held_out = Small(), torch.randn(32, 6), torch.randn(16, 6)

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = copy.deepcopy(network)

        def forward(self, x):
            return self.network.decode(self.network.encode(x))

    class Criterion(nn.Module):
        def forward(self, y_pred, y_true):
            return (y_pred - y_true).square().sum(1).mean()

    valid = torch.utils.data.TensorDataset(held_out, held_out)
    theirs = skorch.NeuralNet(
        Plain, Criterion, optimizer=torch.optim.Adam, lr=0.01, max_epochs=4, batch_size=8, verbose=0,
        iterator_train__shuffle=False, train_split=predefined_split(valid),
    ).fit(u, u)  # fmt: skip
    ours = make_net(
        batch_size=8,
        module__network=network,
        optimizer=torch.optim.Adam,
        optimizer__fused=fused,
        iterator_train__shuffle=False,
        callbacks=[Watch()] if heard else [],
    ).train_rows(InMemoryDataset(u), InMemoryDataset(held_out), 4)
    for key in ("epoch", "train_loss", "valid_loss", "train_batch_count", "valid_batch_count"):
        np.testing.assert_allclose(ours.history[:, key], theirs.history[:, key], rtol=1e-4)
    for key in ("train_loss_best", "valid_loss_best"):
        assert ours.history[:, key] == theirs.history[:, key]
    for a, b in zip(ours.module_.network.parameters(), theirs.module_.network.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    if not heard:
        assert ours.history[:, "batches"] == [[], [], [], []], "nobody reads them"
        return
    for key in ("train_loss", "valid_loss", "train_batch_size", "valid_batch_size"):
        for mine, their in zip(ours.history, theirs.history, strict=True):
            np.testing.assert_allclose(*([b[key] for b in row["batches"] if key in b] for row in (mine, their)), 1e-4)


def test_history_marks_best_epochs(blobs):
    params = {"max_epochs": 12, "lr": 0.3, "early_stopping": True, "n_iter_no_change": 20}
    history = small(callbacks=[Watch()], **params).fit(blobs).net_.history
    assert history[:, "epoch"] == list(range(1, 13))
    for name in ("train_loss", "valid_loss"):
        losses = history[:, name]
        assert history[:, f"{name}_best"] == [loss <= min(losses[: i + 1]) for i, loss in enumerate(losses)]
        assert not all(history[:, f"{name}_best"]), "the rate is too high for every epoch to be the best"
    assert history[:, "train_batch_count"] == [3] * 12
    assert [batch["train_batch_size"] for batch in history[0, "batches"][:3]] == [18, 18, 18]


@pytest.mark.parametrize(
    ("callback", "records"),
    [
        (EarlyStopping("train_loss"), False),
        (LRScheduler("StepLR", step_size=1), False),
        (LRScheduler("StepLR", step_size=1, step_every="batch"), True),
        (GradientNormClipping(1.0), True),
        (Watch(), True),
        (Callback(), True),
    ],
    ids=["stopping", "schedule", "batch schedule", "clipping", "watch", "any"],
)
def test_batches_are_recorded_where_a_callback_may_read_them(blobs, callback, records):
    history = small(callbacks=[callback], verbose=0).fit(blobs).net_.history
    assert [len(row["batches"]) for row in history] == [3 * records] * 3
    if records:
        assert history[:, "batches", :, "train_batch_size"] == [[20] * 3] * 3


class Replace(Callback):
    """Makes another optimizer after the first epoch."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 1:
            net.optimizer_ = torch.optim.SGD(net.module_.parameters(), lr=0.0)
            self.weights_ = copy.deepcopy(net.module_.state_dict())


def test_optimizer_replaced_by_a_callback_is_used(blobs):
    replace = Replace()
    ae = small(callbacks=[replace]).fit(blobs)
    for name, value in ae.module_.state_dict().items():
        assert torch.equal(value, replace.weights_[name]), "its rate is 0"


@pytest.mark.parametrize("name", ["adagrad", "lbfgs", "rprop", torch.optim.RAdam])
def test_every_optimizer_of_torch_trains(blobs, name):
    batch_size = 60 if name == "lbfgs" else 25  # it is meant for full batches
    ae = small(optimizer=name, lr=0.05, max_epochs=10, batch_size=batch_size).fit(blobs)
    assert ae.loss_curve_[-1] < ae.loss_curve_[0]


# ------------------------------------------------------------------ interruptions


class Interrupted(Small):
    """Ctrl-C is pressed while the second batch is encoded."""

    made = 0

    def __init__(self, input_shape, n_components):
        super().__init__(input_shape, n_components)
        type(self).made += 1
        self.batches = 0

    def encode(self, x):
        self.batches += self.training
        if self.batches == 2:
            signal.raise_signal(signal.SIGINT)
        return super().encode(x)


def test_ctrl_c_leaves_fit_at_once_and_the_estimator_unchanged(blobs, interruptible):
    ae = small(module=Interrupted)
    before = dict(vars(ae))
    for method in (ae.fit, ae.fit_transform, ae.partial_fit):
        with pytest.raises(KeyboardInterrupt):
            method(blobs)
        assert vars(ae) == before


def test_ctrl_c_leaves_a_search_at_its_first_fit(blobs, interruptible):
    Interrupted.made = 0
    search = GridSearchCV(small(module=Interrupted), {"lr": [0.1, 0.2, 0.3]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(blobs)
    assert Interrupted.made == 1


class Interrupt(Callback):
    """Raises KeyboardInterrupt at an event of an epoch; or Ctrl-C is pressed there."""

    def __init__(self, event, epoch=1, press=False):
        self.epoch, self.press = epoch, press
        setattr(self, event, self.run)

    def run(self, net, **kwargs):
        if len(net.history) == self.epoch:
            if self.press:
                signal.raise_signal(signal.SIGINT)
            raise KeyboardInterrupt


@pytest.mark.parametrize("press", [False, True])
def test_keyboard_interrupt_in_a_user_callback_stops_training(blobs, interruptible, press):
    first, last = Watch(), Watch()
    ae = small(max_epochs=9, callbacks=[first, Interrupt("on_epoch_end", 4, press), last]).fit(blobs)
    assert ae.n_iter_ == len(ae.loss_curve_) == first.epochs_ == last.epochs_ == 4
    assert first.ends_ == last.ends_ == 1, "training has ended in order"
    straight = small(max_epochs=4).fit(blobs)
    np.testing.assert_array_equal(ae.transform(blobs), straight.transform(blobs))


@pytest.mark.parametrize("event", ["on_epoch_begin", "on_batch_begin", "on_grad_computed", "on_batch_end"])
def test_callback_stops_training_within_an_epoch(blobs, event):
    ae = small(max_epochs=9, callbacks=[Interrupt(event, 3)]).fit(blobs)
    assert np.isfinite(ae.transform(blobs)).all()
    assert ae.n_iter_ == len(ae.loss_curve_) <= 3, "an epoch counts when it is complete"
    ae.partial_fit(blobs)


@pytest.mark.parametrize("event", ["on_train_begin", "on_train_end"])
def test_keyboard_interrupt_outside_of_the_epochs_leaves_fit(blobs, event):
    ae = small(max_epochs=1, callbacks=[Interrupt(event, 0 if event == "on_train_begin" else 1)])
    with pytest.raises(KeyboardInterrupt):
        ae.fit(blobs)
    assert not hasattr(ae, "net_")


def test_ctrl_c_in_a_callback_of_the_estimator_leaves_fit(blobs, interruptible, monkeypatch):
    monkeypatch.setattr(FiniteLoss, "on_epoch_end", lambda *args, **kwargs: signal.raise_signal(signal.SIGINT))
    ae = small()
    with pytest.raises(KeyboardInterrupt):
        ae.fit(blobs)
    assert not hasattr(ae, "net_")


# ------------------------------------------------------------------ skorch's callbacks


def test_early_stopping_of_skorch(blobs):
    params = {"max_epochs": 30, "lr": 1e-5, "early_stopping": "auto", "n_iter_no_change": 100}
    ae = small(callbacks=[EarlyStopping(patience=3, threshold=0.5)], **params).fit(blobs)
    assert ae.n_iter_ == 4
    best = small(callbacks=[EarlyStopping("train_loss", patience=3, load_best=True)], max_epochs=5).fit(blobs)
    assert best.n_iter_ == 5


def mean_objective(net, X, y):
    return float(torch.as_tensor(net.evaluate(X)).mean())


@pytest.mark.parametrize(
    ("use_caching", "on_train", "weighted"), [(True, True, False), (True, False, True), (False, False, False)]
)
def test_epoch_scoring(blobs, use_caching, on_train, weighted):
    scoring = EpochScoring(mean_objective, name="mine", on_train=on_train, use_caching=use_caching)
    weight = np.ones(60) if weighted else None
    ae = small(callbacks=[scoring], early_stopping=True).fit(blobs, sample_weight=weight)
    history = ae.net_.history
    assert len(history[:, "mine"]) == 3
    if not on_train:
        np.testing.assert_allclose(history[:, "mine"], history[:, "valid_loss"], rtol=1e-5)
    assert history[0, "mine_best"]


def test_batch_scoring(blobs):
    ae = small(callbacks=[BatchScoring(lambda net, X, y: float(len(X)), name="size", on_train=True)]).fit(blobs)
    assert ae.net_.history[:, "size"] == [20.0] * 3


def test_batch_is_a_tensor_without_weights_and_conditions():
    u, weight, condition = torch.randn(6, 4), torch.rand(6), torch.rand(6, 2)
    (alone,) = BatchIterator(InMemoryDataset(u), 6)
    assert torch.equal(alone.X, u), "as skorch's own callbacks and users' expect"
    assert torch.equal(alone.u, u)
    assert alone.weight is None
    for given_weight, given_condition in ((weight, None), (None, condition), (weight, condition)):
        (batch,) = BatchIterator(InMemoryDataset(u, None, given_weight, given_condition), 6)
        assert batch.weight is given_weight or torch.equal(batch.weight, weight)
        assert batch.X.condition is given_condition or torch.equal(batch.X.condition, condition)
        assert torch.equal(batch.u, u)
        assert torch.equal(batch.y, u)


def test_checkpoint_of_skorch(blobs, tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path, monitor="train_loss_best", f_pickle="net.pkl")
    end = TrainEndCheckpoint(dirname=tmp_path)
    ae = small(callbacks=[checkpoint, end]).fit(blobs)
    assert {"params.pt", "optimizer.pt", "history.json", "net.pkl", "train_end_params.pt"} <= {
        path.name for path in tmp_path.iterdir()
    }
    Z = ae.transform(blobs)
    with torch.no_grad():
        for p in ae.module_.parameters():
            p.zero_()
    ae.net_.load_params(f_params=tmp_path / "train_end_params.pt")
    np.testing.assert_array_equal(ae.transform(blobs), Z)
    again = pickle.loads((tmp_path / "net.pkl").read_bytes())
    assert len(again.history) == 1 + max(i for i, best in enumerate(ae.net_.history[:, "train_loss_best"]) if best)


class Spoil(Callback):
    """Ruins the weights at the start of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            for p in net.module_.parameters():
                nn.init.constant_(p, 5.0)


def test_checkpoint_of_skorch_restores_the_best(blobs, tmp_path):
    checkpoint = Checkpoint(dirname=tmp_path, monitor="valid_loss_best", load_best=True)
    ae = small(callbacks=[checkpoint, Spoil(4)], max_epochs=5).fit(blobs, X_val=blobs)
    curve = ae.validation_loss_curve_
    assert min(curve[4:]) > 2 * min(curve)
    assert float(-ae.score_samples(blobs).mean()) == pytest.approx(min(curve[1:]), rel=1e-4)


def test_schedules_of_skorch(blobs):
    ae = small(callbacks=[LRScheduler("StepLR", step_size=1, gamma=0.1)], lr=0.1, max_epochs=4).fit(blobs)
    np.testing.assert_allclose(ae.net_.history[:, "event_lr"], [0.1, 0.01, 0.001, 0.0001])


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_schedules_of_skorch_after_a_first_fit(blobs, again):
    ae = small(callbacks=[LRScheduler("StepLR", step_size=2, gamma=0.1)], lr=0.1, max_epochs=3, warm_start=True)
    getattr(ae, again)(blobs)
    getattr(ae, again)(blobs)
    assert np.isfinite(ae.transform(blobs)).all()


def test_clipping_and_freezing(blobs):
    network = Small()
    ae = small(module=network, callbacks=[Freezer("network.down*"), GradientNormClipping(1e-3)], optimizer="sgd").fit(
        blobs
    )
    trained = ae.module_.network
    assert torch.equal(trained.down[0].weight, network.down[0].weight)
    moved = (trained.up.weight - network.up.weight).norm()
    assert 0 < float(moved.detach()) <= 9 * 2e-3 * 1e-3 * 1.01, "nine steps of at most lr times the norm"


def test_user_callbacks_see_every_batch_and_epoch(blobs):
    watch = Watch()
    ae = small(callbacks=[watch]).fit(blobs)
    assert watch.epochs_ == 3
    assert len(watch.batches_) == 9
    assert watch.ends_ == 1
    assert any(cb is watch for _, cb in ae.net_.callbacks_), "used as it is, not copied"


def test_callbacks_see_the_epoch_at_which_training_stops(blobs):
    class Score(Watch):
        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            net.history.record("seen", True)

    watch = Score()
    params = {"lr": 1e-12, "optimizer": "sgd", "max_epochs": 20, "n_iter_no_change": 4, "early_stopping": True}
    ae = small(callbacks=[watch], **params).fit(blobs)
    assert ae.n_iter_ == 4, "training was stopped early"
    assert watch.epochs_ == ae.n_iter_
    assert ae.net_.history[:, "seen"] == [True] * ae.n_iter_


def test_named_callbacks_are_set(blobs):
    ae = small(callbacks=[("x", Watch()), ("stop", EarlyStopping)], callbacks__x__extra=7, callbacks__stop__patience=2)
    ae.set_params(callbacks__stop__monitor="train_loss", callbacks__stop__threshold=0.99, max_epochs=9)
    ae.fit(blobs)
    found = dict(ae.net_.callbacks_)
    assert found["x"].extra == 7
    assert found["stop"].patience == 2
    assert ae.n_iter_ == 3
    with pytest.raises(TypeError, match=r"callbacks has no parameter callbacks__y"):
        clone(ae).set_params(callbacks__y__extra=1).fit(blobs)
    with pytest.raises(ValueError, match="extr"):
        clone(ae).set_params(callbacks__x__extr=1).fit(blobs)


def test_grid_search_over_a_callback(blobs):
    ae = small(callbacks=[("stop", EarlyStopping("train_loss", threshold=0.99))], max_epochs=9)
    search = GridSearchCV(ae, {"callbacks__stop__patience": [1, 3]}, cv=2).fit(blobs)
    assert search.best_estimator_.n_iter_ == 1 + search.best_params_["callbacks__stop__patience"]


def test_none_removes_a_named_callback(blobs):
    watch = Watch()
    small(callbacks=[("x", watch)], callbacks__x=None).fit(blobs)
    assert not hasattr(watch, "epochs_")


@pytest.mark.parametrize("wrong", [3, "early_stopping", object()])
def test_wrong_callbacks_raise(blobs, wrong):
    with pytest.raises(TypeError, match="callbacks"):
        small(callbacks=[wrong]).fit(blobs)


# ------------------------------------------------------------------ the fitted net


def standardized(ae, X):
    return ((X - ae.module_.mean.numpy()) / ae.module_.scale).astype(np.float32)


def test_fitted_net_predicts_standardized_samples(blobs):
    ae = small(callbacks=[Watch()], early_stopping=True).fit(blobs)
    u, scale, mean = standardized(ae, blobs), ae.module_.scale, ae.module_.mean.numpy()
    raw = ae.net_.predict(u)
    np.testing.assert_allclose(raw * scale + mean, ae.reconstruct(blobs), atol=1e-5)
    np.testing.assert_array_equal(ae.net_.predict_proba(u), raw)
    np.testing.assert_array_equal(ae.net_.forward(u)[0].numpy(), raw)
    np.testing.assert_array_equal(torch.cat([out[0] for out in ae.net_.forward_iter(u)]).numpy(), raw)
    with torch.no_grad():
        np.testing.assert_array_equal(ae.net_.infer(torch.from_numpy(u))[0].numpy(), raw)
    assert ae.net_.get_params()["lr"] == ae.lr
    assert "initialized" in repr(ae.net_)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ae.net_)).predict(u), raw)


def test_fitted_net_evaluates_samples(blobs):
    ae = small().fit(blobs)
    u = standardized(ae, blobs)
    for samples in (u, torch.from_numpy(u), InMemoryDataset(torch.from_numpy(u))):
        found = ae.module_.in_data_units(ae.net_.evaluate(samples), 6)
        np.testing.assert_allclose(found, -ae.score_samples(blobs), rtol=1e-4, atol=1e-6)


def test_fitted_net_saves_and_loads_parameters(blobs, tmp_path):
    ae = small().fit(blobs)
    Z = ae.transform(blobs)
    ae.net_.save_params(f_params=tmp_path / "params.pt", f_history=tmp_path / "history.json")
    with torch.no_grad():
        for p in ae.module_.parameters():
            p.zero_()
    ae.net_.load_params(f_params=tmp_path / "params.pt", f_history=tmp_path / "history.json")
    np.testing.assert_array_equal(ae.transform(blobs), Z)


def test_fitted_net_is_trained_by_its_estimator(blobs):
    ae = small().fit(blobs)
    Z = ae.transform(blobs)
    for name in ("fit", "partial_fit"):
        with pytest.raises(NotImplementedError, match=f"call {name} on the estimator"):
            getattr(ae.net_, name)(blobs)
    np.testing.assert_array_equal(ae.transform(blobs), Z)


def test_fitted_net_of_a_conditional_generator_predicts(blobs):
    y = np.arange(len(blobs)) % 3
    vae = VAEGenerator(2, conditional=True, max_epochs=1, random_state=0).fit(blobs, y)
    u, c = standardized(vae, blobs), np.eye(3, dtype=np.float32)[y]
    raw = vae.net_.predict({"u": u, "c": c})
    assert raw.shape == blobs.shape
    np.testing.assert_array_equal(raw, vae.net_.forward({"u": u, "c": c})[0].numpy())
    with pytest.raises(ValueError, match=r"conditional: pass .* of shape \(n, 3\)"):
        vae.net_.predict(u)
