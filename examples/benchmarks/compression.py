"""Compression to bytes: photographs against JPEG, WebP and AVIF; digits; tables; overhead, speed and exactness.

    python examples/benchmarks/compression.py --data FILE --only gray           # an .npz with gray photographs as X
    python examples/benchmarks/compression.py --data FILE --only color          # with photographs in color
    python examples/benchmarks/compression.py --data FILE --only one_class      # with gray images of 28 × 28
    python examples/benchmarks/compression.py --only tables                     # this needs no file

Codecs are trained on X, uint8, and compared on the photographs of scikit-image and scikit-learn, as a whole and in
crops of 320 × 320 pixels from their corners. All sizes are those of complete files, decoded again; the rate and the
PSNR of a codec at a quality are means over the images, and codecs are compared at equal rates, by linear interpolation
in the logarithm of the rate. ``--batches`` is how long codecs are trained; CPU seconds are those of all cores. Needs
Pillow 11.3 or later and scikit-image; ``--picture FILE`` draws parts of two photographs, with matplotlib,
``--keep FILE`` saves the codec, and ``--load FILE`` measures it again.
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

import skae
from skae import AutoencoderTransformer, ConvAutoencoder
from skae.bottlenecks import Rounded
from skae.coding import compress, decompress, make_codec, n_bits

CLASSICAL = {
    "JPEG": ({"optimize": True}, (5, 10, 15, 20, 30, 40, 50, 65, 80, 90)),
    "WebP": ({"method": 6}, (0, 5, 10, 20, 30, 40, 50, 65, 80, 90)),
    "AVIF": ({"speed": 4}, (20, 30, 40, 50, 60, 70, 80, 90)),
}
RATES = (0.3, 0.6, 1.0)  # bits a pixel
SIDE = 320
QUALITIES = range(-6, 7)
EPOCH = 100  # batches


def photographs(*, color):
    """The bundled photographs, uint8, those in color as they are."""
    images = {name: getattr(data, name)() for name in ("astronaut", "camera", "chelsea", "coffee", "rocket")}
    images |= zip(("china", "flower"), load_sample_images().images, strict=True)
    if color:
        return {name: image for name, image in images.items() if image.ndim == 3}
    return {name: image if image.ndim == 2 else in_gray(image) for name, image in images.items()}


def in_gray(image):
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
    """Return the bytes of a classical codec, and the decoded image."""
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


def stopwatch(function, *args, **kwargs):
    """Return the result of a function, and its CPU seconds."""
    start = time.process_time()
    return function(*args, **kwargs), time.process_time() - start


def gray(args):
    """Photographs in gray."""
    photographs_of(args, color=False)


def color(args):
    """Photographs in color."""
    photographs_of(args, color=True)


def photographs_of(args, *, color):
    """Rate and distortion of a fitted codec and of classical ones, on held-out photographs."""
    training = list(np.load(args.data)["X"])
    params = {"n_components": 96} if color else {}
    if args.load:
        codec, seconds = skae.load(args.load), 0
    else:
        epochs = max(1, args.batches // EPOCH)
        codec = make_codec(max_epochs=epochs, precision="bf16", random_state=0, **params)
        codec, seconds = stopwatch(codec.fit, training)
    start = make_codec(max_epochs=0, random_state=0, **params).fit(training)
    if args.keep:
        skae.save(codec, args.keep)
    images = photographs(color=color)
    sets = {"photographs": list(images.values()), "crops": corners(images.values())}
    kind = "Color" if color else "Gray"
    print(f"### {kind}, trained for {EPOCH * codec.n_iter_} batches, {seconds:.0f} CPU seconds in this run\n")
    for name, members in sets.items():
        curves = {"skae": curve(members, encoder(codec), QUALITIES)}
        curves["block PCA"] = curve(members, encoder(start), QUALITIES[::3])  # the same before its training
        for other, (_, qualities) in CLASSICAL.items():
            curves[other] = curve(members, lambda image, q, other=other: file_of(image, other, q), qualities)
        rows = []
        for rate in RATES:
            own = at_rate(curves["skae"], rate)
            gains = [own - at_rate(found, rate) for other, found in curves.items() if other != "skae"]
            rest = ["–" if np.isnan(gain) else f"{gain:+.2f}" for gain in gains]  # which does not reach that rate
            rows.append([rate, f"{own:.2f}", *rest])
        print(f"{len(members)} {name}: PSNR at equal rates, in dB, and what skae has over the others\n")
        table(["bits a pixel", "skae", *(other for other in curves if other != "skae")], rows)
        points = [
            (f"{q:+d}", f"{rate:.3f}", f"{found:.2f}")
            for q, (rate, found) in zip(QUALITIES, curves["skae"], strict=True)
        ]
        table(["quality", "bits a pixel", "PSNR"], points)
    overhead_and_speed(codec, sets)
    if args.picture:
        draw(args.picture, codec, images)


def overhead_and_speed(codec, sets):
    """Real bytes over the ideal length of the codes, and CPU seconds a megapixel."""
    rows = []
    for name, members in sets.items():
        for quality in (-3, 0, 3):
            pairs = [
                (len(compress(codec, [x], quality=quality)), n_bits(codec, [x], quality=quality).sum() / 8)
                for x in members
            ]
            n_bytes, ideal = np.array(pairs).sum(0)
            rows.append(
                [name, f"{quality:+d}", f"{n_bytes / len(members):.0f}", f"{100 * (n_bytes / ideal - 1):+.2f} %"]
            )
    print("Bytes of a file, and what they have over the bits of the model\n")
    table(["images", "quality", "bytes", "overhead"], rows)
    image = np.tile(sets["photographs"][0], (2, 2) + (1,) * (sets["photographs"][0].ndim - 2))  # of a megapixel
    n_pixels = image.shape[0] * image.shape[1]
    rows = []
    for quality in (-3, 0, 3):
        content, encoding = stopwatch(compress, codec, [image], quality=quality)
        _, decoding = stopwatch(decompress, codec, content)
        rows.append([f"{quality:+d}", *(f"{1e6 * s / n_pixels:.2f}" for s in (encoding, decoding))])
    print("CPU seconds a megapixel\n")
    table(["quality", "compress", "decompress"], rows)


def draw(path, codec, images):
    """Parts of two photographs at nearly the same number of bytes, at most."""
    import matplotlib.pyplot as plt

    names = [name for name in ("chelsea", "flower") if name in images]
    figure, axes = plt.subplots(len(names), 5, figsize=(15, 3.2 * len(names)), layout="constrained")
    for name, row in zip(names, axes, strict=True):
        image = images[name]
        content, decoded = encoder(codec)(image, -5)
        budget = len(content)
        shown = [("original", image.size, image), ("skae", budget, decoded)]
        for other in CLASSICAL:
            files = [file_of(image, other, q) for q in range(101)]
            content, decoded = max((f for f in files if len(f[0]) <= budget), key=lambda f: len(f[0]), default=files[0])
            shown.append((other, len(content), decoded))
        top, left = image.shape[0] // 2 - 100, image.shape[1] // 2 - 100
        for ax, (title, size, picture) in zip(row, shown, strict=True):
            ax.imshow(picture[top : top + 200, left : left + 200], cmap="gray", vmin=0, vmax=255)
            quality = "" if picture is image else f", {psnr(image, picture):.1f} dB"
            ax.set_title(f"{title}: {size / 1000:.1f} kB{quality}")
            ax.axis("off")
    figure.savefig(path, dpi=110)


def one_class(args):
    """Digits in a stack: bytes per image, including all headers."""
    images = np.load(args.data)["X"].reshape(-1, 28, 28)
    training, test = images[: len(images) - 10_000], images[-10_000:]
    ae = ConvAutoencoder(
        16,
        bottleneck=Rounded(step=2.0, qualities=(-1, 1)),
        module__dense=False,
        module__channels=(32, 64),
        module__n_residual_blocks=1,
        module__downsampling="unshuffle",
        module__upsampling="shuffle",
        optimizer__betas=(0.9, 0.95),
        early_stopping=False,
        precision="bf16",
        max_epochs=max(1, args.batches * 128 // len(training)),
        random_state=0,
    )
    ae, seconds = stopwatch(ae.fit, training)
    rows = []
    for quality in (-1, 0, 1):
        content, encoding = stopwatch(compress, ae, test, quality=quality)
        decoded, decoding = stopwatch(decompress, ae, content)
        mean = np.mean([psnr(x, y) for x, y in zip(test, decoded, strict=True)])
        sizes = [f"{len(content) / len(test):.2f}", f"{n_bits(ae, test, quality=quality).mean() / 8:.2f}"]
        rows.append([f"{quality:+d}", *sizes, f"{mean:.2f}", f"{encoding:.0f}", f"{decoding:.0f}"])
    print(f"### Digits: a stack of {len(test)}, trained for {seconds:.0f} CPU seconds\n")
    table(["quality", "bytes an image", "of the model", "mean PSNR", "CPU s compress", "decompress"], rows)
    mosaic = test[:10_000].reshape(100, 100, 28, 28).swapaxes(1, 2).reshape(2800, 2800)
    rows = []
    for other, (_, qualities) in CLASSICAL.items():
        for quality in (1, *qualities[:8]):
            content, decoded = file_of(mosaic, other, quality)
            decoded = decoded.reshape(100, 28, 100, 28).swapaxes(1, 2).reshape(-1, 28, 28)
            mean = np.mean([psnr(x, y) for x, y in zip(test, decoded, strict=True)])
            rows.append([other, quality, f"{len(content) / len(test):.2f}", f"{mean:.2f}"])
    table(["in a mosaic", "quality", "bytes an image", "mean PSNR"], rows)


def size_at(points, error):
    """Return the bytes at an error, from points (error, bytes); NaN outside of their range."""
    errors, sizes = np.array(sorted(points)).T
    return np.interp(np.log(error), np.log(errors), sizes, left=np.nan, right=np.nan)


def tables(_):
    """Dense codes of tables in bytes: an autoencoder, and PCA with the same coder, at equal error."""
    rows = []
    for name, load, step in (("digits", load_digits, 0.5), ("breast cancer", load_breast_cancer, 0.3)):
        train, test = train_test_split(load().data, random_state=0)
        scaler = StandardScaler().fit(train) if name == "breast cancer" else None
        train, test = (A if scaler is None else scaler.transform(A) for A in (train, test))
        found = {}
        for other, params in (("autoencoder", {}), ("PCA", {"max_epochs": 0})):
            bottleneck = Rounded(step=step, qualities=(-8, 8))
            size = min(32, train.shape[1])
            ae = AutoencoderTransformer(size, bottleneck=bottleneck, random_state=0, **params).fit(train)
            found[other] = []
            for quality in range(-8, 9, 2):
                content = compress(ae, test, quality=quality)
                error = np.square(decompress(ae, content) - test).mean() / test.var()
                found[other].append((error, len(content) / len(test)))
        for error in (0.1, 0.05, 0.03, 0.02):
            sizes = [size_at(points, error) for points in found.values()]
            if not np.isnan(sizes).any():
                rows.append([name, error, *(f"{size:.2f}" for size in sizes), f"{sizes[0] / sizes[1]:.2f}"])
    print("### Tables: bytes a held-out sample in one stream, at equal error\n")
    table(["data", "error / variance", "autoencoder", "PCA", "ratio"], rows)


PARTS = {part.__name__: part for part in (gray, color, one_class, tables)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="an .npz file with images as X, uint8, of one size")
    parser.add_argument("--only", choices=PARTS, required=True)
    parser.add_argument("--batches", type=int, default=6_000, help="of the training")
    parser.add_argument("--picture", help="a file for a picture")
    parser.add_argument("--keep", help="a file for the fitted codec")
    parser.add_argument("--load", help="a file of --keep, to be measured again without training")
    arguments = parser.parse_args()
    if arguments.data is None and arguments.only != "tables":
        parser.error(f"{arguments.only} needs --data")
    PARTS[arguments.only](arguments)
