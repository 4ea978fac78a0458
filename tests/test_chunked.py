"""Slice-wise processing in torch, and mean and scale compared with NumPy."""

from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import config_context

from skae._data import chunked as _slices
from skae._data.chunked import extremes, fill_missing, map_rows, slices, to_tensor
from skae._data.scaling import mean_and_scale

DTYPES = ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g", ">i2", ">u4", ">f4", ">f8"]
shapes = hnp.array_shapes(min_dims=2, max_dims=4, max_side=6)
values = st.floats(-1e6, 1e6)


def sliced(n_values):
    """Cut rows into slices of that many values."""
    return mock.patch.object(_slices, "_SLICE", n_values)


def sample(dtype, shape=(40, 3, 2), seed=0):
    """Values that the dtype holds exactly."""
    X = np.random.default_rng(seed).integers(0, 100, size=shape)
    if np.dtype(dtype).kind in "if":
        X = X - 50
    return (X > 20 if dtype == "bool" else X).astype(dtype)


# ------------------------------------------------------------------ slices


@given(n=st.integers(1, 40), d=st.integers(1, 9), size=st.integers(1, 50))
@settings(max_examples=25)
def test_slices_partition_rows_in_bounded_sizes(n, d, size):
    X = np.zeros((n, d))
    with sliced(size):
        cut = list(slices(X))
    assert [i for s in cut for i in range(n)[s]] == list(range(n))
    assert all(X[s].size <= size or len(X[s]) == 1 for s in cut)
    assert len(cut) <= -(-n // max(1, size // d)), "and there are no more of them than that takes"


# ------------------------------------------------------------------ mean and scale


def spread(X):
    """The standard deviation about the means of features."""
    return float(np.sqrt(np.nanvar(X.astype(np.float64), axis=0).mean()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("order", ["C", "F", "reversed"])
def test_mean_and_scale_match_numpy(dtype, weighted, order):
    X = sample(dtype)
    X = X[::-1, :, ::-1] if order == "reversed" else np.array(X, order=order)
    mean, scale = mean_and_scale(X, np.full(len(X), 0.7) if weighted else None)
    exact = X.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-12)
    assert scale == pytest.approx(spread(exact), rel=1e-12)
    assert mean.dtype == np.float64
    assert type(scale) is float


@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=values),
    weight=hnp.arrays(np.int64, 8, elements=st.integers(0, 5)),
    size=st.integers(1, 20),
)
@settings(max_examples=50)
def test_integer_weights_equal_repetitions(X, weight, size):
    weight = weight[: len(X)]
    if not weight.any():
        weight = weight + 1
    repeated = np.repeat(X, weight, axis=0)
    with sliced(size):
        mean, scale = mean_and_scale(X, weight.astype(np.float64))
    tolerance = 1e-12 * np.abs(X).max()
    np.testing.assert_allclose(mean, repeated.mean(0), atol=max(tolerance, 1e-300), rtol=0)
    if spread(repeated) > max(100 * tolerance, 1e-30):  # less counts as constant
        assert scale == pytest.approx(spread(repeated), rel=1e-9)


@given(X=hnp.arrays(np.float64, shapes, elements=values), size=st.integers(1, 40), dtype=st.sampled_from(["f4", "f8"]))
@settings(max_examples=50)
def test_slices_do_not_change_the_result(X, size, dtype):
    X = X.astype(dtype)
    whole = mean_and_scale(X)
    with sliced(size):
        cut = mean_and_scale(X)
    tolerance = 1e-12 * float(np.abs(X).max())
    np.testing.assert_allclose(cut[0], whole[0], atol=max(tolerance, 1e-300), rtol=0)
    if spread(X) > max(100 * tolerance, 1e-30):
        assert cut[1] == pytest.approx(whole[1], rel=1e-9)


@pytest.mark.parametrize("offset", [1e6, -1e9, 1e12])
def test_large_offset_loses_no_precision(offset):
    X = np.random.default_rng(0).normal(size=(500, 4))
    shifted = X + offset
    mean, scale = mean_and_scale(shifted)
    exact = shifted - offset  # without rounding: both are close to the offset
    np.testing.assert_allclose(mean - offset, exact.mean(0), atol=2e-16 * abs(offset), rtol=0)
    assert scale == pytest.approx(spread(exact), rel=1e-9)


