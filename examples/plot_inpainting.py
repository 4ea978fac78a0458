"""
In-painting: which holes an autoencoder fills, and which it does not
====================================================================

NaN marks what is damaged. With ``missing="mask"`` it is left out of the loss, and ``reconstruct(X,
keep_observed=True)`` fills it. That is the thing for images of one kind with large holes. A thin scratch on a
photograph is another matter: smooth interpolation from its rims is hard to beat, and takes no training.
"""

# %%
# Large holes in images of one kind
# ---------------------------------
# Every test digit has lost a block of 4 × 4 of its 8 × 8 pixels. Training hides such blocks of whole digits; some
# Gaussian noise beside it keeps the network from learning 1,400 digits by heart.
import matplotlib.pyplot as plt
import numpy as np
from skimage.restoration import inpaint_biharmonic
from sklearn.datasets import load_digits, load_sample_image
from sklearn.impute import KNNImputer

from skae import ConvAutoencoder, Reconstructor
from skae.noise import BlockMasking, Compose, GaussianNoise


def biharmonic(images):
    """Fill the NaN of every image by biharmonic interpolation (Damelin and Hoang, 2018)."""
    channels = {} if images.ndim == 3 else {"channel_axis": -1}
    filled = []
    for image in images:
        hole = np.isnan(image if images.ndim == 3 else image[..., 0])
        filled.append(inpaint_biharmonic(np.nan_to_num(image), hole, **channels) if hole.any() else image)
    return np.stack(filled)


def error(restored, damaged, truth):
    """Root mean squared error over the holes."""
    return np.sqrt(((restored - truth)[np.isnan(damaged)] ** 2).mean())


digits = load_digits().images
train, test = digits[:1400], digits[1400:]
rng = np.random.default_rng(0)
damaged = test.copy()
for image, (top, left) in zip(damaged, rng.integers(0, 5, size=(len(test), 2)), strict=True):
    image[top : top + 4, left : left + 4] = np.nan

noise = Compose(GaussianNoise(0.3), BlockMasking(0.5))
ae = ConvAutoencoder(32, noise=noise, missing="mask", max_epochs=150, random_state=0).fit(train)
flat = {"train": train.reshape(len(train), -1), "damaged": damaged.reshape(len(damaged), -1)}
filled = {
    "autoencoder": ae.reconstruct(damaged, keep_observed=True),
    "nearest digits": KNNImputer().fit(flat["train"]).transform(flat["damaged"]).reshape(damaged.shape),
    "biharmonic": biharmonic(damaged),
}
for name, restored in filled.items():
    print(f"blocks on digits, {name:15} RMSE in the holes {error(restored, damaged, test):.2f} of 16")

# %%
rows = {"damaged": damaged, **filled, "truth": test}
figure, axes = plt.subplots(len(rows), 10, figsize=(9, 4.8), layout="constrained")
cmap = plt.get_cmap("gray").with_extremes(bad="tab:blue")
for line, (name, row) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, row, strict=False):
        ax.imshow(image, cmap=cmap, vmin=0, vmax=16)
        ax.set_axis_off()
    line[0].text(-1.5, 3.5, name, ha="right", va="center")
figure.suptitle("A block of 4 × 4 pixels missing, filled in three ways, and the truth")
plt.show()

# %%
# Thin scratches on a photograph
# ------------------------------
# The network learns from patches of the photograph's other half. `~skae.Reconstructor` with a ``filling`` starts from
# the biharmonic answer, and trains the network to better it; ``keep_observed`` leaves the rest of the photograph alone.
photo = load_sample_image("china.jpg")[:416, :, :] / 255.0


def patches(image, side=16):
    """Cut an image into square patches, (n, side, side, 3)."""
    height, width, _ = image.shape
    grid = image[: height // side * side, : width // side * side]
    grid = grid.reshape(height // side, side, width // side, side, 3)
    return grid.swapaxes(1, 2).reshape(-1, side, side, 3)


def scratch(images):
    """Draw thin lines of NaN over every image."""
    images = images.copy()
    n, side = images.shape[:2]
    for image, start, slope in zip(images, rng.integers(0, side, n), rng.uniform(-1, 1, n), strict=True):
        for row in range(side):
            column = round(start + slope * row)
            image[row, max(0, column) : max(0, column + 2)] = np.nan
    return images


clean, unseen = patches(photo[:, :320]), patches(photo[:, 320:])
scratched, scratched_unseen = scratch(clean), scratch(unseen)
settings = {"n_components": 128, "missing": "mask", "max_epochs": 60, "random_state": 0}
alone = Reconstructor(ConvAutoencoder(**settings), keep_observed=True).fit(scratched, X_target=clean)
started = Reconstructor(ConvAutoencoder(**settings), filling=biharmonic, keep_observed=True)
started.fit(scratched, X_target=clean)
filled = {
    "autoencoder": alone.transform(scratched_unseen),
    "biharmonic, then autoencoder": started.transform(scratched_unseen),
    "biharmonic": biharmonic(scratched_unseen),
}
for name, restored in filled.items():
    print(f"scratches on a photograph, {name:28} RMSE {error(restored, scratched_unseen, unseen):.3f} of 1")

# %%
# For thin damage take the filling itself: a network has to push the whole patch through its code, and loses more on the
# way than the scratch has taken.


def mosaic(images, columns=20):
    """Put patches back into an image."""
    n_rows = len(images) // columns
    side = images.shape[1]
    return images.reshape(n_rows, columns, side, side, 3).swapaxes(1, 2).reshape(n_rows * side, columns * side, 3)


figure, axes = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")
pictures = {"scratched": np.where(np.isnan(scratched_unseen), 1.0, scratched_unseen), **filled}
for ax, (name, images) in zip(axes, pictures.items(), strict=True):
    ax.imshow(mosaic(images)[160:, :].clip(0, 1))
    ax.set_title(name)
    ax.set_axis_off()
plt.show()
