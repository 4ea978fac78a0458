"""Files of every version so far load; those of versions to come are refused by name."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from battery import UserNet, fitted
from make_files import NAMES, PICKLED, expected
from safetensors import safe_open

import skae
from skae._utils import files as _files

FILES = Path(__file__).parent / "files"
STORED = sorted([*FILES.glob("*/*.skae"), *FILES.glob("*/*.pkl")])


def test_this_version_has_its_files():
    """A release without them: run ``make_files.py`` and keep what it makes."""
    folder = FILES / skae.__version__
    assert {path.stem for path in folder.glob("*.skae")} == {*NAMES, "pipeline"}
    assert {path.stem for path in folder.glob("*.pkl")} == {*PICKLED, "pipeline"}


# scikit-learn warns if an archive was written with another version of it.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("path", STORED, ids=lambda path: str(path.relative_to(FILES)))
def test_files_of_all_versions_give_equal_results(path):
    est = skae.load(path, trusted=[UserNet]) if path.suffix == ".skae" else pickle.loads(path.read_bytes())
    with np.load(path.with_suffix(".npz")) as stored:
        wanted = dict(stored)
    X, y = wanted.pop("X"), wanted.pop("y", None)
    X = pd.DataFrame(X, columns=est.feature_names_in_) if hasattr(est, "feature_names_in_") else X
    found = {"transform": est.transform(X)} if path.stem == "pipeline" else expected(est, X, y)
    assert found.keys() == wanted.keys()
    for name, A in wanted.items():  # another processor may add in another order
        np.testing.assert_allclose(found[name], A, rtol=1e-4, atol=1e-5, err_msg=name)
    if hasattr(est, "partial_fit"):
        est.partial_fit(X, y) if getattr(est, "conditional", False) else est.partial_fit(X)


def test_stored_files_are_small():
    assert all(path.stat().st_size < (150_000 if path.stem == "pipeline" else 40_000) for path in STORED)


def edited(path, edit):
    """A file whose document was changed, with a checksum that fits."""
    document, arrays = _files.unpack(path.read_bytes())
    edit(document)
    return _files.pack(document, arrays)


def test_newer_format_raises_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "FORMAT", _files.FORMAT + 1)
    skae.save(fitted("ae"), tmp_path / "new")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=rf"new cannot be loaded: it has format {_files.FORMAT + 1}, .* update skae"):
        skae.load(tmp_path / "new")


def test_file_without_a_newer_parameter_gets_its_default(tmp_path):
    skae.save(fitted("ae"), tmp_path / "old")
    (tmp_path / "old").write_bytes(
        edited(tmp_path / "old", lambda document: document["estimator"]["params"].pop("tol"))
    )
    assert skae.load(tmp_path / "old").tol == skae.AutoencoderTransformer().tol


def test_file_matches_documentation(tmp_path):
    skae.save(fitted("vae prior mixture"), tmp_path / "kept", optimizer=True)
    with safe_open(tmp_path / "kept", framework="numpy") as file:
        metadata = file.metadata()
        weights = file.get_tensor("VAEGenerator.net_.module.weights.network.encoder.0.weight")
        means = file.get_tensor("VAEGenerator.prior_.means_")
    est = fitted("vae prior mixture")
    np.testing.assert_array_equal(weights, est.module_.network.encoder[0].weight.detach().numpy())
    np.testing.assert_array_equal(means, est.prior_.means_)
    assert metadata.keys() == {"skae_format", "document", "sha256"}
    assert metadata["skae_format"] == str(_files.FORMAT)
    document = json.loads(metadata["document"])
    assert document.keys() == {"kind", "versions", "estimator"}
    assert document["kind"] == "estimator"
    assert document["versions"].keys() == {
        "skae", "python", "torch", "scikit-learn", "skorch", "numpy", "safetensors"
    }  # fmt: skip
    assert document["estimator"]["class"] == "skae.VAEGenerator"
    assert document["estimator"]["params"]["prior"] == "mixture"
    assert document["estimator"]["fitted"]["n_iter_"] == 2
