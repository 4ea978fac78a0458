"""An autoencoder of tables: features, imputed and reconstructed rows, likelihoods and new rows as DataFrames."""

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

_TABLES = ("X_target", "X_val", "X_val_target")  # arguments of `fit` that hold rows


class TableAutoencoder(
    RowWise, ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, CallbackSupportMixin, BaseEstimator
):
    """An autoencoder of a table with numbers, categories, dates and missing values, to which DataFrames go as they are.

    A `TableEncoder` makes numbers of the columns, and the autoencoder gets a loss that suits each of them,
    `skae.losses.Mixed`: a likelihood of numbers with a scale for each column, cross-entropy of categories and flags,
    likelihoods of counts. What comes back are DataFrames again: `reconstruct` fills missing entries in, categories
    included, and `sample` draws new rows, which keep dtypes, categories, whole numbers, decimals and bounds.

    Parameters
    ----------
    estimator : estimator
        An autoencoder of skae; `fit` trains a clone. For rows with missing entries it needs ``missing='mask'``. To fill
        them in well take an `~skae.AutoencoderTransformer` with ``noise=MaskingNoise(hidden_only=True)`` and an encoder
        with ``numbers='standard'``, for `sample` a `~skae.VAEGenerator`. It need not be conditional: make y a column,
        and give it to `sample`.
    encoder : TableEncoder, default=None
        Of which `fit` fits a clone; a `TableEncoder` with its defaults when None.
    loss : {'mixed', None}, default='mixed'
        'mixed' sets the estimator's loss to `skae.losses.Mixed` with the groups of the encoder; None leaves it.

    Attributes
    ----------
    encoder_ : TableEncoder
        The fitted encoder.
    estimator_ : estimator
        The fitted autoencoder, which works on what `encoder_` returns.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    TableEncoder : The encoder alone, for a pipeline with other estimators.
    skae.metrics.memorization : Whether new rows are copies of those of `fit`, both encoded by ``encoder_``.

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
        """Fit the encoder, and train the autoencoder on what it returns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table, as `TableEncoder` takes it.
        y : None
            Ignored: what is to be learned with the table has to be a column of it.
        **params : dict
            For the estimator's `fit`: ``X_val``, ``X_target`` and ``X_val_target`` are tables like X.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters, for columns that cannot be encoded, for missing entries that the estimator does not take,
            and whatever its `fit` raises. After any error the estimator is as it was before.
        """
        context = begin_fit(self, X, y, max_subtasks=1)
        fitted = copy.copy(self)  # a fit that fails leaves this one as it was
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
        self.estimator_ = estimator  # of which `_encode` asks what it takes
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
                "estimator must not be conditional: make y a column of the table, and sample with "
                "given={column: value}."
            )

    def _encode(self, X: Any) -> np.ndarray:
        """Return a table in numbers, after a check that the estimator takes its missing entries."""
        encoded = np.asarray(self.encoder_.transform(X))  # whatever `set_output` says
        if self.estimator_.missing != "mask" and np.isnan(encoded).any():
            holes = [self.encoder_._columns[i]["name"] for i in np.flatnonzero(self._patterns(encoded)[0].any(axis=0))]
            raise ValueError(
                f"X has missing entries in {', '.join(map(repr, holes[:10]))}: give the estimator missing='mask' and "
                "noise=MaskingNoise(hidden_only=True), so that it learns to fill them in."
            )
        return encoded

    def _patterns(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which columns are missing together, (n_patterns, n_features), and in how many rows."""
        places = [place for place in self.encoder_._places() if place.start < place.stop]
        holes = np.zeros((len(encoded), len(self.encoder_._columns)), bool)
        holes[:, self.encoder_._encoded()] = np.isnan(encoded[:, [place.start for place in places]])
        return np.unique(holes, axis=0, return_counts=True)

    # ---------------------------------------------------------------- encoding and decoding

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table as codes: features of its rows.

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
            If X does not fit; the message names the column.
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.transform(self._encode(X)))

    def inverse_transform(self, X: Any) -> Any:
        """Decode codes to a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            Rows of the library, the columns and the dtypes of `fit`: means of numbers, and the likeliest categories.

        Raises
        ------
        ValueError
            If X has another number of columns.
        """
        check_is_fitted(self)
        return self.encoder_.inverse_transform(self.estimator_.inverse_transform(X))

    def reconstruct(self, X: Any, *, keep_observed: bool = False) -> Any:
        """Encode and decode a table; missing entries are filled in.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.
        keep_observed : bool, default=False
            Whether only missing entries are replaced, and the others are kept as they are.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            Rows of the library, the columns and the dtypes of `fit`; with ``keep_observed`` in the dtypes of X, where
            these hold what is filled in. A column without a known value in `fit` stays missing.

        Raises
        ------
        ValueError, TypeError
            If X does not fit; the message names the column.
        """
        check_is_fitted(self)
        check_choice("keep_observed", keep_observed, (True, False))
        columns = self.encoder_._decode(self.estimator_.reconstruct(self._encode(X)))
        if keep_observed:
            columns = fill_columns(self.encoder_._read(X), columns)
        return self.encoder_._write(columns)

    # ---------------------------------------------------------------- scoring

    def score_samples(self, X: Any) -> np.ndarray:
        """Compute how likely each row is: the lower, the more anomalous.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float32
            What ``estimator_.score_samples`` returns for encoded rows: for a `~skae.VAEGenerator` a lower bound of the
            log-likelihood in nats, where densities of numbers are those of their encoded values.

        Raises
        ------
        ValueError, TypeError
            If X does not fit; the message names the column.
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.score_samples(self._encode(X)))

    def feature_losses(self, X: Any) -> np.ndarray:
        """Compute how badly each entry is reconstructed: what `skae.OutlierDetector` takes for the errors of rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        losses : ndarray of shape (n_samples, n_features), float64
            Squared errors of the encoded values, summed over the values of each entry; for a category the squared
            distance of probabilities from the value that it has (Brier, 1950). NaN where an entry is missing.

        Raises
        ------
        ValueError, TypeError
            If X does not fit; the message names the column.
        """
        check_is_fitted(self)
        encoded = self._encode(X)
        errors = np.square(encoded - self.estimator_.reconstruct(encoded))
        return np.column_stack([errors[:, place].sum(axis=1) for place in self.encoder_._places()])

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the score of the estimator for encoded rows, which searches maximize.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.
        y : None
            Ignored.

        Returns
        -------
        score : float
            The greater the better: the mean of `score_samples` for a `~skae.VAEGenerator`, minus a mean squared error
            for others. Scores of estimators with different encoders are not comparable.

        Raises
        ------
        ValueError, TypeError
            If X does not fit; the message names the column.
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
        """Draw new rows, of all columns or given some of them.

        Codes are drawn from the prior of the estimator, and rows from the likelihoods of their columns. With ``given``
        many codes are drawn, weighted by the likelihood of the given columns and resampled by their weights (Rubin,
        1987), so that the other columns have their distribution under the model given these. Where what is given is
        rare, few codes have all of the weight: there are up to 160,000 of them, and a warning if they are equivalent
        to fewer than 10 draws.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows at every call.
        given : dict, default=None
            Values of columns by name, such as ``{"smoker": "yes", "age": 40}``: a value for all rows, or an array with
            one for each, whose length ``n_samples`` need not repeat.
        missing : bool, default=False
            Whether entries are missing as they were in `fit`: each row gets the holes of a row drawn at random, without
            regard to its values. Where what is missing depends on values, these rows do not tell. Given values stay.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            Rows of the library, the columns and the dtypes of `fit`, within the bounds seen there. Without ``missing``
            they are complete, but for columns without a known value in `fit`.

        Raises
        ------
        ValueError, TypeError
            For columns and values that there are not.

        Warns
        -----
        UserWarning
            Where hardly any codes go with what is given.
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
            raise ValueError("given needs loss='mixed', whose likelihoods of single columns weight the rows.")
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
        """Get the routing of metadata: all of `fit` goes to the estimator.

        Returns
        -------
        routing : MetadataRouter
            The routing.
        """
        return router_to_estimator(self, self.estimator)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags
