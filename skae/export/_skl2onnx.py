"""Converters for skl2onnx, to export pipelines that contain an autoencoder."""

from __future__ import annotations

from typing import Any

import torch

from ..estimators import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from ..estimators._base import BaseAutoencoder
from ._parts import Encoder, Part, Reconstruction
from ._program import OPSET, model_of, require


def register_skl2onnx(*subclasses: type) -> None:
    """Register skae's estimators with skl2onnx, so that it exports pipelines that contain them.

    Call it once before ``skl2onnx.to_onnx``; repeated calls have no effect. `AutoencoderTransformer`, `ConvAutoencoder`
    and `VAEGenerator` are exported as their `transform`, which returns codes, and `Reconstructor` as its
    reconstruction. As for scikit-learn's transformers, the output is float64 for a float64 sample and float32 for any
    other. Networks compute in float32; float64 values and wide integers are centered before they are rounded.

    Parameters
    ----------
    *subclasses : type
        Subclasses of these estimators to register too, since skl2onnx looks up exact classes.

    Raises
    ------
    TypeError
        If a class is not a subclass of these estimators.
    ImportError
        If onnx, onnxscript or skl2onnx are not installed.

    See Also
    --------
    to_onnx : Export an autoencoder alone, or its decoder.

    Notes
    -----
    Some converters of skl2onnx, such as those of support vector machines, support float32 samples only, whatever comes
    before them. ``target_opset`` must be at least 18. A `Reconstructor` with a ``filling`` is not supported (use a
    `sklearn.impute.SimpleImputer` as a separate step), nor is one with an estimator that is not skae's.

    References
    ----------
    sklearn-onnx, "Implement a new converter", https://onnx.ai/sklearn-onnx.

    Examples
    --------
    >>> import numpy as np, onnxruntime, skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderTransformer
    >>> from skae.export import register_skl2onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> X = X.astype(np.float32)
    >>> ae = AutoencoderTransformer(2, max_epochs=1, random_state=0)
    >>> pipe = make_pipeline(StandardScaler(), ae, LogisticRegression()).fit(X, y)
    >>> register_skl2onnx()
    >>> model = skl2onnx.to_onnx(pipe, X[:1], target_opset=18)
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> bool((session.run(None, {"X": X})[0] == pipe.predict(X)).all())
    True
    """
    require("onnx", "onnxscript", "skl2onnx")
    from skl2onnx import update_registered_converter

    known = (AutoencoderTransformer, ConvAutoencoder, VAEGenerator, Reconstructor)
    for cls in subclasses:
        if not (isinstance(cls, type) and issubclass(cls, known)):
            raise TypeError(f"register_skl2onnx takes subclasses of skae's estimators, got {cls!r}.")
    for cls in (*known, *subclasses):
        update_registered_converter(cls, f"Skae{cls.__name__}", _set_shape, _convert)


def _part_of(estimator: Any, dtype: torch.dtype) -> Part:
    """Return the part that computes `transform` for X of ``dtype``."""
    if not isinstance(estimator, Reconstructor):
        return Encoder(estimator, maps=False, dtype=dtype)
    if hasattr(estimator, "filling_"):
        raise TypeError(
            f"A Reconstructor with filling={estimator.filling!r} cannot be exported: impute in a separate step."
        )
    inner = estimator.estimator_
    if not isinstance(inner, BaseAutoencoder):
        raise TypeError(f"Only a Reconstructor of skae's autoencoders can be exported, got {type(inner).__name__}.")
    return Reconstruction(inner, estimator.keep_observed, dtype)


def _set_shape(operator: Any) -> None:
    """Set the type and shape of the output, as skl2onnx requires before conversion."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    estimator = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    inner = estimator.estimator_ if isinstance(estimator, Reconstructor) else estimator
    any_size = getattr(getattr(inner, "layout_", None), "any_size", False)  # then that of the sample
    if isinstance(estimator, Reconstructor):
        shape = tuple(operator.inputs[0].type.shape[1:] if any_size else getattr(inner, "input_shape_", ()))
    elif inner.pooling is not None:
        shape = (inner.module_.n_components,)
    else:
        shape = (None if any_size else inner.module_.n_codes,)
    # The same rule by which skl2onnx infers the types of the following steps.
    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    operator.outputs[0].type = (DoubleTensorType if is_double else FloatTensorType)([n_rows, *shape])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of one step to the pipeline's."""
    from onnx import TensorProto
    from onnx.compose import add_prefix
    from skl2onnx.common.data_types import guess_proto_type

    opset = container.target_opset_onnx
    if opset < OPSET:
        raise ValueError(f"skae's autoencoders need target_opset >= {OPSET}, got {opset}.")
    wide = _is_wide(operator.inputs)
    part = _part_of(operator.raw_operator, torch.float64 if wide else torch.float32)
    prefix = scope.get_unique_operator_name(type(operator.raw_operator).__name__) + "/"
    graph = add_prefix(model_of(part, opset), prefix).graph
    X = _one_input(scope, operator, container, TensorProto.DOUBLE if wide else TensorProto.FLOAT)
    container.add_node("Identity", X, graph.input[0].name)
    for tensor in graph.initializer:
        container.initializers.append(tensor)
    for node in graph.node:
        _name_all_inputs(node, prefix, container)
        container.nodes.append(node)
    container.node_domain_version_pair_sets.add(("", opset))
    output = operator.outputs[0]
    container.add_node("Cast", graph.output[0].name, output.full_name, to=guess_proto_type(output.type))


def _is_wide(variables: Any) -> bool:
    """Return whether float32 cannot represent the values of an input, which are then centered in float64 first."""
    from skl2onnx.common import data_types as types

    wide = (
        types.DoubleTensorType,
        types.Int32TensorType,
        types.Int64TensorType,
        types.UInt32TensorType,
        types.UInt64TensorType,
    )
    return any(isinstance(variable.type, wide) for variable in variables)


def _one_input(scope: Any, operator: Any, container: Any, dtype: int) -> str:
    """Add nodes that concatenate samples given column by column, and return the name of the tensor."""
    names = []
    for variable in operator.inputs:
        names.append(scope.get_unique_variable_name("converted"))
        container.add_node("Cast", variable.full_name, names[-1], to=dtype)
    if len(names) == 1:
        return names[0]
    whole = scope.get_unique_variable_name("rows")
    container.add_node("Concat", names, whole, axis=1)
    return whole


def _name_all_inputs(node: Any, prefix: str, container: Any) -> None:
    """Replace omitted inputs by an empty tensor, since skl2onnx expects a node for every input."""
    from onnx import TensorProto, helper

    for i, name in enumerate(node.input):
        if not name:
            node.input[i] = f"{prefix}none"
            if all(tensor.name != node.input[i] for tensor in container.initializers):
                container.initializers.append(helper.make_tensor(node.input[i], TensorProto.FLOAT, [0], []))
