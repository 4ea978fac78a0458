"""Recorded steps: what is copied, played and given up. On a GPU the device tests run the graphs themselves."""

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae._data.batches import Batch, Inputs
from skae._training import cuda_graphs as _graph
from skae._training.cuda_graphs import Recorder, can_record
from skae._training.step import QuickStep
from skae.nn import EncoderDecoder
from skae.noise import Compose, GaussianNoise


class Played:
    """Stands in for a CUDA graph where there is no GPU: a step repeated on the tensors that it was made with."""

    made = 0

    def __init__(self, step, batch, parameters):
        type(self).made += 1
        self.step, self.parameters = step, parameters
        self.batch = copy.deepcopy(batch)
        self.gradients = [torch.zeros_like(p) for p in parameters]

    def play(self, batch):
        for held, new in zip(self.batch.tensors(), batch.tensors(), strict=True):
            if held is not None:
                held.copy_(new)
        loss, output = self.step(self.batch)
        for held, p in zip(self.gradients, self.parameters, strict=True):
            held.copy_(p.grad)
            p.grad = None
        return loss.detach(), output


@pytest.fixture
def played(monkeypatch):
    monkeypatch.setattr(_graph, "_Recording", Played)
    Played.made = 0
    return Played


def linear_step(module):
    def step(batch):
        for p in module.parameters():
            p.grad = None
        output = (module(batch.u),)
        loss = (output[0] - batch.y).square().mean()
        loss.backward()
        return loss, output

    return step


def batches(sizes, weighted=False):
    generator = torch.Generator().manual_seed(0)
    for size in sizes:
        u = torch.randn(size, 3, generator=generator)
        yield Batch(Inputs(u, torch.ones(size), None) if weighted else u, u)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_shape_is_recorded_once_after_its_first_steps_and_gives_the_same(played, weighted):
    module = nn.Linear(3, 3)
    plain = copy.deepcopy(module)
    recorder = Recorder(linear_step(module), list(module.parameters()))
    sizes = [5, 4, 5, 5, 4, 5, 4, 5, 4, 4, 5]
    for batch in batches(sizes, weighted):
        loss, _ = recorder(batch)
        expected, _ = linear_step(plain)(batch)
        assert float(loss) == pytest.approx(float(expected.detach()))
        assert not loss.requires_grad
        for p, q in zip(module.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)
    assert played.made == 2


def test_a_step_that_cannot_be_recorded_goes_on_as_it_was(monkeypatch):
    def refuse(*args):
        nonlocal tried
        tried += 1
        raise RuntimeError("operation not permitted when stream is capturing")

    tried = 0
    monkeypatch.setattr(_graph, "_Recording", refuse)
    module = nn.Linear(3, 3)
    recorder = Recorder(linear_step(module), list(module.parameters()))
    for batch in batches([5] * 8):
        recorder(batch)
        assert module.weight.grad is not None
    assert tried == 1, "once is enough"


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(64, 2), nn.Linear(2, 64)

    def encode(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


class Flips(nn.Linear):
    """Decides in Python."""


class Twice(GaussianNoise):
    """A noise of one's own."""


def pair(encoder):
    params = {"module__encoder": encoder, "module__decoder": nn.Linear(2, 64)}
    return AutoencoderTransformer(2, module=EncoderDecoder, **params)


@pytest.mark.parametrize(
    ("estimator", "n_rows", "records"),
    [
        (AutoencoderTransformer(2), 128, True),
        (AutoencoderTransformer(2, noise="masking_noise", bottleneck="mmd", loss="huber"), 128, True),
        (ConvAutoencoder(2), 128, True),
        (AutoencoderTransformer(2), 2**22, False),
        (AutoencoderTransformer(2, module=Own), 128, False),
        (VAEGenerator(2), 128, False),
        (AutoencoderTransformer(2, module="gru"), 128, False),
        (pair(nn.Linear(64, 2)), 128, True),
        (pair(Flips(64, 2)), 128, False),
        (AutoencoderTransformer(2, noise=Compose(GaussianNoise(), Twice())), 128, False),
    ],
    ids=["mlp", "parts", "conv", "long", "own", "progress", "sequences", "pair", "own pair", "own noise"],
)
def test_what_is_recorded(digits, estimator, n_rows, records):
    estimator.set_params(max_epochs=0).fit(digits[:50])
    assert can_record(estimator.module_, n_rows) is records


def test_nothing_is_recorded_on_the_cpu(digits, monkeypatch):
    monkeypatch.setattr(_graph, "_Recording", None)
    ae = AutoencoderTransformer(2, device="cpu", max_epochs=10).fit(digits[:100])
    assert not hasattr(ae.net_, "recorder_")


@pytest.mark.parametrize("estimator", [AutoencoderTransformer(3, noise="gaussian_noise"), ConvAutoencoder(3)])
def test_training_with_recorded_steps_equals_training_without(digits, device, monkeypatch, estimator):
    """On the CPU this runs the eager path twice."""
    params = {"device": device, "max_epochs": 5, "random_state": 0, "prior": None}
    recorded = copy.deepcopy(estimator).set_params(**params).fit(digits)
    monkeypatch.setattr("skae._training.step.can_record", lambda *args: False)
    plain = copy.deepcopy(estimator).set_params(**params).fit(digits)
    np.testing.assert_allclose(recorded.loss_curve_, plain.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(recorded.transform(digits), plain.transform(digits), atol=1e-2)


def test_where_others_watch_nothing_is_recorded(digits, monkeypatch):
    made = []
    monkeypatch.setattr("skae._training.step.Recorder", lambda *args: made.append(args))
    monkeypatch.setattr("skae._training.step.can_record", lambda *args: True)
    net = AutoencoderTransformer(2, max_epochs=1).fit(digits[:50]).net_
    net.device = "cuda"  # only the name is looked at
    QuickStep(net)
    assert len(made) == 1
    net.callbacks_.append(("watch", Callback()))
    QuickStep(net)
    assert len(made) == 1


def test_on_a_gpu_steps_are_recorded(digits, device, monkeypatch):
    if torch.device(device).type != "cuda":
        pytest.skip("needs --device cuda")
    made = []
    monkeypatch.setattr(
        _graph, "_Recording", lambda *args, make=_graph._Recording: made.append(make(*args)) or made[-1]
    )
    AutoencoderTransformer(3, device=device, max_epochs=5).fit(digits)
    assert made
