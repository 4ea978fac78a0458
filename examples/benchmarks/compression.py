"""Compression to bytes: photographs against JPEG, WebP and AVIF, digits, tables, exactness and speed.

    python examples/benchmarks/compression.py --data FILE                     # an .npz with gray photographs as X
    python examples/benchmarks/compression.py --digits FILE --only one_class  # an .npz with 28 × 28 digits as X
    python examples/benchmarks/compression.py --only tables                   # this needs no file

Codecs are trained on X and compared on the photographs of scikit-image and scikit-learn, as a whole and in crops of
320 × 320 pixels from their corners. All sizes are those of complete files, decoded again; the rate and the PSNR of a
codec at a quality are means over the images, and codecs are compared at equal rates, by linear interpolation in the
logarithm of the rate. ``--batches`` is how long codecs are trained; CPU seconds are those of all cores. Needs Pillow
11.3 or later and scikit-image; ``--picture FILE`` draws parts of two photographs, with matplotlib.
"""

import argparse
import io
import time

import numpy as np
from PIL import Image
from quality import table
from skimage import data
from skimage.color import rgb2gray
from sklearn.datasets import load_breast_cancer, load_digits, load_sample_images
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.bottlenecks import Rounded
from skae.coding import compress, decompress, make_codec, n_bits

CLASSICAL = {
    "JPEG": ({"optimize": True}, (5, 10, 15, 20, 30, 40, 50, 65, 80, 90)),
    "WebP": ({"method": 6}, (0, 5, 10, 20, 30, 40, 50, 65, 80, 90)),
    "AVIF": ({"speed": 4}, (20, 30, 40, 50, 60, 70, 80, 90)),
}
RATES = (0.3, 0.6, 1.0)  # bits a pixel
SIDE = 320
EPOCH = 100  # batches


def photographs(*, color):
    """The bundled photographs, uint8, those in color as they are."""
    images = {name: getattr(data, name)() for name in ("astronaut", "camera", "chelsea", "coffee", "rocket")}
    images |= zip(("china", "flower"), load_sample_images().images, strict=True)
    if color:
        return {name: image for name, image in images.items() if image.ndim == 3}
    return {name: image if image.ndim == 2 else gray(image) for name, image in images.items()}


def gray(image):
    """A photograph in gray, uint8."""
    return np.rint(255 * rgb2gray(image)).astype(np.uint8)


def corners(images):
    """The crops in the corners of the images that are large enough."""
    found = []
    for image in images:
        height, width = image.shape[:2]
        if min(height, width) >= SIDE:
            places = [(top, left) for top in (0, height - SIDE) for left in (0, width - SIDE)]
            found += [image[top : top + SIDE, left : left + SIDE] for top, left in places]
    return found


def psnr(x, y):
    """Peak signal-to-noise ratio of uint8 images."""
    return 10 * np.log10(255**2 / np.square(x.astype(float) - y).mean())


def file_of(image, codec, quality):
    """The bytes of a classical codec, and what they decode to."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, codec, quality=quality, **CLASSICAL[codec][0])
    decoded = Image.open(file).convert("L" if image.ndim == 2 else "RGB")
    return file.getvalue(), np.asarray(decoded)


def curve(images, encode, qualities):
    """Mean rate and mean PSNR at each quality; ``encode(image, quality)`` gives bytes and the decoded image."""
    found = []
    for quality in qualities:
        rows = []
        for image in images:
            content, decoded = encode(image, quality)
            rows.append((8 * len(content) / (image.shape[0] * image.shape[1]), psnr(image, decoded)))
        found.append(np.mean(rows, 0))
    return np.array(found)


def at_rate(found, rate):
    """PSNR at a rate."""
    return np.interp(np.log(rate), np.log(found[:, 0]), found[:, 1], left=np.nan, right=np.nan)


def encoder(codec):
    """The function for `curve` of a fitted codec."""

    def encode(image, quality):
        content = compress(codec, [image], quality=quality)
        return content, decompress(codec, content)[0]

    return encode


def fitted(args, *, color, batches, **params):
    """A codec that is trained on the photographs of ``--data``, and the CPU seconds of that."""
    images = list(np.load(args.data)["X"])
    if color:  # which the file does not have: the bundled ones but the one that is held out
        raise SystemExit
    codec = make_codec(
        max_epochs=batches // EPOCH, n_crops=EPOCH * make_codec().batch_size, random_state=0, **params
    )
    start = time.process_time()
    codec.fit(images)
    return codec, time.process_time() - start
