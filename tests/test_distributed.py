"""Processes that train one estimator together: shares, equal results, refusals and failures."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import zlib
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from guards import HANGS
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae._data.batches import BatchIterator, InMemoryDataset, is_in_part
from skae._data.crops import CropDataset, CropSource
from skae._data.image_list import ImageList
from skae._data.sources import LazyArray
from skae._data.sparse import SparseRows
from skae._data.streaming import StreamingDataset
from skae._utils import ranks as module_of_ranks
from skae._utils.ranks import ALONE, Ranks
from skae.bottlenecks import MMD, Gaussian, TotalCorrelation, VectorQuantizer
from skae.losses import Mixed
from skae.noise import MaskingNoise

N_RANKS = 2
common = {"max_epochs": 3, "random_state": 0, "module__hidden_layer_sizes": (12,)}


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:301].astype(np.float32), y[:301]


# Without draws in training one process gives the same, up to rounding.
WITHOUT_DRAWS = {
    "plain": AutoencoderTransformer(3, **common),
    "penalty": AutoencoderTransformer(3, alpha=1e-3, l1_ratio=0.5, lr_schedule="plateau", **common),
    "no hold-out": AutoencoderTransformer(3, early_stopping=False, batch_size=100, optimizer="sgd", lr=1e-4, **common),
    "scale": AutoencoderTransformer(3, loss="gaussian", **common),
    "scales": AutoencoderTransformer(
        3, loss=Mixed([("gaussian", list(range(32))), ("laplace", list(range(32, 64)))]), **common
    ),
    "levels": AutoencoderTransformer(3, bottleneck="fsq", **common),
    "codebook": AutoencoderTransformer(3, bottleneck=VectorQuantizer(16, restart_below=0.0), **common),
    "missing": AutoencoderTransformer(3, missing="mask", **common),
}
WITH_DRAWS = {
    "noise and dropout": AutoencoderTransformer(3, noise="gaussian_noise", module__dropout=0.2, **common),
    "hidden alone": AutoencoderTransformer(3, noise=MaskingNoise(0.3, hidden_only=True), **common),
    "codes that start again": AutoencoderTransformer(3, bottleneck=VectorQuantizer(64, restart_below=0.5), **common),
    "free bits": VAEGenerator(3, bottleneck=Gaussian(free_bits=0.5), prior=None, **common),
    "generator": VAEGenerator(3, conditional=True, prior="mixture", **common),
    "ordered": AutoencoderTransformer(0.8, bottleneck="nested", **common),
    "no seed": AutoencoderTransformer(3, **common | {"random_state": None}),
}


def result(est):
    """What ranks must agree on, as plain values."""
    digest = 0
    for values in est.module_.state_dict().values():
        digest = zlib.crc32(np.ascontiguousarray(values).tobytes(), digest)
    curves = [*est.loss_curve_, *est.validation_loss_curve_]
    sample = est.sample(3, random_state=0).tolist() if getattr(est, "prior", None) == "mixture" else None
    return {"weights": digest, "curves": curves, "best": est.best_epoch_, "sample": sample}


class OnePart(Callback):
    """Fails on one rank, in the second epoch."""

    def __init__(self, error):
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise self.error


class Killed(Callback):
    """Ends its process in the second epoch, without a word."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            os.kill(os.getpid(), signal.SIGKILL)


class Following(nn.Module):
    """A layer that follows the samples of its own rank."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("last", torch.zeros(width))

    def forward(self, x):
        if self.training:
            self.last.copy_(x[0].detach())
        return x


class Interrupting(nn.Module):
    """Ctrl-C within a training step."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def forward(self, x):
        self.left -= self.training
        if self.left == 0:
            raise KeyboardInterrupt
        return x


class Net(nn.Module):
    """A network of the user's, with a layer of its own."""

    def __init__(self, layer):
        super().__init__()
        self.encode, self.decode = nn.Sequential(nn.Linear(64, 3), layer), nn.Linear(3, 64)


def trainings(folder, rank, distributed):
    """Fit in many settings; yield names and results."""
    X, y = digits()
    with_nan = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    for name, est in (WITHOUT_DRAWS | (WITH_DRAWS if distributed else {})).items():
        est = clone(est).set_params(distributed=distributed, verbose=0)
        yield name, est.fit(with_nan if name == "missing" else X, *([y] if name == "generator" else []))
    plain = clone(WITHOUT_DRAWS["plain"]).set_params(distributed=distributed)
    weights = np.random.default_rng(0).random(len(X))
    yield "weights", clone(plain).fit(X, sample_weight=weights, X_val=X[:31])
    yield "goes on", clone(plain).set_params(warm_start=True).fit(X).fit(X)
    yield "parts", clone(plain).partial_fit(X[:150]).partial_fit(X[150:])
    yield "sparse", clone(plain).fit(sparse.csr_array(X))
    images = [np.random.default_rng(i).random((20 + i, 24)) for i in range(5)]
    crops = ConvAutoencoder(2, module__channels=(3,), module__dense=False, crop_size=8, n_crops=101, random_state=0)
    yield "crops", crops.set_params(max_epochs=2, distributed=distributed).fit(images)
    yield "crops read", crops.set_params(augmentation="flip").fit(Read(images))
    np.save(os.path.join(folder, f"rows{rank}.npy"), X)
    with config_context(working_memory=1 / 16):
        yield "memory map", clone(plain).fit(np.load(os.path.join(folder, f"rows{rank}.npy"), mmap_mode="r"))
        import dask.array as da

        yield "blocks", clone(plain).fit(da.from_array(X, chunks=(70, 64)))


