"""Files that are damaged or made to do harm, and a process that loads them under watch.

``python tests/fuzz/hostile_files.py <folder> <seconds> <group>:<start>:<stop> ...`` tries the mutations of groups and
prints a line for each. Mutations follow from their group and number alone, so that a failure is repeated by its number.
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
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors import numpy as safetensors
from sklearn.impute import SimpleImputer
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
import skae.coding  # a submodule on access, which is loaded where a name in an archive is of it
from skae import AutoencoderTransformer, ConvAutoencoder, Reconstructor, VAEGenerator
from skae._utils import files as _files
from skae._utils.files import _digest as digest
from skae.density import NormalizingFlow
from skae.persistence._names import known_names
from skae.persistence._objects import ObjectEncoder

CANARY = "skae_canary"  # a module beside the seeds: whoever imports it, or calls what is in it, leaves a file
SPARE, MULTIPLE = 200 * 2**20, 8  # bytes of memory that `load` may take: so many, and so many times the file's size

# ------------------------------------------------------------------ the files that mutations begin with

TINY = {"max_epochs": 1, "batch_size": 16, "random_state": 0, "device": "cpu"}
NARROW = TINY | {"module__hidden_layer_sizes": (3,)}


def _zoo():
    """By name: an estimator, the samples and the y that it is fitted on, and whether its optimizer is saved."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 4)), np.arange(24) % 3
    holes = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    sequences = rng.normal(size=(24, 6, 2))
    parts = {"bottleneck": "sparse", "loss": "huber", "noise": "masking_noise"}
    conv = {"module__hidden_layer_sizes": (3,), "module__channels": (2,)}
    tables = {
        "ae": (AutoencoderTransformer(2, prior=GaussianMixture(2), **parts, **NARROW), X, None, True),
        "kde": (AutoencoderTransformer(2, prior=KernelDensity(), optimizer="sgd", **NARROW), X, None, True),
        "conv": (ConvAutoencoder(2, **TINY, **conv), rng.normal(size=(24, 5, 5)), None, False),
        "gru": (AutoencoderTransformer(2, module="gru", module__hidden_size=2, **TINY), sequences, None, True),
        "vae": (VAEGenerator(2, conditional=True, **NARROW), X, y, True),
        "flow": (VAEGenerator(2, prior=NormalizingFlow(1, 1, 3, max_epochs=1), **NARROW), X, None, False),
        "filled": (Reconstructor(VAEGenerator(2, **NARROW), filling=SimpleImputer()), holes, None, False),
        "unfitted": (AutoencoderTransformer(np.int64(2), random_state=np.random.RandomState(0)), X, None, False),
    }
    archives = {"pipeline": (make_pipeline(StandardScaler(), AutoencoderTransformer(2, **NARROW)), X, None, True)}
    return tables, archives


def make_seeds(folder):
    """Save one file for each estimator, its samples beside it, and the canary."""
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
    """Return a hash of all that an estimator holds."""
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
        length = rng.choice([1, 4, 64, 1024])
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + 1] = bytes(255 - byte for byte in data[at : at + 1])
        elif kind == 1:
            data[at : rng.choice([at, at + length])] = rng.randbytes(length)
        elif kind == 2:
            del data[at : rng.choice([None, at + length])]
        elif kind == 3:
            data[at:] = seeds.data(rng.choice(seeds.names))[at:]
        else:
            data[:8] = struct.pack("<Q", rng.choice([0, 1, len(data), 100_000_000, 2**63 - 1, rng.randrange(2**16)]))
    return name, bytes(data)


# ------------------------------------------------------------------ knowing mutations: they get a right checksum

