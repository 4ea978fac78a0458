"""A private random stream for each estimator; the global ones are left as they were found."""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import overrides
from torch.utils import _device

# Of the numbers that all rows share in scores and judgements; none that data are likely to be made with.
COMMON_SEED = 1_937_162_211

# torch's CPU generator is shared by all threads: whoever borrows it must have it alone.
_borrowing = threading.RLock()
_outer: list[torch.Tensor] = []  # its states before it was borrowed, and again within
_local = threading.local()
_PATIENCE = 1.0  # seconds that a fork waits for the step of another thread


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed: from ``random_state`` as scikit-learn reads it, or from the system for None.

    None does not read NumPy's global stream, which would leave it changed.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_seed(random_state).randint(np.iinfo(np.int32).max))


def check_seed(random_state: Any) -> np.random.RandomState:
    """Return the RandomState that scikit-learn reads from ``random_state``; nothing is drawn from it."""
    try:
        return check_random_state(random_state)
    except (ValueError, TypeError) as error:
        hint = " A Generator gives a seed by generator.integers(2**31)." * isinstance(random_state, np.random.Generator)
        raise ValueError(
            f"random_state must be None, an int from 0 to 2**32 - 1 or a numpy.random.RandomState, "
            f"got {random_state!r}.{hint}"
        ) from error


class Loan:
    """A context that ends although Ctrl-C strikes as it begins or ends, which a context written in Python does not.

    A subclass has ``_lend``, a generator that yields once; what it takes it gives back in a ``finally`` of its own.
    An interruption just before the end is left to `settle`, or to the end of the error that it is.
    """

    _loan: Any = None

    def _lend(self) -> Iterator[None]:
        raise NotImplementedError

    def __enter__(self) -> Any:
        loan: Any = self._lend()
        try:
            next(loan)
            _loans().append(weakref.ref(loan))
        except BaseException:
            loan.close()
            raise
        self._loan = loan
        return self

    def __exit__(self, *error: Any) -> None:
        loan: Any = self.__dict__.pop("_loan")
        loan.close()


def _loans() -> list[weakref.ref]:
    """Those of this thread; the last one is not over."""
    loans: list[weakref.ref] = _local.__dict__.setdefault("loans", [])
    while loans and ((loan := loans[-1]()) is None or loan.gi_frame is None):
        loans.pop()
    return loans


def n_loans() -> int:
    """How many this thread has that are not over, for `settle`."""
    return len(_loans())


def settle(n: int) -> None:
    """End all loans of this thread but the first ``n``."""
    loans = _loans()
    while len(loans) > n:
        loan = loans.pop()()
        if loan is not None:
            loan.close()


def settled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Leave what ``function`` borrows as it was, torch's switches too, where Ctrl-C ends it at a bad moment.

    A decorator and no context: Ctrl-C may strike as a context ends, and what that has left to do would then be done
    when the error is forgotten, in the middle of something else.
    """

    @wraps(function)
    def settling(*args: Any, **kwargs: Any) -> Any:
        n, grad, device = n_loans(), torch.is_grad_enabled(), _device.CURRENT_DEVICE
        modes = overrides._get_current_function_mode_stack()
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            settle(n)
            # Struck just before the end of torch's own contexts, they would stay: `torch.device` is a mode.
            torch.set_grad_enabled(grad)
            while overrides._len_torch_function_stack():
                overrides._pop_mode()
            for mode in modes:
                overrides._push_mode(mode)
            _device.CURRENT_DEVICE = device
            if isinstance(error, RuntimeError) and isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from error  # which torch's own contexts made another error of
            raise

    return settling


class Stream(Loan):
    """A context in which torch's global generators are the estimator's own.

    Layers such as ``nn.Dropout`` draw from torch's global generator and can be given no other, so
    the generator's state is exchanged for the time that they run: parts simply call ``torch.randn_like``.
    One context at a time holds the generator, so searches in threads equal those in one thread.

    Parameters
    ----------
    seed : int
        Where the stream starts.
    device : str or torch.device, default='cpu'
        A CUDA device has a generator of its own, which is exchanged too.
    """

    def __init__(self, seed: int, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        cpu = torch.Generator().manual_seed(seed)
        self._states = [cpu.get_state()]
        if self.device.type == "cuda":
            self._states.append(torch.Generator(self.device).manual_seed(seed).get_state())

    def _generators(self) -> list[torch.Generator]:
        """Torch's own, which layers draw from."""
        if self.device.type != "cuda":
            return [torch.default_generator]
        torch.cuda.init()
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        return [torch.default_generator, torch.cuda.default_generators[index]]

    def _lend(self) -> Iterator[None]:
        with _borrowing:
            if self._loan is not None:
                raise RuntimeError("A Stream cannot be entered a second time before it is left.")
            generators = self._generators()
            outer = [(generator, generator.get_state()) for generator in generators]
            mine = list(zip(generators, self._states, strict=True))
            try:
                _outer.append(outer[0][1])
                _set(mine)
                yield
            finally:
                try:
                    self._states = [generator.get_state() for generator in generators]
                    _set(outer)
                except BaseException:  # Ctrl-C, which strikes between any two calls
                    _set(outer)
                    raise
                finally:
                    _outer.pop()

    def __getstate__(self) -> dict[str, Any]:
        # Of a stream that is lent, where it was when it was lent: what the borrower draws is not known before.
        return {"device": str(self.device), "states": [state.numpy() for state in self._states]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.device = torch.device(state["device"])
        self._states = [torch.from_numpy(np.array(values, dtype=np.uint8)) for values in state["states"]]

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Stream:
        """The stream that `__getstate__` gave ``state`` of."""
        stream = cls.__new__(cls)
        stream.__setstate__(state)
        return stream

    def continued_on(self, device: str | torch.device) -> Stream:
        """A stream that goes on from here on ``device``; this one stays where it is.

        On a device of another type it starts from a seed that follows from this one's state: a model trained on
        CUDA is trained further on a machine that has none.
        """
        if torch.device(device).type == self.device.type:
            same = copy.deepcopy(self)
            same.device = torch.device(device)
            return same
        generator = torch.Generator()
        generator.set_state(self._states[0])
        return Stream(int(torch.randint(2**31 - 1, (), generator=generator)), device)

    def draw_seed(self) -> int:
        """Draw a seed for something that keeps a generator of its own."""
        with self:
            return int(torch.randint(2**31 - 1, ()))


def _set(states: list[tuple[torch.Generator, torch.Tensor]]) -> None:
    for generator, state in states:
        generator.set_state(state)


def _wait_for_others() -> None:
    """Before a fork: a step of another thread is soon over, and torch's own locks are then open in the child."""
    _local.waited = _borrowing.acquire(timeout=_PATIENCE)


def _go_on() -> None:
    """After a fork, where the lock is this thread's."""
    if _local.waited:
        _borrowing.release()


def _begin_anew() -> None:
    """In the forked process: a thread that has the generator even so is not here to give it back."""
    global _borrowing
    _go_on()
    if not _local.waited:
        _borrowing = threading.RLock()
        _set([(torch.default_generator, state) for state in _outer[:1]])
        _outer.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_others, after_in_parent=_go_on, after_in_child=_begin_anew)
