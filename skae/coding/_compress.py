"""Samples as bytes, by the integer codes of an estimator and the probabilities of its model of these."""

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
    size: tuple[int, ...] | None  # height and width, where images may have any
    codes: np.ndarray  # int64 (n, n_integers, h, w)


def compress(estimator: Any, X: Any, *, quality: float = 0) -> bytes:
    """Encode X as bytes, from which `decompress` reconstructs it.

    The integers that X is encoded as are coded with the probabilities of ``code_model_``, in nearly as many bits as
    `n_bits` tells. Around them stand about 30 bytes: what the samples are, which model made them, and a checksum. So
    compress many small samples at once.

    **The fitted estimator is the key**: only it decodes the bytes. Keep it with `skae.save`; a new fit, even on the
    same data, makes another one.

    Parameters
    ----------
    estimator : estimator
        Fitted, with a discrete bottleneck, such as ``bottleneck='fsq'``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of images
        Samples as ``estimator.transform`` takes them, without NaN. Where images may have any size, a single one or a
        list of them.
    quality : float, default=0
        The higher, the more exact and the longer: from ``qualities[0]`` to ``qualities[1]`` of a bottleneck that has
        them, which is `Rounded`. It counts in steps of 1/8.

    Returns
    -------
    data : bytes
        The stream. Its format is frozen: later versions of skae decode it too.

    Raises
    ------
    ValueError, TypeError
        If the estimator cannot decode codes, or the arguments do not fit; the message says why.

    See Also
    --------
    decompress : Reconstruct X from the bytes.
    n_bits : How much of the bytes each sample takes.

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
    """Reconstruct the samples that `compress` has encoded.

    The codes are exactly those that were encoded, on every machine. What the network makes of them may differ between
    machines and versions of torch by the rounding of floats.

    Data of strangers are safe to decode: nothing in them is run, memory and time are bounded by ``max_pixels``, and
    bytes that were cut or changed are refused.

    Parameters
    ----------
    estimator : estimator
        The one that compressed, or the same from a file of `skae.save`.
    data : bytes-like
        What `compress` returned.
    max_pixels : int, default=2**26
        Largest number of pixels, of all images together, to decode; for samples that are no images, of values. Images
        whose sides are no multiples of the network's stride count as if they were enlarged to such.

    Returns
    -------
    X_hat : ndarray of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
        Reconstructions from the integers that were encoded, in the form of ``estimator.reconstruct(X)``: a list for a
        list of images that may have any size, in the layout of the X that was fitted. If X was of unsigned integers
        they are rounded to these, and of its dtype.

    Raises
    ------
    ValueError, TypeError
        If the data were cut or changed, or made by another model or a newer version, or hold too many pixels.

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
    ValueError: data was cut or changed: its checksum is wrong.
    """
    check_estimator(estimator)
    check_number("max_pixels", max_pixels, numbers.Integral, 1)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data must be the bytes that compress returned, got {type(data).__name__}: read a file first.")
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

    The bytes of `compress` have that length, in sum over the samples, and at most 0.5 % more, but for what stands
    around the codes.

    Parameters
    ----------
    estimator : estimator
        As for `compress`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of images
        Samples, as for `compress`.
    quality : float, default=0
        As for `compress`.

    Returns
    -------
    n_bits : ndarray of shape (n_samples,), float64
        Number of bits.

    Raises
    ------
    ValueError, TypeError
        As `compress` does.

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
    """Check that an estimator is fitted, and has codes that can be coded and decoded."""
    if not isinstance(estimator, BaseAutoencoder):
        inner = {
            "steps": "its last step, with X as that step gets it",
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
            f"whose codes are no integers: fit {name} with bottleneck='rounded' or 'fsq'."
        )
    if vars(estimator).get("code_model_") is None:
        raise ValueError("estimator must have a code_model_, the probabilities of its codes: fit it again.")
    if module.n_conditions:
        raise ValueError(f"estimator must decode codes alone, but {name} decodes them with y: fit it without y.")
    estimator._refuse_to_decode()


def _check_quality(estimator: Any, quality: float, name: str) -> None:
    bottleneck = estimator.module_.bottleneck
    low, high = bottleneck.qualities
    if low <= quality <= high:
        return
    allowed = "0, the only one" if low == high == 0 else f"from {low:g} to {high:g}"
    raise ValueError(f"{name} must be {allowed} of bottleneck={type(bottleneck).__name__}, got {quality:g}.")


def _on_grid(estimator: Any, quality: Any) -> float:
    """Check a quality, and return the multiple of 1 / `QUALITY_GRID` next to it on the side of 0."""
    check_number("quality", quality, numbers.Real, -math.inf)
    quality = float(quality)  # NumPy's scalars have no `trunc`
    _check_quality(estimator, quality, "quality")
    return math.trunc(quality * QUALITY_GRID) / QUALITY_GRID


def _checked_samples(estimator: Any, X: Any) -> Any:
    X = estimator._check_fitted_rows(X)
    if estimator.module_.reads_padding and tuple(X.shape[1:]) != tuple(estimator.input_shape_):
        raise ValueError(
            f"X must hold sequences as long as those of fit, {estimator.input_shape_}, which codes are decoded to, got "
            f"the shape {tuple(X.shape[1:])}."
        )
    return X


def _sizes_in(header: Header, module: Any, max_pixels: int) -> list[tuple[int, ...] | None]:
    """Return the size of each sample of a header, or one for all, after a check of their pixels in all."""
    if bool(header.sizes) is not module.any_size or (header.is_list and not module.any_size):
        raise ValueError("data is damaged: its samples are of another kind than those of the estimator.")
    if header.sizes:
        # The memory that is needed is that of the code, which has a position for a whole block of pixels.
        pixels = [math.prod(module.code_size(size)) * module.network.stride**2 for size in header.sizes]
    else:
        pixels = [math.prod(module.input_shape[1:] if len(module.input_shape) == 3 else module.input_shape)]
    n_pixels = sum(pixels) * (header.n_samples if len(pixels) == 1 else 1)
    if n_pixels > max_pixels:
        raise ValueError(
            f"data holds {n_pixels} pixels, more than max_pixels={max_pixels}: raise it if the data is from a source "
            "that you trust."
        )
    return list(header.sizes) or [None]


# ---------------------------------------------------------------- codes


def digest_of(estimator: Any) -> bytes:
    """Return a digest of all that decoding depends on. Streams hold it: it has to stay the same for ever."""
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
    """Return the integer codes of checked samples, of each size together."""
    module = estimator.module_

    def quantized(x: Tensor) -> Tensor:
        if x.isnan().any():
            raise ValueError("X must have no NaN, which codes do not keep: fill missing values, by reconstruct, first.")
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
                "X lies so far from what was fitted that its codes are beyond 32-bit integers: scale it as the "
                "training data, or remove outliers."
            )
        groups.append(_Group(index, size, codes))
    return groups


def _by_size(sizes: list[Any], n: int) -> Iterable[tuple[Any, np.ndarray]]:
    """Return each size of n samples, in the order of their first ones, with the indices of its samples."""
    if len(sizes) == 1:
        return [(sizes[0], np.arange(n))]
    places: dict[Any, list[int]] = {}
    for i, size in enumerate(sizes):
        places.setdefault(size, []).append(i)
    return [(size, np.array(index)) for size, index in places.items()]


def _drawn(model: Any, shape: tuple[int, ...], quality: float, draw: Callable[[Tables, Any], np.ndarray]) -> np.ndarray:
    """Return codes whose symbols ``draw`` returns."""
    codes = np.zeros(shape, np.int64)
    flat = codes.reshape(-1)
    for step in model.steps(codes, quality):
        values = read(step, draw)
        if len(values) and not _INT32.min <= values.min() <= values.max() <= _INT32.max:
            raise ValueError("The coded symbols are damaged: they are beyond 32-bit integers.")
        flat[step.index] = values
    return codes


def _decoded(estimator: Any, group: _Group, header: Header) -> np.ndarray:
    """Return the samples that codes are decoded to, in the dtype of a header."""
    module = estimator.module_
    with torch.no_grad():
        codes = torch.from_numpy(group.codes).to(estimator.net_.device)
        z = module.dequantize(codes, header.quality).cpu()
    X_hat = as_array(estimator._decode(z, project=False, size=group.size))
    return _as_dtype(X_hat, np.dtype(header.dtype))


def _as_dtype(X_hat: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "u":
        # The largest float below 2^bits, as there is none for the largest uint64; the conversion cuts digits off.
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
