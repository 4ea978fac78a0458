"""Components as hyperparameters: reading, setting, cloning and copying."""

import copy
import inspect
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skae._utils.component import Component
from skae.bottlenecks import KSparse, Sparse
from skae.losses import Huber
from skae.noise import GaussianNoise, MaskingNoise, Noise, SaltAndPepper

numbers = st.floats(allow_nan=False) | st.integers(-5, 5) | st.none()


class Twice(Noise):
    """A user's noise that holds another component, a layer and a plain value."""

    def __init__(self, inner=None, layer=None, name="twice"):
        super().__init__()
        self.inner = inner
        self.layer = layer
        self.name = name

    def corrupt(self, x):
        return self.inner.corrupt(self.inner.corrupt(x))


@given(cls=st.sampled_from([GaussianNoise, MaskingNoise, SaltAndPepper, Huber, Sparse]), value=numbers)
@settings(max_examples=25)
def test_parameters_are_stored_unchanged(cls, value):
    name, *_ = inspect.signature(cls).parameters
    part, params = cls(value), cls().get_params() | {name: value}
    assert part.get_params() == params
    assert clone(part).get_params() == params
    assert cls().set_params(**{name: value}).get_params() == params


@given(k=st.integers(1, 9), ratio=st.floats(1, 3))
@settings(max_examples=25)
def test_repr_is_constructor_call(k, ratio):
    again = eval(repr(KSparse(k, ratio)), {"KSparse": KSparse})  # the source is repr's own
    assert again.get_params() == {"k": k, "ratio": ratio}
    assert "KSparse" in str(Twice(inner=KSparse(k))), "a component that holds another shows it"


def test_set_params_returns_self_and_is_atomic():
    part = KSparse(2, ratio=1.5)
    assert part.set_params(k=3) is part
    with pytest.raises(ValueError, match="Invalid parameter 'kk'"):
        part.set_params(kk=1)
    assert part.get_params() == {"k": 3, "ratio": 1.5}


def test_nested_parameters():
    part = Twice(inner=GaussianNoise(0.1))
    assert part.get_params()["inner__scale"] == 0.1
    assert "inner__scale" not in part.get_params(deep=False)
    copied = clone(part).set_params(inner__scale=0.7)
    assert copied.inner.scale == 0.7
    assert part.inner.scale == 0.1, "a clone shares nothing with the original"
    part.set_params(inner=MaskingNoise(), inner__fraction=0.9)
    assert part.inner.get_params() == {"fraction": 0.9, "hidden_only": False, "groups": None}


def test_nested_component_is_submodule():
    part = Twice(inner=GaussianNoise(0.1))
    assert list(part.children()) == [part.inner]
    part.eval()
    assert not part.inner.training


def test_clone_copies_module_parameters():
    with torch.random.fork_rng():
        layer = torch.nn.Linear(2, 2)
    part = Twice(layer=layer)
    copied = clone(part)
    assert copied.layer is not layer
    assert torch.equal(copied.layer.weight, layer.weight)
    with torch.no_grad():
        copied.layer.weight.zero_()
    assert not torch.equal(copied.layer.weight, layer.weight)


def prepared():
    part = SaltAndPepper(fraction=0.5)
    part.setup(n_components=2)
    part.init_from(torch.tensor([[-1.0, 4.0]]))
    return part


def test_clone_is_not_set_up():
    part = prepared()
    copied = clone(part)
    assert list(copied.state_dict()) == []
    assert {name: float(value) for name, value in part.state_dict().items()} == {"low": -1.0, "high": 4.0}
    copied.setup(n_components=3)
    assert float(copied.high) == 0.0


@pytest.mark.parametrize("copied_by", [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))])
def test_deepcopy_keeps_state(copied_by):
    part = prepared()
    other = copied_by(part)
    assert other.get_params() == part.get_params()
    assert float(other.low) == -1.0
    other.init_from(torch.zeros(1, 1))
    assert float(part.low) == -1.0


def test_state_moves_with_module():
    holder = torch.nn.Sequential(prepared()).double()
    assert holder[0].low.dtype == torch.float64
    other = SaltAndPepper()
    other.setup(n_components=2)
    torch.nn.Sequential(other).load_state_dict(holder.state_dict())
    assert float(other.high) == 4.0


def test_clone_raises_if_constructor_changes_parameters():
    class Rounds(Component):
        def __init__(self, scale=0.26):
            super().__init__()
            self.scale = round(scale, 1)

    with pytest.raises(RuntimeError, match="constructor either does not set or modifies parameter scale"):
        clone(Rounds())


def test_constructor_with_varargs_raises():
    class Many(Component):
        def __init__(self, *scales):
            super().__init__()

    with pytest.raises(RuntimeError, match="varargs"):
        Many(1).get_params()


def test_component_without_parameters():
    class Nothing(Component):
        pass

    assert Nothing().get_params() == {}
    assert repr(Nothing()) == "Nothing()"
    assert isinstance(clone(Nothing()), Nothing)
    assert Nothing().setup(3) is None