@pytest.mark.parametrize("level", [1e4, -1e9, 1e14])
@pytest.mark.parametrize("n", [2, 30, 5000])
def test_offset_of_one_feature_does_not_affect_others(level, n):
    X = np.random.default_rng(0).normal(size=(n, 3))
    X[:, 0] = np.arange(n) % 2 + level
    mean, scale = mean_and_scale(X)
    np.testing.assert_allclose(mean[1:], X[:, 1:].mean(0), atol=1e-15)
    assert mean[0] == pytest.approx(level + (np.arange(n) % 2).mean(), abs=2e-16 * abs(level))
    deviations = np.column_stack([np.arange(n) % 2, X[:, 1:]])
    assert scale == pytest.approx(spread(deviations), rel=1e-9 if abs(level) < 1e10 else 0.1)


def test_sequences_have_one_mean_per_channel():
    X = np.random.default_rng(0).normal([5.0, -3.0], size=(20, 7, 2))
    X[:10, 4:] = np.nan
    mean, scale = mean_and_scale(X, by_channel=True)
    np.testing.assert_allclose(mean, np.nanmean(X, axis=(0, 1)), rtol=1e-12)
    assert scale == pytest.approx(np.sqrt(np.nanmean((X - mean) ** 2)), rel=1e-12)
    weight = np.arange(20.0)
    weighted = mean_and_scale(X, weight, by_channel=True)[0]
    known = ~np.isnan(X)
    expected = np.nansum(X * weight[:, None, None], axis=(0, 1)) / (known * weight[:, None, None]).sum(axis=(0, 1))
    np.testing.assert_allclose(weighted, expected, rtol=1e-12)
    one = mean_and_scale(X[:, :, 0], by_channel=True)
    assert one[0].shape == (1,)
    assert one[0][0] == pytest.approx(mean[0], rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (50, 7)])
@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1234.5, 1e15, 1e-300])
@pytest.mark.parametrize("weighted", [False, True])
def test_constant_data_have_scale_one(shape, value, weighted):
    weight = np.linspace(0.1, 1, shape[0]) if weighted else None
    mean, scale = mean_and_scale(np.full(shape, value), weight)
    np.testing.assert_array_equal(mean, np.full(shape[1:], value))
    assert scale == 1.0


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e5 + 0.1])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_large_constant_data_have_scale_one(value, dtype):
    mean, scale = mean_and_scale(np.full((200_000, 1), value, dtype))
    assert mean[0] == float(np.dtype(dtype).type(value))
    assert scale == 1.0


def test_constant_features_of_different_means_have_scale_one():
    mean, scale = mean_and_scale(np.tile([0.1, 1e6, -1 / 3], (1000, 1)))
    np.testing.assert_array_equal(mean, [0.1, 1e6, -1 / 3])
    assert scale == 1.0


def test_nearly_constant_data_keep_their_scale():
    X = np.full((50, 4), 7.0)
    X[0, 0] = np.nextafter(7.0, 8.0) + 1e-12
    assert mean_and_scale(X)[1] == pytest.approx(X[:, 0].std() / 2, rel=1e-3)
    assert mean_and_scale(np.array([[1e-20], [3e-20]])) == pytest.approx((2e-20, 1e-20))


@pytest.mark.parametrize("level", [0.1, -1e6, 1e15])
def test_differences_of_one_rounding_step_count_as_constant(level):
    X = np.repeat([level, np.nextafter(level, np.inf)], 10)[:, None]
    assert mean_and_scale(X)[1] == 1.0


@pytest.mark.parametrize("level", [1e3, -1e9])
def test_constant_feature_does_not_hide_small_scale(level):
    X = np.column_stack([np.full(20, level), 1e-13 * level * (np.arange(20) % 2)])
    assert mean_and_scale(X)[1] == pytest.approx(spread(X), rel=1e-9)


