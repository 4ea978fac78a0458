"""Strategies: tables of any values in any container, objects that are no tables, and values of the wrong type."""

import array
import contextlib
import decimal
import fractions
import os
import tempfile
import warnings

import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
import torch
from hypothesis import strategies as st

# ------------------------------------------------------------------ values

RECIPES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "shares": lambda rng, shape: rng.random(shape),
    "pixels": lambda rng, shape: rng.integers(0, 256, shape).astype(float),
    "ones and zeros": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    "constant": lambda rng, shape: np.full(shape, rng.normal()),
    "zeros": lambda rng, shape: np.zeros(shape),
    "denormal": lambda rng, shape: rng.normal(size=shape) * 1e-310,
    "denormal in float32": lambda rng, shape: rng.normal(size=shape) * 1e-41,
    "tiny variance": lambda rng, shape: 1 + 1e-12 * rng.normal(size=shape),
    "offset": lambda rng, shape: 1e9 + rng.normal(size=shape),
    "large": lambda rng, shape: rng.normal(size=shape) * 1e12,
    "of all sizes": lambda rng, shape: rng.normal(size=shape) * 10.0 ** rng.integers(-30, 30, shape),
    "huge": lambda rng, shape: rng.uniform(-3e38, 3e38, shape),
    "integers": lambda rng, shape: rng.integers(-(2**53), 2**53, shape).astype(float),
}
SPECIAL = [
    *(np.nan, np.inf, -np.inf, 5e-324, 1e-45, 3.4028234e38, -3.4028234e38, 3.5e38, 1e308, -1e308),
    *(np.finfo(float).max, np.finfo(float).min, 1e19, -1e20, 0.0, -0.0, 255.0, 256.0, 0.5),
]


@st.composite
def values(draw, row_shape, most=6):
    """A float64 array of some rows, a few values of which are special."""
    n = draw(st.integers(1, most))
    recipe = draw(st.sampled_from(list(RECIPES)))
    A = RECIPES[recipe](np.random.default_rng(draw(st.integers(0, 2**32 - 1))), (n, *row_shape))
    for place, value in draw(
        st.one_of(
            st.just([]),
            st.just([]),
            st.lists(st.tuples(st.integers(0, A.size - 1), st.sampled_from(SPECIAL)), max_size=4),
        )
    ):
        A.flat[place] = value
    ending = draw(st.sampled_from([None, None, None, "row", "steps", "column", "all"]))
    if ending == "row":
        A[-1] = np.nan
    elif ending == "steps":
        A[0, A.shape[1] // 2 :] = np.nan
    elif ending == "column":
        A[:, -1] = np.nan
    elif ending == "all":
        A[:] = np.nan
    return A


# ------------------------------------------------------------------ containers that hold the same values

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", ">f4", ">f8", ">i4", "O"]
_FILES = tempfile.TemporaryDirectory()


def as_dtype(A, dtype):
    """``A`` rounded to a dtype."""
    dtype = np.dtype(dtype)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dtype.kind == "b":
            return np.nan_to_num(A) > 0
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            # The greatest float64 below the end of a 64-bit range is less than its end.
            high = np.nextafter(float(info.max), 0) if info.bits == 64 else info.max
            return np.clip(np.nan_to_num(A), info.min, high).astype(dtype)
        return A.astype(dtype)


def strided(A):
    wide = np.zeros((2 * len(A), *A.shape[1:]), A.dtype)
    wide[::2] = A
    return wide[::2]


def backwards(A):
    axes = tuple(range(A.ndim))
    return np.flip(np.flip(A, axes).copy(), axes)


def unaligned(A):
    if A.dtype.hasobject:
        return A
    buffer = bytearray(A.nbytes + 1)
    B = np.frombuffer(buffer, A.dtype, A.size, offset=1).reshape(A.shape)
    B[...] = A
    return B


def read_only(A):
    A = A.copy()
    A.flags.writeable = False
    return A


def mapped(A):
    if A.dtype.hasobject:
        return A
    path = os.path.join(_FILES.name, "map.npy")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # an earlier one may be in use
    np.save(path, A)
    return np.load(path, mmap_mode="r")


class Sub(np.ndarray):
    """A subclass that adds nothing."""


class ArrayLike:
    """What says by ``__array__`` that it is an array."""

    def __init__(self, A):
        self.A = A

    def __array__(self, dtype=None, copy=None):
        return np.array(self.A, dtype=dtype)


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": strided,
    "backwards": backwards,
    "unaligned": unaligned,
    "read-only": read_only,
    "mapped": mapped,
    "subclass": lambda A: A.view(Sub),
    "array-like": ArrayLike,
    "nested lists": lambda A: A.tolist(),
    "tuple of rows": tuple,
    "list of rows": list,
    "list of tuples": lambda A: [tuple(row) for row in A.tolist()],
    "dask": lambda A: da.from_array(A, chunks=(2, *A.shape[1:])),
    "masked without a mask": np.ma.masked_array,
}