NUMBERS = [0, 1, 2, 3, 100, 10**6, 10**9, 10**18, 2**31, 2**63, 10**30, -1, -(2**63) - 1]
NUMBERS += [0.5, -0.5, 1e-300, 1e300, 1e39, 2.0]
RAW = ["NaN", "Infinity", "1e400", "-1e999", "9" * 5000, '"\\ud800"', '"\\u0000"', "truth"]
STRINGS = [
    *("", "adam", "LBFGS", "Optimizer", "__doc__", "lr_scheduler", "cuda", "cuda:7", "meta", "mps", "auto", "os"),
    *("../../../x", "/dev/zero", "a\0b", "\ud800", "%s%n{0}{x}", "__class__", "mixture", "mask", "bf16", "full"),
    *("targets", "inf", "nan", "<f8", "|O", "|V8", "<M8[ns]", "f4,f4", "(2,3)f4", "U1000000000", "F", "x" * 10**5),
]
NAMES = [
    *("builtins.eval", "builtins.exec", "builtins.getattr", "builtins.__import__", "builtins.open", "os.system"),
    *("subprocess.Popen", "torch.load", "torch.hub.load", "numpy.load", "joblib.load", "functools.partial"),
    *(
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing.FunctionTransformer",
        "pickle.loads",
        "operator.methodcaller",
    ),
    *(f"{CANARY}.fire", f"{CANARY}.Thing", CANARY, "skae.load", "skae.persistence.load", "torch.nn.Module", "", "."),
    *("skae.nn.os", "torch.optim.Optimizer", "sklearn.base.BaseEstimator", "__main__.x", "skae.__init__"),
]
ATTRIBUTES = [
    *("transform", "fit", "__class__", "__init__", "__dict__", "__reduce__", "net_", "module_", "_arrange", "_extra"),
    *("layout_", "prior_", "n_features_in_", "input_shape_", "_condition", "classes_", "get_params", "_skl_callbacks"),
    *("_forward_hooks", "_parameters", "_modules", "forward", "training", "$", "class", "a b", "_metadata_request"),
]
KINDS = [
    *("float", "tuple", "dict", "dtype", "scalar", "array", "objects", "tensor", "random_state", "class", "function"),
    *("partial", "layout", "condition", "requests", "part", "layer", "object", "net", "estimator", "_class", "decode"),
    *("", None, 3, [], "__init__"),
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


def _name(rng):
    return rng.choice([f"{CANARY}.Thing", rng.choice(NAMES), rng.choice(list(known_names()))])


def _value(rng, arrays):
    """Something that may stand anywhere."""
    name = _name(rng)
    layers = [name for name in known_names() if name.startswith("torch.nn.")]
    sizes = ("in_features", "num_layers", "hidden_size", "input_size", "in_channels", "kernel_size", "d_model", "nhead")
    arguments = {size: rng.choice([1, 2, 10**9, 10**18, "cuda", None]) for size in rng.sample(sizes, 3)}
    partial = {"function": {"$": "class", "class": name}, "args": rng.choice([[], [10**9]]), "keywords": {}}
    kept = {"$": "array", "name": rng.choice([*arrays, "nothing"])}
    return rng.choice(
        [
            rng.choice(NUMBERS),
            rng.choice([*STRINGS, *NAMES]),
            rng.choice([None, True, [], {}, [None] * 1000]),
            f"{RAW_MARK}{rng.randrange(len(RAW) + 9)}",
            {"$": "class", "class": name},
            {"$": "function", "function": name},
            {"$": "partial", "of": partial},
            {"$": "object", "class": name, "state": {rng.choice(ATTRIBUTES): rng.choice(NUMBERS)}},
            {"$": "layer", "class": rng.choice(layers), "arguments": arguments, "children": None, "weights": {}},
            {"$": "part", "class": name, "params": {"scale": 10**9}},
            {"$": "objects", "shape": rng.choice([[10**9, 10**9], [-1], [1] * 70]), "text": True, "items": ["a"]},
            rng.choice([kept, {"$": "tensor", "array": kept}]),
        ]
    )


def _changed_array(rng, A):
    kind = rng.randrange(6)
    if kind == 0:
        return A.astype(rng.choice(["f4", "f8", "i4", "u1", "?", "f2"]), casting="unsafe")
    if kind == 1:
        return A.reshape(-1)
    if kind == 2:
        return A[: len(A) // 2] if A.ndim else A[None]
    if kind == 3:
        return np.stack([A, A])
    if kind == 4:
        return np.frombuffer(rng.randbytes(A.nbytes), A.dtype if A.dtype != bool else "u1").reshape(A.shape)
    return np.zeros((*A.shape, 0), A.dtype)


def change(rng, seeds, document, arrays):
    """Make one change to a document and its arrays."""
    found = places(document["estimator"] if rng.random() < 0.95 and "estimator" in document else document)
    container, key = rng.choice(found)
    of_type = [place for place in found if type(place[0][place[1]]) is rng.choice([int, float, str])]
    keys = rng.choice([("class", "function"), ("$",)])
    named = [place for place in found if place[1] in keys]
    kind = rng.randrange(9)
    if kind <= 1 and of_type:
        container, key = rng.choice(of_type)
        container[key] = rng.choice([*NUMBERS, *STRINGS, f"{RAW_MARK}{rng.randrange(len(RAW))}"])
    elif kind == 2 and named:
        container, key = rng.choice(named)
        container[key] = rng.choice(KINDS if key == "$" else [_name(rng)])
    elif kind == 3:
        del container[key]
    elif kind == 4:
        dicts = [place[0][place[1]] for place in found if isinstance(place[0][place[1]], dict)]
        rng.choice(dicts)[rng.choice(ATTRIBUTES)] = _value(rng, arrays)
    elif kind == 5:
        sizes = [place for place in found if re.search("size|channels|layers|components|shape|width", str(place[1]))]
        container, key = rng.choice(sizes or found)
        container[key] = rng.choice([10**9, {"$": "tuple", "items": [10**9] * rng.choice([1, 2, 1000])}])
    elif kind <= 7 and arrays:
        name = rng.choice(list(arrays))
        arrays[name] = _changed_array(rng, arrays[name])
    else:
        container[key] = _value(rng, arrays)


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


def pickle_bomb(name):
    """A pickle that makes a file in the folder of the canary."""
    return f"c{CANARY}\nfire\n(S'{name}'\ntR.".encode()


def archive(seeds, rng):
    """An archive of skops that says something else."""
    name = rng.choice(seeds.archives)
    members = _unzip(seeds.data(name))
    kind = rng.randrange(6)
    if kind == 0:
        data = bytearray(seeds.data(name))
        for _ in range(rng.choice([1, 3, 30])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return name, bytes(data)
    if kind == 1:
        data = seeds.data(name)
        return name, data[: rng.randrange(4, len(data))] + rng.choice([b"", bytes(100), data[-22:]])
    if kind == 2:
        return name, _zip([*members, (rng.choice(["../../x", "/tmp/x", "x\0y", SCHEMA]), b"x")])
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
    schema = json.loads(dict(members)[SCHEMA])
    found = places(schema)
    types = [place[0] for place in found if place[1] == "__class__" and isinstance(place[0], dict)]
    if kind == 4:
        node, thing = rng.choice(types), rng.choice([*NAMES, *known_names(), "builtins.str", "torch._utils._rebuild"])
        node["__module__"], _, node["__class__"] = thing.rpartition(".")
        node["__loader__"] = rng.choice([node["__loader__"], "MethodNode", "FunctionNode", "PartialNode", "ReduceNode"])
    else:
        container, key = rng.choice(found)
        container[key] = rng.choice([*NUMBERS, *STRINGS, *NAMES, None, [], {}, f"{RAW_MARK}{rng.randrange(len(RAW))}"])
    text = text_of(schema)
    return name, _zip([(member, text if member == SCHEMA else data) for member, data in members])


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


def _names(name):
    return lambda e, _: e["params"].update(module={"$": "function", "function": name})


def _deep(e, _):
    e["fitted"]["net_"]["state"]["recipe"]["network_params"]["n_layers"] = 10**9


def _optimizer(name):
    return lambda e, _: e["fitted"]["net_"]["state"].update(optimizer=name)


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
    "offsets that are not integers": lambda seeds: _tensor(data_offsets=["a", None]),
    "no offsets": lambda seeds: _tensor(data_offsets=[]),
    "a dtype that NumPy lacks": lambda seeds: _tensor(dtype="BF16", shape=[4]),
    "an unsupported dtype": lambda seeds: _tensor(dtype="O"),
    "a newer format": lambda seeds: packed("{}", {}, str(_files.FORMAT + 1)),
    "a format of words": lambda seeds: packed("{}", {}, "1e3"),
    "a format of digits that are not ours": lambda seeds: packed("{}", {}, "\u0661"),
    "JSON that takes memory": lambda seeds: packed(f"[{'[],' * 10**6}0]", {}),
    "deep JSON": lambda seeds: packed("[" * 10**5 + "]" * 10**5, {}),
    "invalid JSON": lambda seeds: packed("{", {}),
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
    "an optimizer that torch lacks": lambda seeds: _with(seeds, "ae", _optimizer("os")),
    "10**18 components": lambda seeds: _with(seeds, "ae", _recipe(n_components=10**18)),
    "rows of 10**9": lambda seeds: _with(seeds, "ae", _recipe(input_shape={"$": "tuple", "items": [10**9]})),
    "a hidden layer of 10**9": lambda seeds: _with(seeds, "ae", _wide),
    "10**9 layers": lambda seeds: _with(seeds, "gru", _deep),
    **{f"{name} named": lambda seeds, name=name: _with(seeds, "ae", _names(name)) for name in NAMES[:20]},
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


class Trial:
    """Loads and uses files in this process."""

    def __init__(self, folder):
        self.seeds = Seeds(folder)
        self.path = self.seeds.folder / f"mutant-{os.getpid()}"
        self.watch = Watch()
        for name in (*self.seeds.names, *self.seeds.archives):  # imports that come with a first use
            self.use(skae.load(self.write(self.seeds.data(name))), name)

    def write(self, data):
        self.path.write_bytes(data)
        return self.path

    def attempt(self, name, data, *, whole=False):
        """Load a file made from a seed; ``whole`` where it must be refused or give what the seed gives."""
        path = self.write(data)
        report = {"seed": name, "size": len(data), "wrong": []}
        wrong = report["wrong"]
        forget_peak()
        held, before = memory()[0], world()
        estimator = None
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with self.watch:
                try:
                    estimator = skae.load(path)
                except ValueError as error:
                    report["outcome"], report["error"] = "refused", str(error)[:300].replace(str(path), "FILE")
                    if not str(error).startswith(str(path)) or len(str(error)) > 10_000:
                        wrong.append(f"the message does not say which file, or says too much: {error}"[:300])
                except Exception as error:
                    wrong.append(f"load: {error!r}"[:300])
        report["peak"] = memory()[1] - held
        wrong += [f"load did: {event}" for event in self.watch.noted]
        wrong += [
            f"load warned: {warning.message}"[:200]
            for warning in warned
            if issubclass(warning.category, RuntimeWarning)
        ]
        if report["peak"] > SPARE + MULTIPLE * len(data):
            wrong.append(f"load took {report['peak']} bytes for {len(data)}")
        if (after := world()) != before:
            wrong.append(f"load changed {[key for key, value in before.items() if after[key] != value]}")
        if estimator is not None:
            report["outcome"] = "loaded"
            if whole and signature(estimator) not in map(self.seeds.signature, self.seeds.names):
                wrong.append("a changed file gives another estimator")
            self.use(estimator, name)
        for file in ("imported", "called"):
            if (self.seeds.folder / file).exists():
                (self.seeds.folder / file).unlink()
                wrong.append(f"the canary was {file}")
        return report

    def use(self, estimator, name):
        """Call what there is to call, which must not end the process; a made-up model may give any error."""
        if name not in (*self.seeds.names, *self.seeds.archives):
            return
        X, y = self.seeds.arrays(name)
        given = {} if y is None else {"y": y}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for call in (
                lambda: estimator.transform(X),
                lambda: estimator.sample(3, random_state=0),
                lambda: estimator.partial_fit(X, **given),
            ):
                with contextlib.suppress(Exception):
                    call()


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
    from skae.persistence import _objects

    if what == "names":

        class Importing(dict):
            def __missing__(self, name):
                return importlib.import_module(name.rpartition(".")[0])

        persistence.with_names = lambda trusted: Importing(known_names())
        _objects.names_in = lambda document: ()
    elif what == "memory":
        _objects.ObjectDecoder = lambda *args: np.ones(2**25) and None
    elif what == "crash":
        _objects.ObjectDecoder = lambda *args: faulthandler._sigsegv()


def main(folder, seconds, *specs):
    faulthandler.enable()
    torch.set_num_threads(1)
    sys.path.insert(0, str(folder))
    trial = Trial(folder)
    limit_memory()
    for spec in specs:
        group, start, stop, *weak = spec.split(":")
        if weak:
            weaken(*weak)
        for number in range(int(start), int(stop)):
            faulthandler.dump_traceback_later(float(seconds), exit=True)
            name, data = mutation(trial.seeds, group, number)
            report = trial.attempt(name, data, whole=group == "blind")
            if group == "fixed" and report.get("outcome") == "loaded":
                report["wrong"].append(f"{name} was loaded")
            print(json.dumps({"group": group, "number": number} | report), flush=True)
    faulthandler.cancel_dump_traceback_later()
    trial.path.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
