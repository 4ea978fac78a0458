"""
Style transfer
==============

`skae.textures.StyleTransfer` trains an autoencoder on a few style images in some seconds, without a pretrained network.
It then transfers their style to photographs of any size, in less than a second each.
"""

# %%
# Four style images of 256 × 256 pixels: brush strokes and an engraving, both drawn by this script, stained tissue, and
# a photograph of a cup of coffee.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.draw import polygon
from skimage.transform import resize
from sklearn.datasets import load_sample_images

from skae.plotting import StyleDisplay
from skae.textures import StyleTransfer


def square(image):
    """Crop to the square in the middle, and resize to 256 × 256 pixels."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = resize(image[top : top + side, left : left + side], (256, 256), anti_aliasing=True)
    return np.rint(255 * image).astype(np.uint8)


def brush(rng, n_strokes=5000):
    """Draw brush strokes along a field of directions, with colors from another field."""
    image = np.full((512, 512, 3), (40.0, 60.0, 120.0))
    palette = np.array([(20, 40, 110), (40, 90, 180), (120, 180, 220), (240, 210, 90), (250, 240, 200), (10, 20, 50)])
    for x, y in rng.uniform(0, 512, (n_strokes, 2)):
        angle = 2 * (np.sin(x / 60) + np.cos(y / 70))
        light = (np.sin(x / 90) * np.cos(y / 80) + 1) / 2 + rng.normal(0, 0.12)
        along = 14 * np.array([np.cos(angle), np.sin(angle)])
        across = 2.5 * np.array([-np.sin(angle), np.cos(angle)])
        corners = np.array([along + across, along - across, -along - across, -along + across]) + np.array([x, y])
        color = palette[int(6 * np.clip(light, 0, 0.999))] + rng.normal(0, 12, 3)
        image[polygon(corners[:, 1], corners[:, 0], (512, 512))] = np.clip(color, 0, 255)
    return square(image / 255)


def engraving():
    """Draw wavy lines, which are wider where the image is darker."""
    y, x = np.mgrid[:256, :256] / 256
    tone = np.sin(5 * x + 3 * np.sin(4 * y))
    waves = np.sin(2 * np.pi * (43 * y + 2.5 * np.sin(9 * x + 4 * y)))
    ink = np.clip(3 * (waves - 0.9 * tone) + 0.5, 0, 1)[..., None]
    return np.rint((1 - ink) * (250, 240, 220) + ink * (10, 15, 30)).astype(np.uint8)


styles = [
    brush(np.random.default_rng(0)),
    engraving(),
    square(data.immunohistochemistry()),
    square(data.coffee()),
]
china, flower = load_sample_images().images
photographs = [square(image) for image in (data.astronaut(), data.chelsea(), china, flower)]
transfer = StyleTransfer(random_state=0).fit(styles)
print(f"{len(transfer.styles_)} styles, codes at every {transfer.stride_} pixels")

# %%
# Patch swapping
# --------------
# The codes of a photograph are transformed to the mean and covariance of the codes of the style, and then every patch
# of 3 × 3 codes is replaced by the nearest one of the style. The photographs were not used in training.
display = StyleDisplay.from_estimator(transfer, photographs)
display.ax_.set_title("method='swap'")
plt.show()

# %%
# Quilting
# --------
# Larger blocks of the style are arranged to resemble the photograph and to fit their neighbors. Strokes stay intact,
# but small details of the photograph are lost. Like most parameters, ``method`` acts in `transform`, without another
# fit.
transfer.set_params(method="quilting")
display = StyleDisplay.from_estimator(transfer, photographs[1:3])
display.ax_.set_title("method='quilting'")
plt.show()

# %%
# Mixtures of styles
# ------------------
# ``weights`` sets the share of the image that each style takes. Styles are placed where they fit best.
transfer.set_params(method="swap")
shares = [(1 - share, 0, 0, share) for share in (0, 0.25, 0.5, 0.75, 1)]
display = StyleDisplay.from_estimator(transfer, photographs[1:2], weights=shares)
display.ax_.set_title("From brush strokes to coffee: 0, 25, 50, 75 and 100 %")
plt.show()

# %%
# Masks, strength, colors and scale
# ---------------------------------
# A mask restricts styles to regions, ``alpha`` sets the strength, ``keep_colors`` keeps the colors of the photograph,
# and ``style_scale`` enlarges the strokes.
cat = photographs[1]
rows, columns = np.indices(cat.shape[:2])
disk = np.hypot(rows - 128, columns - 128) < 90
mask = np.stack([disk, np.zeros_like(disk), ~disk, np.zeros_like(disk)])
pictures = {"mask: a disk": transfer.transform(cat, mask=mask)[0]}
transfer.set_params(weights=(1, 0, 0, 0))
pictures["alpha=0.6"] = transfer.set_params(alpha=0.6).transform(cat)[0]
pictures["keep_colors=True"] = transfer.set_params(alpha=1.0, keep_colors=True).transform(cat)[0]
pictures["style_scale=2"] = transfer.set_params(keep_colors=False, style_scale=2.0).transform(cat)[0]
_, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
for ax, (title, image) in zip(axes, pictures.items(), strict=True):
    ax.imshow(image)
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %%
# Transferring a style to itself returns it unchanged, since the residuals of the autoencoder are moved with the codes.
transfer.set_params(style_scale=1.0)
difference = np.abs(transfer.transform(styles[0])[0].astype(int) - styles[0])
print(f"largest difference of a style image from its own transfer: {difference.max()} of 255")

# %%
# One transfer step by step: content, style and result.
result = transfer.set_params(weights=(1, 0, 0, 0), alpha=1.0, keep_colors=False).transform(photographs[2])[0]
_, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
pictures = {"content": photographs[2], "style": styles[0], "result": result}
for ax, (title, image) in zip(axes, pictures.items(), strict=True):
    ax.imshow(image)
    ax.set_title(title, fontsize=19)
    ax.axis("off")
plt.show()
