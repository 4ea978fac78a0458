"""An optimiser's step, without what Python adds around it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

_NAMES = ("step", "exp_avg", "exp_avg_sq")


class FastUpdate:
    """``optimizer.step``, faster where it is torch's fused Adam or AdamW: the same kernel on the same state.

    What is left out is Python alone: profiling, and the look-up of every parameter's state, which take six times as
    long as the update of a small network. With hooks, or a ``step`` of its own, an optimiser is left alone. Rates are
    read at every call, as schedules change them.

    Parameters
    ----------
    optimizer : Optimizer
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.groups: list[_Group] | None = None
        self.refresh()

    def refresh(self) -> None:
        """See whether it is still so; for the start of an epoch, as a callback may have loaded another state."""
        optimizer = self.optimizer
        hooks = (
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
            _global_optimizer_pre_hooks,
            _global_optimizer_post_hooks,
        )
        own = vars(optimizer).get("step")  # schedules put one there, to see that it is called
        plain = type(optimizer) in (Adam, AdamW) and (own is None or hasattr(own, "_wrapped_by_lr_sched"))
        plain = plain and not any(hooks) and all(map(_suits_kernel, optimizer.param_groups))
        self.is_fast = plain
        if self.groups is not None:
            same = len(self.groups) == len(optimizer.param_groups) and all(map(_Group.is_current, self.groups))
            self.groups = self.groups if plain and same else None

    def __call__(self) -> None:
        """One step."""
        if self.groups is not None:
            gradients = [group.gradients() for group in self.groups]
            if all(found is not None for found in gradients):
                for group, found in zip(self.groups, gradients, strict=True):
                    group.update(found or [])
                return
        # The first step makes the state, and so does that after a parameter has got its first gradient.
        self.optimizer.step()
        if self.is_fast:
            self.groups = [_Group(self.optimizer, i) for i in range(len(self.optimizer.param_groups))]


def _suits_kernel(group: dict[str, Any]) -> bool:
    others = ("amsgrad", "maximize", "capturable", "differentiable")
    alike = len({(p.device, p.dtype) for p in group["params"]}) == 1
    return bool(group.get("fused")) and alike and not any(group.get(name) for name in others)


class _Group:
    """The parameters of a group that have gradients, and their state, as the kernel takes them."""

    def __init__(self, optimizer: Optimizer, number: int) -> None:
        self.optimizer, self.number = optimizer, number
        self.group = group = optimizer.param_groups[number]
        decoupled = group.get("decoupled_weight_decay", isinstance(optimizer, AdamW))
        self.kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.moving = [p for p in group["params"] if p.grad is not None]
        self.idle = [p for p in group["params"] if p.grad is None]
        states = [optimizer.state[p] for p in self.moving]
        # Views of one tensor, so that one operation counts for all.
        self.count = torch.stack([state["step"] for state in states]) if states else torch.zeros(0)
        for i, state in enumerate(states):
            state["step"] = self.count[i]
        self.steps, self.means, self.squares = ([state[name] for state in states] for name in _NAMES)

    def is_current(self) -> bool:
        """Whether the optimiser still has these parameters, and this state of theirs."""
        groups, state = self.optimizer.param_groups, self.optimizer.state
        if groups[self.number] is not self.group:
            return False
        known = len(self.group["params"]) == len(self.moving) + len(self.idle)
        held = zip(self.moving, self.steps, self.means, self.squares, strict=True)
        return known and all(
            p in state and all(state[p].get(name) is value for name, value in zip(_NAMES, values, strict=True))
            for p, *values in held
        )

    def gradients(self) -> list[Tensor] | None:
        """The gradients of all that had one before; None if others have."""
        found = [p.grad for p in self.moving if p.grad is not None]
        same = len(found) == len(self.moving) and all(p.grad is None for p in self.idle)
        return found if same else None

    @torch.no_grad()
    def update(self, gradients: list[Tensor]) -> None:
        """One step."""
        group = self.group
        self.count.add_(1)
        self.kernel(
            self.moving,
            gradients,
            self.means,
            self.squares,
            [],
            self.steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
