"""Categories as one-hot columns, and two of them as one column of 0 and 1."""

from __future__ import annotations

import numbers
from collections import Counter
from typing import Any

import numpy as np

from ._codec import Codec

_FEW = 30  # distinct values that are always accepted as categories
_MOST_SHARE = 0.5  # fraction of distinct values among the rows, above which a column is text or identifiers


class Category(Codec):
    """Labels: one-hot columns, or a single column for two labels; rare labels may share a column."""

    @classmethod
    def fit(
        cls, values: np.ndarray, *, known: Any = None, max_categories: Any = None, min_frequency: Any = None
    ) -> Category:
        """Fit to an array of labels; ``known`` are the categories of its dtype, in order."""
        counts = Counter(values.tolist())
        lumps = max_categories is not None or min_frequency is not None
        if not lumps and len(counts) > max(_FEW, _MOST_SHARE * len(values)):
            raise ValueError(
                f"it has {len(counts)} different values in {len(values)} rows, like text or identifiers: drop it, or "
                "merge rare values by max_categories=20 or min_frequency=10."
            )
        labels = [label for label in known if label in counts] if known is not None else _sorted(counts)
        rare = _rare(labels, counts, max_categories, min_frequency, len(values))
        shares = [counts[label] / max(sum(counts[other] for other in rare), 1) for label in rare]
        labels = [label for label in labels if label not in set(rare)]
        return cls({"labels": labels, "rare": rare, "shares": shares})

    @property
    def _width(self) -> int:
        n = len(self.state["labels"]) + bool(self.state["rare"])
        return 1 if n <= 2 else n

    @property
    def loss(self) -> str:
        """The cross-entropy of the columns."""
        return "bernoulli" if self._width == 1 else "categorical"

    def feature_names(self, name: str) -> list[str]:
        """Return names such as ``color=red``; of two labels the second."""
        names = [f"{name}={label}" for label in self.state["labels"]]
        names += [f"{name}=(rare)"] if self.state["rare"] else []
        return names[-1:] if self._width == 1 else names

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return (n, n_columns) of 0 and 1, and NaN for unknown labels."""
        index = {label: i for i, label in enumerate(self.state["labels"])}
        index |= dict.fromkeys(self.state["rare"], len(index))
        found = np.fromiter((index.get(label, -1) for label in values.tolist()), np.int64, len(values))
        if self._width == 1:
            one = float(len(index) > 1)  # a single label is encoded as 0, else the second of two as 1
            table = np.where(found == len(self.state["labels"]) + bool(self.state["rare"]) - 1, one, 0.0)[:, None]
        else:
            table = (found[:, None] == np.arange(self._width)).astype(np.float64)
        table[found < 0] = np.nan
        return table

    def decode(self, Z: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return the labels of the largest columns; of rare ones the most frequent, or one drawn with ``rng``."""
        labels, rare = self.state["labels"], self.state["rare"]
        n_labels = len(labels) + bool(rare)
        if self._width == 1:
            index = (Z[:, 0] > 0.5).astype(int) if n_labels == 2 else np.zeros(len(Z), int)
        else:
            index = Z.argmax(axis=1)
        table = np.empty(n_labels, object)
        table[: len(labels)] = labels
        if rare:
            table[-1] = rare[int(np.argmax(self.state["shares"]))]
        found = table[index]
        if rare and rng is not None:
            drawn = index == len(labels)
            found[drawn] = _objects(rare)[rng.choice(len(rare), drawn.sum(), p=self.state["shares"])]
        return found


def _rare(labels: list, counts: Counter, max_categories: Any, min_frequency: Any, n: int) -> list:
    """Return the labels that share a column, as in scikit-learn's OneHotEncoder; none if there is only one."""
    fewest = 0 if min_frequency is None else min_frequency
    fewest = int(fewest) if isinstance(fewest, numbers.Integral) else fewest * n
    rare = {label for label in labels if counts[label] < fewest}
    if max_categories is not None and len(labels) - len(rare) + bool(rare) > int(max_categories):
        by_count = sorted(labels, key=lambda label: -counts[label])
        rare |= set(by_count[max(int(max_categories) - 1, 0) :])
    return [label for label in labels if label in rare] if len(rare) > 1 else []


def _sorted(labels: Any) -> list:
    try:
        return sorted(labels)
    except TypeError:  # strings and numbers
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))


def _objects(labels: list) -> np.ndarray:
    found = np.empty(len(labels), object)
    found[:] = labels
    return found
