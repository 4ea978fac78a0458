"""Estimators in files that hold no code."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from sklearn.base import BaseEstimator

from .. import _files
from .._random import settled
from .._validation import check_choice, check_device
from ._names import with_names
from ._single import pack_estimator, unpack_estimator
from ._skops import dumps, loads, need_skops, stands_alone

__all__ = ["load", "save"]


def save(estimator: Any, path: str | os.PathLike, *, optimizer: bool = False) -> None:
    """Write an estimator to a file that anybody can load without running code.

    An autoencoder, or a `Reconstructor` of one, becomes a safetensors file: weights and other arrays as tensors,
    parameters and fitted attributes as JSON beside them, with a checksum over all. Any other estimator, such as a
    `Pipeline` with an autoencoder inside, becomes an archive of skops (``pip install skae[skops]``).

    The file is written beside ``path``, flushed to the disk and renamed: a kill at any moment leaves the old file or
    the new one.

    Parameters
    ----------
    estimator : estimator
        Fitted or not. Of ``callbacks``, only what plain values describe can be kept, and ``checkpoint``, a path of
        this machine, is not.
    path : str or os.PathLike
        Where to; a file there is replaced.
    optimizer : bool, default=False
        Whether to keep the optimiser's state, which makes files of Adam's three times as large: with it ``warm_start``
        and `partial_fit` go on as if the estimator had never been away.

    Raises
    ------
    TypeError
        For what is no estimator, and for what no file can tell how to make again, such as a lambda or a network that
        was given as an object: the message names the place. Nothing is written then.
    OSError
        Where the file cannot be written. What was there remains.

    See Also
    --------
    load : The way back.

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
    pack = pack_estimator if stands_alone(estimator) else dumps
    _files.write_atomically(path, settled(pack)(estimator, optimizer=optimizer))


def load(path: str | os.PathLike, *, device: Any = None, trusted: Iterable[Any] = ()) -> Any:
    """Read an estimator that `save` wrote.

    Nothing in the file is run, imported or called: it names classes, and what may be named are skae's own, those of
    torch and scikit-learn that only compute, and those that you pass as ``trusted``. Memory stays within a small
    multiple of the file's size.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    device : str or torch.device, default=None
        Where the autoencoders in it are to run from now on. With None where they ran before, or on the CPU where that
        is not here.
    trusted : list of classes and functions, or dict, default=()
        Those of your own that the file may name, such as the network given as ``module``. They are called as in `fit`.
        A dict gives them by the names in the file, where they have others by now.

    Returns
    -------
    estimator : estimator
        As it was saved: it gives the same results to the bit.

    Raises
    ------
    ValueError
        For a file that is no such file, is cut or changed, has a newer format, or names what is not trusted.
    OSError
        Where the file cannot be read.

    See Also
    --------
    save : The way there.

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
    names = with_names(trusted)
    try:
        data = _files.read(path)
    except ValueError as error:
        raise _wrong(path, error) from error
    archive = _files.is_archive(data)
    if archive:
        need_skops()
    unpack = loads if archive else unpack_estimator
    try:
        return settled(unpack)(data, names, device)
    except Exception as error:  # whatever a made-up file may lead to, it is the file that is wrong
        raise _wrong(path, error) from error


def _wrong(path: Any, error: Exception) -> ValueError:
    return ValueError(f"{os.fsdecode(path)} cannot be loaded: {_files.reason(error)}.")
