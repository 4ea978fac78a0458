"""Files that are made to do harm or were damaged, and a process that loads and uses them under watch.

``python tests/fuzz/hostile_files.py <folder> <group> <start> <stop>`` tries the mutations of a group and prints a line
for each. Mutations follow from their group and number alone, so that a failure is tried again by its number.
"""

import contextlib
import faulthandler
import functools
import hashlib
import importlib
import io
import json
import os
import random
import re
import resource
import struct
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import numpy as safetensors
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._utils import files as _files
from skae._utils.files import _digest as digest  # as it is, where a test weakens it
from skae.persistence._names import known_names
from skae.persistence._objects import ObjectEncoder

CANARY = "skae_canary"  # a module beside the seeds: whoever imports it, or calls what is in it, leaves a file
SPARE, MULTIPLE = 200 * 2**20, 8  # bytes of memory that `load` may take: so many, and so many times the file's size

# ------------------------------------------------------------------ the files that mutations begin with

TINY = {"max_epochs": 1, "batch_size": 16, "random_state": 0, "device": "cpu"}
NARROW = TINY | {"module__hidden_layer_sizes": (3,)}
SEQUENCES = TINY | {"module": "tcn", "module__channels": 2, "module__n_layers": 1, "module__n_frequencies": 1}


def _zoo():
    """By name: an estimator, the rows and the y that it is fitted on, and whether its optimiser is kept."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 4)), np.arange(24) % 3
    holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    ended = rng.normal(size=(24, 6, 2))
    ended[::2, 4:] = np.nan
    sparse = AutoencoderTransformer(2, bottleneck="sparse", loss="huber", noise="masking_noise", **NARROW)
    tables = {
        "ae": (AutoencoderTransformer(2, prior=GaussianMixture(2), **NARROW), X, None, True),
        "kde": (AutoencoderTransformer(2, prior=KernelDensity(), optimizer="sgd", **NARROW), X, None, True),
        "sparse": (sparse, pd.DataFrame(X, columns=list("abcd")), None, False),
        "mask": (AutoencoderTransformer(2, missing="mask", **NARROW), holes, None, False),
        "conv": (
            ConvAutoencoder(2, **TINY, module__hidden_layer_sizes=(3,), module__channels=(2,)),
            rng.normal(size=(24, 5, 5)),
            None,
            False,
        ),
        "tcn": (AutoencoderTransformer(2, **SEQUENCES), ended, None, False),
        "gru": (AutoencoderTransformer(2, module="gru", module__hidden_size=2, **TINY), ended, None, True),
        "vae": (VAEGenerator(2, conditional=True, **NARROW), X, y, True),
        "targets": (VAEGenerator(2, conditional=True, loss="laplace", **NARROW), X, X[:, 0], False),
        "normal": (VAEGenerator(2, prior=None, beta=2.0, **NARROW), X, None, False),
        "filled": (Reconstructor(AutoencoderTransformer(2, **NARROW), filling=SimpleImputer()), holes, None, False),
        "imputed": (Reconstructor(PCA(2), filling=KNNImputer()), holes, None, False),
        "unfitted": (
            AutoencoderTransformer(np.int64(2), random_state=np.random.RandomState(0), lr=np.float32(0.1)),
            X,
            None,
            False,
        ),
    }
    archives = {
        "pipeline": (make_pipeline(StandardScaler(), AutoencoderTransformer(2, **NARROW)), X, None, False),
        "generator": (make_pipeline(StandardScaler(), VAEGenerator(2, conditional=True, **NARROW)), X, y, True),
    }
    return tables, archives


def make_seeds(folder):
    """Save one file for each estimator, its rows beside it, and the canary."""
    folder = Path(folder)
    tables, archives = _zoo()
    for name, (estimator, X, y, optimizer) in (tables | archives).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name != "unfitted":
                estimator.fit(X, y)
        ending = "zip" if name in archives else "skae"
        skae.save(estimator, folder / f"{name}.{ending}", optimizer=optimizer)
        np.savez(folder / f"{name}.npz", X=np.asarray(X), **({} if y is None else {"y": y}))
    (folder / f"{CANARY}.py").write_text(
        "import pathlib\n"
        "HERE = pathlib.Path(__file__).parent\n"
        "(HERE / 'imported').touch()\n"
        "def fire(*args, **kwargs):\n    (HERE / 'called').touch()\n"
        "class Thing:\n    def __init__(self, *args, **kwargs):\n        fire()\n"
        "    __setstate__ = __call__ = __init__\n"
        "    def __reduce__(self):\n        return fire, ()\n"
    )
    return folder


class Seeds:
    """What `make_seeds` has made."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.names = sorted(path.stem for path in self.folder.glob("*.skae"))
        self.archives = sorted(path.stem for path in self.folder.glob("*.zip"))

    @functools.cache  # noqa: B019 - there is one for each process
    def data(self, name):
        return (self.folder / f"{name}.{'zip' if name in self.archives else 'skae'}").read_bytes()

    @functools.cache  # noqa: B019
    def arrays(self, name):
        with np.load(self.folder / f"{name}.npz") as found:
            return found["X"], found.get("y", None)

    @functools.cache  # noqa: B019
    def signature(self, name):
        return signature(skae.load(self.folder / f"{name}.{'zip' if name in self.archives else 'skae'}"))


