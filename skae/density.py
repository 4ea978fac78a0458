"""Density estimators with scikit-learn's interface: `fit`, `score_samples` and `sample`."""

from ._density.flow import NormalizingFlow

__all__ = ["NormalizingFlow"]
