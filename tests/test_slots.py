"""Nested parameter names, calls by signature, and resolution of parts."""

import functools
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae import losses, nn, noise
from skae._utils.slots import build, build_module, check_names, find_class, resolve, select

names = st.text("abcdefgh_", min_size=1, max_size=6).filter(lambda name: name.strip("_") == name and "__" not in name)
OFFERED = {"input_shape": (4,), "n_components": 2, "n_outputs": 3}


# ------------------------------------------------------------------ select and check_names


@given(st.dictionaries(st.tuples(names, names), st.integers(), max_size=8), names)
@settings(max_examples=25)
def test_select_returns_parameters_with_prefix(params, prefix):
    flat = {f"{slot}__{name}": value for (slot, name), value in params.items()}
    expected = {name: value for (slot, name), value in params.items() if slot == prefix}
    assert select(flat, prefix) == expected


def test_select_removes_one_level():
    assert select({"module__encoder__width": 3, "module_x__y": 1, "module": 2}, "module") == {"encoder__width": 3}


@given(st.sets(names, max_size=5), st.sets(names, max_size=5))
@settings(max_examples=25)
def test_check_names_raises_for_unknown_names(given_names, accepted):
    strange = given_names - accepted
    if not strange:
        check_names(given_names, accepted, "owner")
        return
    with pytest.raises(TypeError, match="owner has no parameter p__") as error:
        check_names(given_names, accepted, "owner", "p__")
    assert any(f"has no parameter p__{name}." in str(error.value) for name in strange)
    assert all(f"p__{name}" in str(error.value) for name in accepted), "it tells what there is"


def test_check_names_suggests_close_match():
    with pytest.raises(
        TypeError, match=r"no parameter m__widht\. Did you mean m__width\? Valid parameters are: m__depth, m__width\."
    ):
        check_names(["widht"], ["width", "depth"], "X", "m__")
    with pytest.raises(TypeError, match=r"no parameter zzz\. Valid parameters are: depth, width\."):
        check_names(["zzz"], ["width", "depth"], "X")
    with pytest.raises(TypeError, match="Valid parameters are: none"):
        check_names(["zzz"], [], "X")


# ------------------------------------------------------------------ build


def factory_of(signature):
    """A function of that signature, which returns what it was called with."""
    space = {}
    exec(f"def factory({signature}): return locals()", space)
    return space["factory"]


@given(
    st.sets(st.sampled_from(sorted(OFFERED))),
    st.booleans(),
    st.sets(names.filter(lambda n: n not in OFFERED), max_size=3),
)
@settings(max_examples=25)
def test_build_passes_offered_parameters_in_signature(asked, keyword_only, extra):
    asked, extra = sorted(asked), sorted(extra)
    parameters = [*asked, *(f"{name}=None" for name in extra)]
    factory = factory_of(", ".join((["*"] if keyword_only and parameters else []) + parameters))
    got = build(factory, OFFERED, dict.fromkeys(extra, "user's"), "module")
    assert got == {name: OFFERED[name] for name in asked} | dict.fromkeys(extra, "user's")


def test_build_raises_for_parameters_not_in_signature():
    class Net:
        def __init__(self, input_shape, width=3):
            self.width = width

    assert build(Net, OFFERED, {"width": 7}, "module").width == 7
    with pytest.raises(TypeError, match=r"module=Net has no parameter module__widht\. Did you mean module__width\?"):
        build(Net, OFFERED, {"widht": 7}, "module")
    with pytest.raises(TypeError, match=r"has no parameter module__input_shape.*Valid parameters are: module__width\."):
        build(Net, OFFERED, {"input_shape": (3,)}, "module")


def test_build_with_var_keyword():
    got = build(factory_of("n_components, **rest"), OFFERED, {"width": 7, "anything__at_all": 1}, "module")
    assert got == {"n_components": 2, "rest": {"width": 7, "anything__at_all": 1}}
    assert build(factory_of("**rest"), OFFERED, {}, "module") == {"rest": {}}


@pytest.mark.parametrize("signature", ["n_components", "n_components, **rest"])
def test_build_raises_for_offered_parameters(signature):
    with pytest.raises(TypeError, match="has no parameter module__n_components"):
        build(factory_of(signature), OFFERED, {"n_components": 9}, "module")


def test_build_calls_partials_lambdas_and_bound_methods():
    partial = functools.partial(nn.MLP, hidden_layer_sizes=(5,))
    assert build(partial, OFFERED, {}, "module").encoder[0].out_features == 5
    assert build(partial, OFFERED, {"hidden_layer_sizes": (6,)}, "module").encoder[0].out_features == 6
    assert build(lambda n_outputs: n_outputs, OFFERED, {}, "module") == 3
    maker = types.SimpleNamespace(make=factory_of("self, n_components"))
    assert build(types.MethodType(maker.make, maker), OFFERED, {}, "module")["n_components"] == 2
    with pytest.raises(TypeError, match="has no parameter module__x"):
        build(partial, OFFERED, {"x": 1}, "module")


def test_build_names_missing_parameters():
    with pytest.raises(TypeError, match=r"^module=EncoderDecoder needs module__encoder and module__decoder\.$"):
        build(nn.EncoderDecoder, OFFERED, {}, "module")
    with pytest.raises(TypeError, match=r"^module=factory needs module__width\.$"):
        build(factory_of("n_components, width, depth"), OFFERED, {"depth": 2}, "module")


def test_build_propagates_factory_errors():
    def broken(n_components):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        build(broken, OFFERED, {}, "module")


# ------------------------------------------------------------------ slots


def test_resolve_string_class_and_instance():
    for value in ("huber", losses.Huber):
        assert resolve("loss", value, losses, losses.Loss).get_params() == {"delta": 1.0}
    given_loss = losses.Huber(delta=3.0)
    found = resolve("loss", given_loss, losses, losses.Loss)
    assert found is not given_loss
    assert type(found) is losses.Huber
    found.set_params(delta=5.0)
    assert given_loss.delta == 3.0


def test_resolve_names_missing_parameters_of_class():
    with pytest.raises(TypeError, match=r"^noise=Compose needs noise__first and noise__second\.$"):
        resolve("noise", noise.Compose, noise, noise.Noise)


def test_networks_are_modules():
    with pytest.raises(
        ValueError, match=r"'tcn'\], an nn.Module class or an object of one, got 'mpl'\. Did you mean 'mlp'\?"
    ):
        find_class("module", "mpl", nn, torch.nn.Module, OFFERED)


def test_resolve_accepts_custom_class():
    class Mine(losses.SquaredError):
        pass

    assert type(resolve("loss", Mine, losses, losses.Loss)) is Mine
    assert type(resolve("loss", Mine(), losses, losses.Loss)) is Mine
    with pytest.raises(ValueError, match="got 'mine'"):
        resolve("loss", "mine", losses, losses.Loss)


def test_resolve_copies_instances_that_cannot_be_cloned():
    class Plain:
        def __init__(self):
            self.values = [1]

    module = types.SimpleNamespace(__all__=["Plain"], Plain=Plain)
    value = Plain()
    found = resolve("slot", value, module, Plain)
    found.values.append(2)
    assert value.values == [1]


@pytest.mark.parametrize(
    "value", [3, None, noise.GaussianNoise, noise.GaussianNoise(), int, [], lambda: losses.Huber()]
)
def test_resolve_raises_for_wrong_type(value):
    with pytest.raises(TypeError, match="loss must be a string, a Loss class or an object of one, got"):
        resolve("loss", value, losses, losses.Loss)


@pytest.mark.parametrize("name", ["hub", "loss", "", "squared!error", "__all__", "Loss"])
def test_find_class_lists_valid_names(name):
    with pytest.raises(ValueError, match=r"loss must be one of \['absolute_error', .*'squared_error'\]"):
        find_class("loss", name, losses, losses.Loss)


@pytest.mark.parametrize(
    ("module", "name", "cls"),
    [(nn, "mlp", "MLP"), (noise, "salt_and_pepper", "SaltAndPepper")],
)
def test_find_class_uses_snake_case(module, name, cls):
    assert find_class("slot", name, module, object, {"input_shape", "n_components"}).__name__ == cls


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        *(("MLP", "mlp"), ("Conv", "conv"), ("SquaredError", "squared_error"), ("KSparse", "k_sparse")),
        *(("ResidualMLP", "residual_mlp"), ("MLPMixer", "mlp_mixer"), ("Conv2d", "conv2d"), ("UNet", "u_net")),
    ],
)
def test_abbreviations_are_one_word_in_snake_case(name, spelled):
    cls = type(name, (), {"__init__": lambda self: None})
    assert find_class("slot", spelled, types.SimpleNamespace(__all__=[name], **{name: cls}), object) is cls


def test_signatures_are_read_once(monkeypatch):
    offered = ("input_shape", "n_components", "n_outputs")
    find_class("module", "mlp", nn, torch.nn.Module, offered)
    monkeypatch.setattr("skae._utils.slots._needs", None)
    assert find_class("module", "mlp", nn, torch.nn.Module, offered) is nn.MLP


def test_classes_with_required_parameters_have_no_name():
    with pytest.raises(ValueError, match=r"must be one of \[.*'mlp'.*\]") as error:
        find_class("module", "encoder_decoder", nn, object, {"input_shape", "n_components"})
    assert str(error.value).count("encoder_decoder") == 1, "what was given, not what there is"


def test_build_module_raises_for_non_modules():
    assert isinstance(build_module(torch.nn.ReLU, {}, {}, "module"), torch.nn.ReLU)
    with pytest.raises(TypeError, match=r"module=<lambda> must return an nn.Module, got 3"):
        build_module(lambda: 3, {}, {}, "module")


def supplying(function):
    """A decorator that gives what the function needs beside what it is called with."""

    @functools.wraps(function)
    def called(*args, **kwargs):
        return function(*args, width=8, **kwargs)

    return called


def test_decorated_parameters_are_not_required():
    @supplying
    def make(input_shape, width):
        return torch.nn.Linear(*input_shape, width)

    assert build(make, {"input_shape": (3,)}, {}, "module").out_features == 8

    class Weighted(losses.SquaredError):
        __init__ = supplying(lambda self, width: losses.SquaredError.__init__(self))

    assert isinstance(resolve("loss", Weighted, losses, losses.Loss), Weighted)
