"""The fast update of fused Adam: the weights and the state of `optimizer.step`, to the bit, and a way out."""

import copy
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import OneCycleLR

from skae._training import fused_adam
from skae._training.fused_adam import FastUpdate


def twins(make):
    """Two equal modules, and their optimizers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)))
    modules = module, copy.deepcopy(module)
    return modules, [make(m) for m in modules]


def backward(module, seed, used=None):
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(seed))
    for p in module.parameters():
        p.grad = None
    for i, layer in enumerate(module):
        x = layer(x) if used is None or i in used else x
    x.square().sum().backward()


def train(modules, optimizers, update, layers=(None,) * 5):
    """Train the first module by its optimizer's step, and the second by ``update``."""
    for seed, used in enumerate(layers):
        for module in modules:
            backward(module, seed, used)
        optimizers[0].step()
        update()


def assert_same(modules, optimizers):
    for a, b in zip(*(m.parameters() for m in modules), strict=True):
        assert torch.equal(a, b)
    states = [o.state_dict()["state"] for o in optimizers]
    assert states[0].keys() == states[1].keys()
    for key, state in states[0].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][key][name])), name


def adam(module):
    return Adam(module.parameters(), lr=0.1, fused=True)


FAST = {
    "adam": adam,
    "adamw": lambda m: AdamW(m.parameters(), lr=0.1, weight_decay=0.3, betas=(0.5, 0.6), eps=1e-3, fused=True),
    "decay": lambda m: Adam(m.parameters(), lr=0.1, weight_decay=0.3, decoupled_weight_decay=True, fused=True),
    "groups": lambda m: Adam([{"params": m[0].parameters(), "lr": 0.3}, {"params": m[1:].parameters()}], fused=True),
}
OTHERS = {
    "amsgrad": lambda m: Adam(m.parameters(), lr=0.1, amsgrad=True, fused=True),
    "maximize": lambda m: Adam(m.parameters(), lr=0.1, maximize=True, fused=True),
    "foreach": lambda m: Adam(m.parameters(), lr=0.1, foreach=True),
    "sgd": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, fused=True),
}


@pytest.fixture
def calls(monkeypatch):
    """The calls of the kernel by the fast update, on a version of torch that is taken for a tested one."""
    monkeypatch.setattr(fused_adam, "TESTED", (torch.__version__.partition("+")[0],))
    made, call = [], fused_adam._call
    monkeypatch.setattr(fused_adam, "_call", lambda *args: made.append(args) or call(*args))
    fused_adam._try.cache_clear()
    yield made
    fused_adam._try.cache_clear()


@pytest.mark.parametrize("name", [*FAST, *OTHERS])
def test_update_equals_step(calls, name):
    modules, optimizers = twins((FAST | OTHERS)[name])
    train(modules, optimizers, FastUpdate(optimizers[1]))
    assert_same(modules, optimizers)
    assert bool(calls) is (name in FAST)


@given(used=st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=1, max_size=8))
@settings(max_examples=25)
def test_parameters_without_gradients_at_some_steps(used):
    modules, optimizers = twins(adam)
    train(modules, optimizers, FastUpdate(optimizers[1]), used)
    assert_same(modules, optimizers)


def test_update_follows_a_schedule():
    modules, optimizers = twins(adam)
    schedules = [OneCycleLR(o, max_lr=0.1, total_steps=20) for o in optimizers]
    update = FastUpdate(optimizers[1])
    for _ in range(19):
        train(modules, optimizers, update, [None])
        for schedule in schedules:
            schedule.step()
    assert_same(modules, optimizers)


def test_state_after_updates_can_be_loaded():
    modules, optimizers = twins(adam)
    train(modules, optimizers, FastUpdate(optimizers[1]))
    resumed = adam(modules[1])
    resumed.load_state_dict(copy.deepcopy(optimizers[1].state_dict()))
    train(modules, (optimizers[0], resumed), resumed.step)
    assert_same(modules, (optimizers[0], resumed))


@pytest.mark.parametrize("change", ["load", "freeze", "group", "hook"])
def test_changes_between_epochs_are_seen(change):
    modules, optimizers = twins(adam)
    update, seen = FastUpdate(optimizers[1]), []
    for epoch in range(3):
        update.refresh()
        train(modules, optimizers, update)
        for module, optimizer in zip(modules, optimizers, strict=True):
            if change == "load":
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            elif change == "freeze":
                module[epoch].requires_grad_(False)
            elif change == "group" and epoch == 0:
                more = nn.Linear(4, 4)
                more.load_state_dict(module[0].state_dict())
                module.append(more)
                optimizer.add_param_group({"params": more.parameters(), "lr": 0.3})
            elif change == "hook":
                optimizer.register_step_post_hook(lambda *args: seen.append(args))
    assert_same(modules, optimizers)
    assert len(seen) == (2 * 5 * (1 + 2) if change == "hook" else 0)


def test_hooks_and_replaced_steps_are_called():
    modules, (_, optimizer) = twins(adam)
    step, seen = optimizer.step, []
    optimizer.step = lambda *args: seen.append("step") or step(*args)
    optimizer.register_step_post_hook(lambda *args: seen.append("hook"))
    update = FastUpdate(optimizer)
    for seed in range(3):
        backward(modules[1], seed)
        update()
    assert seen == ["step", "hook"] * 3


# ------------------------------------------------------------------ the way out: other versions of torch


class OtherTorch:
    """torch as the fast update sees it, with other names; those that are None are missing."""

    def __init__(self, **names):
        self.names = names

    def __getattr__(self, name):
        found = self.names.get(name, getattr(torch, name))
        if found is None:
            raise AttributeError(name)
        return found


OTHER_VERSIONS = {
    "version": (fused_adam, "torch", OtherTorch(__version__="99.0.0")),
    "no kernel": (fused_adam, "torch", OtherTorch(_fused_adam_=None)),
    "signature": (fused_adam, "torch", OtherTorch(_fused_adam_=lambda weights, grads, first, second: None)),
    "state": (fused_adam, "_STATE", ("step", "first_moment", "second_moment")),
}


@pytest.mark.parametrize("name", OTHER_VERSIONS)
def test_ordinary_step_on_another_version_of_torch(monkeypatch, calls, name):
    monkeypatch.setattr(*OTHER_VERSIONS[name])
    modules, optimizers = twins(adam)
    update = FastUpdate(optimizers[1])
    train(modules, optimizers, update)
    update.refresh()
    train(modules, optimizers, update)
    assert_same(modules, optimizers)
    assert update.groups is None


@pytest.mark.parametrize("which", ["one", "all"])
def test_ordinary_step_without_the_names_of_hooks(monkeypatch, calls, which):
    modules, optimizers = twins(adam)
    with monkeypatch.context() as patch:  # the ordinary step needs them
        if which == "one":
            patch.delattr(optimizers[1], "_optimizer_step_post_hooks")
        else:
            patch.delattr(import_module("torch.optim.optimizer"), "_global_optimizer_pre_hooks")
        update = FastUpdate(optimizers[1])
    train(modules, optimizers, update)
    assert_same(modules, optimizers)
    assert not calls


def test_pinned_version_of_torch_is_tested():
    pinned = (Path(__file__).parents[1] / "constraints.txt").read_text()
    assert re.search(r"^torch==([\d.]+)", pinned, re.MULTILINE)[1] in fused_adam.TESTED
