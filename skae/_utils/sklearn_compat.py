"""The undocumented names of scikit-learn that skae uses.

====================================== ============================================ ================================
name                                   reason                                       without it
====================================== ============================================ ================================
``BaseEstimator._get_param_names``     `get_params` of parts, which are no          none
                                       BaseEstimators
``_sklearn_output_config``             what `set_output` has set                    the global configuration alone
``_doc_link_module``, ``_template``    links and descriptions in notebooks          a table without them
``sklearn.callback`` (experimental),   callbacks of scikit-learn 1.9: no public     no callbacks
``_skl_callbacks``,                    name begins the task of a fit
``_parent_callback_ctx``,
``_init_callback_context``
``_metadata_request``,                 requests of metadata routing, in files       no requests
``_get_metadata_request``
``sklearn.metrics._scorer`` and more   names of types that archives may hold        skops asks to trust them
``KernelDensity.tree_``                the samples of a fitted density              no such prior in files
====================================== ============================================ ================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.neighbors import KernelDensity
from sklearn.utils.metadata_routing import MetadataRequest

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Placeholder for versions of scikit-learn without callbacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return ``method`` unchanged."""
        return method


__all__ = [
    "HARMLESS_TYPES",
    "OF_A_PROCESS",
    "CallbackSupportMixin",
    "ParamsMixin",
    "begin_fit",
    "documented_at",
    "end_fit",
    "fit_part",
    "get_requests",
    "output_container",
    "parameter_names",
    "samples_of",
    "set_requests",
    "with_callbacks",
]

#: Types in searches and routing that skops does not trust by default, and that only store values.
HARMLESS_TYPES = (
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.ShuffleSplit",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)
#: Attributes of estimators that are meaningless in another process.
OF_A_PROCESS = ("_skl_callbacks", "_parent_callback_ctx")


class ParamsMixin:
    """`get_params` and `set_params` of a BaseEstimator without its fitting, tagging and HTML."""

    _get_param_names: Any = classmethod(BaseEstimator._get_param_names.__func__)
    get_params = BaseEstimator.get_params
    set_params = BaseEstimator.set_params


def parameter_names(estimator: Any) -> list[str]:
    """Return the names of the constructor's parameters, sorted."""
    return list(BaseEstimator.get_params(estimator, deep=False))


def output_container(estimator: Any) -> str:
    """Return the output container of `transform`, from `set_output` or the global configuration."""
    own = getattr(estimator, "_sklearn_output_config", {})
    return own.get("transform", get_config()["transform_output"])


def documented_at(module: str, template: str) -> Callable[[type], type]:
    """Return a decorator of a class whose subclasses link to ``template``, with ``{estimator_name}``, in notebooks."""

    def decorate(cls: Any) -> type:
        cls._doc_link_module, cls._doc_link_template = module, template
        return cls

    return decorate


def get_requests(request: MetadataRequest) -> dict[str, dict]:
    """Return the requested metadata by method; the public object refers to the estimator, and cannot be saved."""
    methods = {name: found.requests for name, found in vars(request).items() if hasattr(found, "requests")}
    return {name: dict(requests) for name, requests in methods.items() if requests}


def set_requests(estimator: Any, requests: dict[str, dict]) -> None:
    """Set requests from `get_requests`; ``set_fit_request`` needs metadata routing to be enabled."""
    found = estimator._get_metadata_request()
    for method, params in requests.items():
        for param, alias in params.items():
            getattr(found, method).add_request(param=param, alias=alias)
    estimator._metadata_request = found


def samples_of(density: KernelDensity) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the samples of a fitted KernelDensity and their weights, which are stored only in its tree."""
    tree = density.tree_
    return np.array(tree.data), None if tree.sample_weight is None else np.array(tree.sample_weight)


def begin_fit(estimator: Any, X: Any, y: Any, max_subtasks: int | None) -> Any:
    """Begin the task of a `fit`: return its context, or None if neither ``estimator`` nor one around it has callbacks.

    ``max_subtasks`` is None if their number is not known yet.
    """
    if not (getattr(estimator, "_skl_callbacks", None) or hasattr(estimator, "_parent_callback_ctx")):
        return None
    context = estimator._init_callback_context(max_subtasks=max_subtasks)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    return context


def end_fit(context: Any, estimator: Any, X: Any, y: Any) -> None:
    """End the task of a `fit` with a context."""
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator, X=X, y=y)


def fit_part(context: Any, owner: Any, part: Any, name: str, X: Any, *args: Any, **params: Any) -> Any:
    """Fit a ``part`` of a meta-estimator as a subtask of its ``context``, and propagate callbacks to it."""
    if context is None:
        return part.fit(X, *args, **params)
    task = context.subcontext(task_name=f"fit-{name}")
    with task.propagate_callback_context(part):
        task.call_on_fit_task_begin(estimator=owner, X=X)
        part.fit(X, *args, **params)
        task.call_on_fit_task_end(estimator=owner, X=X)
    return part
