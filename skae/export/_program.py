"""Conversion of a module to an ONNX graph, without messages and side effects of the exporter."""

from __future__ import annotations

import inspect
import itertools
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any

import torch

from ._gru import make_traceable, translations
from ._parts import Part

OPSET = 18  # native opset of torch's exporter; newer ones are converted from it
_LARGEST = 2**31 - 2**24  # limit of protobuf in bytes, less a margin for the graph


def model_of(part: Part, opset: int = OPSET) -> Any:
    """Return the ONNX model (a ``ModelProto``) of a part."""
    n_bytes = sum(p.numel() * p.element_size() for p in part.parameters())
    if n_bytes > _LARGEST:
        raise ValueError(f"An ONNX file is limited to 2 GB, but the weights take {n_bytes / 1e9:.1f} GB.")
    make_traceable(part)
    with _quiet(), torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            program, axes = _trace(part)
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=[*part.examples()],
                output_names=[*part.output_names],
                dynamic_shapes=tuple(axes),
                custom_translation_table=translations(),
            )
        except Exception as error:
            network, reason = type(part.module.network).__name__, str(error).strip().partition("\n")[0]
            raise RuntimeError(
                f"{network} cannot be exported: torch must be able to trace its encode and decode for any number of "
                f"rows{', height and width' if part.any_size else ''}, without branches that depend on values. The "
                f"exporter's error: {reason}"
            ) from error
    assert made is not None, "the exporter returns a program if it is given no file"
    return made.model_proto


def _trace(part: Part) -> tuple[Any, list[dict[int, str]]]:
    """Return the exported program of a part and the dynamic axes of its inputs."""
    errors = []
    # A custom network may need a fixed length; and only the strict mode (dynamo) can trace len(x).
    choices = [part.free_axes, *([] if part.needs_free_axes or not part.free_axes else [{}])]
    for free_axes, strict in itertools.product(choices, (False, True)):
        axes = [{0: "batch"} for _ in part.examples()]
        axes[0] |= free_axes
        # The bounds of a side are for torch to reason with, and not part of the graph.
        sides = {name: torch.export.Dim(name, min=part.least_side, max=2**16) for name in free_axes.values()}
        dims = {"batch": torch.export.Dim("batch"), **sides}
        free = tuple({axis: dims[name] for axis, name in some.items()} for some in axes)
        # torch before 2.9 does not have this argument, and needs it for free heights and widths only.
        name = "prefer_deferred_runtime_asserts_over_guards"
        known = inspect.signature(torch.export.export).parameters
        deferred: dict[str, Any] = {name: bool(free_axes)} if name in known else {}
        try:
            return torch.export.export(
                part,
                (*part.examples().values(),),
                dynamic_shapes=free,
                strict=strict,
                **deferred,
            ), axes
        except Exception as error:
            errors.append(error)
    raise errors[0]


def require(*names: str) -> None:
    """Import optional packages, or raise an error with the command that installs them."""
    for name in names:
        try:
            __import__(name)
        except ImportError as error:
            raise ImportError(f'skae.export needs {name}: pip install "skae[onnx]"') from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's deprecations, its hints at optional packages, and its reports of failed graphs."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        for category in (FutureWarning, DeprecationWarning):
            warnings.simplefilter("ignore", category)
        # Both inputs of a conditional decoder share the axis "batch".
        warnings.filterwarnings("ignore", "# The axis name: .* will not be used", UserWarning)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
