"""A detector of outliers around an autoencoder."""

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

_CORE = 0.5  # the share of rows that the first fit of a robust one leaves out
_STEPS = 2  # of its concentration
_FITTED = (
    *("estimators_", "densities_", "offset_", "threshold_", "held_out_scores_", "trimmed_", "noise_levels_"),
    *("n_features_in_", "feature_names_in_", "parts_", "_units", "_centers"),
)


@documented
class OutlierDetector(RowWise, OutlierMixin, MetaEstimatorMixin, CallbackSupportMixin, BaseEstimator):
    r"""Decide which rows are outliers, by what an autoencoder, PCA or a pipeline that ends in one makes of them.

    Every row is scored by models that were not trained on it: `fit` trains one on the rest of each fold, and the
    threshold is a quantile of the scores of the rows held out. New rows are scored by the mean score of these models.

    Parameters
    ----------
    estimator : estimator, default=None
        An autoencoder; or another estimator with ``reconstruct``, or with ``transform`` and ``inverse_transform``, such
        as PCA; or a pipeline that ends in one. `fit` trains clones, so a `sklearn.frozen.FrozenEstimator` stays as it
        was fitted, and the rows of `fit` only set the threshold. None is for tables of numbers, with or without missing
        values: a `StandardScaler` and
        ``AutoencoderTransformer(16, noise=MaskingNoise(0.8), missing='mask', max_epochs=20)``.
    contamination : float, default=0.1
        Share of the rows, in (0, 0.5], that is called outliers, of rows like those of `fit`: the rate of false alarms
        if these are clean.
    criterion : str or list of str, default='auto'
        What the score of a row measures, in the units that the last step of a pipeline sees:

        - 'reconstruction': the mean squared error of the values that are known;
        - 'standardized': the mean squared error, where each feature is divided by its own noise level first
          (``noise_levels_``), for features that are reconstructed more and less exactly;
        - 'code': how unlikely the code is under ``density``, minus its logarithm, above the least that this can be;
        - 'distance': the mean squared deviation from the mean of the rows of `fit`, which shows what an autoencoder
          extrapolates to all too well;
        - 'likelihood': minus the ``score_samples`` of the estimator: a bound of the log-likelihood of a
          `VAEGenerator`, the loss of other autoencoders, the probabilistic model of PCA.

        Of a list the largest counts, each in its own unit: less its median, and divided by its interquartile range,
        both over rows held out. 'combined' is ``['reconstruction', 'code', 'distance']``. 'auto' is the same for an
        estimator that is given, and ``['code', 'distance']`` for that of None, which was trained on so few values
        that it reconstructs outliers as well as others.
    density : {'mixture', 'flow'} or density estimator, default=None
        Density of the codes, for the criterion 'code': a mixture whose size is chosen, a normalizing flow
        (`skae.density.NormalizingFlow`), or an estimator with ``fit`` and ``score_samples``, of which clones are
        fitted. None is the ``prior_`` of the estimator, if it has one, or else a mixture of five Gaussians, of fewer
        for less than 100 rows.
    cv : int, splitter or iterable, default=5
        Which rows are held out from which model: the number of shuffled folds; a splitter, such as
        ``ShuffleSplit(1, test_size=0.2)`` for a single model; or pairs of indices (train, held out). None holds nothing
        out: the threshold is then one of rows that were trained on, and too low for new ones.
    trim : float, default=0.0
        Share of the rows, in [0, 0.5), that models are not trained on, as the most anomalous. It keeps them from
        learning what outliers have in common, such as a tight cluster. Take about twice the share that is expected.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of densities. If it is not None, it is also that of each ``random_state`` in ``estimator``
        that is None.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted models, one for each fold.
    densities_ : list of density estimator
        The density of the codes of each model, with the criterion 'code'.
    parts_ : tuple of str
        The parts of the criterion.
    offset_ : float
        Scores below it are those of outliers: ``decision_function(X)`` is ``score_samples(X) - offset_``.
    threshold_ : float
        Minus ``offset_``: the threshold of outlier scores, ``-score_samples(X)``, in the unit of ``criterion``.
    held_out_scores_ : ndarray of shape (n_samples,)
        What `score_samples` gives for each row of `fit`, by the models that were not trained on it alone; NaN for a row
        that was never held out, and for one without a known value.
    trimmed_ : ndarray of shape (n_samples,), bool
        The rows that ``trim`` has left out.
    noise_levels_ : ndarray of shape (n_features,)
        Mean squared error of each feature in usual rows, by its median over rows held out; with 'standardized'.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names for all of them.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Isolates rows by random cuts; quick, and without a model of the rows.
    AutoencoderTransformer : Its ``score_samples`` are scores without a threshold.

    Notes
    -----
    Of n scores of rows like the new ones, the i-th lowest is undercut with probability i / (n + 1), whatever their
    distribution; ``offset_`` lies between two of them where ``contamination`` demands it. A share below 1 / (n + 1)
    cannot be resolved by n rows. Under the mean of the models these hold nearly, as for the cross-conformal prediction
    of Vovk (2015): a new row is scored by all models, a row held out by one.

    With ``trim`` a first model is trained on the half of the rows that is nearest to the center, by robust distances
    along robust axes. It ranks all rows, the next is trained on all but the share with the highest scores, as in the
    concentration steps of Rousseeuw and Van Driessen (2006), and from there on these rows are not trained on. They have
    scores as the others have, so ``contamination`` keeps its meaning.

    Of images and sequences of any size the criteria take errors as the mean of each channel, and codes as the mean
    over positions. Of rows that are no array of numbers 'distance' is the error. A `fit` parameter with one entry for
    each row, such as ``sample_weight``, is cut as X is; rows of weight 0 do not count for the threshold.

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
            Samples as the estimator takes them, a DataFrame included; at least 2.
        y : array-like, default=None
            Handed to the estimator, which ignores it unless it is conditional.
        **params : dict
            For the `fit` of the estimator, such as ``sample_weight``; routed where metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted detector.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit, and whatever the `fit` of ``estimator`` raises. After any error
            the detector is as it was before.
        """
        context = begin_fit(self, X, y, max_subtasks=None)
        fitted = copy.copy(self)  # a fit that fails leaves this one as it was
        fitted.__dict__ = {name: value for name, value in vars(self).items() if name not in _FITTED}
        fitted._fit(X, y, context, params, owner=self)
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
            raise ValueError("No row of X could be scored: each needs a known value, and cv must hold rows out.")
        self._keep(models, calibration)
        self.trimmed_ = ~kept
        self.held_out_scores_ = -scores
        self.threshold_ = threshold_of(known, float(self.contamination))
        self.offset_ = -self.threshold_

    def _keep(self, models: list[Model], calibration: Calibration) -> None:
        """Set the attributes that scores are computed from."""
        self.estimators_ = [model.estimator for model in models]
        if "code" in self.parts_:
            self.densities_ = [model.density for model in models]
        if calibration.levels is not None:
            self.noise_levels_ = calibration.levels
        self._units = calibration.units
        self._centers = [model.center for model in models]

    def _concentrated(self, X: Any, seed: int, fit_model: Callable[[np.ndarray], Model]) -> np.ndarray:
        """Return a mask of the rows to train on: what fits of a core of rows find usual, again and again."""
        distance = outlyingness(X, seed)
        kept = np.ones(count_rows(X), bool) if distance is None else keep_lowest(distance, _CORE)
        for _ in range(_STEPS):
            parts = read_parts(self.parts_, fit_model(np.flatnonzero(kept)), X)
            kept = keep_lowest(largest(parts, calibrate(parts)), float(self.trim))
        return kept

    def _held_out(
        self, X: Any, kept: np.ndarray, splitter: Any, fit_model: Callable[[np.ndarray], Model]
    ) -> tuple[list[Model], Parts]:
        """Return models of the rows that are ``kept``, and what those say that were not trained on a row."""
        n = len(kept)
        if splitter is None:
            model = fit_model(np.flatnonzero(kept))
            return [model], read_parts(self.parts_, model, X)
        models, found = [], PartsMean(n)
        for train, held_out in splits_of(splitter, n):
            models.append(fit_model(train[kept[train]]))
            found.add(held_out, read_parts(self.parts_, models[-1], take(X, held_out)))
        if len({id(model.estimator) for model in models}) == 1 and not {"code", "distance"} & {*self.parts_}:
            models = models[:1]  # fitted before, and frozen
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
        """Return what is to be fitted, which None stands for."""
        if self.estimator is not None:
            return self.estimator
        network = AutoencoderTransformer(16, noise=MaskingNoise(0.8), missing="mask", max_epochs=20)
        return make_pipeline(StandardScaler(), network)

    def _parts(self) -> tuple[str, ...]:
        """Return the parts of the criterion."""
        if isinstance(self.criterion, str) and self.criterion == "auto":
            # What was trained on so few values reconstructs outliers no worse than others.
            return parts_of("combined" if self.estimator is not None else ("code", "distance"))
        return parts_of(self.criterion)

    def _note_features(self, X: Any) -> None:
        if isinstance(X, list):
            return
        blocks = as_lazy_array(X)
        with contextlib.suppress(IndexError, KeyError):
            validate_data(self, X if blocks is None else blocks, reset=True, skip_check_array=True)

    def _check_params(self) -> None:
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
        """Compute minus the outlier score of every row: the lower, the more anomalous.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Minus the mean over the models of what ``criterion`` measures; NaN for a row without a known value, unless
            'code' alone is measured.

        Raises
        ------
        ValueError
            If X does not fit.
        """
        X = self._gathered(X)
        calibration = self._calibration
        return -np.mean([largest(read_parts(self.parts_, model, X), calibration) for model in self._models], axis=0)

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute by how much the score of every row exceeds the threshold: outliers are below 0.

        For `sklearn.metrics.roc_auc_score` and searches with ``scoring='roc_auc'`` the usual rows are the positive
        class: labels are 1 for usual rows and -1 or 0 for outliers.

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
            If X does not fit.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Tell outliers from usual rows.

        Rows of `fit` are not held out here: `fit_predict` scores them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            -1 for outliers and for rows without a known value, 1 for others.

        Raises
        ------
        ValueError
            If X does not fit.
        """
        return _decided(self.decision_function(X))

    def fit_predict(self, X: Any, y: Any = None, **params: Any) -> np.ndarray:
        """Fit, and tell outliers from usual rows among the rows of the fit, by their held-out scores.

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
            -1 for outliers, 1 for others. A row that was never held out is scored as `predict` does.

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
        """Compute conformal p-values: how often a usual row would look at least as anomalous.

        A p-value is (1 + k) / (n + 1), k of the n held-out scores being at most that of the row (Vovk et al., 2005).
        Rows with a p-value of at most a are a share of at most a of new usual rows, nearly. To keep the share of false
        alarms among all alarms low instead, take what `scipy.stats.false_discovery_control` adjusts to be small
        (Bates et al., 2023).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples,), float64
            In [1 / (n + 1), 1]; NaN for a row without a known value.

        Raises
        ------
        ValueError
            If X does not fit.

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
        """Compute the share that each feature has in the score of every row.

        A squared error or deviation is a sum over features, and each has its term. How unlikely a code or a row is, is
        not: there a feature counts by how much the score falls where its value is replaced by its mean in `fit`, and
        not at all where it rises, which takes as many passes over X as it has features. Of several parts of the
        criterion the share is that in the largest. The result is the mean over the models. Around a `TableAutoencoder`
        shares are those of the columns in the loss, whatever the criterion.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Samples like those of `fit`.

        Returns
        -------
        shares : ndarray of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Not negative, with the sum 1 for each row: of X's shape, or of that which the last step of a pipeline sees.
            Missing values have the share 0.

        Raises
        ------
        ValueError
            If X does not fit, or is a list of images of different sizes and the criterion has 'code' or 'likelihood'.
        """
        X = self._gathered(X)
        found = [shares(self.parts_, model, X, self._calibration) for model in self._models]
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
        return router_to_estimator(self, self._to_fit())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._to_fit()).input_tags
        if self.estimator is None:  # a pipeline does not say it
            tags.input_tags.allow_nan = True
        return tags


def _decided(decision: np.ndarray) -> np.ndarray:
    return np.where(decision >= 0, 1, -1)  # a row without a score is no inlier


def _of_weight(params: dict[str, Any], n: int) -> np.ndarray:
    """Return a mask of the rows that have a weight, also where it is that of a step of a pipeline."""
    used = np.ones(n, bool)
    for name, weight in params.items():
        if name.rpartition("__")[2] == "sample_weight" and np.ndim(weight) == 1 and len(weight) == n:
            used &= np.asarray(weight) > 0
    return used


def _seed(estimator: Any, seed: int) -> None:
    """Set what has a ``random_state`` of None, the estimator itself or a part of it."""
    found = estimator.get_params()
    names = [name for name in found if name.rpartition("__")[2] == "random_state" and found[name] is None]
    estimator.set_params(**dict.fromkeys(names, seed % 2**32))
