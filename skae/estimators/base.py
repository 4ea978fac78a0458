"""What all estimators share."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from .._checkpoint import remove_checkpoint
from .._net_state import available
from .._params import select
from .._prior import check_prior, fit_prior
from .._validation import check_rows, unchanged_on_error
from ._data import Data, check_data
from ._extra import ExtraParams
from ._html import Documented
from ._inference import Inference
from ._parts import Parts, check_params, find_network, reads_padding
from ._training import train
from ._warnings import warn

try:  # scikit-learn 1.9, experimental there
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return ``method`` as it is."""
        return method


class BaseAutoencoder(Documented, Inference, CallbackSupportMixin, ExtraParams):
    """An autoencoder but for its parameters.

    A final class writes its constructor out, and keeps ``**params`` as ``_extra``.
    """

    device: Any

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        X_target: Any = None,
        X_val: Any = None,
        X_val_target: Any = None,
        sample_weight: Any = None,
    ) -> BaseAutoencoder:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Rows of real numbers, of any range and dtype; at least 2. NaN with ``missing='mask'``, and after the end of
            sequences for a network that reads padding.
        y : None
            Ignored.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            What the reconstruction is compared with, such as clean rows for a noisy X; X when None. NaN, where X may
            hold it, is left out.
        X_val : {array-like, sparse matrix} with rows of X's shape, default=None
            Rows that training is judged by, in place of a share of X.
        X_val_target : {array-like, sparse matrix} of the shape of ``X_val``, default=None
            The targets of ``X_val``; needed where ``X_target`` and ``X_val`` are given.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows in the loss, the conditioning and the start; none negative. A row of
            weight 0 is as good as absent. Under minibatches a weight of 2 is not the same as a row twice.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit; the message names them.
        FloatingPointError
            When a loss is not finite. After any error the estimator is as it was before.
        MemoryError
            For a layer that this machine cannot train.
        """
        return self._fit(
            X,
            y,
            X_target=X_target,
            X_val=X_val,
            X_val_target=X_val_target,
            sample_weight=sample_weight,
        )

    def partial_fit(self, X: Any, y: Any = None, *, X_target: Any = None, sample_weight: Any = None) -> BaseAutoencoder:
        """Train for one epoch on X, from where training stands.

        The first call sets the conditioning and the start from its X, so let it be a fair sample.
        Nothing is held out, no schedule is followed, nothing is printed, and the weights of the epoch are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Rows; at least 2 in the first call.
        y : None
            Ignored.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            As in `fit`.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit; the message names them.
        FloatingPointError
            When a loss is not finite. After any error the estimator is as it was before.
        MemoryError
            For a layer that this machine cannot train.
        """
        return self._partial_fit(X, y, X_target=X_target, sample_weight=sample_weight)

    @unchanged_on_error
    def _partial_fit(self, X: Any, y: Any, *, classes: Any = None, **others: Any) -> BaseAutoencoder:
        first = not hasattr(self, "net_")
        parts = self._check_params()
        X = check_rows(self, X, reset=first, min_rows=2 if first else 1, **parts.nan_rules)
        condition, _ = self._read_conditions(
            y, None, X, None, not first, classes, sample_weight=others["sample_weight"]
        )
        data = check_data(self, parts.loss, X, condition=condition, **others, **parts.nan_rules)
        row_shape = X.shape[1:] if first else self.input_shape_
        self._read_layout(row_shape, again=not first)
        data = data.arranged(self._arrange)
        outcome = train(self, parts, data, one_epoch=True)
        self._store(outcome.net, data, row_shape, more=not first)
        self.n_iter_ = self.best_epoch_ = getattr(self, "n_iter_", 0) + 1
        self.loss_curve_ = [*getattr(self, "loss_curve_", []), *outcome.loss_curve]
        self.validation_loss_curve_: list[float] = []
        return self

    def _fit(self, X: Any, y: Any, *, y_val: Any = None, **others: Any) -> BaseAutoencoder:
        context = None
        # Attributes that scikit-learn sets where callbacks were given to this estimator, or to one around it.
        if getattr(self, "_skl_callbacks", None) or hasattr(self, "_parent_callback_ctx"):
            # The number of epochs may depend on X, which is not read yet: None says that it is not known.
            known = isinstance(self.max_epochs, numbers.Integral)
            context = self._init_callback_context(max_subtasks=self.max_epochs if known else None)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self._fit_rows(X, y, y_val, context, others)
        if self.checkpoint is not None:
            remove_checkpoint(self.checkpoint)  # it has done its work
        return self

    @unchanged_on_error
    def _fit_rows(self, X: Any, y: Any, y_val: Any, context: Any, others: dict[str, Any]) -> None:
        parts = self._check_params()
        again = self.warm_start and hasattr(self, "net_")
        X = check_rows(self, X, reset=True, min_rows=2, **parts.nan_rules)
        condition, condition_val = self._read_conditions(
            y, y_val, X, others["X_val"], again, sample_weight=others["sample_weight"]
        )
        data = check_data(
            self,
            parts.loss,
            X,
            condition=condition,
            condition_val=condition_val,
            **others,
            **parts.nan_rules,
        )
        start = 2 if parts.reads_padding and X.ndim == 3 else 1  # sequences may have any length
        if again and X.shape[start:] != self.input_shape_[start - 1 :]:
            raise ValueError(f"warm_start needs rows of shape {self.input_shape_} as before, got {X.shape[1:]}.")
        row_shape = self.input_shape_ if again else X.shape[1:]  # a net that goes on keeps its length
        self._read_layout(row_shape, again)
        data = data.arranged(self._arrange)
        outcome = train(self, parts, data, context=context)
        self._store(outcome.net, data, row_shape)
        self.n_iter_ = outcome.n_iter
        self.loss_curve_ = outcome.loss_curve
        self.validation_loss_curve_ = outcome.validation_loss_curve
        self.best_epoch_ = outcome.best_epoch
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y)

    def _check_params(self) -> Parts:
        self._check_extra_names()
        if self.prior is not None:
            check_prior(self.prior)
        return check_params(self)

    def _may_read_padding(self) -> bool:
        try:
            return reads_padding(find_network(self.module))
        except (TypeError, ValueError):  # `fit` will tell
            return False

    def _read_layout(self, row_shape: tuple[int, ...], again: bool) -> None:
        """Learn how to arrange rows of ``row_shape``, ``again`` where a net goes on; nothing by default."""

    def _read_conditions(
        self, y: Any, y_val: Any, X: np.ndarray, X_val: Any, again: bool, classes: Any = None, sample_weight: Any = None
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Learn from ``y`` what the decoder is told of the rows, ``again`` where a net goes on; nothing by default."""
        return None, None

    def _network_params(self) -> dict[str, Any]:
        """What the network is made with: the user's ``module__*``."""
        return select(self._extra, "module")

    def _default_bottleneck(self) -> Any:
        """What stands for ``bottleneck=None``."""
        return "identity"

    def _store(self, net: Any, data: Data, row_shape: tuple[int, ...], *, more: bool = False) -> None:
        """Keep a trained net, and what follows from it and the rows it saw; ``more`` of them in `partial_fit`."""
        self.net_ = net
        self.input_shape_ = row_shape
        earlier = getattr(self, "prior_", None)
        if hasattr(self, "prior_"):
            del self.prior_
        self._store_prior(data, net.stream.draw_seed(), earlier if more else None)

    def _store_prior(self, data: Data, seed: int, earlier: Any) -> None:
        """Fit a density to the codes of the rows that were trained on; ``earlier`` is that of those before."""
        if self.prior is not None:
            self.prior_ = fit_prior(self.prior, self._map(self.module_.encode, data.X), seed, data.sample_weight)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._leave_missing_device()

    def _leave_missing_device(self) -> None:
        """After a fit on a device that this machine does not have, be ready to go on with what it has."""
        if "net_" in vars(self) and self.device != "auto" and available(self.device) != self.device:
            warn(
                f"device={self.device!r} is not available here: the estimator runs on {self.net_.device!r}, and its "
                "device is 'auto' from now on.",
                UserWarning,
            )
            self.device = "auto"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.array_api_support = True
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "mask" or self._may_read_padding()
        return tags
