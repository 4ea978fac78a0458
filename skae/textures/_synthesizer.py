"""Textures of any size from one exemplar or several."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._patches.quilting import Quilt, quilt
from .._utils.checks import check_choice, check_number
from .._utils.rng import draw_seed
from ..estimators._image_arguments import check_image_size
from ..estimators.conv import ConvAutoencoder
from ._codes import RIM, CodeMaps, Source, fitted_on, lay
from ._images import as_dtype, read_images, value_range

_BLOCK = (24, 96)  # pixels, for block_size="auto"
_N_REPAIRS = 1 / 3  # of a block, for n_repairs="auto"


def default_estimator() -> ConvAutoencoder:
    """Return what ``estimator=None`` stands for.

    A code of few channels and a decoder with much width: the more exact the code, the more of the blocks' borders is seen.
    """
    return ConvAutoencoder(
        6,
        module__channels=(32, 64),
        module__n_residual_blocks=1,
        module__dense=False,
        batch_size=8,
        crop_size=64,
        n_crops=600,
        max_epochs=8,
        lr=3e-3,
        early_stopping=False,
    )


class TextureSynthesizer(BaseEstimator):
    """doc"""

    def __init__(
        self,
        estimator=None,
        *,
        block_size="auto",
        overlap=0.3,
        tolerance=0.05,
        reuse=0.1,
        n_repairs="auto",
        detail=True,
        channel_axis="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.block_size = block_size
        self.overlap = overlap
        self.tolerance = tolerance
        self.reuse = reuse
        self.n_repairs = n_repairs
        self.detail = detail
        self.channel_axis = channel_axis
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> TextureSynthesizer:
        self._check_params()
        images = read_images(X, "X", self.channel_axis)
        exemplars = [images.restore(images.read(i)) for i in range(len(images))]
        estimator = default_estimator() if self.estimator is None else self.estimator
        fitted = fitted_on(estimator, exemplars, images.layout.channel_axis, self.random_state)
        found = {"estimator_": fitted, "exemplars_": exemplars, "stride_": fitted.module_.network.stride}
        found["block_size_"] = self.block_size
        if self.block_size == "auto":
            side = min(min(shape) for shape in images.shapes)
            found["block_size_"] = int(np.clip(side // 4, *_BLOCK))
        vars(self).update(found)
        self.__dict__.pop("_sources", None)
        return self

    def _check_params(self):
        pass

    def _kept_sources(self) -> list[list[Source]]:
        if "_sources" not in vars(self):
            maps = CodeMaps(self.estimator_)
            self._sources = [maps.sources(exemplar) for exemplar in self.exemplars_]
        return self._sources

    def sample(
        self,
        n_samples=1,
        random_state=None,
        *,
        size=None,
        tile=True,
        mask=None,
        weights=None,
        blend=0.0,
        return_sources=False,
    ):
        check_is_fitted(self)
        maps = CodeMaps(self.estimator_)
        per = self._kept_sources()
        flat = [s for group in per for s in group]
        owners = [i for i, group in enumerate(per) for _ in group]
        size = check_image_size(size)
        cells = tuple(math.ceil(s / self.stride_) for s in size)
        side = max(2, round(self.block_size_ / self.stride_))
        seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(n_samples)
        out, origins = [], []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            labels = None
            if mask is not None or weights is not None or len(per) > 1:
                shares = self.shares(mask, weights, cells, len(per))
                labels = self.labels(shares, side, rng)
            step = side - max(1, round(self.overlap * side))
            n_repairs = round(cells[0] * cells[1] / step**2) if self.n_repairs == "auto" else self.n_repairs
            q = quilt(
                [s.codes for s in flat],
                cells,
                side,
                self.overlap,
                rng,
                tile=tile,
                tolerance=self.tolerance,
                reuse=self.reuse,
                n_repairs=n_repairs,
                owners=owners,
                labels=labels,
            )
            image = maps.decode(q.values, wrap=tile)
            if self.detail:
                image = image + lay([s.residual for s in flat], q.origins, self.stride_)
            out.append(image[:, : size[0], : size[1]])
            origins.append(q.origins)
        x = np.stack(out)
        low, high = min(e.min() for e in self.exemplars_), max(e.max() for e in self.exemplars_)
        x = as_dtype(maps.layout.restore(x), self.exemplars_[0].dtype, low, high)
        return (x, np.stack(origins)) if return_sources else x

    def shares(self, mask, weights, cells, n):
        if mask is not None:
            mask = np.asarray(mask, float)
            r, c = [((np.arange(k) + 0.5) * m / k).astype(int) for k, m in zip(cells, mask.shape[-2:])]
            m = mask[..., r[:, None], c]
            return np.stack([1 - m, m]) if m.ndim == 2 else m / m.sum(0)
        w = np.ones(n) if weights is None else np.asarray(weights, float)
        return np.broadcast_to((w / w.sum())[:, None, None], (n, *cells))

    def labels(self, shares, side, rng):
        noise = gaussian_filter(rng.standard_normal(shares.shape[1:]), side / 2, mode="wrap")
        ranks = np.empty(noise.size)
        ranks[np.argsort(noise, axis=None)] = (np.arange(noise.size) + 0.5) / noise.size
        u = ranks.reshape(noise.shape)
        return (u >= np.cumsum(shares, 0)[:-1]).sum(0)
