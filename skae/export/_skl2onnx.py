"""Converters by which skl2onnx exports a pipeline with an autoencoder inside."""

from __future__ import annotations

from typing import Any

from ..estimators import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from ..estimators._inference import Inference
from ._parts import Encoder, Part, Reconstruction
from ._program import OPSET, model_of, require


def register_skl2onnx(*subclasses: type) -> None:
    """Let `skl2onnx` export pipelines with autoencoders of skae inside.

    Call it once before ``skl2onnx.to_onnx``; more often does no harm. `AutoencoderTransformer`, `ConvAutoencoder` and
    `VAEGenerator` then give codes, as their `transform` does, and `Reconstructor` reconstructions. They compute in
    float32: other numbers are converted first.

    Parameters
    ----------
    *subclasses : type
        Classes of your own that inherit from these: skl2onnx goes by exact classes.

    Raises
    ------
    TypeError
        For a class that inherits from none of them.
    ImportError
        If onnx, onnxscript or skl2onnx are not installed.

    See Also
    --------
    to_onnx : Exports an autoencoder alone, its decoder too.

    Notes
    -----
    ``target_opset`` must be 18 at least. A `Reconstructor` with a ``filling`` is refused, and so is one around an
    estimator that is not skae's: let a `sklearn.impute.SimpleImputer` be a step of its own.

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
            raise TypeError(f"register_skl2onnx takes classes that inherit from skae's estimators, got {cls!r}.")
    for cls in (*known, *subclasses):
        update_registered_converter(cls, f"Skae{cls.__name__}", _set_shape, _convert)


def _part_of(estimator: Any) -> Part:
    """What `transform` computes."""
    if not isinstance(estimator, Reconstructor):
        return Encoder(estimator)
    if hasattr(estimator, "filling_"):
        raise TypeError(f"A Reconstructor with filling={estimator.filling!r} has no ONNX graph: fill in a step before.")
    inner = estimator.estimator_
    if not isinstance(inner, Inference):
        raise TypeError(f"Only a Reconstructor of skae's autoencoders has an ONNX graph, got {type(inner).__name__}.")
    return Reconstruction(inner, estimator.keep_observed)


def _set_shape(operator: Any) -> None:
    """Tell skl2onnx what comes out, as it asks before anything is converted."""
    from skl2onnx.common.data_types import FloatTensorType

    estimator = operator.raw_operator
    n_rows = operator.inputs[0].get_first_dimension()
    if isinstance(estimator, Reconstructor):
        shape = tuple(getattr(estimator.estimator_, "input_shape_", ()))
    else:
        shape = (estimator.module_.n_codes,)
    operator.outputs[0].type = FloatTensorType([n_rows, *shape])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of one step to that of the pipeline."""
    from onnx.compose import add_prefix

    opset = container.target_opset_onnx
    if opset < OPSET:
        raise ValueError(f"skae's autoencoders need target_opset={OPSET} at least, got {opset}.")
    part = _part_of(operator.raw_operator)
    prefix = scope.get_unique_operator_name(type(operator.raw_operator).__name__) + "/"
    graph = add_prefix(model_of(part, opset), prefix).graph
    container.add_node("Identity", _float_input(scope, operator, container), graph.input[0].name)
    for tensor in graph.initializer:
        container.initializers.append(tensor)
    for node in graph.node:
        _name_all_inputs(node, prefix, container)
        container.nodes.append(node)
    container.node_domain_version_pair_sets.add(("", opset))
    container.add_node("Identity", graph.output[0].name, operator.outputs[0].full_name)


def _float_input(scope: Any, operator: Any, container: Any) -> str:
    """The name of the rows as one float32 tensor; they may come column by column."""
    from onnx import TensorProto

    names = []
    for variable in operator.inputs:
        names.append(scope.get_unique_variable_name("as_float32"))
        container.add_node("Cast", variable.full_name, names[-1], to=TensorProto.FLOAT)
    if len(names) == 1:
        return names[0]
    whole = scope.get_unique_variable_name("rows")
    container.add_node("Concat", names, whole, axis=1)
    return whole


def _name_all_inputs(node: Any, prefix: str, container: Any) -> None:
    """Let an empty tensor stand for what is left out between inputs: skl2onnx looks for the node that gives it."""
    from onnx import TensorProto, helper

    for i, name in enumerate(node.input):
        if not name:
            node.input[i] = f"{prefix}none"
            if all(tensor.name != node.input[i] for tensor in container.initializers):
                container.initializers.append(helper.make_tensor(node.input[i], TensorProto.FLOAT, [0], []))
