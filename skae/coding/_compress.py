"""Compression of samples by the integer codes of an estimator and its entropy model."""

from __future__ import annotations

import hashlib
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._data.arrays import as_array
from .._data.chunked import is_double
from .._data.image_list import ImageList
from .._density.tables import Tables, read, sample_bits, write
from .._utils.checks import check_number
from ..estimators._base import BaseAutoencoder
from ..estimators._integer_codes import integers_of
from ._container import DIGEST_SIZE, DTYPES, QUALITY_GRID, Header, pack, seal_of, unpack
from ._rans import Decoder, Encoder

_INT32 = np.iinfo(np.int32)


class _Group(NamedTuple):
    """Samples of one size."""

    members: np.ndarray  # indices of the samples
    size: tuple[int, ...] | None  # height and width, for images of any size
    codes: np.ndarray  # int64 (n, n_integers, h, w)


def compress(estimator: Any, X: Any, *, quality: float = 0) -> bytes:
    """Encode X as bytes, from which `decompress` reconstructs it.

    The integer codes of X are entropy coded with the probabilities of ``code_model_``, in nearly the number of bits
    computed by `n_bits`. A header of about 30 bytes describes the samples and identifies the model, and a checksum
    follows. Small samples should therefore be compressed together.

    **Only the same fitted estimator can decode the bytes.** Store it with `skae.save`; another fit, even on the same
    data, gives a different model.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator with a discrete bottleneck, such as ``bottleneck='fsq'``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of images
        Samples as in ``estimator.transform``, without NaN. For images of any size also a single image or a list.
    quality : float, default=0
        Quality, from ``qualities[0]`` to ``qualities[1]`` of the bottleneck `Rounded`, in steps of 1/8; higher values
        give a smaller error and more bytes.

    Returns
    -------
    data : bytes
        The encoded samples. The format is frozen: later versions of skae can decode it.

    Raises
    ------
    ValueError, TypeError
        If the estimator cannot decode codes, or an argument is invalid; the message states why.

    See Also
    --------
    decompress : Reconstruct X from the bytes.
    n_bits : Number of bits of each sample.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import skae
    >>> from skae.coding import compress, decompress
    >>> X = load_digits().data
    >>> ae = skae.AutoencoderTransformer(16, bottleneck="rounded", max_epochs=5, random_state=0).fit(X[:1000])
    >>> data = compress(ae, X[1000:])
    >>> len(data) < X[1000:].size / 4
    True
    >>> decompress(ae, data).shape
    (797, 64)
    """
    check_estimator(estimator)
    quality = _on_grid(estimator, quality)
    X = _checked_samples(estimator, X)
    encoder = Encoder()
    groups = _encoded(estimator, X, quality)
    for group in groups:
        flat = group.codes.reshape(-1)
        for step in estimator.code_model_.steps(group.codes, quality):
            write(step, flat[step.index], encoder.emit)
    is_list = isinstance(X, ImageList)
    by_sample = sorted((i, group.size) for group in groups if group.size for i in group.members.tolist())
    sizes = [size for _, size in by_sample]
    header = Header(digest_of(estimator), quality, _dtype_of(X), is_list, len(X), sizes).pack()
    return pack(header, encoder.finish(seal_of(header, (group.codes for group in groups))))