def named(names):
    return lambda A: pd.DataFrame(A, columns=names[: A.shape[1]])


def nullable(A):
    """pandas's own dtype, with NA for NaN."""
    return pd.DataFrame({str(j): pd.array(column, dtype="Float64") for j, column in enumerate(A.astype(float).T)})


FRAMES = {
    "pandas": pd.DataFrame,
    "named": named(["a", "b", "c", "d", "e", "f"]),
    "named by bytes": named([b"a", b"b", b"c", b"d", b"e", b"f"]),
    "two levels": lambda A: pd.DataFrame(A, columns=pd.MultiIndex.from_product([["a"], range(A.shape[1])])),
    "nullable": nullable,
    "indexed by dates": lambda A: pd.DataFrame(A, index=pd.date_range("2020", periods=len(A))),
    "polars": lambda A: pl.DataFrame(A.astype(float), schema=[f"c{j}" for j in range(A.shape[1])]),
    "arrow": lambda A: pa.table({f"c{j}": column for j, column in enumerate(A.astype(float).T)}),
}
TENSORS = {
    "float32": lambda A: torch.from_numpy(A.astype(np.float32)),
    "float64": lambda A: torch.from_numpy(A.astype(np.float64)),
    "float16": lambda A: torch.from_numpy(A.astype(np.float16)),
    "bfloat16": lambda A: torch.from_numpy(A.astype(np.float32)).bfloat16(),
    "int64": lambda A: torch.from_numpy(as_dtype(A, "i8")),
    "uint8": lambda A: torch.from_numpy(as_dtype(A, "u1")),
    "bool": lambda A: torch.from_numpy(as_dtype(A, "?")),
    "requires_grad": lambda A: torch.from_numpy(A.astype(np.float64)).requires_grad_(),
    "transposed": lambda A: (
        torch.from_numpy(np.asfortranarray(A)).T.contiguous().mT if A.ndim == 2 else torch.tensor(A)
    ),
    "expanded": lambda A: torch.from_numpy(A[:1].copy()).expand(len(A), *A.shape[1:]),
    "negated": lambda A: torch.complex(torch.zeros(A.shape).double(), torch.from_numpy(-A)).conj().imag,
    "parameter": lambda A: torch.nn.Parameter(torch.from_numpy(A.astype(np.float32))),
}


@st.composite
def tables(draw, row_shape, most=6):
    """An object that holds a table, and the table as float64."""
    A = draw(values(row_shape, most))
    kinds = ["array"] * 4 + ["tensor"] + ["frame"] * (len(row_shape) == 1)
    kind = draw(st.sampled_from(kinds))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "frame":
            return FRAMES[draw(st.sampled_from(list(FRAMES)))](A), A
        if kind == "tensor":
            T = TENSORS[draw(st.sampled_from(list(TENSORS)))](A)
            seen = T.detach().resolve_neg()
            return T, seen.double().numpy().copy()
        B = as_dtype(A, draw(st.sampled_from(DTYPES)))
        if draw(st.integers(0, 9)) == 0:  # every row the same one, at a stride of 0
            B = np.broadcast_to(B[0], B.shape)
        # float64 rounds what is longer. What it cannot hold is infinite in either.
        layout = draw(st.sampled_from(list(LAYOUTS)))
        if B.dtype.hasobject and layout in ("tuple of rows", "list of rows", "array-like"):
            layout = "nested lists"  # scikit-learn makes numbers of what is an array of objects alone
        return LAYOUTS[layout](B), np.array(B, dtype=np.float64)


# ------------------------------------------------------------------ objects that hold no table, or none of numbers


class Raises:
    """An array by its looks, which fails when it is one's turn."""

    shape, dtype, ndim = (3, 4), np.dtype(float), 2

    def __len__(self):
        return 3

    def __array__(self, dtype=None, copy=None):
        raise ValueError("X cannot be read today")


class Lies:
    """It says one shape and gives another."""

    shape, dtype, ndim = (3, 4), np.dtype(float), 2

    def __len__(self):
        return 3

    def __array__(self, dtype=None, copy=None):
        return np.zeros((2, 3), dtype or float)


class LiesOfChunks(Lies):
    """The same of something that is read chunk by chunk."""

    chunks = ((2, 1), (4,))

    def __getitem__(self, index):
        return np.zeros((1, 7))


class NoLength:
    """A sequence without an end."""

    def __getitem__(self, index):
        return 1.0


class Undecided:
    """It is equal to nothing, and true of nothing."""

    def __eq__(self, other):
        raise ValueError("X is not to be compared")

    def __bool__(self):
        raise ValueError("X has no truth")

    __hash__ = None


def masked(A):
    return np.ma.masked_array(A, mask=np.arange(A.size).reshape(A.shape) % 5 == 1)


def matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asmatrix(_A)


def formats(A):
    found = {}
    for name in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil"):
        found[f"{name} array"] = getattr(sp, f"{name}_array")(A)
        found[f"{name} matrix"] = getattr(sp, f"{name}_matrix")(A)
    return found


def quantised(A):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.from_numpy(A).float(), 0.1, 0, torch.qint8)


_A = np.random.default_rng(3).normal(size=(3, 4))
_I = np.arange(12).reshape(3, 4)
HOSTILE = {
    "None": lambda: None,
    "empty list": list,
    "empty string": lambda: "",
    "string": lambda: "X",
    "bytes": lambda: b"X",
    "dict": lambda: {"a": [1, 2]},
    "set": lambda: {1, 2},
    "number": lambda: 3.5,
    "bool": lambda: True,
    "huge integer": lambda: 10**400,
    "NaN": lambda: float("nan"),
    "complex": lambda: 1j,
    "ellipsis": lambda: ...,
    "object": object,
    "class": lambda: np.ndarray,
    "function": lambda: len,
    "module": lambda: np,
    "generator": lambda: (row for row in _A),
    "range": lambda: range(4),
    "slice": lambda: slice(3),
    "memoryview": lambda: memoryview(_A),
    "array.array": lambda: array.array("d", [1.0, 2.0]),
    "decimals": lambda: [[decimal.Decimal(1)] * 4] * 3,
    "fractions": lambda: [[fractions.Fraction(1, 3)] * 4] * 3,
    "ragged": lambda: [[1, 2, 3, 4], [1]],
    "ragged deep": lambda: [[[1], [2, 3]], [[4], [5]]],
    "ragged arrays": lambda: [np.zeros(4), np.zeros(3)],
    "mixed list": lambda: [[1, "a", None, 2.0]] * 3,
    "huge integers": lambda: [[10**400] * 4] * 3,
    "integers of 20 digits": lambda: [[10**20] * 4] * 3,
    "None in a list": lambda: [[None] * 4] * 3,
    "nested deep": lambda: [[[[[[1.0]]]]]] * 3,
    "list of strings": lambda: ["a", "b"],
    "numbers as strings": lambda: [["1", "2", "3", "4"]] * 3,
    "numbers as objects of strings": lambda: np.array([["1", "2", "3", "4"]] * 3, object),
    "list of Nones": lambda: [None, None],
    "list of dicts": lambda: [{"a": 1}] * 3,
    "0-D": lambda: np.array(3.0),
    "0-D object": lambda: np.array(None),
    "1-D": lambda: _A[0],
    "1-D empty": lambda: np.empty(0),
    "no rows": lambda: _A[:0],
    "no columns": lambda: _A[:, :0],
    "neither": lambda: np.empty((0, 0)),
    "3-D": lambda: _A[:, :, None],
    "3-D empty": lambda: np.empty((3, 0, 4)),
    "4-D": lambda: _A[:, :, None, None],
    "5-D": lambda: np.zeros((2, 2, 2, 2, 2)),
    "one column less": lambda: _A[:, :3],
    "one column more": lambda: np.hstack([_A, _A[:, :1]]),
    "complex array": lambda: _A + 1j,
    "complex64": lambda: (_A + 1j).astype(np.complex64),
    "dates": lambda: _I.astype("M8[s]"),
    "not a time": lambda: np.full((3, 4), np.datetime64("NaT")),
    "time spans": lambda: _I.astype("m8[ns]"),
    "strings": lambda: _I.astype("U5"),
    "byte strings": lambda: _I.astype("S5"),
    "strings of any length": lambda: _I.astype("U5").astype(np.dtypes.StringDType()),
    "words": lambda: np.full((3, 4), "word"),
    "objects": lambda: np.array([[object()] * 4] * 3),
    "object of arrays": lambda: np.array([[np.zeros(2), None], [1, 2]], dtype=object),
    "records": lambda: np.zeros(3, [("a", "f8"), ("b", "f8"), ("c", "f8"), ("d", "f8")]),
    "records in rows": lambda: np.zeros((3, 4), [("a", "f8"), ("b", "i4")]),
    "void": lambda: np.zeros((3, 4), "V8"),
    "recarray": lambda: np.rec.array(np.zeros(3, [("a", "f8"), ("b", "f8")])),
    "matrix": matrix,
    "masked": lambda: masked(_A),
    "masked integers": lambda: masked(_I),
    "masked strings": lambda: masked(_I.astype("U3")),
    "all masked": lambda: np.ma.masked_all((3, 4)),
    "the masked constant": lambda: np.ma.masked,
    "long floats": lambda: np.full((3, 4), np.longdouble("1e4000")),
    "raises": Raises,
    "lies": Lies,
    "lies of chunks": LiesOfChunks,
    "no length": NoLength,
    "undecided": Undecided,
    "undecided rows": lambda: [Undecided(), Undecided()],
    "dask of unknown size": lambda: da.from_array(_A, chunks=2)[da.from_array(_A[:, 0], chunks=2) > 0],
    "dask of strings": lambda: da.from_array(_I.astype("U5"), chunks=2),
    "dask of objects": lambda: da.from_array(_A.astype(object), chunks=2),
    "dask complex": lambda: da.from_array(_A + 1j, chunks=2),
    "dask 0-D": lambda: da.from_array(np.array(1.0)),
    "dask empty": lambda: da.from_array(_A[:0], chunks=2),
    "series": lambda: pd.Series(_A[0]),
    "series of rows": lambda: pd.Series([row.tolist() for row in _A]),
    "index": lambda: pd.Index([1, 2]),
    "mixed frame": lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [1.0, None], "d": [True, False]}),
    "frame of numbers and bools": lambda: pd.DataFrame({"a": [1, 2], "b": [0.5, 2], "c": [3, 4], "d": [True, False]}),
    "frame of categories": lambda: pd.DataFrame({c: pd.Categorical(["x", "y"]) for c in "abcd"}),
    "frame of numbered categories": lambda: pd.DataFrame({c: pd.Categorical([1, 2]) for c in "abcd"}),
    "frame of dates": lambda: pd.DataFrame({c: pd.date_range("2020", periods=2) for c in "abcd"}),
    "frame of spans": lambda: pd.DataFrame({c: pd.to_timedelta([1, 2]) for c in "abcd"}),
    "frame of complex": lambda: pd.DataFrame(_A + 1j),
    "frame of lists": lambda: pd.DataFrame({c: [[1], [2]] for c in "abcd"}),
    "frame of intervals": lambda: pd.DataFrame({c: pd.interval_range(0, 2) for c in "abcd"}),
    "frame of nullable integers": lambda: pd.DataFrame({c: pd.array([1, None], dtype="Int64") for c in "abcd"}),
    "frame of nullable bools": lambda: pd.DataFrame({c: pd.array([True, None], dtype="boolean") for c in "abcd"}),
    "frame of strings": lambda: pd.DataFrame({c: pd.array(["1", "2"], dtype="string") for c in "abcd"}),
    "frame of arrow": lambda: pd.DataFrame({c: pd.array([1, None], dtype="int64[pyarrow]") for c in "abcd"}),
    "sparse frame": lambda: pd.DataFrame({c: pd.arrays.SparseArray([0.0, 1.0]) for c in "abcd"}),
    "empty frame": pd.DataFrame,
    "frame with a name twice": lambda: pd.DataFrame(_A, columns=list("abca")),
    "frame of names and numbers": lambda: pd.DataFrame(_A, columns=["a", 0, None, ("b", 1)]),
    "frame of other names": lambda: pd.DataFrame(_A, columns=list("dcba")),
    "polars of strings": lambda: pl.DataFrame({c: ["x", "y"] for c in "abcd"}),
    "polars with null": lambda: pl.DataFrame({c: [1.0, None] for c in "abcd"}),
    "polars lazy": lambda: pl.DataFrame({c: [1.0, 2.0] for c in "abcd"}).lazy(),
    "polars series": lambda: pl.Series([1.0, 2.0]),
    "arrow with null": lambda: pa.table({c: [1.0, None] for c in "abcd"}),
    "arrow of strings": lambda: pa.table({c: ["x", "y"] for c in "abcd"}),
    "arrow array": lambda: pa.array([1.0, 2.0]),
    "tensor 0-D": lambda: torch.tensor(1.0),
    "tensor 1-D": lambda: torch.ones(4),
    "tensor without rows": lambda: torch.ones(0, 4),
    "tensor without columns": lambda: torch.ones(3, 0),
    "tensor of another width": lambda: torch.ones(3, 5),
    "tensor complex": lambda: torch.ones(3, 4, dtype=torch.complex64),
    "tensor conjugate": lambda: torch.ones(3, 4, dtype=torch.complex64).conj(),
    "tensor sparse": lambda: torch.eye(4).to_sparse(),
    "tensor sparse by rows": lambda: to_csr(torch.eye(4)),
    "tensor quantised": lambda: quantised(_A),
    "tensor on meta": lambda: torch.ones(3, 4, device="meta"),
    "tensor of float8": lambda: torch.ones(3, 4).to(torch.float8_e4m3fn),
    "tensor of uint16": lambda: torch.ones(3, 4).to(torch.uint16),
    "tensor nested": lambda: nested(),
    "list of tensors": lambda: [torch.ones(4)] * 3,
    "list of tensors that require grad": lambda: [torch.ones(4, requires_grad=True)] * 3,
    "a dataset": lambda: torch.utils.data.TensorDataset(torch.ones(3, 4)),
    "a dataset of nothing": lambda: torch.utils.data.TensorDataset(torch.ones(0, 4)),
    "a dataset of strings": lambda: Items(["a", "b"]),
    "a dataset of Nones": lambda: Items([None, None]),
    "a dataset of ragged rows": lambda: Items([np.zeros(4), np.zeros(3)]),
    "a loader": lambda: torch.utils.data.DataLoader(torch.ones(3, 4)),
    **{f"sparse {name}": (lambda name=name: formats(_A)[name]) for name in formats(_A)},
}


