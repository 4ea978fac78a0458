"""
From one image to another: twice the size, and color
====================================================

``X_target`` may have other channels than X, or a whole multiple of its height and width. Training is on pairs, and
``reconstruct`` gives images like the targets.
"""

# %%
# Twice the size
# --------------
# Photographs at half their size, and themselves. The network starts as bicubic interpolation, and learns what that
# leaves out.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.color import rgb2gray
from skimage.transform import downscale_local_mean, resize
from sklearn.datasets import load_sample_images

from skae import ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio


def even(image):
    """A photograph in gray, of even height and width, in [0, 1]."""
    return rgb2gray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


def halved(image):
    """The means of blocks of 2 × 2 pixels."""
    return downscale_local_mean(image, (2, 2))


china, flower = load_sample_images().images
left, right, _ = data.stereo_motorcycle()
large = [even(image) for image in (data.astronaut(), data.coffee(), data.rocket(), flower, left)]
test = [even(china), even(data.chelsea())]
network = {
    "module__dense": False,
    "module__downsampling": "unshuffle",
    "module__upsampling": "shuffle",
    "module__n_residual_blocks": 2,
    "augmentation": "flip_rotate",
    "batch_size": 16,
    "early_stopping": False,
    "max_epochs": 10,
    "random_state": 0,
}
ae = ConvAutoencoder(32, crop_size=32, n_crops=1200, module__channels=48, **network)
ae.fit([halved(image) for image in large], X_target=large)

small = [halved(image) for image in test]
bicubic = [resize(image, np.multiply(image.shape, 2), order=3, mode="edge").clip(0, 1) for image in small]
larger = [image.clip(0, 1) for image in ae.reconstruct(small)]


def psnr(images):
    """Peak signal-to-noise ratio of each test photograph, in dB."""
    return [peak_signal_noise_ratio(a[None], b[None], data_range=1) for a, b in zip(test, images, strict=True)]


print("bicubic    ", np.round(psnr(bicubic), 2), "dB")
print("autoencoder", np.round(psnr(larger), 2), "dB")

# %%
figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained")
details = [np.s_[230:330, 180:330], np.s_[80:180, 120:270]]
for line, detail, *images in zip(axes, details, bicubic, larger, test, strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image[detail], cmap="gray", vmin=0, vmax=1)
        ax.set_axis_off()
for line, *figures in zip(axes, psnr(bicubic), psnr(larger), strict=True):
    for ax, name, value in zip(line, ("bicubic", "autoencoder"), figures, strict=False):
        ax.set_title(f"{name}, {value:.1f} dB")
    line[2].set_title("photograph")
plt.show()

# %%
# Color
# -----
# The colors of one kind of image follow from its shapes and shades: here those of a stained section, whose left part is
# known in color, and whose right part is gray.
section = data.immunohistochemistry() / 255
left, right = section[:, :352], section[:, 352:]
colors = ConvAutoencoder(48, crop_size=64, n_crops=400, module__channels=(32, 64), **network)
colors.fit([rgb2gray(left)], X_target=[left])
colored = colors.reconstruct([rgb2gray(right)])[0].clip(0, 1)
error = np.sqrt(np.mean((colored - right) ** 2))
gray = np.sqrt(np.mean((rgb2gray(right)[..., None] - right) ** 2))
print(f"RMSE of the colors {error:.3f}, of gray {gray:.3f}")

# %%
tiles = {"gray": rgb2gray(right), "autoencoder": colored, "section": right}
figure, axes = plt.subplots(1, 3, figsize=(7.5, 8.2), layout="constrained")
for ax, (name, image) in zip(axes, tiles.items(), strict=True):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(name)
    ax.set_axis_off()
plt.show()
