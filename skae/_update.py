"""An optimiser's step, without what Python adds around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer, optimizer


def fast_update(optimizer_: Optimizer) -> Callable[[], Any]:
    """``optimizer_.step``, faster where it is torch's fused Adam or AdamW: the same kernel on the same state.

    What is left out is Python alone: hooks (there are none), profiling, and the look-up of every parameter's state,
    which take six times as long as the update of a small network. Ask for a new one at every epoch: a callback may load
    a state in between. Rates are read at every call, since schedules change them.
    """
    hooks = (
        optimizer_._optimizer_step_pre_hooks,
        optimizer_._optimizer_step_post_hooks,
        optimizer._global_optimizer_pre_hooks,
        optimizer._global_optimizer_post_hooks,
    )
    if type(optimizer_) not in (Adam, AdamW) or any(hooks) or not all(map(_is_plain, optimizer_.param_groups)):
        return optimizer_.step
    groups: list[_Group] | None = None

    def update() -> None:
        nonlocal groups
        if groups is not None:
            gradients = [group.gradients() for group in groups]
            if all(found is not None for found in gradients):
                for group, found in zip(groups, gradients, strict=True):
                    group.update(found or [])
                return
        # The first step makes the state, and so does that after a parameter has got its first gradient.
        optimizer_.step()
        groups = [_Group(optimizer_, group) for group in optimizer_.param_groups]

    return update


def _is_plain(group: dict[str, Any]) -> bool:
    others = ("amsgrad", "maximize", "capturable", "differentiable")
    alike = len({(p.device, p.dtype) for p in group["params"]}) == 1
    return bool(group.get("fused")) and alike and not any(group.get(name) for name in others)


class _Group:
    """The parameters of a group that have gradients, and their state, as the kernel takes them."""

    def __init__(self, optimizer_: Optimizer, group: dict[str, Any]) -> None:
        self.group = group
        self.kernel = torch._fused_adamw_ if isinstance(optimizer_, AdamW) else torch._fused_adam_
        self.moving = [p for p in group["params"] if p.grad is not None]
        self.idle = [p for p in group["params"] if p.grad is None]
        states = [optimizer_.state[p] for p in self.moving]
        # Views of one tensor, so that one operation counts for all.
        self.count = torch.stack([state["step"] for state in states]) if states else torch.zeros(0)
        for i, state in enumerate(states):
            state["step"] = self.count[i]
        self.steps, self.means, self.squares = (
            [state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq")
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
