"""Styles: StyleTransfer against histogram matching and patch-wise optimization (GPDM) with a content term.

    python examples/benchmarks/styles.py                                # everything, some minutes on one core
    python examples/benchmarks/styles.py --only pictures --sheet DIR    # tables of pictures
    python examples/benchmarks/styles.py --images FILE ...              # with paintings of yours as styles

Photographs are those that come with scikit-image and scikit-learn, and styles are made patterns and a micrograph, all
reduced to 256 × 256 pixels. Seconds are CPU seconds of one thread. Whether strokes and contours of a style are seen no
figure says: ``--sheet DIR`` saves styles-NAME.png for each style, and styles.jpg, a smaller one for pages.
"""

import argparse
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from quality import table
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree
from skimage import data
from skimage.exposure import match_histograms
from skimage.transform import resize
from sklearn.datasets import load_sample_images
from textures import SIDE, gpdm, reduced, save_small, scaled, stopwatch

from skae.metrics import patch_distance
from skae.textures import StyleTransfer

METHODS = "swap", "quilting"
WEIGHTS = (0.2, 0.8), (0.5, 0.5), (0.75, 0.25)


@cache
def photographs(side=SIDE):
    """Color photographs, squares from their middle."""
    china, flower = load_sample_images().images
    images = {"astronaut": data.astronaut()[:320, 64:384], "cat": data.chelsea(), "coffee": data.coffee()}
    images |= {"china": china[:, 60:487], "flower": flower[:, 20:447], "rocket": data.rocket()}
    square = {name: reduced(image, 10_000) for name, image in images.items()}
    return {name: to_side(image, side) for name, image in square.items()}


def to_side(image, side):
    """A square image with so many pixels a side, uint8."""
    return np.rint(255 * resize(image, (side, side), anti_aliasing=True)).astype(np.uint8)


@cache
def made():
    """Made patterns, and a micrograph."""
    return {
        "strokes": strokes(),
        "mosaic": mosaic(),
        "hatching": hatching(),
        "tissue": reduced(data.immunohistochemistry()),
    }


def strokes(n=6000, seed=0):
    """Brush strokes along swirls, in blues with some yellow."""
    rng = np.random.default_rng(seed)
    potential = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 24)
    light = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 16)
    light = (light - light.min()) / np.ptp(light)
    down, right = np.gradient(potential)
    colors = np.array([[16, 24, 66], [32, 62, 130], [74, 120, 178], [150, 178, 190], [236, 204, 96]])
    found = Image.new("RGB", (2 * SIDE, 2 * SIDE), tuple(colors[1]))
    draw = ImageDraw.Draw(found)
    for row, column in rng.uniform(-4, SIDE + 4, (n, 2)):
        at = int(np.clip(row, 0, SIDE - 1)), int(np.clip(column, 0, SIDE - 1))
        angle = np.arctan2(-right[at], down[at])
        half = rng.uniform(8, 18) * np.array([np.cos(angle), np.sin(angle)])
        place = np.clip(light[at] * 4.4 - 0.2 + rng.normal(scale=0.45), 0, 3.999)
        color = colors[int(place)] + (place % 1) * (colors[int(place) + 1] - colors[int(place)])
        ends = [tuple(2 * np.array([column, row]) + sign * half) for sign in (-1, 1)]
        draw.line(ends, fill=tuple(np.clip(color + rng.normal(scale=8, size=3), 0, 255).astype(int)), width=6)
    return np.asarray(found.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def mosaic(n=420, seed=0):
    """Flat pieces of few colors with dark contours, of which neighbors are often alike."""
    rng = np.random.default_rng(seed)
    colors = np.array([[205, 52, 44], [238, 188, 60], [36, 84, 150], [240, 232, 214], [44, 130, 104], [28, 26, 34]])
    points = rng.uniform(0, SIDE, (n, 2))
    field = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 20)[tuple(points.astype(int).T)]
    kinds = np.clip((field.argsort().argsort() / n * 6 + rng.normal(scale=0.7, size=n)).astype(int), 0, 5)
    shades = colors[kinds] + rng.normal(scale=6, size=(n, 3))
    first = cKDTree(points).query(np.indices((SIDE, SIDE)).reshape(2, -1).T)[1].reshape(SIDE, SIDE)
    inside = np.ones((SIDE, SIDE), bool)
    inside[:-1] &= first[1:] == first[:-1]
    inside[:, :-1] &= first[:, 1:] == first[:, :-1]
    away = np.clip(distance_transform_edt(inside) - 0.5, 0, 1)[..., None]
    return np.rint(away * shades[first] + (1 - away) * 24).clip(0, 255).astype(np.uint8)