def signature(estimator):
    """All that an estimator holds, to the bit; one from an archive is told by what it holds of plain kinds."""
    encoder = ObjectEncoder(optimizer=True)
    text = json.dumps(encoder.encode(estimator, "estimator"), sort_keys=True)
    return hashlib.sha256(f"{text}{digest(text, encoder.arrays)}".encode()).hexdigest()


# ------------------------------------------------------------------ blind mutations


def blind(seeds, rng):
    """Bytes that were changed without regard to what they mean."""
    name = rng.choice(seeds.names)
    data = bytearray(seeds.data(name))
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(len(data)) if data else 0
        if rng.random() < 0.5:  # the header, where things are said, is a small part of a large file
            at = rng.randrange(min(len(data), 8 + int.from_bytes(data[:8], "little") + 1)) if data else 0
        length = rng.choice([1, 2, 4, 8, 64, 1024])
        kind = rng.randrange(9)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = rng.randbytes(len(data[at : at + length]))
        elif kind == 2:
            del data[at : rng.choice([None, at + length])]
        elif kind == 3:
            data[at:at] = rng.randbytes(length)
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif kind == 5:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == 6:
            other = seeds.data(rng.choice(seeds.names))
            data[at:] = other[rng.choice([at, rng.randrange(len(other))]) :]
        elif kind == 7:
            claims = [0, 1, 7, len(data), max(0, len(data) - 8), 100_000_000, 2**31, 2**32, 2**63 - 1, 2**64 - 1]
            data[:8] = struct.pack("<Q", rng.choice([*claims, rng.randrange(len(data) + 1)]))
        elif data:  # one digit or letter for another keeps the JSON whole
            places = [place for place in range(8, min(len(data), 20_000)) if 48 <= data[place] < 123]
            data[rng.choice(places or [0])] = rng.choice(b'0123456789abcdefxyz_"{}[],:\\')
    return name, bytes(data)


# ------------------------------------------------------------------ knowing mutations: they get a right checksum

SIZES = [0, 1, 2, 3, 7, 100, 10**4, 10**6, 10**9, 10**18, 2**31, 2**63, 10**30, -1, -(10**9), -(2**63) - 1]
NUMBERS = [*SIZES, 0.5, -0.5, 1e-300, 1e300, 1e39, -1e300, 1e-45, 2.0]
RAW = ["NaN", "Infinity", "1e400", "-1e999", "9" * 5000, "-0", "1E5", '"\\ud800"', '"\\u0000"', "truth", "0" * 50]
STRINGS = [
    *("", "adam", "Adam", "LBFGS", "SparseAdam", "Optimizer", "NAdam", "__doc__", "lr_scheduler", "cuda", "cuda:7"),
    *("meta", "mps", "cpu:3", "xpu", "auto", "../../../x", "/dev/zero", "a\0b", "\ud800", "é" * 100, "%s%n{0}{x}"),
    *("os", "eval", "__class__", "mixture", "gaussian", "bernoulli", "onecycle", "mask", "bf16", "full", "tied"),
    *("diag", "spherical", "targets", "classes", "inf", "-inf", "nan", "<f8", "<i8", "|O", ">f4", "|V8", "<M8[ns]"),
    *("<f2", "f4,f4", "(2,3)f4", "O", "U1000000000", "F", "S9", "tensor", "array", "x" * 10**5),
]
NAMES = [
    *("builtins.eval", "builtins.exec", "builtins.print", "builtins.getattr", "builtins.__import__", "builtins.open"),
    *("os.system", "posix.system", "subprocess.Popen", "torch.load", "torch.hub.load", "numpy.load", "joblib.load"),
    *("sklearn.pipeline.Pipeline", "sklearn.preprocessing.FunctionTransformer", "functools.partial", "pickle.loads"),
    *(f"{CANARY}.fire", f"{CANARY}.Thing", CANARY, "skae.load", "skae.persistence.load", "torch.nn.Module", "", "."),
    *("skae.estimators.base.BaseAutoencoder", "skae.nn.os", "torch.nn.modules.os", "torch.optim.Optimizer"),
    *("sklearn.base.BaseEstimator", "operator.methodcaller", "os.path.join", "__main__.x", "skae.__init__"),
]
ATTRIBUTES = [
    *("transform", "fit", "__class__", "__init__", "__dict__", "__reduce__", "__getattr__", "net_", "module_"),
    *("_arrange", "_extra", "layout_", "prior_", "prior", "n_features_in_", "input_shape_", "_condition", "classes_"),
    *("get_params", "set_params", "_parent_callback_ctx", "_skl_callbacks", "_estimator_type", "_n_features_out"),
    *("_map_rows", "feature_names_in_", "device", "__sklearn_tags__", "_get_param_names", "score", "_loan", "é", ""),
    *("_forward_hooks", "_parameters", "_modules", "forward", "encode", "training", "progress", "_sklearn_version"),
    *("$", "class", "a b", "sample", "_abc_impl", "estimator_", "filling_", "restoring_", "kept_optimizer_"),
]
KINDS = [
    *("float", "tuple", "dict", "dtype", "scalar", "array", "objects", "tensor", "random_state", "class", "function"),
    *("partial", "layout", "condition", "requests", "part", "layer", "object", "net", "estimator", "_class", "decode"),
    *("", None, 3, [], {}, "__init__", "read_array"),
]
SIZED = [
    *("n_components", "channels", "hidden_layer_sizes", "hidden_size", "n_layers", "n_residual_blocks", "input_shape"),
    *("kernel_size", "n_frequencies", "n_conditions", "width", "n_features_in_", "costs", "batch_size", "max_epochs"),
    *("importance_samples", "stride", "n_codes", "n_embeddings", "module__hidden_layer_sizes", "module__channels"),
]
RAW_MARK = "@raw:"  # what stands in the text as it is; a nesting that Python's own encoder would not write


