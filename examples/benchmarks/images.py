"""Images: compression, restoration, features and imputation, each against common alternatives.

    python examples/benchmarks/images.py mnist denoising features --data FILE   # an .npz with X (and y)
    python examples/benchmarks/images.py imputation
    python examples/benchmarks/images.py noisy_only --photos FILE   # an .npz with X; without it scikit-image's

Without ``--data`` MNIST is fetched from OpenML. Tables are Markdown. Of the 60,000 training images 50,000 are
fitted, and figures are those of the other 10,000; of 1,000 of them for denoising, as the filters take their time.
Needs scikit-image and PyWavelets.
"""

import argparse
import time
import warnings

import numpy as np
from quality import load_mnist, pca_error, table
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet, inpaint_biharmonic
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio, structural_similarity
from skae.noise import Compose, GaussianNoise, MaskingNoise

SIDE = 28


def timed(function, *args):
    """The result of a call, and the seconds that it took."""
    start = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - start


def mnist(args):
    """32 components: the share of PCA's error, at equal time and with default parameters."""
    X = load_mnist(args.data)
    A, B = X[:50_000], X[50_000:]
    baseline = pca_error(A, B, 32)
    rows = []

    def measure(name, ae):
        _, seconds = timed(ae.fit, A)
        rows.append([name, ae.n_iter_, f"{seconds:.0f}", f"{-ae.score(B):.5f}", f"{-ae.score(B) / baseline:.3f}"])
        return seconds

    AutoencoderTransformer(32, max_epochs=1).fit(A[:2_000])  # the first fit of a process pays for more than itself
    budget = measure("AutoencoderTransformer, defaults", AutoencoderTransformer(32, random_state=0))
    for name, params in (("defaults", {}), ("channels=(32, 64)", {"module__channels": (32, 64)})):
        taken = [timed(ConvAutoencoder(32, max_epochs=epochs, **params).fit, A)[1] for epochs in (1, 2)]
        epochs = max(1, round(1 + (budget - taken[0]) / (taken[1] - taken[0])))
        measure(
            f"ConvAutoencoder, {name}, the same time", ConvAutoencoder(32, max_epochs=epochs, random_state=0, **params)
        )
    budget = measure("ConvAutoencoder, defaults", ConvAutoencoder(32, random_state=0))
    dense = AutoencoderTransformer(32, max_epochs=round(rows[0][1] * budget / float(rows[0][2])), random_state=0)
    measure("AutoencoderTransformer, the same time", dense)
    print(f"### MNIST, 32 components; PCA's error {baseline:.5f}\n")
    table(["estimator", "epochs", "seconds to fit", "error", "share of PCA's"], rows)


def neighbourhood(damaged):
    """Replace NaN by the mean of neighboring observed pixels, for filters without support for missing values."""
    known = ~np.isnan(damaged)
    filled = []
    for image, mask in zip(np.nan_to_num(damaged), known, strict=True):
        filled.append(gaussian_filter(image, 1) / np.maximum(gaussian_filter(mask.astype(float), 1), 1e-6))
    return np.where(known, damaged, np.stack(filled))


def principal_components(train, damaged, filled):
    """Projections on the first k components, for several k; and the same repeated, until the holes fit."""
    pca = PCA(200, random_state=0).fit(train.reshape(len(train), -1))
    x, start = damaged.reshape(len(damaged), -1), filled.reshape(len(filled), -1)
    known = ~np.isnan(x)
    for k in (20, 30, 40, 60, 80, 120, 200):
        directions, seen = pca.components_[:k], start
        for i in range(1 if known.all() else 30):
            projected = (seen - pca.mean_) @ directions.T @ directions + pca.mean_
            seen = np.where(known, x, projected)
            if i == 0:
                yield "PCA", f"{k} components", projected.reshape(damaged.shape)
        if not known.all():
            yield "PCA, repeated 30 times", f"{k} components", projected.reshape(damaged.shape)


def filters(filled):
    """The classical filters, each with several strengths."""

    def each(function, **params):
        return np.stack([function(image, **params) for image in filled])

    for weight in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5):
        yield "total variation", f"weight={weight}", each(denoise_tv_chambolle, weight=weight)
    for h in (0.05, 0.1, 0.3, 0.4, 0.6):
        for sigma in (0.0, 0.5):
            images = each(denoise_nl_means, patch_size=5, patch_distance=6, h=h, sigma=sigma)
            yield "non-local means", f"h={h}, sigma={sigma}", images
    for method in ("BayesShrink", "VisuShrink"):
        for mode in ("soft", "hard"):
            yield "wavelet", f"{method}, {mode}", each(denoise_wavelet, method=method, mode=mode, rescale_sigma=True)


