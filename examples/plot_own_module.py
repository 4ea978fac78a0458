"""
A network of one's own: signals that are shifted copies of a shape
==================================================================

Where it is known how rows come about, a decoder can say so. Here each signal is one period of a shape that nobody
knows, times an amplitude, shifted by some time: two numbers. A decoder that does just that has a shape to learn, and
little else. Any ``torch.nn.Module`` with ``encode`` and ``decode`` will do; there is nothing to inherit from or to
register.
"""

# %%
# Noisy signals, of which few are at hand. Errors are measured on others, before noise was added to them.
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
    """A sharp beat, a dip after it and a slow wave before it."""
    beat, dip, wave = np.cos(t) - 1, np.cos(t - 0.9) - 1, np.cos(t + 1.5) - 1
    return np.exp(12 * beat) - 0.5 * np.exp(25 * dip) + 0.35 * np.exp(5 * wave)


def make_signals(n, seed):
    """Make noisy signals, the same without noise, amplitudes and shifts."""
    rng = np.random.default_rng(seed)
    amplitude, shift = rng.uniform(0.5, 1.5, n), rng.uniform(0, 2 * np.pi, n)
    clean = amplitude[:, None] * shape(t - shift[:, None])
    return clean + rng.normal(scale=0.1, size=clean.shape), clean, amplitude, shift


X_test, clean_test, amplitude_test, shift_test = make_signals(1000, seed=0)

# %%
# The class
# ---------
# A code is a point in the plane: its distance from the origin is the amplitude, its angle the shift. The decoder is a
# Fourier series with coefficients to learn, turned by the angle. The encoder is made of circular convolutions, so a
# shifted signal gives a turned code, whatever the weights. Parameters after ``n_components`` are reached by
# ``module__*``.
#
# A network sees ``(X - mean) / scale``, with one mean and one scale for all of X. So a signal of amplitude 0 is not at
# 0 for it, which is what ``level`` is for.


class ShiftedShape(nn.Module):
    """Signals as amplitude · shape(t - shift), and a level."""

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
        """Where on the circle is the signal, and how strong is it?"""
        return self.layers(x[:, None])[:, 0] @ self.circle

    def decode(self, z):
        """Draw the shape there, that strong."""
        amplitude = (z.square().sum(1, keepdim=True) + 1e-6).sqrt()
        shift = torch.atan2(z[:, 1:], z[:, :1])
        angles = (self.t - shift)[..., None] * self.harmonics
        shape = angles.cos() @ self.cosines + angles.sin() @ self.sines + self.offset
        return amplitude * shape + self.level


own = AutoencoderTransformer(2, module=ShiftedShape, lr=0.02, random_state=0)

# %%
# Against the default network, and PCA
# ------------------------------------
# The default network has two numbers for a code as well, and no idea of shifts: it has to see them all. PCA with two
# components cannot do it at all, since a shift moves a signal along no straight line; sixteen components can.


def error(estimator, X):
    """Mean squared error of test signals, against those without noise, after a fit to X."""
    estimator.fit(X)
    return ((estimator.inverse_transform(estimator.transform(X_test)) - clean_test) ** 2).mean()


numbers = [50, 100, 200, 400]
contenders = {
    "own network, 2": own,
    "default network, 2": AutoencoderTransformer(2, random_state=0),
    "PCA, 16": PCA(16, random_state=0),
    "PCA, 2": PCA(2, random_state=0),
}
errors = {name: [] for name in contenders}
for n in numbers:
    X, *_ = make_signals(n, seed=n)
    for name, estimator in contenders.items():
        errors[name].append(error(estimator, X))
print(f"{'signals fitted':20}", *(f"{n:7d}" for n in numbers))
for name, values in errors.items():
    print(f"{name:20}", *(f"{value:7.4f}" for value in values))

# %%
# Few signals are where knowledge pays: the own network is ahead of the default one most where there are fewest, and
# with more the default one closes in. PCA with sixteen components, which knows nothing either, is better than the
# default network too, until that has seen hundreds of signals. What the own network cannot do is learn anything else
# than shifted copies of one shape.
#
# The code can be read: its angle is the shift, its distance from the origin the amplitude, both up to a zero and a
# unit that a network is free to choose.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for (name, values), line in zip(errors.items(), ("-o", "--s", ":^", "-.v"), strict=True):
    left.plot(numbers, values, line, label=name)
left.set(xscale="log", yscale="log", xlabel="signals fitted", ylabel="mean squared error of new signals")
left.set(title="Error, for codes of 2 or 16 numbers", ylim=(5e-4, 0.6))
left.set_xticks(numbers, labels=numbers)
left.minorticks_off()
left.legend(frameon=False, ncols=2, fontsize=9, loc="upper center")
codes = own.transform(X_test)
points = right.scatter(*codes.T, c=shift_test, s=15 * amplitude_test**2, cmap="twilight")
right.set(title="Codes of the own network", xlabel="component 0", ylabel="component 1", aspect="equal")
bar = figure.colorbar(points, ax=right, label="true shift; size: true amplitude", ticks=[0, np.pi, 2 * np.pi])
bar.ax.set_yticklabels(["0", "π", "2π"])
plt.show()

strength = np.linalg.norm(codes, axis=1)
print(f"correlation of true amplitude and distance from the origin: {np.corrcoef(strength, amplitude_test)[0, 1]:.3f}")

# %%
# What was learnt
# ---------------
# The test signal with the largest amplitude: as it was measured, without noise, and as two numbers give it back.
strongest = amplitude_test.argmax()
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.plot(t, X_test[strongest], ".", color="0.6", label="signal, as it was measured")
ax.plot(t, clean_test[strongest], color="C1", linewidth=3, label="truth")
ax.plot(t, own.reconstruct(X_test[strongest : strongest + 1])[0], "--", color="C0", linewidth=2, label="reconstruction")
ax.set(xlabel="time in radians", ylabel="value", title="A signal that was not fitted, from two numbers")
ax.legend(frameon=False)
plt.show()

# %%
# Its parameters in a grid search
# -------------------------------
# They are hyperparameters like any other. The score is minus the mean squared error of signals held out, whose noise
# nothing can reconstruct.
X, *_ = make_signals(100, seed=100)
grid = {"module__width": [4, 16], "module__kernel_size": [9, 33]}
search = GridSearchCV(own, grid, cv=3).fit(X)
for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{params}: error {-score:.4f}, of which 0.01 is noise")
print("best:", search.best_params_)
