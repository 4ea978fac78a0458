"""Generative models: likelihoods, samples, conditions and tables, each with a baseline.

    python examples/benchmarks/generation.py likelihood samples conditional --data FILE   # an .npz with X and y
    python examples/benchmarks/generation.py beta tables disentanglement

Without ``--data`` MNIST is fetched from OpenML. Tables are Markdown. Of the 60,000 training images of MNIST 50,000 are
fitted; figures are those of the other 10,000. Distances are measured in the last hidden layer of a small convolutional
classifier that is trained on the 50,000 first. `tables` compares with TVAE where the package ctgan is installed.
"""

import argparse
import time
import warnings

import matplotlib as mpl
import numpy as np
import torch
from quality import load_mnist, table
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import VAEGenerator, metrics
from skae.bottlenecks import MMD, SquaredNorm, TotalCorrelation
from skae.datasets import make_sprites

N_SAMPLES = 10_000


def load_labels(path):
    """The digits of MNIST's images."""
    y = np.load(path)["y"] if path else datasets.fetch_openml("mnist_784", version=1, as_frame=False).target[:60_000]
    return y.astype(int)


def timed(function, *args):
    """The result of a call, and the seconds that it took."""
    start = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - start


class Features:
    """A convolutional classifier of flat square images: the activations of its last hidden layer, and its classes."""

    def __init__(self, X, y, epochs=3):
        torch.manual_seed(0)
        side = int(X.shape[1] ** 0.5)
        self.features = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(64 * (side // 4) ** 2, 128), nn.ReLU()),
        )
        self.head = nn.Linear(128, int(y.max()) + 1)
        parameters = [*self.features.parameters(), *self.head.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=2e-3)
        steps = epochs * (len(X) // 128)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        for _ in range(epochs):
            for index in torch.randperm(len(X))[: len(X) // 128 * 128].split(128):
                loss = nn.functional.cross_entropy(self.head(self.features(X[index])), y[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()

    @torch.no_grad()
    def transform(self, X):
        """Features of rows, (n, 128)."""
        return torch.cat([self.features(part) for part in torch.from_numpy(X).float().split(1000)]).numpy()

    @torch.no_grad()
    def predict(self, X):
        """The classes that rows show."""
        return self.head(torch.from_numpy(self.transform(X))).argmax(1).numpy()


def likelihood(args):
    """Binarised MNIST: bounds of the log-likelihood in nats."""
    X = load_mnist(args.data)
    X = (np.random.default_rng(0).random(X.shape) < X).astype(np.float32)
    A, B = X[:50_000], X[50_000:]
    wide = {"module__hidden_layer_sizes": (500, 500), "max_epochs": 30, "batch_size": 256}
    tanh = wide | {"module__activation": "tanh", "module__linear_skip": False}
    rows = []
    for name, params in (
        ("defaults", {"max_epochs": 30}),
        ("hidden_layer_sizes=(500, 500)", wide),
        ("the same, tanh, no linear skip", tanh),
    ):
        vae = VAEGenerator(40, loss="bernoulli", prior=None, random_state=0, **params)
        _, seconds = timed(vae.fit, A)
        elbo = vae.score(B)
        bound = vae.score(B, n_importance_samples=500)
        rows.append([name, vae.n_iter_, f"{seconds:.0f}", f"{elbo:.2f}", f"{bound:.2f}", vae.active_units_])
    print("### MNIST, each pixel drawn once as 0 or 1 with its gray value as the probability; 40 components\n")
    table(["parameters", "epochs", "seconds to fit", "ELBO", "bound of 500 samples", "active units"], rows)


def skip(args):
    """MNIST, 16 components, 5 epochs: convolutions with the linear skip and without."""
    X = load_mnist(args.data)
    A, B = X[:50_000], X[50_000:]
    rows = []
    for name, params in (
        ("a skip that starts as probabilistic PCA", {"module__linear_skip": True}),
        ("none, the default", {}),
        ("none, lr=4e-3", {"lr": 4e-3}),
    ):
        vae = VAEGenerator(16, module="conv", max_epochs=args.epochs or 5, prior=None, random_state=0, **params)
        _, seconds = timed(vae.fit, A)
        error = ((vae.reconstruct(B) - B) ** 2).mean()
        rows.append([name, f"{seconds:.0f}", f"{vae.score(B):.1f}", f"{error:.5f}"])
    print("### MNIST, convolutional, 16 components, 5 epochs\n")
    table(["linear skip", "seconds to fit", "ELBO", "squared error"], rows)


def samples(args):
    """MNIST, 16 components: Fréchet distances of samples from N(0, I) and from fitted densities."""
    X, y = load_mnist(args.data), load_labels(args.data)
    A, B = X[:50_000], X[50_000:]
    features = Features(A, y[:50_000])
    accuracy = (features.predict(B) == y[50_000:]).mean()
    conv = {"module": "conv", "lr": 4e-3, "max_epochs": args.epochs or 10, "random_state": 0}
    models = {
        "VAE, channels=(32, 64)": VAEGenerator(16, module__channels=(32, 64), **conv),
        "VAE": VAEGenerator(16, **conv),
        "WAE (MMD), squared error": VAEGenerator(16, bottleneck=MMD(), loss="squared_error", **conv),
        "RAE (SquaredNorm), squared error": VAEGenerator(16, bottleneck=SquaredNorm(), loss="squared_error", **conv),
        "VAE, module='mlp', defaults": VAEGenerator(16, max_epochs=30, random_state=0),
    }
    rows = [["10,000 of the images fitted", "", "", *figures(features, A, B, A[:N_SAMPLES])[:-1], ""]]
    pictures = {"real": B[:64]}
    for name, model in models.items():
        _, seconds = timed(model.fit, A)
        found = figures(features, A, B, model.reconstruct(B))
        rows.append([name, f"{seconds:.0f}", "reconstructions", *found])
        if model.module_.bottleneck.standard_normal:
            drawn = model.set_params(prior=None).sample(N_SAMPLES, random_state=0, noisy=False)
            rows.append([name, "", "N(0, I)", *figures(features, A, B, drawn)])
            pictures[f"{name}, N(0, I)"] = drawn[:64]
        drawn = model.set_params(prior="mixture").sample(N_SAMPLES, random_state=0, noisy=False)
        rows.append([name, "", f"mixture of {model.prior_.n_components}", *figures(features, A, B, drawn)])
        pictures[f"{name}, mixture"] = drawn[:64]
    print(f"### MNIST, 16 components, 10,000 samples; the classifier is right on {accuracy:.2%}\n")
    head = ["model", "seconds to fit", "codes from", "Fréchet", "kernel", "precision", "recall", "density", "coverage"]
    table([*head, "nearest training row"], rows)
    if args.pictures:
        draw(args.pictures, pictures)


def figures(features, A, B, generated):
    """Metrics of generated samples, compared with held-out samples."""
    real = features.transform(B)
    made = features.transform(generated)
    covered = metrics.precision_recall_density_coverage(real[:5000], made[:5000])
    copied = metrics.memorization(A, generated[:1000], B[:1000])
    return [
        f"{metrics.frechet_distance(real, made):.2f}",
        f"{metrics.kernel_distance(real, made):.4f}",
        *(f"{value:.3f}" for value in covered),
        f"{copied.ratio:.2f}",
    ]


def draw(path, pictures):
    """One picture of 8 × 8 samples for each model."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(3, -(-len(pictures) // 3), figsize=(4 * -(-len(pictures) // 3), 12.6))
    for ax, (name, rows) in zip(axes.flat, pictures.items(), strict=False):
        ax.imshow(rows.reshape(8, 8, 28, 28).swapaxes(1, 2).reshape(224, 224), cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(name, fontsize=9)
    for ax in axes.flat:
        ax.axis("off")
    figure.savefig(path, dpi=90, bbox_inches="tight")


def conditional(args):
    """MNIST: how often a classifier of real digits predicts the requested digit."""
    X, y = load_mnist(args.data), load_labels(args.data)
    A, B, y_a, y_b = X[:50_000], X[50_000:], y[:50_000], y[50_000:]
    features = Features(A, y_a)
    asked = np.arange(N_SAMPLES) % 10
    rows = [["the other 10,000 images", "", f"{(features.predict(B) == y_b).mean():.4f}", ""]]
    conv = {"module": "conv", "lr": 4e-3, "max_epochs": args.epochs or 10}
    pictures = {"real": B[:64]}
    for name, params in (("mlp", {"max_epochs": 30}), ("conv", conv)):
        vae = VAEGenerator(16, conditional=True, random_state=0, **params)
        _, seconds = timed(vae.fit, A, y_a)
        for prior in ("mixture", None):
            vae.set_params(prior=prior)
            drawn = vae.sample(N_SAMPLES, random_state=0, y=asked, noisy=False)
            agreement = (features.predict(drawn) == asked).mean()
            distance = metrics.frechet_distance(features.transform(B), features.transform(drawn))
            rows.append(
                [f"{name}, codes from {prior or 'N(0, I)'}", f"{seconds:.0f}", f"{agreement:.4f}", f"{distance:.2f}"]
            )
            pictures[f"{name}, {prior}"] = drawn[:640].reshape(64, 10, -1)[:8, :8].reshape(64, -1)
    print("### MNIST, conditional, 16 components: agreement of a classifier with the digit asked for\n")
    table(["VAEGenerator(16, conditional=True)", "seconds to fit", "agreement", "Fréchet"], rows)
    if args.pictures:
        draw(args.pictures, pictures)


def beta(_):
    """Digits: effect of β on the two terms."""
    X = datasets.load_digits().data
    train, test = train_test_split(X, test_size=0.3, random_state=0)
    rows = []
    for weight in (0.01, 0.1, 1.0, 10.0, 100.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large beta collapses, and says so
            vae = VAEGenerator(8, beta=weight, random_state=0).fit(train)
        mean, std = vae.transform_distribution(test)
        divergence = 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).sum(1).mean()
        error = ((vae.reconstruct(test) - test) ** 2).mean()
        rows.append([weight, f"{divergence:.2f}", f"{error:.3f}", f"{vae.score(test):.2f}", vae.active_units_])
    print("### digits, 8 components, mean of held-out rows\n")
    table(["beta", "KL, nats", "squared error", "ELBO", "active units"], rows)


def synthesize(name, X, y, seed):
    """Return samples of a model of a table, and their classes."""
    if name == "GaussianMixture":
        parts = []
        for label in np.unique(y):
            part = X[y == label]
            mixture = GaussianMixture(2, reg_covar=1e-3, random_state=seed).fit(part)
            parts.append((mixture.sample(len(part))[0], np.full(len(part), label)))
        return tuple(map(np.concatenate, zip(*parts, strict=True)))
    if name == "TVAE":
        import pandas as pd
        from ctgan import TVAE

        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (what it draws from)
        frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]).assign(y=y)
        model = TVAE(epochs=300)
        model.fit(frame, ["y"])
        made = model.sample(len(X))
        return made.drop(columns="y").to_numpy(), made["y"].to_numpy().astype(y.dtype)
    vae = VAEGenerator(8, conditional=True, random_state=seed).fit(X, y)
    return vae.sample(len(X), random_state=seed, y=y, noisy=name.endswith("noisy")), y


def tables(_):
    """Train on generated samples and test on real ones, compared with training on real ones."""
    makers = ["VAEGenerator", "VAEGenerator, noisy", "GaussianMixture"]
    try:
        import ctgan  # noqa: F401

        makers.append("TVAE")
    except ImportError:
        print("ctgan is not installed: TVAE is left out.\n")
    classifiers = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
        "random forest": RandomForestClassifier(200, random_state=0),
    }
    rows = []
    for table_name in ("breast_cancer", "wine", "iris", "digits"):
        X, y = getattr(datasets, f"load_{table_name}")(return_X_y=True)
        results = {maker: [] for maker in ["real", *makers]}
        for seed in range(5):
            A, B, y_a, y_b = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
            scaler = StandardScaler().fit(A)
            A, B = scaler.transform(A), scaler.transform(B)
            for maker in results:
                if maker == "TVAE" and table_name == "digits":
                    continue  # 64 columns of counts: it takes half an hour
                made, labels = (A, y_a) if maker == "real" else synthesize(maker, A, y_a, seed)
                results[maker].append([c.fit(made, labels).score(B, y_b) for c in classifiers.values()])
        real = np.mean(results["real"], axis=0)
        for maker, found in results.items():
            if found:
                mean = np.mean(found, axis=0)
                share = [f"{value:.3f} ({value / best:.3f})" for value, best in zip(mean, real, strict=True)]
                rows.append([table_name, maker, *share])
    print(
        "### tables, standardized: accuracy on real rows, and its share of that of a training on real rows; 5 splits\n"
    )
    table(["table", "trained on", *classifiers], rows)


def disentanglement(args):
    """Synthetic sprites, 8 components: MIG, SAP and DCI."""
    X, factors = make_sprites(image_size=16)
    rows = []
    chosen = np.random.default_rng(0).permutation(len(X))[:4000]
    conv = {"module": "conv", "lr": 4e-3, "max_epochs": args.epochs or 15}
    models = {
        "PCA": lambda seed: PCA(8, random_state=seed),
        "VAE": lambda seed: VAEGenerator(8, loss="bernoulli", prior=None, random_state=seed, **conv),
        "β-VAE, 4": lambda seed: VAEGenerator(8, beta=4, loss="bernoulli", prior=None, random_state=seed, **conv),
        "β-TCVAE, 6": lambda seed: VAEGenerator(
            8, bottleneck=TotalCorrelation(6), loss="bernoulli", prior=None, random_state=seed, **conv
        ),
    }
    for name, make in models.items():
        found, seconds = [], 0.0
        for seed in range(1 if name == "PCA" else 3):
            model = make(seed)
            rows_in = X.reshape(len(X), -1) if name == "PCA" else X
            _, taken = timed(model.fit, rows_in)
            seconds += taken / (1 if name == "PCA" else 3)
            Z = model.transform(rows_in[chosen])
            found.append(metrics.disentanglement(Z, factors[chosen], random_state=0))
        values = np.array(found)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(0), values.std(0), strict=True)]
        rows.append([name, f"{seconds:.0f}", *cells])
    print("### sprites of 16 × 16 pixels, 8 components, 3 seeds\n")
    table(["model", "seconds to fit", "MIG", "SAP", "disentanglement", "completeness", "informativeness"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = ["likelihood", "skip", "samples", "conditional", "beta", "tables", "disentanglement"]
    parser.add_argument("what", nargs="+", choices=choices)
    parser.add_argument("--data", help="an .npz file with MNIST's images as X and their digits as y")
    parser.add_argument("--epochs", type=int, help="in place of the usual number")
    parser.add_argument("--pictures", help="where to save a picture of the samples")
    arguments = parser.parse_args()
    for what in arguments.what:
        globals()[what](arguments)
