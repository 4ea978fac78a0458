"""
Signals and sequences: a recorded electrocardiogram
===================================================

A signal is cut into windows, which are the samples for an autoencoder, to denoise it or to represent each window by a
few numbers. Sequences of different lengths are padded with NaN, and need a network for sequences, ``module="tcn"`` or
``module="gru"``.
"""

# %%
# Denoise a recording
# -------------------
# An electrocardiogram of 1,024 values, bundled with PyWavelets. The first 700 values, with two heartbeats, are for
# training, and the others, with the third beat, for testing. Training takes all windows of 64 consecutive values, and
# adds noise to them; its standard deviation of 20 is given in the units of the signal.
import matplotlib.pyplot as plt
import numpy as np
import pywt
from numpy.lib.stride_tricks import sliding_window_view
from skimage.restoration import denoise_wavelet
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer
from skae.noise import GaussianNoise

signal = pywt.data.ecg().astype(float)
train, test = signal[:700], signal[700:]
sigma, width = 20, 64
noisy = test + np.random.default_rng(0).normal(scale=sigma, size=len(test))


def windows(values):
    """All windows of consecutive values, (n_windows, width)."""
    return sliding_window_view(values, width).copy()


ae = AutoencoderTransformer(16, noise=GaussianNoise(sigma, unit="data"), random_state=0).fit(windows(train))


def average(rows):
    """Average overlapping windows, to a signal."""
    total, count = np.zeros(len(rows) + width - 1), np.zeros(len(rows) + width - 1)
    for start, row in enumerate(rows):
        total[start : start + width] += row
        count[start : start + width] += 1
    return total / count


denoised = {"autoencoder": average(ae.reconstruct(windows(noisy)))}

# %%
# PCA of the same windows and wavelet shrinkage, each with the parameter of the highest signal-to-noise ratio on the
# test signal itself, which favors them. The recording is not free of noise either, and counts as clean here.


def snr(values):
    """Signal-to-noise ratio on the test signal, in dB."""
    return 10 * np.log10(test.var() / ((values - test) ** 2).mean())


def by_pca(n_components):
    """Project the windows onto the first principal components of the training windows."""
    pca = PCA(n_components, random_state=0).fit(windows(train))
    return average(pca.inverse_transform(pca.transform(windows(noisy))))


def by_wavelets(threshold):
    """Shrink wavelet coefficients (Donoho and Johnstone, 1994)."""
    low, span = noisy.min(), np.ptp(noisy)
    scaled = denoise_wavelet((noisy - low) / span, sigma=threshold / span, wavelet="db4", rescale_sigma=False)
    return low + span * scaled


denoised["PCA"] = max((by_pca(size) for size in (4, 8, 12, 16, 24, 32)), key=snr)
denoised["wavelets"] = max((by_wavelets(factor * sigma) for factor in (0.7, 0.8, 0.9, 1.0, 1.2, 1.5)), key=snr)
print(f"{'noisy':11} {snr(noisy):4.1f} dB")
for name, values in denoised.items():
    print(f"{name:11} {snr(values):4.1f} dB")

# %%
figure, axes = plt.subplots(2, 2, figsize=(9, 4.8), layout="constrained", sharex=True, sharey=True)
for ax, (name, values) in zip(axes.flat, {"noisy": noisy, **denoised}.items(), strict=True):
    ax.plot(np.arange(700, 1024), values, color="0.6" if name == "noisy" else "C0", linewidth=1.2, label="denoised")
    ax.plot(np.arange(700, 1024), test, "--", color="black", linewidth=0.8, label="recorded")
    ax.set_title(f"{name}, {snr(values):.1f} dB")
for ax in axes[-1]:
    ax.set_xlabel("sample of the recording")
figure.suptitle("The third heartbeat with noise, and denoised (recorded: dashed)")
plt.show()

# %%
# The network has learned the heartbeats of one recording, and is not a general filter: for other patients or irregular
# beats, train on recordings that include them.
#
# Represent windows by few numbers
# --------------------------------
# Windows of a periodic signal are shifted copies of each other. They lie near a curve, which a network can follow. PCA
# needs a component for each direction in which the curve bends.
sizes = [2, 4, 8, 16]
errors = {"autoencoder": [], "PCA": []}
for size in sizes:
    for name, reducer in (("autoencoder", AutoencoderTransformer(size, random_state=0)), ("PCA", PCA(size))):
        reducer.fit(windows(train))
        X_hat = reducer.inverse_transform(reducer.transform(windows(test)))
        errors[name].append(((X_hat - windows(test)) ** 2).mean() / windows(test).var())
