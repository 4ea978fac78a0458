"""
Dimensionality reduction: an autoencoder against PCA
====================================================

Codes of images, reconstructed by an autoencoder and by PCA: how does the error depend on the size of the code?
"""

# %%
# Both are fitted to the same images. The picture shows the first test image of each class, reconstructed from eight
# numbers.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)  # 8 × 8 pixels, gray levels from 0 to 16
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
sizes = [2, 4, 8, 16]


def reconstruct(reducer):
    """Fit to the training images, and reconstruct the test images."""
    reducer.fit(X_train)
    return reducer.inverse_transform(reducer.transform(X_test))


def error(X_hat):
    """Mean squared error on the test images."""
    return ((X_hat - X_test) ** 2).mean()


by_ae = {size: reconstruct(AutoencoderTransformer(size, random_state=0)) for size in sizes}
by_pca = {size: reconstruct(PCA(size, random_state=0)) for size in sizes}

chosen = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
rows = {"original, 64 pixels": X_test, "autoencoder, 8 numbers": by_ae[8], "PCA, 8 numbers": by_pca[8]}
figure, axes = plt.subplots(3, 1, figsize=(7, 3.05), layout="constrained")
for ax, (name, images) in zip(axes, rows.items(), strict=True):
    strip = np.pad(images[chosen].reshape(10, 8, 8), ((0, 0), (0, 0), (0, 1)))  # a white column between images
    ax.imshow(np.hstack(strip)[:, :-1], cmap="gray_r", vmin=0, vmax=16)
    ax.set_title(name, loc="left", fontsize=15)
    ax.set_axis_off()
plt.show()

# %%
# The error against the size of the code, on logarithmic axes. With half as many numbers the autoencoder's error is
# still smaller than that of PCA.
print("components        ", *(f"{size:6d}" for size in sizes))
print("error, autoencoder", *(f"{error(by_ae[size]):6.2f}" for size in sizes))
print("error, PCA        ", *(f"{error(by_pca[size]):6.2f}" for size in sizes))

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(sizes, [error(by_pca[size]) for size in sizes], "--s", color="C1", label="PCA")
ax.plot(sizes, [error(by_ae[size]) for size in sizes], "-o", color="C0", label="autoencoder")
ax.set(xscale="log", yscale="log", xlabel="numbers in the code", ylabel="mean squared error on test images")
ax.set_xticks(sizes, labels=sizes)
ax.set_yticks([1, 2, 5, 10, 20], labels=[1, 2, 5, 10, 20])
ax.minorticks_off()
ax.set_title("Half as many numbers for the same error")
ax.legend(frameon=False)
plt.show()

# %%
# Small codes are useful as features, for a search of nearest neighbors, or for plots. They rarely save storage: codes
# are float32, four bytes per number, and the decoder has to be stored as well. For a few thousand images of 64 bytes it
# takes more than the codes save. Integer codes need far fewer bytes: see :doc:`/auto_examples/plot_compression`.
ae = AutoencoderTransformer(8, max_epochs=0).fit(X_train)
image = X_test[:1].astype(np.uint8).nbytes
code = ae.transform(X_test[:1]).nbytes
decoder = sum(weight.nbytes for name, weight in ae.module_.network.named_parameters() if "decoder" in name)
print(f"bytes: image {image}, as float32 {4 * image}, code of 8 numbers {code}")
print(f"decoder: {decoder:,} bytes, saved after {decoder // (image - code):,} images")
