"""Lazy arrays have the rows of the array, and load no more than requested."""

import mmap
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import dask
import dask.array as da
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, StackDataset, Subset, TensorDataset

from skae._data import sources as _source
from skae._data.sources import as_lazy_array

DTYPES = ["?", "u1", "i2", "i8", "f2", "f4", "f8", ">f4", "c8"]
TORCH_DTYPES = ["u1", "i2", "i8", "f2", "f4", "f8", "c8"]


class Items(Dataset):
    """A Dataset of `item` of each row, which counts the items read."""

    def __init__(self, X, item=lambda row: row):
        self.X, self.item, self.asked = X, item, []

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        assert type(index) is int
        if not 0 <= index < len(self):
            raise IndexError(index)
        self.asked.append(index)
        return self.item(self.X[index])


class Batches(Items):
    """The same, asked for many items at once."""

    def __getitems__(self, indices):
        return [self[index] for index in indices]


class Stored:
    """What an array in chunks looks like, which counts the rows that are read of it."""

    def __init__(self, X, chunks):
        self.X, self.chunks, self.shape, self.dtype = X, chunks, X.shape, X.dtype
        self.read = []

    def __getitem__(self, index):
        assert isinstance(index, slice), "of what is in chunks, slices alone are sure to be read well"
        self.read.append((index.start, index.stop))
        return self.X[index]


def tensors(X, n_tensors=2):
    return [torch.from_numpy(X.copy()), torch.arange(len(X))][:n_tensors]


def map_of(X, path, mode="r+", order="C"):
    """A memory map of a file that holds X."""
    array = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape, order=order)
    array[...] = X
    array.flush()
    return np.memmap(path, dtype=X.dtype, mode=mode, shape=X.shape, order=order)


def h5_of(X, path, chunks):
    return h5py.File(path, "w").create_dataset("X", data=X, chunks=chunks)


def chunks_of(X, rows):
    return (min(rows, len(X)), *X.shape[1:])


# Each makes of an array, a path that nothing else writes to, and a number of rows in a chunk, a source of its rows.
SOURCES = {
    "memmap r": lambda X, path, rows: map_of(X, path, "r"),
    "memmap r+": lambda X, path, rows: map_of(X, path, "r+"),
    "memmap c": lambda X, path, rows: map_of(X, path, "c"),
    "memmap of columns": lambda X, path, rows: map_of(X, path, order="F"),
    "backwards": lambda X, path, rows: map_of(X[::-1, ..., ::-1], path)[::-1, ..., ::-1],
    "every other": lambda X, path, rows: map_of(X.repeat(2, axis=0), path)[1::2],
    "transposed": lambda X, path, rows: map_of(np.ascontiguousarray(X.T), path).T,
    "part of a memmap": lambda X, path, rows: map_of(np.tile(X, (2, *[1] * (X.ndim - 1))), path)[len(X) :],
    "array in a memmap": lambda X, path, rows: np.asarray(map_of(X, path)),
    "part of an array in a memmap": lambda X, path, rows: np.asarray(
        map_of(np.tile(X, (2, *[1] * (X.ndim - 1))), path)
    )[len(X) :],
    "strided over a memmap": lambda X, path, rows: np.lib.stride_tricks.as_strided(map_of(X, path), subok=True),
    "dask": lambda X, path, rows: da.from_array(X, chunks=chunks_of(X, rows)),
    "dask in columns": lambda X, path, rows: da.from_array(X, chunks=(rows, 1, *X.shape[2:])),
    "dask of a computation": lambda X, path, rows: da.from_array(X, chunks=rows)[::-1].map_blocks(lambda a: a)[::-1],
    "dask in uneven chunks": lambda X, path, rows: da.from_array(X, chunks=((1, 0, len(X) - 1), *X.shape[1:])),
    "zarr": lambda X, path, rows: zarr.array(X, chunks=chunks_of(X, rows)),
    "zarr in columns": lambda X, path, rows: zarr.array(X, chunks=(min(rows, len(X)), 1, *X.shape[2:])),
    "h5py": lambda X, path, rows: h5_of(X, path, chunks_of(X, rows)),
    "h5py without chunks": lambda X, path, rows: h5_of(X, path, None),
    "alike": lambda X, path, rows: Stored(X, (rows, *X.shape[1:])),
    "Dataset of arrays": lambda X, path, rows: Items(X),
    "Dataset of pairs": lambda X, path, rows: Items(X, lambda row: (row, 3)),
    "Dataset of lists": lambda X, path, rows: Batches(X, lambda row: [row, {"a": 1}]),
    "Dataset of things with an array": lambda X, path, rows: Items(X, lambda row: memoryview(row.copy())),
}
OF_TENSORS = {
    "Dataset of tensors": lambda X, path, rows: Items(tensors(X)[0]),
    "TensorDataset": lambda X, path, rows: TensorDataset(*tensors(X)),
    "TensorDataset of X": lambda X, path, rows: TensorDataset(*tensors(X, 1)),
    "Subset": lambda X, path, rows: Subset(TensorDataset(*tensors(X[::-1])), range(len(X))[::-1]),
    "ConcatDataset": lambda X, path, rows: ConcatDataset(
        [TensorDataset(*tensors(x)) for x in (X[:1], X[1:]) if len(x)]
    ),
    "StackDataset": lambda X, path, rows: StackDataset(*tensors(X)),
}
EVERY = SOURCES | OF_TENSORS