def decompress(estimator: Any, data: Any, *, max_pixels: int = 2**26) -> Any:
    """Reconstruct samples from the bytes of `compress`.

    The decoded codes are exact on every machine. The output of the network may differ between machines and versions of
    torch by floating-point rounding.

    Decoding untrusted data is safe: no code in them is executed, memory and time are bounded by ``max_pixels``, and
    truncated or modified data raise an error.

    Parameters
    ----------
    estimator : estimator
        The estimator passed to `compress`, or its copy from a file of `skae.save`.
    data : bytes-like
        The output of `compress`.
    max_pixels : int, default=2**26
        Maximum total number of pixels to decode, or of values for samples that are not images. Sides of images are
        rounded up to multiples of the network's stride.

    Returns
    -------
    X_hat : ndarray of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
        Reconstructions from the encoded integers, in the layout of ``estimator.reconstruct(X)``: a list for a list of
        images of any size. If X had an unsigned integer dtype, they are rounded to this dtype.

    Raises
    ------
    ValueError, TypeError
        If the data were truncated or modified, encoded by another model or a newer version, or have too many pixels.

    See Also
    --------
    compress : Encode X.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import skae
    >>> from skae.coding import compress, decompress
    >>> X = load_digits().data
    >>> ae = skae.AutoencoderTransformer(4, bottleneck="fsq", max_epochs=1, random_state=0).fit(X)
    >>> data = compress(ae, X)
    >>> bool((decompress(ae, data) == ae.reconstruct(X)).all())
    True
    >>> decompress(ae, data[:100])
    Traceback (most recent call last):
        ...
    ValueError: data was truncated or modified: its checksum is wrong.
    """
    check_estimator(estimator)
    check_number("max_pixels", max_pixels, numbers.Integral, 1)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data must be the bytes of compress, got {type(data).__name__}: read the file first.")
    header, head, body = unpack(bytes(data), digest_of(estimator))
    module = estimator.module_
    sizes = _sizes_in(header, module, max_pixels)
    _check_quality(estimator, header.quality, "data is damaged: its quality")
    decoder = Decoder(body)
    groups = []
    for size, index in _by_size(sizes, header.n_samples):
        shape = (len(index), len(module.bottleneck.alphabet), *module.map_size(size))
        codes = _drawn(estimator.code_model_, shape, header.quality, decoder.draw)
        groups.append(_Group(index, size, codes))
    decoder.finish(seal_of(head, (group.codes for group in groups)))
    decoded = ((group.members, _decoded(estimator, group, header)) for group in groups)
    return _in_order(decoded, header)


def n_bits(estimator: Any, X: Any, *, quality: float = 0) -> np.ndarray:
    r"""Compute the ideal length of each sample's code under the estimator's probabilities.

    .. math:: -\log_2 p(\mathrm{code}(x))

    The output of `compress` has the sum of these lengths, at most 0.5 % more, plus header and checksum.

    Parameters
    ----------
    estimator : estimator
        As in `compress`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of images
        Samples, as in `compress`.
    quality : float, default=0
        As in `compress`.

    Returns
    -------
    n_bits : ndarray of shape (n_samples,), float64
        Number of bits.

    Raises
    ------
    ValueError, TypeError
        As in `compress`.

    See Also
    --------
    compress : Encode X.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> import skae
    >>> from skae.coding import compress, n_bits
    >>> X = load_digits().data
    >>> ae = skae.AutoencoderTransformer(4, bottleneck="fsq", max_epochs=1, random_state=0).fit(X)
    >>> ideal = n_bits(ae, X).sum() / 8
    >>> bool(len(compress(ae, X)) < 1.02 * ideal + 30)
    True
    """
    check_estimator(estimator)
    quality = _on_grid(estimator, quality)
    X = _checked_samples(estimator, X)
    found = np.zeros(len(X))
    for members, _, codes in _encoded(estimator, X, quality):
        found[members] = sample_bits(estimator.code_model_.steps(codes, quality), codes)
    return found


# ---------------------------------------------------------------- checks


