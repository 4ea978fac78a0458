"""Textures: TextureSynthesizer against quilting of pixels and patch-wise optimization; mixes; speed.

    python examples/benchmarks/textures.py                                   # everything, about an hour on one core
    python examples/benchmarks/textures.py --only synthesis --seeds 1 --sheet DIR
    python examples/benchmarks/textures.py --only synthesis --images FILE ...

Exemplars are 256 × 256 pixels, from images that come with scikit-image; those of ``--images`` are reduced to this size.
Samples are 512 × 512 pixels and tile. Seconds are CPU seconds of one thread. ``--sheet DIR`` saves pictures of the
first seed: textures-NAME.png at one scale, with the tile's border in the middle; textures-NAME-tiled.png, tiled 2 × 2;
textures-NAME.jpg, a smaller one for pages. The figures do not replace a look at them.
"""

import argparse
import math
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from quality import table
from skimage import data
from skimage.transform import resize
from torch.nn import functional as F

from skae._patches.quilting import quilt
from skae.metrics import copied_share, patch_distance, seam_ratio, two_sample_auc
from skae.textures import TextureSynthesizer

SIDE, SIZE = 256, (512, 512)
WEIGHTS = (0.2, 0.8), (0.5, 0.5), (0.75, 0.25)


def stopwatch(function, *args, **kwargs):
    """Return the result of a function, and its CPU seconds."""
    start = time.process_time()
    return function(*args, **kwargs), time.process_time() - start


def reduced(image, side=SIDE):
    """The largest square in the middle of an image, of at most ``side`` pixels a side, uint8."""
    square = min(image.shape[:2])
    top, left = ((length - square) // 2 for length in image.shape[:2])
    image = image[top : top + square, left : left + square]
    if square <= side:
        return image
    return np.rint(255 * resize(image, (side, side), anti_aliasing=True)).astype(np.uint8)


@cache
def bundled():
    """Exemplars by name."""
    return {
        "brick": reduced(data.brick()),
        "grass": reduced(data.grass()),
        "gravel": reduced(data.gravel()),
        "galaxies": reduced(data.hubble_deep_field()[180:692, 244:756]),
        "tissue": data.immunohistochemistry()[:SIDE, :SIDE],
    }


def exemplars(args):
    """Those of ``--images``, or else the bundled ones."""
    if not args.images:
        return {name: image for name, image in bundled().items() if name in args.exemplars}
    return {Path(name).stem: reduced(np.asarray(Image.open(name).convert("RGB"))) for name in args.images}


@cache
def synthesizer(names, seed):
    """A TextureSynthesizer fitted to bundled exemplars, and its CPU seconds."""
    return fitted([bundled()[name] for name in names], seed)


def fitted(images, seed):
    """A fitted TextureSynthesizer, and its CPU seconds."""
    return stopwatch(TextureSynthesizer(random_state=seed).fit, images)


def by_pixels(image, seed, ours, size=SIZE):
    """Quilt pixels, with the blocks, overlap, reuse and number of repairs of a TextureSynthesizer."""
    maps = np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32)
    step = ours.block_size_ * (1 - ours.overlap)
    values, _ = quilt(
        [maps],
        size,
        ours.block_size_,
        ours.overlap,
        np.random.default_rng(seed),
        tolerance=ours.tolerance,
        reuse=ours.reuse,
        n_repairs=math.prod(math.ceil(side / step) for side in size),
    )
    return np.rint(values.clip(0, 255)).astype(np.uint8).transpose(1, 2, 0).reshape(*size, *image.shape[2:])


def gpdm(image, seed, size=SIZE, *, steps=(240, 60), n_levels=6, n_projections=24, content=None, weight=0.0):
    """Generate patch distributions directly (GPDM; Elnekave and Weiss, 2022).

    From noise, the pixels are optimized until the values of their 7 × 7 patches, on fresh random directions in each
    step, are distributed as those of the exemplar: a sliced Wasserstein distance, from coarse to fine. ``steps`` are
    those of the coarsest and of the finest level. Patches go on at the opposite border. With ``content``, an image of
    ``size``, that is the start, and its gradients of luminance are kept, with a weight.
    """
    torch.manual_seed(seed)
    target = as_tensor(image)
    around = None if content is None else as_tensor(content)
    found, periodic = None, content is None
    for level in range(n_levels)[::-1]:
        share = 2 ** (-level / 2)
        small = resized(target, [round(share * side) for side in target.shape[2:]])
        height, width = (2 * round(share * side / 2) for side in size)
        guide = None if around is None else gradients(resized(around, (height, width)))
        if found is not None:
            found = upsampled(found, (height, width), periodic=periodic)
        elif content is None:
            found = 0.75 * torch.randn(1, target.shape[1], height, width)
        else:
            found = resized(around, (height, width))
        found = found.contiguous().requires_grad_()
        n = round(steps[1] * (steps[0] / steps[1]) ** (level / max(1, n_levels - 1)))
        optimizer = torch.optim.Adam([found], lr=0.05)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n, eta_min=0.005)
        for _ in range(n):
            loss = sliced_distance(circular(found, 7) if periodic else found, small, n_projections)
            if guide is not None:
                loss = loss + weight * F.mse_loss(gradients(found), guide)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        found = found.detach().clip(-1, 1)
    values = 127.5 * (found[0].permute(1, 2, 0).numpy() + 1)
    return np.rint(values.clip(0, 255)).astype(np.uint8).reshape(*size, *image.shape[2:])