@pytest.fixture(scope="module")
def new_path(tmp_path_factory):
    """A function that names a new file each time, also within one property."""
    folder, names = tmp_path_factory.mktemp("source"), iter(range(10**9))
    return lambda: folder / str(next(names))


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def sample(n, row_shape=(3, 2), dtype="f8", seed=0):
    X = np.random.default_rng(seed).integers(0, 100, size=(n, *row_shape))
    return (X > 50 if dtype == "?" else X).astype(dtype)


# ------------------------------------------------------------------ the rows


@pytest.mark.parametrize("kind", EVERY)
@given(data=st.data())
@settings(max_examples=5)
def test_indexing_matches_array(kind, new_path, data):
    n, rows = data.draw(st.integers(1, 30), "n"), data.draw(st.integers(1, 12), "rows of a chunk")
    row_shape = data.draw(st.sampled_from([(3,), (2, 3), (1, 2, 2)]), "row")
    dtype = data.draw(st.sampled_from(DTYPES if kind in SOURCES else TORCH_DTYPES), "dtype")
    if kind == "Dataset of things with an array":
        dtype = "f4"  # no memoryview has foreign bytes
    X = sample(n, row_shape, dtype)
    blocks = as_lazy_array(EVERY[kind](X, new_path(), rows), block_values=data.draw(st.integers(1, 99), "values"))
    assert (blocks.shape, blocks.dtype, blocks.ndim, blocks.size, len(blocks)) == (X.shape, X.dtype, X.ndim, X.size, n)
    assert blocks.edges[0] == 0
    assert blocks.edges[-1] == n
    assert all(a < b for a, b in pairwise(blocks.edges))
    indices = [slice(a, b) for a, b in pairwise(blocks.edges)]
    ends = st.none() | st.integers(-2 * n, 2 * n)
    indices += data.draw(st.lists(st.builds(slice, ends, ends, st.sampled_from([None, 1])), max_size=5), "slices")
    numbers = st.lists(st.integers(-n, n - 1), max_size=20).map(lambda i: np.array(i, dtype=int))
    indices += data.draw(st.lists(numbers, max_size=3), "numbers")
    for index in [*indices, slice(None), np.arange(n)[::-1].astype("u2"), np.zeros(0, "i1")]:
        found = blocks[index]
        assert type(found) is np.ndarray
        assert found.dtype == X.dtype
        np.testing.assert_array_equal(found, X[index])


