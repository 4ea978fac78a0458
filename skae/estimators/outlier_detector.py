"""Outlier detection with an autoencoder."""

from __future__ import annotations

import contextlib
import copy
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import as_array, validate_data
from .._data.dask_lazy import RowWise
from .._data.messages import reason
from .._data.sources import as_lazy_array
from .._utils.checks import check_number
from .._utils.rng import draw_seed
from .._utils.sklearn_compat import CallbackSupportMixin, begin_fit, end_fit, fit_part, with_callbacks
from ..noise import MaskingNoise
from ._code_density import check_density, fit_density
from ._explanations import shares
from ._held_out import (
    count_rows,
    find_splitter,
    splits_of,
    tail_probabilities,
    take,
    take_params,
    threshold_of,
    with_rows,
)
from ._html import documented
from ._outlier_scores import Calibration, Model, Parts, PartsMean, calibrate, largest, parts_of, read_parts
from ._readings import center_of, codes_of, gathered, last_step, seen_by_last_step
from ._routing import routed_params, router_to_estimator
from ._trimming import keep_lowest, outlyingness
from .transformer import AutoencoderTransformer

_CORE = 0.5  # fraction of the samples excluded from the first fit with trim
_STEPS = 2  # concentration steps with trim
_FITTED = (
    *("estimators_", "densities_", "offset_", "threshold_", "held_out_scores_", "trimmed_", "noise_levels_"),
    *("n_features_in_", "feature_names_in_", "parts_", "_units", "_centers"),
)


