"""
Compression to bytes: a codec of one's own against JPEG
=======================================================

A codec is fitted to a few photographs, and another one is compressed by it: to real bytes, which are decoded again. How
does it look beside JPEG with as many bytes, after training that takes seconds?
"""

# %%
# Five photographs in gray to train on, and one to test. The network has no residual blocks, and training is short, 350
# batches of four small crops, so that this page is made in seconds. A codec for use takes what `make_codec` has chosen,
# hundreds of photographs, and minutes.
import io

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from skimage.color import rgb2gray
from sklearn.datasets import load_sample_images

from skae.coding import compress, decompress, make_codec


def gray(image):
    """The photograph in gray levels from 0 to 255, one byte each."""
    return np.rint(255 * rgb2gray(image)).astype(np.uint8)


train = [gray(image) for image in (data.astronaut(), data.coffee(), data.rocket(), *load_sample_images().images)]
cat = gray(data.chelsea())

codec = make_codec(
    module__n_residual_blocks=0,
    crop_size=64,
    n_crops=140,
    batch_size=4,
    lr=4e-3,
    max_epochs=10,
    early_stopping=False,
    random_state=0,
).fit(train)

# %%
# One codec serves all qualities: ``quality=`` says how exactly the photograph is kept. JPEG gets the highest quality
# whose file is no larger. All sizes are those of whole files, headers included; the fitted codec itself, which has to
# be kept to decode them, is not counted.


def psnr(image):
    """Peak signal-to-noise ratio of the decoded photograph, in dB."""
    return 10 * np.log10(255**2 / np.mean((image - cat.astype(float)) ** 2))


def by_codec(quality):
    """The size in bytes, and what they are decoded to."""
    content = compress(codec, [cat], quality=quality)
    return len(content), decompress(codec, content)[0]


def by_pillow(name, quality, **options):
    """The same for a format of Pillow."""
    file = io.BytesIO()
    Image.fromarray(cat).save(file, name, quality=quality, **options)
    return file.tell(), np.asarray(Image.open(file).convert("L"))


codecs = {
    "skae": [by_codec(quality) for quality in (-6, -4, -2, 0)],
    "JPEG": [by_pillow("JPEG", quality, optimize=True) for quality in range(5, 50)],
    "WebP": [by_pillow("WebP", quality, method=6) for quality in range(0, 60, 5)],
}

for size, image in codecs["skae"]:
    print(f"{size:6,} bytes, {8 * size / cat.size:.2f} bits a pixel, {psnr(image):.1f} dB")

# %%
# Beside JPEG at two of these qualities:
height, width = 120, 180
top, left = 55, 75
detail = slice(top, top + height), slice(left, left + width)
figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained")
axes[0, 0].imshow(cat, cmap="gray", vmin=0, vmax=255)
axes[0, 0].add_patch(plt.Rectangle((left, top), width, height, fill=False, color="white"))
axes[0, 0].set_title(f"photograph: {cat.size:,} bytes")
axes[1, 0].imshow(cat[detail], cmap="gray", vmin=0, vmax=255)
axes[1, 0].set_title("detail")
for row, found in zip(axes, (codecs["skae"][0], codecs["skae"][2]), strict=True):
    jpeg = max((other for other in codecs["JPEG"] if other[0] <= found[0]), key=lambda other: other[0])
    for ax, name, (size, image) in zip(row[1:], ("skae", "JPEG"), (found, jpeg), strict=True):
        ax.imshow(image[detail], cmap="gray", vmin=0, vmax=255)
        ax.set_title(f"{name}: {size:,} bytes, {psnr(image):.1f} dB")
for ax in axes.flat:
    ax.set_axis_off()
plt.show()

# %%
# The decibels are those of the whole photograph, here at more rates and with WebP. Seconds of training reach more than
# JPEG on this photograph, and as much as WebP at low rates; at the lowest the blocks of 8 × 8 pixels that the codec
# started from can still be seen. What minutes reach, on many photographs, is in :doc:`the guide </guide/compression>`.
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, found), style in zip(codecs.items(), ("-o", "--", ":"), strict=True):
    ax.plot([8 * size / cat.size for size, _ in found], [psnr(image) for _, image in found], style, label=name)
ax.set(xlabel="bits a pixel", ylabel="peak signal-to-noise ratio (dB)", xlim=(0.1, 0.75))
ax.set_title("A codec after seconds of training, JPEG and WebP")
ax.legend(frameon=False)
plt.show()
