"""Digests of fits, codes, scores and samples in 20 settings, to show that a change of the code leaves every bit.

    python tests/fingerprints.py write before.json      # at the old commit
    python tests/fingerprints.py compare before.json    # at the new one

Bits depend on the machine and on the versions of torch and NumPy, so digests are not committed.
"""

import argparse
import hashlib
import json
import sys
import warnings

import numpy as np
import torch
from scipy import sparse
from sklearn.datasets import load_digits, load_wine
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae.bottlenecks import MMD, KSparse, Sparse, SquaredNorm
from skae.losses import Huber
from skae.noise import BlockMasking, GaussianNoise, MaskingNoise

SMALL = {"max_epochs": 3, "random_state": 0}


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:500], y[:500]


def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def with_gaps(X):
    return np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)


def sequences(lengths):
    rng = np.random.default_rng(0)
    return [np.sin(np.arange(n)[:, None] / 3 + rng.random((1, 2)) * 6) for n in lengths]


def images():
    return digits()[0].reshape(-1, 8, 8)


# Name: estimator, X, y, further arguments of fit.
SETTINGS = {
    "default": lambda: (AutoencoderTransformer(4, random_state=0), wine()[0], None, {}),
    "start": lambda: (AutoencoderTransformer(4, **SMALL | {"max_epochs": 0}), digits()[0] + 1e6, None, {}),
    "huber": lambda: (AutoencoderTransformer(6, loss=Huber(0.5), alpha=1e-3, **SMALL), digits()[0], None, {}),
    "denoising": lambda: (AutoencoderTransformer(8, noise=GaussianNoise(0.5), **SMALL), digits()[0], None, {}),
    "masking": lambda: (AutoencoderTransformer(8, noise=MaskingNoise(0.3), **SMALL), digits()[0], None, {}),
    "missing": lambda: (AutoencoderTransformer(3, missing="mask", **SMALL), with_gaps(wine()[0]), None, {}),
    "weights": lambda: (
        AutoencoderTransformer(3, bottleneck=SquaredNorm(), lr_schedule="plateau", **SMALL),
        digits()[0],
        None,
        {"sample_weight": np.arange(500) % 4},
    ),
    "sparse": lambda: (AutoencoderTransformer(5, **SMALL), sparse.csr_matrix(digits()[0]), None, {}),
    "prior": lambda: (
        AutoencoderTransformer(
            5, bottleneck=Sparse(), prior=GaussianMixture(3), module__hidden_layer_sizes=(32,), **SMALL
        ),
        digits()[0],
        None,
        {},
    ),
    "k sparse": lambda: (
        AutoencoderTransformer(12, bottleneck=KSparse(3), optimizer="sgd", **SMALL),
        digits()[0],
        None,
        {},
    ),
    "validation": lambda: (
        AutoencoderTransformer(8, batch_size=64, **SMALL),
        digits()[0][:400].astype("f4"),
        None,
        {"X_val": digits()[0][400:].astype("f4")},
    ),
    "gru": lambda: (AutoencoderTransformer(4, module="gru", **SMALL), sequences([9, 12, 7, 12, 10] * 8), None, {}),
    "tcn": lambda: (AutoencoderTransformer(4, module="tcn", **SMALL), np.stack(sequences([16] * 40)), None, {}),
    "images": lambda: (ConvAutoencoder(6, noise=BlockMasking(0.3), **SMALL), images(), None, {}),
    "spatial": lambda: (ConvAutoencoder(2, module__dense=False, **SMALL), images(), None, {}),
    "vae": lambda: (VAEGenerator(4, **SMALL), digits()[0], None, {}),
    "conditional": lambda: (
        VAEGenerator(4, conditional=True, importance_samples=3, loss="bernoulli", **SMALL),
        digits()[0] / 16,
        digits()[1],
        {},
    ),
    "targets": lambda: (
        VAEGenerator(3, conditional="targets", bottleneck=MMD(), **SMALL),
        digits()[0],
        digits()[0][:, :2].copy(),
        {},
    ),
    "vae of images": lambda: (VAEGenerator(4, module="conv", beta=2.0, **SMALL), images(), None, {}),
    "reconstructor": lambda: (
        Reconstructor(AutoencoderTransformer(3, missing="mask", **SMALL)),
        with_gaps(wine()[0]),
        None,
        {},
    ),
}


def arrays_of(estimator, X, y, given):
    """Everything that a fit leaves behind: weights, curves, and what the methods return."""
    estimator.fit(X, y, **given)
    fitted = getattr(estimator, "estimator_", estimator)
    yield from (tensor.numpy() for tensor in fitted.module_.state_dict().values())
    yield from (np.array(fitted.loss_curve_), np.array(fitted.validation_loss_curve_), np.array(fitted.best_epoch_))
    codes = estimator.transform(X)
    yield codes
    if estimator is not fitted:
        return
    y = y if getattr(estimator, "conditional", False) else None
    told = {} if y is None else {"y": y}
    yield estimator.inverse_transform(codes, **told)
    yield estimator.reconstruct(X, **told)
    yield estimator.score_samples(X, **told)
    yield np.array(estimator.score(X, **told))
    if getattr(estimator, "prior_", None) is not None:
        yield estimator.sample(5, random_state=1, **({} if y is None else {"y": y[:5]}))


def digest(name):
    found = hashlib.sha256()
    for array in arrays_of(*SETTINGS[name]()):
        found.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("file")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {name: digest(name) for name in SETTINGS}
    if args.action == "write":
        with open(args.file, "w") as file:
            json.dump(found, file, indent=1)
        return
    with open(args.file) as file:
        before = json.load(file)
    changed = [name for name in SETTINGS if before.get(name) != found[name]]
    print(f"{len(found) - len(changed)} of {len(found)} settings are equal to the bit", *changed, sep="\n")
    sys.exit(bool(changed))


if __name__ == "__main__":
    main()
