"""Where a long training is written down at the end of every epoch, so that it can go on after a kill."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

from .._data.arrays import as_array
from .._data.sparse import SparseRows
from .._module.state import as_arrays, as_tensors
from .._utils import files as _files
from .._utils.codec import ValueDecoder, ValueEncoder, check_settable, plain_history
from .._utils.component import Component
from .._utils.rng import Stream
from .state import load_optimizer

_KEYS = ("fingerprint", "seed", "stopped", "weights", "optimizer", "stream", "order", "history", "callbacks")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of an object, another one in every process


class Checkpoint:
    """The file of one training.

    What is kept is what decides how training goes on: weights, the optimiser's state, the random stream, the history,
    and of every callback plain values, arrays, and what has a ``state_dict``.

    Parameters
    ----------
    path : str or os.PathLike
        The file; what it holds, if it is there, is read at once.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.path.realpath(path)  # a link keeps pointing to where it did
        self.fingerprint, self.seed = "", 0
        self.found: dict[str, Any] | None = None
        if not os.path.isdir(os.path.dirname(self.path)):
            raise ValueError(f"checkpoint={os.fspath(path)!r} needs a folder that is there.")
        if os.path.lexists(self.path):
            with self._reading():
                document, arrays = _files.unpack(_files.read(self.path))
                if document["kind"] != "checkpoint":
                    raise ValueError(f"it is a {document['kind']}")
                self.found = ValueDecoder(arrays).decode(document["state"])
                if missing := {*_KEYS} - self.found.keys():
                    raise ValueError(f"it lacks {sorted(missing)}")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Whatever a made-up file may lead to, it is the file that is wrong."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            raise ValueError(
                f"checkpoint={self.path!r} is no file that this training can go on from: {_files.reason(error)}. "
                "Give another path."
            ) from error

    def begin(self, seed: int, described: Iterable[Any]) -> int:
        """Say which training this is: ``described``, and a seed. Return the seed, which is that of the file's."""
        digest = hashlib.sha256()
        for value in described:
            _add_to(digest, value)
        self.fingerprint, self.seed = digest.hexdigest(), seed
        if self.found is not None:
            if self.found["fingerprint"] != self.fingerprint:
                raise ValueError(
                    f"checkpoint={self.path!r} is of a training with other parameters or data: give another path, or "
                    "delete the file."
                )
            self.seed = self.found["seed"]
        return self.seed

    def resume(self, net: Any, epochs: int) -> tuple[int, bool]:
        """Bring ``net``, where training of ``epochs`` has just begun, to where the file is.

        Returns the number of epochs that are done, and whether training was to stop after them.
        """
        self.first = len(net.history)
        if self.found is None:
            return 0, False
        with self._reading():
            self._bring(net, self.found, epochs)
        return len(self.found["history"]), bool(self.found["stopped"])

    def _bring(self, net: Any, state: dict[str, Any], epochs: int) -> None:
        net.module_.load_state_dict(as_tensors(state["weights"]))
        load_optimizer(net.optimizer_, state["optimizer"])
        if len(state["history"]) > epochs or not all(type(row["train_loss"]) is float for row in state["history"]):
            raise ValueError("its history is that of another training")
        net.history.extend(state["history"])
        for name, callback in net.callbacks_:
            for attribute, value in state["callbacks"].get(name, {}).items():
                check_settable(type(callback), attribute)
                inner: Any = getattr(callback, attribute, None)
                if _has_state(inner):
                    inner.load_state_dict(value)
                else:
                    setattr(callback, attribute, _on(value, net.device))

    def follow(self, net: Any, iterator: Any) -> None:
        """Bring what is drawn from to where the file is; the ``iterator`` of ``net``, which has just been made, too."""
        self.generator = iterator.generator
        if self.found is None:
            return
        with self._reading():
            if self.generator is not None:
                self.generator.set_state(torch.from_numpy(self.found["order"]))
            stream = Stream.restored(self.found["stream"]).continued_on(net.device)
            net.stream.__setstate__(stream.__getstate__())  # others hold the stream already

    def write(self, net: Any, *, stopped: bool) -> None:
        """Write down where ``net`` is, at the end of an epoch."""
        encoder = ValueEncoder()
        state = {
            "fingerprint": self.fingerprint,
            "seed": self.seed,
            "stopped": stopped,
            "weights": as_arrays(dict(net.module_.state_dict())),
            "optimizer": as_arrays(net.optimizer_.state_dict()),
            "stream": net.stream.__getstate__(),
            "order": None if self.generator is None else self.generator.get_state().numpy(),
            "history": plain_history(net.history.to_list()[self.first :]),
        }
        document = {"kind": "checkpoint", "state": encoder.encode(state, "state")}
        document["state"]["callbacks"] = {
            name: _encoded(encoder, callback, f"callbacks.{name}") for name, callback in net.callbacks_
        }
        _files.write_atomically(self.path, _files.pack(document, encoder.arrays), again=True)


def remove_checkpoint(path: str | os.PathLike) -> None:
    """Delete the file of a training that is over, and what a kill may have left of it."""
    target = os.path.realpath(path)
    for name in (target, _files.temporary_of(target)):
        with suppress(OSError):  # the training is none the worse for it
            os.unlink(name)


def _encoded(encoder: ValueEncoder, callback: Any, where: str) -> dict[str, Any]:
    """What can be kept of a callback; the rest is as the beginning of training leaves it."""
    kept = {}
    for name, value in vars(callback).items():
        value = value.state_dict() if _has_state(value) else value
        before = set(encoder.arrays)
        try:
            kept[name] = encoder.encode(value, f"{where}.{name}")
        except TypeError:
            for stray in encoder.arrays.keys() - before:
                del encoder.arrays[stray]
    return kept


def _has_state(value: Any) -> bool:
    return hasattr(value, "load_state_dict") and not isinstance(value, type)


def _on(value: Any, device: str) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    return {name: _on(item, device) for name, item in value.items()} if isinstance(value, dict) else value


def _add_to(digest: Any, value: Any) -> None:
    """Add what ``value`` is to a digest: all that it holds, since a repr leaves out most of an array or a module."""
    if isinstance(value, torch.Tensor):
        _add_to(digest, as_array(value))
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(repr((value.dtype, value.shape)).encode())
        for start in range(0, len(value) if value.ndim else 0, 4096):  # rows lie in any order, and need no copy of all
            digest.update(np.ascontiguousarray(value[start : start + 4096]).data)
        digest.update(b"" if value.ndim else value.tobytes())
    elif isinstance(value, SparseRows):
        _add_to(digest, [value.shape, value.matrix.data, value.matrix.indices, value.matrix.indptr])
    elif isinstance(value, dict | list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        items = value.items() if isinstance(value, dict) else value
        digest.update(f"{type(value).__qualname__} of {len(value)}".encode())
        for item in items:
            _add_to(digest, item)
    elif isinstance(value, torch.nn.Module) and not isinstance(value, Component):
        _add_to(digest, [type(value).__qualname__, str(value), dict(value.state_dict())])
    elif hasattr(value, "get_params") and not isinstance(value, type):
        _add_to(digest, [type(value).__qualname__, value.get_params(deep=False)])
    elif hasattr(value, "shape") and not isinstance(value, np.generic):  # of rows that are not held
        digest.update(repr((str(value.dtype), tuple(value.shape))).encode())
    else:
        digest.update(_ADDRESS.sub("", repr(value)).encode())
