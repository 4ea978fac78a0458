"""The shortcut around an optimiser's step: the same weights and the same state, to the bit."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import OneCycleLR

from skae._training.fused_adam import FastUpdate


def twins(make, layers=3):
    """Two modules that start alike, and their optimisers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
    modules = module, copy.deepcopy(module)
    return modules, [make(m) for m in modules]


def backward(module, seed, used=None):
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(seed))
    for p in module.parameters():
        p.grad = None
    for i, layer in enumerate(module):
        x = layer(x) if used is None or i in used else x
    x.square().sum().backward()


def assert_same(modules, optimizers):
    for a, b in zip(*(m.parameters() for m in modules), strict=True):
        assert torch.equal(a, b)
    states = [o.state_dict()["state"] for o in optimizers]
    assert states[0].keys() == states[1].keys()
    for key, state in states[0].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][key][name])), name


makers = {
    "adam": lambda m: Adam(m.parameters(), lr=0.1, fused=True),
    "adamw": lambda m: AdamW(m.parameters(), lr=0.1, weight_decay=0.3, betas=(0.5, 0.6), fused=True),
    "decay": lambda m: Adam(m.parameters(), lr=0.1, weight_decay=0.3, eps=1e-3, fused=True),
    "decoupled": lambda m: Adam(m.parameters(), lr=0.1, weight_decay=0.3, decoupled_weight_decay=True, fused=True),
    "groups": lambda m: Adam([{"params": m[0].parameters(), "lr": 0.3}, {"params": m[1:].parameters()}], fused=True),
    "amsgrad": lambda m: Adam(m.parameters(), lr=0.1, amsgrad=True, fused=True),
    "maximize": lambda m: Adam(m.parameters(), lr=0.1, maximize=True, fused=True),
    "for each": lambda m: Adam(m.parameters(), lr=0.1, foreach=True),
    "sgd": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9, fused=True),
}


@pytest.mark.parametrize("name", makers)
def test_steps_are_the_optimisers_own(name):
    modules, optimizers = twins(makers[name])
    update = FastUpdate(optimizers[1])
    assert update.is_fast is (name not in ("amsgrad", "maximize", "for each", "sgd"))
    for seed in range(5):
        for module in modules:
            backward(module, seed)
        optimizers[0].step()
        update()
    assert_same(modules, optimizers)


@given(used=st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=1, max_size=8))
@settings(max_examples=50)
def test_parameters_may_have_gradients_at_some_steps_and_none_at_others(used):
    modules, optimizers = twins(makers["adam"])
    update = FastUpdate(optimizers[1])
    for seed, layers in enumerate(used):
        for module in modules:
            backward(module, seed, layers)
        optimizers[0].step()
        update()
    assert_same(modules, optimizers)


def test_rates_follow_a_schedule_at_every_step():
    modules, optimizers = twins(makers["adam"])
    schedules = [OneCycleLR(o, max_lr=0.1, total_steps=20) for o in optimizers]
    update = FastUpdate(optimizers[1])
    for seed in range(19):
        for module in modules:
            backward(module, seed)
        optimizers[0].step()
        update()
        for schedule in schedules:
            schedule.step()
    assert_same(modules, optimizers)


def test_what_it_leaves_behind_is_an_ordinary_state():
    modules, optimizers = twins(makers["adam"])
    update = FastUpdate(optimizers[1])
    for seed in range(3):
        for module in modules:
            backward(module, seed)
        optimizers[0].step()
        update()
    other = copy.deepcopy(modules[1])
    resumed = makers["adam"](other)
    resumed.load_state_dict(copy.deepcopy(optimizers[1].state_dict()))
    for module in (modules[0], other):
        backward(module, 9)
    optimizers[0].step()
    resumed.step()
    assert_same((modules[0], other), (optimizers[0], resumed))


@pytest.mark.parametrize("change", ["load", "freeze", "group", "hook", "nothing"])
def test_what_changes_between_epochs_is_seen(change):
    modules, optimizers = twins(makers["adam"])
    update, seen = FastUpdate(optimizers[1]), []
    for epoch in range(3):
        update.refresh()
        for seed in range(3):
            for module in modules:
                backward(module, seed)
            optimizers[0].step()
            update()
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
    assert update.is_fast is (change != "hook")
    assert len(seen) == (2 * 3 * (1 + 2) if change == "hook" else 0)


def test_hooks_are_not_passed_over():
    modules, optimizers = twins(makers["adam"])
    seen = []
    optimizers[1].register_step_post_hook(lambda *args: seen.append(args))
    update = FastUpdate(optimizers[1])
    for seed in range(3):
        backward(modules[1], seed)
        update()
    assert len(seen) == 3


def test_a_step_put_in_its_place_is_called():
    modules, (_, optimizer) = twins(makers["adam"])
    own, seen = optimizer.step, []
    optimizer.step = lambda *args: seen.append(args) or own(*args)
    update = FastUpdate(optimizer)
    for seed in range(3):
        backward(modules[1], seed)
        update()
    assert len(seen) == 3
