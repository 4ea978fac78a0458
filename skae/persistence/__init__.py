"""Estimators in files that hold no code.

``TRUSTED_TYPES`` lists the names of all types that `skops.io.dump` writes for autoencoders, for readers other than
`load`, such as `skops.io.load` or MLflow: pass it as ``trusted`` or ``skops_trusted_types``. Types of scikit-learn that
skops does not trust by itself, and your own classes, are not in the list.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from sklearn.base import BaseEstimator

from .._utils import files as _files
from .._utils.checks import check_choice, check_device
from ._metadata import from_archive, from_document, plain_metadata
from ._names import set_public_names, trusted_types, with_names
from ._objects import pack_estimator, unpack_estimator
from ._skops import autoencoders_in, dumps, loads, need_skops, stands_alone

__all__ = ["TRUSTED_TYPES", "load", "read_metadata", "save"]

# Archives and pickles find here what fitted estimators hold.
globals().update({cls.__qualname__: cls for cls in set_public_names()})
TRUSTED_TYPES: list[str] = trusted_types()


def save(estimator: Any, path: Any, *, optimizer: bool = False, metadata: Mapping[str, Any] | None = None) -> None:
    """Write an estimator to a file that anybody can load without running code.

    An autoencoder, a `Reconstructor` or an `OutlierDetector` of one, or an estimator of `skae.tables` or
    `skae.textures` becomes a safetensors file: weights and other arrays as tensors, parameters and fitted attributes as
    JSON beside them, with a checksum over all. Any other estimator, such as a `Pipeline` with an autoencoder inside,
    becomes an archive of skops (``pip install skae[skops]``).

    The file is written beside ``path``, flushed to the disk and renamed: a kill at any moment leaves the old file or
    the new one.

    Parameters
    ----------
    estimator : estimator
        Fitted or not. Of ``callbacks``, only what plain values describe can be kept, and ``checkpoint``, a path of
        this machine, is not.
    path : str, os.PathLike or file object
        Where to; a file there is replaced. To a file object, which must be binary, the bytes are written from its
        position on; it need not be seekable, and stays open.
    optimizer : bool, default=False
        Whether to keep the optimizer's state, which makes the files of Adam three times as large: with it
        ``warm_start`` and `partial_fit` continue exactly as without saving.
    metadata : dict, default=None
        Plain values to keep in the file, such as a version of the data, a score or a description: str, int (below
        2**63), finite float, bool, None, and lists and dicts of these, with str as keys; at most 1 MiB as JSON. NumPy's
        scalars become Python's, and tuples lists. `load` with ``return_metadata`` and `read_metadata` return them.

    Raises
    ------
    TypeError
        If it is not an estimator, or holds what cannot be restored from a file, such as a lambda or a network that was
        given as an object: the message names the place, and nothing is written. Also for metadata of other types.
    ValueError
        For metadata that are too large, or not finite.
    OSError
        Where the file cannot be written. What was there remains.

    See Also
    --------
    load : Read the file.
    read_metadata : Read the metadata alone.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_digits
    >>> import skae
    >>> X = load_digits().data
    >>> ae = skae.AutoencoderTransformer(4, max_epochs=2, random_state=0).fit(X)
    >>> path = os.path.join(tempfile.mkdtemp(), "digits.skae")
    >>> skae.save(ae, path)
    >>> bool((skae.load(path).transform(X) == ae.transform(X)).all())
    True
    """
    check_choice("optimizer", optimizer, (True, False))
    if isinstance(estimator, type) or not isinstance(estimator, BaseEstimator):
        raise TypeError(f"estimator must be an estimator, got {estimator!r}.")
    plain = None if metadata is None else plain_metadata(metadata)
    _files.is_file_object(path, "write")  # what cannot be written to is refused first
    pack = pack_estimator if stands_alone(estimator) else dumps
    _files.write(path, pack(estimator, optimizer=optimizer, metadata=plain))


def load(path: Any, *, device: Any = None, trusted: Iterable[Any] = (), return_metadata: bool = False) -> Any:
    """Read an estimator that `save` wrote.

    Nothing in the file is run, imported or called. It can name the classes of skae, classes of torch and scikit-learn
    that only compute, and those that you pass as ``trusted``. Memory stays within a small multiple of the file's size.

    Parameters
    ----------
    path : str, os.PathLike or file object
        The file. Of a file object, which must be binary and need not be seekable, the bytes from its position on are
        read: up to the end of the estimator's file, so that another may follow, or to the end where it is an archive
        of skops.
    device : str or torch.device, default=None
        Device of the autoencoders in it. With None the device of before, or the CPU if that is not available.
    trusted : list of classes and functions, or dict, default=()
        Those of your own that the file may name, such as the network given as ``module``. They are called as in `fit`.
        A dict gives them by the names in the file, where they have others by now.
    return_metadata : bool, default=False
        Whether to return the metadata of the file too.

    Returns
    -------
    estimator : estimator
        As it was saved: it gives the same results to the bit.
    metadata : dict
        What was given to `save`, or an empty dict; only with ``return_metadata``.

    Raises
    ------
    ValueError
        If the file is not one of skae, is damaged, has a newer format, or names what is not trusted.
    OSError
        Where the file cannot be read.

    See Also
    --------
    save : Write the file.
    read_metadata : Read the metadata alone.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> import skae
    >>> class Linear(nn.Module):
    ...     def __init__(self, input_shape, n_components):
    ...         super().__init__()
    ...         self.encode, self.decode = nn.Linear(*input_shape, n_components), nn.Linear(n_components, *input_shape)
    >>> ae = skae.AutoencoderTransformer(2, module=Linear, max_epochs=1).fit(load_iris().data)
    >>> path = os.path.join(tempfile.mkdtemp(), "iris.skae")
    >>> skae.save(ae, path)
    >>> skae.load(path, trusted=[Linear]).module.__name__
    'Linear'
    """
    if device is not None:
        check_device(device)
    check_choice("return_metadata", return_metadata, (True, False))
    names = with_names(trusted)
    try:
        data = _files.read(path)
    except (ValueError, EOFError, zlib.error) as error:  # the last two of a file object that decompresses
        raise _wrong(path, error) from error
    archive = _files.is_archive(data)
    if archive:
        need_skops()
    try:
        estimator, metadata = (loads if archive else unpack_estimator)(data, names)
        for found in autoencoders_in(estimator):
            _place(found, device)
    except Exception as error:  # a damaged file can raise any error
        raise _wrong(path, error) from error
    return (estimator, metadata) if return_metadata else estimator


def read_metadata(path: Any) -> dict[str, Any]:
    """Read the metadata in a file of `save`, without the estimator.

    Of an autoencoder's file only the header is read. Its checksum, which is over the whole file, is left to `load`.

    Parameters
    ----------
    path : str, os.PathLike or file object
        The file. An archive of skops is read to the end; a file object is then no longer at its beginning.

    Returns
    -------
    metadata : dict
        What was given to `save` as ``metadata``, or an empty dict.

    Raises
    ------
    ValueError
        For a file that `save` did not write, or that was cut or changed.
    OSError
        Where the file cannot be read.

    See Also
    --------
    load : Read the estimator too.

    Examples
    --------
    >>> import io
    >>> import skae
    >>> file = io.BytesIO()
    >>> skae.save(skae.AutoencoderTransformer(4), file, metadata={"data": "digits", "score": -1.5})
    >>> start = file.seek(0)
    >>> skae.persistence.read_metadata(file)
    {'data': 'digits', 'score': -1.5}
    """
    try:
        data = _files.read(path, header_only=True)
    except (ValueError, EOFError, zlib.error) as error:
        raise _wrong(path, error) from error
    try:
        return from_archive(data) if _files.is_archive(data) else from_document(_files.document_in(data))
    except Exception as error:  # as in `load`
        raise _wrong(path, error) from error


def _place(est: Any, device: Any) -> None:
    """Move an autoencoder to ``device``; with None to the CPU if its own device is not available."""
    if device is None:
        est._leave_missing_device()
        return
    est.set_params(device=device)
    target = str(check_device(device))
    if "net_" in vars(est) and est.net_.device != target:
        est.net_ = est.net_.copy_to(target)


def _wrong(path: Any, error: Exception) -> ValueError:
    return ValueError(f"{_files.name_of(path)} cannot be loaded: {_files.reason(error)}.")
