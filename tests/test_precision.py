"""``precision`` and ``compile`` affect training only."""

import copy
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator


class Watching(nn.Module):
    """A network that tells what it computes in."""

    seen: set

    def __init__(self):
        super().__init__()
        self.down, self.up, self.seen = nn.Linear(64, 4), nn.Linear(4, 64), set()

    def encode(self, x):
        h = self.down(x)
        self.seen.add((self.training, h.dtype))
        return h

    def decode(self, z):
        assert z.dtype is torch.float32
        h = self.up(z)
        self.seen.add((self.training, h.dtype))
        return h


def test_bf16_only_during_training(digits):
    ae = AutoencoderTransformer(4, module=Watching(), precision="bf16", max_epochs=2, random_state=0).fit(digits)
    assert ae.module_.network.seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert {p.dtype for p in ae.module_.parameters()} == {torch.float32}
    assert ae.transform(digits).dtype == np.float32


def test_codes_outputs_and_losses_are_float32(digits):
    for estimator in (AutoencoderTransformer(4), VAEGenerator(4), ConvAutoencoder(4)):
        ae = estimator.set_params(precision="bf16", max_epochs=1, random_state=0).fit(digits)
        u = ae.module_.standardize(torch.from_numpy(np.array(ae._layout.arrange(digits[:20]))))
        ae.module_.train()
        output = ae.module_(u)
        assert {t.dtype for t in output} == {torch.float32}
        assert ae.module_.objective(output, u).dtype is torch.float32


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(8),
        AutoencoderTransformer(8, module__normalization="layer", noise="masking_noise"),
        ConvAutoencoder(8, module__normalization="batch"),
        VAEGenerator(8),
    ],
    ids=["mlp", "noise", "conv", "vae"],
)
def test_bf16_loss_is_close_to_float32(digits, estimator):
    scores = [
        copy.deepcopy(estimator).set_params(precision=precision, max_epochs=15, random_state=0).fit(digits)
        for precision in ("float32", "bf16")
    ]
    one, other = (mean_squared_error(ae, digits) for ae in scores)
    assert other == pytest.approx(one, rel=0.15)
    assert other != one, "and it is something else"


def mean_squared_error(ae, X):
    return float(((ae.reconstruct(X) - X) ** 2).mean())


@pytest.mark.parametrize("network", ["gru", "tcn"])
def test_sequences_in_bf16(digits, network):
    X = digits[:200].reshape(-1, 8, 8).copy()
    X[:50, 5:] = np.nan
    ae = AutoencoderTransformer(4, module=network, precision="bf16", max_epochs=3, random_state=0).fit(X)
    assert np.isfinite(ae.transform(X)).all()


@pytest.fixture
def without_compiler(monkeypatch):
    """The tracing of `torch.compile` without the C++ that it would write, which takes a minute."""
    compiled = []

    def compile_eagerly(module, **params):
        compiled.append(module)
        module._compiled_call_impl = torch.compile(module._call_impl, backend="eager", **params)

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)
    yield compiled
    torch._dynamo.reset()


@pytest.mark.parametrize("params", [{}, {"sample": True}, {"module__dropout": 0.2, "alpha": 0.01}], ids=str)
@pytest.mark.slow
def test_compiled_training_matches_eager(digits, without_compiler, params):
    params = dict(params)
    weight = np.linspace(0.5, 2, 300) if params.pop("sample", False) else None
    fits = [
        AutoencoderTransformer(4, compile=compile, max_epochs=3, random_state=0, **params).fit(
            digits[:300], sample_weight=weight
        )
        for compile in (False, True)
    ]
    assert {type(module).__name__ for module in without_compiler} == {"Autoencoder"}
    plain, compiled = (ae.module_.state_dict() for ae in fits)
    assert list(plain) == list(compiled), "the names of the weights stay"
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, atol=1e-4, rtol=1e-3)
    again = pickle.loads(pickle.dumps(fits[1]))
    np.testing.assert_array_equal(again.transform(digits), fits[1].transform(digits))
    fits[1].partial_fit(digits[:300])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own, of what it imports for this
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_torch_compile(digits):
    fits = [
        AutoencoderTransformer(
            4, compile=compile, max_epochs=2, random_state=0, batch_size=50, early_stopping=False
        ).fit(digits[:100])
        for compile in (False, True)
    ]
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(fits[0].transform(digits), fits[1].transform(digits), atol=1e-3)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"precision": "float16"}, "precision must be one of 'float32', 'bf16', got 'float16'"),
        ({"precision": None}, "precision must be one of"),
        ({"compile": "yes"}, "compile must be one of True, False, got 'yes'"),
        ({"compile": 1}, "compile must be one of"),
    ],
)
def test_invalid_parameters_raise(digits, params, error):
    with pytest.raises(ValueError, match=error):
        AutoencoderTransformer(4, **params).fit(digits)


def test_device(digits, device):
    ae = AutoencoderTransformer(8, precision="bf16", device=device, max_epochs=10, random_state=0).fit(digits)
    plain = AutoencoderTransformer(8, device=device, max_epochs=10, random_state=0).fit(digits)
    assert ae.score(digits) == pytest.approx(plain.score(digits), rel=0.15)
