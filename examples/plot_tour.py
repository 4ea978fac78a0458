"""
A tour: from an array to a tuned pipeline, and on
=================================================

Ten minutes for those who know scikit-learn. An autoencoder is two networks, an encoder that makes a few numbers of a
row, and a decoder that makes a row of these numbers. ``AutoencoderTransformer`` has the methods of
``sklearn.decomposition.PCA``: ``fit``, ``transform`` and ``inverse_transform``. What stands here runs from the first
line to the last, and any of it can be tried on other data.
"""

# %%
# Your array
# ----------
# Replace the first line by your own array. Any X of shape (n_samples, n_features) will do: floats or integers, in any
# range, a DataFrame too. Columns that differ in unit want a ``StandardScaler`` before, as they do for PCA; here all are
# grey values from 0 to 16. ``y`` is for the classifier and the generator below.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer, VAEGenerator
from skae.noise import GaussianNoise, MaskingNoise
from skae.plotting import LatentDisplay, ReconstructionDisplay, TrainingCurveDisplay

X, y = load_digits(return_X_y=True)  # your array here

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
print(f"X: {X.shape}, {X.dtype}, from {X.min():g} to {X.max():g}")
print(f"{len(X_train)} rows to fit, {len(X_test)} to judge")

# %%
# Each row is an image of 8 × 8 pixels. The network is not told so; it sees 64 columns.
figure, axes = plt.subplots(2, 10, figsize=(8, 1.9), layout="constrained")
for ax, row, digit in zip(axes.flat, X, y, strict=False):
    ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set_title(digit, fontsize=10)
    ax.set_axis_off()
plt.show()

# %%
# Fit
# ---
# Eight numbers a row. Everything else has a default: the network, the number of epochs, the learning rate and its
# course. A tenth of the rows is held out to judge the training, and the best weights are kept. With ``random_state``
# the result repeats.
ae = AutoencoderTransformer(n_components=8, random_state=0)
ae.fit(X_train)

# %%
# ``transform`` gives the codes, ``inverse_transform`` the way back, in the units of X; ``reconstruct`` is both in one.
# Errors are those of rows that were not fitted. PCA of the same size is what to compare with: it is the best linear
# answer, and where the network starts.
codes = ae.transform(X_test)
X_hat = ae.inverse_transform(codes)
pca = PCA(n_components=8, random_state=0).fit(X_train)
X_hat_pca = pca.inverse_transform(pca.transform(X_test))

error = ((X_hat - X_test) ** 2).mean()
error_pca = ((X_hat_pca - X_test) ** 2).mean()
print(f"codes: {codes.shape}")
print(f"mean squared error on test rows: autoencoder {error:.2f}, PCA {error_pca:.2f}, ratio {error / error_pca:.2f}")

# %%
figure, axes = plt.subplots(3, 10, figsize=(9, 3), layout="constrained")
for line, (name, rows) in zip(axes, {"original": X_test, "autoencoder": X_hat, "PCA": X_hat_pca}.items(), strict=True):
    for ax, row in zip(line, rows, strict=False):
        ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set_axis_off()
    line[0].text(-1.5, 3.5, name, ha="right", va="center", fontsize=12)
figure.suptitle("Digits that were not fitted, and what eight numbers keep of them")
plt.show()

# %%
# Look inside
# -----------
# Left, the loss over the epochs, of the rows trained on and of those held out: the squared error of a row, summed over
# its 64 values. Epoch 0 is PCA. Right, the codes of the test rows, in the plane in which they spread most. The
# autoencoder was never told which digit is which.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
TrainingCurveDisplay.from_estimator(ae, ax=left)
left.set(title="Training", ylabel="squared error of a row")
LatentDisplay.from_estimator(ae, X_test, y=y_test, ax=right)
right.set_title("Codes of the test rows")
plt.show()

