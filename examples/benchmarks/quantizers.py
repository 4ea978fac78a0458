"""Discrete bottlenecks in equal time: rate, distortion, and usage of their symbols.

    python examples/benchmarks/quantizers.py --data FILE                  # an .npz with images X, such as MNIST
    python examples/benchmarks/quantizers.py --data FILE --seconds 60 --seeds 3

Without ``--data`` MNIST is fetched from OpenML. Each row of the tables is trained for as many epochs as fit into
``--seconds`` of CPU time. Figures are those of images that were not fitted: bits an image by tables of the integers
(`skae.coding.Factorized`, fitted to the codes of the training images), and the peak signal-to-noise ratio of the mean
error. ``rounded`` has a model of its own beside, which is trained with it. Usage and perplexity are those of the
training images. Tables are Markdown.
"""

import argparse
import math
import time

import numpy as np
from quality import load_mnist, table

from skae import ConvAutoencoder
from skae.bottlenecks import FSQ, Rounded, VectorQuantizer
from skae.coding import Factorized

N_TRAINED, N_TEST = 20_000, 5_000
QUANTIZERS = {
    "fsq, 4 levels": FSQ(4),
    "fsq, 8 levels": FSQ(8),
    "fsq, 16 levels": FSQ(16),
    "vq, 64 codes": VectorQuantizer(64),
    "vq, 512 codes": VectorQuantizer(512),
    "vq, 4096 codes": VectorQuantizer(4096),
    "rounded, step 0.5": Rounded(0.5, qualities=(0, 0)),
    "rounded, step 1": Rounded(1.0, qualities=(0, 0)),
    "rounded, step 2": Rounded(2.0, qualities=(0, 0)),
}
NETWORKS = {
    "Dense codes, 16 components": {"n_components": 16, "module__channels": (16, 32)},
    "Spatial codes, 4 components at 7 x 7 positions": {
        "n_components": 4,
        "module__channels": (16, 32),
        "module__dense": False,
    },
}


def cpu_seconds(model, X):
    """The CPU seconds of a fit."""
    start = time.process_time()
    model.fit(X)
    return time.process_time() - start


def trained(network, bottleneck, X, seconds, seed):
    """Return a model trained for the number of epochs that fit into the given CPU seconds."""
    model = ConvAutoencoder(bottleneck=bottleneck, early_stopping=False, random_state=seed, **network)
    start = cpu_seconds(model.set_params(max_epochs=0), X)
    one = cpu_seconds(model.set_params(max_epochs=1), X) - start
    model.set_params(max_epochs=max(1, math.floor((seconds - start) / one)))
    return model, cpu_seconds(model, X)


def as_maps(indices):
    """Return integer codes for an entropy model."""
    return indices.reshape(*indices.shape, *[1] * (4 - indices.ndim))


def n_bits(code_model, indices):
    """The mean number of bits of a code."""
    return -code_model.score_samples(as_maps(indices)).mean() / math.log(2)


def evaluated(network, bottleneck, X, X_new, seconds, seed):
    """Figures of one model."""
    model, used = trained(network, bottleneck, X, seconds, seed)
    indices = model.indices(X_new)
    tables = Factorized(model.alphabet_).fit(as_maps(model.indices(X)))
    own = "" if isinstance(model.code_model_, Factorized) else n_bits(model.code_model_, indices)
    psnr = 10 * math.log10(1 / -model.score(X_new))
    return n_bits(tables, indices), own, psnr, model.code_usage_, model.code_perplexity_, model.max_epochs, used


def row_of(name, found):
    """A row of a table: means over seeds."""
    bits, own, psnr, usage, perplexity, epochs, seconds = zip(*found, strict=True)
    means = [np.mean(values) for values in (bits, psnr, usage, perplexity, epochs, seconds)]
    own = "" if own[0] == "" else f"{np.mean(own):.1f}"
    return [
        name,
        f"{means[0]:.1f}",
        own,
        *(f"{value:.{n}f}" for value, n in zip(means[1:], (2, 3, 1, 0, 0), strict=True)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="an .npz with images X")
    parser.add_argument("--seconds", type=float, default=30, help="CPU seconds of each training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="quantizers whose names begin so")
    args = parser.parse_args()
    X = load_mnist(args.data)
    X = X.reshape(len(X), *[math.isqrt(X.shape[1])] * 2)
    X_new, X = X[-N_TEST:], X[:-N_TEST][:N_TRAINED]
    for title, network in NETWORKS.items():
        rows = []
        for name, bottleneck in QUANTIZERS.items():
            if name.startswith(args.only):
                found = [evaluated(network, bottleneck, X, X_new, args.seconds, seed) for seed in range(args.seeds)]
                rows.append(row_of(name, found))
        print(f"### {title}; {args.seconds:.0f} CPU seconds each, {args.seeds} seeds\n")
        header = ["bottleneck", "bits", "own model", "PSNR", "usage", "perplexity", "epochs", "CPU s"]
        table(header, rows)


if __name__ == "__main__":
    main()
