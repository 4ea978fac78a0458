"""The processes (ranks) that train one estimator together: communication and failures."""

from __future__ import annotations

import itertools
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .joblib_compat import in_joblib_worker
from .torch_compat import default_store

T = TypeVar("T")
_TIMEOUT = timedelta(minutes=30)  # limit of waiting for other ranks, such as one with a slow disk
_ANSWER = 10.0  # seconds within which a rank notices that another one has failed
_numbers = itertools.count()  # counts the distributed fits of this process


class Lost(RuntimeError):
    """Raised if another rank has failed."""


class Ranks:
    """The ranks of a fit; by default only this process, without communication.

    All ranks call the same methods in the same order.

    Parameters
    ----------
    rank, size : int
        Index of this process, and number of processes.
    group : ProcessGroup
        Process group of one fit: ranks that wait in it fail if another one leaves it.
    store : Store
        Key-value store for messages between ranks.
    """

    def __init__(self, rank: int = 0, size: int = 1, group: Any = None, store: Any = None) -> None:
        self.rank, self.size, self.group, self.store = rank, size, group, store

    def __reduce__(self) -> Any:
        return _alone, ()  # copies and pickles do not participate in a fit

    @property
    def local_rank(self) -> int:
        """The index of this process on its machine."""
        return dist.get_node_local_rank(fallback_rank=0)

    def _exchange(self, function: Callable, *args: Any, **kwargs: Any) -> None:
        try:
            function(*args, group=self.group, **kwargs)
            return
        except (KeyboardInterrupt, RuntimeError) as error:
            failure = Lost(str(error)) if isinstance(error, RuntimeError) else KeyboardInterrupt()
        raise failure  # a new one, since the frames of the original would keep the group open

    def gather(self, value: T) -> list[T]:
        """Return the values of all ranks."""
        found: list[Any] = [value] * self.size
        if self.group is not None:
            self._exchange(dist.all_gather_object, found, value)
        return found

    def first(self, find: Callable[[], T]) -> T:
        """Return the result of ``find``, called only on rank 0."""
        found: list[Any] = [find() if self.rank == 0 else None]
        if self.group is not None:
            self._exchange(dist.broadcast_object_list, found, group_src=0)
        return found[0]

    def take_first(self, *tensors: Tensor) -> None:
        """Replace tensors by those of rank 0."""
        for tensor in tensors if self.group is not None else ():
            values = tensor.detach().contiguous()
            self._exchange(dist.broadcast, values, group_src=0)
            tensor.detach().copy_(values)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the ranks, without a gradient."""
        if self.group is None:
            return values
        values = values.detach().clone()
        self._exchange(dist.all_reduce, values)
        return values

    def mean(self, mean: Tensor, n: int) -> Tensor:
        """Return the mean over a whole batch, given the ``mean`` over the ``n`` samples of this rank."""
        if self.group is None:
            return mean
        total = self.sum(torch.cat([mean.flatten() * n, mean.new_tensor([n])]))
        return (total[:-1] / total[-1]).view_as(mean)

    def average_gradients(self, parameters: Sequence[Tensor], n: int) -> None:
        """Average gradients of losses that each rank has multiplied by its number ``n`` of samples.

        A missing gradient counts as 0, and stays None if it is missing on all ranks.
        """
        if self.group is None:
            return
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        present = [float(p.grad is not None) for p in parameters]
        flat = torch.cat([*(grad.flatten() for grad in grads), grads[0].new_tensor([*present, n])])
        self._exchange(dist.all_reduce, flat)
        flat /= flat[-1].clone()
        *parts, counts = flat.split([*(grad.numel() for grad in grads), len(present) + 1])
        for i, (p, grad, part) in enumerate(zip(parameters, grads, parts, strict=True)):
            if p.grad is not None or counts[i] > 0:  # in the memory order of the weights, as required by updates
                p.grad = part.view_as(p) if p.is_contiguous() else grad.copy_(part.view_as(p))

    def check_same(self, described: dict[str, str]) -> None:
        """Raise an error if the descriptions of the ranks differ."""
        first, *others = self.gather(described)
        for rank, other in enumerate(others, 1):
            for name in sorted(first | other):  # a part before its parameters, which other parts may not have
                one, two = (found.get(name) for found in (first, other))
                if one != two:
                    raise ValueError(
                        f"distributed=True needs the same fit on all ranks: {name} is {one} on rank 0, and {two} on "
                        f"rank {rank}. Use the same parameters and the entire X on every rank."
                    )

    def agree_to_stop(self, stops: bool, module: nn.Module) -> bool:
        """Return whether any rank stops; raise an error if weights differ between ranks."""
        if self.group is None:
            return stops
        digest = 0
        for values in module.state_dict().values():
            digest = zlib.crc32(values.cpu().contiguous().flatten().view(torch.uint8).numpy(), digest)
        (first, stops), *others = self.gather((digest, stops))
        for rank, (digest, stops_there) in enumerate(others, 1):
            stops |= stops_there
            if digest != first:
                raise RuntimeError(
                    f"The weights of rank {rank} differ from those of rank 0: a part depends on the samples of its "
                    "rank only (extending.md), or the ranks run on different kinds of processors."
                )
        return stops

    def leave(self, key: str = "", text: str = "") -> None:
        """Leave the group, after writing the reason to the store."""
        with suppress(RuntimeError):
            if key:
                self.store.set(f"{key}/{self.rank}", text)
        group, self.group = self.group, None
        dist.destroy_process_group(group)

    def find_failure(self) -> str | None:
        """Wait for all other ranks to leave after a failure; return the reason, if known."""
        silent, until = [rank for rank in range(self.size) if rank != self.rank], time.monotonic() + _ANSWER
        failed: list[int] = []
        try:
            while silent and time.monotonic() < until:
                failed += [rank for rank in silent if self.store.check([f"failed/{rank}"])]
                silent = [rank for rank in silent if rank not in failed and not self.store.check([f"left/{rank}"])]
                time.sleep(0.02)
            if failed:
                return f"Rank {failed[0]} failed: {self.store.get(f'failed/{failed[0]}').decode()}"
        except RuntimeError:  # the store has ended, without torchrun together with rank 0
            silent = [0] if self.rank else silent
        return f"Rank {silent[0]} did not answer for {_ANSWER:g} s: its process has ended." if silent else None


ALONE = Ranks()


def _alone() -> Ranks:
    return ALONE


@contextmanager
def fitting_together(distributed: bool) -> Iterator[Ranks]:
    """Yield the ranks of one fit. If one of them raises an error, all others raise an error that names it."""
    if not distributed:
        yield ALONE
        return
    ranks = _join()
    try:
        yield ranks
    except Lost as error:
        ranks.leave("left")
        reason = ranks.find_failure() or f"The connection to the other ranks broke: {error}"
        raise RuntimeError(f"{reason}\nThe estimator is unchanged.") from None
    except BaseException as error:
        ranks.leave("failed", f"{type(error).__name__}: {error}")
        ranks.find_failure()  # since the store may end with this process
        raise
    ranks.leave()


def _join() -> Ranks:
    if in_joblib_worker():
        raise RuntimeError(
            "distributed=True does not work in the workers of n_jobs, which are not ranks: set n_jobs=None, so that "
            "all ranks fit the candidates together, or set distributed=False."
        )
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if not dist.is_initialized():
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
            raise RuntimeError(
                "distributed=True needs several processes that run the same script: start it by torchrun, such as "
                "torchrun --nproc-per-node=2 script.py, or set distributed=False."
            )
        store, rank, size = next(dist.rendezvous("env://", timeout=_TIMEOUT))
        if os.environ.get("GROUP_WORLD_SIZE") == "1":
            # The store of torchrun's agent outlives the ranks, and still has the addresses of earlier ones.
            store = dist.PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_TIMEOUT)
    store = dist.PrefixStore(f"skae/{next(_numbers)}", default_store())
    return Ranks(dist.get_rank(), dist.get_world_size(), dist.new_group(timeout=_TIMEOUT, backend=backend), store)
