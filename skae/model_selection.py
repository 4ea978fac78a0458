"""Choice of hyperparameters from the results of a search."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._utils.checks import check_number

__all__ = ["smallest_within"]


def smallest_within(param: str = "n_components", n_se: float = 1) -> Callable[[Mapping[str, Any]], int]:
    r"""Return a rule for ``GridSearchCV(refit=...)``: the smallest value that scores about as well as the best.

    Among the candidates whose mean test score is at least

    .. math:: m - n_\text{se} \, \frac{s}{\sqrt{K}},

    it selects the one with the smallest value of the parameter, and among several of these the one with the highest
    score. m is the mean score of the best candidate over the K splits, and s the standard deviation of its scores, with
    divisor K - 1: the one-standard-error rule (Breiman, Friedman, Olshen and Stone, 1984). Scores of splits are not
    independent, so it is a convention rather than a test.

    Parameters
    ----------
    param : str, default='n_components'
        Name of the parameter. The last part of the name in the search's grid is enough: 'n_components' for
        ``pipe__ae__n_components``. Its values must be numbers; candidates without it are ignored.
    n_se : float, default=1
        Number of standard errors, at least 0.

    Returns
    -------
    rule : callable
        Maps ``cv_results_`` to the index of a candidate. It can be pickled. Candidates with failed fits are ignored,
        and so are all but the last iteration of a successive halving. ``HalvingGridSearchCV`` does not call ``refit``,
        so call the rule with its ``cv_results_``.

    Raises
    ------
    ValueError, TypeError
        When the rule is called: if ``param`` is in no grid or in several, if its values are not numbers, if there are
        fewer than 2 splits, more than one metric or no score, or if ``n_se`` is negative.

    References
    ----------
    L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone, 1984. Classification and regression trees. Wadsworth.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import Pipeline
    >>> X, y = load_digits(return_X_y=True)
    >>> pipe = Pipeline([("reduce", PCA(random_state=0)), ("classify", KNeighborsClassifier())])
    >>> grid = {"reduce__n_components": [2, 4, 8, 16, 32]}
    >>> search = GridSearchCV(pipe, grid, cv=5, refit=smallest_within()).fit(X, y)
    >>> search.best_params_
    {'reduce__n_components': 16}
    """
    return _SmallestWithin(param, n_se)


@dataclass(frozen=True)
class _SmallestWithin:
    param: str
    n_se: float

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        check_number("smallest_within: n_se", self.n_se, numbers.Real, 0)
        if "mean_test_score" not in cv_results:
            found = [name.removeprefix("mean_test_") for name in cv_results if name.startswith("mean_test_")]
            raise ValueError(f"smallest_within needs a single metric, got {found}: set scoring to one of them.")
        values = self._values(cv_results)
        means = np.array(cv_results["mean_test_score"], dtype=np.float64)
        usable = ~np.isnan(values) & np.isfinite(means)
        if "iter" in cv_results:  # earlier ones had fewer resources, and their scores do not compare
            usable &= np.asarray(cv_results["iter"]) == np.max(cv_results["iter"])
        if not usable.any():
            raise ValueError(
                f"smallest_within needs a candidate with {self.param} and a score, but the fits of all have failed: "
                "error_score='raise' shows why."
            )
        means[~usable] = -np.inf
        best = int(means.argmax())
        enough = np.flatnonzero(means >= means[best] - float(self.n_se) * _standard_error(cv_results, best))
        smallest = enough[values[enough] == values[enough].min()]
        return int(smallest[means[smallest].argmax()])

    def _values(self, cv_results: Mapping[str, Any]) -> np.ndarray:
        """Return the value of the parameter for each candidate, NaN for those that do not have it."""
        names = [name.removeprefix("param_") for name in cv_results if name.startswith("param_")]
        fits = [name for name in names if name == self.param] or [
            name for name in names if name.rpartition("__")[2] == self.param
        ]
        if len(fits) != 1:
            what = f"{len(fits)} of them" if fits else "none of them"
            remedy = f": name one of {fits} in full" if fits else ""
            raise ValueError(f"smallest_within needs one parameter {self.param!r}, got {names}, {what}{remedy}.")
        values = [params.get(fits[0]) for params in cv_results["params"]]
        for value in values:
            if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
                raise TypeError(f"smallest_within needs numbers as values of {fits[0]}, got {value!r}.")
        return np.array([np.nan if value is None else float(value) for value in values])


def _standard_error(cv_results: Mapping[str, Any], candidate: int) -> float:
    splits = [name for name in cv_results if name.startswith("split") and name.endswith("_test_score")]
    if len(splits) < 2:
        raise ValueError("smallest_within needs the scores of at least 2 splits for their standard error: set cv.")
    scores = [float(cv_results[name][candidate]) for name in splits]
    return float(np.std(scores, ddof=1)) / len(scores) ** 0.5
