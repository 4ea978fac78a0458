"""Makes the files of `test_formats.py`, in the format of this version. Run it once for each release, and keep them:

python tests/persistence/make_files.py
"""

import pickle
from pathlib import Path

import battery
import numpy as np

import skae

NAMES = {
    "transformer": "ae",
    "transformer_prior": "ae prior GaussianMixture",
    "transformer_frame": "frame",
    "parts": "parts by class",
    "vae": "vae prior mixture",
    "vae_classes": "conditional str",
    "vae_targets": "conditional targets mmd",
    "vae_kernel_density": "weighted KernelDensity",
    "images": "conv plain channels last",
    "images_spatial": "conv spatial channels last",
    "sequences": "gru",
    "layers": "pair layers",
    "user_network": "user's network",
    "reconstructor": "reconstructor filling",
}
# A pickle names types that a file does not: layers, where the user has written a part.
PICKLED = {name: case for name, case in NAMES.items() if name != "vae_kernel_density"} | {
    "user_bottleneck": "user's bottleneck",
    "user_bottleneck_spatial": "user's bottleneck spatial",
    "user_bottleneck_resized": "user's bottleneck resized",
    "user_loss": "user's loss",
}


def expected(est, X, y):
    """What is stored beside a file, to compare with."""
    if isinstance(est, skae.Reconstructor):
        return {"transform": est.transform(X)}
    found = {"transform": est.transform(X), "reconstruct": est.reconstruct(X), "score_samples": est.score_samples(X)}
    if hasattr(est, "sample"):
        # 0.2 drew the mean by default.
        mean = {"noisy": False} if isinstance(est, skae.VAEGenerator) else {}
        found["sample"] = est.sample(3, random_state=0, **mean)
        if getattr(est, "conditional", False):
            found["sample_told"] = est.sample(random_state=0, y=y[0], **mean)
    return found


def main():
    folder = Path(__file__).parent / "files" / skae.__version__
    folder.mkdir(parents=True, exist_ok=True)
    for file, name in (NAMES | PICKLED).items():
        case, est = battery.CASES[name], battery.fitted(name)
        X = case.X()
        if file in NAMES:
            skae.save(est, folder / f"{file}.skae", optimizer=file == "transformer")
        if file in PICKLED:
            (folder / f"{file}.pkl").write_bytes(pickle.dumps(est))
        y = {} if case.y is None else {"y": case.y}
        np.savez_compressed(folder / f"{file}.npz", X=np.asarray(X), **y, **expected(est, X, case.y))
    skae.save(battery.in_archive(), folder / "pipeline.skae")
    (folder / "pipeline.pkl").write_bytes(pickle.dumps(battery.in_archive()))
    X = battery.table()
    np.savez_compressed(folder / "pipeline.npz", X=X, transform=battery.in_archive().transform(X))


if __name__ == "__main__":
    main()
