"""Atomic writes, and safetensors files of a document and arrays with a checksum."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

FORMAT = 2  # incremented when earlier versions can no longer read a file; older formats stay readable
_KEY = "skae_format"
_LONGEST_REASON = 1000  # characters; a message may quote the file
_LONGEST_HEADER = 100_000_000  # safetensors' own limit
_AT_ONCE = 2**24  # bytes read at once from a file object, which may have less than its header claims
# First bytes of files of other packages, and how to read them.
_FOREIGN = {
    **{bytes([0x80, protocol]): "a pickle: if you trust it, load it with joblib.load" for protocol in range(2, 6)},
    **{
        b"x" + level: "a file of joblib: if you trust it, load it with joblib.load"
        for level in (b"\x01", b"^", b"\x9c", b"\xda")
    },
    b"\x1f\x8b": "compressed with gzip: pass gzip.open(path), or load it with joblib.load if joblib wrote it",
    b"BZh": "compressed with bz2: pass bz2.open(path), or load it with joblib.load if joblib wrote it",
    b"\xfd7zXZ": "compressed with lzma: pass lzma.open(path), or load it with joblib.load if joblib wrote it",
}


def check_path(name: str, path: Any) -> None:
    """Check that ``path`` is None or a path."""
    if not (path is None or isinstance(path, str | os.PathLike)):
        raise TypeError(f"{name} must be None, a str or an os.PathLike, got {path!r}.")
    if path is not None and (not os.fspath(path) or os.path.isdir(path)):
        raise ValueError(f"{name} must be the path of a file, got {path!r}.")


def is_file_object(path: Any, method: str) -> bool:
    """Return whether ``path`` is an open file with a ``method`` "read" or "write"; else it must be a path."""
    if isinstance(path, str | bytes | os.PathLike):
        return False
    if not callable(getattr(path, method, None)):
        raise TypeError(f"path must be a str, an os.PathLike or a binary file object with {method}, got {path!r}.")
    if isinstance(path, io.TextIOBase):
        mode = f"{method[0]}b"
        raise TypeError(f"path must be a binary file object, such as open(path, {mode!r}), got a text file: {path!r}.")
    return True


def name_of(path: Any) -> str:
    """Return the name of a path or a file object for error messages."""
    if isinstance(path, str | bytes | os.PathLike):
        return os.fsdecode(path)
    name = getattr(path, "name", None)
    return name if isinstance(name, str) and name else f"The {type(path).__name__}"


def reason(error: Exception) -> str:
    """Return the message of an error without its final period, limited in length."""
    why = str(error).rstrip(".") or type(error).__name__
    return why if len(why) <= _LONGEST_REASON else f"{why[:_LONGEST_REASON]} ..."


def write(path: Any, data: bytes) -> None:
    """Write ``data`` to a path, atomically, or to a binary file object, from its position on."""
    if not is_file_object(path, "write"):
        write_atomically(path, data)
        return
    rest = memoryview(data)
    while rest:
        n = path.write(rest)
        if n is None and isinstance(path, io.RawIOBase):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        rest = rest[n:] if isinstance(n, int) else rest[:0]  # a raw file may write only a part


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write ``data`` to ``path``, so that a kill at any moment leaves the old file or the new one.

    It is written to a temporary file in the same folder, flushed to disk and renamed. Symbolic links are kept, and so
    are the permissions of a replaced file. A kill may leave the temporary file.
    """
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    if os.path.lexists(target) and not os.path.isfile(target):  # so that /dev/null is not replaced
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, "This is a directory: pass the path of a file in it", target)
        raise OSError(errno.EINVAL, "This exists and is not a regular file", target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "There is no such directory to write to", folder)
    temporary = os.path.join(folder, f".skae-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            if os.path.exists(target):
                shutil.copymode(target, temporary)  # before it has content
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
            os.fsync(folder_descriptor)  # so that the rename survives a crash
        finally:
            os.close(folder_descriptor)


def pack(document: Any, arrays: dict[str, np.ndarray]) -> bytes:
    """Return a safetensors file of ``arrays`` in C order and a ``document`` of plain values."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    metadata = {_KEY: str(FORMAT), "document": text, "sha256": _digest(text, arrays)}
    return safetensors.save(arrays, metadata)


def read(path: Any, *, header_only: bool = False) -> bytes:
    """Return the bytes of a regular file, or of the next file in a file object, and advance its position.

    The header is checked before the rest is read, for any claimed size. Archives are read to the end, also with
    ``header_only``.
    """
    with _opened(path) as (file, size):
        start = _take(file, 8)
        header, end = (start, None) if is_archive(start) else _read_header(file, start, size)
        if header_only and end is not None:
            return header
        if size is not None:
            file.seek(0)
            return file.read()
        rest = _take(file, end)
        if end is not None and len(rest) < end:
            raise ValueError("it was truncated")
        return header + rest


@contextmanager
def _opened(path: Any) -> Iterator[tuple[BinaryIO, int | None]]:
    """Yield an open file and its size, or None for a file object."""
    if is_file_object(path, "read"):
        yield path, None
        return
    name = os.fsdecode(path)
    mode = os.stat(name).st_mode
    if not stat.S_ISREG(mode):  # other files might never end
        raise ValueError("it is a directory" if stat.S_ISDIR(mode) else "it is not a regular file")
    with open(name, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _take(file: Any, n: int | None) -> bytes:
    """Return the next ``n`` bytes of a file, or all with None; fewer only at its end."""
    parts: list[bytes] = []
    rest = n
    while rest is None or rest > 0:
        part = file.read(_AT_ONCE if rest is None else min(rest, _AT_ONCE))
        if not isinstance(part, bytes | bytearray | memoryview):
            raise TypeError(f"path must be a binary file object, got one that reads {type(part).__name__}: {file!r}.")
        if not len(part):
            break
        parts.append(bytes(part))
        rest = None if rest is None else rest - len(part)
    return b"".join(parts)


def is_archive(data: bytes) -> bool:
    """Return whether a file is an archive of skops."""
    return data.startswith(b"PK\x03\x04")


def _read_header(file: Any, start: bytes, size: int | None) -> tuple[bytes, int]:
    """Return the header with its ``start``, the length, and the number of bytes of the tensors that follow."""
    length = int.from_bytes(start, "little")
    longest = _LONGEST_HEADER if size is None else min(size - 8, _LONGEST_HEADER)
    if len(start) < 8 or length > longest:
        raise ValueError(_foreign(start))
    data = start + _take(file, length)
    header = _header(data)
    _metadata(header)
    try:
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError("it is not a safetensors file") from error
    end = max(ends, default=0) if all(type(end) is int for end in ends) else -1
    if end < 0 or (size is not None and end != size - 8 - length):
        raise ValueError("it was truncated, or extended")
    return data, end


def _foreign(start: bytes) -> str:
    """Return a description of a file of another package, from its ``start``."""
    if not start:
        return "it is empty"
    kinds = (kind for prefix, kind in _FOREIGN.items() if start.startswith(prefix))
    return f"it is {next(kinds, 'not a file of skae')}"


def unpack(data: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the document and the arrays of a file; other and damaged files raise a ValueError."""
    metadata = _metadata(_header(data))
    try:
        arrays = safetensors.load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a safetensors file that NumPy can read: {error}") from error
    text = metadata["document"]
    if _digest(text, arrays) != metadata["sha256"]:
        raise ValueError("its checksum does not match: it was truncated or changed after it was written")
    # A byte other than 0 and 1 is not a valid bool.
    arrays = {name: (A.view(np.uint8) != 0) if A.dtype == bool else A for name, A in arrays.items()}
    return _document(metadata), arrays


def _header(data: bytes) -> dict[str, Any]:
    """Return the header of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _LONGEST_HEADER):
        raise ValueError("it is not a safetensors file")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not a safetensors file") from error
    if not isinstance(header, dict):
        raise ValueError("it is not a safetensors file")
    return header


def _metadata(header: dict[str, Any]) -> dict[str, str]:
    """Return the metadata in a header, which must be those of `pack`."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
        raise ValueError("it is a safetensors file that skae did not write")
    version = metadata[_KEY]  # first, as a newer format may differ in the rest
    if not (version.isascii() and version.isdigit() and 0 < len(version) < 10 and int(version) > 0):
        raise ValueError(f"its format version {version[:20]!r} is not supported")
    if int(version) > FORMAT:
        raise ValueError(f"it has format {version}, and this version of skae reads up to {FORMAT}: update skae")
    if not all(isinstance(metadata.get(key), str) for key in ("document", "sha256")):
        raise ValueError("it is a safetensors file that skae did not write")
    return metadata


def document_in(header: bytes) -> Any:
    """Return the document in the header of a file, without checking the checksum."""
    return _document(_metadata(_header(header)))


def _document(metadata: dict[str, str]) -> Any:
    return json.loads(metadata["document"], parse_constant=_refuse)


def _digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