# %%
# A pipeline and a grid search
# ----------------------------
# The code goes to a classifier. How many components, and whether to train with noise (a denoising autoencoder), is for
# cross-validation to say; PCA is in the same grid, under the same name. Fewer epochs than the default keep the search
# short.
pipe = Pipeline(
    [
        ("reduce", AutoencoderTransformer(max_epochs=30, random_state=0)),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
)
sizes = [4, 8, 16]
grid = [
    {"reduce__n_components": sizes, "reduce__noise": [None, GaussianNoise(0.5)]},
    {"reduce": [PCA(random_state=0)], "reduce__n_components": sizes},
]
search = GridSearchCV(pipe, grid, cv=3)
search.fit(X_train, y_train)

# %%
# What the grid has found. The test rows have had no part in it.
results = search.cv_results_
for params, mean, std in zip(results["params"], results["mean_test_score"], results["std_test_score"], strict=True):
    name = "PCA" if "reduce" in params else f"autoencoder, noise={params['reduce__noise']}"
    print(f"{params['reduce__n_components']:2d} components, {name:43} accuracy {mean:.3f} ± {std:.3f}")
print("best:", search.best_params_)
print(f"accuracy of the best on the test rows: {search.score(X_test, y_test):.3f}")

# %%
# With four components the autoencoder's code says much more of the digit than PCA's. With sixteen they are level: a
# classifier does not need what the autoencoder adds there, and PCA takes no training. That is why it is in the grid.

# %%
# Fill what is missing
# --------------------
# NaN is refused unless ``missing="mask"`` says that it marks a value that is not known. In training ``MaskingNoise``
# hides values that are known, so that the network learns to fill them in. Denoising is the same with ``GaussianNoise``
# and no NaN.
damaged = X_test.copy()
damaged[np.random.default_rng(0).random(X_test.shape) < 0.4] = np.nan

filler = AutoencoderTransformer(16, missing="mask", noise=MaskingNoise(0.4), random_state=0).fit(X_train)
filled = filler.reconstruct(damaged, keep_observed=True)

# %%
# The errors of the values that were missing, beside two of scikit-learn's imputers. The nearest rows are hard to beat
# where many complete rows are at hand and looking through all of them is no burden.
hole = np.isnan(damaged)
answers = {
    "autoencoder": filled,
    "5 nearest rows": KNNImputer().fit(X_train).transform(damaged),
    "mean of the column": SimpleImputer().fit(X_train).transform(damaged),
}
for name, answer in answers.items():
    print(f"{name:18} mean squared error in the holes {((answer - X_test)[hole] ** 2).mean():5.2f}")
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ReconstructionDisplay.from_predictions(damaged, filled, X_target=X_test, ax=ax, cmap="gray_r")
ax.set_yticklabels(["missing: blue", "filled", "as it was"], fontsize=12)
ax.set_title("40 % of the pixels missing, filled in, and the truth")
plt.show()

# %%
# Make new rows
# -------------
# ``VAEGenerator`` is a variational autoencoder: it learns a distribution, to draw from. With ``conditional=True`` it is
# told y, and makes rows for the y that is asked for.
vae = VAEGenerator(8, conditional=True, max_epochs=60, random_state=0).fit(X_train, y_train)
made = vae.sample(y=np.repeat(vae.classes_, 10), random_state=0, noisy=False)  # flat images, without noise
print(f"made: {made.shape}")

figure, axes = plt.subplots(5, 20, figsize=(9, 2.5), layout="constrained")
for ax, row in zip(axes.flat, made, strict=True):
    ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set_axis_off()
figure.suptitle("Digits that nobody wrote, ten of each kind")
plt.show()

# %%
# Keep a model
# ------------
# A file of ``skae.save`` holds weights and plain values; to load it runs no code of whoever wrote it.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "digits.skae")
    skae.save(ae, path)
    same = skae.load(path)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
print("the same codes, to the bit:", np.array_equal(same.transform(X_test), codes))

# %%
# Where to go on
# --------------
# - :doc:`/guide/index`: the guide, from the start.
# - :doc:`/guide/denoise`: noisy rows, and pairs of damaged and clean ones.
# - :doc:`/guide/restore`: missing values, holes in images, steps of a pipeline that mend.
# - :doc:`/guide/generate`: what generated rows are drawn from, which loss to take, how to judge them.
# - :doc:`/guide/saving`: pipelines in a file, fits that survive a kill.
# - :doc:`/guide/parts`: every network, bottleneck, loss and noise, with the papers that they come from.
# - :doc:`/extending`: a network, loss or noise of your own.
