"""Plain values that users keep in a file beside an estimator."""

from __future__ import annotations

import io
import json
import math
import zipfile
from typing import Any

import numpy as np

MEMBER = "skae_metadata.json"  # of an archive
_LARGEST = 2**20  # bytes, as JSON
_DEEPEST = 20  # lists and dicts within each other
_KINDS = "a str, an int, a finite float, a bool, None, or a list or dict of these"


def plain_metadata(metadata: Any) -> dict[str, Any]:
    """Check metadata and return a copy, which JSON holds: NumPy's scalars become Python's, and tuples lists."""
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be None or a dict, got {type(metadata).__name__}.")
    plain = _plain(metadata, "metadata", 0)
    size = len(_text(plain))
    if size > _LARGEST:
        raise ValueError(f"metadata must take at most {_LARGEST} bytes as JSON, got {size}.")
    return plain


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"metadata must hold at most {_DEEPEST} lists and dicts within each other.")
    value = value.item() if isinstance(value, np.generic) and value.dtype.kind in "biufU" else value
    if isinstance(value, bool | int | None):
        if abs(value or 0) >= 2**63:  # more digits than that are no plain number to other readers
            raise ValueError(f"{where} must be smaller than 2**63, got an int of {value.bit_length()} bits.")  # type: ignore[union-attr]
        return value if isinstance(value, bool | None) else int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} must be finite, got {value}: JSON has no such number. Pass None or a str.")
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"{where} must have keys that are str, got {wrong[0]!r}.")
        return {str(key): _plain(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    raise TypeError(f"{where} must be {_KINDS}, got {type(value).__name__}. For other values pass str(value).")


def _text(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, allow_nan=False, ensure_ascii=True, separators=(",", ":")).encode()


def from_document(document: Any) -> dict[str, Any]:
    """The metadata in the document of a file; none in a file that says nothing of them."""
    if not isinstance(document, dict) or document.get("kind") != "estimator":
        raise ValueError("it holds no estimator")
    return plain_metadata(document.get("metadata", {}))


def into_archive(data: bytes, plain: dict[str, Any]) -> bytes:
    """An archive with metadata in it, stored without compression as all else."""
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(MEMBER, _text(plain))
    return file.getvalue()


def from_archive(data: bytes) -> dict[str, Any]:
    """The metadata in an archive; none in one that says nothing of them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "schema.json" not in archive.namelist():
            raise ValueError("it is a zip archive that skops did not write")
        if MEMBER not in archive.namelist():
            return {}
        found = archive.getinfo(MEMBER)
        if found.compress_type != zipfile.ZIP_STORED or found.file_size > _LARGEST:
            raise ValueError(f"its metadata are compressed, or larger than {_LARGEST} bytes")
        return plain_metadata(json.loads(archive.read(found)))
