"""Densities of rows in scikit-learn's sense: `fit`, `score_samples` and `sample`."""

from ._density.flow import NormalizingFlow

__all__ = ["NormalizingFlow"]
