"""A code model without training, and small fitted estimators that have it, for more than one file of tests."""

import hashlib

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skae._density.tables import Step, Tables, frequencies_of


class Counted(BaseEstimator):
    """Counts of the symbols of each channel; those of every other channel given the parity of the one before.

    Parameters
    ----------
    alphabet : tuple of int or None
        As that of a bottleneck.
    """

    def __init__(self, alphabet):
        self.alphabet = alphabet

    def fit(self, codes, sample_weight=None):
        self.alphabet_ = self.alphabet
        c = codes.shape[1]
        bounded = np.array([levels is not None for levels in self.alphabet])
        self.low_ = np.where(bounded, 0, codes.min((0, 2, 3)))
        high = np.array([levels or 0 for levels in self.alphabet]) - 1
        self.span_ = np.where(bounded, high, codes.max((0, 2, 3)).clip(min=self.low_ + 1)) - self.low_ + 1
        p = np.zeros((c, 2, self.span_.max()))
        context = self._context(codes)
        for i in range(c):
            p[i, :, : self.span_[i]] = 0.1
            np.add.at(p[i], (context[:, i].ravel(), codes[:, i].ravel() - self.low_[i]), 1)
        rows = [frequencies_of(p[i, k, : self.span_[i]]) for i in range(c) for k in (0, 1)]
        self.frequencies_ = np.array([np.pad(row, (0, p.shape[2] - len(row))) for row in rows])
        return self

    def _context(self, codes):
        found = np.zeros_like(codes)
        found[:, 1::2] = codes[:, 0 : codes.shape[1] - 1 : 2] & 1
        return found

    def steps(self, codes, quality=0):
        places, tables = np.arange(codes.size).reshape(codes.shape), Tables(self.frequencies_)
        for half in (0, 1):
            which = (self._context(codes) + 2 * np.arange(codes.shape[1])[:, None, None])[:, half::2].ravel()
            index = places[:, half::2].ravel()
            if None in self.alphabet:
                yield Step(index, tables, which, self.low_[which // 2], self.span_[which // 2])
            else:
                yield Step(index, tables, which)

    def digest(self):
        arrays = self.low_, self.span_, self.frequencies_
        return hashlib.blake2b(b"".join(A.astype("<i8").tobytes() for A in arrays)).digest()


def with_counts(est, X):
    """A fitted estimator whose code model counts the codes of X, an array."""
    module = est.module_
    with torch.no_grad():
        x = est._layout.arrange(torch.as_tensor(np.asarray(X)))
        codes = module.quantize(module.outputs(x), module._size_of(x)).numpy()
    est.code_model_ = Counted(module.bottleneck.alphabet).fit(codes)
    return est


def photographs(n, sizes, seed=0, channels=()):
    """Smooth images of several sizes, of uint8."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        h, w = sizes[i % len(sizes)]
        y, x = np.mgrid[:h, :w]
        waves = [np.sin(a * y + b * x + c) for a, b, c in rng.normal(size=(3, 3)) * (0.5, 0.5, 3)]
        image = 128 + 40 * np.sum(waves, 0)
        image = image[..., None] * rng.uniform(0.5, 1, channels) if channels else image
        found.append(image.clip(0, 255).astype(np.uint8))
    return found
