"""An autoencoder for tables: codes, reconstruction, imputation, likelihoods and synthetic rows."""

from __future__ import annotations

import copy
import numbers
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import validate_data
from .._data.dask_lazy import RowWise
from .._utils.checks import check_choice, check_number
from .._utils.rng import Stream, draw_seed
from .._utils.sklearn_compat import CallbackSupportMixin, begin_fit, end_fit, fit_part, with_callbacks
from ..estimators._base import BaseAutoencoder
from ..estimators._routing import routed_params, router_to_estimator
from ..losses import Likelihood, Mixed
from ._conditional import draw_codes
from ._encoder import TableEncoder
from ._fill import fill_columns
from ._frames import Column
from ._given import Given

_TABLES = ("X_target", "X_val", "X_val_target")  # arguments of `fit` that are tables


class TableAutoencoder(
    RowWise, ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator
):
    """Autoencoder for DataFrames with numbers, categories, dates and missing values.

    A `TableEncoder` encodes the columns as numbers, and the autoencoder is trained with a suitable loss for each of
    them, `skae.losses.Mixed`: likelihoods of numbers with a scale for each column, cross-entropy for categories and
    flags, likelihoods of counts. Results are DataFrames: `reconstruct` imputes missing entries, including categories,
    and `sample` generates rows with the dtypes, categories, integers, decimals and bounds of the table.

    Parameters
    ----------
    estimator : estimator
        An autoencoder of skae; `fit` trains a clone. For missing entries it needs ``missing='mask'``. For imputation
        use an `~skae.AutoencoderTransformer` with ``noise=MaskingNoise(hidden_only=True)`` and an encoder with
        ``numbers='standard'``; for `sample` use a `~skae.VAEGenerator`. It must not be conditional: include y as a
        column, and pass it as ``given`` to `sample`.
    encoder : TableEncoder, default=None
        Encoder, which is cloned and fitted; a `TableEncoder` with defaults if None.
    loss : {'mixed', None}, default='mixed'
        'mixed' sets the estimator's loss to `skae.losses.Mixed` with the groups of the encoder; None leaves it.

    Attributes
    ----------
    encoder_ : TableEncoder
        The fitted encoder.
    estimator_ : estimator
        The fitted autoencoder, whose input is the output of `encoder_`.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    TableEncoder : The encoder alone, for a pipeline with other estimators.
    skae.metrics.memorization : Test for copies of training rows among samples, both encoded by ``encoder_``.

    References
    ----------
    D. B. Rubin, 1987. A noniterative sampling/importance resampling alternative to the data augmentation algorithm.
    JASA 82.

    A. Nazábal, P. M. Olmos, Z. Ghahramani and I. Valera, 2020. Handling incomplete heterogeneous data using VAEs.
    Pattern Recognition 107.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skae import VAEGenerator
    >>> from skae.tables import TableAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> df = pd.DataFrame({"age": rng.integers(18, 80, 200), "smoker": rng.choice(["no", "yes"], 200)})
    >>> df["cost"] = (100 + 3 * df.age + 200 * (df.smoker == "yes") + rng.normal(0, 20, 200)).round(2)
    >>> model = TableAutoencoder(VAEGenerator(2, max_epochs=5, random_state=0)).fit(df)
    >>> rows = model.sample(3, random_state=0, given={"smoker": "yes"})
    >>> rows.dtypes.equals(df.dtypes), rows.smoker.tolist()
    (True, ['yes', 'yes', 'yes'])
    """

    encoder_: TableEncoder
    estimator_: Any
    _holes: np.ndarray
    _n_holes: np.ndarray

    _row_wise: ClassVar[dict[str, Any]] = {"transform": None, "reconstruct": None, "score_samples": np.float32}

    def __init__(self, estimator, *, encoder=None, loss="mixed"):
        self.estimator = estimator
        self.encoder = encoder
        self.loss = loss

    # ---------------------------------------------------------------- fitting

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **params: Any) -> TableAutoencoder:
        """Fit the encoder, and train the autoencoder on its output.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table, as in `TableEncoder`.
        y : None
            Ignored: include y as a column of the table.
        **params : dict
            For the estimator's `fit`: ``X_val``, ``X_target`` and ``X_val_target`` are tables like X.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter is invalid, if a column cannot be encoded, if the estimator does not support missing entries,
            or if its `fit` raises it. After any error the estimator is unchanged.
        """
        context = begin_fit(self, X, y, max_subtasks=1)
        fitted = copy.copy(self)  # a failing fit leaves the estimator unchanged
        fitted._fit(X, params, context, owner=self)
        self.__dict__ = fitted.__dict__
        end_fit(context, self, X, y)
        return self

    def _fit(self, X: Any, params: dict[str, Any], context: Any, owner: TableAutoencoder) -> None:
        self._check_params()
        params = routed_params(self, params)
        self.encoder_ = clone(TableEncoder() if self.encoder is None else self.encoder).fit(X)
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.encoder_, name):
                setattr(self, name, getattr(self.encoder_, name))
        estimator = clone(self.estimator)
        if self.loss == "mixed":
            estimator.set_params(loss=Mixed(self.encoder_.groups_))
        self.estimator_ = estimator  # its tags are used by `_encode`
        given = {name: self._encode(value) for name, value in params.items() if name in _TABLES and value is not None}
        encoded = self._encode(X)
        self._holes, self._n_holes = self._patterns(encoded)
        fit_part(context, owner, estimator, "estimator", encoded, **params | given)

    def _check_params(self) -> None:
        if not isinstance(self.estimator, BaseAutoencoder):
            raise TypeError(
                f"estimator must be an autoencoder of skae, such as VAEGenerator(8), got {self.estimator!r}."
            )
        if not (self.encoder is None or isinstance(self.encoder, TableEncoder)):
            raise TypeError(f"encoder must be a TableEncoder or None, got {self.encoder!r}.")
        check_choice("loss", self.loss, ("mixed", None))
        if getattr(self.estimator, "conditional", False) is not False:
            raise ValueError(
                "estimator must not be conditional: include y as a column of the table, and sample with "
                "given={column: value}."
            )

    def _encode(self, X: Any) -> np.ndarray:
        """Encode a table, after checking that the estimator supports its missing entries."""
        encoded = np.asarray(self.encoder_.transform(X))  # independent of `set_output`
        if self.estimator_.missing != "mask" and np.isnan(encoded).any():
            holes = [self.encoder_._columns[i]["name"] for i in np.flatnonzero(self._patterns(encoded)[0].any(axis=0))]
            raise ValueError(
                f"X has missing entries in {', '.join(map(repr, holes[:10]))}: set missing='mask' and "
                "noise=MaskingNoise(hidden_only=True) of the estimator, so that it learns to impute them."
            )
        return encoded

    def _patterns(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the patterns of missing columns, (n_patterns, n_features), and their numbers of rows."""
        places = [place for place in self.encoder_._places() if place.start < place.stop]
        holes = np.zeros((len(encoded), len(self.encoder_._columns)), bool)
        holes[:, self.encoder_._encoded()] = np.isnan(encoded[:, [place.start for place in places]])
        return np.unique(holes, axis=0, return_counts=True)

    # ---------------------------------------------------------------- encoding and decoding

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table as codes.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            The codes.

        Raises
        ------
        ValueError, TypeError
            If X is invalid; the message names the column.
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.transform(self._encode(X)))

    def inverse_transform(self, X: Any) -> Any:
        """Decode codes to a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as returned by `transform`.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            A table of the library, columns and dtypes of `fit`, with means of numbers and the most likely categories.

        Raises
        ------
        ValueError
            If X has the wrong number of columns.
        """
        check_is_fitted(self)
        return self.encoder_.inverse_transform(self.estimator_.inverse_transform(X))

    def reconstruct(self, X: Any, *, keep_observed: bool = False) -> Any:
        """Encode and decode a table; missing entries are imputed.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.
        keep_observed : bool, default=False
            Whether to replace only missing entries and keep the observed ones.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            A table of the library, columns and dtypes of `fit`; with ``keep_observed`` in the dtypes of X, if these can
            represent the imputed values. Columns without observed values in `fit` stay missing.

        Raises
        ------
        ValueError, TypeError
            If X is invalid; the message names the column.
        """
        check_is_fitted(self)
        check_choice("keep_observed", keep_observed, (True, False))
        columns = self.encoder_._decode(self.estimator_.reconstruct(self._encode(X)))
        if keep_observed:
            columns = fill_columns(self.encoder_._read(X), columns)
        return self.encoder_._write(columns)

    # ---------------------------------------------------------------- scoring

    def score_samples(self, X: Any) -> np.ndarray:
        """Compute the score of each row: the lower, the more anomalous.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float32
            ``estimator_.score_samples`` of the encoded rows: for a `~skae.VAEGenerator` a lower bound of the
            log-likelihood in nats, where densities of numbers are those of their encoded values.

        Raises
        ------
        ValueError, TypeError
            If X is invalid; the message names the column.
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.score_samples(self._encode(X)))

    def feature_losses(self, X: Any) -> np.ndarray:
        """Compute the reconstruction error of each entry, for `skae.OutlierDetector`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_features), float64
            Squared errors of the encoded values, summed over the encoded columns of each entry; for a category the
            squared distance between the probabilities and the one-hot encoded value (Brier, 1950). NaN for missing
            entries.

        Raises
        ------
        ValueError, TypeError
            If X is invalid; the message names the column.
        """
        check_is_fitted(self)
        encoded = self._encode(X)
        errors = np.square(encoded - self.estimator_.reconstruct(encoded))
        return np.column_stack([errors[:, place].sum(axis=1) for place in self.encoder_._places()])

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the score of the estimator on the encoded table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.
        y : None
            Ignored.

        Returns
        -------
        score : float
            Greater is better: the mean of `score_samples` for a `~skae.VAEGenerator`, the negative mean squared error
            for others. Scores of estimators with different encoders are not comparable.

        Raises
        ------
        ValueError, TypeError
            If X is invalid; the message names the column.
        """
        check_is_fitted(self)
        return float(self.estimator_.score(self._encode(X)))

    # ---------------------------------------------------------------- sampling

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        given: Any = None,
        missing: bool = False,
    ) -> Any:
        """Generate rows, optionally conditioned on the values of some columns.

        Codes are drawn from the prior of the estimator, and rows from the likelihoods of the columns. With ``given``,
        many codes are drawn, weighted by the likelihood of the given columns, and resampled by their weights
        (importance resampling; Rubin, 1987), so that the other columns have their conditional distribution under the
        model. If the given values are rare, few codes have most of the weight: up to 160,000 codes are drawn, with a
        warning if the effective sample size is below 10.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows at every call.
        given : dict, default=None
            Values of columns by name, such as ``{"smoker": "yes", "age": 40}``: one value for all rows, or an array
            with one for each row, so that ``n_samples`` can be omitted.
        missing : bool, default=False
            Whether to reproduce the missing entries of `fit`: each row has the pattern of missing entries of a random
            row, independent of its values. If missingness depends on values, this dependence is not reproduced. Given
            values are kept.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            A table of the library, columns and dtypes of `fit`, within the bounds of `fit`. Without ``missing`` it is
            complete, except for columns without observed values in `fit`.

        Raises
        ------
        ValueError, TypeError
            If a column or a value is unknown.

        Warns
        -----
        UserWarning
            If hardly any codes agree with the given values.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        check_choice("missing", missing, (True, False))
        estimator, conditions = self.estimator_, None
        estimator.sample  # noqa: B018 an AttributeError says what it takes
        estimator._check_sampling(n_samples)
        rng = np.random.default_rng(draw_seed(random_state))
        n_samples = int(n_samples)
        if given is not None:
            conditions = Given(self.encoder_, given)
            n_samples = self._n_given(n_samples, conditions)
            codes = draw_codes(estimator, n_samples, conditions.encoded(), conditions.groups(), rng)
        else:
            codes = estimator._draw_codes(n_samples, None, int(rng.integers(2**31)))
        with Stream(int(rng.integers(2**31)), estimator.net_.device):
            rows = estimator._decode(codes, noisy=isinstance(estimator.module_.loss, Likelihood)).numpy()
        columns: list[Column] = self.encoder_._decode(rows, rng)
        if missing:
            share = self._n_holes / self._n_holes.sum()
            for column, holes in zip(columns, self._holes[rng.choice(len(share), n_samples, p=share)].T, strict=True):
                column.missing = column.missing | holes
        if conditions is not None:
            conditions.insert(columns)
        return self.encoder_._write(columns)

    def _n_given(self, n_samples: int, conditions: Given) -> int:
        if not isinstance(self.estimator_.module_.loss, Mixed):
            raise ValueError("given needs loss='mixed', which has a likelihood for each column.")
        if conditions.n_rows not in (1, n_samples) and n_samples != 1:
            raise ValueError(f"given has {conditions.n_rows} values for n_samples={n_samples} rows.")
        return max(n_samples, conditions.n_rows)

    # ---------------------------------------------------------------- state and tags

    def _example_of(self, X: Any) -> Any:
        validate_data(self.encoder_, super()._example_of(X), reset=False, skip_check_array=True)
        return self.inverse_transform(np.zeros((1, self._n_features_out)))

    @property
    def _n_features_out(self) -> int:
        return self.estimator_.n_components_

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing: all metadata of `fit` is passed to the estimator.

        Returns
        -------
        routing : MetadataRouter
            Metadata router.
        """
        return router_to_estimator(self, self.estimator)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags
