"""
Sequences of different lengths
==============================

``module="tcn"`` (temporal convolutions) and ``module="gru"`` read sequences (n, length, channels). The shorter ones are
padded with NaN at the end; the padding is left out of the loss, and codes do not depend on it. PCA needs rows of one
length, so every sequence has to be stretched first.
"""

# %%
# Damped oscillations in two channels, the second of which lags behind. Frequency, damping and phase differ from one to
# the next, and each is recorded for 40 to 120 steps.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.plotting import TrainingCurveDisplay

rng = np.random.default_rng(0)
n, longest = 1500, 120
frequency, damping = rng.uniform(0.02, 0.06, n), rng.uniform(0.0, 0.04, n)
phase, lengths = rng.uniform(0, np.pi, n), rng.integers(40, longest + 1, n)

steps = np.arange(longest)
angle = 2 * np.pi * frequency[:, None] * steps + phase[:, None]
X = np.stack([np.sin(angle), np.sin(angle - 1)], axis=2) * np.exp(-damping[:, None] * steps)[..., None]
X += rng.normal(scale=0.05, size=X.shape)
X[steps >= lengths[:, None]] = np.nan
train, test = slice(0, 1200), slice(1200, n)
print(f"X: {X.shape}, {np.isnan(X).mean():.0%} of it padding")

# %%
ae = AutoencoderTransformer(6, module="tcn", max_epochs=30, random_state=0).fit(X[train])
X_hat = ae.reconstruct(X[test])  # NaN after the end of each

# %%
# PCA on sequences stretched to one length, and back to the length that each had.


def stretched(rows, n_steps):
    """Interpolate sequences to ``n_steps`` each, from their own lengths or to them."""
    result = np.full((len(rows), np.max(n_steps), rows[0].shape[1]), np.nan)
    for row, new, n_new in zip(rows, result, np.broadcast_to(n_steps, len(rows)), strict=True):
        at = np.linspace(0, 1, len(row))
        for channel in range(row.shape[1]):
            new[:n_new, channel] = np.interp(np.linspace(0, 1, n_new), at, row[:, channel])
    return result


sequences = [row[:length] for row, length in zip(X, lengths, strict=True)]
flat = stretched(sequences, longest).reshape(n, -1)
error = {}
by_pca = {}
for size in (6, 12):
    pca = PCA(size, random_state=0).fit(flat[train])
    again = pca.inverse_transform(pca.transform(flat[test])).reshape(-1, longest, 2)
    by_pca[size] = stretched(again, lengths[test])[:, :longest]
print(f"mean squared error on test sequences; the noise has {0.05**2:.4f}")
for name, rows in {"tcn, 6 numbers": X_hat, **{f"PCA, {size} numbers": r for size, r in by_pca.items()}}.items():
    rows = np.pad(rows, ((0, 0), (0, longest - rows.shape[1]), (0, 0)), constant_values=np.nan)
    print(f"{name:16} {np.nanmean((rows - X[test]) ** 2):.4f}")