def denoising(args):
    """Gaussian noise, half of the pixels missing, and both; the others with the parameter that suits them best."""
    X = load_mnist(args.data).reshape(-1, SIDE, SIDE)
    train, clean = X[:50_000], X[50_000:51_000]
    rng = np.random.default_rng(0)
    noisy = clean + rng.normal(scale=0.5, size=clean.shape)
    missing = rng.random(clean.shape) < 0.5
    gaussian, masking = GaussianNoise(0.5 / np.sqrt(train.var(axis=0).mean())), MaskingNoise(0.5)
    tasks = {
        "Gaussian noise, σ = 0.5": (noisy, gaussian),
        "half the pixels missing": (np.where(missing, np.nan, clean), masking),
        "both": (np.where(missing, np.nan, noisy), Compose(gaussian, masking)),
    }
    for task, (damaged, noise) in tasks.items():
        exact = task == "half the pixels missing"  # what is left can be trusted, and every method keeps it

        def finish(images, exact=exact, damaged=damaged):
            return np.where(np.isnan(damaged) | (not exact), images, damaged).clip(0, 1)

        def psnr(images):
            return peak_signal_noise_ratio(clean, images, data_range=1)

        filled = neighbourhood(damaged)
        best = {"nothing, holes from their neighbors": ("", finish(filled))}
        candidates = list(principal_components(train, damaged, filled))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of wavelets, for images as small as these
            candidates += filters(filled)
        if exact:
            holes = [inpaint_biharmonic(np.nan_to_num(image), np.isnan(image)) for image in damaged]
            candidates.append(("biharmonic", "", np.stack(holes)))
        for name, setting, images in candidates:
            images = finish(images)
            if name not in best or psnr(images) > psnr(best[name][1]):
                best[name] = setting, images
        models = {
            "AutoencoderTransformer(256)": AutoencoderTransformer(256, max_epochs=30),
            "ConvAutoencoder(256)": ConvAutoencoder(256, max_epochs=20, module__channels=(32, 64)),
        }
        rows = []
        for name, ae in models.items():
            ae.set_params(noise=noise, missing="mask", random_state=0)
            _, seconds = timed(ae.fit, train)
            best[name] = f"{ae.n_iter_} epochs, {seconds:.0f} s", finish(ae.reconstruct(damaged))
        for name, (setting, images) in best.items():
            ssim = structural_similarity(clean, images, data_range=1)
            rows.append([name, setting, f"{psnr(images):.2f}", f"{ssim:.3f}"])
        print(f"### MNIST, {task}\n")
        table(["method", "setting", "PSNR in dB", "SSIM"], rows)


def features(args):
    """A linear probe on 20,000 labeled codes, and the five nearest neighbors among 50,000."""
    X = load_mnist(args.data)
    y = np.load(args.data)["y"] if args.data else datasets.fetch_openml("mnist_784", version=1).target[:60_000]
    A, B, y_a, y_b = X[:50_000], X[50_000:], y[:50_000], y[50_000:]
    masking = {"noise": MaskingNoise(0.5), "random_state": 0}
    models = {
        "PCA(32)": PCA(32, random_state=0),
        "AutoencoderTransformer(32)": AutoencoderTransformer(32, random_state=0),
        "AutoencoderTransformer(256), masking": AutoencoderTransformer(256, max_epochs=20, **masking),
        "AutoencoderTransformer(512), masking, one hidden layer of 512, no linear skip": AutoencoderTransformer(
            512, max_epochs=12, module__hidden_layer_sizes=(512,), module__linear_skip=False, **masking
        ),
        "ConvAutoencoder(512), masking, no linear skip": ConvAutoencoder(
            512, max_epochs=8, module__linear_skip=False, **masking
        ),
    }
    rows = []
    for name, model in models.items():
        _, seconds = timed(model.fit, A)
        Z_a, Z_b = model.transform(A), model.transform(B)
        inspect_network = make_pipeline(StandardScaler(), LogisticRegression(C=1, max_iter=300))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            linear = inspect_network.fit(Z_a[:20_000], y_a[:20_000]).score(Z_b, y_b)
        nearest = KNeighborsClassifier(5).fit(Z_a, y_a).score(Z_b, y_b)
        rows.append([name, f"{seconds:.0f}", f"{linear:.4f}", f"{nearest:.4f}"])
    print("### MNIST, features\n")
    table(["model", "seconds to fit", "linear probe, 20,000 labels", "5-NN, 50,000"], rows)


