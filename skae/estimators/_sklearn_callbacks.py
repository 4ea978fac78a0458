"""scikit-learn's own callbacks (1.9, experimental there): the one place that knows what its estimators do for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return ``method`` as it is."""
        return method


__all__ = ["CallbackSupportMixin", "begin_fit", "end_fit", "fit_part", "with_callbacks"]


def begin_fit(estimator: Any, X: Any, y: Any, max_subtasks: int | None) -> Any:
    """Begin the task of a `fit`: its context, or None where no callback was given to ``estimator`` or one around it.

    ``max_subtasks`` is None where their number is not known yet.
    """
    if not (getattr(estimator, "_skl_callbacks", None) or hasattr(estimator, "_parent_callback_ctx")):
        return None
    context = estimator._init_callback_context(max_subtasks=max_subtasks)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    return context


def end_fit(context: Any, estimator: Any, X: Any, y: Any) -> None:
    """End the task of a `fit` that has a context."""
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator, X=X, y=y)


def fit_part(context: Any, owner: Any, part: Any, name: str, X: Any, *args: Any, **params: Any) -> Any:
    """Fit a ``part`` of a meta-estimator as a subtask of its ``context``; callbacks that go on to parts go to it."""
    if context is None:
        return part.fit(X, *args, **params)
    task = context.subcontext(task_name=f"fit-{name}")
    with task.propagate_callback_context(part):
        task.call_on_fit_task_begin(estimator=owner, X=X)
        part.fit(X, *args, **params)
        task.call_on_fit_task_end(estimator=owner, X=X)
    return part
