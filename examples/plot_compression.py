"""
Compressing images to bytes: a learned codec against JPEG and WebP
==================================================================

A codec is trained on a few photographs in seconds, and compresses another photograph to bytes, which are decoded again.
How does it compare with JPEG and WebP at the same size?
"""

# %%
# Five gray photographs are for training, and one for testing. To keep this example short the network has no residual
# blocks, and training has only 350 batches of four small crops. For a codec in practice use the defaults of
# `make_codec`, hundreds of photographs, and some minutes of training.
import io

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from skimage.color import rgb2gray
from sklearn.datasets import load_sample_images

from skae.coding import compress, decompress, make_codec


def gray(image):
    """Convert to gray levels from 0 to 255, of one byte each."""
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
# One codec serves a range of qualities, set by ``quality=``. JPEG gets the highest quality with a file that is not
# larger. Sizes are those of whole files with their headers. The fitted codec, which is needed to decode them, is not
# counted.


def psnr(image):
    """Peak signal-to-noise ratio of the decoded photograph, in dB."""
    return 10 * np.log10(255**2 / np.mean((image - cat.astype(float)) ** 2))


def by_codec(quality):
    """Compress with skae, and return the size in bytes and the decoded photograph."""
    content = compress(codec, [cat], quality=quality)
    return len(content), decompress(codec, content)[0]


def by_pillow(name, quality, **options):
    """Compress to a format of Pillow, and return the size and the decoded photograph."""
    file = io.BytesIO()
    Image.fromarray(cat).save(file, name, quality=quality, **options)
    return file.tell(), np.asarray(Image.open(file).convert("L"))


codecs = {
    "skae": [by_codec(quality) for quality in (-6, -4, -2, 0)],
    "JPEG": [by_pillow("JPEG", quality, optimize=True) for quality in range(5, 50)],
    "WebP": [by_pillow("WebP", quality, method=6) for quality in range(0, 60, 5)],
}

for size, image in codecs["skae"]:
    print(f"{size:6,} bytes, {8 * size / cat.size:.2f} bits per pixel, {psnr(image):.1f} dB")

# %%
# A detail at two of these qualities, compared with JPEG at the same size.
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
# The PSNR of the whole photograph at all rates. After seconds of training the codec is better than JPEG on this
# photograph, and level with WebP at low rates. At the lowest rate blocks of 8 × 8 pixels are still visible, to which
# the codec was initialized. For results of a longer training, on many photographs, see :doc:`/guide/compression`.
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, found), style in zip(codecs.items(), ("-o", "--", ":"), strict=True):
    ax.plot([8 * size / cat.size for size, _ in found], [psnr(image) for _, image in found], style, label=name)
ax.set(xlabel="bits per pixel", ylabel="peak signal-to-noise ratio (dB)", xlim=(0.1, 0.75))
ax.set_title("A codec after seconds of training, JPEG and WebP")
ax.legend(frameon=False)
plt.show()