@pytest.mark.parametrize("kind", EVERY)
def test_other_indices_raise(kind, new_path):
    blocks = as_lazy_array(EVERY[kind](sample(6, dtype="f4"), new_path(), 2))
    for index in [
        0,
        [1, 2],
        (0, 0),
        slice(None, None, 2),
        slice(None, None, -1),
        np.ones(6, bool),
        np.eye(2, dtype=int),
    ]:
        with pytest.raises(IndexError, match="X takes slices without a step and 1-d integer arrays, got"):
            blocks[index]
    for index in ([6], [0, -7]):
        with pytest.raises(IndexError, match="X has 6 rows, got indices"):
            blocks[np.array(index)]


@pytest.mark.parametrize("kind", EVERY)
def test_conversion_to_array_raises(kind, new_path):
    blocks = as_lazy_array(EVERY[kind](sample(6, dtype="f4"), new_path(), 2), name="X_val")
    for load in (np.asarray, np.sum, np.array):
        with pytest.raises(TypeError, match="X_val is read block by block and cannot be loaded as a whole: slice it"):
            load(blocks)


@pytest.mark.parametrize("kind", ["memmap r", "array in a memmap", "dask", "zarr", "h5py", "alike", "TensorDataset"])
def test_empty_slice_keeps_sample_shape(kind, new_path, tmp_path):
    X = np.empty((0, 3, 2), "f4")
    if "memmap" in kind:
        np.save(tmp_path / "X.npy", X)
        source = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif kind == "h5py":
        source = h5py.File(new_path(), "w").create_dataset("X", X.shape, X.dtype, maxshape=(None, 3, 2))
    elif kind == "zarr":
        source = zarr.create_array({}, shape=X.shape, chunks=(4, 3, 2), dtype=X.dtype)
    else:
        source = EVERY[kind](X, new_path(), 4)
    blocks = as_lazy_array(np.asarray(source) if kind == "array in a memmap" else source)
    assert (blocks.shape, blocks.dtype, len(blocks), blocks.size, blocks.edges) == (X.shape, X.dtype, 0, 0, [0])
    assert blocks[:].shape == blocks[np.zeros(0, int)].shape == X.shape
    assert blocks.arranged(lambda rows: rows.reshape(len(rows), -1)).shape == (0, 6)
    with pytest.raises(IndexError, match="has 0 rows"):
        blocks[np.zeros(1, int)]


def test_empty_dataset():
    blocks = as_lazy_array(Items([]))
    assert (blocks.shape, blocks[:].shape, blocks.edges) == ((0, 0), (0, 0), [0])


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((3, 2)),
        np.zeros((3, 2))[1:],
        np.ma.zeros((3, 2)),
        np.float64(3.0),
        [[1.0, 2.0]],
        None,
        "X",
        torch.zeros(3, 2),
        pd.DataFrame({"shape": [1.0], "dtype": [2.0], "chunks": [3.0]}),
        pd.Series([1.0, 2.0], index=["chunks", "a"]),
        da.zeros(()),
        SimpleNamespace(shape=(3, 2), dtype=np.dtype("f4")),
        SimpleNamespace(shape=None, dtype=np.dtype("f4"), chunks=None),
    ],
    ids=repr,
)
def test_in_memory_arrays_are_not_lazy(X):
    assert as_lazy_array(X) is None


def test_copies_of_memmaps_are_not_lazy(new_path):
    X = map_of(sample(6), new_path())
    for array in (X + 1, X.copy(), X.astype("f4"), X[[1, 2]], X.sum(0), np.array(X), np.asarray(X).copy(), X[0, 0, 0]):
        assert as_lazy_array(array) is None
    assert as_lazy_array(X.copy()[1:]) is None


# ------------------------------------------------------------------ the blocks


