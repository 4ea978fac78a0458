"""Compress or decompress an image file with a fitted model: ``python -m skae.coding model.skae in out``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._utils import files
from ..persistence import load
from ._compress import check_estimator, compress, decompress

_SUFFIX = ".skc"
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of Pillow, by the number of channels


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error prints one line to standard error, with the exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m skae.coding", description="Compress or decompress an image.")
    parser.add_argument("model", help="file of skae.save, fitted on images whose pixels are 0 to 255")
    parser.add_argument("source", help=f"image to compress, or {_SUFFIX} file to decompress")
    parser.add_argument("target", help=f"{_SUFFIX} file to write, or image, in the format of its suffix")
    parser.add_argument("--quality", type=float, default=0, help="quality of the compression (default: %(default)s)")
    parser.add_argument("--max-pixels", type=int, default=2**26, help="limit to decompress (default: %(default)s)")
    options = parser.parse_args(arguments)
    packs, unpacks = (Path(name).suffix.lower() == _SUFFIX for name in (options.target, options.source))
    if packs is unpacks:
        parser.error(f"one of source and target must be a {_SUFFIX} file.")
    try:
        model = load(options.model)
        check_estimator(model)
        if packs:
            files.write(options.target, compress(model, _read(options.source, model), quality=options.quality))
        else:
            X = decompress(model, Path(options.source).read_bytes(), max_pixels=options.max_pixels)
            _write(options.target, X, model)
    except (OSError, TypeError, ValueError, ImportError) as error:
        sys.exit(f"{parser.prog}: {error}")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("Image files need Pillow: pip install pillow.") from error
    return Image


def _read(path: str, model: Any) -> np.ndarray:
    """Return an image as one sample of the model's X."""
    n_channels = model.module_.input_shape[0]
    if not model._layout.is_image or n_channels not in _MODES:
        raise ValueError(f"model must be fitted on images with 1, 3 or 4 channels, got {model._layout}.")
    pillow = _pillow()
    try:
        with pillow.open(path) as image:
            pixels = np.asarray(image.convert(_MODES[n_channels]))
    except pillow.DecompressionBombError as error:
        raise ValueError(f"source {path}: {error}") from error
    return model._layout.restore(pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)[None])


def _write(path: str, X: Any, model: Any) -> None:
    """Write the one image of X."""
    if len(X) != 1:
        raise ValueError(f"source must hold one image, got {len(X)}: decompress it in Python.")
    pixels = np.asarray(model._layout.arrange(X if isinstance(X, np.ndarray) else X[0][None]))[0].transpose(1, 2, 0)
    image = np.rint(pixels).clip(0, 255).astype(np.uint8)
    _pillow().fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path)


if __name__ == "__main__":
    main()