class Read:
    """Images that are read one by one."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i]


def failures(rank):
    """Fits that fail on rank 1, or on both; yield names and messages."""
    X, _ = digits()
    plain = AutoencoderTransformer(3, distributed=True, **common)
    own = {
        "an error": {"callbacks": [OnePart(ValueError("a bad thing"))]},
        "an exit": {"callbacks": [OnePart(SystemExit(3))]},
        "other parameters": {"lr": 1e-3},
        "a stop": {"callbacks": [OnePart(KeyboardInterrupt())]},
    }
    both = {
        "parted": {"module": Net(Following(3))},
        "Ctrl-C": {"module": Net(Interrupting(4 if rank else -1))},
        "own weights": {"module": Net(nn.Linear(3, 3))},
    }
    for name, params in (own | both).items():
        if name in both:
            est = AutoencoderTransformer(3, max_epochs=3, random_state=0, distributed=True, **params)
        else:
            est = clone(plain).set_params(**(params if rank else {}))
        before = dict(vars(est))
        try:
            est.fit(X)
            yield name, [result(est), est.n_iter_]
        except BaseException as error:
            assert vars(est) == before
            yield name, f"{type(error).__name__}: {error}"
    for name, data in (("other rows", X + rank), ("other shape", X[rank:]), ("NaN", np.where(rank, np.nan, X))):
        try:
            clone(plain).fit(data)
        except Exception as error:
            yield name, f"{type(error).__name__}: {error}"


def run_as_rank(folder, rank, scenario):
    """What a forked process does: its results are a file."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    found = {}
    if scenario == "together":
        for name, est in trainings(folder, rank, distributed=True):
            found[name] = result(est)
        found |= failures(rank)
        found["again"] = result(AutoencoderTransformer(3, distributed=True, **common).fit(digits()[0]))
    else:
        ends = [Killed()] if rank else None
        try:
            AutoencoderTransformer(3, distributed=True, callbacks=ends, **common).fit(digits()[0])
        except RuntimeError as error:
            found["killed"] = str(error)
    with open(os.path.join(folder, f"{scenario}{rank}.json"), "w") as file:
        json.dump(found, file)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def main(folder):
    """Fork the ranks of each scenario: torch is imported once for all of them."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": str(N_RANKS)}
    for scenario in ("together", "killed"):
        os.environ["MASTER_PORT"] = str(free_port())
        for rank in range(N_RANKS):
            if os.fork() == 0:
                status = 1
                try:
                    run_as_rank(folder, rank, scenario)
                    status = 0
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    if status:
                        import traceback

                        traceback.print_exc()
                    os._exit(status)
        for _ in range(N_RANKS):
            os.wait()


@pytest.mark.slow
def test_ranks_agree_with_each_other_and_with_one_process(tmp_path):
    command = [sys.executable, __file__, str(tmp_path)]
    subprocess.run(command, check=True, timeout=HANGS, env=os.environ | {"OMP_NUM_THREADS": "1"})
    first, second = (json.loads((tmp_path / f"together{rank}.json").read_text()) for rank in range(N_RANKS))
    fits = [name for name in first if isinstance(first[name], dict)]
    assert {name for name in fits if first[name] != second[name]} == set()
    assert len(fits) == 24
    for name, est in trainings(tmp_path, 0, distributed=False):
        alone = result(est)
        # Rounding is amplified by every step: after three epochs losses agree to many digits, weights to some.
        np.testing.assert_allclose(first[name]["curves"], alone["curves"], rtol=1e-4, err_msg=name)
        assert first[name]["best"] == alone["best"], name
    assert first["again"] == first["plain"]

    for name, messages in WORDS.items():
        for words, found in zip(messages, (first[name], second[name]), strict=True):
            assert words in found, name
    assert first["a stop"] == second["a stop"]
    assert first["a stop"][1] == 2, "all ranks stop at the end of the epoch"
    assert first["own weights"] == second["own weights"]
    killed = json.loads((tmp_path / "killed0.json").read_text())["killed"]
    assert killed.startswith("Rank 1 did not answer")


WORDS = {
    "an error": ("RuntimeError: Rank 1 failed: ValueError: a bad thing", "ValueError: a bad thing"),
    "an exit": ("Rank 1 failed: SystemExit: 3", "SystemExit: 3"),
    "Ctrl-C": ("Rank 1 failed: KeyboardInterrupt", "KeyboardInterrupt"),
    "NaN": ("Rank 1 failed: ValueError: Input X contains NaN", "ValueError: Input X contains NaN"),
    "other parameters": ("lr is 0.002 on rank 0, and 0.001 on rank 1",) * 2,
    "other shape": ("the shape of X is (301, 64) on rank 0, and (300, 64) on rank 1",) * 2,
    "other rows": ("X is one of the mean and scale",) * 2,
    "parted": ("The weights of rank 1 are no longer those of rank 0",) * 2,
}


if __name__ == "__main__":
    main(sys.argv[1])