def hatching(seed=0):
    """Pen strokes on paper, the denser the darker, crossed in the dark."""
    rng = np.random.default_rng(seed)
    dark = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 22)
    dark = dark.argsort(axis=None).argsort().reshape(dark.shape) / dark.size
    found = Image.new("L", (2 * SIDE, 2 * SIDE), 244)
    draw = ImageDraw.Draw(found)
    for angle, least, n in ((0.8, 0.15, 5000), (-0.7, 0.5, 3500), (0.1, 0.75, 2500)):
        for row, column in rng.uniform(0, SIDE, (n, 2)):
            if dark[int(row), int(column)] > least + 0.25 * rng.random():
                turned = angle + rng.normal(scale=0.06)
                half = rng.uniform(8, 16) * np.array([np.cos(turned), np.sin(turned)])
                ends = [tuple(2 * np.array([column, row]) + sign * half) for sign in (-1, 1)]
                draw.line(ends, fill=int(rng.integers(20, 70)), width=2)
    return np.repeat(np.asarray(found.resize((SIDE, SIDE), Image.Resampling.LANCZOS))[..., None], 3, axis=2)


def styles(args):
    """Those of ``--images``, or else the made ones."""
    if not args.images:
        return made()
    return {Path(name).stem: reduced(np.asarray(Image.open(name).convert("RGB"))) for name in args.images}


@cache
def fitted(seen=()):
    """A StyleTransfer fitted to the styles and some photographs, and its CPU seconds."""
    contents = [photographs()[name] for name in seen]
    transfer = StyleTransfer(random_state=0)
    return stopwatch(transfer.fit, list(styles(arguments).values()), contents=contents or None)


def with_style(transfer, index, **params):
    """The transfer of one of its styles."""
    return transfer.set_params(weights=np.eye(len(transfer.styles_))[index], **params)


def psnr(image, other):
    """PSNR in dB of images in 0..255; infinite where they are equal."""
    error = np.square(image.astype(float) - other).mean()
    return float(20 * np.log10(255) - 10 * np.log10(error)) if error else float("inf")


def speed(args):
    """CPU seconds of the fit and of an image."""
    transfer, fitting = fitted(tuple(photographs()))
    rows = []
    for method, side in (("swap", 256), ("quilting", 256), ("swap", 512), ("quilting", 512)):
        photo = photographs(side)["cat"]
        taken = []
        for index in range(len(transfer.styles_)):
            with_style(transfer, index, method=method).transform([photo])  # computes what is kept of the style
            taken.append([stopwatch(transfer.transform, [photo])[1] for _ in range(args.rounds)])
        medians = np.median(taken, axis=1)
        spread = f"{medians.min():.2f} to {medians.max():.2f}"
        rows.append([method, f"{side} × {side}", f"{np.median(medians):.2f}", spread])
    n_images = len(transfer.styles_) + len(photographs())
    print(f"### Styles: fit to {n_images} images of 256 × 256 pixels {fitting:.0f} CPU s; an image, by style\n")
    table(["method", "size", "CPU s", "lowest and highest"], rows)


def identity(_):
    """A style in its own style, PSNR in dB."""
    transfer, _ = fitted()
    rows = []
    for index, (name, image) in enumerate(styles(arguments).items()):
        found = [with_style(transfer, index, method=method).transform([image])[0] for method in METHODS]
        coded = transfer.estimator_.reconstruct([image])[0]
        rows.append([name, *(f"{psnr(image, other):.1f}" for other in (*found, coded))])
    print("### A style in its own style, PSNR in dB\n")
    table(["style", *METHODS, "the autoencoder alone"], rows)


def unseen(args):
    """Photographs that the autoencoder learned from or not: its reconstructions, and the pictures."""
    names = tuple(photographs())
    seen, rows, shown = {False: fitted()[0], True: fitted(names)[0]}, [], {}
    for name, photo in photographs().items():
        values = [psnr(photo, transfer.estimator_.reconstruct([photo])[0]) for transfer in seen.values()]
        rows.append([name, *(f"{value:.1f}" for value in values), f"{values[0] - values[1]:+.1f}"])
        for was_seen, transfer in seen.items():
            for method in METHODS:
                title = f"{method}, {'seen' if was_seen else 'never seen'}"
                found = with_style(transfer, 0, method=method).transform([photo])[0]
                shown.setdefault(title, []).append(found)
    print("### Photographs never seen, PSNR in dB of their reconstruction\n")
    table(["photograph", "fitted to styles alone", "fitted to it, too", "difference"], rows)
    if args.sheet:
        columns = {"photograph": list(photographs().values())} | shown
        save(grid(columns), args.sheet, "styles-unseen.png")