def text_of(document):
    """JSON in which marked strings stand for what they hold."""
    text = json.dumps(document, separators=(",", ":"))
    return re.sub(rf'"{RAW_MARK}(\d+)"', lambda found: _raw(int(found[1])), text)


def _raw(index):
    if index < len(RAW):
        return RAW[index]
    depth = (900, 5_000, 200_000)[index % 3]
    return {0: "[" * depth + "]" * depth, 1: '{"a":' * depth + "1" + "}" * depth, 2: '{"a":1,"a":2}'}[index // 3 % 3]


def packed(text, arrays, version=str(_files.FORMAT)):
    """A file with a right checksum over any text."""
    arrays = {name: np.asarray(A, order="C") for name, A in arrays.items()}
    metadata = {_files._KEY: version, "document": text, "sha256": digest(text, arrays)}
    return safetensors.save(arrays, metadata)


def places(value, found=None):
    """Every (container, key) in a document."""
    found = [] if found is None else found
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            places(value[key], found)
    return found


def _value(rng, seeds, arrays):
    """Something that may stand anywhere."""
    kind = rng.randrange(14)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice(STRINGS)
    if kind == 4:
        return f"{RAW_MARK}{rng.randrange(len(RAW) + 9)}"
    if kind == 5:
        return rng.choice([None, True, False, [], {}, [[]], [None] * 1000, {"": None}])
    if kind == 6:
        names = [*NAMES, *known_names()]
        return {"$": rng.choice(["class", "function"]), rng.choice(["class", "function"]): rng.choice(names)}
    if kind == 7:
        of = {"$": "function", "function": rng.choice([*NAMES, "builtins.print"])}
        for _ in range(rng.choice([1, 1, 5, 400])):
            state = {"function": of, "args": rng.choice([[], ["x"]]), "keywords": rng.choice([{}, {"end": "x"}])}
            of = {"$": "partial", "of": state}
        return of
    if kind == 8:
        cls = rng.choice([*NAMES, *known_names()])
        return {"$": "object", "class": cls, "state": {rng.choice(ATTRIBUTES): rng.choice(NUMBERS)}}
    if kind == 9:
        return _layer(rng)
    if kind == 10:
        keys = rng.sample(["hidden_layer_sizes", "scale", "channels", "beta", "x"], 2)
        return {"$": "part", "class": rng.choice(list(known_names())), "params": dict.fromkeys(keys, 10**9)}
    if kind == 11:
        shape = rng.choice([[10**9, 10**9], [-1], [0], [2**62, 2], [], "x", [1] * 40, [1] * 70])
        return {"$": "objects", "shape": shape, "text": rng.random() < 0.5, "items": rng.choice([[], ["a"], [1, 2]])}
    if kind == 12:
        name = rng.choice([*arrays, "nothing"]) if arrays else "nothing"
        node = {"$": "array", "name": name}
        return {"$": "tensor", "array": node} if rng.random() < 0.5 else node
    other = rng.choice(seeds.names)
    document, beside = _files.unpack(seeds.data(other))
    container, key = rng.choice(places(document))
    arrays.update({name: A for name, A in beside.items() if name not in arrays})
    return container[key]


def _layer(rng):
    names = [name for name in known_names() if name.startswith("torch.nn.")]
    sizes = [
        "in_features",
        "out_features",
        "num_embeddings",
        "embedding_dim",
        "num_layers",
        "kernel_size",
        "input_size",
    ]
    sizes += ["hidden_size", "in_channels", "out_channels", "num_features", "d_model", "nhead", "device", "dtype"]
    arguments = {name: rng.choice([1, 2, 10**6, 10**9, 10**18, "cuda", None]) for name in rng.sample(sizes, 3)}
    identity = {"$": "layer", "class": "torch.nn.Identity", "arguments": {}, "children": None, "weights": {}}
    if rng.random() < 0.3:
        arguments = {"encoder_layer": identity, "decoder_layer": identity, "num_layers": rng.choice([2, 10**6, 10**9])}
        arguments.pop(rng.choice(["encoder_layer", "decoder_layer"]))
    children = rng.choice([None, None, [identity] * 3, [identity, 10**9]])
    layer = {"$": "layer", "class": rng.choice(names), "arguments": arguments, "children": children, "weights": {}}
    if "encoder_layer" in arguments or "decoder_layer" in arguments:
        layer |= {"class": f"torch.nn.Transformer{'En' if 'encoder_layer' in arguments else 'De'}coder"}
        layer |= {"children": None}
    return layer


def _changed_array(rng, A, arrays):
    kind = rng.randrange(10)
    if kind == 0:
        return A.astype(rng.choice(["f4", "f8", "i4", "i8", "u1", "?", "f2"]), casting="unsafe")
    if kind == 1:
        return A.reshape(-1)
    if kind == 2:
        return A[: len(A) // 2] if A.ndim else A[None]
    if kind == 3:
        return np.concatenate([A, A]) if A.ndim else np.stack([A, A])
    if kind == 4 and A.size:
        A = A.copy()
        A.flat[rng.randrange(A.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e38]) if A.dtype.kind == "f" else 255 >> 1
        return A
    if kind == 5:
        return A * 0
    if kind == 6:
        return rng.choice(list(arrays.values()))
    if kind == 7:
        return np.frombuffer(rng.randbytes(A.nbytes), A.dtype if A.dtype != bool else "u1").reshape(A.shape)
    if kind == 8:
        return np.zeros((*A.shape, 0), A.dtype)
    return A.T if A.ndim > 1 else -A if A.dtype.kind == "f" else A[::-1] if A.ndim else A


def change(rng, seeds, document, arrays):
    """Make one change to a document and what stands beside it."""
    kind = rng.randrange(16)
    found = places(document["estimator"] if rng.random() < 0.95 and "estimator" in document else document)
    container, key = rng.choice(found) if found else (document, "kind")
    numbers = [place for place in found if type(place[0][place[1]]) in (int, float)]
    strings = [place for place in found if type(place[0][place[1]]) is str]
    if kind <= 1 and numbers:
        container, key = rng.choice(numbers)
        container[key] = rng.choice([*NUMBERS, container[key] + 1, -container[key], f"{RAW_MARK}{rng.randrange(6)}"])
    elif kind == 2 and strings:
        container, key = rng.choice(strings)
        container[key] = rng.choice([*STRINGS, *NAMES, *KINDS, container[key][:-1]])
    elif kind <= 4:
        container[key] = _value(rng, seeds, arrays)
    elif kind == 5:
        del container[key]
    elif kind == 6 and isinstance(container, list):
        container.insert(key, container[key])
        if rng.random() < 0.2:
            container *= 50
    elif kind == 7:
        dicts = [place[0][place[1]] for place in found if isinstance(place[0][place[1]], dict)]
        if dicts:
            rng.choice(dicts)[rng.choice(ATTRIBUTES)] = _value(rng, seeds, arrays)
    elif kind == 8:
        named = [place for place in found if place[1] in ("class", "function")]
        if named:
            container, key = rng.choice(named)
            container[key] = rng.choice([*NAMES, *known_names(), *known_names()])
    elif kind == 9:
        tagged = [place for place in found if place[1] == "$"]
        if tagged:
            container, key = rng.choice(tagged)
            container[key] = rng.choice(KINDS)
    elif kind == 10:
        sized = [place for place in found if place[1] in SIZED]
        if sized:
            wanted, size = rng.choice(sized)[1], rng.choice([10**9, 10**18, -1, 0, 3, 5, 2**31])
            for container, key in sized:
                if key == wanted:
                    old = container[key]
                    container[key] = size
                    if isinstance(old, dict) and isinstance(old.get("items"), list):
                        length = rng.choice([len(old["items"]), 1, 2, 3, 1000])
                        container[key] = {"$": "tuple", "items": [size] * length}
                    elif isinstance(old, list):
                        container[key] = [size] * len(old)
    elif kind <= 13 and arrays:
        name = rng.choice(list(arrays))
        if rng.random() < 0.85:
            arrays[name] = _changed_array(rng, arrays[name], arrays)
        else:
            A = arrays.pop(name)
            if rng.random() < 0.5:
                arrays[rng.choice(ATTRIBUTES) or "empty"] = A
    elif kind == 14:
        first, second = rng.choice(found), rng.choice(found)
        a, b = (json.dumps(place[0][place[1]]) for place in (first, second))
        first[0][first[1]], second[0][second[1]] = json.loads(b), json.loads(a)
    elif isinstance(container[key], dict | list):
        container[key] = [container[key]] if rng.random() < 0.5 else {"$": "tuple", "items": [container[key]]}


def knowing(seeds, rng):
    """A file with a right checksum that says something else."""
    name = rng.choice(seeds.names)
    document, arrays = _files.unpack(seeds.data(name))
    for _ in range(rng.choice([1, 1, 1, 1, 2, 4])):
        with contextlib.suppress(KeyError, IndexError, TypeError):  # what an earlier change has left no room for
            change(rng, seeds, document, arrays)
    try:
        text = text_of(document)
        if rng.random() < 0.03 and ',"' in text:  # a key twice
            text = text.replace('"params":', f'"params":{rng.choice(["1", "{}", "null"])},"params":', 1)
        return name, packed(text, arrays, rng.choice([*["1"] * 60, "2", "0", "1e3", "01", "-1", "", "9" * 12, "①"]))
    except (UnicodeEncodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        return name, seeds.data(name)[:100] + repr(error).encode("ascii", "replace")  # it cannot even be written


# ------------------------------------------------------------------ archives

SCHEMA = "schema.json"


def _zip(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def _unzip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _npy(rng, data):
    """An array whose header lies, or that holds a pickle."""
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randbytes(len(data))
    if kind == 1:
        return data[: rng.randrange(len(data))]
    header = rng.choice(
        [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
            "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (1,), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': __import__('skae_canary'), }",
            "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 5000 + ")" * 5000 + ", }",
        ]
    ).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + pickle_bomb("called")


def pickle_bomb(name):
    """A pickle that makes a file in the folder of the canary."""
    return f"c{CANARY}\nfire\n(S'{name}'\ntR.".encode()


LOADERS = [
    *("MethodNode", "FunctionNode", "PartialNode", "OperatorFuncNode", "TypeNode", "ObjectNode", "ReduceNode"),
    *("JsonNode", "NdArrayNode", "DictNode", "ListNode", "TupleNode", "SetNode", "SliceNode", "RandomStateNode"),
    *(
        "RandomGeneratorNode",
        "LossNode",
        "TreeNode",
        "SGDNode",
        "BytesNode",
        "BytearrayNode",
        "DTypeNode",
        "CachedNode",
    ),
    *("TorchNode", "DefaultDictNode", "MaskedArrayNode", "SparseMatrixNode", "QuantileForestNode", "X", "", None),
]


def archive(seeds, rng):
    """An archive of skops that says something else."""
    name = rng.choice(seeds.archives)
    members = _unzip(seeds.data(name))
    kind = rng.randrange(12)
    if kind == 0:  # bytes at random, in the archive itself
        data = bytearray(seeds.data(name))
        for _ in range(rng.choice([1, 3, 30])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return name, bytes(data)
    if kind == 1:
        data = seeds.data(name)
        return name, data[: rng.randrange(4, len(data))] + rng.choice([b"", b"", bytes(100), data[-22:]])
    if kind == 2:
        return name, _zip([*members, (rng.choice(["../../x", "/tmp/x", "..\\x", "a/../../b", "x\0y", SCHEMA]), b"x")])
    if kind == 3:  # a bomb
        target = rng.randrange(len(members))
        size = rng.choice([2**20, 2**24, 2**27])
        members[target] = (members[target][0], bytes(size))
        data = bytearray(_zip(members, rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])))
        if rng.random() < 0.7:  # one that lies about its size
            needle = struct.pack("<I", size)
            while (at := data.find(needle)) >= 0:
                data[at : at + 4] = struct.pack("<I", 100)
        return name, bytes(data)
    if kind in (4, 5):
        arrays = [i for i, (member, _) in enumerate(members) if member.endswith(".npy")]
        target = rng.choice(arrays)
        members[target] = (members[target][0], _npy(rng, members[target][1]))
        return name, _zip(members)
    schema = json.loads(dict(members)[SCHEMA])
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        _change_schema(rng, schema)
    text = text_of(schema)
    return name, _zip([(member, text if member == SCHEMA else data) for member, data in members])


def _change_schema(rng, schema):
    found = places(schema)
    container, key = rng.choice(found)
    kind = rng.randrange(7)
    types = [place[0] for place in found if place[1] == "__class__" and isinstance(place[0], dict)]
    if kind <= 1 and types:
        node, name = rng.choice(types), rng.choice([*NAMES, *known_names(), "builtins.str", "torch._utils._rebuild"])
        node["__module__"], _, node["__class__"] = name.rpartition(".")
        if kind and rng.random() < 0.5:
            node["__loader__"] = rng.choice(LOADERS)
    elif kind == 2 and types:
        rng.choice(types)["__loader__"] = rng.choice(LOADERS)
    elif kind == 3:
        container[key] = rng.choice([*NUMBERS, *STRINGS, *NAMES, None, [], {}, f"{RAW_MARK}{rng.randrange(19)}"])
    elif kind == 4:
        first, second = container[key], rng.choice(types) if types else {}
        container[key] = json.loads(json.dumps(second))
        if isinstance(first, dict) and rng.random() < 0.3:
            first["content"] = first  # a loop cannot be written, and nothing is
            del first["content"]
    elif kind == 5:
        module, _, cls = rng.choice(NAMES).rpartition(".")
        inner = {"__class__": cls, "__module__": module, "__loader__": "TypeNode", "__id__": rng.randrange(10)}
        call = {"__class__": "partial", "__module__": "functools", "__loader__": "PartialNode", "__id__": 99}
        method = {"__class__": "method", "__module__": "builtins", "__loader__": "MethodNode"}
        container[key] = rng.choice(
            [
                inner,
                inner | {"__loader__": "FunctionNode", "content": {"module_path": module, "function": cls}},
                call | {"content": {"func": inner, "args": [], "kwds": {}, "namespace": {}}},
                method | {"content": {"func": cls or "fit", "obj": inner}},
                inner | {"__loader__": "OperatorFuncNode", "__module__": "operator", "__class__": "methodcaller"},
                inner | {"__loader__": "ReduceNode", "reduce": {"args": []}, "content": None},
                inner | {"__loader__": "JsonNode", "content": rng.choice(["1e999", "[" * 10**5, "x", 3])},
            ]
        )
    elif isinstance(container, dict):
        del container[key]


# ------------------------------------------------------------------ what must be refused whatever else happens


def _headed(header, body=b"", length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def _tensor(**claims):
    """A safetensors file whose only tensor is said to be otherwise than it is."""
    metadata = {"skae_format": "1", "document": "{}", "sha256": "0" * 64}
    tensor = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]} | claims
    return _headed({"__metadata__": metadata, "a": tensor}, bytes(8))


def _torch_file():
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, buffer)
    return buffer.getvalue()


def _joblib_file():
    import joblib

    buffer = io.BytesIO()
    joblib.dump({"a": np.zeros(3)}, buffer)
    return buffer.getvalue()


def _with(seeds, name, change):
    """A seed with a change of its estimator's document."""
    document, arrays = _files.unpack(seeds.data(name))
    change(document["estimator"], arrays)
    return packed(text_of(document), arrays)


def _annotated(seeds, metadata):
    """A seed with metadata."""
    document, arrays = _files.unpack(seeds.data("ae"))
    return packed(text_of(document | {"metadata": metadata}), arrays)


def _identity():
    return {"$": "layer", "class": "torch.nn.Identity", "arguments": {}, "children": None, "weights": {}}


def _clones(cls, **arguments):
    layer = {"$": "layer", "class": cls, "arguments": arguments, "children": None, "weights": {}}
    return lambda e, _: e["params"].update(module=layer)


def _pos(value):
    return lambda e, _: e["params"]["random_state"]["state"]["state"].update(pos=value)


def _recipe(**changes):
    return lambda e, _: e["fitted"]["net_"]["state"]["recipe"].update(changes)


def _nan_weights(e, arrays):
    for name, A in arrays.items():
        if ".weights." in name:
            arrays[name] = np.full_like(A, np.nan)


