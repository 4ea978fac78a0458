"""Pickles and archives name public types only, and those of version 0.2.0 are found under their former names."""

import importlib
import io
import json
import pickle
import zipfile

import battery
import numpy as np
import pytest
import skops.io as sio
from battery import CASES, NOT_FOR_SKOPS, ae, fitted, in_archive, table
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae.persistence import TRUSTED_TYPES
from skae.persistence._names import former_names

# Classes and functions of others as parameters: scikit-learn's, torch's, skorch's and the user's.
WITH_OTHERS = (
    "prior GaussianMixture class",
    "pair classes",
    "early stopping of skorch",
    "of a user",
    "function",
    "splitter",
)


class Names(pickle.Unpickler):
    """Records the types that a pickle names."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))
        self.found = set()

    def find_class(self, module, name):
        self.found.add(f"{module}.{name}")
        return super().find_class(module, name)


def in_pickle(data):
    names = Names(data)
    names.load()
    return names.found


def nodes_in(schema):
    if isinstance(schema, dict):
        if "__module__" in schema:
            yield schema
        schema = list(schema.values())
    for item in schema if isinstance(schema, list) else ():
        yield from nodes_in(item)


def types_in(data):
    """The types that an archive of skops names, trusted by skops or not."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        schema = json.loads(file.read("schema.json"))
    return {f"{node['__module__']}.{node['__class__']}" for node in nodes_in(schema)}


def private(names):
    return {name for name in names if name.startswith("skae.") and "._" in name}


@pytest.mark.parametrize("name", CASES)
def test_pickles_and_archives_name_public_types_only(name, tmp_path):
    est = fitted(name)
    assert private(in_pickle(pickle.dumps(est))) == set()
    skae.save(make_pipeline(est), tmp_path / "kept")
    assert private(types_in((tmp_path / "kept").read_bytes())) == set()
    if name not in NOT_FOR_SKOPS:
        names = types_in(sio.dumps(est))
        assert private(names) == set()
        assert {found for found in names if found.startswith("skae.")} <= {*TRUSTED_TYPES}
        untrusted = {*sio.get_untrusted_types(data=sio.dumps(est))} - {*TRUSTED_TYPES}
        assert not untrusted or name.startswith("user's") or name.endswith(WITH_OTHERS), untrusted


def test_pickles_of_internal_layers_name_public_types_only():
    layers = {"vae": table, "conv": lambda: battery.images(6, 6), "gru": battery.sequences, "tcn": battery.sequences}
    for name, X in layers.items():
        est = battery.CASES[name].make().set_params(bottleneck=battery.UserBottleneck()).fit(X())
        data = pickle.dumps(est)
        assert private(in_pickle(data)) == set()
        np.testing.assert_array_equal(pickle.loads(data).transform(X()), est.transform(X()))


def test_classes_have_the_names_that_users_import():
    for package in (skae, skae.bottlenecks, skae.losses, skae.nn, skae.noise):
        for name in package.__all__:
            thing = getattr(package, name)
            assert not isinstance(thing, type) or thing.__module__ == package.__name__


def test_trusted_types_are_public_and_can_be_imported():
    assert type(TRUSTED_TYPES) is list  # which MLflow writes into YAML
    assert sorted(set(TRUSTED_TYPES)) == TRUSTED_TYPES
    for name in [*TRUSTED_TYPES, *former_names()]:
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), cls), type)
    assert private(TRUSTED_TYPES) == set()


@pytest.mark.parametrize("name", ["vae prior mixture", "conv", "gru", "conditional str", "reconstructor"])
def test_skops_reads_what_it_wrote_with_trusted_types(name, tmp_path):
    case, est = CASES[name], fitted(name)
    data = sio.dumps(make_pipeline(StandardScaler().fit(np.ones((2, 1))), est))
    (tmp_path / "by_skops").write_bytes(data)
    for again in (sio.loads(data, trusted=TRUSTED_TYPES)[-1], skae.load(tmp_path / "by_skops")[-1]):
        np.testing.assert_array_equal(again.transform(case.X()), est.transform(case.X()))


def test_load_trusts_only_trusted_types(tmp_path, monkeypatch):
    pipe = make_pipeline(StandardScaler(), ae(prior=battery.UserDensity())).fit(table())
    monkeypatch.setattr(skae.persistence, "TRUSTED_TYPES", [*TRUSTED_TYPES, "battery.UserDensity"])
    for data in (sio.dumps(pipe), None):
        skae.save(pipe, tmp_path / "kept") if data is None else (tmp_path / "kept").write_bytes(data)
        with pytest.raises(ValueError, match=r"untrusted type battery\.UserDensity.*trusted=\[UserDensity\]"):
            skae.load(tmp_path / "kept")


def test_archive_needs_skae_for_its_autoencoders():
    """They are bytes in it, which skops leaves alone."""
    file = io.BytesIO()
    skae.save(in_archive(), file)
    names = types_in(file.getvalue())
    assert {name for name in names if name.startswith("skae.")} == {"skae.AutoencoderTransformer"}
