"""Branches that only another device takes, reached on the CPU by a fake; nothing here has run on a GPU.

A mode of torch's puts the CPU in the place of CUDA in every call, and notes it. So it shows that these lines run and
lead to the results of the CPU, not that tensors meet on the same device: that takes ``--device cuda`` and a GPU.
"""

import pickle

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from skorch.callbacks import Callback
from torch.overrides import TorchFunctionMode

import skae
from skae import AutoencoderTransformer, VAEGenerator
from skae._data.batches import InMemoryDataset
from skae._data.streaming import StreamingDataset
from skae._training.state import available
from skae._utils.checks import check_device
from skae._utils.memory import hold_budget
from skae._utils.rng import Stream
from skae.export._parts import Reconstruction

QUICK = {"max_epochs": 2, "random_state": 0, "batch_size": 64}
ENOUGH, LITTLE = 2**30, 2**14  # free bytes on the device


def there(argument):
    return isinstance(argument, str | torch.device) and str(argument).startswith("cuda")


class Fake(TorchFunctionMode):
    """The CPU as if it were CUDA: ``asked`` has the functions that were given that device, and those that pin."""

    def __init__(self):
        super().__init__()
        self.asked, self.free, self.state = set(), ENOUGH, torch.zeros(16, dtype=torch.uint8)
        self.claims = False  # whether tensors say that they are there

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if self.claims and func is torch.Tensor.device.__get__:
            return torch.device("cuda")
        if self.claims and func is torch.Tensor.is_cpu.__get__:
            return False
        if name == "pin_memory":
            self.asked.add(name)
            return args[0]
        kwargs = kwargs or {}
        if func is torch.device:
            return func(*args, **kwargs)
        if any(map(there, (*args, *kwargs.values()))):
            self.asked.add(name)
        kwargs = {key: "cpu" if there(value) else value for key, value in kwargs.items()}
        return func(*("cpu" if there(a) else a for a in args), **kwargs)

    def set_state(self, state, device):
        self.state = state


class OnCPU(torch.Generator):
    """A generator of whatever device."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls, "cpu")


class Rows(Callback):
    """Keeps what kind of data set was trained on."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.kinds_ = type(X), type(y)


@pytest.fixture
def fake(monkeypatch):
    fake = Fake()
    monkeypatch.setattr(torch, "Generator", OnCPU)
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "mem_get_info": lambda device: (fake.free, 2 * fake.free),
        "get_rng_state": lambda device: fake.state,
        "set_rng_state": fake.set_state,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    with fake:
        yield fake


def kinds_of(ae):
    return next(callback for _, callback in ae.net_.callbacks_ if isinstance(callback, Rows)).kinds_


def test_names_and_budgets(fake):
    assert check_device("auto").type == "cuda"
    assert [available(device) for device in ("cuda", 0, "cuda:1", 1, "cpu")] == ["cuda", 0, "cpu", "cpu", "cpu"]
    assert (hold_budget("cuda:0"), hold_budget()) == (ENOUGH // 2, 2**29)


def test_stream_exchanges_both_states(fake):
    before = fake.state
    stream = Stream(3, "cuda")
    with stream:
        assert len(fake.state) > len(before), "the device's generator has the stream's state"
    assert fake.state is before
    assert len(stream.__getstate__()["states"]) == 2
    assert len(stream.continued_on("cpu")._states) == 1
    assert len(stream.continued_on("cuda:1")._states) == 2


@pytest.mark.parametrize("estimator", [AutoencoderTransformer(4, noise="gaussian_noise"), VAEGenerator(4)])
def test_fit_and_methods(fake, digits, estimator, tmp_path):
    X, weight = digits[:200], np.linspace(0.5, 1, 200)
    there, here = (
        clone(estimator).set_params(**QUICK, device=device).fit(X, X_val=X[:50], sample_weight=weight)
        for device in ("auto", "cpu")
    )
    assert (there.net_.device, here.net_.device) == ("cuda", "cpu")
    assert {"to", "zeros"} <= fake.asked
    skae.save(there, tmp_path / "kept")
    for found in (there, skae.load(tmp_path / "kept"), pickle.loads(pickle.dumps(there))):
        assert found.net_.device == "cuda"
        np.testing.assert_array_equal(found.transform(X), here.transform(X))
        np.testing.assert_array_equal(found.reconstruct(X), here.reconstruct(X))


def test_rows_are_held_there_where_they_fit(fake, digits, tmp_path):
    X = digits[:200].astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    stored = np.load(tmp_path / "rows.npy", mmap_mode="r")
    ae = AutoencoderTransformer(4, callbacks=[Rows()], **QUICK)
    curves = []
    with config_context(working_memory=1 / 16):  # too little on the CPU
        for free, rows, kind in (
            (ENOUGH, stored, InMemoryDataset),
            (LITTLE, stored, StreamingDataset),
            (LITTLE, X, StreamingDataset),
        ):
            fake.free = free
            fake.asked.clear()
            ae.fit(rows, X_val=X)
            assert kinds_of(ae) == (kind, kind)
            assert ("pin_memory" in fake.asked) == (kind is StreamingDataset)
            curves.append(ae.validation_loss_curve_)
    fake.free = ENOUGH
    held = ae.set_params(device="cpu").fit(X, X_val=X)
    np.testing.assert_allclose(curves[0], held.validation_loss_curve_)  # means come from blocks
    np.testing.assert_allclose(curves[2], held.validation_loss_curve_)


def test_tensors_that_are_there(fake, digits):
    ae = AutoencoderTransformer(4, **QUICK).fit(digits[:200])
    x = torch.from_numpy(digits[:20].copy())
    wanted = ae.module_.standardize(x)
    fake.claims = True
    assert torch.equal(ae.module_.standardize(x), wanted)
    pickled = pickle.loads(pickle.dumps(ae))
    exported = Reconstruction(ae)
    fake.claims = False
    np.testing.assert_array_equal(pickled.transform(digits[:20]), ae.transform(digits[:20]))
    for one, other in zip(exported.module.parameters(), ae.module_.parameters(), strict=True):
        assert one is not other
        assert torch.equal(one, other)