def _short_momentum(e, arrays):
    """What a fused update would read beyond the end of."""
    for name in arrays:
        if name.endswith((".exp_avg", ".exp_avg_sq")):
            arrays[name] = np.zeros(1, np.float32)


def _names(name):
    return lambda e, _: e["params"].update(module={"$": "function", "function": name})


def _wide(e, _):
    sizes = {"hidden_layer_sizes": {"$": "tuple", "items": [10**9]}}
    e["fitted"]["net_"]["state"]["recipe"]["network_params"] = sizes


_LIES = {
    "nothing": lambda seeds: b"",
    "one byte": lambda seeds: b"\0",
    "zeros": lambda seeds: bytes(100),
    "a header of 2**63 bytes": lambda seeds: _headed(b"{}", length=2**63),
    "a header longer than the file": lambda seeds: _headed(b"{}", length=3),
    "an archive's beginning": lambda seeds: b"PK\x03\x04",
    "an archive of nothing": lambda seeds: _zip([]),
    "a pickle bomb": lambda seeds: pickle_bomb("called"),
    "a pickle bomb in an archive": lambda seeds: _zip([("data.pkl", pickle_bomb("called")), ("version", b"3")]),
    "torch's file": lambda seeds: _torch_file(),
    "joblib's file": lambda seeds: _joblib_file(),
    "another safetensors file": lambda seeds: safetensors.save({"a": np.zeros(3)}),
    "metadata of other kinds": lambda seeds: _headed({"__metadata__": {"skae_format": 1, "document": {}, "sha256": 0}}),
    "a list for a header": lambda seeds: _headed([]),
    "a deep header": lambda seeds: _headed(b"[" * 10**6),
    "a shape of 10**18": lambda seeds: _tensor(shape=[10**18]),
    "a shape that overflows": lambda seeds: _tensor(shape=[2**62, 4]),
    "offsets beyond the end": lambda seeds: _tensor(data_offsets=[0, 2**60], shape=[2**57]),
    "offsets that are none": lambda seeds: _tensor(data_offsets=["a", None]),
    "no offsets": lambda seeds: _tensor(data_offsets=[]),
    "a dtype that NumPy lacks": lambda seeds: _tensor(dtype="BF16", shape=[4]),
    "a dtype that is none": lambda seeds: _tensor(dtype="O"),
    "a newer format": lambda seeds: packed("{}", {}, "2"),
    "a format of words": lambda seeds: packed("{}", {}, "1e3"),
    "a format of digits that are not ours": lambda seeds: packed("{}", {}, "\u0661"),
    "JSON that takes memory": lambda seeds: packed(f"[{'[],' * 10**6}0]", {}),
    "deep JSON": lambda seeds: packed("[" * 10**5 + "]" * 10**5, {}),
    "JSON that is none": lambda seeds: packed("{", {}),
    "a document that is a number": lambda seeds: packed("3", {}),
    "a document of another kind": lambda seeds: packed('{"kind":"checkpoint"}', {}),
    "metadata that are no dict": lambda seeds: _annotated(seeds, [1]),
    "metadata of infinity": lambda seeds: _annotated(seeds, {"a": float("inf")}),
    "metadata too deep": lambda seeds: _annotated(seeds, json.loads('{"a":' * 25 + "1" + "}" * 25)),
    "metadata too large": lambda seeds: _annotated(seeds, {"a": "x" * 2**21}),
    "metadata in an archive that unpack to more": lambda seeds: _zip(
        [("schema.json", b"{}"), ("skae_metadata.json", b'{"a":' + b" " * 2**22 + b"1}")], zipfile.ZIP_DEFLATED
    ),
    "no estimator": lambda seeds: packed('{"kind":"estimator","estimator":{"a":3}}', {}),
    "an encoder of 10**9 layers": lambda seeds: _with(
        seeds,
        "unfitted",
        _clones("torch.nn.TransformerEncoder", encoder_layer=_identity(), num_layers=10**9),
    ),
    "a transformer of 10**9 layers": lambda seeds: _with(
        seeds, "unfitted", _clones("torch.nn.Transformer", d_model=2, nhead=1, num_encoder_layers=10**9)
    ),
    "10**9 recurrent layers": lambda seeds: _with(
        seeds, "unfitted", _clones("torch.nn.LSTM", input_size=1, hidden_size=1, num_layers=10**9)
    ),
    "a layer of 10**18 weights": lambda seeds: _with(
        seeds, "unfitted", _clones("torch.nn.Linear", in_features=10**9, out_features=10**9)
    ),
    "a random state beyond its end": lambda seeds: _with(seeds, "unfitted", _pos(10**6)),
    "a random state before its beginning": lambda seeds: _with(seeds, "unfitted", _pos(-(2**31))),
    "10**18 components": lambda seeds: _with(seeds, "ae", _recipe(n_components=10**18)),
    "rows of 10**9": lambda seeds: _with(seeds, "ae", _recipe(input_shape={"$": "tuple", "items": [10**9]})),
    "a hidden layer of 10**9": lambda seeds: _with(seeds, "ae", _wide),
    "weights of NaN": lambda seeds: _with(seeds, "ae", _nan_weights),
    "an optimiser's state of another shape": lambda seeds: _with(seeds, "gru", _short_momentum),
    **{
        f"{name} named": lambda seeds, name=name: _with(seeds, "ae", _names(name))
        for name in NAMES[:20]
        if name != "builtins.print"
    },
}


