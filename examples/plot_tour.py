"""
Tour: from an array to a tuned pipeline
=======================================

An autoencoder is a pair of networks: an encoder that maps a sample to a few numbers, its code, and a decoder that
reconstructs the sample from the code. ``AutoencoderTransformer`` has the methods of ``sklearn.decomposition.PCA``:
``fit``, ``transform`` and ``inverse_transform``. This tour is for readers who know scikit-learn, and takes ten minutes.
The script runs from top to bottom, and any part of it can be tried on other data.
"""

# %%
# Load the data
# -------------
# Replace the line marked below with your own array. Any X of shape (n_samples, n_features) works: floats or integers in
# any range, or a DataFrame. If features have different units, use a ``StandardScaler`` first, as for PCA; here all of
# them are gray levels from 0 to 16. Only the classifier and the generator use ``y``.
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

X, y = load_digits(return_X_y=True)  # replace with your data

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
print(f"X: {X.shape}, {X.dtype}, from {X.min():g} to {X.max():g}")
print(f"{len(X_train)} samples for training, {len(X_test)} held out")

# %%
# Each sample is an image of 8 × 8 pixels. The default network treats it as 64 features without spatial structure.
figure, axes = plt.subplots(2, 10, figsize=(8, 1.9), layout="constrained")
for ax, row, digit in zip(axes.flat, X, y, strict=False):
    ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set_title(digit, fontsize=10)
    ax.set_axis_off()
plt.show()

# %%
# Fit
# ---
# The code has eight numbers. Everything else has a default: the network, the number of epochs, the learning rate and
# its schedule. A tenth of the samples is held out to compute the validation loss, and the weights with the lowest one
# are kept. With an integer ``random_state`` the result is reproducible.
ae = AutoencoderTransformer(n_components=8, random_state=0)
ae.fit(X_train)

# %%
# ``transform`` computes codes and ``inverse_transform`` reconstructs samples from them, in the units of X;
# ``reconstruct`` does both. PCA with as many components is the best linear reconstruction, and the network is
# initialized to it. Compare the two on held-out samples.
codes = ae.transform(X_test)
X_hat = ae.inverse_transform(codes)
pca = PCA(n_components=8, random_state=0).fit(X_train)
X_hat_pca = pca.inverse_transform(pca.transform(X_test))

error = ((X_hat - X_test) ** 2).mean()
error_pca = ((X_hat_pca - X_test) ** 2).mean()
print(f"codes: {codes.shape}")
print(f"test error: autoencoder {error:.2f}, PCA {error_pca:.2f}, ratio {error / error_pca:.2f}")

# %%
figure, axes = plt.subplots(3, 10, figsize=(9, 3), layout="constrained")
for line, (name, rows) in zip(axes, {"original": X_test, "autoencoder": X_hat, "PCA": X_hat_pca}.items(), strict=True):
    for ax, row in zip(line, rows, strict=False):
        ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set_axis_off()
    line[0].text(-1.5, 3.5, name, ha="right", va="center", fontsize=12)
figure.suptitle("Test digits, reconstructed from eight numbers each")
plt.show()

# %%
# Inspect the model
# -----------------
# Left: training and validation loss per epoch. The loss is the squared error of a sample, summed over its 64 features,
# and epoch 0 is PCA. Right: the codes of the test samples, projected onto their first two principal components. The
# autoencoder has not used the labels.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
TrainingCurveDisplay.from_estimator(ae, ax=left)
left.set(title="Training", ylabel="squared error per sample")
LatentDisplay.from_estimator(ae, X_test, y=y_test, ax=right)
right.set_title("Codes of the test samples")
plt.show()

# %%
# Tune a pipeline
# ---------------
# A classifier uses the codes as features. Cross-validation selects the number of components, and whether to train with
# noise (a denoising autoencoder). PCA is in the same grid, since its parameter has the same name. A small number of
# epochs keeps the search short.
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
# The results of the search, and the accuracy of the best pipeline on the test samples, which the search has not used.
results = search.cv_results_
for params, mean, std in zip(results["params"], results["mean_test_score"], results["std_test_score"], strict=True):
    name = "PCA" if "reduce" in params else f"autoencoder, noise={params['reduce__noise']}"
    print(f"{params['reduce__n_components']:2d} components, {name:43} accuracy {mean:.3f} ± {std:.3f}")
print("best:", search.best_params_)
print(f"accuracy of the best pipeline on the test samples: {search.score(X_test, y_test):.3f}")

# %%
# With four components the autoencoder's codes classify much better than PCA's. With sixteen the two are level, and PCA
# needs no training: always include it in the grid.

# %%
# Impute missing values
# ---------------------
# NaN raises an error unless ``missing="mask"`` declares it a missing value. During training ``MaskingNoise`` hides
# observed values, so that the network learns to predict them. Denoising works in the same way, with ``GaussianNoise``.
damaged = X_test.copy()
damaged[np.random.default_rng(0).random(X_test.shape) < 0.4] = np.nan

filler = AutoencoderTransformer(16, missing="mask", noise=MaskingNoise(0.4), random_state=0).fit(X_train)
filled = filler.reconstruct(damaged, keep_observed=True)

# %%
# The error on the missing values, compared with two imputers of scikit-learn. Nearest neighbors are better here: with
# many complete samples, and time to search all of them, they are hard to beat.
missing = np.isnan(damaged)
answers = {
    "autoencoder": filled,
    "5 nearest neighbors": KNNImputer().fit(X_train).transform(damaged),
    "mean of the feature": SimpleImputer().fit(X_train).transform(damaged),
}
for name, answer in answers.items():
    print(f"{name:19} mean squared error of missing values {((answer - X_test)[missing] ** 2).mean():5.2f}")
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ReconstructionDisplay.from_predictions(damaged, filled, X_target=X_test, ax=ax, cmap="gray_r")
ax.set_yticklabels(["missing: blue", "imputed", "original"], fontsize=12)
ax.set_title("40 % of the pixels missing, imputed, and the original")
plt.show()

# %%
# Generate samples
# ----------------
# ``VAEGenerator`` is a variational autoencoder: it learns the distribution of the data and draws samples from it. With
# ``conditional=True`` it learns the distribution given y, and ``sample`` takes the y of each sample.
vae = VAEGenerator(8, conditional=True, max_epochs=60, random_state=0).fit(X_train, y_train)
generated = vae.sample(y=np.repeat(vae.classes_, 10), random_state=0, noisy=False)  # means, without noise
print(f"generated: {generated.shape}")

figure, axes = plt.subplots(5, 20, figsize=(9, 2.5), layout="constrained")
for ax, row in zip(axes.flat, generated, strict=True):
    ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set_axis_off()
figure.suptitle("Generated digits, ten of each class")
plt.show()

# %%
# Save the model
# --------------
# ``skae.save`` writes weights and plain values. Unlike a pickle, the file cannot run code when it is loaded.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "digits.skae")
    skae.save(ae, path)
    loaded = skae.load(path)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
print("identical codes after loading:", np.array_equal(loaded.transform(X_test), codes))

# %%
# Next steps
# ----------
# - :doc:`/guide/index`: the guide.
# - :doc:`/guide/denoise`: noisy data, and pairs of corrupted and clean samples.
# - :doc:`/guide/restore`: missing values, in-painting, and imputation in a pipeline.
# - :doc:`/guide/generate`: priors, losses, and the quality of generated samples.
# - :doc:`/guide/saving`: saving pipelines, and resuming interrupted training.
# - :doc:`/guide/parts`: every network, bottleneck, loss and noise, with references.
# - :doc:`/extending`: custom networks, losses and noise.