print("numbers per window", *(f"{size:6d}" for size in sizes))
for name, values in errors.items():
    print(f"{name:18}", *(f"{value:6.1%}" for value in values), "of the variance not explained")

figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for (name, values), style in zip(errors.items(), ("-o", "--s"), strict=True):
    ax.plot(sizes, 100 * np.array(values), style, label=name)
ax.set(xscale="log", yscale="log", xlabel="numbers per window of 64 values", ylabel="variance not explained, in %")
ax.set_xticks(sizes, labels=sizes)
ax.set_yticks([1, 3, 10, 30, 100], labels=[1, 3, 10, 30, 100])
ax.minorticks_off()
ax.set_title("Reconstruction of the third heartbeat")
ax.legend(frameon=False)
plt.show()

# %%
# Sequences of different lengths
# ------------------------------
# Simulated damped oscillations in two channels, a quarter of a period apart, of 20 to 60 steps. Frequency, damping and
# amplitude differ between sequences, and noise with a standard deviation of 0.05 is added. The padding is left out of
# the loss, and codes do not depend on it.
rng = np.random.default_rng(0)
n, n_train, longest = 1000, 700, 60
frequency, damping = rng.uniform(0.02, 0.08, n), rng.uniform(0.01, 0.08, n)
amplitude, lengths = rng.uniform(0.5, 1.5, n), rng.integers(20, longest + 1, n)

steps = np.arange(longest)
angle = 2 * np.pi * frequency[:, None] * steps
envelope = amplitude[:, None] * np.exp(-damping[:, None] * steps)
clean = np.stack([envelope * np.sin(angle), envelope * np.cos(angle)], axis=2)
X = clean + rng.normal(scale=0.05, size=clean.shape)
X[steps >= lengths[:, None]] = np.nan
print(f"X: {X.shape}, {np.isnan(X).mean():.0%} of it padding")

settings = {"module__n_layers": 5, "module__channels": 32, "lr": 0.01, "batch_size": 64, "max_epochs": 25}
tcn = AutoencoderTransformer(4, module="tcn", random_state=0, **settings).fit(X[:n_train])
X_hat = tcn.reconstruct(X[n_train:])  # NaN after the end of each

short = n_train + np.flatnonzero(lengths[n_train:] <= 50)
difference = np.abs(tcn.transform(X[short, :50]) - tcn.transform(X[short])).max()
print(f"largest difference of codes with less padding: {difference:.0e}")

# %%
# PCA needs samples of equal length: sequences are interpolated to 60 steps, and reconstructions back to their length.


def resample(sequence, n_steps):
    """Interpolate a sequence to another number of steps."""
    old, new = np.linspace(0, 1, len(sequence)), np.linspace(0, 1, n_steps)
    return np.stack([np.interp(new, old, channel) for channel in sequence.T], axis=1)


flat = np.stack([resample(x[:length], longest) for x, length in zip(X, lengths, strict=True)]).reshape(n, -1)


def reconstruct_by_pca(n_components):
    """Reconstruct the test sequences, with NaN after the end of each."""
    pca = PCA(n_components, random_state=0).fit(flat[:n_train])
    rows = pca.inverse_transform(pca.transform(flat[n_train:])).reshape(-1, longest, 2)
    restored = np.full(rows.shape, np.nan)
    for new, row, length in zip(restored, rows, lengths[n_train:], strict=True):
        new[:length] = resample(row, length)
    return restored


def error(restored):
    """Mean squared error against the sequences without noise."""
    return np.nanmean((restored - clean[n_train:]) ** 2)


print(f"tcn,  4 numbers: error {error(X_hat):.4f}")
for size in (4, 8, 12, 16):
    print(f"PCA, {size:2d} numbers: error {error(reconstruct_by_pca(size)):.4f}")

# %%
# With four numbers the network has a fifth of PCA's error. PCA with eight numbers is better than the network with four,
# and needs no training: use it where the size of the code does not matter.
X_hat_pca = reconstruct_by_pca(4)
figure, axes = plt.subplots(2, 3, figsize=(9, 4.2), layout="constrained", sharex=True, sharey=True)
for i, ax in enumerate(axes.flat):
    ax.plot(steps, X[n_train + i, :, 0], ".", color="0.6", label="data")
    ax.plot(steps, X_hat_pca[i, :, 0], "--", color="C1", linewidth=2, label="PCA, 4 numbers")
    ax.plot(steps, X_hat[i, :, 0], color="C0", linewidth=2, label="tcn, 4 numbers")
for ax in axes[-1]:
    ax.set_xlabel("step")
for ax in axes[:, 0]:
    ax.set_ylabel("first channel")
figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
figure.suptitle("Test sequences of different lengths, reconstructed from four numbers each")
plt.show()