def test_mean_with_single_nonzero_weight():
    X = np.array([[1.0, 3.0], [100.0, 200.0]])
    mean, scale = mean_and_scale(X, np.array([2.5, 0.0]))
    assert mean.tolist() == [1.0, 3.0]
    assert scale == 1.0
    mean, scale = mean_and_scale(np.array([[1e300, -1e300], [1.0, 2.0]]) / 1e200, np.array([0.0, 1.0]))
    np.testing.assert_allclose(mean, [1e-200, 2e-200])
    assert scale == 1.0


@given(X=hnp.arrays(np.float64, (6, 3), elements=values | st.just(np.nan)), size=st.integers(1, 20))
@settings(max_examples=25)
def test_samples_of_weight_zero_have_no_effect(X, size):
    X[0, 0] = 1.0
    X[:3, 2] = np.nan  # a feature whose known values have no weight
    X[3:, 2] = 5.0
    with sliced(size):
        mean, scale = mean_and_scale(X, np.repeat([1.0, 0.0], 3))
    alone = mean_and_scale(X[:3])
    tolerance = 1e-12 * float(np.nanmax(np.abs(X)))
    np.testing.assert_allclose(mean, alone[0], atol=max(tolerance, 1e-300), rtol=0)
    if alone[1] > max(100 * tolerance, 1e-30):
        assert scale == pytest.approx(alone[1], rel=1e-9)
    assert mean[2] == 0


@given(value=values, weight=hnp.arrays(np.float64, 7, elements=st.floats(1e-3, 0.1)), size=st.integers(1, 7))
@settings(max_examples=100)
def test_constant_features_are_exact_for_small_weights(value, weight, size):
    with sliced(size):
        mean, scale = mean_and_scale(np.full((7, 1), value), weight)
    assert mean[0] == value
    assert scale == 1.0


@pytest.mark.parametrize(
    "X",
    [
        np.array([[5e-324], [1e-323]]),
        np.array([[1e-310, -1e-310]]),
        np.array([[0.0, 1e-40]]),
        np.array([[0.0], [1e-40]]),
    ],
)
def test_denormal_data(X):
    mean, scale = mean_and_scale(X)
    assert scale == 1.0
    assert (X.min(0) <= mean).all()
    assert (mean <= X.max(0)).all()


@pytest.mark.parametrize("large", [1e10, 1e30, 1e37])
def test_large_values(large):
    X = large * np.random.default_rng(0).normal(size=(20, 3))
    mean, scale = mean_and_scale(X)
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-9)
    assert scale == pytest.approx(spread(X / large) * large, rel=1e-9)


# ------------------------------------------------------------------ to torch


def expected_dtype(dtype):
    holds = np.can_cast(np.dtype(dtype), np.float32, casting="safe")
    return torch.float32 if holds else torch.float64


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "change",
    [
        lambda X: X,
        np.asfortranarray,
        lambda X: X[::-1],
        lambda X: X[:, ::-1, ::-1],
        lambda X: X[::3, :, 1:],
        lambda X: np.broadcast_to(X[:1], X.shape),
        lambda X: X.transpose(1, 2, 0),
        lambda X: np.lib.stride_tricks.as_strided(X, X.shape, X.strides, writeable=False),
    ],
    ids=["plain", "fortran", "reversed", "reversed columns", "strided", "broadcast", "transposed", "read-only"],
)
def test_to_tensor_uses_float64_where_float32_rounds(dtype, change):
    X = change(sample(dtype))
    before = X.copy()
    tensor = to_tensor(X)
    assert tensor.dtype == expected_dtype(dtype)
    assert tensor.shape == X.shape
    np.testing.assert_array_equal(tensor.numpy(), X.astype(np.float64))
    tensor.clone().zero_()
    np.testing.assert_array_equal(X, before)


@given(
    hnp.arrays(
        st.sampled_from(["bool", "i1", "u1", "i2", "u2", "i4", "u4", "f2", "f4", "f8", ">f4", ">f8", ">i4"]), shapes
    ).filter(lambda X: not np.isnan(X.astype(float)).any())
)
@settings(max_examples=50)
def test_to_tensor_is_exact_at_dtype_limits(X):
    np.testing.assert_array_equal(to_tensor(X).numpy().astype(np.float64), X.astype(np.float64))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("change", [lambda X: X, np.asfortranarray, lambda X: X[::2, 1:], lambda X: X[3:7]])