def imputation(_):
    """Digits with 30 % of the values missing, in training and in test: error over the missing ones, five splits."""
    X = datasets.load_digits().data
    settings = {"missing": "mask", "noise": MaskingNoise(0.3)}
    models = {
        "SimpleImputer": lambda seed: SimpleImputer(keep_empty_features=True),
        "KNNImputer": lambda seed: KNNImputer(keep_empty_features=True),
        "IterativeImputer": lambda seed: IterativeImputer(random_state=seed, keep_empty_features=True),
        "AutoencoderTransformer(16)": lambda seed: AutoencoderTransformer(16, random_state=seed, **settings),
        "AutoencoderTransformer(16, max_epochs=300)": lambda seed: AutoencoderTransformer(
            16, max_epochs=300, random_state=seed, **settings
        ),
        "ConvAutoencoder(16)": lambda seed: ConvAutoencoder(16, random_state=seed, **settings),
    }
    errors, seconds = {name: [] for name in models}, {name: [] for name in models}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        train, test = train_test_split(X, test_size=0.3, random_state=seed)
        damaged = [np.where(rng.random(A.shape) < 0.3, np.nan, A) for A in (train, test)]
        holes = np.isnan(damaged[1])
        for name, make in models.items():
            model = make(seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                seconds[name].append(timed(model.fit, damaged[0])[1])
                fill = model.transform if name.endswith("Imputer") else model.reconstruct
                errors[name].append(np.sqrt(((fill(damaged[1]) - test)[holes] ** 2).mean()))
    rows = [
        [name, f"{np.mean(values):.3f}", f"{min(values):.3f} to {max(values):.3f}", f"{np.mean(seconds[name]):.1f}"]
        for name, values in errors.items()
    ]
    print("### digits in 0..16, 30 % of the values missing, 5 splits\n")
    table(["imputer", "RMSE over missing values", "range", "seconds to fit"], rows)


def noisy_only(args):
    """Photographs with Gaussian noise of σ = 25, without clean ones: patches are trained to predict hidden pixels.

    Only predictions of hidden pixels are taken, from two masks of every patch, and averaged where patches overlap.
    """
    rng, sigma, side = np.random.default_rng(0), 25 / 255, 8
    rows = []
    for i in (3, 50, 120):
        clean = load_photographs(args.photos)[i] / 255
        noisy = clean + sigma * rng.normal(size=clean.shape)
        means = denoise_nl_means(noisy, h=0.8 * sigma, sigma=sigma, patch_size=5, patch_distance=6)
        row = [i, *(f"{peak_signal_noise_ratio(clean, A.clip(0, 1), data_range=1):.2f}" for A in (noisy, means))]
        patches = extract_patches_2d(noisy, (side, side))
        flat = patches.reshape(len(patches), -1)
        some = rng.permutation(len(flat))[:20_000]
        compressed = AutoencoderTransformer(8, max_epochs=20, random_state=0).fit(flat[some])
        X_hat = compressed.reconstruct(flat).reshape(patches.shape)
        image = reconstruct_from_patches_2d(X_hat, clean.shape)
        row.append(f"{peak_signal_noise_ratio(clean, image.clip(0, 1), data_range=1):.2f}")
        for hidden_only in (False, True):
            noise = MaskingNoise(0.3, hidden_only=hidden_only)
            ae = AutoencoderTransformer(32, noise=noise, missing="mask", max_epochs=20, random_state=0).fit(flat[some])
            total, count = np.zeros(clean.shape), np.zeros(clean.shape)
            for _ in range(2):
                hidden = rng.random(flat.shape) < noise.fraction
                predicted = np.where(hidden, ae.reconstruct(np.where(hidden, np.nan, flat)), 0)
                for A, out in ((predicted, total), (hidden.astype(float), count)):
                    # reconstruct_from_patches_2d takes means over all patches, of both alike.
                    out += reconstruct_from_patches_2d(A.reshape(patches.shape), clean.shape)
            image = (total / np.maximum(count, 1e-9)).clip(0, 1)
            row.append(f"{peak_signal_noise_ratio(clean, image, data_range=1):.2f}")
        rows.append(row)
    print("### Photographs, Gaussian noise of σ = 25, PSNR in dB, nothing clean to learn from\n")
    head = [
        "photograph",
        "noisy",
        "non-local means, σ given",
        "8 components",
        "masks, all values",
        "masks, hidden_only",
    ]
    table(head, rows)


def load_photographs(path):
    """Gray photographs in 0..255; scikit-image's when there is no file."""
    if path is not None:
        return np.load(path)["X"]
    return {3: data.camera()[100:280, 150:330], 50: data.coins()[:180, :180], 120: data.moon()[:180, :180]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["mnist", "denoising", "features", "imputation", "noisy_only"])
    parser.add_argument("--data", help="an .npz file with MNIST's images as X and their digits as y")
    parser.add_argument("--photos", help="an .npz file with gray photographs as X, for noisy_only")
    arguments = parser.parse_args()
    for what in arguments.what:
        globals()[what](arguments)