def shares(_):
    """Shares of a red and of a blue style, counted by color."""
    rng = np.random.default_rng(0)
    pattern = gaussian_filter(rng.normal(size=(2, SIDE, SIDE)), (0, 2, 2))
    pattern = np.rint(90 + 130 * (pattern - pattern.min()) / np.ptp(pattern)).astype(np.uint8)
    zeros = np.zeros_like(pattern[0])
    pair = [np.dstack([pattern[0], zeros, zeros]), np.dstack([zeros, zeros, pattern[1]])]
    transfer = StyleTransfer(random_state=0).fit(pair)
    rows = []
    for method in METHODS:
        for weights in WEIGHTS:
            transfer.set_params(method=method, weights=weights)
            found = transfer.transform(list(photographs().values()))
            red = [(image[..., 0] > image[..., 2].astype(int)).mean() for image in found]
            off = max(abs(share - weights[0]) for share in red)
            rows.append([method, weights, f"{np.mean(red):.3f}", f"{off:.3f}"])
    print("### Shares of a red style beside a blue one, of six photographs\n")
    table(["method", "weights", "mean share of the first", "largest difference"], rows)


def pictures(args):
    """Photographs in styles by each method, with figures that guard, and sheets that decide."""
    transfer, _ = fitted()
    results, pairs = {}, {}
    for index, (name, style) in enumerate(styles(args).items()):
        columns = {"photograph": []}
        for number, photo_name in enumerate(args.photographs):
            photo = photographs()[photo_name]
            found = {method: with_style(transfer, index, method=method).transform([photo])[0] for method in METHODS}
            found["histogram matching"] = np.rint(match_histograms(photo, style, channel_axis=-1)).astype(np.uint8)
            found["GPDM"] = gpdm(style, 0, photo.shape[:2], steps=(300, 150), content=photo, weight=0.2)
            columns["photograph"].append(photo)
            for method, image in found.items():
                columns.setdefault(method, []).append(image)
                results.setdefault(method, []).append((patch_distance(image, style), contours(photo, image)))
            if number == index % len(args.photographs):
                for title, image in ({"style": style, "photograph": photo} | found).items():
                    pairs.setdefault(title, []).append(image)
        if args.sheet:
            save(grid({"style": [style], **columns}), args.sheet, f"styles-{name}.png")
    if args.sheet:
        save_small(
            lambda share: grid({title: [scaled(x, share) for x in images] for title, images in pairs.items()}),
            Path(args.sheet) / "styles.jpg",
            limit=190_000,
        )
    rows = [[method, *(f"{value:.2f}" for value in np.mean(values, axis=0))] for method, values in results.items()]
    n = len(args.photographs), len(styles(args))
    print(f"### Means over {n[0]} photographs × {n[1]} styles. The lower the distance the better? Look at the sheets\n")
    table(["method", "patch distance to the style", "correlation of gradients with the photograph"], rows)


def contours(photo, image):
    """The correlation of the gradients of luminance of two images."""
    gradients = [np.stack(np.gradient(gaussian_filter(x.mean(-1), 1))).ravel() for x in (photo, image)]
    return float(np.corrcoef(gradients)[0, 1])


def grid(columns, margin=18, gap=5):
    """Columns of images, with a name above each."""
    height = max(sum(len(image) + gap for image in images) for images in columns.values())
    widths = [max(image.shape[1] for image in images) for images in columns.values()]
    found = Image.new("RGB", (sum(widths) + gap * (len(widths) + 1), height + margin), "white")
    draw, font, left = ImageDraw.Draw(found), ImageFont.load_default(13), gap
    for (title, images), width in zip(columns.items(), widths, strict=True):
        draw.text((left, 1), title, fill="black", font=font)
        top = margin
        for image in images:
            found.paste(Image.fromarray(image), (left, top))
            top += len(image) + gap
        left += width + gap
    return found


def save(picture, folder, name):
    """Save a picture in a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    picture.save(Path(folder) / name)


PARTS = {part.__name__: part for part in (speed, identity, unseen, shares, pictures)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--images", nargs="+", metavar="FILE", help="styles of yours")
    parser.add_argument("--photographs", nargs="+", choices=photographs(), default=["cat", "astronaut", "china"])
    parser.add_argument("--rounds", type=int, default=3, help="of speed")
    parser.add_argument("--sheet", metavar="DIR", help="a folder for pictures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.only:
        PARTS[part](arguments)
