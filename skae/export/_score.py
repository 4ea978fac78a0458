"""The score of a fitted detector as a torch module."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from torch import Tensor, nn

from ..estimators._base import BaseAutoencoder
from ..estimators._code_density import least
from ..estimators._readings import without_wrappers
from ._parts import Encoder, Part, Reconstruction


class Score(Part):
    """`score_samples` and `predict` of a detector: the mean of the scores of its models.

    Parameters
    ----------
    detector : OutlierDetector
        Fitted, around skae's autoencoders or pipelines of scalers and one of these.
    """

    output_names = ("score", "label")

    def __init__(self, detector: Any) -> None:
        if detector.criterion == "likelihood":
            raise TypeError("criterion='likelihood' cannot be exported: take another criterion.")
        parts = [_taken_apart(estimator, detector.n_features_in_) for estimator in detector.estimators_]
        super().__init__(parts[0][1])
        densities = detector.__dict__.get("densities_", [None] * len(parts))
        models = [_Model(*part, density) for part, density in zip(parts, densities, strict=True)]
        self.models = nn.ModuleList(models)
        self.module = models[0].whole.module
        self.criterion, self.offset = detector.criterion, detector.offset_
        levels = detector.__dict__.get("noise_levels_")
        self.levels = None if levels is None else torch.as_tensor(levels)
        self.error, self.distance = detector._units
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (n,) and labels (n,) of samples (n, *row_shape)."""
        score = torch.stack([self._score(*model(x)) for model in self.models]).mean(dim=0)
        return score.float(), torch.where(score >= self.offset, 1, -1)

    def _score(self, errors: Tensor, distance: Tensor) -> Tensor:
        if self.criterion == "code":
            return -distance
        errors = errors if self.levels is None else errors / self.levels
        known = ~errors.isnan()
        error = torch.where(known, errors, 0.0).sum(1) / known.sum(1)
        return -error if self.criterion != "combined" else -error / self.error - distance / self.distance


class _Model(nn.Module):
    """What one model of a detector says of samples: squared errors (n, n_features), and distances of codes (n,)."""

    def __init__(self, scalers: list[Any], estimator: Any, density: Any) -> None:
        super().__init__()
        self.scales = [tuple(map(torch.as_tensor, found)) for found in scalers]
        self.whole = Reconstruction(estimator, dtype=torch.float64)
        self.encoder = None if density is None else Encoder(estimator, maps=False, dtype=torch.float64)
        self.density = None if density is None else _Mixture(density)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return errors and distances; 0 without a density."""
        x = x.double()
        for slope, shift in self.scales:
            x = x * slope + shift
        errors = (x - self.whole(x).double()).square().flatten(1)
        if self.encoder is None or self.density is None:
            return errors, errors.new_zeros(())
        return errors, self.density(self.encoder(x).double().flatten(1))


class _Mixture(nn.Module):
    """How far codes lie out under a Gaussian mixture, as `distances` has it."""

    def __init__(self, density: Any) -> None:
        super().__init__()
        if not (isinstance(density, GaussianMixture) and density.covariance_type == "full"):
            raise TypeError(f"Only densities that are Gaussian mixtures with full covariances are exported, got {density!r}.")
        self.means, self.roots = (torch.as_tensor(A) for A in (density.means_, density.precisions_cholesky_))
        logs = np.log(density.weights_) + np.log(np.diagonal(density.precisions_cholesky_, axis1=1, axis2=2)).sum(1)
        self.logs = torch.as_tensor(logs - 0.5 * density.means_.shape[1] * math.log(2 * math.pi))
        self.least = least(density)

    def forward(self, z: Tensor) -> Tensor:
        """Return minus the log-density of codes (n, n_codes), above its least."""
        away = torch.einsum("nkd,kde->nke", z[:, None] - self.means, self.roots)
        return (-torch.logsumexp(self.logs - 0.5 * away.square().sum(2), dim=1) - self.least).clamp(min=0)


def _taken_apart(estimator: Any, n_features: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], Any]:
    """Return slopes and shifts of the scalers of a pipeline, and the autoencoder at its end."""
    estimator = without_wrappers(estimator)
    scalers = []
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps[:-1]:
            is_affine = isinstance(step, MaxAbsScaler | MinMaxScaler | RobustScaler | StandardScaler)
            if not is_affine or getattr(step, "clip", False):
                raise TypeError(f"Before the autoencoder only scalers of scikit-learn are exported, got {step!r}.")
            shift, sum_of_both = np.asarray(step.transform(np.arange(2.0)[:, None].repeat(n_features, axis=1)))
            scalers.append((sum_of_both - shift, shift))
        estimator = without_wrappers(estimator.steps[-1][1])
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(f"Only detectors around skae's autoencoders can be exported, got {type(estimator).__name__}.")
    return scalers, estimator
