"""
In-painting: large holes and thin scratches
===========================================

Mark missing pixels with NaN. With ``missing="mask"`` they are left out of the loss, and ``reconstruct(X,
keep_observed=True)`` fills them in. On large holes in images of one kind an autoencoder is far more accurate than
interpolation, and slightly more accurate than nearest neighbors. On thin scratches of photographs interpolation is more
accurate, and needs no training.
"""

# %%
# Large holes in images of one kind
# ---------------------------------
# A block of 4 × 4 of the 8 × 8 pixels is missing from every test digit. During training such blocks of complete digits
# are hidden. Gaussian noise in addition reduces overfitting to the 1,400 training images.
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
    """Root mean squared error of the missing pixels."""
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
    "nearest neighbors": KNNImputer().fit(flat["train"]).transform(flat["damaged"]).reshape(damaged.shape),
    "biharmonic": biharmonic(damaged),
}
for name, restored in filled.items():
    print(f"digits, missing blocks: {name:17} RMSE {error(restored, damaged, test):.2f} gray levels of 16")

# %%
rows = {"missing: blue": damaged, **filled, "original": test}
figure, axes = plt.subplots(len(rows), 10, figsize=(9, 4.8), layout="constrained")
cmap = plt.get_cmap("gray").with_extremes(bad="tab:blue")
for line, (name, row) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, row, strict=False):
        ax.imshow(image, cmap=cmap, vmin=0, vmax=16)
        ax.set_axis_off()
    line[0].text(-1.5, 3.5, name, ha="right", va="center")
figure.suptitle("Digits with a missing block of 4 × 4 pixels, filled in by three methods, and the original")
plt.show()

# %%
# Thin scratches on a photograph
# ------------------------------
# Training uses patches of the left part of a photograph, and testing patches of the right part. `~skae.Reconstructor`
# with ``filling`` fills the scratches in by interpolation first, and trains the network to improve on that;
# ``keep_observed`` leaves all other pixels unchanged.
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
    print(f"photograph, scratches: {name:28} RMSE {error(restored, scratched_unseen, unseen):.3f} of 1")

# %%
# Interpolation alone has the smallest error. The network has to represent the whole patch by its code, and loses more
# detail than the scratch has removed.


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