def as_tensor(image):
    """An image as (1, channels, height, width), in -1..1."""
    return torch.from_numpy(np.atleast_3d(image) / np.float32(127.5) - 1).permute(2, 0, 1)[None]


def resized(x, size):
    """Reduce images, without aliasing."""
    return x if tuple(x.shape[2:]) == tuple(size) else F.interpolate(x, size, mode="bicubic", antialias=True)


def upsampled(x, size, *, periodic):
    """Enlarge images of even sides; ``periodic`` ones with the pixels of the opposite border beside them."""
    if not periodic:
        return F.interpolate(x, size, mode="bicubic")
    height, width = (side // 2 for side in x.shape[2:])
    # Interpolation is sharpest between the first pixels, at all levels: elsewhere at each.
    x = x.roll((height // 2 + 1, width // 2 + 1), (2, 3))
    x = F.pad(x, (width, width, height, height), mode="circular")
    x = F.interpolate(x, [2 * side for side in size], mode="bicubic")
    return x[..., size[0] // 2 : -(size[0] // 2), size[1] // 2 : -(size[1] // 2)]


def sliced_distance(x, y, n_projections, patch_size=7):
    """The sliced Wasserstein distance of the patches of two images, of x as many as y has."""
    directions = torch.randn(n_projections, x.shape[1], patch_size, patch_size)
    directions /= directions.flatten(1).norm(dim=1)[:, None, None, None]
    x, y = (F.conv2d(images, directions)[0].flatten(1) for images in (x, y))
    n = min(x.shape[1], y.shape[1])
    x, y = (values if values.shape[1] == n else values[:, torch.randperm(values.shape[1])[:n]] for values in (x, y))
    # In NumPy, which sorts with vector instructions.
    order = torch.from_numpy(np.argsort(x.detach().numpy(), axis=1))
    return F.mse_loss(x.gather(1, order), torch.from_numpy(np.sort(y.numpy(), axis=1)))


def circular(x, patch_size):
    """Images with so much of the opposite border that a patch begins at each pixel."""
    return F.pad(x, (0, patch_size - 1, 0, patch_size - 1), mode="circular")


def gradients(x):
    """Horizontal and vertical gradients of luminance, (1, 2, height - 1, width - 1)."""
    gray = x.mean(1, keepdim=True)
    return torch.cat([gray[..., 1:, :-1] - gray[..., :-1, :-1], gray[..., :-1, 1:] - gray[..., :-1, :-1]], 1)


def figures(sample, image):
    """The metrics of a sample."""
    copied = copied_share(sample, image)
    return (
        patch_distance(sample, image),
        two_sample_auc(sample, image),
        copied.share,
        copied.largest,
        seam_ratio(sample),
    )


def spread(values, digits=2):
    """The mean and the range of values over seeds."""
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def synthesis(args):
    """Each exemplar by each method."""
    head = ["exemplar", "method", "patch distance", "AUC", "copied", "largest copy in pixels", "seam ratio"]
    rows = []
    for name, image in exemplars(args).items():
        found = {"TextureSynthesizer": [], "pixels quilted": [], "GPDM": []}
        for seed in range(args.seeds):
            ours, fitting = fitted(image, seed)
            ways = [
                (partial(ours.sample, 1, seed, size=SIZE), fitting),
                (partial(by_pixels, image, seed, ours), 0.0),
                (partial(gpdm, image, seed), 0.0),
            ]
            shown = []
            for results, (way, before) in zip(found.values(), ways, strict=True):
                sample, seconds = stopwatch(way)
                sample = sample.reshape(*SIZE, *image.shape[2:])
                results.append((*figures(sample, image), before, seconds))
                shown.append(sample)
            if args.sheet and seed == 0:
                save_sheets(args.sheet, name, image, dict(zip(found, shown, strict=True)))
        for method, results in found.items():
            *values, fitting, seconds = zip(*results, strict=True)
            digits = (2, 2, 2, 0, 2)
            cells = [spread(column, n) for column, n in zip(values, digits, strict=True)]
            taken = f"{np.mean(seconds):.1f}"
            rows.append([name, method, *cells, f"{np.mean(fitting):.0f}" if any(fitting) else "", taken])
            print(*rows[-1], sep=" | ", flush=True)
    print(f"### Textures of 512 × 512 from 256 × 256 pixels, mean and range of {args.seeds} seeds\n")
    table([*head, "CPU s to fit", "CPU s"], rows)


def mixes(args):
    """Shares of exemplars, masks, and materials between two."""
    rows, names = [], ("gravel", "grass")
    disk = np.hypot(*(np.indices(SIZE) - 255.5)) < 170
    for seed in range(args.seeds):
        ours, _ = synthesizer(names, seed)
        for weights in WEIGHTS:
            sample, sources = ours.sample(1, seed, size=SIZE, weights=weights, return_sources=True)
            share = (sources[0, 0] == 0).mean()
            rows.append([f"weights={weights}", seed, f"{share:.3f}", f"{abs(share - weights[0]):.3f}"])
        sample, sources = ours.sample(1, seed, size=SIZE, mask=disk, return_sources=True)
        cells = disk.reshape(len(sources[0, 0]), ours.stride_, -1, ours.stride_).mean((1, 3))
        respected = ((sources[0, 0] == 1) == (cells > 0.5))[(cells == 0) | (cells == 1)].mean()
        rows.append(["mask: a disk", seed, f"{respected:.3f} respected", f"seam ratio {seam_ratio(sample):.2f}"])
        if args.sheet and seed == 0:
            shown = {"gravel, a disk of grass": sample[0]}
            shown["weights=(.5, .5)"] = ours.sample(1, seed, size=SIZE, weights=(0.5, 0.5))[0]
            shown["blend=.5"] = ours.sample(1, seed, size=SIZE, blend=0.5)[0]
            pair = np.hstack([bundled()[name] for name in names])
            save_sheets(args.sheet, "mixes", pair, shown, rolled=False)
    print("### Gravel and grass: shares of the first, and masks\n")
    table(["asked", "seed", "share", "difference"], rows)


def speed(args):
    """CPU seconds of samples by size, once the sources are encoded."""
    rows = []
    for name in ("gravel", "tissue"):
        ours, fitting = synthesizer((name,), 0)
        image = bundled()[name]
        _, first = stopwatch(ours.sample, size=(64, 64), random_state=0)
        for side in (256, 512, 1024):
            size = side, side
            taken = [stopwatch(ours.sample, size=size, random_state=seed)[1] for seed in range(args.rounds)]
            pixels = [stopwatch(by_pixels, image, seed, ours, size)[1] for seed in range(args.rounds)]
            cells = (fitting, first, np.median(taken), np.median(pixels))
            rows.append([name, f"{side} × {side}", *(f"{value:.1f}" for value in cells)])
    print(f"### Speed, CPU seconds of one thread, median of {args.rounds} samples\n")
    head = ["exemplar", "size", "fit", "first sample, 64 × 64", "sample", "pixels quilted"]
    table(head, rows)


def save_sheets(folder, name, image, samples, *, rolled=True):
    """Save an exemplar beside samples: with the border of the tile in the middle, and tiled 2 × 2 at half the size."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    middle = [side // 2 for side in SIZE] if rolled else (0, 0)
    shown = {"exemplar": image} | {title: np.roll(sample, middle, (0, 1)) for title, sample in samples.items()}
    sheet(shown, ticks=middle[0]).save(folder / f"textures-{name}.png")
    save_small(
        lambda share: sheet({title: scaled(x, share) for title, x in shown.items()}, ticks=share * middle[0]),
        folder / f"textures-{name}.jpg",
    )
    tiled = {title: scaled(np.concatenate([np.hstack([x, x])] * 2), 0.5) for title, x in samples.items()}
    sheet({"exemplar": scaled(image, 0.5), **tiled}, ticks=SIZE[0] / 2).save(folder / f"textures-{name}-tiled.png")


def save_small(draw, path, limit=150_000):
    """Save what ``draw(share)`` returns as JPEG, at the largest share of its size that takes so many bytes."""
    for share in np.arange(0.8, 0.3, -0.05):
        draw(share).save(path, quality=85, optimize=True)
        if path.stat().st_size <= limit:
            return


def scaled(image, share):
    """An image at another size, uint8."""
    size = [round(share * side) for side in image.shape[:2]]
    return np.rint(255 * resize(image, size, anti_aliasing=True)).astype(np.uint8)


def sheet(images, *, ticks, margin=18, gap=8):
    """Images side by side with their names above, and ticks where the borders of tiles are (0 for none)."""
    height = max(len(image) for image in images.values())
    width = sum(image.shape[1] for image in images.values()) + gap * (len(images) + 1)
    found = Image.new("RGB", (width, height + margin + gap), "white")
    draw, font, left = ImageDraw.Draw(found), ImageFont.load_default(13), gap
    for title, image in images.items():
        found.paste(Image.fromarray(image), (left, margin))
        draw.text((left, 1), title, fill="black", font=font)
        if ticks and title != "exemplar":
            draw.line([(left + ticks, margin - 5), (left + ticks, margin - 1)], fill="black")
            draw.line([(left - 5, margin + ticks), (left - 1, margin + ticks)], fill="black")
        left += image.shape[1] + gap
    return found


PARTS = {part.__name__: part for part in (synthesis, mixes, speed)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--exemplars", nargs="+", choices=bundled(), default=list(bundled()), help="of synthesis")
    parser.add_argument("--images", nargs="+", metavar="FILE", help="exemplars of yours, for synthesis")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="of speed")
    parser.add_argument("--sheet", metavar="DIR", help="a folder for pictures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for part in arguments.only:
        PARTS[part](arguments)