@documented
class OutlierDetector(RowWise, OutlierMixin, MetaEstimatorMixin, CallbackSupportMixin, BaseEstimator):
    r"""Outlier detection with an autoencoder, PCA, or a pipeline that ends in one of them.

    Scores of the training samples are cross-validated: `fit` trains one model for each fold, and the threshold is a
    quantile of the scores of the held-out samples. The score of a new sample is the mean over these models.

    Parameters
    ----------
    estimator : estimator, default=None
        An autoencoder; another estimator with ``reconstruct``, or with ``transform`` and ``inverse_transform``, such as
        PCA; or a pipeline that ends in one of these. `fit` trains clones; with a `sklearn.frozen.FrozenEstimator` the
        samples of `fit` only determine the threshold. The default, for numerical tables with or without missing values,
        is a `StandardScaler` and ``AutoencoderTransformer(16, noise=MaskingNoise(0.8), missing='mask',
        max_epochs=20)``.
    contamination : float, default=0.1
        Proportion of outliers, in (0, 0.5], among samples like those of `fit`. If these contain no outliers, it is the
        rate of false alarms.
    criterion : str or list of str, default='auto'
        Outlier score of a sample, in the units of the last step of a pipeline:

        - 'reconstruction': the mean squared error of the observed values;
        - 'standardized': the mean squared error, with the squared error of each feature divided by its noise level
          (``noise_levels_``), for features that are reconstructed with different accuracy;
        - 'code': the negative log-density of the code under ``density``, relative to its minimum;
        - 'distance': the mean squared deviation from the mean of the training samples, which detects outliers that the
          autoencoder extrapolates to;
        - 'likelihood': minus the ``score_samples`` of the estimator, which is a bound of the log-likelihood for a
          `VAEGenerator`, the loss for other autoencoders, and the likelihood of probabilistic PCA for PCA.

        For a list, the score is the maximum of the criteria, after subtracting the median of each and dividing by its
        interquartile range, both over held-out samples. 'combined' is ``['reconstruction', 'code', 'distance']``.
        'auto' is 'combined' if ``estimator`` is given, and ``['code', 'distance']`` for the default estimator, which is
        trained with so many masked values that it reconstructs outliers, too.
    density : {'mixture', 'flow'} or density estimator, default=None
        Density of the codes, for the criterion 'code': a mixture whose number of components is selected, a normalizing
        flow (`skae.density.NormalizingFlow`), or an estimator with ``fit`` and ``score_samples``, which is cloned. None
        is the ``prior_`` of the estimator, if it has one, or else a mixture of five Gaussians, or fewer for less than
        100 samples.
    cv : int, splitter or iterable, default=5
        Cross-validation: the number of shuffled folds; a splitter, such as ``ShuffleSplit(1, test_size=0.2)`` for a
        single model; or pairs of indices (train, held out). With None nothing is held out: the threshold is computed on
        training samples, and too low for new samples.
    trim : float, default=0.0
        Proportion of the samples, in [0, 0.5), with the highest scores to exclude from training, so that models do not
        learn the outliers, such as a dense cluster of them. About twice the expected proportion of outliers is
        suitable.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and densities. If not None, it also sets each ``random_state`` in ``estimator`` that is None.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted models, one for each fold.
    densities_ : list of density estimator
        The density of the codes of each model, for the criterion 'code'.
    parts_ : tuple of str
        The parts of the criterion.
    offset_ : float
        Outliers have scores below it: ``decision_function(X)`` is ``score_samples(X) - offset_``.
    threshold_ : float
        Minus ``offset_``: the threshold of outlier scores, ``-score_samples(X)``, in units of ``criterion``.
    held_out_scores_ : ndarray of shape (n_samples,)
        Scores of the samples of `fit`, as in `score_samples`, by those models that were not trained on the sample; NaN
        for samples that were never held out, and for samples without observed values.
    trimmed_ : ndarray of shape (n_samples,), bool
        Mask of the samples excluded by ``trim``.
    noise_levels_ : ndarray of shape (n_features,)
        Mean squared error of each feature for inliers, estimated from its median over held-out samples; for the
        criterion 'standardized'.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has string names for all of them.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Fast outlier detection by random splits.
    AutoencoderTransformer : Its ``score_samples`` gives outlier scores without a threshold.

    Notes
    -----
    For exchangeable samples, the score of a new sample is below the i-th lowest of n held-out scores with probability i
    / (n + 1), for any distribution (conformal prediction, Vovk et al., 2005); ``offset_`` is interpolated between two
    scores to match ``contamination``. A proportion below 1 / (n + 1) cannot be resolved by n samples. Since a new
    sample is scored by the mean of all models, and a held-out sample by one, this holds approximately, as in the
    cross-conformal prediction of Vovk (2015).

    With ``trim`` a first model is trained on the half of the samples nearest to the center, by robust distances along
    robust axes. It ranks all samples, and the next model is trained without the proportion with the highest scores, as
    in the concentration steps of Rousseeuw and Van Driessen (2006); these samples are then excluded from training. They
    are scored like all others, so that the meaning of ``contamination`` does not change.

    For images and sequences of different sizes, the criteria use the mean error of each channel, and the mean of the
    codes over positions. For samples that are not an array of numbers, 'distance' is the reconstruction error. `fit`
    parameters with one entry for each sample, such as ``sample_weight``, are split like X; samples of weight 0 are
    ignored in the threshold.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random World*, Springer, 2005.
    V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74, 2015.
    P. J. Rousseeuw, K. Van Driessen, "Computing LTS regression for large data sets", Data Mining and Knowledge
    Discovery 12, 2006.
    S. Hawkins, H. He, G. Williams, R. Baxter, "Outlier detection using replicator neural networks", DaWaK, 2002.
    B. Zong et al., "Deep autoencoding Gaussian mixture model for unsupervised anomaly detection", ICLR, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer, OutlierDetector
    >>> X, y = load_digits(return_X_y=True)
    >>> usual, strange = X[y != 0][:500], X[y == 0]
    >>> ae = AutoencoderTransformer(8, max_epochs=2)
    >>> detector = OutlierDetector(ae, contamination=0.05, cv=2, random_state=0).fit(usual)
    >>> bool((detector.predict(strange) == -1).mean() > 3 * 0.05)
    True
    >>> bool(np.median(detector.p_values(strange)) < 0.25)
    True
    """

    _row_wise: ClassVar[dict[str, Any]] = {
        "score_samples": np.float64,
        "decision_function": np.float64,
        "predict": np.int64,
        "p_values": np.float64,
    }

    def __init__(
        self,
        estimator=None,
        *,
        contamination=0.1,
        criterion="auto",
        density=None,
        cv=5,
        trim=0.0,
        random_state=None,
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.criterion = criterion
        self.density = density
        self.cv = cv
        self.trim = trim
        self.random_state = random_state

    # ---------------------------------------------------------------- fitting

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **params: Any) -> OutlierDetector:
        """Fit the models and the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples accepted by the estimator, also as a DataFrame; at least 2.
        y : array-like, default=None
            Passed to the estimator, which ignores it unless it is conditional.
        **params : dict
            Parameters of the estimator's `fit`, such as ``sample_weight``; routed if metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid, or if the `fit` of ``estimator`` raises it. After any error the
            detector is unchanged.
        """
        context = begin_fit(self, X, y, max_subtasks=None)
        fitted = copy.copy(self)  # a failing fit leaves the detector unchanged
        fitted.__dict__ = {name: value for name, value in vars(self).items() if name not in _FITTED}
        try:
            fitted._fit(X, y, context, params, owner=self)
        except ValueError as error:  # of the StandardScaler, which does not name the column
            better = reason(error, X, "X") if "could not convert" in str(error) else None
            if self.estimator is not None or better is None:
                raise
            raise ValueError(better) from error
        self.__dict__ = fitted.__dict__
        end_fit(context, self, X, y)
        return self

    def _fit(self, X: Any, y: Any, context: Any, params: dict[str, Any], owner: OutlierDetector) -> None:
        self._check_params()
        self.parts_ = self._parts()
        X, y = as_array(gathered(last_step(self._to_fit()), X)), with_rows(y)
        params = {name: with_rows(value) for name, value in params.items()}
        params = routed_params(self, params)
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
        calibration = calibrate({name: part[used] for name, part in parts.items()})
        scores = largest(parts, calibration)
        known = scores[used & ~np.isnan(scores)]
        if not len(known):
            raise ValueError("No sample of X could be scored: X needs observed values, and cv must hold samples out.")
        self._keep(models, calibration)
        self.trimmed_ = ~kept
        self.held_out_scores_ = -scores
        self.threshold_ = threshold_of(known, float(self.contamination))
        self.offset_ = -self.threshold_

    def _keep(self, models: list[Model], calibration: Calibration) -> None:
        """Set the attributes from which scores are computed."""
        self.estimators_ = [model.estimator for model in models]
        if "code" in self.parts_:
            self.densities_ = [model.density for model in models]
        if calibration.levels is not None:
            self.noise_levels_ = calibration.levels
        self._units = calibration.units
        self._centers = [model.center for model in models]

    def _concentrated(self, X: Any, seed: int, fit_model: Callable[[np.ndarray], Model]) -> np.ndarray:
        """Return a mask of the samples to train on, by concentration steps that start from a core of samples."""
        distance = outlyingness(X, seed)
        kept = np.ones(count_rows(X), bool) if distance is None else keep_lowest(distance, _CORE)
        for _ in range(_STEPS):
            parts = read_parts(self.parts_, fit_model(np.flatnonzero(kept)), X)
            kept = keep_lowest(largest(parts, calibrate(parts)), float(self.trim))
        return kept

    def _held_out(
        self, X: Any, kept: np.ndarray, splitter: Any, fit_model: Callable[[np.ndarray], Model]
    ) -> tuple[list[Model], Parts]:
        """Return models trained on the samples ``kept``, and the held-out criteria of each sample."""
        n = len(kept)
        if splitter is None:
            model = fit_model(np.flatnonzero(kept))
            return [model], read_parts(self.parts_, model, X)
        models, found = [], PartsMean(n)
        for train, held_out in splits_of(splitter, n):
            models.append(fit_model(train[kept[train]]))
            found.add(held_out, read_parts(self.parts_, models[-1], take(X, held_out)))
        if len({id(model.estimator) for model in models}) == 1 and not {"code", "distance"} & {*self.parts_}:
            models = models[:1]  # frozen, so all models are the same
        return models, found.parts()

    def _fit_model(self, X: Any, y: Any, params: dict[str, Any], context: Any, owner: Any, seed: int) -> Model:
        estimator = clone(self._to_fit())
        if self.random_state is not None:
            _seed(estimator, seed)
        estimator = fit_part(context, owner, estimator, "estimator", X, y, **params)
        if not {"code", "distance", "likelihood"} & {*self.parts_}:
            return Model(estimator)
        step, seen = seen_by_last_step(estimator, X)
        model = Model(estimator, center=center_of(step, seen))
        if "code" not in self.parts_:
            return model
        return model._replace(density=fit_density(self.density, step, codes_of(step, seen), seed))

    def _to_fit(self) -> Any:
        """Return the estimator to fit, resolving None."""
        if self.estimator is not None:
            return self.estimator
        network = AutoencoderTransformer(16, noise=MaskingNoise(0.8), missing="mask", max_epochs=20)
        return make_pipeline(StandardScaler(), network)

    def _parts(self) -> tuple[str, ...]:
        """Return the parts of the criterion."""
        if isinstance(self.criterion, str) and self.criterion == "auto":
            # Trained with so many masked values, it reconstructs outliers no worse than inliers.
            return parts_of("combined" if self.estimator is not None else ("code", "distance"))
        return parts_of(self.criterion)

    def _note_features(self, X: Any) -> None:
        if isinstance(X, list):
            return
        blocks = as_lazy_array(X)
        with contextlib.suppress(IndexError, KeyError):
            validate_data(self, X if blocks is None else blocks, reset=True, skip_check_array=True)

    def _check_params(self) -> None:
        if not isinstance(self.contamination, numbers.Real):
            raise TypeError(
                f"contamination must be a number in (0, 0.5], the share of the samples of X to call outliers, such as "
                f"0.01; got {self.contamination!r}."
            )
        check_number("contamination", self.contamination, numbers.Real, 0, 0.5, "right")
        check_number("trim", self.trim, numbers.Real, 0, 0.5, "left")
        check_density(self.density)
        step, parts = last_step(self._to_fit()), self._parts()
        rebuilds = any(hasattr(step, name) for name in ("reconstruct", "inverse_transform", "feature_losses"))
        if not rebuilds and {"reconstruction", "standardized"} & {*parts}:
            raise TypeError(
                f"estimator must have reconstruct or inverse_transform with criterion={self.criterion!r}, got "
                f"{self.estimator!r}."
            )
        for part, name in (("likelihood", "score_samples"), ("code", "transform")):
            if part in parts and not hasattr(step, name):
                raise TypeError(
                    f"estimator must have {name} with criterion={self.criterion!r}, got {self.estimator!r}."
                )

    # ---------------------------------------------------------------- scores

    @property
    def _models(self) -> list[Model]:
        densities = vars(self).get("densities_", [None] * len(self.estimators_))
        return list(map(Model, self.estimators_, densities, self._centers))

    @property
    def _calibration(self) -> Calibration:
        return Calibration(vars(self).get("noise_levels_"), self._units)

    def _gathered(self, X: Any) -> Any:
        check_is_fitted(self)
        return as_array(gathered(last_step(self.estimators_[0]), X))

    def score_samples(self, X: Any) -> np.ndarray:
        """Compute the negative outlier score of each sample: the lower, the more anomalous.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Minus the mean of ``criterion`` over the models; NaN for samples without observed values, unless the
            criterion is 'code' alone.

        Raises
        ------
        ValueError
            If X is invalid.
        """
        X = self._gathered(X)
        calibration = self._calibration
        return -np.mean([largest(read_parts(self.parts_, model, X), calibration) for model in self._models], axis=0)

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the score of each sample relative to the threshold: negative for outliers.

        For `sklearn.metrics.roc_auc_score` and searches with ``scoring='roc_auc'`` inliers are the positive class, with
        label 1, and outliers have the label -1 or 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            ``score_samples(X) - offset_``.

        Raises
        ------
        ValueError
            If X is invalid.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Predict whether samples are outliers.

        For the samples of `fit` use `fit_predict`, whose scores are held out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for outliers and for samples without observed values, 1 for inliers.

        Raises
        ------
        ValueError
            If X is invalid.
        """
        return _decided(self.decision_function(X))

    def fit_predict(self, X: Any, y: Any = None, **params: Any) -> np.ndarray:
        """Fit, and predict outliers among the samples of the fit by their held-out scores.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            As in `fit`.
        y : array-like, default=None
            As in `fit`.
        **params : dict
            As in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for outliers, 1 for inliers. Samples that were never held out are scored as in `predict`.

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        scores = self.fit(X, y, **params).held_out_scores_
        left = np.flatnonzero(np.isnan(scores))
        if len(left):
            scores = scores.copy()
            scores[left] = self.score_samples(take(as_array(X), left))
        return _decided(scores - self.offset_)

    def p_values(self, X: Any) -> np.ndarray:
        """Compute conformal p-values: the probability that an inlier has at least as anomalous a score.

        A p-value is (1 + k) / (n + 1), where k of the n held-out scores are at most the score of the sample (Vovk et
        al., 2005). Approximately a fraction a of new inliers, or less, has p-values up to a. To control the proportion
        of false alarms among all alarms instead, adjust the p-values with `scipy.stats.false_discovery_control` (Bates
        et al., 2023).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            P-values in [1 / (n + 1), 1]; NaN for samples without observed values.

        Raises
        ------
        ValueError
            If X is invalid.

        References
        ----------
        V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random World*, Springer, 2005.
        R. Laxhammar, G. Falkman, "Conformal prediction for distribution-independent anomaly detection in streaming
        vessel data", StreamKDD, 2010.
        S. Bates, E. Candes, L. Lei, Y. Romano, M. Sesia, "Testing for outliers with conformal p-values", Annals of
        Statistics 51, 2023.
        """
        found = -self.score_samples(X)
        reference = -self.held_out_scores_
        return tail_probabilities(reference[~np.isnan(reference)], found)

    def explain(self, X: Any) -> Any:
        """Compute the contribution of each feature to the score of each sample.

        Squared errors and deviations are sums over features, with one term for each. For 'code' and 'likelihood', the
        contribution of a feature is the decrease of the score if its value is replaced by its mean in `fit`, and 0 if
        the score increases, which takes as many passes over X as it has features. For several criteria, contributions
        are those to the largest one. The result is the mean over the models. For a `TableAutoencoder` contributions are
        those of the columns to the loss, for any criterion.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        shares : ndarray of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Non-negative contributions with the sum 1 for each sample, in the shape of X, or of the input of the last
            step of a pipeline; 0 for missing values.

        Raises
        ------
        ValueError
            If X is invalid, or is a list of images of different sizes and the criterion includes 'code' or
            'likelihood'.
        """
        X = self._gathered(X)
        found = [shares(self.parts_, model, X, self._calibration) for model in self._models]
        if isinstance(found[0], list):
            return [np.mean(of_image, axis=0) for of_image in zip(*found, strict=True)]
        return np.mean(found, axis=0)

    # ---------------------------------------------------------------- routing and tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing: all metadata of `fit` is passed to the estimator.

        Returns
        -------
        routing : MetadataRouter
            Metadata router.
        """
        return router_to_estimator(self, self._to_fit())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._to_fit()).input_tags
        if self.estimator is None:  # a pipeline does not declare it
            tags.input_tags.allow_nan = True
        return tags


def _decided(decision: np.ndarray) -> np.ndarray:
    return np.where(decision >= 0, 1, -1)  # a sample without a score is not an inlier


def _of_weight(params: dict[str, Any], n: int) -> np.ndarray:
    """Return a mask of the samples of positive weight, also if it is passed to a step of a pipeline."""
    used = np.ones(n, bool)
    for name, weight in params.items():
        if name.rpartition("__")[2] == "sample_weight" and np.ndim(weight) == 1 and len(weight) == n:
            used &= np.asarray(weight) > 0
    return used


def _seed(estimator: Any, seed: int) -> None:
    """Set each ``random_state`` that is None, in the estimator and its parts."""
    found = estimator.get_params()
    names = [name for name in found if name.rpartition("__")[2] == "random_state" and found[name] is None]
    estimator.set_params(**dict.fromkeys(names, seed % 2**32))
