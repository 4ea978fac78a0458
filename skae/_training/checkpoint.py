"""Checkpoints of a fit: a file written after every epoch, from which an interrupted fit resumes."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import joblib
import numpy as np
import torch

from .._data.arrays import as_array
from .._data.sparse import SparseRows
from .._module.state import as_arrays, as_tensors
from .._utils.ranks import ALONE, Ranks
from .._utils.rng import Stream
from .._version import __version__
from .state import load_optimizer

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # address of an object, which differs between processes
_PLAIN = (type(None), bool, int, float, str, torch.Tensor)


class Checkpoint:
    """The file of a fit: weights, optimizer, random states, history and the values of callbacks.

    It is read by ``torch.load(weights_only=True)``, which runs no code.

    Parameters
    ----------
    path : str or os.PathLike
        The file, which is read if it exists.
    ranks : Ranks
        Processes, the first of which reads the file and sends its content to the others.
    """

    def __init__(self, path: str | os.PathLike, ranks: Ranks = ALONE) -> None:
        self.path = os.path.realpath(path)  # a symbolic link stays one
        self.fingerprint, self.seed = "", 0
        self.found: dict[str, Any] | None = None
        content = ranks.first(self._read)
        if content is not None:
            try:
                self.found = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
                self.fingerprint, self.seed = self.found["fingerprint"], self.found["seed"]
            except Exception as error:  # a damaged file can raise any error
                raise ValueError(
                    f"checkpoint={self.path!r} must be a checkpoint or a new file, but this file is not a checkpoint: "
                    "pass another path."
                ) from error

    def _read(self) -> bytes | None:
        """Return the content of the file, or None if there is no file."""
        if not os.path.isdir(os.path.dirname(self.path)):
            raise ValueError(f"checkpoint={self.path!r} must be in an existing folder.")
        if not os.path.lexists(self.path):
            return None
        with open(self.path, "rb") as file:
            return file.read()

    def seed_or(self, seed: int) -> int:
        """Return the seed of the file, or ``seed`` if there is no file."""
        return seed if self.found is None else self.seed

    def begin(self, seed: int, described: Iterable[Any]) -> int:
        """Compare the file with the ``described`` fit; return its seed, or ``seed`` if there is no file."""
        fingerprint = joblib.hash(_content([__version__, *described]))
        if self.found is None:
            self.fingerprint, self.seed = fingerprint, seed
        elif self.fingerprint != fingerprint:
            raise ValueError(
                f"checkpoint={self.path!r} is of a fit with other parameters, other data or another version of skae: "
                "pass another path, or delete the file."
            )
        return self.seed

    def resume(self, net: Any, epochs: int) -> tuple[int, bool]:
        """Restore ``net`` to the last epoch in the file.

        Returns the number of completed epochs, and whether training stopped after them.
        """
        self.first = len(net.history)
        if self.found is None:
            return 0, False
        net.module_.load_state_dict(self.found["weights"])
        load_optimizer(net.optimizer_, self.found["optimizer"])
        net.history.extend(self.found["history"])
        for name, callback in net.callbacks_:
            for attribute, value in self.found["callbacks"].get(name, {}).items():
                _restore(callback, attribute, value, net.device)
        return len(self.found["history"]), self.found["stopped"]

    def follow(self, net: Any, iterator: Any) -> None:
        """Restore the random states of ``net`` and of its new ``iterator``."""
        self.generator = iterator.generator
        if self.found is None:
            return
        if self.generator is not None:
            self.generator.set_state(self.found["order"])
        stream = Stream.restored(as_arrays(self.found["stream"])).continued_on(net.device)
        net.stream.__setstate__(stream.__getstate__())  # in place, since others refer to this stream

    def write(self, net: Any, *, stopped: bool) -> None:
        """Write the state of ``net`` at the end of an epoch, so that a kill leaves the old file or the new one."""
        state = {
            "fingerprint": self.fingerprint,
            "seed": self.seed,
            "stopped": stopped,
            "weights": dict(net.module_.state_dict()),
            "optimizer": net.optimizer_.state_dict(),
            "stream": as_tensors(net.stream.__getstate__()),
            "order": None if self.generator is None else self.generator.get_state(),
            "history": _plain_history(net.history.to_list()[self.first :]),
            "callbacks": {name: _values_of(callback) for name, callback in net.callbacks_},
        }
        temporary = _temporary(self.path)
        try:
            with open(temporary, "wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def remove_checkpoint(path: str | os.PathLike) -> None:
    """Delete the file of a completed fit, and the temporary file of a killed one."""
    for name in (os.path.realpath(path), _temporary(os.path.realpath(path))):
        with suppress(OSError):
            os.unlink(name)


def _temporary(path: str) -> str:
    return f"{path}.tmp"


def _plain_history(rows: list) -> list:
    """Return a history without values of user callbacks that a checkpoint cannot store."""
    plain = [{k: _plain_history(v) if k == "batches" else _as_plain(v) for k, v in row.items()} for row in rows]
    return [{name: value for name, value in row.items() if _is_plain(value)} for row in plain]


def _values_of(callback: Any) -> dict[str, Any]:
    """Return the attributes of a callback that a checkpoint can store; `on_train_begin` sets the others."""
    values = {name: _as_plain(value) for name, value in vars(callback).items()}
    arrays = {name: {"array": torch.tensor(value)} for name, value in values.items() if _is_numeric(value)}
    return arrays | {name: {"value": value} for name, value in values.items() if _is_plain(value)}


def _restore(callback: Any, name: str, kept: dict[str, Any], device: str) -> None:
    if "array" in kept:
        setattr(callback, name, kept["array"].numpy())
    elif _has_state(inner := getattr(callback, name, None)):
        inner.load_state_dict(kept["value"])  # type: ignore[union-attr]
    else:
        setattr(callback, name, _on(kept["value"], device))


def _as_plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return value.state_dict() if _has_state(value) else value


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(map(_is_plain, [*value.keys(), *value.values()]))
    return all(map(_is_plain, value)) if type(value) in (list, tuple) else type(value) in _PLAIN


def _has_state(value: Any) -> bool:
    return hasattr(value, "load_state_dict") and not isinstance(value, type)


def _on(value: Any, device: str) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    return {name: _on(item, device) for name, item in value.items()} if isinstance(value, dict) else value


def _content(value: Any) -> Any:
    """Return a value for `joblib.hash`: the numbers of arrays and modules, else the repr."""
    if isinstance(value, torch.Tensor):
        return as_array(value)
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)  # independent of the memory order
    if isinstance(value, SparseRows):
        return [value.shape, value.matrix.data, value.matrix.indices, value.matrix.indptr]
    if isinstance(value, dict | list | tuple):
        return [_content(item) for item in (value.items() if isinstance(value, dict) else value)]
    if hasattr(value, "get_params") and not isinstance(value, type):
        return [type(value).__qualname__, _content(value.get_params(deep=False))]
    if isinstance(value, torch.nn.Module):
        return [str(value), _content(value.state_dict())]
    if hasattr(value, "shape") and not isinstance(value, np.generic):  # samples that are not in memory
        return [str(value.dtype), tuple(value.shape)]
    return _ADDRESS.sub("", repr(value))
