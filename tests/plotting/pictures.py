"""Estimators that make pictures without being trained: textures of blocks, and styles that are mean colors."""

import copy

import numpy as np
from sklearn.base import BaseEstimator


class Blocks(BaseEstimator):
    """A synthesizer that lays blocks of its exemplars, of 4 × 4 pixels."""

    def __init__(self, channel_axis="auto"):
        self.channel_axis = channel_axis

    def fit(self, X):
        self.exemplars_, self.stride_ = list(X), 4
        return self

    def sample(self, n_samples=1, random_state=None, *, size=(32, 40), return_sources=False):
        rng = np.random.default_rng(random_state)
        exemplars = [np.moveaxis(x, 0, -1) if self.channel_axis == 0 else x for x in self.exemplars_]
        cells = tuple(-(-side // 4) for side in size)
        sources = np.empty((n_samples, 3, *cells), int)
        samples = np.empty((n_samples, cells[0] * 4, cells[1] * 4, *exemplars[0].shape[2:]), exemplars[0].dtype)
        for n, i, j in np.ndindex(n_samples, *cells):
            k = rng.integers(len(exemplars))
            row, column = (int(rng.integers(side - 3)) for side in exemplars[k].shape[:2])
            sources[n, :, i, j] = k, row, column
            samples[n, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = exemplars[k][row : row + 4, column : column + 4]
        samples = samples[:, : size[0], : size[1]]
        samples = np.moveaxis(samples, -1, 1) if self.channel_axis == 0 else samples
        return (samples, sources) if return_sources else samples


class Colors(BaseEstimator):
    """A transfer of the mean color of styles; the widths of images stay as they are."""

    def __init__(self, weights=None, channel_axis="auto"):
        self.weights = weights
        self.channel_axis = channel_axis

    def fit(self, styles):
        self.styles_ = list(styles)
        return self

    def transform(self, X):
        assert isinstance(X, list)
        axes = (0, 1) if self.channel_axis != 0 else (1, 2)
        means = np.array([style.mean(axis=axes) for style in self.styles_])
        weights = np.full(len(means), 1 / len(means)) if self.weights is None else np.array(self.weights)
        color = np.tensordot(weights, means, 1)
        color = color if self.channel_axis != 0 else color[:, None, None]
        return [(0.5 * x + 0.5 * color).astype(x.dtype) for x in map(copy.copy, X)]
