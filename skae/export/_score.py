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
        if "likelihood" in detector.parts_:
            raise TypeError("The criterion 'likelihood' cannot be exported: take another one.")
        parts = [_taken_apart(estimator) for estimator in detector.estimators_]
        super().__init__(parts[0][1])
        densities = detector.__dict__.get("densities_", [None] * len(parts))
        triples = zip(parts, densities, detector._centers, strict=True)
        models = [_Model(*part, density, center) for part, density, center in triples]
        self.models = nn.ModuleList(models)
        self.module = models[0].whole.module
        self.names, self.units, self.offset = detector.parts_, detector._units, detector.offset_
        self.any_size = self.any_size and "code" not in self.names  # a density is one of codes of one width
        levels = detector.__dict__.get("noise_levels_")
        self.levels = None if levels is None else torch.as_tensor(levels)
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (n,) and labels (n,) of samples (n, *row_shape)."""
        score = -torch.stack([self._largest(model, x) for model in self.models]).mean(dim=0)
        return score.float(), torch.where(score >= self.offset, 1, -1)

    def _largest(self, model: Any, x: Tensor) -> Tensor:
        x = model.scaled(x.double())
        parts: dict[str, Tensor] = {}
        if {"reconstruction", "standardized"} & {*self.names}:
            errors = (x - model.whole(x).double()).square().flatten(1)
            parts["reconstruction"] = _mean_of_known(errors)
            if self.levels is not None:
                parts["standardized"] = _mean_of_known(errors / self.levels)
        if "code" in self.names:
            parts["code"] = model.density(model.encoder(x).double().flatten(1))
        if "distance" in self.names:
            parts["distance"] = _mean_of_known((x - model.center).square().flatten(1))
        if len(self.names) == 1:
            return parts[self.names[0]]
        in_units = [(parts[name] - self.units[name][0]) / self.units[name][1] for name in self.names]
        return torch.stack(in_units).amax(dim=0)


class _Model(nn.Module):
    """What one model of a detector consists of."""

    def __init__(self, scalers: list[Any], estimator: Any, density: Any, center: Any) -> None:
        super().__init__()
        self.scales = [tuple(map(torch.as_tensor, found)) for found in scalers]
        self.whole = Reconstruction(estimator, dtype=torch.float64)
        self.encoder = Encoder(estimator, maps=False, dtype=torch.float64)
        self.encoder.module = self.whole.module  # once in the file
        self.density = None if density is None else _Mixture(density)
        if density is not None and density.n_features_in_ != estimator.module_.n_codes:  # means over positions
            raise TypeError("The criterion 'code' of images of any size cannot be exported: take 'reconstruction'.")
        self.center = None if center is None else torch.as_tensor(center)

    def scaled(self, x: Tensor) -> Tensor:
        """Return samples as the autoencoder sees them."""
        for slope, shift in self.scales:
            x = x * slope + shift
        return x


class _Mixture(nn.Module):
    """How far codes lie out under a Gaussian mixture, as `distances` has it."""

    def __init__(self, density: Any) -> None:
        super().__init__()
        if not (isinstance(density, GaussianMixture) and density.covariance_type == "full"):
            raise TypeError(f"Only Gaussian mixtures with full covariances are exported as densities, got {density!r}.")
        self.means, self.roots = (torch.as_tensor(A) for A in (density.means_, density.precisions_cholesky_))
        logs = np.log(density.weights_) + np.log(np.diagonal(density.precisions_cholesky_, axis1=1, axis2=2)).sum(1)
        self.logs = torch.as_tensor(logs - 0.5 * density.means_.shape[1] * math.log(2 * math.pi))
        self.least = least(density)

    def forward(self, z: Tensor) -> Tensor:
        """Return minus the log-density of codes (n, n_codes), above its least."""
        away = torch.einsum("nkd,kde->nke", z[:, None] - self.means, self.roots)
        return (-torch.logsumexp(self.logs - 0.5 * away.square().sum(2), dim=1) - self.least).clamp(min=0)


def _mean_of_known(values: Tensor) -> Tensor:
    known = ~values.isnan()
    return torch.where(known, values, 0.0).sum(1) / known.sum(1)


def _taken_apart(estimator: Any) -> tuple[list[tuple[np.ndarray, np.ndarray]], Any]:
    """Return slopes and shifts of the scalers of a pipeline, and the autoencoder at its end."""
    estimator = without_wrappers(estimator)
    scalers = []
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps[:-1]:
            is_affine = isinstance(step, MaxAbsScaler | MinMaxScaler | RobustScaler | StandardScaler)
            if not is_affine or getattr(step, "clip", False):
                raise TypeError(f"Before the autoencoder only scalers of scikit-learn are exported, got {step!r}.")
            shift, sum_of_both = np.asarray(step.transform(np.arange(2.0)[:, None].repeat(step.n_features_in_, axis=1)))
            scalers.append((sum_of_both - shift, shift))
        estimator = without_wrappers(estimator.steps[-1][1])
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(f"Only detectors around skae's autoencoders can be exported, got {type(estimator).__name__}.")
    return scalers, estimator
