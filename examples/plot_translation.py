"""
Image-to-image: super-resolution and colorization
=================================================

With ``X_target`` an autoencoder learns to map images to others. The targets may have a different number of channels, or
a multiple of the height and width. ``reconstruct`` returns images like the targets.
"""

# %%
# Super-resolution
# ----------------
# The inputs are photographs reduced to half their height and width by bicubic interpolation, and the targets the
# photographs themselves. The network is initialized to bicubic interpolation, and learns to add detail.
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from skimage.color import rgb2gray
from sklearn.datasets import load_sample_images

from skae import ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio


def even(image):
    """Convert to gray levels from 0 to 255, and crop to an even height and width."""
    gray = 255 * rgb2gray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
    return gray.astype(np.float32)


def resized(image, factor):
    """Resize by bicubic interpolation, with anti-aliasing."""
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
# A detail of each test photograph, with the PSNR of the whole photograph.
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
# Colorization
# ------------
# In images of one kind, color largely follows from shape and brightness. The network is trained on the left part of a
# stained section and colors the right part. Two stages of downsampling enlarge its receptive field.
section = data.immunohistochemistry() / 255
left, right = section[:, :352], section[:, 352:]
colors = ConvAutoencoder(48, crop_size=64, n_crops=240, module__channels=(32, 64), **network)
colors.fit([rgb2gray(left)], X_target=[left])
colored = colors.reconstruct([rgb2gray(right)])[0].clip(0, 1)
error = np.sqrt(np.mean((colored - right) ** 2))
gray = np.sqrt(np.mean((rgb2gray(right)[..., None] - right) ** 2))
print(f"RMSE: colored {error:.3f}, gray {gray:.3f}")

# %%
# The network distinguishes brown glands from blue nuclei beside them. It does not find the nuclei inside the glands,
# which differ from their surroundings by little but color.
tiles = {"gray": rgb2gray(right), "autoencoder": colored, "section": right}
figure, axes = plt.subplots(1, 3, figsize=(7.5, 8.3), layout="constrained")
for ax, (name, image) in zip(axes, tiles.items(), strict=True):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(name)
    ax.set_axis_off()
plt.show()
