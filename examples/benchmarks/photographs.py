"""Photographs: denoising against classical filters, several levels of noise at once, speed and memory.

    python examples/benchmarks/photographs.py --data FILE                        # an .npz with gray photographs as X
    python examples/benchmarks/photographs.py --data FILE --only denoise levels  # parts of it
    python examples/benchmarks/photographs.py --only one_photograph memory       # these need no file

Networks are trained on X, in 0..255, and evaluated on seven photographs of scikit-image and scikit-learn, in gray and
at most 512 pixels wide. The classical filters have the parameters that suit these photographs best. ``--batches`` is
how long each network is trained. Seconds are those of a clock, CPU seconds those of all cores. Needs scikit-image and
PyWavelets; ``--picture FILE`` draws some of the images, with matplotlib.
"""

import argparse
import multiprocessing
import resource
import time
import warnings
from functools import cache, partial

import numpy as np
import torch
from quality import table
from skimage import data
from skimage.color import rgb2gray
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet
from skimage.transform import resize
from sklearn import config_context
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from skorch.callbacks import Callback
from torch.nn.functional import interpolate

from skae import AutoencoderTransformer, ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio
from skae.noise import GaussianNoise

SIDE, BATCH, EPOCHS = 512, 16, 10
# A network as wide at half the size of the image, with more channels of the code than there are pixels: it starts as
# the identity and learns what the noise is.
NETWORK = {
    "n_components": 64,
    "module__channels": (64,),  # (96,) gives as much in the same time with bf16 on a processor that has AMX
    "module__n_residual_blocks": 2,
    "module__downsampling": "unshuffle",
    "module__upsampling": "shuffle",
    "module__activation": "relu",
    "module__dense": False,
}
TRAINING = {
    "crop_size": 48,
    "augmentation": "flip_rotate",
    "batch_size": BATCH,
    "max_epochs": EPOCHS,
    "early_stopping": False,
    "precision": "bf16",
    "random_state": 0,
}


class Stopwatch:
    """Seconds of the clock and of all cores, from here on."""

    def __init__(self):
        self.start = time.perf_counter(), time.process_time()

    def read(self):
        """The seconds so far."""
        return time.perf_counter() - self.start[0], time.process_time() - self.start[1]


@cache
def photographs():
    """Seven photographs in gray, in 0..255, of at most 512 pixels along a side."""
    images = {name: getattr(data, name)() for name in ("astronaut", "camera", "chelsea", "coffee", "rocket")}
    images |= zip(("china", "flower"), load_sample_images().images, strict=True)
    found = {}
    for name, image in images.items():
        gray = rgb2gray(image) if image.ndim == 3 else image / 255
        scale = min(1, SIDE / max(gray.shape))
        size = [round(scale * side) for side in gray.shape]
        found[name] = (255 * (resize(gray, size, anti_aliasing=True) if scale < 1 else gray)).astype(np.float32)
    return found


@cache
def noisy_photographs(sigma):
    """The photographs with Gaussian noise."""
    rng = np.random.default_rng(0)
    return {
        name: (image + rng.normal(scale=sigma, size=image.shape)).astype(np.float32)
        for name, image in photographs().items()
    }


def psnr(clean, image):
    """PSNR in dB of an image in 0..255."""
    return peak_signal_noise_ratio(clean[None], image.clip(0, 255)[None].astype(clean.dtype), data_range=255)


def mean_psnr(images):
    """The mean over the photographs of a dict of images."""
    return float(np.mean([psnr(clean, images[name]) for name, clean in photographs().items()]))


def filters(sigma, *, thorough):
    """The names, settings and functions of classical filters for images in 0..1."""
    s = sigma / 255
    sizes = [(True, 5, 6), (True, 5, 9), (True, 7, 9), (True, 7, 11)] + thorough * [(False, 5, 6), (False, 7, 9)]
    for fast, patch, distance in sizes:
        for h in (0.5, 0.6, 0.7, 0.8, 1.0) if fast else (0.8, 1.0, 1.2):
            for known in (0.0, s) if fast else (s,):
                way = {"fast_mode": fast, "patch_size": patch, "patch_distance": distance, "h": h * s, "sigma": known}
                setting = f"patch {patch}, distance {distance}, h={h}σ" + ", σ given" * (known > 0) + ", fast" * fast
                yield "non-local means", setting, partial(denoise_nl_means, **way)
    for weight in (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0):
        yield "total variation", f"weight={weight}σ", partial(denoise_tv_chambolle, weight=weight * s)
    for method in ("BayesShrink", "VisuShrink"):
        for mode in ("soft", "hard"):
            for share in (0.5, 0.75, 1.0):
                way = {"method": method, "mode": mode, "sigma": share * s, "rescale_sigma": True}
                yield "wavelets", f"{method}, {mode}, {share}σ", partial(denoise_wavelet, **way)


