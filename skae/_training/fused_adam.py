"""The step of torch's fused Adam and AdamW without Python overhead, with private names of torch.

Private names are not imported with this module, and not used with a version of torch that is not in `TESTED`. If a name
is missing or a signature has changed, `optimizer.step` is called, with the same result.

=================================================== ==================================================================
private name                                        reason
=================================================== ==================================================================
``torch._fused_adam_``, ``torch._fused_adamw_``     the kernels
``_global_optimizer_pre_hooks``, ``_post_hooks``    hooks of all optimizers, which only `step` calls
``_optimizer_step_pre_hooks``, ``_post_hooks``      hooks of one optimizer
``_wrapped_by_lr_sched``                            marks a ``step`` that a scheduler of torch has wrapped
``step``, ``exp_avg``, ``exp_avg_sq``               the keys of an optimizer's state
=================================================== ==================================================================
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

TESTED = ("2.13.0",)  # versions of torch
_STATE = ("step", "exp_avg", "exp_avg_sq")
_CHANGED = (AttributeError, ImportError, KeyError, TypeError)  # what another version of torch may raise


class FastUpdate:
    """A faster ``optimizer.step`` for fused Adam and AdamW: the same kernel on the same state.

    It only skips Python code: profiling, and the lookup of the state of each parameter, which take six times as long as
    the update of a small network. Optimizers with hooks or another ``step`` are called as usual. Learning rates are
    read at every call, since schedules change them.

    Parameters
    ----------
    optimizer : Optimizer
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.groups: list[_Group] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Check whether callbacks have changed the optimizer, at the start of an epoch."""
        self.is_fast = _is_supported(self.optimizer)
        if self.groups is not None:
            same = len(self.groups) == len(self.optimizer.param_groups) and all(map(_Group.is_current, self.groups))
            self.groups = self.groups if self.is_fast and same else None

    def __call__(self) -> None:
        """Take one step."""
        if self.groups is not None:
            # Everything that may fail comes before the first change.
            arguments = [group.arguments() for group in self.groups]
            if all(found is not None for found in arguments):
                for group, found in zip(self.groups, arguments, strict=True):
                    group.update(*(found or ()))
                return
        # The state is created by the first step, and by the first step after a parameter's first gradient.
        self.optimizer.step()
        if self.is_fast:
            self._prepare()

    def _prepare(self) -> None:
        """Read the state after `step`, for the next steps."""
        try:
            self.groups = [_Group(self.optimizer, i) for i in range(len(self.optimizer.param_groups))]
        except _CHANGED:
            self.groups, self.is_fast = None, False


def _is_supported(optimizer: Optimizer) -> bool:
    """Return whether the kernel is equivalent to ``optimizer.step``."""
    if torch.__version__.partition("+")[0] not in TESTED or type(optimizer) not in (Adam, AdamW):
        return False
    try:
        from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

        hooks = (
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
            _global_optimizer_pre_hooks,
            _global_optimizer_post_hooks,
        )
    except _CHANGED:
        return False
    own = vars(optimizer).get("step")
    is_own = own is not None and not hasattr(own, "_wrapped_by_lr_sched")
    return not is_own and not any(hooks) and all(map(_suits_kernel, optimizer.param_groups))


def _suits_kernel(group: dict[str, Any]) -> bool:
    others = ("amsgrad", "maximize", "capturable", "differentiable")
    alike = len({(p.device, p.dtype) for p in group["params"]}) == 1
    return bool(group.get("fused")) and alike and not any(group.get(name) for name in others)


class _Group:
    """The parameters of a group with gradients, and their state, as arguments of the kernel."""

    def __init__(self, optimizer: Optimizer, number: int) -> None:
        self.optimizer, self.number = optimizer, number
        self.group = group = optimizer.param_groups[number]
        decoupled = group.get("decoupled_weight_decay", isinstance(optimizer, AdamW))
        self.kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.moving = [p for p in group["params"] if p.grad is not None]
        self.idle = [p for p in group["params"] if p.grad is None]
        states = [optimizer.state[p] for p in self.moving]
        self.steps, self.means, self.squares = ([state[name] for state in states] for name in _STATE)
        for p in self.moving[:1]:
            _try(self.kernel, p.device, p.dtype)
        # Views of one tensor, so that one operation increments all.
        self.count = torch.stack(self.steps) if states else torch.zeros(0)
        self.steps = list(self.count.unbind())
        for state, step in zip(states, self.steps, strict=True):
            state["step"] = step

    def is_current(self) -> bool:
        """Return whether the optimizer still has these parameters and this state."""
        groups, state = self.optimizer.param_groups, self.optimizer.state
        if groups[self.number] is not self.group:
            return False
        known = len(self.group["params"]) == len(self.moving) + len(self.idle)
        states = zip(self.moving, self.steps, self.means, self.squares, strict=True)
        return known and all(
            p in state and all(state[p].get(name) is value for name, value in zip(_STATE, values, strict=True))
            for p, *values in states
        )

    def arguments(self) -> tuple[list[Tensor], dict[str, Any]] | None:
        """Return gradients and learning rates; None if other parameters have gradients than before."""
        gradients = [p.grad for p in self.moving if p.grad is not None]
        if len(gradients) < len(self.moving) or any(p.grad is not None for p in self.idle):
            return None
        beta1, beta2 = self.group["betas"]
        rates = {name: self.group[name] for name in ("lr", "weight_decay", "eps")}
        return gradients, rates | {"beta1": beta1, "beta2": beta2}

    @torch.no_grad()
    def update(self, gradients: list[Tensor], rates: dict[str, Any]) -> None:
        """Take one step."""
        self.count.add_(1)
        _call(self.kernel, (self.moving, gradients, self.means, self.squares), self.steps, rates)


def _call(kernel: Callable, tensors: tuple[list[Tensor], ...], steps: list[Tensor], rates: dict[str, Any]) -> None:
    kernel(*tensors, [], steps, **rates, amsgrad=False, maximize=False)


@functools.cache
def _try(kernel: Callable, device: torch.device, dtype: torch.dtype) -> None:
    """Call the kernel on dummy tensors, to detect a changed signature before weights depend on it."""
    tensors = tuple([torch.zeros(1, device=device, dtype=dtype)] for _ in range(4))
    rates = {"lr": 0.0, "weight_decay": 0.0, "eps": 1.0, "beta1": 0.0, "beta2": 0.0}
    _call(kernel, tensors, [torch.ones((), device=device)], rates)
