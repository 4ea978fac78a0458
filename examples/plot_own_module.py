"""
A custom network: shifted copies of one signal
==============================================

If it is known how the data arise, the decoder can be written accordingly. Here each signal is one period of an unknown
shape, times an amplitude and shifted in time: two numbers. The decoder of this example computes just that, and learns
the shape. Any ``torch.nn.Module`` with ``encode`` and ``decode`` can be used; there is no base class.
"""

# %%
# Simulated noisy signals. Only a few are available for training. Errors are measured on test signals, against their
# values without noise.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from torch import nn

from skae import AutoencoderTransformer

steps = 64
t = 2 * np.pi * np.arange(steps) / steps


def shape(t):
    """Return a sharp peak, with a dip after it and a slow wave before it."""
    beat, dip, wave = np.cos(t) - 1, np.cos(t - 0.9) - 1, np.cos(t + 1.5) - 1
    return np.exp(12 * beat) - 0.5 * np.exp(25 * dip) + 0.35 * np.exp(5 * wave)


def make_signals(n, seed):
    """Return noisy signals, the same without noise, amplitudes and shifts."""
    rng = np.random.default_rng(seed)
    amplitude, shift = rng.uniform(0.5, 1.5, n), rng.uniform(0, 2 * np.pi, n)
    clean = amplitude[:, None] * shape(t - shift[:, None])
    return clean + rng.normal(scale=0.1, size=clean.shape), clean, amplitude, shift


X_test, clean_test, amplitude_test, shift_test = make_signals(1000, seed=0)

# %%
# The module
# ----------
# A code is a point in the plane: its norm is the amplitude, and its angle the shift. The decoder is a Fourier series
# with learned coefficients, shifted by the angle. The encoder consists of circular convolutions, so that shifting a
# signal rotates its code, for any weights. Parameters after ``n_components`` are set by ``module__*``.
#
# The network gets ``(X - mean) / scale``, with a mean for each feature and one scale. A signal of amplitude 0 is not 0
# in these units, and ``level`` corrects for that.


class ShiftedShape(nn.Module):
    """Signals as amplitude · shape(t - shift) + level."""

    def __init__(self, input_shape, n_components, width=16, kernel_size=33, n_harmonics=20):
        super().__init__()
        (steps,) = input_shape
        if n_components != 2:
            raise ValueError(f"an amplitude and a shift take n_components=2, got {n_components}")
        same = {"padding": "same", "padding_mode": "circular"}
        self.layers = nn.Sequential(
            nn.Conv1d(1, width, kernel_size, **same), nn.SiLU(), nn.Conv1d(width, 1, kernel_size, **same)
        )
        t = 2 * torch.pi * torch.arange(steps) / steps
        self.register_buffer("t", t)
        self.register_buffer("circle", torch.stack([t.cos(), t.sin()], dim=1) / steps**0.5)
        self.register_buffer("harmonics", torch.arange(1, n_harmonics + 1))
        self.cosines = nn.Parameter(torch.randn(n_harmonics) / n_harmonics)
        self.sines = nn.Parameter(torch.randn(n_harmonics) / n_harmonics)
        self.offset = nn.Parameter(torch.zeros(()))
        self.level = nn.Parameter(torch.zeros(()))

    def encode(self, x):
        """Project the filtered signal onto a cosine and a sine."""
        return self.layers(x[:, None])[:, 0] @ self.circle

    def decode(self, z):
        """Compute the shape with the amplitude and the shift of the code."""
        amplitude = (z.square().sum(1, keepdim=True) + 1e-6).sqrt()
        shift = torch.atan2(z[:, 1:], z[:, :1])
        angles = (self.t - shift)[..., None] * self.harmonics
        shape = angles.cos() @ self.cosines + angles.sin() @ self.sines + self.offset
        return amplitude * shape + self.level


own = AutoencoderTransformer(2, module=ShiftedShape, lr=0.02, random_state=0)

# %%
# Comparison with the default network and PCA
# -------------------------------------------
# The default network also has a code of two numbers, but has to learn from examples what a shift is. PCA with two
# components fails, since shifted signals do not lie in a plane; with sixteen it works.


def error(estimator, X):
    """Fit to X, and return the mean squared error of test signals against those without noise."""
    estimator.fit(X)
    return ((estimator.inverse_transform(estimator.transform(X_test)) - clean_test) ** 2).mean()


numbers = [50, 100, 200, 400]
contenders = {
    "custom network, 2": own,
    "default network, 2": AutoencoderTransformer(2, random_state=0),
    "PCA, 16": PCA(16, random_state=0),
    "PCA, 2": PCA(2, random_state=0),
}
errors = {name: [] for name in contenders}
for n in numbers:
    X, *_ = make_signals(n, seed=n)
    for name, estimator in contenders.items():
        errors[name].append(error(estimator, X))
print(f"{'training signals':20}", *(f"{n:7d}" for n in numbers))
for name, values in errors.items():
    print(f"{name:20}", *(f"{value:7.4f}" for value in values))

# %%
# Prior knowledge helps most where data are scarce: the advantage of the custom network is largest with the fewest
# signals. PCA with sixteen components is also better than the default network, until hundreds of signals are available.
# The custom network cannot represent anything but shifted copies of one shape.
#
# Its code can be interpreted: the angle is the shift and the norm the amplitude, up to an offset and a factor.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for (name, values), line in zip(errors.items(), ("-o", "--s", ":^", "-.v"), strict=True):
    left.plot(numbers, values, line, label=name)
left.set(xscale="log", yscale="log", xlabel="training signals", ylabel="mean squared error on test signals")
left.set(title="Error with codes of 2 or 16 numbers", ylim=(5e-4, 0.6))
left.set_xticks(numbers, labels=numbers)
left.minorticks_off()
left.legend(frameon=False, ncols=2, fontsize=9, loc="upper center")
codes = own.transform(X_test)
points = right.scatter(*codes.T, c=shift_test, s=15 * amplitude_test**2, cmap="twilight", vmin=0, vmax=2 * np.pi)
right.set(title="Codes of the custom network", xlabel="component 0", ylabel="component 1", aspect="equal")
bar = figure.colorbar(points, ax=right, label="true shift; size: true amplitude", ticks=[0, np.pi, 2 * np.pi])
bar.ax.set_yticklabels(["0", "π", "2π"])
plt.show()

strength = np.linalg.norm(codes, axis=1)
print(f"correlation of true amplitude and norm of the code: {np.corrcoef(strength, amplitude_test)[0, 1]:.3f}")

# %%
# The learned shape
# -----------------
# The test signal with the largest amplitude, with and without noise, and its reconstruction from two numbers.
strongest = amplitude_test.argmax()
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.plot(t, X_test[strongest], ".", color="0.6", label="noisy signal")
ax.plot(t, clean_test[strongest], color="C1", linewidth=3, label="without noise")
ax.plot(t, own.reconstruct(X_test[strongest : strongest + 1])[0], "--", color="C0", linewidth=2, label="reconstruction")
ax.set(xlabel="time in radians", ylabel="value", title="A test signal, reconstructed from two numbers")
ax.legend(frameon=False)
plt.show()

# %%
# A grid search over parameters of the module
# -------------------------------------------
# The parameters of the module are hyperparameters of the estimator. The score is minus the mean squared error of
# held-out signals with noise, whose variance is 0.01.
X, *_ = make_signals(100, seed=100)
grid = {"module__width": [4, 16], "module__kernel_size": [9, 33]}
search = GridSearchCV(own, grid, cv=3).fit(X)
for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{params}: error {-score:.4f}")
print("best:", search.best_params_)
