"""Makes the files of `test_streams.py`: models, what they compress, and the integers that are in it.

python tests/coding/make_streams.py

It writes what is missing only. Files that are there are never written again: every later version has to decode them.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from stubs import photographs

import skae
from skae.bottlenecks import FSQ, Rounded, VectorQuantizer
from skae.coding import Autoregressive, _compress, compress, decompress

FILES = Path(__file__).parent / "files"
DIGITS = load_digits()
ROWS = {"max_epochs": 2, "random_state": 0, "module__hidden_layer_sizes": (8,)}
SPATIAL = {"max_epochs": 2, "random_state": 0, "module__dense": False, "module__channels": (4, 4)}
CROPS = {"crop_size": 16, "n_crops": 16}
PHOTOGRAPHS = photographs(5, [(16, 16), (19, 24)]), photographs(4, [(19, 24), (7, 5)], seed=1)
#: Names of the files: an estimator, what it is fitted on, what it compresses, and the quality.
CASES = {
    "rows_fsq": (
        skae.AutoencoderTransformer(4, bottleneck=FSQ((8, 5, 5, 3)), **ROWS),
        *(DIGITS.data[:300], DIGITS.data[300:400].astype("u1"), 0),
    ),
    "rows_vector_quantizer": (
        skae.AutoencoderTransformer(4, bottleneck=VectorQuantizer(16), **ROWS),
        *(DIGITS.data[:300], DIGITS.data[300:400], 0),
    ),
    "rows_rounded": (
        skae.AutoencoderTransformer(4, bottleneck=Rounded(width=8), **ROWS),
        *(DIGITS.data[:300], 3 * DIGITS.data[300:400].astype("f4"), -1.5),
    ),
    "images_fsq": (
        skae.ConvAutoencoder(3, bottleneck=FSQ((5, 4, 3)), **SPATIAL),
        *(DIGITS.images[:200], DIGITS.images[200:260], 0),
    ),
    "images_autoregressive": (
        skae.ConvAutoencoder(
            2,
            bottleneck=FSQ((5, 4)),
            prior=Autoregressive(n_layers=1, width=8, max_epochs=2, random_state=0),
            **SPATIAL,
        ),
        *(DIGITS.images[:200], DIGITS.images[200:260], 0),
    ),
    "photographs_fsq": (skae.ConvAutoencoder(2, bottleneck=FSQ((5, 4)), **SPATIAL, **CROPS), *PHOTOGRAPHS, 0),
    "photographs_rounded": (
        skae.ConvAutoencoder(6, bottleneck=Rounded(width=8), **SPATIAL, **CROPS),
        *(*PHOTOGRAPHS, 2.25),
    ),
}


def integers_in(est, data):
    """The integers of a stream, of each size, and what they are decoded to."""
    found, drawn = [], _compress._drawn
    try:
        _compress._drawn = lambda *args: found.append(drawn(*args)) or found[-1]
        X_hat = decompress(est, data)
    finally:
        _compress._drawn = drawn
    return found, X_hat if isinstance(X_hat, list) else [X_hat]


def main():
    """Write what is missing."""
    FILES.mkdir(exist_ok=True)
    for name, (est, X_fit, X, quality) in CASES.items():
        path = FILES / f"{name}.skae"
        if path.exists():
            continue
        est.fit(X_fit)
        data = compress(est, X, quality=quality)
        integers, X_hat = integers_in(est, data)
        skae.save(est, path)
        path.with_suffix(".skc").write_bytes(data)
        arrays = {f"integers_{i}": A.astype(np.int32) for i, A in enumerate(integers)}
        np.savez_compressed(path.with_suffix(".npz"), **arrays, **{f"X_hat_{i}": A for i, A in enumerate(X_hat)})
        print(name, path.stat().st_size, len(data))


if __name__ == "__main__":
    main()