def test_to_tensor_shares_memory_if_possible(dtype, change):
    X = change(sample(dtype))
    assert np.shares_memory(to_tensor(X).numpy(), X)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", ">f8", "f2", "i4"])
def test_to_tensor_copies_read_only_and_strided_arrays(dtype):
    X = sample(dtype)
    X.flags.writeable = False
    for view in (X, X[::-1]):
        tensor = to_tensor(view)
        assert not np.shares_memory(tensor.numpy(), X)
        tensor.fill_(99)
        assert not (X == 99).all()


def test_to_tensor_of_record_array_column():
    records = np.zeros(20, dtype=[("flag", "u1"), ("x", "f8", (4,))])
    records["x"] = sample("f8", (20, 4))
    np.testing.assert_array_equal(to_tensor(records["x"]).numpy(), records["x"])


def test_to_tensor_of_memory_map(tmp_path):
    X = sample("f4", (20, 4))
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype="f4", mode="r", shape=X.shape)
    tensor = to_tensor(mapped)
    np.testing.assert_array_equal(tensor.numpy(), X)
    assert not np.shares_memory(tensor.numpy(), mapped), "to write into it would end the process"
    del mapped


# ------------------------------------------------------------------ slice by slice through a function


def out_of_memory(kind):
    return {
        "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        "linux": RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: ..."),
        "windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        "python": MemoryError(),
    }[kind]


class Greedy:
    """Doubles rows, but no more than ``most`` at once, and remembers which."""

    def __init__(self, most, error):
        self.most, self.error, self.done, self.sizes = most, error, [], []

    def __call__(self, x):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error
        self.done += x[:, 0].tolist()
        return 2 * x


KINDS = st.sampled_from(["cuda", "linux", "windows", "python"])


@given(n=st.integers(1, 60), most=st.integers(1, 60), budget=st.integers(1, 3000), kind=KINDS, as_tensor=st.booleans())
@settings(max_examples=100)
def test_out_of_memory_halves_slice(n, most, budget, kind, as_tensor):
    X = np.arange(2.0 * n).reshape(n, 2)
    greedy = Greedy(most, out_of_memory(kind))
    with mock.patch.object(_slices, "_BUDGET", budget):
        out = map_rows(greedy, torch.from_numpy(X) if as_tensor else X)
    np.testing.assert_array_equal(out.numpy(), 2 * X)
    assert out.dtype == torch.float32
    assert greedy.done == X[:, 0].tolist(), "every row once, in order"
    assert greedy.sizes == sorted(greedy.sizes, reverse=True), "what was too much is not tried again"
    refused = [size for size in greedy.sizes if size > most]
    assert all(later == earlier // 2 for earlier, later in pairwise(refused))


@pytest.mark.parametrize("kind", ["cuda", "linux", "windows", "python"])
def test_out_of_memory_for_single_row_raises(kind):
    greedy = Greedy(0, out_of_memory(kind))
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        map_rows(greedy, np.ones((5, 2)))
    assert caught.value is greedy.error
    assert greedy.sizes == [5, 2, 1]


def test_out_of_memory_later_halves_slice():
    X, sizes = np.arange(8.0)[:, None], []

    def alone(x):
        sizes.append(len(x))
        assert len(sizes) < 20
        if len(x) > 1 and (x == 6).any():
            raise MemoryError
        return x

    assert map_rows(alone, X).tolist() == X.tolist()
    assert sizes == [8, 4, 4, 2, 2, 1, 1]


def test_out_of_memory_for_a_later_single_row_raises():
    def fails_on_last_row(x):
        assert len(x) > 0
        if (x == 4).any():
            raise MemoryError
        return x

    with pytest.raises(MemoryError):
        map_rows(fails_on_last_row, np.arange(5.0)[:, None])


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("no memory")])
def test_other_errors_propagate(error):
    greedy = Greedy(0, error)
    with pytest.raises(type(error)) as caught:
        map_rows(greedy, np.ones((5, 2)))
    assert caught.value is error
    assert greedy.sizes == [5]


