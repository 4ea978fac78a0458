"""Archives of skops name public types only, all of which are listed."""

import importlib
import json
import pickle
import zipfile

import battery
import numpy as np
import pytest
import skops.io as sio
from battery import CASES, NOT_FOR_SKOPS, ae, fitted, in_archive, outputs, table
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_formats import FILES

import skae
from skae.persistence import TRUSTED_TYPES

# Classes and functions of others as parameters: scikit-learn's, torch's, skorch's and the user's.
WITH_OTHERS = ("prior GaussianMixture class", "pair classes", "early stopping of skorch", "of a user", "function")
FORMER = {"AutoencoderNet": "_net", "Classes": "_conditions", "Targets": "_conditions", "ImageLayout": "_images"}


def nodes_in(schema):
    """Everything in the schema of an archive that names a type, trusted by skops or not."""
    if isinstance(schema, dict):
        if "__module__" in schema:
            yield schema
        schema = list(schema.values())
    for item in schema if isinstance(schema, list) else ():
        yield from nodes_in(item)


def types_in(archive):
    with zipfile.ZipFile(archive) as file:
        schema = json.loads(file.read("schema.json"))
    return {f"{node['__module__']}.{node['__class__']}" for node in nodes_in(schema)}


def test_the_list_is_of_public_names_that_can_be_imported():
    assert type(TRUSTED_TYPES) is list  # which MLflow writes into YAML
    assert sorted(set(TRUSTED_TYPES)) == TRUSTED_TYPES
    for name in TRUSTED_TYPES:
        assert not any(part.startswith("_") for part in name.split("."))
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), cls), type)


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_FOR_SKOPS])
def test_it_holds_every_name_of_ours(name):
    names = sio.get_untrusted_types(data=sio.dumps(fitted(name)))
    assert {found for found in names if found.startswith("skae.")} <= {*TRUSTED_TYPES}
    others = {found for found in names if found not in TRUSTED_TYPES}
    assert not others or name.startswith("user's") or name.endswith(WITH_OTHERS), others


@pytest.mark.parametrize(
    "name", ["ae", "vae prior mixture", "conv", "gru", "told str", "told targets", "reconstructor"]
)
def test_skops_needs_no_other(name):
    case, est = CASES[name], fitted(name)
    pipe = make_pipeline(StandardScaler().fit(np.ones((2, 1))), est)
    again = sio.loads(sio.dumps(pipe), trusted=TRUSTED_TYPES)[-1]
    for method, found in outputs(again, case.X(), case.y, all_of_them=False).items():
        np.testing.assert_array_equal(found, outputs(est, case.X(), case.y, all_of_them=False)[method])


def test_what_save_writes_is_read_by_skops_too(tmp_path):
    skae.save(in_archive(), tmp_path / "kept", metadata={"a": 1})
    assert not any("skae._" in name for name in types_in(tmp_path / "kept"))
    again = sio.load(tmp_path / "kept", trusted=TRUSTED_TYPES)
    np.testing.assert_array_equal(again.transform(table()), in_archive().transform(table()))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_archives_with_the_names_of_before_load():
    path = FILES / "0.2.0" / "pipeline.skae"
    assert "skae._training.net.AutoencoderNet" in types_in(path)
    with np.load(path.with_suffix(".npz")) as stored:
        np.testing.assert_allclose(skae.load(path).transform(stored["X"]), stored["transform"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["conv", "told str", "told targets"])
def test_former_names_are_the_same_types(name, tmp_path):
    """Archives and pickles of 0.2.0 name other modules."""
    skae.save(make_pipeline(fitted(name)), tmp_path / "new")
    with zipfile.ZipFile(tmp_path / "new") as new, zipfile.ZipFile(tmp_path / "old", "w") as old:
        for member in new.namelist():
            data = new.read(member)
            if member == "schema.json":
                schema = json.loads(data)
                for node in nodes_in(schema):
                    if node["__module__"] == "skae.persistence":
                        node["__module__"] = f"skae.{FORMER[node['__class__']]}"
                data = json.dumps(schema)
            old.writestr(member, data)
    assert any("skae._" in found for found in types_in(tmp_path / "old"))
    X = CASES[name].X()
    np.testing.assert_array_equal(skae.load(tmp_path / "old")[-1].transform(X), fitted(name).transform(X))


def test_pickles_name_no_private_module():
    for name in ("conv", "told str", "told targets"):
        data = pickle.dumps(fitted(name))
        assert b"skae.persistence" in data
        assert b"skae._" not in data


def test_a_list_that_was_changed_opens_nothing(tmp_path, monkeypatch):
    pipe = make_pipeline(StandardScaler(), ae(prior=battery.UserDensity())).fit(table())
    skae.save(pipe, tmp_path / "kept")
    monkeypatch.setattr(skae.persistence, "TRUSTED_TYPES", [*TRUSTED_TYPES, "battery.UserDensity"])
    with pytest.raises(ValueError, match=r"names battery\.UserDensity"):
        skae.load(tmp_path / "kept")
