"""Metadata of users in files."""

import io
import json
import math
import string

import numpy as np
import pytest
from battery import fitted, in_archive, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from test_formats import FILES

import skae
from skae._utils import files as _files
from skae.persistence import read_metadata

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ESTIMATORS = {"one file": lambda: fitted("ae"), "archive": in_archive}


def kept(est, metadata):
    file = io.BytesIO()
    skae.save(est, file, metadata=metadata)
    return file.getvalue()


@pytest.mark.parametrize("kind", ESTIMATORS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(metadata=st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
@pytest.mark.slow
def test_metadata_are_the_same_after_loading(kind, metadata):
    data = kept(ESTIMATORS[kind](), metadata)
    assert read_metadata(io.BytesIO(data)) == metadata
    est, found = skae.load(io.BytesIO(data), return_metadata=True)
    assert found == metadata
    assert json.dumps(found) == json.dumps(metadata)  # types and order too
    np.testing.assert_array_equal(est.transform(table()), ESTIMATORS[kind]().transform(table()))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_no_metadata_by_default(kind, tmp_path):
    est = ESTIMATORS[kind]()
    for metadata in (None, {}):
        data = kept(est, metadata)
        assert b"metadata" not in data.replace(b"__metadata__", b"").replace(b"_metadata_request", b"")
        assert read_metadata(io.BytesIO(data)) == {}
        assert skae.load(io.BytesIO(data), return_metadata=True)[1] == {}


@pytest.mark.parametrize("name", ["vae", "pipeline"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_files_of_version_0_2_0_have_no_metadata(name):
    path = FILES / "0.2.0" / f"{name}.skae"
    assert read_metadata(path) == {}
    assert skae.load(path, return_metadata=True)[1] == {}


def test_safetensors_reads_metadata(tmp_path):
    skae.save(fitted("ae"), tmp_path / "kept", metadata={"data": "digits"})
    with safe_open(tmp_path / "kept", framework="numpy") as file:
        assert json.loads(file.metadata()["document"])["metadata"] == {"data": "digits"}


def test_read_metadata_reads_the_header_only():
    data = kept(fitted("ae"), {"a": 1})
    file = io.BytesIO(data)
    assert read_metadata(file) == {"a": 1}
    assert file.tell() == 8 + int.from_bytes(data[:8], "little")


def test_numpy_scalars_and_tuples_become_plain():
    given = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": (1, "x"), "e": np.str_("y")}
    found = read_metadata(io.BytesIO(kept(fitted("ae"), given)))
    assert found == {"a": 0.5, "b": 3, "c": True, "d": [1, "x"], "e": "y"}
    assert [type(value) for value in found.values()] == [float, int, bool, list, str]


def test_metadata_are_not_decoded():
    metadata = {"$": "function", "function": "os.system", "class": "os.system"}
    assert skae.load(io.BytesIO(kept(fitted("ae"), metadata)), return_metadata=True)[1] == metadata


def circular():
    found = []
    found.append(found)
    return found


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        ([1], TypeError, "metadata must be None or a dict, got list"),
        ("text", TypeError, "metadata must be None or a dict, got str"),
        ({1: 2}, TypeError, "metadata must have keys that are str, got 1"),
        ({"a": {"b": {None: 2}}}, TypeError, r"metadata\['a'\]\['b'\] must have keys that are str, got None"),
        ({"a": np.zeros(3)}, TypeError, r"metadata\['a'\] must be a str, .*got ndarray"),
        ({"a": [1, b"x"]}, TypeError, r"metadata\['a'\]\[1\] must be a str, .*got bytes"),
        ({"a": 1j}, TypeError, "got complex"),
        ({"a": math.nan}, ValueError, r"metadata\['a'\] must be finite, got nan"),
        ({"a": np.float32("inf")}, ValueError, "must be finite, got inf"),
        ({"a": 2**63}, ValueError, r"metadata\['a'\] must be smaller than 2\*\*63, got an int of 64 bits"),
        ({"a": circular()}, ValueError, "at most 20 lists and dicts within each other"),
        ({"a": "x" * 2**20}, ValueError, "at most 1048576 bytes as JSON, got 10485"),
    ],
)
def test_other_metadata_raise(kind, metadata, error, message):
    file = io.BytesIO()
    with pytest.raises(error, match=message):
        skae.save(ESTIMATORS[kind](), file, metadata=metadata)
    assert file.getvalue() == b""


@pytest.mark.parametrize("metadata", [[], "a", 1, {"a": math.inf}, {"a": 2**64}, {"a": "x" * 2**20}])
def test_file_with_other_metadata_raises(metadata):
    document, arrays = _files.unpack(kept(fitted("ae"), {"a": 1}))
    text = json.dumps(document | {"metadata": metadata})
    sha256 = _files._digest(text, arrays)
    data = _files.safetensors.save(arrays, {"skae_format": "1", "document": text, "sha256": sha256})
    for read in (skae.load, read_metadata):
        with pytest.raises(ValueError, match="cannot be loaded"):
            read(io.BytesIO(data))


def test_checksum_covers_metadata():
    data = kept(fitted("ae"), {"a": string.ascii_letters})
    changed = data.replace(string.ascii_letters.encode(), string.ascii_letters.swapcase().encode())
    with pytest.raises(ValueError, match="checksum"):
        skae.load(io.BytesIO(changed))
    with pytest.raises(ValueError, match="CRC"):
        read_metadata(io.BytesIO(kept(in_archive(), {"a": "b" * 50}).replace(b"b" * 50, b"c" * 50)))


def test_document_must_be_of_an_estimator():
    data = _files.pack({"kind": "checkpoint", "metadata": {"a": 1}}, {})
    with pytest.raises(ValueError, match="holds no estimator"):
        read_metadata(io.BytesIO(data))