@pytest.mark.parametrize(("dtype", "double"), [("f4", False), ("f2", False), ("u1", False), ("f8", True), ("i8", True)])
def test_slices_fit_into_budget(dtype, double):
    X, sizes = np.ones((500, 30), dtype), []
    with mock.patch.object(_slices, "_BUDGET", 100_000):
        map_rows(lambda x: sizes.append(len(x)) or x, X)
        bytes_of_a_row = 30 * (3 * (8 if double else 4) + 4 * 4)
        assert max(sizes) == 100_000 // bytes_of_a_row
        narrow = len(sizes)
        map_rows(lambda x: sizes.append(len(x)) or x, X, n_values=3000)
        assert len(sizes) - narrow > 10 * narrow
    before = len(sizes)
    with config_context(working_memory=0.01):
        map_rows(lambda x: sizes.append(len(x)) or x, X)
    assert max(sizes[before:]) * bytes_of_a_row <= 0.01 * 2**20


def test_slices_have_at_least_one_row():
    sizes = []
    with mock.patch.object(_slices, "_BUDGET", 1):
        map_rows(lambda x: sizes.append(len(x)) or x, np.ones((3, 5)))
    assert sizes == [1, 1, 1]


def test_output_requires_no_grad():
    part = torch.ones(5, 3, requires_grad=True)
    assert not map_rows(lambda x: part * 2, np.ones((5, 2))).requires_grad


def test_output_is_no_inference_tensor():
    with torch.inference_mode():
        part = torch.ones(5, 3)
    assert not map_rows(lambda x: part, np.ones((5, 2))).is_inference()


# ------------------------------------------------------------------ tensors


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.uint16, torch.float16, torch.bfloat16])
def test_narrow_tensors_become_float32(dtype):
    X = torch.tensor([[0, 1], [1, 100]]).to(dtype)
    assert to_tensor(X).dtype == torch.float32
    assert torch.equal(to_tensor(X), X.float())


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.uint32, torch.int64])
def test_wide_tensors_become_float64(dtype):
    assert to_tensor(torch.tensor([[2**24 + 1]]).to(dtype)).tolist() == [[2.0**24 + 1]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_are_shared(dtype):
    X = torch.ones(3, 2, dtype=dtype).T
    assert to_tensor(X) is X


floats = st.floats(-1e6, 1e6, width=32) | st.just(np.nan)


@given(X=hnp.arrays(np.float32, shapes, elements=floats), hat=st.integers(-5, 5), size=st.integers(1, 40))
@settings(max_examples=50)
def test_extremes_and_fill_missing_match_for_tensors(X, hat, size):
    X_hat = np.full(X.shape, hat, np.float64)
    with sliced(size):
        assert extremes(torch.from_numpy(X)) == pytest.approx(extremes(X), nan_ok=True)
        kept = fill_missing(X, X_hat)
        of_tensors = fill_missing(torch.from_numpy(X), torch.from_numpy(X_hat))
    np.testing.assert_array_equal(kept, np.where(np.isnan(X), np.float32(hat), X))
    np.testing.assert_array_equal(of_tensors.numpy(), kept)
    assert kept.dtype == np.float32
    assert of_tensors.dtype == torch.float32


def test_slices_grow_with_number_of_weights():
    X, sizes = np.ones((3000, 1000), "f4"), []

    def longest(n_weights):
        sizes.clear()
        map_rows(lambda x: sizes.append(len(x)) or x, X, n_weights=n_weights)
        return max(sizes)

    of_a_row = 1000 * (3 * 4 + 4 * 4)
    with mock.patch.object(_slices, "_BUDGET", 100 * of_a_row):
        assert longest(0) == longest(100) == 100
        assert longest(50 * of_a_row) == 400, "weights of 4 bytes are read once for slices of twice their size"
        with config_context(working_memory=8 * 200 * of_a_row / 2**20):
            assert longest(50 * of_a_row) == 200