def fixed(seeds, number):
    """One of the files that are written out here."""
    name = list(_LIES)[number]
    return name, _LIES[name](seeds)


# ------------------------------------------------------------------ loading and using them under watch

GROUPS = {"blind": blind, "knowing": knowing, "archive": archive}
_HARMLESS = ("object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe", "id", "builtins.id")
_HARMLESS += (
    "os.listdir",
    "os.scandir",
    "os.fspath",
    "sys.unraisablehook",
    "gc.get_objects",
    "array.__new__",
    "code.__new__",
)
_HARMLESS += ("os.putenv", "os.unsetenv", "sys._getframemodulename", "time.sleep", "mmap.__new__", "function.__new__")
_LIBRARIES = ("torch", "numpy", "sklearn", "scipy", "skorch", "skae", "safetensors", "skops", "joblib", "threadpoolctl")


class Watch:
    """Notes down what is run, opened for writing, imported or started while it is on."""

    def __init__(self):
        self.on, self.noted = False, []
        sys.addaudithook(self._hook)

    def _hook(self, event, args):
        if self.on and event not in _HARMLESS and not self._is_expected(event, args):
            self.noted.append(f"{event} {args!r}"[:200])

    def _is_expected(self, event, args):
        if event == "open":
            return args[1] in (None, "r", "rb") and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event == "import":
            top = args[0].partition(".")[0]
            return top in _LIBRARIES or top in sys.stdlib_module_names
        if event == "exec":  # a module, or what `namedtuple` and `dataclass` make of names in our own code
            return hasattr(args[0], "co_filename") and os.path.isabs(args[0].co_filename)
        if event == "compile":  # by an import, or for `ast.literal_eval`, which runs nothing: heads of NumPy's files
            return args[1] == "<unknown>" or (isinstance(args[1], str) and os.path.isabs(args[1]))
        return event == "marshal.loads"  # by an import: cached bytecode

    def __enter__(self):
        self.noted.clear()
        self.on = True

    def __exit__(self, *error):
        self.on = False


