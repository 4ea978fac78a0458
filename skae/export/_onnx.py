"""Export of a fitted autoencoder, its encoder or its decoder to an ONNX file."""

from __future__ import annotations

import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._utils.checks import check_choice
from .._utils.files import write_atomically
from ..estimators import OutlierDetector
from ..estimators._base import BaseAutoencoder
from ..estimators._html import SITE
from ._parts import PARTS
from ._program import model_of, require
from ._score import Score


def to_onnx(estimator: Any, path: str | os.PathLike[str], part: str = "reconstruct") -> None:
    """Export a fitted autoencoder, its encoder or its decoder, or the score of a detector, to an ONNX file.

    The file contains one graph with its weights, for any number of samples (the axis ``"batch"``). Inputs and outputs
    are those of the estimator's method: samples in the shape, image layout and units of X in `fit`, standardization and
    NaN included, but always float32.

    Parameters
    ----------
    estimator : AutoencoderTransformer, ConvAutoencoder, VAEGenerator or OutlierDetector
        The fitted estimator, which is not changed; copied to the CPU if it is on a GPU.
    path : str or os.PathLike
        File to write. An existing file is replaced atomically.
    part : {'reconstruct', 'encoder', 'decoder', 'score'}, default='reconstruct'
        Method that the graph computes:

        - 'reconstruct' is `reconstruct`, from ``"X"`` (n_samples, ...) to ``"X_hat"`` of the same shape;
        - 'encoder' is `transform`, from ``"X"`` to ``"Z"`` (n_samples, n_codes);
        - 'decoder' is `inverse_transform`, from ``"Z"`` to ``"X_hat"``;
        - 'score', which is all that an `OutlierDetector` has, is `score_samples` and `predict`, from ``"X"`` to
          ``"score"``, float32, and ``"label"``, int64, both (n_samples,). The detector is around autoencoders, or
          pipelines of scikit-learn's scalers and one.

        Where a network takes images of any size (``module__dense=False``), ``"X"`` has any height and width in
        'reconstruct' and 'encoder'. Codes are flat, as `transform` returns them for arrays, if the estimator was fitted
        on an array of whole images, whose size the decoder returns. After a fit on crops they are code maps (n_samples,
        n_components, h, w), which the decoder makes into images of (h * stride, w * stride) pixels, as
        `inverse_transform` does without ``size``. With ``pooling`` the encoder pools, and there is no decoder.

        A conditional decoder has a second input, ``"condition"`` (n_samples, n_conditions): classes are one-hot encoded
        in the order of ``classes_``; real targets are (y - mean) / standard deviation, with those of y in `fit`.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is not one of these, such as a pipeline: see `register_skl2onnx`; for a detector around
        others, one with the criterion 'likelihood', or with densities other than Gaussian mixtures.
    ValueError
        If ``part`` is invalid, or 'decoder' under ``pooling``, or the weights exceed the limit of a file, 2 GB.
    RuntimeError
        If `torch.export` cannot trace a custom network.
    ImportError
        If onnx or onnxscript are not installed.

    See Also
    --------
    register_skl2onnx : Export a whole pipeline.

    Notes
    -----
    Sequences (n_samples, length, channels) may have any length, the axis ``"length"``, padded with NaN as elsewhere;
    the output of the decoder has the length of X in `fit`. The opset is 18. For X with a large offset float32 loses
    digits that the estimator keeps for float64 input. Flat images, and those of a fit on whole images with
    ``missing='mask'``, have the size of X in `fit`. A graph that skl2onnx exports from a float64 sample keeps them
    too (`register_skl2onnx`).

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
    ...     session = onnxruntime.InferenceSession(f"{folder}/encoder.onnx")
    >>> (Z,) = session.run(None, {"X": X})
    >>> Z.shape, bool(abs(Z - ae.transform(X)).max() < 1e-5)
    ((150, 2), True)
    """
    check_choice("part", part, (*PARTS, "score"))
    if isinstance(estimator, OutlierDetector):
        if part not in ("reconstruct", "score"):
            raise ValueError(f"part must be 'score' of an OutlierDetector, got {part!r}.")
    elif part == "score":
        raise TypeError(f"part='score' needs an OutlierDetector, got {type(estimator).__name__}.")
    elif not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            f"to_onnx exports skae's autoencoders and OutlierDetector, got {type(estimator).__name__}. For "
            "Reconstructor and pipelines of transformers call skae.export.register_skl2onnx(), and then "
            "skl2onnx.to_onnx; of a pipeline that ends in an OutlierDetector export both parts and merge them "
            f"({SITE}guide/production.html#score-without-python). A TableAutoencoder is not exported."
        )
    check_is_fitted(estimator)
    if part == "decoder":
        estimator._refuse_to_decode()
    require("onnx", "onnxscript")
    made = Score(estimator) if isinstance(estimator, OutlierDetector) else PARTS[part](estimator)
    write_atomically(path, model_of(made).SerializeToString())
