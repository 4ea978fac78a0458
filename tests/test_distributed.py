"""Processes that train one estimator together: shares, equal results, refusals and failures."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import traceback
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
from skae._data.batches import BatchIterator, InMemoryDataset
from skae._data.crops import CropDataset, CropSource
from skae._data.image_list import ImageList
from skae._data.sources import LazyArray
from skae._data.sparse import sparse_rows
from skae._data.streaming import StreamingDataset
from skae._utils import ranks as module_of_ranks
from skae._utils.ranks import ALONE, Ranks, fitting_together
from skae.bottlenecks import MMD, Gaussian, TotalCorrelation, VectorQuantizer
from skae.estimators._distributed import joined
from skae.estimators._resolve import resolve_parameters
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
    "at rest": AutoencoderTransformer(8, bottleneck="nested", lr=1e-12, lr_schedule=None, **common),
    "no seed": AutoencoderTransformer(3, **common | {"random_state": None}),
}


def result(est):
    """What ranks must agree on, as plain values."""
    digest = 0
    for values in est.module_.state_dict().values():
        digest = zlib.crc32(np.ascontiguousarray(values).tobytes(), digest)
    curves = [*est.loss_curve_, *est.validation_loss_curve_]
    sample = est.sample(3, random_state=0).tolist() if getattr(est, "prior", None) == "mixture" else None
    stream = zlib.crc32(est.net_.stream.__getstate__()["states"][0])
    return {"weights": digest, "curves": curves, "best": est.best_epoch_, "sample": sample, "stream": stream}


class Read:
    """Images that are read one by one."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i]


class OnePart(Callback):
    """Fails on one rank, in the second epoch."""

    def __init__(self, error):
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise self.error


class Looking(Callback):
    """Looks at gradients, and changes nothing."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.names_ = [name for name, _ in named_parameters]


class Killed(Callback):
    """Ends its process in the second epoch, without a word."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            os.kill(os.getpid(), signal.SIGKILL)


class Drawing(nn.Module):
    """A layer that draws in evaluation too."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.1)


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
    yield "a callback of one rank", clone(plain).set_params(callbacks=[] if rank else [Looking()]).fit(X[:100])
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


def failures(rank):
    """Fits that fail on rank 1, or on both; yield names and messages."""
    X, _ = digits()
    plain = AutoencoderTransformer(3, distributed=True, **common)
    own = {
        "an error": {"callbacks": [OnePart(ValueError("a bad thing"))]},
        "an exit": {"callbacks": [OnePart(SystemExit(3))]},
        "other parameters": {"lr": 1e-3},
        "another part": {"noise": MaskingNoise(0.1)},
        "a stop": {"callbacks": [OnePart(KeyboardInterrupt())]},
    }
    both = {
        "parted": {"module": Net(Following(3))},
        "Ctrl-C": {"module": Net(Interrupting(4 if rank else -1))},
        "own weights": {"module": Net(nn.Linear(3, 3))},
        "own draws": {"module": Net(Drawing())},
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
    own = clone(plain).set_params(distributed=False, warm_start=True, random_state=rank).fit(X)
    own = pickle.loads(pickle.dumps(own.set_params(warm_start=False)))  # without the optimizer, as a file is
    try:
        own.set_params(distributed=True, warm_start=True).fit(X)
    except Exception as error:
        yield "another fit before", f"{type(error).__name__}: {error}"
    for name, data in (("other rows", X + rank), ("other shape", X[rank:]), ("NaN", np.where(rank, np.nan, X))):
        try:
            clone(plain).fit(data)
        except Exception as error:
            yield name, f"{type(error).__name__}: {error}"


def run_as_rank(folder, rank):
    """What a forked process does: its results are a file."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    found = {name: result(est) for name, est in trainings(folder, rank, distributed=True)}
    found |= failures(rank)
    plain = clone(WITHOUT_DRAWS["plain"]).set_params(distributed=True)
    found["again"] = result(plain.fit(digits()[0]))
    write(folder, rank, found)
    try:
        plain.set_params(callbacks=[Killed()] if rank else None).fit(digits()[0])
    except RuntimeError as error:
        write(folder, rank, found | {"killed": str(error)})


def write(folder, rank, found):
    with open(os.path.join(folder, f"{rank}.json"), "w") as file:
        json.dump(found, file)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def main(folder):
    """Fork the ranks: what takes seconds to import is imported once for all of them."""
    import dask.array  # noqa: F401

    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1)])
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(N_RANKS)}
    for rank in range(N_RANKS):
        if os.fork() == 0:
            try:
                run_as_rank(folder, rank)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
    for _ in range(N_RANKS):
        os.wait()


# ---------------------------------------------------------------- shares


def identity(x):
    return torch.as_tensor(x, dtype=torch.float32)


def streaming(X, window):
    return StreamingDataset(X, identity, None, window, torch.device("cpu"))