def memory():
    """The memory that the process has, and the most that it had since `forget_peak`; in bytes."""
    status = Path("/proc/self/status").read_text()
    return tuple(1024 * int(re.search(rf"{name}:\s*(\d+)", status)[1]) for name in ("VmRSS", "VmHWM"))


def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def world():
    """What no file may change."""
    state = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (state[1].tobytes(), state[2:]),
        "random": hash(random.getstate()),
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "device": str(torch.get_default_device()),
        "errors": tuple(np.geterr().values()),
        "folder": os.getcwd(),
    }


DOCUMENTED = (ValueError, TypeError, FloatingPointError, NotFittedError)


def use(estimator, X, y, *, train, documented=DOCUMENTED):
    """Call what there is to call: what comes is finite, or an error that is documented."""
    given = {} if y is None else {"y": y}
    width = getattr(estimator, "n_components", 2)
    Z = np.zeros((3, width if isinstance(width, int) and 0 < width < 1000 else 2), np.float32)
    calls = {
        "repr": lambda: repr(estimator) and None,
        "transform": lambda: estimator.transform(X),
        "inverse_transform": lambda: estimator.inverse_transform(Z, **({"y": y[:3]} if given else {})),
        "reconstruct": lambda: estimator.reconstruct(X, **given),
        "score_samples": lambda: estimator.score_samples(X, **given),
        "score": lambda: estimator.score(X, **given),
        "sample": lambda: estimator.sample(3, random_state=0),
        "transform_distribution": lambda: estimator.transform_distribution(X),
        "sample_posterior": lambda: estimator.sample_posterior(X, **given, random_state=0),
    }
    if train:
        calls["partial_fit"] = lambda: estimator.partial_fit(X, **given) and None
        calls["transform after partial_fit"] = lambda: estimator.transform(X)
    may_have_nan = np.isnan(X).any()
    wrong, refused = [], 0
    for name, call in calls.items():
        if name[0].islower() and name.isidentifier() and name != "repr" and not hasattr(type(estimator), name):
            continue
        try:
            result = call()
        except documented as error:
            refused += 1
            if not str(error).strip():
                wrong.append(f"{name}: {type(error).__name__} without a word")
            continue
        except AttributeError as error:
            if not re.search(
                "sample|transform_distribution|has no attribute '(score|reconstruct|partial_fit)", str(error)
            ):
                wrong.append(f"{name}: {error!r}"[:300])
            continue
        except Exception as error:
            wrong.append(f"{name}: {error!r}"[:300])
            continue
        for part in result if isinstance(result, tuple) else [result]:
            if part is not None and not may_have_nan and not np.isfinite(np.asarray(part, np.float64)).all():
                wrong.append(f"{name}: not finite")
    return wrong, refused