def check_estimator(estimator: Any) -> None:
    """Check that an estimator is fitted, and that its codes can be encoded and decoded."""
    if not isinstance(estimator, BaseAutoencoder):
        inner = {
            "steps": "its last step, with X as transformed by the other steps",
            "estimator_": "its estimator_",
            "best_estimator_": "its best_estimator_",
        }
        hint = next((f": pass {what}" for name, what in inner.items() if hasattr(estimator, name)), "")
        raise TypeError(f"estimator must be an autoencoder of skae, got {type(estimator).__name__}{hint}.")
    check_is_fitted(estimator)
    module = estimator.module_
    name = type(estimator).__name__
    if not module.bottleneck.alphabet:
        raise ValueError(
            f"estimator must have a discrete bottleneck with an alphabet, got {type(module.bottleneck).__name__}, "
            f"whose codes are not integers: fit {name} with bottleneck='rounded' or 'fsq'."
        )
    if vars(estimator).get("code_model_") is None:
        raise ValueError("estimator must have a code_model_, the entropy model of its codes: fit it again.")
    if module.n_conditions:
        raise ValueError(f"estimator must decode codes without y, but {name} is conditional: fit it without y.")
    estimator._refuse_to_decode()


def _check_quality(estimator: Any, quality: float, name: str) -> None:
    bottleneck = estimator.module_.bottleneck
    low, high = bottleneck.qualities
    if low <= quality <= high:
        return
    allowed = "0, the only quality" if low == high == 0 else f"from {low:g} to {high:g}"
    raise ValueError(f"{name} must be {allowed} of bottleneck={type(bottleneck).__name__}, got {quality:g}.")


def _on_grid(estimator: Any, quality: Any) -> float:
    """Check a quality, and round it toward 0 to a multiple of 1 / `QUALITY_GRID`."""
    check_number("quality", quality, numbers.Real, -math.inf)
    quality = float(quality)  # NumPy's scalars have no `trunc`
    _check_quality(estimator, quality, "quality")
    return math.trunc(quality * QUALITY_GRID) / QUALITY_GRID


def _checked_samples(estimator: Any, X: Any) -> Any:
    X = estimator._check_fitted_rows(X)
    if estimator.module_.reads_padding and tuple(X.shape[1:]) != tuple(estimator.input_shape_):
        raise ValueError(
            f"X must hold sequences of the length in fit, {estimator.input_shape_}, since codes are decoded to this "
            f"length, got the shape {tuple(X.shape[1:])}."
        )
    return X


def _sizes_in(header: Header, module: Any, max_pixels: int) -> list[tuple[int, ...] | None]:
    """Return the size of each sample of a header, or one for all, after a check of the total number of pixels."""
    if bool(header.sizes) is not module.any_size or (header.is_list and not module.any_size):
        raise ValueError("data is damaged: the kind of its samples differs from that of the estimator.")
    if header.sizes:
        # The code determines the memory, and has a position for each block of pixels, also incomplete ones.
        pixels = [math.prod(module.code_size(size)) * module.network.stride**2 for size in header.sizes]
    else:
        pixels = [math.prod(module.input_shape[1:] if len(module.input_shape) == 3 else module.input_shape)]
    n_pixels = sum(pixels) * (header.n_samples if len(pixels) == 1 else 1)
    if n_pixels > max_pixels:
        raise ValueError(
            f"data holds {n_pixels} pixels, more than max_pixels={max_pixels}: increase max_pixels if you trust the "
            "source of the data."
        )
    return list(header.sizes) or [None]


# ---------------------------------------------------------------- codes


def digest_of(estimator: Any) -> bytes:
    """Return a digest of everything that decoding depends on. It is part of streams, so it must never change."""
    module = estimator.module_
    found = hashlib.blake2b(estimator.code_model_.digest(), digest_size=DIGEST_SIZE)
    arrays = {name: tensor.cpu().numpy() for name, tensor in module.state_dict().items()}
    arrays |= {name: np.asarray(getattr(module, name), np.float64) for name in ("mean", "scale")}
    for name in sorted(arrays):
        A = arrays[name]
        found.update(f"{name} {A.dtype.name} {A.shape} ".encode())
        found.update(np.ascontiguousarray(A, A.dtype.newbyteorder("<")).tobytes())
    layout = estimator._layout
    axes = getattr(layout, "row_shape", None), getattr(layout, "channel_axis", None)
    found.update(repr((tuple(module.input_shape), *axes)).encode())
    return found.digest()


