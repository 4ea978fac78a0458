"""Files that are there whole or not at all: a document and arrays, under a checksum, in one safetensors file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from contextlib import suppress
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

FORMAT = 2  # raise it when a file can no longer be read by the skae before, and keep reading the older ones
_KEY = "skae_format"
_LONGEST_REASON = 1000  # letters of what is said about a file, which may quote it
_LONGEST_HEADER = 100_000_000  # safetensors' own limit


def check_path(name: str, path: Any) -> None:
    """Check that ``path`` is None or a path."""
    if not (path is None or isinstance(path, str | os.PathLike)):
        raise TypeError(f"{name} must be None, a str or an os.PathLike, got {path!r}.")
    if path is not None and (not os.fspath(path) or os.path.isdir(path)):
        raise ValueError(f"{name} must be the path of a file, got {path!r}.")


def reason(error: Exception) -> str:
    """What is wrong with a file, for the middle of a sentence."""
    why = str(error).rstrip(".") or type(error).__name__
    return why if len(why) <= _LONGEST_REASON else f"{why[:_LONGEST_REASON]} ..."


def write_atomically(path: str | os.PathLike, data: bytes, *, again: bool = False) -> None:
    """Write ``data`` to ``path``, so that a kill at any moment leaves the old file or the new one.

    It is written beside the target, flushed to the disk and renamed. A link keeps pointing to where it did, and who
    may read a file that was there may read the new one. A kill may leave what was being written: where the same is
    written ``again`` and again, by one process at a time, that has one name.
    """
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    if os.path.lexists(target) and not os.path.isfile(target):  # /dev/null would be gone after it
        kind = errno.EISDIR if os.path.isdir(target) else errno.EINVAL
        raise OSError(kind, "There is something that is no file", target)
    temporary = temporary_of(target) if again else os.path.join(folder, f".skae-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "wb" if again else "xb") as file:
            if os.path.exists(target):
                shutil.copymode(target, temporary)  # before there is anything to read
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder_descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(folder_descriptor)  # or the new name itself might not survive
        finally:
            os.close(folder_descriptor)


def temporary_of(target: str) -> str:
    """The name under which a file is written that is written again and again."""
    digest = hashlib.sha256(os.path.basename(target).encode(errors="surrogateescape")).hexdigest()
    return os.path.join(os.path.dirname(target), f".skae-{digest[:16]}.tmp")  # a name may be as long as names can be


def pack(document: Any, arrays: dict[str, np.ndarray]) -> bytes:
    """A safetensors file of ``arrays`` in C order, with ``document``, which JSON can hold, beside them."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    metadata = {_KEY: str(FORMAT), "document": text, "sha256": _digest(text, arrays)}
    return _in_order(safetensors.save(arrays, metadata))


def _in_order(data: bytes) -> bytes:
    """The same file with its metadata in order, which safetensors shuffles: equal estimators give equal bytes."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[start:]])


def read(path: str | os.PathLike) -> bytes:
    """The bytes of a regular file; anything else might never end.

    A ValueError where a safetensors file is not as long as its header says, or has none that is ours: that much is
    known before it is read, however large it claims to be.
    """
    name = os.fsdecode(path)
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise ValueError("it is no regular file")
    with open(name, "rb") as file:
        if not is_archive(start := file.read(8)):
            _check_length(start, file, os.fstat(file.fileno()).st_size)
        file.seek(0)
        return file.read()


def is_archive(data: bytes) -> bool:
    """Whether a file is one of skops."""
    return data.startswith(b"PK\x03\x04")


def _check_length(start: bytes, file: Any, size: int) -> None:
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(size - 8, _LONGEST_HEADER):
        raise ValueError("it is no safetensors file")
    header = _header(start + file.read(length))
    _metadata(header)
    try:
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError("it is no safetensors file") from error
    if not all(type(end) is int for end in ends) or max(ends, default=0) != size - 8 - length:
        raise ValueError("it was cut, or something was put behind it")


def unpack(data: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """The way back from `pack`: what was not written by it, or was changed since, is a ValueError."""
    metadata = _metadata(_header(data))
    try:
        arrays = safetensors.load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no safetensors file that NumPy can read: {error}") from error
    text = metadata["document"]
    if _digest(text, arrays) != metadata["sha256"]:
        raise ValueError("its checksum does not fit: it was cut or changed after it was written")
    # A byte other than 0 and 1 is no bool.
    arrays = {name: (A.view(np.uint8) != 0) if A.dtype == bool else A for name, A in arrays.items()}
    return json.loads(text, parse_constant=_refuse), arrays


def _header(data: bytes) -> dict[str, Any]:
    """What a safetensors file says of itself."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _LONGEST_HEADER):
        raise ValueError("it is no safetensors file")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no safetensors file") from error
    if not isinstance(header, dict):
        raise ValueError("it is no safetensors file")
    return header


def _metadata(header: dict[str, Any]) -> dict[str, str]:
    """The metadata in a header, which must be ours."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
        raise ValueError("it is a safetensors file that skae did not write")
    version = metadata[_KEY]  # before anything else, which a newer format may have in another way
    if not (version.isascii() and version.isdigit() and 0 < len(version) < 10 and int(version) > 0):
        raise ValueError(f"its format is {version[:20]!r}, which is none")
    if int(version) > FORMAT:
        raise ValueError(f"it has format {version}, and this version of skae reads formats up to {FORMAT}: update skae")
    if not all(isinstance(metadata.get(key), str) for key in ("document", "sha256")):
        raise ValueError("it is a safetensors file that skae did not write")
    return metadata


def _digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
