"""In-memory and streaming datasets: equal batches, and well-mixed orders."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skae._data.batches import BatchIterator, InMemoryDataset
from skae._data.sources import as_lazy_array
from skae._data.streaming import StreamingDataset


class Chunked:
    """Rows in chunks, as zarr keeps them, of which is known what was read."""

    def __init__(self, A, chunk):
        self.A, self.shape, self.dtype, self.chunks, self.read = A, A.shape, A.dtype, (chunk, *A.shape[1:]), []

    def __len__(self):
        return len(self.A)

    def __getitem__(self, index):
        self.read.append(len(self.A[index]))
        return self.A[index]


def double(x):
    return 2 * x.float()


def negative(x):
    return -x.float()


def numbered(n):
    return np.arange(n, dtype=np.float32)[:, None]


def held(X, targeted=False, weight=None, condition=None, index=None):
    where = None if index is None else torch.from_numpy(index)
    rows = torch.from_numpy(np.array(X))
    return InMemoryDataset(double(rows), negative(rows) if targeted else None, weight, condition, where)


def read(X, window, targeted=False, **others):
    return StreamingDataset(X, double, negative if targeted else None, window, torch.device("cpu"), **others)


def same(a, b):
    for x, y in zip(a, b, strict=True):
        assert torch.equal(x.u, y.u)
        assert torch.equal(x.y, y.y)
        for s, t in ((x.weight, y.weight), (x.condition, y.condition)):
            assert s is t is None or torch.equal(s, t)


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    window=st.integers(1, 80),
    seed=st.integers(0, 2**31 - 1),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    targeted=st.booleans(),
    beside=st.booleans(),
    part=st.booleans(),
)
@settings(max_examples=200)
def test_streaming_batches_match_in_memory_for_arrays(
    n, batch_size, window, seed, shuffle, drop_last, targeted, beside, part
):
    X = numbered(n)
    others = {"weight": torch.arange(n) / 7, "condition": torch.arange(n)[:, None] * 3.0} if beside else {}
    if part:
        others["index"] = np.random.default_rng(seed).permutation(n)[: max(1, n // 2)]
    how = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last, "seed": seed}
    a = BatchIterator(held(X, targeted, **others), **how)
    b = BatchIterator(read(X, window, targeted, **others), **how)
    assert len(a) == len(b)
    for _ in range(2):  # another order, and again the same
        same(list(a), list(b))


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    window=st.integers(1, 80),
    chunk=st.integers(1, 30),
    seed=st.integers(0, 2**31 - 1),
    shuffle=st.booleans(),
    share=st.floats(0.05, 1),
)
@settings(max_examples=200)
def test_streaming_yields_each_sample_once(n, batch_size, window, chunk, seed, shuffle, share):
    index = np.random.default_rng(seed).permutation(n)[: max(1, int(share * n))]
    source = as_lazy_array(Chunked(numbered(n), chunk), block_values=chunk)
    batches = BatchIterator(read(source, window, True, index=index), batch_size, shuffle=shuffle, seed=seed)
    for _ in range(2):
        cut = [batch.u.flatten().int() // 2 for batch in batches]
        rows = torch.cat(cut).tolist()
        assert sorted(rows) == sorted(index.tolist())
        assert shuffle or rows == sorted(rows)
        lengths = [len(batch) for batch in cut]
        assert lengths == batches.sizes
        assert max(lengths) <= batch_size
        assert max(lengths) - min(lengths) <= 1
    for batch in batches:
        assert torch.equal(batch.y, -batch.u / 2), "targets stay with their rows"


@pytest.mark.parametrize("size", [1, 3])
def test_part_has_its_samples_with_weights_of_mean_one(size):
    index, weight = np.array([7, 2, 5]), torch.arange(1.0, 11.0)
    part = read(numbered(10), 4, True, weight=weight, condition=-weight[:, None]).part(index)
    batches = list(part.batches([size] * (3 // size), None))
    u, y, weights, c = (torch.cat([getattr(b, name) for b in batches]) for name in ("u", "y", "weight", "condition"))
    assert u[:, 0].tolist() == [14, 4, 10]
    assert y[:, 0].tolist() == [-7, -2, -5]
    assert c[:, 0].tolist() == [-8, -3, -6]
    torch.testing.assert_close(weights, weight[index] / weight[index].mean())


def test_streaming_memory_is_bounded_by_window():
    chunks = Chunked(numbered(1000), 10)
    rows = read(as_lazy_array(chunks, block_values=10), 100)
    chunks.read.clear()
    assert sum(len(batch.u) for batch in BatchIterator(rows, 7, shuffle=True)) == 1000
    assert max(chunks.read) <= 10
    assert sum(chunks.read) == 1000, "every row once"


@pytest.mark.parametrize(("window", "block"), [(20, 10), (25, 10), (7, 3), (5, 10)])
def test_windows_are_filled_with_as_few_blocks_as_possible(window, block):
    rows = read(as_lazy_array(Chunked(numbered(100), block), block_values=block), window)
    *full, last = map(len, rows._windows(torch.Generator().manual_seed(0)))
    assert all(window <= size < window + block for size in full)
    assert 0 < last < window + block


def test_streaming_shuffles_blocks_and_windows():
    rows = read(as_lazy_array(Chunked(numbered(1000), 10), block_values=10), 100)
    iterator = BatchIterator(rows, 50, shuffle=True, seed=3)
    orders = [torch.cat([batch.u.flatten() for batch in iterator]).numpy() / 2 for _ in range(3)]
    for order in orders:
        assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.3, "the blocks come in any order"
        assert np.mean(np.diff(order) == 1) < 0.05, "and neighbors are parted"
    assert not any(np.array_equal(orders[i], orders[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    again = BatchIterator(rows, 50, shuffle=True, seed=3)
    assert np.array_equal(torch.cat([batch.u.flatten() for batch in again]).numpy() / 2, orders[0])


@pytest.mark.parametrize("shuffle", [False, True])
def test_indexed_samples_match_x(shuffle):
    X, index = numbered(30), np.array([3, 29, 3, 0])
    weight, condition = torch.arange(30.0), torch.arange(60.0).reshape(30, 2)
    part = np.arange(10, 20)
    for rows in (
        held(X, True, weight, condition, part),
        read(X, 5, True, weight=weight, condition=condition, index=part),
        read(as_lazy_array(Chunked(X, 4)), 5, True, weight=weight, condition=condition, index=part),
    ):
        found = rows.at(index)
        assert found.u.flatten().tolist() == [6, 58, 6, 0]
        assert found.target.flatten().tolist() == [-3, -29, -3, 0]
        assert found.weight.tolist() == [3, 29, 3, 0]
        assert torch.equal(found.condition, condition[index])
        assert len(rows) == 10


def test_separate_targets_are_read_with_samples():
    X, Y = numbered(20), numbered(20) + 100
    rows = StreamingDataset(
        as_lazy_array(Chunked(X, 3)), double, negative, 6, torch.device("cpu"), as_lazy_array(Chunked(Y, 5))
    )
    for batch in BatchIterator(rows, 4, shuffle=True):
        assert torch.equal(batch.y, -(batch.u / 2 + 100))


def test_blocks_of_chunk_are_read_consecutively():
    chunks = Chunked(numbered(1000), 250)
    source = as_lazy_array(chunks, block_values=50)
    assert source.chunk_edges == [0, 250, 500, 750, 1000]
    rows = read(source, 100)
    iterator = BatchIterator(rows, 50, shuffle=True, seed=0)
    for _ in range(3):
        chunks.read.clear()
        order = torch.cat([batch.u.flatten() for batch in iterator]).int() // 2
        assert sorted(order.tolist()) == list(range(1000))
        assert len(chunks.read) <= 4, "each chunk is read once, if it is not there already"


def test_chunks_without_selected_samples_are_skipped():
    chunks = Chunked(numbered(100), 10)
    rows = read(as_lazy_array(chunks, block_values=3), 5, index=np.array([15, 17, 93]))
    batches = BatchIterator(rows, 2, shuffle=True)
    for _ in range(5):
        assert sorted(int(x) // 2 for batch in batches for x in batch.u) == [15, 17, 93]
