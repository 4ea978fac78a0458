"""A private random state for each estimator, without changes of the global ones."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# Seed of the draws shared by all samples in scores and validation; unlikely to be used for data.
COMMON_SEED = 1_937_162_211

# torch's global generators are shared by all threads: only one may exchange their state. It is recorded in a list
# instead of a lock, so that after Ctrl-C the state is restored and other threads can continue.
_mutex = threading.Lock()
_left = threading.Condition(_mutex)
_in_use: list[Stream] = []  # all of one thread


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed from ``random_state``, as in scikit-learn, or from the system for None.

    None does not use NumPy's global state, which would change it.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_seed(random_state).randint(np.iinfo(np.int32).max))


def check_seed(random_state: Any) -> np.random.RandomState:
    """Return the RandomState of ``random_state``, as in scikit-learn, without drawing from it."""
    try:
        return check_random_state(random_state)
    except (ValueError, TypeError) as error:
        hint = " A Generator gives a seed by generator.integers(2**31)." * isinstance(random_state, np.random.Generator)
        raise ValueError(
            f"random_state must be None, an int from 0 to 2**32 - 1 or a numpy.random.RandomState, "
            f"got {random_state!r}.{hint}"
        ) from error


class Stream:
    """A context in which torch's global generators have the random state of the estimator.

    Layers such as ``nn.Dropout`` use torch's global generator and accept no other, so its state is exchanged while they
    run, and parts simply call ``torch.randn_like``. Only one thread at a time is in such a context, so that results do
    not depend on the number of threads. A process forked meanwhile inherits a lock that is never released: start
    processes by spawn or loky.

    Parameters
    ----------
    seed : int
        The seed of the stream.
    device : str or torch.device, default='cpu'
        A CUDA device has a separate generator, which is exchanged, too.
    """

    _outer: Any = ()  # the exchanged global states, while the stream is in use
    _thread = 0  # thread that uses it

    def __init__(self, seed: int, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self._states = [torch.Generator().manual_seed(seed).get_state()]
        if self.device.type == "cuda":
            self._states.append(torch.Generator(self.device).manual_seed(seed).get_state())

    def __enter__(self) -> Stream:
        own = threading.get_ident()
        if self in _in_use and self._thread == own:
            raise RuntimeError("A Stream cannot be entered a second time before it is left.")
        try:
            with _mutex:
                while _in_use and _in_use[0]._thread != own:
                    _left.wait()
                self._outer, self._thread = self._global_states(), own
                _in_use.append(self)
                self._set_global_states(self._states)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._states = self._global_states()
            self._leave()
        except BaseException:  # Ctrl-C in between
            self._leave()
            raise

    def _leave(self) -> None:
        """Restore the global states, if this thread has exchanged them; may be called twice."""
        with _mutex:
            if self in _in_use and self._thread == threading.get_ident():
                self._set_global_states(self._outer)
                _in_use.remove(self)
                _left.notify_all()

    def _global_states(self) -> list[torch.Tensor]:
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _set_global_states(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)

    def __getstate__(self) -> dict[str, Any]:
        # For a stream in use, its state on entering the block, since that at the end is not known yet.
        return {"device": str(self.device), "states": [state.numpy() for state in self._states]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.device = torch.device(state["device"])
        self._states = [torch.from_numpy(np.array(values, dtype=np.uint8)) for values in state["states"]]

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Stream:
        """Return the stream of a ``state`` from `__getstate__`."""
        stream = cls.__new__(cls)
        stream.__setstate__(state)
        return stream

    def continued_on(self, device: str | torch.device) -> Stream:
        """Return a copy of the stream on ``device``.

        On a device of another type it has a seed derived from the state of this one, to continue the training of a
        model without its CUDA device.
        """
        if torch.device(device).type == self.device.type:
            same = copy.deepcopy(self)
            same.device = torch.device(device)
            return same
        generator = torch.Generator()
        generator.set_state(self._states[0])
        return Stream(int(torch.randint(2**31 - 1, (), generator=generator)), device)

    def draw_seed(self) -> int:
        """Draw a seed for an object with its own generator."""
        with self:
            return int(torch.randint(2**31 - 1, ()))