def best_filters(sigma, *, thorough=False):
    """The best setting of each filter for all photographs, its images, and its seconds."""
    best = {}
    for name, setting, function in filters(sigma, thorough=thorough):
        watch = Stopwatch()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of levels of wavelets
            images = {key: 255 * function(image / 255) for key, image in noisy_photographs(sigma).items()}
        if name not in best or mean_psnr(images) > mean_psnr(best[name][1]):
            best[name] = setting, images, watch.read()
    return best


def denoiser(level, batches, **params):
    """A ConvAutoencoder for gray or color photographs in 0..255 with noise of a level, or of a range of levels."""
    n_crops = max(1, batches // EPOCHS) * BATCH
    return ConvAutoencoder(
        **NETWORK, **{**TRAINING, "n_crops": n_crops, **params}, noise=GaussianNoise(level, unit="data")
    )


@cache
def trained(path, batches, level):
    """A network fitted to X, and its seconds."""
    watch = Stopwatch()
    return denoiser(level, batches).fit(np.load(path)["X"]), watch.read()


def denoised(ae, sigma):
    """The photographs, denoised."""
    return {name: ae.reconstruct(image[None])[0] for name, image in noisy_photographs(sigma).items()}


def denoise(args):
    """Gaussian noise of σ = 25."""
    sigma = 25
    found = {"nothing": ("", noisy_photographs(sigma), None)} | best_filters(sigma, thorough=True)
    ae, fitting = trained(args.data, args.batches, sigma)
    watch = Stopwatch()
    images = denoised(ae, sigma)
    setting = f"{args.batches} batches: {fitting[0]:.0f} s, {fitting[1]:.0f} CPU s"
    found["ConvAutoencoder"] = setting, images, watch.read()
    rows = []
    for name, (setting, images, seconds) in found.items():
        each = [f"{psnr(clean, images[key]):.2f}" for key, clean in photographs().items()]
        taken = "" if seconds is None else f"{seconds[1]:.1f}"
        rows.append([name, setting, f"{mean_psnr(images):.2f}", *each, taken])
    print("### Gray photographs, Gaussian noise of σ = 25 of 255, PSNR in dB\n")
    table(["method", "setting", "mean", *photographs(), "CPU s for all"], rows)
    if args.picture:
        names = ("noisy", "nothing"), ("non-local means", "non-local means"), ("ConvAutoencoder", "ConvAutoencoder")
        draw(args.picture, {title: found[name][1] for title, name in names})


def draw(path, columns):
    """Save a picture of three photographs, a row for each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = ("astronaut", "china", "chelsea")
    fig, axes = plt.subplots(len(shown), 1 + len(columns), figsize=(16, 12), layout="constrained")
    for row, name in zip(axes, shown, strict=True):
        clean = photographs()[name]
        part = tuple(slice((side - 240) // 3, (side - 240) // 3 + 240) for side in clean.shape)
        for ax, title, image in zip(
            row, ("clean", *columns), (clean, *(images[name] for images in columns.values())), strict=True
        ):
            ax.imshow(image[part], cmap="gray", vmin=0, vmax=255)
            ax.set_title(title if title == "clean" else f"{title}, {psnr(clean, image):.2f} dB", fontsize=10)
            ax.axis("off")
    fig.savefig(path, dpi=80)


def levels(args):
    """One network for σ from 0 to 55 against one for each level."""
    one, taken = trained(args.data, args.batches, (0, 55))
    rows = []
    for sigma in (15, 25, 50):
        own, own_taken = trained(args.data, args.batches, sigma)
        means = [mean_psnr(images) for images in (denoised(own, sigma), denoised(one, sigma))]
        classical = [f"{mean_psnr(images):.2f}" for _, images, _ in best_filters(sigma).values()]
        nothing = mean_psnr(noisy_photographs(sigma))
        seconds = f"{own_taken[0]:.0f} s, {own_taken[1]:.0f} CPU s"
        rows.append(
            [sigma, f"{nothing:.2f}", *classical, *(f"{m:.2f}" for m in means), f"{means[1] - means[0]:+.2f}", seconds]
        )
    print(f"### Gray photographs, levels of noise; one network for all: {taken[0]:.0f} s, {taken[1]:.0f} CPU s\n")
    head = ["σ", "noisy", "non-local means", "total variation", "wavelets", "a network for σ", "one for all"]
    table([*head, "difference", "a network for σ, fit"], rows)


def halved(images):
    """Images (n, height, width) of even sides at half the size: bicubic interpolation with an antialiasing filter."""
    small = interpolate(torch.from_numpy(images)[:, None], scale_factor=0.5, mode="bicubic", antialias=True)
    return small[:, 0].numpy()


def super_resolution(args):
    """Twice the size, from images at half of theirs."""
    X = np.load(args.data)["X"].astype(np.float32)
    # At the size of its input, whose every pixel counts; the last convolution makes four pixels of each.
    network = NETWORK | {"module__downsampling": None}
    watch = Stopwatch()
    way = {"n_crops": max(1, args.batches // EPOCHS) * BATCH, "crop_size": 24}
    ae = ConvAutoencoder(**network, **TRAINING | way).fit(halved(X), X_target=X)
    fitting = watch.read()
    rows = []
    for name, image in photographs().items():
        clean = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
        small = halved(clean[None])
        bicubic = interpolate(torch.from_numpy(small)[:, None], scale_factor=2, mode="bicubic")[0, 0].numpy()
        rows.append([name, psnr(clean, bicubic), psnr(clean, ae.reconstruct(small)[0])])
    rows.append(["mean", *np.mean([row[1:] for row in rows], axis=0)])
    rows = [[name, f"{a:.2f}", f"{b:.2f}", f"{b - a:+.2f}"] for name, a, b in rows]
    print(f"### Twice the size, PSNR in dB; fit: {fitting[0]:.0f} s, {fitting[1]:.0f} CPU s\n")
    table(["photograph", "bicubic", "ConvAutoencoder", "difference"], rows)


def one_photograph(args):
    """A color photograph with noise of σ = 25, trained on the clean one or on its patches."""
    rows = []
    for name in ("chelsea", "astronaut"):
        photo = getattr(data, name)()
        noisy = (photo + np.random.default_rng(0).normal(scale=25, size=photo.shape)).astype(np.float32)
        ways = [("nothing", lambda noisy, photo: noisy)]
        for h in (0.5, 0.6, 0.7, 0.8):
            ways.append((f"non-local means, h={h}σ", partial(color_means, h=h)))
        ways += [("patches of 8 × 8, AutoencoderTransformer", by_patches)]
        ways += [("ConvAutoencoder", partial(by_crops, batches=args.batches // 3))]
        for method, restore in ways:
            watch = Stopwatch()
            image = restore(noisy, photo)
            seconds = watch.read()
            clean = photo.astype(np.float32)
            rows.append([name, method, f"{psnr(clean, image):.2f}", f"{seconds[0]:.0f}", f"{seconds[1]:.0f}"])
    print("### A color photograph, Gaussian noise of σ = 25, trained on its own clean crops or patches\n")
    table(["photograph", "method", "PSNR in dB", "seconds", "CPU seconds"], rows)


def color_means(noisy, _, h):
    """Non-local means of a color image."""
    way = {"h": h * 25 / 255, "sigma": 25 / 255, "patch_size": 5, "patch_distance": 6}
    return 255 * denoise_nl_means(noisy / 255, **way, channel_axis=-1)


def by_patches(noisy, photo):
    """Reconstruct all patches, and take means where they overlap."""
    patches = extract_patches_2d(photo, (8, 8), max_patches=30_000, random_state=0)
    ae = AutoencoderTransformer(48, noise=GaussianNoise(25, unit="data"), max_epochs=20, random_state=0)
    ae.fit(patches.reshape(len(patches), -1))
    patches = extract_patches_2d(noisy, (8, 8))
    restored = ae.reconstruct(patches.reshape(len(patches), -1)).reshape(patches.shape)
    return reconstruct_from_patches_2d(restored, noisy.shape)


def by_crops(noisy, photo, batches):
    """Train on crops of the clean photograph."""
    return denoiser(25, batches).fit([photo]).reconstruct(noisy[None])[0]


class EpochSeconds(Callback):
    """The seconds of each epoch, of all cores."""

    def on_epoch_begin(self, net, **kwargs):
        """Start the watch."""
        self.watch = Stopwatch()

    def on_epoch_end(self, net, **kwargs):
        """Read it."""
        net.history.record("watch", self.watch.read())


def speed(args):
    """An epoch of crops, and the reconstruction of an image, against the same network by hand."""
    rows, n = [], 40
    X = np.load(args.data)["X"] if args.data else np.stack([data.camera()[:180, :180], data.moon()[:180, :180]] * 8)
    for precision in ("float32", "bf16"):
        way = {"n_crops": n * BATCH, "precision": precision, "max_epochs": 1, "lr_schedule": None}
        ae = denoiser(25, 1, **way, callbacks=[EpochSeconds()]).fit(X)
        crops = torch.from_numpy(X[:, None, :48, :48].astype(np.float32)).repeat(-(-n * BATCH // len(X)), 1, 1, 1)
        crops = (crops[: n * BATCH] - 114) / 60
        taken = {"skae": [], "by hand": []}
        for _ in range(args.rounds):
            ae.fit(X)
            taken["skae"].append(ae.net_.history[-1, "watch"])
            taken["by hand"].append(epoch_by_hand(ae, crops, precision))
        rows.append([f"epoch of {n * BATCH} crops, {precision}", *compared(taken)])
    image = noisy_photographs(25)["camera"]
    taken = {"skae": [], "by hand": []}
    for _ in range(3 * args.rounds):
        watch = Stopwatch()
        ae.reconstruct(image[None])
        taken["skae"].append(watch.read())
        network, u = ae.module_.network.eval(), torch.from_numpy((image[None, None] - 114) / 60)
        watch = Stopwatch()
        with torch.no_grad():
            network.decode(network.encode(u), image.shape)
        taken["by hand"].append(watch.read())
    rows.append(["an image of 512 × 512", *compared(taken)])
    print(f"### Speed, CPU seconds, median of {args.rounds} rounds\n")
    table(["what", "skae", "by hand", "ratio", "lowest and highest ratio"], rows)


def compared(taken):
    """The medians of CPU seconds and of their ratio."""
    ours, others = (np.array(taken[name])[:, 1] for name in ("skae", "by hand"))
    ratios = ours / others
    ends = f"{ratios.min():.2f} to {ratios.max():.2f}"
    return [f"{np.median(ours):.3f}", f"{np.median(others):.3f}", f"{np.median(ratios):.2f}", ends]


def epoch_by_hand(ae, crops, precision):
    """Train the network of a fitted estimator for an epoch, on standardized crops; return the seconds."""
    network, size = ae.module_.network.train(), crops.shape[2:]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
    watch = Stopwatch()
    for index in torch.randperm(len(crops)).split(BATCH):
        clean = crops[index]
        noisy = clean + 25 / 60 * torch.randn_like(clean)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found = network.decode(network.encode(noisy), size)
        loss = (found.float() - clean).square().sum() / len(clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return watch.read()


def memory(args):
    """A photograph of 24 megapixels in a process of its own, and tiles against the whole."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for shape in ((4000, 6000), (4000, 6000, 3)):
        with context.Pool(1) as pool:
            rows.append(pool.apply(large_image, (shape,)))
    print("### A photograph of 24 megapixels, uint8, in a process of its own\n")
    table(["shape", "seconds", "CPU seconds", "peak before in MB", "peak in MB"], rows)
    ae = denoiser(25, 3 * EPOCHS).fit([data.camera()])
    image = resize(data.camera(), (1500, 1100), preserve_range=True).astype(np.float32)[None]
    found = []
    for megabytes in (256, 2**20):
        with config_context(working_memory=megabytes):
            found.append(ae.reconstruct(image))
    difference = np.abs(found[0] - found[1]).max() / np.ptp(found[1])
    print(f"An image of 1500 × 1100 in tiles, the largest difference to the whole: {difference:.1e} of the range\n")


def large_image(shape):
    """Reconstruct a photograph with arbitrary weights, to measure time and memory."""
    small = data.astronaut() if len(shape) == 3 else data.camera()
    ae = denoiser(25, EPOCHS, max_epochs=0).fit([small])
    tiles = [-(-a // b) for a, b in zip(shape, small.shape, strict=True)]
    image = np.tile(small, tiles)[: shape[0], : shape[1]]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    watch = Stopwatch()
    ae.reconstruct(image[None])
    seconds = watch.read()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return ["×".join(map(str, shape)), *(f"{s:.0f}" for s in seconds), f"{before:.0f}", f"{peak:.0f}"]


PARTS = {part.__name__: part for part in (denoise, levels, super_resolution, one_photograph, speed, memory)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="an .npz file with gray photographs as X, uint8, of one size")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--batches", type=int, default=4_000, help="of the training of each network")
    parser.add_argument("--rounds", type=int, default=9, help="of the part speed")
    parser.add_argument("--picture", help="a file for a picture of the part denoise")
    arguments = parser.parse_args()
    if arguments.data is None and {"denoise", "levels", "super_resolution"} & set(arguments.only):
        parser.error("denoise, levels and super_resolution need --data")
    for name in arguments.only:
        PARTS[name](arguments)
