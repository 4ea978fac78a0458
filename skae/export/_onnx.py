"""A fitted autoencoder, or half of it, as an ONNX file."""

from __future__ import annotations

import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice
from .._utils.files import write_atomically
from ..estimators._base import BaseAutoencoder
from ._parts import PARTS
from ._program import model_of, require


def to_onnx(estimator: Any, path: str | os.PathLike[str], part: str = "reconstruct") -> None:
    """Write a fitted autoencoder, or half of it, to an ONNX file.

    The file is one graph with its weights, for any number of rows at once (the axis ``"batch"``). It takes and gives
    what the estimator's method does: rows in the shape and the units of the X that was fitted, conditioning, layout of
    images and NaN included, but as float32 in any case.

    Parameters
    ----------
    estimator : AutoencoderTransformer, ConvAutoencoder or VAEGenerator
        A fitted one. It stays as it is; one on a GPU is copied to the CPU.
    path : str or os.PathLike
        Where to write; what is there is replaced as a whole.
    part : {'reconstruct', 'encoder', 'decoder'}, default='reconstruct'
        What the graph computes:

        - 'reconstruct' is `reconstruct`, from ``"X"`` (n_samples, ...) to ``"X_hat"`` of the same shape;
        - 'encoder' is `transform`, from ``"X"`` to ``"Z"`` (n_samples, n_codes);
        - 'decoder' is `inverse_transform`, from ``"Z"`` to ``"X_hat"``.

        A conditional decoder has a second input, ``"condition"`` (n_samples, n_conditions): for classes ones and
        zeros in the order of ``classes_``, for real targets (y - mean) / standard deviation of the y that was fitted.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is another estimator, such as a pipeline: see `register_skl2onnx`.
    ValueError
        If ``part`` is none of these, or the weights are more than a file holds, 2 GB.
    RuntimeError
        If `torch.export` cannot trace a network of one's own.
    ImportError
        If onnx or onnxscript are not installed.

    See Also
    --------
    register_skl2onnx : Exports a whole pipeline.

    Notes
    -----
    Sequences (n_samples, length, channels) may have any length, the axis ``"length"``, padded with NaN as elsewhere;
    the decoder's have that of `fit`. Graphs are of opset 18. In float32 X of a large offset loses digits that
    the estimator keeps of float64. A graph that skl2onnx makes from a float64 sample keeps them (`register_skl2onnx`).

    References
    ----------
    ONNX, the Open Neural Network Exchange, https://onnx.ai.

    Examples
    --------
    >>> import tempfile
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.export import to_onnx
    >>> X = load_iris().data.astype("float32")
    >>> ae = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(ae, f"{folder}/encoder.onnx", part="encoder")
    ...     session = onnxruntime.BaseAutoencoderSession(f"{folder}/encoder.onnx")
    >>> (Z,) = session.run(None, {"X": X})
    >>> Z.shape, bool(abs(Z - ae.transform(X)).max() < 1e-5)
    ((150, 2), True)
    """
    check_choice("part", part, tuple(PARTS))
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            f"to_onnx writes autoencoders of skae, got {type(estimator).__name__}. For pipelines and for Reconstructor "
            "call skae.export.register_skl2onnx(), and then skl2onnx.to_onnx."
        )
    check_is_fitted(estimator)
    require("onnx", "onnxscript")
    write_atomically(path, model_of(PARTS[part](estimator)).SerializeToString())
