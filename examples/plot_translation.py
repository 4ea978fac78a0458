"""
From one image to another: twice the size, and color
====================================================

``X_target`` may have other channels than X, or a whole multiple of its height and width. Training is on pairs, and
``reconstruct`` gives images like the targets.
"""

# %%
# Twice the size
# --------------
# Photographs at half their size, reduced as in the literature, and themselves. The network starts as bicubic
# interpolation, and learns what that leaves out.
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from skimage.color import rgb2gray
from sklearn.datasets import load_sample_images

from skae import ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio


def even(image):
    """A photograph in gray, of even height and width, from 0 to 255."""
    gray = 255 * rgb2gray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
    return gray.astype(np.float32)


def resized(image, factor):
    """An image of another size, by bicubic interpolation that smooths where it reduces."""
    size = [int(factor * side) for side in reversed(image.shape)]
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


china, flower = load_sample_images().images
left, right, _ = data.stereo_motorcycle()
large = [even(image) for image in (data.chelsea(), data.rocket(), china, flower, left)]
test = [even(data.astronaut()), even(data.coffee())]
network = {
    "module__dense": False,
    "module__downsampling": "unshuffle",
    "module__upsampling": "shuffle",
    "module__n_residual_blocks": 2,
    "augmentation": "flip_rotate",
    "batch_size": 8,
    "early_stopping": False,
    "max_epochs": 10,
    "random_state": 0,
}
ae = ConvAutoencoder(32, crop_size=32, n_crops=1000, module__channels=48, **network)
ae.fit([resized(image, 1 / 2) for image in large], X_target=large)

small = [resized(image, 1 / 2) for image in test]
bicubic = [resized(image, 2).clip(0, 255) for image in small]
larger = [image.clip(0, 255) for image in ae.reconstruct(small)]


def psnr(images):
    """Peak signal-to-noise ratio of each test photograph, in dB."""
    return [peak_signal_noise_ratio(a[None], b[None], data_range=255) for a, b in zip(test, images, strict=True)]


print("bicubic    ", np.round(psnr(bicubic), 2), "dB")
print("autoencoder", np.round(psnr(larger), 2), "dB")

# %%
figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained")
details = [np.s_[60:160, 150:300], np.s_[230:330, 320:470]]
for line, detail, *images in zip(axes, details, bicubic, larger, test, strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image[detail], cmap="gray", vmin=0, vmax=255)
        ax.set_axis_off()
for line, *figures in zip(axes, psnr(bicubic), psnr(larger), strict=True):
    for ax, name, value in zip(line, ("bicubic", "autoencoder"), figures, strict=False):
        ax.set_title(f"{name}, {value:.1f} dB")
    line[2].set_title("photograph")
plt.show()

# %%
# Color
# -----
# The colors of one kind of image follow from its shapes and shades, more or less: here those of a stained section,
# whose left part is known in color, and whose right part is gray. Two stages let the network see more around each
# pixel.
section = data.immunohistochemistry() / 255
left, right = section[:, :352], section[:, 352:]
colors = ConvAutoencoder(48, crop_size=64, n_crops=240, module__channels=(32, 64), **network)
colors.fit([rgb2gray(left)], X_target=[left])
colored = colors.reconstruct([rgb2gray(right)])[0].clip(0, 1)
error = np.sqrt(np.mean((colored - right) ** 2))
gray = np.sqrt(np.mean((rgb2gray(right)[..., None] - right) ** 2))
print(f"RMSE of the colors {error:.3f}, of gray {gray:.3f}")

# %%
# Brown glands and blue nuclei beside them are told apart. Nuclei within the glands, which differ from them by little
# but their color, are not.
tiles = {"gray": rgb2gray(right), "autoencoder": colored, "section": right}
figure, axes = plt.subplots(1, 3, figsize=(7.5, 8.3), layout="constrained")
for ax, (name, image) in zip(axes, tiles.items(), strict=True):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(name)
    ax.set_axis_off()
plt.show()