def params_of(estimator):
    """The parameters, as text: training with others is as good as a `fit` with them, which takes what it takes."""
    return json.dumps(ObjectEncoder(optimizer=False).encode(estimator.get_params(deep=False), "p"), sort_keys=True)


class Trial:
    """Loads and uses files in this process."""

    def __init__(self, folder):
        self.seeds = Seeds(folder)
        self.path = self.seeds.folder / f"mutant-{os.getpid()}"
        self.watch = Watch()
        self.params = {}
        for name in (*self.seeds.names, *self.seeds.archives):  # imports that come with a first use
            estimator = skae.load(self.write(self.seeds.data(name)))
            X, y = self.seeds.arrays(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wrong, _ = use(estimator, X, y, train=hasattr(estimator, "partial_fit"))
            assert not wrong, (name, wrong)
            if name in self.seeds.names:
                self.params[name] = params_of(skae.load(self.path))

    def write(self, data):
        self.path.write_bytes(data)
        return self.path

    def attempt(self, name, data, *, whole=False):
        """What becomes of a file made from a seed; ``whole`` where it must be refused or give what the seed gives."""
        path = self.write(data)
        told = {"seed": name, "size": len(data), "wrong": []}
        wrong = told["wrong"]
        forget_peak()
        held, before = memory()[0], world()
        estimator = None
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with self.watch:
                try:
                    estimator = skae.load(path)
                except ValueError as error:
                    told["outcome"], told["error"] = "refused", str(error)[:300].replace(str(path), "FILE")
                    if not str(error).startswith(str(path)) or len(str(error)) > 10_000:
                        wrong.append(f"the message does not say which file, or says too much: {error}"[:300])
                except Exception as error:
                    wrong.append(f"load: {error!r}"[:300])
        told["peak"] = memory()[1] - held
        wrong += [f"load did: {event}" for event in self.watch.noted]
        wrong += [
            f"load warned: {warning.message}"[:200]
            for warning in warned
            if issubclass(warning.category, RuntimeWarning)
        ]
        if told["peak"] > SPARE + MULTIPLE * len(data):
            wrong.append(f"load took {told['peak']} bytes for {len(data)}")
        if (after := world()) != before:
            wrong.append(f"load changed {[key for key, value in before.items() if after[key] != value]}")
        if estimator is not None:
            told["outcome"] = "loaded"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._use(estimator, name, told, whole)
        for file in ("imported", "called"):
            if (self.seeds.folder / file).exists():
                (self.seeds.folder / file).unlink()
                wrong.append(f"the canary was {file}")
        return told

    def _use(self, estimator, name, told, whole):
        if whole and signature(estimator) != self.seeds.signature(name):
            if any(signature(estimator) == self.seeds.signature(other) for other in self.seeds.names):
                return  # it was overwritten with all of another one
            told["wrong"].append("a changed file gives another estimator")
        if whole:
            return
        try:
            train = hasattr(estimator, "partial_fit") and params_of(estimator) == self.params.get(name)
        except (TypeError, ValueError):
            train = False
        if name not in (*self.seeds.names, *self.seeds.archives):
            return
        X, y = self.seeds.arrays(name)
        # What scikit-learn's own estimators in an archive hold is not ours to check.
        documented = Exception if name in self.seeds.archives else DOCUMENTED
        wrong, told["refusals"] = use(estimator, X, y, train=train, documented=documented)
        told["wrong"] += wrong


def mutation(seeds, group, number):
    """The name of a seed, and the bytes made from it."""
    if group == "fixed":
        return fixed(seeds, number)
    rng = random.Random(f"{group} {number}")
    return GROUPS[group](seeds, rng)


def limit_memory(spare=3 * 2**30):
    """Let the process have so much address space more."""
    size = int(re.search(r"VmSize:\s*(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size + spare, size + spare))


def weaken(what):
    """Take away one protection, so that a test can see that its lack is seen."""
    from skae import persistence
    from skae.persistence import _objects, _single

    if what == "checksum":
        _files._digest = lambda text, arrays: type("Any", (str,), {"__ne__": lambda *_: False})()
    elif what == "names":

        class Importing(dict):
            def __missing__(self, name):
                return importlib.import_module(name.rpartition(".")[0])

        persistence.with_names = lambda trusted: Importing(known_names())
        _single.names_in = lambda document: ()
    elif what == "memory":
        _single.ObjectDecoder = lambda *args: np.ones(2**25) and None
    elif what == "weights":
        _objects.check_restored = lambda estimator: None
    elif what == "crash":
        _single.ObjectDecoder = lambda *args: faulthandler._sigsegv()
    elif what == "hang":
        _single.ObjectDecoder = lambda *args: time.sleep(3600)


def main(folder, group, start, stop, seconds, weak=None):
    faulthandler.enable()
    torch.set_num_threads(1)
    sys.path.insert(0, str(folder))
    trial = Trial(folder)
    limit_memory()
    if weak:
        weaken(weak)
    for number in range(int(start), int(stop)):
        faulthandler.dump_traceback_later(float(seconds), exit=True)
        name, data = mutation(trial.seeds, group, number)
        told = trial.attempt(name, data, whole=group == "blind")
        if group == "fixed" and told.get("outcome") == "loaded":
            told["wrong"].append(f"{name} was loaded")
        print(json.dumps({"number": number} | told), flush=True)
    faulthandler.cancel_dump_traceback_later()
    trial.path.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
