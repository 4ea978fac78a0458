"""Densities of codes and critics: quality of samples of the same trained network.

    python examples/benchmarks/densities.py mnist conditional --data FILE  # an .npz with MNIST's X and y
    python examples/benchmarks/densities.py photographs --data FILE        # an .npz with gray photographs as X
    python examples/benchmarks/densities.py tables seeds

Without ``--data`` MNIST is fetched from OpenML. A network is trained once; each density is then fitted to its codes,
and each critic trains its decoder further, from there. Seconds are CPU seconds, of the training and of what follows.
Distances are measured in the last hidden layer of a convolutional classifier trained on the same images: of the digit
that they show, or of the photograph that a crop is from. ``--pictures FOLDER`` saves samples of each model; look at
them, since a figure does not see everything.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from generation import Features, load_labels
from PIL import Image
from quality import load_mnist, table
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import VAEGenerator, metrics

CONV = {"module": "conv", "module__channels": (32, 64), "lr": 4e-3, "random_state": 0}
CROP = 32
HEAD = ["seconds", "Fréchet", "kernel", "precision", "recall", "density", "coverage", "nearest", "sharpness"]


def stopwatch(function, *args, **kwargs):
    """Return the result of a function, and its CPU seconds."""
    start = time.process_time()
    return function(*args, **kwargs), time.process_time() - start


def figures(features, A, B, made, side):
    """Metrics of generated samples, with the held-out samples B and the training samples A."""
    real, found = features.transform(B), features.transform(made)
    covered = metrics.precision_recall_density_coverage(real[:5000], found[:5000])
    images = [rows[:2000].reshape(-1, side, side) for rows in (made, B)]
    return [
        f"{metrics.frechet_distance(real, found):.2f}",
        f"{metrics.kernel_distance(real, found):.4f}",
        *(f"{value:.3f}" for value in covered),
        f"{metrics.memorization(A[:20_000], made[:1000], B[:1000]).ratio:.2f}",
        f"{metrics.sharpness(images[0]) / metrics.sharpness(images[1]):.2f}",
    ]


def compare(args, name, vae, A, B, features, side):
    """Print the table of all densities and critics around one trained network."""
    vae.set_params(prior=None)
    _, trained = stopwatch(vae.fit, A)
    rows = [["rows fitted", "", *figures(features, A, B, A[: len(B)], side)[:-2], "", ""]]
    rows.append(["reconstructions", f"{trained:.0f}", *figures(features, A, B, vae.reconstruct(B), side)])
    pictures = {"real": B}
    for prior in ("mixture", "flow"):
        for critic in (None, "patch"):
            # No more epochs: the density is fitted, and the decoder criticized, from the weights that stand.
            brief = {"critic__max_epochs": args.critic_epochs} if critic and args.critic_epochs else {}
            other = VAEGenerator(**vae.get_params()).set_params(
                prior=prior, critic=critic, warm_start=True, max_epochs=0, **brief
            )
            other.__dict__ |= {key: value for key, value in vars(vae).items() if key.endswith("_")}
            _, seconds = stopwatch(other.fit, A)
            made = other.sample(len(B), random_state=0, noisy=False)
            model = f"{prior}, critic" if critic else prior
            rows.append([model, f"{trained + seconds:.0f}", *figures(features, A, B, made, side)])
            pictures[model] = made
            if critic:
                x_hat = other.reconstruct(B)
                rows.append([f"reconstructions of {model}", "", *figures(features, A, B, x_hat, side)])
    print(f"### {name}\n")
    table(["codes from", *HEAD], rows)
    for model, images in pictures.items() if args.pictures else ():
        draw(Path(args.pictures) / f"{name.split(',')[0]}-{model.replace(', ', '-')}.png", images[:64], side)


def draw(path, images, side):
    """Save 64 images as one picture, 8 × 8."""
    sheet = images.reshape(8, 8, side, side).swapaxes(1, 2).reshape(8 * side, 8 * side)
    pixels = np.rint(255 * sheet.clip(0, 1)).astype(np.uint8)
    Image.fromarray(pixels).resize((24 * side, 24 * side), Image.Resampling.NEAREST).save(path)


def mnist(args):
    """MNIST, 16 components."""
    X, y = load_mnist(args.data), load_labels(args.data)
    A, B = X[:50_000], X[50_000:]
    features = Features(A, y[:50_000])
    print(f"The classifier is right on {(features.predict(B) == y[50_000:]).mean():.2%} of the held-out images.\n")
    vae = VAEGenerator(16, max_epochs=args.epochs or 16, **CONV)
    compare(args, "MNIST, 16 components", vae, A, B, features, 28)


def conditional(args):
    """MNIST: how often a classifier of real digits predicts the requested digit."""
    X, y = load_mnist(args.data), load_labels(args.data)
    A, B, y_a, y_b = X[:50_000], X[50_000:], y[:50_000], y[50_000:]
    features = Features(A, y_a)
    asked = np.arange(len(B)) % 10
    rows = [["the held-out images", "", f"{(features.predict(B) == y_b).mean():.4f}", ""]]
    for prior in ("mixture", "flow"):
        vae = VAEGenerator(16, conditional=True, prior=prior, max_epochs=args.epochs or 10, **CONV)
        _, seconds = stopwatch(vae.fit, A, y_a)
        made = vae.sample(len(B), random_state=0, y=asked, noisy=False)
        distance = metrics.frechet_distance(features.transform(B), features.transform(made))
        agreement = (features.predict(made) == asked).mean()
        rows.append([prior, f"{seconds:.0f}", f"{agreement:.4f}", f"{distance:.2f}"])
    print("### MNIST, VAEGenerator(16, conditional=True)\n")
    table(["codes from", "seconds", "agreement", "Fréchet"], rows)


def photographs(args):
    """Crops of 32 × 32 pixels of gray photographs, those of a fifth of the photographs held out; 64 components."""
    images = np.load(args.data)["X"].astype(np.float32) / 255
    rng = np.random.default_rng(0)
    (A, source), (B, _) = (crops(some, n, rng) for some, n in ((images[:320], 20_000), (images[320:], 5000)))
    features = Features(A, source)
    others, source = crops(images[:320], 5000, rng)
    right = (features.predict(others) == source).mean()
    print(f"The classifier is right on {right:.2%} of other crops of the photographs fitted, of 320 photographs.\n")
    vae = VAEGenerator(64, input_shape=(CROP, CROP), max_epochs=args.epochs or 12, **CONV)
    compare(args, "photographs, crops of 32 × 32 pixels, 64 components", vae, A, B, features, CROP)


def crops(images, n, rng):
    """Random crops of images, as flat rows, and the images that they are from."""
    tops, lefts = (rng.integers(0, side - CROP + 1, n) for side in images.shape[1:])
    chosen = rng.integers(0, len(images), n)
    found = [images[i, t : t + CROP, s : s + CROP].ravel() for i, t, s in zip(chosen, tops, lefts, strict=True)]
    return np.stack(found), chosen


def tables(_):
    """Train on samples of a conditional VAE and test on real ones; and discriminate samples from real ones."""
    makers = {
        "mixture": {"prior": "mixture"},
        "flow": {"prior": "flow"},
        "auto": {"prior": "auto"},
        "mixture, critic": {"prior": "mixture", "critic": "dense"},
    }
    classifiers = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
        "random forest": RandomForestClassifier(200, random_state=0),
    }
    rows = []
    for name in ("breast_cancer", "wine", "iris", "digits"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        found = {maker: [] for maker in ("real", *makers)}
        for seed in range(5):
            A, B, y_a, y_b = train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
            scaler = StandardScaler().fit(A)
            A, B = scaler.transform(A), scaler.transform(B)
            for maker in found:
                if maker == "real":
                    made, seconds = A, 0.0
                else:
                    vae = VAEGenerator(8, conditional=True, random_state=seed, **makers[maker])
                    _, seconds = stopwatch(vae.fit, A, y_a)
                    made = vae.sample(len(A), random_state=seed, y=y_a)
                scores = [classifier.fit(made, y_a).score(B, y_b) for classifier in classifiers.values()]
                found[maker].append([*scores, told_apart(B, made[: len(B)]), seconds])
        real = np.mean(found["real"], axis=0)
        for maker, values in found.items():
            *scores, auc, seconds = np.mean(values, axis=0)
            cells = [f"{score:.3f} ({score / best:.3f})" for score, best in zip(scores, real[:-2], strict=True)]
            rows.append([name, maker, *cells, f"{auc:.3f}", f"{seconds:.1f}"])
    print("### tables, standardized, 8 components, conditional; 5 splits\n")
    table(["table", "trained on", *classifiers, "AUC, real against made", "seconds"], rows)


def told_apart(real, made):
    """Return the cross-validated AUC of a classifier of generated and real samples; 0.5 is best."""
    X, y = np.concatenate([real, made]), np.repeat([0, 1], [len(real), len(made)])
    order = np.random.default_rng(0).permutation(len(X))
    found = cross_val_predict(
        HistGradientBoostingClassifier(random_state=0), X[order], y[order], method="predict_proba"
    )
    return roc_auc_score(y[order], found[:, 1])


def seeds(_):
    """Digits, 10 seeds: samples with and without a critic, against held-out rows."""
    X = datasets.load_digits().images
    rows = []
    for seed in range(10):
        A, B = train_test_split(X, test_size=0.3, random_state=seed)
        for critic in (None, "patch"):
            vae = VAEGenerator(8, module="conv", critic=critic, random_state=seed)
            _, seconds = stopwatch(vae.fit, A)
            made = vae.sample(len(B), random_state=0, noisy=False)
            flat = [rows_of.reshape(len(rows_of), -1) for rows_of in (B, made)]
            distance = metrics.frechet_distance(*flat, features=PCA(16).fit(A.reshape(len(A), -1)))
            covered = metrics.precision_recall_density_coverage(*flat)
            ratio = metrics.sharpness(made) / metrics.sharpness(B)
            cells = [f"{distance:.1f}", *(f"{value:.3f}" for value in covered), f"{ratio:.2f}", f"{seconds:.0f}"]
            rows.append([seed, critic or "none", *cells])
    print("### digits, 8 components, convolutional, prior='mixture'; distances in 16 principal components\n")
    table(["seed", "critic", "Fréchet", "precision", "recall", "density", "coverage", "sharpness", "seconds"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["mnist", "conditional", "photographs", "tables", "seeds"])
    parser.add_argument("--data", help="an .npz file: X and y of MNIST, or photographs as X")
    parser.add_argument("--epochs", type=int, help="in place of the usual number")
    parser.add_argument("--critic-epochs", type=int, help="of the critic, in place of the usual number")
    parser.add_argument("--pictures", help="a folder to save samples in")
    arguments = parser.parse_args()
    for what in arguments.what:
        globals()[what](arguments)