def _encoded(estimator: Any, X: Any, quality: float) -> list[_Group]:
    """Return the integer codes of checked samples, grouped by size."""
    module = estimator.module_

    def quantized(x: Tensor) -> Tensor:
        if x.isnan().any():
            raise ValueError("X must not contain NaN, which codes lose: impute missing values by reconstruct first.")
        return integers_of(module, x, quality, economical=True)

    found = estimator._run(quantized, X, dtype=torch.int64, gives="code")
    if isinstance(X, ImageList):
        sizes: list[Any] = [tuple(X.read(i).shape[1:]) for i in range(len(X))]
    else:
        size = estimator._size_of(X)
        sizes = [None if size is None else tuple(size)]
    groups = []
    for size, index in _by_size(sizes, len(X)):
        codes = torch.stack([found[i] for i in index]) if isinstance(found, list) else found
        shape = (len(index), len(module.bottleneck.alphabet), *module.map_size(size))
        codes = codes.cpu().numpy().reshape(shape)
        if codes.min() < _INT32.min or codes.max() > _INT32.max:
            raise ValueError(
                "X is so far from the training data that its codes exceed 32-bit integers: scale it like the "
                "training data, or remove outliers."
            )
        groups.append(_Group(index, size, codes))
    return groups


def _by_size(sizes: list[Any], n: int) -> Iterable[tuple[Any, np.ndarray]]:
    """Return each size of n samples, in order of first occurrence, with the indices of its samples."""
    if len(sizes) == 1:
        return [(sizes[0], np.arange(n))]
    places: dict[Any, list[int]] = {}
    for i, size in enumerate(sizes):
        places.setdefault(size, []).append(i)
    return [(size, np.array(index)) for size, index in places.items()]


def _drawn(model: Any, shape: tuple[int, ...], quality: float, draw: Callable[[Tables, Any], np.ndarray]) -> np.ndarray:
    """Return the codes of the symbols returned by ``draw``."""
    codes = np.zeros(shape, np.int64)
    flat = codes.reshape(-1)
    for step in model.steps(codes, quality):
        values = read(step, draw)
        if len(values) and not _INT32.min <= values.min() <= values.max() <= _INT32.max:
            raise ValueError("The coded symbols are damaged: they exceed 32-bit integers.")
        flat[step.index] = values
    return codes


def _decoded(estimator: Any, group: _Group, header: Header) -> np.ndarray:
    """Decode codes to samples, in the dtype of a header."""
    module = estimator.module_
    with torch.no_grad():
        codes = torch.from_numpy(group.codes).to(estimator.net_.device)
        z = module.dequantize(codes, header.quality).cpu()
    X_hat = as_array(estimator._decode(z, project=False, size=group.size))
    return _as_dtype(X_hat, np.dtype(header.dtype))


def _as_dtype(X_hat: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "u":
        # The largest float below 2^bits, since the largest uint64 is not a float; the conversion truncates.
        X_hat = np.rint(X_hat.astype(np.float64)).clip(0, np.nextafter(2.0 ** (8 * dtype.itemsize), 0))
    return X_hat.astype(dtype)


def _in_order(decoded: Iterable[tuple[np.ndarray, np.ndarray]], header: Header) -> Any:
    """Return samples as one array, or, for a list, in the order of their indices."""
    if not header.is_list:
        ((_, X_hat),) = decoded
        return X_hat
    found: list[Any] = [None] * header.n_samples
    for index, images in decoded:
        for i, image in zip(index, images, strict=True):
            found[i] = image
    return found


def _dtype_of(X: Any) -> str:
    """Return the dtype of the reconstruction of samples."""
    name = getattr(X.dtype, "name", str(X.dtype)).removeprefix("torch.")
    if name.startswith("uint") and name in DTYPES:
        return name
    return "float64" if is_double(X) else "float32"