def to_csr(T):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return T.to_sparse_csr()


def nested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.ones(4), torch.ones(3)])


class Items(torch.utils.data.Dataset):
    """A Dataset of a list."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def hostile():
    """The name of a hostile object; `HOSTILE` makes it."""
    return st.sampled_from(sorted(HOSTILE))


# ------------------------------------------------------------------ values of wrong types

GARBAGE = {
    "None": None, "True": True, "False": False, "NumPy True": np.True_, "NaN": float("nan"), "inf": float("inf"),
    "-inf": -float("inf"), "-1": -1, "0": 0, "1": 1, "2": 2, "3": 3, "-0.0": -0.0, "0.5": 0.5, "1.5": 1.5,
    "1e-300": 1e-300, "5e-324": 5e-324, "1e300": 1e300, "10**9": 10**9, "2**31": 2**31, "2**63": 2**63,
    "10**30": 10**30, "10**400": 10**400, "-10**30": -(10**30), "complex": 1j, "decimal": decimal.Decimal("0.5"),
    "fraction": fractions.Fraction(1, 2), "empty string": "", "string": "nonsense", "auto": "auto",
    "number as string": "3",
    "long string": "x" * 10_000, "other script": "ж\x00\n", "code": "__import__('os')._exit(1)",
    "format": "{0.__class__}",
    "bytes": b"mlp", "empty list": [], "list": [1, 2], "list of strings": ["a"], "list of None": [None],
    "nested list": [[1], [2]], "tuple": (4,), "tuple of zero": (0,), "tuple of negative": (-3,),
    "tuple of bool": (True,),
    "tuple of float": (4.0,), "tuple of NaN": (float("nan"),), "dict": {"a": 1}, "empty dict": {}, "set": {1},
    "range": range(2), "object": object(), "class": object, "type": int, "lambda": lambda *args, **kwargs: None,
    "function": len, "generator": (i for i in (4,)), "array": np.array([1, 2]), "0-D array": np.array(3),
    "empty array": np.array([]), "array of strings": np.array(["a", "b"]), "NumPy int": np.int64(3),
    "NumPy small int": np.int8(2), "NumPy unsigned": np.uint8(2), "NumPy float": np.float64(0.5),
    "NumPy float32": np.float32(0.25), "NumPy string": np.str_("mlp"), "NumPy date": np.datetime64("2020"),
    "tensor": torch.tensor([1.0, 2.0]), "0-D tensor": torch.tensor(2), "layer": torch.nn.Identity(),
    "layer class": torch.nn.Linear, "frame": pd.DataFrame({"a": [1]}), "NA": pd.NA, "slice": slice(2),
    "ellipsis": ..., "NotImplemented": NotImplemented, "error": ValueError("no"), "undecided": Undecided(),
    "module": np,
}  # fmt: skip


@st.composite
def garbage(draw, allowed=lambda value: True):
    """The name of a value of `GARBAGE`, or a number."""
    names = [name for name, value in GARBAGE.items() if allowed(value)]
    if draw(st.integers(0, 3)):
        return GARBAGE[draw(st.sampled_from(names))]
    number = st.one_of(st.integers(-(10**6), 10**6), st.floats(), st.integers(), st.floats(-2, 2))
    return draw(number.filter(allowed))