@given(
    n=st.integers(1, 200),
    rows=st.one_of(st.none(), st.integers(1, 60), st.lists(st.integers(0, 60), min_size=1, max_size=20)),
    values=st.integers(1, 200),
)
@settings(max_examples=60)
def test_blocks_align_with_chunks(n, rows, values):
    sizes = [n] if rows is None else rows if isinstance(rows, list) else [min(rows, n - a) for a in range(0, n, rows)]
    X = np.zeros((sum(sizes), 3))
    chunks = None if rows is None else ((tuple(rows) if isinstance(rows, list) else rows), 3)
    edges = as_lazy_array(Stored(X, chunks), block_values=values).edges
    most, bounds = max(1, values // 3), np.cumsum([0, *sizes]).tolist()
    assert edges[0] == 0
    assert edges[-1] == len(X)
    assert all(0 < b - a <= most for a, b in pairwise(edges)), "no block is empty or too large"
    large = {b for a, b in pairwise(bounds) if b - a > most} | {a for a, b in pairwise(bounds) if b - a > most}
    assert large <= set(edges), "a chunk that is cut shares no block with others"
    for a, b in pairwise(bounds):
        if b - a > most:
            inner = [edge for edge in edges if a <= edge <= b]
            assert len(inner) - 1 == -(-(b - a) // most), "there are no more parts than that takes"
        else:
            assert not any(a < edge < b for edge in edges), "a chunk that fits is not cut"
    if large == set():
        assert all(c - a > most for a, c in zip(edges, edges[2:], strict=False)), "two blocks would not fit into one"


def test_default_block_size(monkeypatch):
    X = np.zeros((100, 4))
    monkeypatch.setattr(_source, "_BLOCK", 40)
    assert as_lazy_array(Stored(X, None)).edges == list(range(0, 101, 10))
    monkeypatch.undo()
    assert as_lazy_array(Stored(X, None)).edges == [0, 100]
    wide = SimpleNamespace(shape=(2**13, 2**10), dtype=np.dtype("f4"), chunks=None)
    assert as_lazy_array(wide).edges == [0, 2**12, 2**13]


def test_large_rows_are_single_blocks():
    assert as_lazy_array(Stored(np.zeros((3, 50)), (2, 50)), block_values=10).edges == [0, 1, 2, 3]


# ------------------------------------------------------------------ arranged and checked


@pytest.mark.parametrize("kind", EVERY)
def test_arrangements_and_checks(kind, new_path):
    X = sample(11, dtype="f4")
    seen = []
    plain = as_lazy_array(EVERY[kind](X, new_path(), 4), block_values=20)
    blocks = plain.arranged(lambda rows: rows.reshape(len(rows), 6)).checked(lambda rows: seen.append(rows.shape))
    blocks = blocks.arranged(lambda rows: rows[:, ::2].astype("f8"))
    assert (blocks.shape, blocks.dtype, blocks.edges, blocks.size) == ((11, 3), np.dtype("f8"), plain.edges, 33)
    assert seen == [], "nothing was read for that"
    np.testing.assert_array_equal(blocks[2:9], X.reshape(11, 6)[2:9, ::2])
    np.testing.assert_array_equal(blocks[np.array([5, 0, 5])], X.reshape(11, 6)[[5, 0, 5], ::2])
    assert blocks[4:4].shape == (0, 3)
    assert blocks[4:4].dtype == "f8"
    assert seen == [(7, 3, 2), (3, 3, 2)], "as they were read, and none where nothing was"
    assert plain.shape == X.shape
    np.testing.assert_array_equal(plain[:], X)
    assert len(seen) == 2, "the blocks it was made of have no check"


def test_failing_check_raises():
    def check(rows):
        if np.isnan(rows).any():
            raise ValueError("NaN found")

    X = np.zeros((6, 2))
    X[4] = np.nan
    blocks = as_lazy_array(Stored(X, (2, 2)), block_values=4).checked(check).arranged(np.nan_to_num)
    assert len(blocks[:4]) == 4
    with pytest.raises(ValueError, match="NaN found"):
        blocks[3:5]


# ------------------------------------------------------------------ memory maps


def resident():
    """How many MB of files, or of such that lie in memory themselves, the process holds."""
    status = Path("/proc/self/status").read_text()
    return sum(int(size) for size in re.findall(r"^Rss(?:File|Shmem):\s+(\d+) kB", status, re.M)) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="nobody says how much memory the process has")
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_reading_memmap_releases_pages(mode, tmp_path):
    n = 50_000  # of 1024 float32: 195 MB
    path = tmp_path / "X"
    with path.open("wb") as file:
        for start in range(0, n, 5000):
            np.full((5000, 1024), start, "f4").tofile(file)
    X = np.memmap(path, dtype="f4", mode=mode, shape=(n, 1024))
    blocks = as_lazy_array(X)
    assert len(blocks.edges) == 14, "blocks of 15 MB"
    before, most = resident(), 0.0
    for a, b in pairwise(blocks.edges):
        assert blocks[a:b][0, 0] == a // 5000 * 5000
        most = max(most, resident() - before)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert len(blocks[rng.integers(0, n, size=500)]) == 500
        most = max(most, resident() - before)
    assert most < 60
    assert X[::4].sum() > 0
    assert resident() - before > 120, "as it is if read without care"
    del X, blocks
    path.unlink()


@pytest.mark.parametrize("mode", ["r+", "c", "w+"])
@pytest.mark.parametrize("flush", [False, True])
def test_changes_of_memmap_survive_reading(mode, flush, new_path):
    X, path = sample(5000, (8,)), new_path()
    array = map_of(X, path, "r+" if mode == "w+" else mode)
    if mode == "w+":
        array = np.memmap(path, dtype=X.dtype, mode=mode, shape=X.shape)
        array[...] = X
    blocks = as_lazy_array(array, block_values=800)
    for k in range(3):  # what was changed before the first reading, and after
        array[k::7] = X[k::7] = -k - 1
        if flush:
            array.flush()
        for a, b in pairwise(blocks.edges):
            np.testing.assert_array_equal(blocks[a:b], X[a:b])
        np.testing.assert_array_equal(blocks[np.arange(0, 5000, 3)], X[::3])
    np.testing.assert_array_equal(array, X)
    del array, blocks
    in_file = np.fromfile(path, dtype=X.dtype).reshape(X.shape)
    assert np.array_equal(in_file, X) == (mode != "c"), "only the changes of copy-on-write are the process's own"


@pytest.mark.parametrize("view", ["itself", "slice", "array", "array of slice"])
def test_private_map_keeps_its_pages(view, new_path):
    views = {
        "itself": lambda a: a,
        "slice": lambda a: a[3:],
        "array": np.asarray,
        "array of slice": lambda a: np.asarray(a[3:])[::2],
    }
    dropped = {"r": [], "c": []}
    for mode, calls in dropped.items():
        array = map_of(sample(100), new_path(), mode)
        array._mmap = SimpleNamespace(madvise=calls.append)
        as_lazy_array(views[view](array))[:5]
    assert dropped == {"r": [mmap.MADV_DONTNEED] if hasattr(mmap, "MADV_DONTNEED") else [], "c": []}


@pytest.mark.parametrize("order", ["C", "F"])
def test_memmap_rows_are_contiguous_copies(order, new_path):
    array = map_of(sample(20), new_path(), order=order)
    blocks = as_lazy_array(array)
    for index in (slice(3, 9), np.array([4, 4, 1])):
        rows = blocks[index]
        assert rows.flags.c_contiguous
        assert rows.flags.writeable
        assert not np.shares_memory(rows, array)


def test_memmap_without_madvise(new_path, monkeypatch):
    monkeypatch.delattr(mmap, "MADV_DONTNEED")
    X = sample(20)
    np.testing.assert_array_equal(as_lazy_array(map_of(X, new_path(), "r"))[3:9], X[3:9])


# ------------------------------------------------------------------ arrays in chunks


@given(data=st.data())
@settings(max_examples=40)
def test_indices_read_each_block_once(data):
    n, rows, values = (data.draw(st.integers(1, 40), name) for name in ("n", "rows of a chunk", "values"))
    source = Stored(sample(n, (2,)), data.draw(st.sampled_from([None, (rows, 2)]), "chunks"))
    blocks = as_lazy_array(source, block_values=values)
    index = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=30), "index"))
    np.testing.assert_array_equal(blocks[index], source.X[index])
    most = max(max(1, values // 2), rows if source.chunks else 1)
    assert all(0 < b - a <= most for a, b in source.read), "not more than a block, or a chunk that was cut"
    assert all(b <= c for (_, b), (c, _) in pairwise(source.read)), "no row twice"
    assert len(source.read) <= len(np.unique(np.searchsorted(blocks.edges, index, side="right")))


def test_split_chunk_is_read_once_per_pass():
    source = Stored(sample(40, (2,)), (16, 2))
    blocks = as_lazy_array(source, block_values=10)
    for _ in range(2):
        for a, b in pairwise(blocks.edges):
            rows = blocks[a:b]
            np.testing.assert_array_equal(rows, source.X[a:b])
            assert not rows.flags.writeable, "the next part is of the same array"
    assert source.read == [(0, 16), (16, 32), (32, 40)] * 2
    assert source.X.flags.writeable


def test_at_most_one_chunk_is_cached():
    source = Stored(sample(40, (2,)), (16, 2))
    blocks = as_lazy_array(source, block_values=10)
    kept = blocks._read.__closure__[[*blocks._read.__code__.co_freevars].index("load")].cell_contents
    kept = kept.__closure__[[*kept.__code__.co_freevars].index("kept")].cell_contents
    for start in (0, 17, 3):
        blocks[start : start + 3]
        assert [len(chunk) for chunk in kept.values()] == [16]
    blocks[10:20]  # lies in two chunks
    assert len(kept) <= 1


def test_large_chunk_is_not_cached(monkeypatch):
    monkeypatch.setattr(_source, "_KEPT", 16 * 2 * 8 - 1)
    source = Stored(sample(48, (2,)), (16, 2))
    blocks = as_lazy_array(source, block_values=10)
    for a, b in pairwise(blocks.edges):
        np.testing.assert_array_equal(blocks[a:b], source.X[a:b])
    assert source.read == list(pairwise(blocks.edges))


@pytest.mark.parametrize("kind", ["map_blocks", "delayed"])
def test_dask_computes_one_block_at_a_time(kind):
    computed = []

    def make(block_info=None, start=None):
        start = block_info[None]["array-location"][0][0] if start is None else start
        computed.append(start)
        return np.full((10, 3), start, "f8")

    if kind == "map_blocks":
        X = da.map_blocks(make, chunks=((10,) * 10, (3,)), dtype="f8", meta=np.empty((0, 0)))
    else:
        parts = [dask.delayed(make, pure=False)(start=start) for start in range(0, 100, 10)]
        X = da.concatenate([da.from_delayed(part, (10, 3), dtype="f8") for part in parts])
    expected = np.repeat(np.arange(0, 100, 10), 10)
    blocks = as_lazy_array(X, block_values=60).arranged(lambda rows: rows[:, 0])
    assert computed == [], "nothing is computed to find the shape"
    assert blocks.edges == [0, 20, 40, 60, 80, 100]
    for a, b in pairwise(blocks.edges):
        np.testing.assert_array_equal(blocks[a:b], expected[a:b])
        assert sorted(computed) == [a, a + 10]
        computed.clear()
    np.testing.assert_array_equal(blocks[np.array([93, 5, 98, 7, 5])], expected[[93, 5, 98, 7, 5]])
    assert computed == [0, 90]


def test_zarr_decodes_one_block_at_a_time():
    decoded = []

    class Store(zarr.storage.MemoryStore):
        async def get(self, key, *args, **kwargs):
            if "c/" in key:
                decoded.append(int(key.split("/")[-2]))
            return await super().get(key, *args, **kwargs)

    X = sample(100, (3,))
    source = zarr.create_array(Store(), shape=X.shape, chunks=(10, 3), dtype=X.dtype)
    source[:] = X
    decoded.clear()
    blocks = as_lazy_array(source, block_values=60)
    for k, (a, b) in enumerate(pairwise(blocks.edges)):
        np.testing.assert_array_equal(blocks[a:b], X[a:b])
        assert sorted(decoded) == [2 * k, 2 * k + 1]
        decoded.clear()
    blocks[np.array([93, 5, 98, 7, 5])]
    assert decoded == [0, 9]


def test_unknown_chunk_sizes_raise():
    X = da.from_array(sample(20, (3,)), chunks=(5, 3))
    X = X[X[:, 0] > 50]
    with pytest.raises(ValueError, match=r"^X has chunks of unknown size: call X.compute_chunk_sizes\(\) first.$"):
        as_lazy_array(X)
    X.compute_chunk_sizes()
    np.testing.assert_array_equal(as_lazy_array(X)[:], X.compute())


@pytest.mark.parametrize(("got", "dtype"), [((4, 3), "f8"), ((5, 2), "f8"), ((5, 3), "f4")])
def test_source_with_wrong_shape_raises(got, dtype):
    X = da.map_blocks(lambda: np.zeros(got), chunks=((5,), (3,)), dtype="i8" if got == (5, 3) else dtype)
    with pytest.raises(ValueError, match=r"^Rows 0:5 of X must have shape \(5, 3\) and dtype (int|float)64, got \("):
        as_lazy_array(X)[:5]


def test_rows_have_declared_dtype():
    X = da.map_blocks(lambda: np.ones((5, 3), "f4"), chunks=((5,), (3,)), dtype="f8", meta=np.empty((0, 0)))
    assert as_lazy_array(X)[:].dtype == as_lazy_array(X)[np.arange(2)].dtype == np.float64


def test_store_errors_propagate():
    class Lost(Stored):
        def __getitem__(self, index):
            raise OSError("the disk is gone")

    for index in (slice(2), np.arange(2)):
        with pytest.raises(OSError, match=r"^the disk is gone$"):
            as_lazy_array(Lost(sample(6), (2, 3, 2)))[index]


# ------------------------------------------------------------------ datasets


@pytest.mark.parametrize("kind", [Items, Batches])
def test_dataset_items_are_read_on_demand(kind):
    data = kind(sample(9, (2,)))
    blocks = as_lazy_array(data)
    assert data.asked == [0], "for the shape"
    blocks[3:5]
    blocks[np.array([8, 1, 1])]
    assert data.asked == [0, 3, 4, 8, 1, 1]


@pytest.mark.parametrize(
    ("item", "row"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ((1, 2, 3), [1, 2, 3]),
        ([np.float32(1), np.float32(2)], np.array([1, 2], "f4")),
        (([1.0, 2.0],), [1.0, 2.0]),
        ([[1, 2], "label"], [1, 2]),
        ((torch.tensor([1.0, 2.0], requires_grad=True), 3), np.array([1, 2], "f4")),
        (torch.tensor([1.0, 2.0], dtype=torch.bfloat16), np.array([1, 2], "f4")),
        (torch.tensor([1.0, 2.0], dtype=torch.float8_e5m2), np.array([1, 2], "f4")),
        (torch.tensor([1.0, 2.0], dtype=torch.float16), np.array([1, 2], "f2")),
        (torch.tensor([1j, 2.0]).conj(), np.array([-1j, 2], "c8")),
        (torch.tensor(3.0), np.array(3, "f4")),
        ((torch.tensor(3.0), 1), np.array(3, "f4")),
        ((), []),
    ],
    ids=repr,
)
def test_supported_dataset_items(item, row):
    expected = np.array([row] * 3)
    blocks = as_lazy_array(Items([item] * 3))
    for found in (blocks[:], blocks[np.arange(3)]):
        assert (found.shape, found.dtype) == (blocks.shape, blocks.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(found, expected)


def test_tensor_dataset_is_sliced_without_copy():
    data = TensorDataset(torch.arange(12.0).reshape(6, 2), torch.arange(6))
    assert np.shares_memory(as_lazy_array(data)[1:3], data.tensors[0].numpy())

    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(2 * tensor for tensor in super().__getitem__(index))

    np.testing.assert_array_equal(as_lazy_array(Doubled(*data.tensors))[1:3], 2 * data.tensors[0][1:3])
    half = as_lazy_array(TensorDataset(data.tensors[0].bfloat16()))
    assert half.dtype == half[:2].dtype == half[np.arange(2)].dtype == np.float32


@pytest.mark.parametrize("kind", [Items, Batches])
@pytest.mark.parametrize("row", [np.zeros(3), np.zeros((1, 2)), np.zeros(2, "c16"), 1.0])
def test_rows_of_different_shape_raise(kind, row):
    data = kind([np.zeros(2)] * 4 + [row])
    message = rf"^Row 4 of X must have shape \(2,\) and dtype float64, got {re.escape(str(np.shape(row)))} and "
    for index in (slice(3, 5), np.array([0, 4, 1])):
        with pytest.raises(ValueError, match=message):
            as_lazy_array(data)[index]
    assert as_lazy_array(data)[:4].shape == (4, 2)


def test_dtype_of_first_item_must_hold_all_items():
    assert as_lazy_array(Items([[1.5, 2], [1, 2]]))[:].tolist() == [[1.5, 2], [1, 2]]
    with pytest.raises(ValueError, match=r"Row 1 of X must have shape \(2,\) and dtype int64, got \(2,\) and float64"):
        as_lazy_array(Items([[1, 2], [1.5, 2]]))[:]


@pytest.mark.parametrize("item", [{"x": 1}, None, ({"x": 1}, 2), object()], ids=lambda item: type(item).__name__)
def test_items_without_array_raise(item):
    with pytest.raises(TypeError, match=r"^Row 0 of X must be an array, or come first in a tuple, got "):
        as_lazy_array(Items([item]))
    with pytest.raises(TypeError, match=r"^Row 1 of X must be an array"):
        as_lazy_array(Items([[1.0], item]))[:]


def test_wrong_number_of_items_raises():
    class Short(Items):
        def __getitems__(self, indices):
            return [self[index] for index in indices[1:]]

    with pytest.raises(ValueError, match="shorter"):
        as_lazy_array(Short(sample(5)))[:]


def test_dataset_errors_propagate():
    def item(row):
        if row[0] == 3:
            raise OSError("the file of row 3 is gone")
        return row

    with pytest.raises(OSError, match="the file of row 3 is gone"):
        as_lazy_array(Items(np.arange(5.0)[:, None], item))[:]


class Stream(IterableDataset):
    def __iter__(self):
        yield from range(3)

    def __len__(self):
        return 3


class Endless(Dataset):
    def __getitem__(self, index):
        return np.zeros(2)


@pytest.mark.parametrize(
    "data", [Stream(), Endless(), DataLoader(Items(sample(3)))], ids=lambda data: type(data).__name__
)
def test_iterable_datasets_raise(data):
    with pytest.raises(
        TypeError, match=r"^X_val must have a length and indexable rows: pass an array or a map-style torch"
    ):
        as_lazy_array(data, name="X_val")
