"""A detector of outliers around an autoencoder."""

from __future__ import annotations

import contextlib
import copy
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import as_array, validate_data
from .._data.sources import as_lazy_array
from .._utils.checks import check_choice, check_number
from .._utils.rng import draw_seed
from .._utils.sklearn_compat import CallbackSupportMixin, begin_fit, end_fit, fit_part, with_callbacks
from ._code_density import check_density, fit_density
from ._explanations import shares, typical_of
from ._held_out import count_rows, find_splitter, splits_of, tail_probabilities, take, take_params, threshold_of
from ._hints import explain_missing
from ._html import documented
from ._outlier_scores import (
    SCORES,
    Calibration,
    Model,
    Parts,
    PartsMean,
    calibrate,
    needs_density,
    needs_errors,
    read_parts,
    summed,
)
from ._readings import codes_of, gathered, last_step, seen_by_last_step
from ._trimming import keep_lowest, outlyingness

_CORE = 0.5  # the share of rows that the first fit of a robust one leaves out
_STEPS = 2  # of its concentration
_FITTED = (
    *("estimators_", "densities_", "offset_", "threshold_", "held_out_scores_", "trimmed_", "noise_levels_"),
    *("n_features_in_", "feature_names_in_", "_units", "_typical"),
)


@documented
class OutlierDetector(OutlierMixin, MetaEstimatorMixin, CallbackSupportMixin, BaseEstimator):
    """x."""

    if not TYPE_CHECKING:  # where it would let any attribute pass

        def __getattr__(self, name: str) -> Any:
            return explain_missing(self, name)

    def __init__(
        self,
        estimator,
        *,
        contamination=0.1,
        score="combined",
        density=None,
        cv=5,
        trim=0.0,
        random_state=None,
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.score = score
        self.density = density
        self.cv = cv
        self.trim = trim
        self.random_state = random_state

    # ---------------------------------------------------------------- fitting

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **params: Any) -> OutlierDetector:
        """Fit."""
        context = begin_fit(self, X, y, max_subtasks=None)
        fitted = copy.copy(self)  # a fit that fails leaves this one as it was
        fitted.__dict__ = {name: value for name, value in vars(self).items() if name not in _FITTED}
        fitted._fit(X, y, context, params, owner=self)
        self.__dict__ = fitted.__dict__
        end_fit(context, self, X, y)
        return self

    def _fit(self, X: Any, y: Any, context: Any, params: dict[str, Any], owner: OutlierDetector) -> None:
        self._check_params()
        X, y = as_array(gathered(last_step(self.estimator), X)), as_array(y)
        params = {name: as_array(value) for name, value in params.items()}
        if get_config()["enable_metadata_routing"]:
            params = process_routing(self, "fit", **params).estimator.fit
        n = count_rows(X)
        self._note_features(X)
        seed = draw_seed(self.random_state)

        def fit_model(rows: np.ndarray) -> Model:
            whole = len(rows) == n
            given = (X, y, params) if whole else (take(X, rows), take(y, rows), take_params(params, rows, n))
            return self._fit_model(*given, context, owner, seed)

        used = _of_weight(params, n)
        splitter = find_splitter(self.cv, n, seed)
        kept = self._concentrated(X, seed, fit_model) if self.trim else np.ones(n, bool)
        models, parts = self._held_out(X, kept, splitter, fit_model)
        calibration = calibrate(self.score, parts.of(used))
        scores = summed(self.score, parts, calibration)
        known = scores[used & ~np.isnan(scores)]
        if not len(known):
            raise ValueError("No row of X could be scored: each needs a known value, and cv must hold rows out.")
        self._keep(models, calibration)
        self.trimmed_ = ~kept
        self.held_out_scores_ = -scores
        self.threshold_ = threshold_of(known, float(self.contamination))
        self.offset_ = -self.threshold_

    def _keep(self, models: list[Model], calibration: Calibration) -> None:
        """Set the attributes that scores are computed from."""
        self.estimators_ = [model.estimator for model in models]
        if needs_density(self.score):
            self.densities_ = [model.density for model in models]
        if calibration.levels is not None:
            self.noise_levels_ = calibration.levels
        self._units = (calibration.error, calibration.distance)
        self._typical = [model.typical for model in models]

    def _concentrated(self, X: Any, seed: int, fit_model: Callable[[np.ndarray], Model]) -> np.ndarray:
        """Return a mask of the rows to train on: what fits of a core of rows find usual, again and again."""
        distance = outlyingness(X, seed)
        kept = np.ones(count_rows(X), bool) if distance is None else keep_lowest(distance, _CORE)
        for _ in range(_STEPS):
            parts = read_parts(self.score, fit_model(np.flatnonzero(kept)), X)
            kept = keep_lowest(summed(self.score, parts, calibrate(self.score, parts)), float(self.trim))
        return kept

    def _held_out(
        self, X: Any, kept: np.ndarray, splitter: Any, fit_model: Callable[[np.ndarray], Model]
    ) -> tuple[list[Model], Parts]:
        """Return models of the rows that are ``kept``, and what those say that were not trained on a row."""
        n = len(kept)
        if splitter is None:
            model = fit_model(np.flatnonzero(kept))
            return [model], read_parts(self.score, model, X)
        models, found = [], PartsMean(n)
        for train, held_out in splits_of(splitter, n):
            models.append(fit_model(train[kept[train]]))
            found.add(held_out, read_parts(self.score, models[-1], take(X, held_out)))
        if len({id(model.estimator) for model in models}) == 1 and not needs_density(self.score):
            models = models[:1]  # fitted before, and frozen
        return models, found.parts()

    def _fit_model(self, X: Any, y: Any, params: dict[str, Any], context: Any, owner: Any, seed: int) -> Model:
        estimator = clone(self.estimator)
        if self.random_state is not None:
            _seed(estimator, seed)
        estimator = fit_part(context, owner, estimator, "estimator", X, y, **params)
        if self.score in ("reconstruction", "standardized"):
            return Model(estimator)
        step, seen = seen_by_last_step(estimator, X)
        density = fit_density(self.density, step, codes_of(step, seen), seed) if needs_density(self.score) else None
        return Model(estimator, density, typical_of(step, seen))

    def _note_features(self, X: Any) -> None:
        if isinstance(X, list):
            return
        blocks = as_lazy_array(X)
        with contextlib.suppress(IndexError, KeyError):
            validate_data(self, X if blocks is None else blocks, reset=True, skip_check_array=True)

    def _check_params(self) -> None:
        check_number("contamination", self.contamination, numbers.Real, 0, 0.5, "right")
        check_number("trim", self.trim, numbers.Real, 0, 0.5, "left")
        check_choice("score", self.score, SCORES)
        check_density(self.density)
        step = last_step(self.estimator)
        if needs_errors(self.score) and not any(
            hasattr(step, name) for name in ("reconstruct", "inverse_transform", "feature_losses")
        ):
            raise TypeError(
                f"estimator must have reconstruct or inverse_transform with score={self.score!r}, got "
                f"{self.estimator!r}."
            )
        for name, needed in (("score_samples", self.score == "likelihood"), ("transform", needs_density(self.score))):
            if needed and not hasattr(step, name):
                raise TypeError(f"estimator must have {name} with score={self.score!r}, got {self.estimator!r}.")

    # ---------------------------------------------------------------- scores

    @property
    def _models(self) -> list[Model]:
        n = len(self.estimators_)
        return list(map(Model, self.estimators_, vars(self).get("densities_", [None] * n), self._typical))

    @property
    def _calibration(self) -> Calibration:
        return Calibration(vars(self).get("noise_levels_"), *self._units)

    def _gathered(self, X: Any) -> Any:
        check_is_fitted(self)
        return as_array(gathered(last_step(self.estimators_[0]), X))

    def score_samples(self, X: Any) -> np.ndarray:
        """Score."""
        X = self._gathered(X)
        scores = [summed(self.score, read_parts(self.score, model, X), self._calibration) for model in self._models]
        return -np.mean(scores, axis=0)

    def decision_function(self, X: Any) -> np.ndarray:
        """Decide."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Predict."""
        return _decided(self.decision_function(X))

    def fit_predict(self, X: Any, y: Any = None, **params: Any) -> np.ndarray:
        """Fit, and predict the rows of the fit."""
        scores = self.fit(X, y, **params).held_out_scores_
        left = np.flatnonzero(np.isnan(scores))
        if len(left):
            scores = scores.copy()
            scores[left] = self.score_samples(take(as_array(X), left))
        return _decided(scores - self.offset_)

    def p_values(self, X: Any) -> np.ndarray:
        """P."""
        found = -self.score_samples(X)
        reference = -self.held_out_scores_
        return tail_probabilities(reference[~np.isnan(reference)], found)

    def explain(self, X: Any) -> Any:
        """Explain."""
        X = self._gathered(X)
        found = [shares(self.score, model, X, self._calibration) for model in self._models]
        if isinstance(found[0], list):
            return [np.mean(of_image, axis=0) for of_image in zip(*found, strict=True)]
        return np.mean(found, axis=0)

    # ---------------------------------------------------------------- routing and tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the routing of metadata: all of `fit` goes to the estimator.

        Returns
        -------
        routing : MetadataRouter
            The routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def _decided(decision: np.ndarray) -> np.ndarray:
    return np.where(decision >= 0, 1, -1)  # a row without a score is no inlier


def _of_weight(params: dict[str, Any], n: int) -> np.ndarray:
    """Return a mask of the rows that have a weight."""
    weight = params.get("sample_weight")
    is_of_rows = weight is not None and np.ndim(weight) == 1 and len(weight) == n
    return np.asarray(weight) > 0 if is_of_rows else np.ones(n, bool)


def _seed(estimator: Any, seed: int) -> None:
    """Set what has a ``random_state`` of None, the estimator itself or a part of it."""
    found = estimator.get_params()
    names = [name for name in found if name.rpartition("__")[2] == "random_state" and found[name] is None]
    estimator.set_params(**dict.fromkeys(names, seed % 2**32))
