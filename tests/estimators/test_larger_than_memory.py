"""Data larger than memory: read block by block in all methods, and checked when read."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest
import torch
import zarr
from sklearn import config_context
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from torch.utils.data import Dataset

from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae._data.sources import LazyArray, load_if_small
from skae.estimators import _initialize

SMALL = {"max_epochs": 3, "random_state": 0, "batch_size": 64}


@pytest.fixture(autouse=True)
def little_memory():
    """32 KiB are held, 4 KiB read at once."""
    with config_context(working_memory=1 / 16):
        yield


class Items(Dataset):
    """Rows by their number."""

    def __init__(self, A):
        self.A = A

    def __len__(self):
        return len(self.A)

    def __getitem__(self, i):
        return torch.from_numpy(np.array(self.A[i])), 7


def as_memmap(A, tmp_path):
    np.save(tmp_path / "rows.npy", A)
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


def as_dask(A, tmp_path):
    return da.from_array(A, chunks=(100, *A.shape[1:]))


def as_zarr(A, tmp_path):
    return zarr.create_array(tmp_path / "rows.zarr", data=np.array(A), chunks=(100, *A.shape[1:]))


def as_h5py(A, tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file.create_dataset("X", data=A, chunks=(100, *A.shape[1:]))
    return h5py.File(tmp_path / "rows.h5")["X"]


def as_dataset(A, tmp_path):
    return Items(A)


KINDS = {"memmap": as_memmap, "dask": as_dask, "zarr": as_zarr, "h5py": as_h5py, "Dataset": as_dataset}


# tests/test_sources.py has the rows of every kind; above it all kinds are one, so that each test needs but one of them.
every_kind = pytest.mark.parametrize("store", KINDS, indirect=True)


def of_kind(name):
    return pytest.mark.parametrize("store", [name], indirect=True)


@pytest.fixture(scope="module")
def few(digits):
    return digits[:400]


@pytest.fixture
def store(request, tmp_path_factory):
    """A function that stores an array, as a memory map if a test asks for nothing else."""
    kind = getattr(request, "param", "memmap")
    return lambda A: KINDS[kind](np.ascontiguousarray(A), tmp_path_factory.mktemp("store"))


@every_kind
def test_small_arrays_are_loaded_and_large_ones_streamed(few, store):
    X = store(few)
    assert isinstance(load_if_small(X), LazyArray)
    with config_context(working_memory=1024):
        loaded = load_if_small(X)
    assert isinstance(loaded, np.ndarray)
    np.testing.assert_array_equal(loaded, few)


@every_kind
@pytest.mark.slow
def test_methods_match_in_memory(few, store):
    X = store(few)
    ae = AutoencoderTransformer(4, **SMALL).fit(X)
    assert ae.n_features_in_ == 64
    np.testing.assert_allclose(ae.module_.mean, few.mean(axis=0))
    assert ae.module_.scale == pytest.approx(np.sqrt(few.var(axis=0).mean()))
    for name in ("transform", "reconstruct", "score_samples"):
        found = getattr(ae, name)(X)
        assert isinstance(found, da.Array if isinstance(X, da.Array) else np.ndarray)
        np.testing.assert_allclose(found, getattr(ae, name)(few), rtol=1e-4, atol=1e-4)
    assert ae.score(X) == pytest.approx(ae.score(few))
    Z = ae.transform(few)
    np.testing.assert_allclose(ae.inverse_transform(Z), ae.reconstruct(few), atol=1e-4)


@pytest.mark.slow
def test_streaming_loss_is_close_to_in_memory(digits, store):
    with config_context(working_memory=1):  # windows of 256 rows; of fewer the statistics are too small to compare
        read = AutoencoderTransformer(8, max_epochs=15, random_state=0).fit(store(digits))
    with config_context(working_memory=1024):
        held = AutoencoderTransformer(8, max_epochs=15, random_state=0).fit(digits)
    start = held.validation_loss_curve_[0]
    assert -held.score(digits) * 64 < 0.8 * start
    assert read.score(digits) == pytest.approx(held.score(digits), rel=0.2), "of shuffling within 256 rows alone"
    assert read.loss_curve_[-1] < read.loss_curve_[0]


@of_kind("Dataset")
def test_fit_is_reproducible(few, store):
    X = store(few)
    a, b = (AutoencoderTransformer(4, **SMALL).fit(X).transform(few) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_streamed_arrays_train_as_in_memory_ones(few):
    weight = np.linspace(0, 2, len(few))
    for params in ({}, {"loss": "huber", "noise": "gaussian_noise"}, {"early_stopping": False}):
        # But for a start from all rows, and more rows held out than may be held.
        own = {"module__linear_skip": False, "validation_fraction": 0.05}
        ae = AutoencoderTransformer(4, **SMALL, **own, **params)
        read = clone(ae).fit(few[:200], sample_weight=weight[:200])
        with config_context(working_memory=1024):
            held = clone(ae).fit(few[:200], sample_weight=weight[:200])
        np.testing.assert_allclose(read.loss_curve_, held.loss_curve_, rtol=1e-6)
        np.testing.assert_allclose(read.transform(few), held.transform(few), atol=1e-4)


@of_kind("h5py")
def test_warm_start_and_partial_fit(few, store):
    X = store(few)
    ae = AutoencoderTransformer(4, warm_start=True, **SMALL).fit(X).fit(X).partial_fit(X)
    assert ae.n_iter_ == 4
    first = AutoencoderTransformer(4, **SMALL).partial_fit(X)
    assert np.isfinite(first.transform(X)).all()


@of_kind("zarr")
def test_zero_weight_samples_are_ignored(few, store):
    X, weight = few.copy(), np.ones(len(few))
    X[::3], weight[::3] = 1e6, 0
    ae = AutoencoderTransformer(4, prior=GaussianMixture(2), **SMALL).fit(store(X), sample_weight=weight)
    kept = X[weight > 0]
    np.testing.assert_allclose(ae.module_.mean, kept.mean(axis=0), rtol=1e-6)
    assert ae.module_.scale == pytest.approx(np.sqrt(kept.var(axis=0).mean()))
    assert -ae.score(kept) < 1.05 * kept.var()
    assert np.abs(ae.sample(50, random_state=0)).max() < 100


def test_zero_weight_class_has_no_prior(few, store):
    y = np.arange(400) % 3
    weight = (y != 1).astype(float)
    vae = VAEGenerator(2, conditional=True, prior="mixture", **SMALL).fit(store(few), y, sample_weight=weight)
    assert [prior is None for prior in vae.prior_] == [False, True, False]
    assert vae.sample(5, y=2, random_state=0).shape == (5, 64)


def test_zero_weight_samples_do_not_affect_active_units(few, store):
    # The last rows lie apart, and nothing else tells two rows from each other.
    X, weight = np.tile(few[:1], (400, 1)), np.ones(400)
    X[-100:], weight[-100:] = few[-100:], 0
    for rows in (X, store(X)):
        vae = VAEGenerator(2, **SMALL).fit(rows, sample_weight=weight)
        assert vae.active_units_ == 0


@pytest.mark.parametrize(
    ("store", "value"), [("dask", np.nan), ("h5py", np.inf), ("Dataset", 1e39)], indirect=["store"]
)
def test_invalid_values_are_found_in_any_block(few, store, value):
    X = few.copy()
    X[350, 3] = value
    ae = AutoencoderTransformer(4, **SMALL)
    before = dict(vars(ae))
    with pytest.raises(ValueError, match=r"Input X contains|X has values up to 1e\+39"):
        ae.fit(store(X))
    assert vars(ae) == before


@of_kind("h5py")
def test_missing_values(few, store):
    known = np.random.default_rng(0).random(few.shape) > 0.2
    X = store(np.where(known, few, np.nan))
    ae = AutoencoderTransformer(4, missing="mask", noise="masking_noise", **SMALL).fit(X)
    filled = ae.reconstruct(X, keep_observed=True)
    np.testing.assert_array_equal(filled[known], few[known])
    assert np.isfinite(filled).all()
    assert np.isfinite(ae.score(X))


@of_kind("Dataset")
@pytest.mark.slow
def test_images_and_generators(few, store, tmp_path):
    conv = ConvAutoencoder(4, **SMALL).fit(store(few))
    assert conv.transform(few).shape == (400, 4)
    vae = VAEGenerator(2, conditional=True, **SMALL)
    y = np.arange(400) % 3
    vae.fit(KINDS["dask"](few, tmp_path), y)
    assert vae.sample(5, y=1, random_state=0).shape == (5, 64)


def test_images_with_channel_axis(few, store):
    X = few.reshape(-1, 8, 8)
    ae = ConvAutoencoder(4, **SMALL).fit(store(X))
    assert ae.reconstruct(X[:20]).shape == (20, 8, 8)


@of_kind("zarr")
def test_lazy_targets(few, store):
    noisy = few + np.random.default_rng(0).normal(size=few.shape)
    clean = as_dask(few, None)
    ae = AutoencoderTransformer(4, **SMALL).fit(store(noisy), X_target=clean)
    assert np.isfinite(ae.score(noisy, X_target=clean))
    bounded = AutoencoderTransformer(4, loss="bernoulli", **SMALL)
    with pytest.raises(ValueError, match=r"loss=Bernoulli needs X in \[0, 1\]"):
        clone(bounded).fit(store(few))


@of_kind("dask")
def test_loss_with_domain(few, store):
    X = store(few / 16)
    ae = AutoencoderTransformer(4, loss="bernoulli", **SMALL).fit(X)
    assert ae.reconstruct(X).max() <= 1


@pytest.mark.parametrize("targets", [False, True])
def test_validation_data_are_read_where_they_do_not_fit(few, store, targets):
    noisy = few + 1
    fits = [
        AutoencoderTransformer(4, loss="bernoulli" if targets else "squared_error", **SMALL).fit(
            few[:50] / 16,
            X_target=few[50:100] / 16 if targets else None,
            X_val=keep(noisy / 16),
            X_val_target=keep(few / 16) if targets else None,
        )
        for keep in (store, lambda A: A)
    ]
    with config_context(working_memory=1024):
        held = AutoencoderTransformer(4, loss="bernoulli" if targets else "squared_error", **SMALL).fit(
            few[:50] / 16,
            X_target=few[50:100] / 16 if targets else None,
            X_val=noisy / 16,
            X_val_target=few / 16 if targets else None,
        )
    for read in fits:
        assert read.validation_loss_curve_ == held.validation_loss_curve_
        np.testing.assert_array_equal(read.transform(few[:9]), held.transform(few[:9]))


def test_validation_data_of_a_denoiser_must_fit_into_memory(few, store):
    X = store(few)
    denoiser = AutoencoderTransformer(4, noise="gaussian_noise", **SMALL)
    with pytest.raises(ValueError, match=r"X_val is corrupted once .* and must fit into memory, got 25600 values"):
        denoiser.fit(X, X_val=X)
    denoiser.fit(X, X_val=few[:50])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda X: X[:, 0], "Expected 2D array, got 1D array instead"),
        (lambda X: X.astype(complex), "Complex data not supported"),
        (lambda X: X.astype("datetime64[s]"), "X must hold real numbers|dtype"),
    ],
    ids=["flat", "complex", "dates"],
)
def test_non_numeric_sources_raise(few, make, error):
    X = da.from_array(make(np.tile(few, (20, 1))), chunks=100)
    with pytest.raises((ValueError, TypeError), match=error):
        AutoencoderTransformer(4, **SMALL).fit(X)


def test_wrong_number_of_features_raises(few, store):
    ae = AutoencoderTransformer(4, **SMALL).fit(few)
    with pytest.raises(ValueError, match="X has 63 features, but AutoencoderTransformer is expecting 64"):
        ae.transform(store(few[:, 1:]))


def test_unknown_chunk_sizes_raise(few):
    X = da.from_array(few, chunks=100)
    with pytest.raises(ValueError, match=r"X has chunks of unknown size: call X.compute_chunk_sizes\(\) first"):
        AutoencoderTransformer(4, **SMALL).fit(X[X[:, 3] > 2])


class Counted:
    """An array that knows the most rows that were ever asked of it."""

    def __init__(self, A):
        self.A, self.shape, self.dtype, self.chunks, self.most = A, A.shape, A.dtype, (50, A.shape[1]), 0

    def __len__(self):
        return len(self.A)

    def __getitem__(self, index):
        rows = self.A[index]
        self.most = max(self.most, len(rows))
        return rows


def test_methods_read_one_block_at_a_time(few):
    X = Counted(few)
    ae = AutoencoderTransformer(4, prior=GaussianMixture(2), **SMALL).fit(X)
    for method in (ae.transform, ae.reconstruct, ae.score_samples, ae.score):
        method(X)
    assert X.most <= 50


def test_few_large_samples_with_noise():
    X = np.random.default_rng(0).normal(size=(8, 4000))
    with config_context(working_memory=0.1):
        ae = AutoencoderTransformer(2, noise="gaussian_noise", max_epochs=2, random_state=0).fit(X)
    assert np.isfinite(ae.transform(X)).all()


@pytest.mark.parametrize("loss", ["squared_error", "bernoulli"])
def test_samples_are_read_once_per_epoch(few, loss):
    X = Counted(few / 16)
    rows = []
    X.__class__ = type("Summed", (Counted,), {"__getitem__": lambda self, i: rows.append(len(self.A[i])) or self.A[i]})
    read = []
    for epochs in (1, 3):
        rows.clear()
        AutoencoderTransformer(2, loss=loss, max_epochs=epochs, random_state=0, batch_size=64).fit(X)
        read.append(sum(rows))
    assert read[1] - read[0] <= 2 * len(few)


class Computed:
    """Rows of two values that are computed when they are read."""

    def __init__(self, n):
        self.shape, self.dtype, self.chunks = (n, 2), np.dtype("f4"), (1024, 2)

    def __getitem__(self, rows):
        return np.stack(
            [np.sin(np.arange(rows.start, rows.stop, dtype="f4")), np.cos(np.arange(rows.start, rows.stop))], 1
        )


@pytest.mark.slow
def test_index_memory_per_sample(monkeypatch):
    monkeypatch.setattr(_initialize, "_PCA_VALUES", 2**12)  # of blocks that otherwise grow with the rows up to a size

    def peak(n):
        ae = AutoencoderTransformer(1, max_epochs=1, batch_size=4096, random_state=0, module__hidden_layer_sizes=())
        tracemalloc.start()
        try:
            with config_context(working_memory=1):
                ae.fit(Computed(n))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20_000)  # what is imported at the first use
    few, many = peak(100_000), peak(300_000)
    assert (many - few) / 200_000 <= 8.5, "what else grows are block edges and batch sizes"


SCRIPT = """
import sys, numpy as np
from pathlib import Path
from sklearn import config_context
from skae import AutoencoderTransformer

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

small = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
AutoencoderTransformer(2, max_epochs=1).fit(small)
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
X = np.load(sys.argv[1], mmap_mode="r")
with config_context(working_memory=64):
    ae = AutoencoderTransformer(2, max_epochs=1, batch_size=4096, module__hidden_layer_sizes=(16,)).fit(X)
    ae.transform(X)
print(memory("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc, which is Linux's")
def test_memory_of_fit_is_below_file_size(tmp_path):
    path = tmp_path / "rows.npy"
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1_000_000, 64))
    rng = np.random.default_rng(0)
    for start in range(0, len(X), 100_000):
        X[start : start + 100_000] = rng.standard_normal((100_000, 64), dtype=np.float32)
    X.flush()
    del X
    ran = subprocess.run([sys.executable, "-c", SCRIPT, path], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 140, "of 244 MB"