def datasets():
    X = np.arange(1, 51, dtype=np.float32)[:, None]
    images = ImageList([np.random.default_rng(i).random((1, 12, 12)) for i in range(5)], channel_axis=0)
    images.scan()
    unread = ImageList(Read([np.random.default_rng(i).random((1, 12, 12)) for i in range(5)]), channel_axis=0)
    with config_context(working_memory=1e-3):
        unread.scan()
    read = []

    def rows(index):
        read.extend(np.arange(50)[index].tolist())
        return X[index]

    return {
        "in memory": InMemoryDataset(identity(X)),
        "some of them": InMemoryDataset(identity(X), index=torch.arange(1, 50)),
        "windows": streaming(X, 8),
        "blocks": streaming(LazyArray(X.shape, X.dtype, [*range(0, 50, 7), 50], "rows", rows), 8),
        "sparse": streaming(sparse_rows(sparse.csr_array(X), "X"), 8),
        "crops": CropDataset(CropSource(images, None, (3, 3), None), 50, None, identity, None, torch.device("cpu")),
        "crops that are read": CropDataset(
            CropSource(unread, None, (3, 3), None), 50, None, identity, None, torch.device("cpu")
        ),
    }, read


DATASETS, READ = datasets()


@pytest.mark.parametrize("n_parts", [2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("name", DATASETS)
def test_parts_make_up_the_batches(name, shuffle, n_parts):
    def batches(part):
        iterator = BatchIterator(DATASETS[name], 8, shuffle=shuffle, seed=0)
        iterator.part = part
        return [batch.u.flatten(1).tolist() for batch in iterator]

    whole, parts = batches((0, 1)), [batches((k, n_parts)) for k in range(n_parts)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert [batch[k::n_parts] for k in range(n_parts)] == shares


def test_only_the_part_is_read():
    iterator = BatchIterator(DATASETS["blocks"], 8, shuffle=True, seed=0)
    iterator.part = (1, 3)
    READ.clear()
    own = [int(value) - 1 for batch in iterator for value in batch.u]
    assert sorted(READ) == sorted(own)
    assert len(own) == sum(len(range(1, size, 3)) for size in iterator.sizes)


def test_more_parts_than_samples():
    for rows in DATASETS.values():
        iterator = BatchIterator(rows, 1)
        iterator.part = (1, 2)
        assert all(len(batch.u) == 0 for batch in iterator)


# ---------------------------------------------------------------- before training


@pytest.fixture
def two_ranks(monkeypatch):
    """Let fits take this process for the first of two, with nobody there to exchange with."""
    monkeypatch.setattr("skae.estimators._base.fitting_together", lambda distributed: nullcontext(Ranks(0, 2)))


plain = AutoencoderTransformer(3, distributed=True, **common)
REFUSED = [
    (plain, {"bottleneck": MMD()}, "MMD"),
    (VAEGenerator(3, distributed=True, **common), {"bottleneck": TotalCorrelation()}, "TotalCorrelation"),
    (VAEGenerator(3, distributed=True, **common), {"critic": "dense"}, "critic=Dense"),
    (plain, {"module__normalization": "batch"}, "BatchNorm1d"),
    (
        AutoencoderTransformer(3, distributed=True),
        {"module": Net(nn.InstanceNorm1d(2, track_running_stats=True))},
        "Inst",
    ),
    (plain, {"optimizer": "lbfgs"}, "optimizer=LBFGS"),
    (
        plain,
        {"batch_size": 1},
        "at least one sample in each batch for each of the 2 ranks, but the smallest batch has 1",
    ),
]


@pytest.mark.parametrize(("est", "params", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_refused_by_name(two_ranks, est, params, words):
    est = clone(est).set_params(**params)
    before = dict(vars(est))
    with pytest.raises(ValueError, match=f"distributed=True .*{words}"):
        est.fit(digits()[0])
    assert vars(est) == before


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_objects_without_shape_raise(two_ranks):
    nested = torch.nested.nested_tensor([torch.ones(4), torch.ones(3)])
    with pytest.raises(TypeError, match="Tensors must be dense"):
        clone(plain).fit(nested)


def test_distributed_must_be_bool():
    with pytest.raises(ValueError, match="distributed"):
        AutoencoderTransformer(3, distributed="gloo").fit(digits()[0])


def test_one_process_needs_torchrun(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match=r"distributed=True needs several processes .* torchrun"):
        clone(plain).fit(digits()[0])


class FakeDistributed:
    """Stands in for torch.distributed of a machine with CUDA; keeps what it was asked for."""

    def __init__(self):
        self.calls = {}

    def is_initialized(self):
        return False

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls[name] = kwargs | dict(enumerate(args))
            if name == "rendezvous":
                return iter([(None, 3, 4)])
            return {"get_rank": 3, "get_world_size": 4, "get_node_local_rank": 1}.get(name)

        return call


def test_branch_for_cuda_is_reached(monkeypatch):
    fake = FakeDistributed()
    monkeypatch.setattr(module_of_ranks, "dist", fake)
    monkeypatch.setattr(module_of_ranks, "default_store", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        os, "environ", os.environ | dict.fromkeys(("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"), "")
    )
    with fitting_together(True) as ranks:
        assert (ranks.rank, ranks.size) == (3, 4)
        spec = resolve_parameters(AutoencoderTransformer(device="cpu"))
        for device, own in (("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")):
            assert joined(spec._replace(device=torch.device(device)), ranks).device == torch.device(own)
            assert joined(spec._replace(device=torch.device(device)), ALONE).device == torch.device(device)
    assert fake.calls["init_process_group"][0] == fake.calls["new_group"]["backend"] == "cpu:gloo,cuda:nccl"
    assert "destroy_process_group" in fake.calls


def test_only_the_first_rank_reports(two_ranks, monkeypatch, capfd):
    clone(plain).set_params(verbose=2).fit(digits()[0])
    assert "train_loss" in capfd.readouterr().out
    monkeypatch.setattr("skae.estimators._base.fitting_together", lambda distributed: nullcontext(Ranks(1, 2)))
    monkeypatch.setattr(Ranks, "first", lambda self, find: find())
    clone(plain).set_params(verbose=2).fit(digits()[0])
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_ranks_agree_with_each_other_and_with_one_process(tmp_path):
    command = [sys.executable, __file__, str(tmp_path)]
    subprocess.run(command, check=True, timeout=HANGS, env=os.environ | {"OMP_NUM_THREADS": "1"})
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(N_RANKS))
    fits = [name for name in first if isinstance(first[name], dict)]
    assert {name for name in fits if first[name] != second[name]} == set()
    assert len(fits) == 26
    np.testing.assert_allclose(first["at rest"]["curves"][4:], first["at rest"]["curves"][3], rtol=1e-6)
    for name, est in trainings(tmp_path, 0, distributed=False):
        alone = result(est)
        # Adam's first steps are as long where a gradient is nothing but rounding, as it is at the start by PCA.
        rtol = 1e-6 if name in ("no hold-out", "scales", "levels", "codebook", "missing") else 5e-4
        np.testing.assert_allclose(first[name]["curves"], alone["curves"], rtol=rtol, err_msg=name)
        assert first[name]["best"] == alone["best"], name
    assert first["again"] == first["plain"]

    for name, messages in WORDS.items():
        for words, found in zip(messages, (first[name], second[name]), strict=True):
            assert words in found, name
    assert first["a stop"] == second["a stop"]
    assert first["a stop"][1] == 2, "all ranks stop at the end of the epoch"
    assert first["own weights"] == second["own weights"]
    assert first["own draws"] == second["own draws"]
    assert first["killed"].startswith("Rank 1 did not answer")


WORDS = {
    "an error": ("RuntimeError: Rank 1 failed: ValueError: a bad thing", "ValueError: a bad thing"),
    "an exit": ("Rank 1 failed: SystemExit: 3", "SystemExit: 3"),
    "Ctrl-C": ("Rank 1 failed: KeyboardInterrupt", "KeyboardInterrupt"),
    "NaN": ("Rank 1 failed: ValueError: Input X contains NaN", "ValueError: Input X contains NaN"),
    "other parameters": ("lr is 0.002 on rank 0, and 0.001 on rank 1",) * 2,
    "another part": ("noise is None on rank 0, and MaskingNoise(",) * 2,
    "other shape": ("the shape of X is (301, 64) on rank 0, and (300, 64) on rank 1",) * 2,
    "another fit before": ("the earlier fit is",) * 2,
    "other rows": ("X is one of the mean and scale",) * 2,
    "parted": ("The weights of rank 1 differ from those of rank 0",) * 2,
}


RESTARTED = """
import json, os, signal, sys
from skorch.callbacks import Callback
from skae import VAEGenerator
from test_distributed import Killed, digits, result

folder, rank = sys.argv[1], int(os.environ["RANK"])
first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
est = VAEGenerator(3, max_epochs=4, module__hidden_layer_sizes=(12,), random_state=0, distributed=True)
found = {}
if first:
    found["undisturbed"] = result(est.fit(digits()[0]))
# Only rank 0 has the folder of the checkpoint.
est.set_params(checkpoint=os.path.join(folder, f"of rank {rank}", "fit.skae"))
est.set_params(callbacks=[Killed()] if first and rank == 1 else None)
with open(os.path.join(folder, f"start{int(not first)}{rank}.json"), "w") as file:
    json.dump(found, file)
found["resumed"] = result(est.fit(digits()[0]))
found["epochs run"] = len(est.net_.history)
with open(os.path.join(folder, f"end{rank}.json"), "w") as file:
    json.dump(found, file)
"""


@pytest.mark.slow
def test_restart_by_torchrun_resumes_to_the_same_bits(tmp_path):
    (tmp_path / "of rank 0").mkdir()
    (tmp_path / "fit.py").write_text(RESTARTED)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1"]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", str(tmp_path / "fit.py"), str(tmp_path)]
    path = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    subprocess.run(command, check=True, timeout=HANGS, env=environment)
    undisturbed = json.loads((tmp_path / "start00.json").read_text())["undisturbed"]
    for rank in range(2):
        end = json.loads((tmp_path / f"end{rank}.json").read_text())
        assert end["resumed"] == undisturbed
    assert os.listdir(tmp_path / "of rank 0") == [], "its work is done"


if __name__ == "__main__":
    main(sys.argv[1])
