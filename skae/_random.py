"""A private random stream for each estimator; the global ones are left as they were found."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# Of the numbers that all rows share in scores and judgements; none that data are likely to be made with.
COMMON_SEED = 1_937_162_211

# torch's CPU generator is shared by all threads: whoever borrows it must have it alone.
_borrowing = threading.RLock()


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed: from ``random_state`` as scikit-learn reads it, or from the system for None.

    None does not read NumPy's global stream, which would leave it changed.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


class Stream:
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

    def _exchange(self, states: list[torch.Tensor]) -> list[torch.Tensor]:
        found = [torch.get_rng_state()]
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            found.append(torch.cuda.get_rng_state(self.device))
            torch.cuda.set_rng_state(states[1], self.device)
        return found

    def __enter__(self) -> Stream:
        _borrowing.acquire()
        if hasattr(self, "_outer"):
            _borrowing.release()
            raise RuntimeError("A Stream cannot be entered a second time before it is left.")
        self._outer = self._exchange(self._states)
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._states = self._exchange(self._outer)
        finally:
            del self._outer
            _borrowing.release()

    def __getstate__(self) -> dict[str, Any]:
        # Of a stream that is lent, where it was when it was lent: what the borrower draws is not known before.
        return {"device": str(self.device), "states": [state.numpy() for state in self._states]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.device = torch.device(state["device"])
        self._states = [torch.from_numpy(np.array(values, dtype=np.uint8)) for values in state["states"]]

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
