"""
Styles: photographs drawn with the strokes of other images
==========================================================

`skae.textures.StyleTransfer` trains an autoencoder on a few images, in some seconds and without a pretrained network,
and then gives their style to photographs of any size, in less than a second each.
"""

# %%
# Four styles of 256 × 256 pixels: strokes of a brush and an engraving, which are made here, stained tissue, and a cup
# of coffee. Paintings are what most people would take.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.draw import polygon
from skimage.transform import resize
from sklearn.datasets import load_sample_images

from skae.plotting import StyleDisplay
from skae.textures import StyleTransfer


def square(image):
    """The square in the middle of an image, at 256 × 256 pixels."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = resize(image[top : top + side, left : left + side], (256, 256), anti_aliasing=True)
    return np.rint(255 * image).astype(np.uint8)


def brush(rng, n_strokes=5000):
    """Strokes along a field of directions, from dark to light where another field says so."""
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
    """Wavy lines, wide in the dark."""
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
# Swapped patches
# ---------------
# The codes of a photograph get the mean and the covariance of a style's codes, and then every 3 × 3 of them are
# replaced by the nearest of the style. The autoencoder has seen none of the photographs.
display = StyleDisplay.from_estimator(transfer, photographs)
display.ax_.set_title("method='swap'")
plt.show()

# %%
# Quilts
# ------
# Larger blocks of a style are laid out so that they resemble the photograph and fit each other. Strokes are whole, and
# small things are lost. The method is a parameter of `transform`, as most are: there is no second fit.
transfer.set_params(method="quilting")
display = StyleDisplay.from_estimator(transfer, photographs[1:3])
display.ax_.set_title("method='quilting'")
plt.show()

# %%
# From one style to another
# -------------------------
# ``weights`` are the shares of the picture that the styles get, each where it fits best.
transfer.set_params(method="swap")
shares = [(1 - share, 0, 0, share) for share in (0, 0.25, 0.5, 0.75, 1)]
display = StyleDisplay.from_estimator(transfer, photographs[1:2], weights=shares)
display.ax_.set_title("From strokes of a brush to coffee: 0, 25, 50, 75 and 100 %")
plt.show()

# %%
# Where, how much, and in which colors
# ------------------------------------
cat = photographs[1]
rows, columns = np.indices(cat.shape[:2])
disk = np.hypot(rows - 128, columns - 128) < 90
mask = np.stack([disk, np.zeros_like(disk), ~disk, np.zeros_like(disk)])
pictures = {"mask: strokes in a disk": transfer.transform(cat, mask=mask)[0]}
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
# A style in its own style is itself, to the pixel: what the autoencoder loses is laid along with its codes.
transfer.set_params(style_scale=1.0)
difference = np.abs(transfer.transform(styles[0])[0].astype(int) - styles[0])
print(f"largest difference of a style from itself in its own style: {difference.max()} of 255")
