"""Made-up files are refused, and unusual networks are saved or refused."""

import copy
import io
import json
import pickle
import threading
import zipfile

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler
from skops import io as sio
from skorch.callbacks import Callback
from torch import nn

import skae
from skae import AutoencoderTransformer, Reconstructor
from skae._utils import files as _files
from skae.nn import EncoderDecoder

X = load_iris().data
small = {"max_epochs": 2, "random_state": 0, "module__hidden_layer_sizes": (5,)}


@pytest.fixture(scope="module")
def ae():
    return AutoencoderTransformer(2, prior=KernelDensity(), **small).fit(X)


def changed(estimator, path, change, *, optimizer=False):
    """A file of ``estimator`` whose document was changed by hand, with the right checksum."""
    skae.save(estimator, path, optimizer=optimizer)
    document, arrays = _files.unpack(path.read_bytes())
    change(document["estimator"], arrays)
    path.write_bytes(_files.pack(document, arrays))
    return path


def net(estimator):
    return estimator["fitted"]["net_"]["state"]


def huge_partial(found, arrays):
    recipe = net(found)["recipe"]
    recipe["network_params"] = {}
    recipe["network"] = {
        "$": "partial",
        "of": {
            "function": {"$": "class", "class": "skae.nn.MLP"},
            "args": [],
            "keywords": {"hidden_layer_sizes": [25_000, 25_000]},
        },
    }


def huge_criterion(found, arrays):
    net(found)["params"] |= {
        "criterion": {"$": "class", "class": "torch.nn.Linear"},
        "criterion__in_features": 25_000,
        "criterion__out_features": 25_000,
    }


def many_times_one_array(found, arrays):
    name = next(iter(arrays))
    found["fitted"]["more"] = [{"$": "array", "name": name}] * 1000


def metric_of_a_function(found, arrays):
    found["fitted"]["prior_"]["params"] |= {"metric": "pyfunc", "metric_params": {"func": None}}


def hidden_method(found, arrays):
    net(found)["module"]["attributes"] = {"bottleneck": {"code": 3}}


def hidden_hooks(found, arrays):
    net(found)["module"]["attributes"] = {"bottleneck": {"_forward_hooks": {}}}


def of_another_process(found, arrays):
    found["fitted"]["_skl_callbacks"] = [1]


def many_layers(found, arrays):
    net(found)["recipe"] |= {
        "network": {"$": "class", "class": "skae.nn.GRU"},
        "network_params": {"n_layers": {"$": "scalar", "dtype": "<i8", "value": 10**9}},
    }


def many_layers_by_position(found, arrays):
    of = {"function": {"$": "class", "class": "torch.nn.LSTM"}, "args": [1, 1, 10**9, True], "keywords": {}}
    net(found)["recipe"]["network"] = {"$": "partial", "of": of}


def many_components_beside_a_class(found, arrays):
    net(found)["recipe"] |= {"n_components": 10**9, "loss": {"$": "class", "class": "sklearn.decomposition.PCA"}}


MADE_UP = (
    *(huge_partial, huge_criterion, many_times_one_array, metric_of_a_function, hidden_method, hidden_hooks),
    *(of_another_process, many_layers, many_layers_by_position, many_components_beside_a_class),
)


@pytest.mark.parametrize("change", MADE_UP, ids=lambda change: change.__name__)
def test_made_up_file_raises(ae, tmp_path, change):
    with pytest.raises(ValueError, match="cannot be loaded"):
        skae.load(changed(ae, tmp_path / "file", change))


def test_function_must_be_trusted(ae, tmp_path):
    def change(found, arrays):
        found["params"]["callbacks"] = [{"$": "function", "function": "builtins.print"}]

    with pytest.raises(ValueError, match=r"untrusted type builtins.print"):
        skae.load(changed(ae, tmp_path / "file", change))


def test_checkpoint_of_a_file_is_ignored(ae, tmp_path):
    victim = str(tmp_path / "victim")

    def change(found, arrays):
        found["params"]["checkpoint"] = victim

    assert skae.load(changed(ae, tmp_path / "file", change)).checkpoint is None
    pipe = Pipeline([("ae", AutoencoderTransformer(2, checkpoint=victim, **small))])
    (tmp_path / "archive").write_bytes(sio.dumps(pipe))
    assert skae.load(tmp_path / "archive")["ae"].checkpoint is None


def test_archive_creates_no_layers_of_torch(tmp_path):
    """They make themselves from what the archive says, such as the number of their layers."""
    data = sio.dumps(Pipeline([("ae", AutoencoderTransformer(2, noise=StandardScaler()))]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"].decode()
    assert "StandardScaler" in schema
    schema = schema.replace('"StandardScaler"', '"LSTM"').replace("sklearn.preprocessing._data", "torch.nn.modules.rnn")
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, schema if name == "schema.json" else content)
    with pytest.raises(ValueError, match=r"torch\.nn\.modules\.rnn\.LSTM"):
        skae.load(tmp_path / "archive")


@pytest.mark.parametrize("wrong", [(), (7,)])
def test_optimizer_state_must_have_the_shape_of_the_weights(ae, wrong):
    again = pickle.loads(pickle.dumps(copy.copy(ae).set_params(warm_start=True)))
    again.net_.saved_optimizer_state_["state"][0]["exp_avg"] = np.zeros(wrong, np.float32)
    again.net_.saved_optimizer_state_["param_groups"][0]["fused"] = False  # a fit would put it back
    before = dict(vars(again))
    with pytest.raises(ValueError, match="exp_avg must have the shape"):
        again.partial_fit(X)
    assert vars(again) == before


def test_newer_format_asks_for_an_update(ae, tmp_path):
    path = tmp_path / "file"
    skae.save(ae, path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])

    def write(metadata):
        text = json.dumps(header | {"__metadata__": metadata}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])

    write({"skae_format": "7", "something": "else"})
    with pytest.raises(ValueError, match=r"it has format 7, .* update skae"):
        skae.load(path)
    for version in ("0", "", "1e3", "-1"):
        write(header["__metadata__"] | {"skae_format": version})
        with pytest.raises(ValueError, match="is not supported"):
            skae.load(path)


def test_newer_format_of_a_pickle_raises(ae, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("skae._training.state.FORMAT", _files.FORMAT + 1)
        data = pickle.dumps(ae.net_)
    with pytest.raises(ValueError, match="needs a newer version of skae"):
        pickle.loads(data)


# ---------------------------------------------------------------- custom networks


class Buffered(nn.Module):
    """Has a buffer that no state dict holds."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        self.encode_, self.decode_ = nn.Linear(*input_shape, n_components), nn.Linear(n_components, *input_shape)
        self.register_buffer("k", torch.full((n_components,), 3.0), persistent=False)

    def encode(self, x):
        return self.encode_(x) * self.k

    def decode(self, z):
        return self.decode_(z / self.k)


def test_non_persistent_buffers_are_restored(tmp_path):
    ae = AutoencoderTransformer(2, module=Buffered, max_epochs=1, random_state=0).fit(X)
    skae.save(ae, tmp_path / "file")
    again = skae.load(tmp_path / "file", trusted=[Buffered])
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))


def test_save_and_load_leave_the_global_stream(tmp_path):
    ae = AutoencoderTransformer(2, module=Buffered, max_epochs=1, random_state=0).fit(X)
    before = torch.get_rng_state()
    skae.save(ae, tmp_path / "file")
    skae.load(tmp_path / "file", trusted=[Buffered])
    assert torch.equal(torch.get_rng_state(), before)


def halves(encoder, decoder=None, **params):
    decoder = nn.Linear(2, 4) if decoder is None else decoder
    params = {"max_epochs": 1, "random_state": 0, "early_stopping": False} | params
    return AutoencoderTransformer(2, module=EncoderDecoder, module__encoder=encoder, module__decoder=decoder, **params)


def test_shared_layers(tmp_path):
    act = nn.Tanh()
    ae = halves(nn.Sequential(nn.Linear(4, 6), act, nn.Linear(6, 2), act)).fit(X)
    skae.save(ae, tmp_path / "file")
    np.testing.assert_array_equal(skae.load(tmp_path / "file").transform(X), ae.transform(X))
    twice = nn.Linear(4, 4)
    with pytest.raises(TypeError, match="shares weights between two places"):
        skae.save(halves(nn.Sequential(twice, twice, nn.Linear(4, 2))).fit(X), tmp_path / "file")


def test_layers_in_double_precision_raise(tmp_path):
    with pytest.raises(TypeError, match="cannot be created from its attributes"):
        skae.save(halves(nn.Linear(4, 2).double()).fit(X), tmp_path / "file")


def test_frozen_layers_stay_frozen(tmp_path):
    encoder = nn.Linear(4, 2)
    encoder.requires_grad_(False)
    ae = halves(encoder).fit(X)
    skae.save(ae, tmp_path / "file", optimizer=True)
    again = skae.load(tmp_path / "file")
    for one in (ae, again):
        one.partial_fit(X)
        assert [p.requires_grad for p in one.module_.parameters()] == [False, False, True, True]
    np.testing.assert_array_equal(again.reconstruct(X), ae.reconstruct(X))


def test_classes_are_trusted_by_former_name(tmp_path, monkeypatch):
    ae = AutoencoderTransformer(2, module=Buffered, max_epochs=1, random_state=0)
    with monkeypatch.context() as patch:
        patch.setattr(Buffered, "__module__", "__main__")
        skae.save(ae.fit(X), tmp_path / "script")
    again = skae.load(tmp_path / "script", trusted=[Buffered])
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))
    with monkeypatch.context() as patch:
        patch.setattr(Buffered, "__module__", "moved.away")
        skae.save(ae, tmp_path / "moved")
    with pytest.raises(ValueError, match=r"untrusted type moved.away.Buffered"):
        skae.load(tmp_path / "moved", trusted=[Buffered])
    again = skae.load(tmp_path / "moved", trusted={"moved.away.Buffered": Buffered})
    np.testing.assert_array_equal(again.transform(X), ae.transform(X))


class Widths(list):
    pass


def test_error_names_the_parameter_that_cannot_be_saved(tmp_path):
    ae = AutoencoderTransformer(2, max_epochs=1, module__hidden_layer_sizes=Widths([8])).fit(X)
    with pytest.raises(TypeError, match=r"AutoencoderTransformer\.module__hidden_layer_sizes"):
        skae.save(ae, tmp_path / "file")


# ---------------------------------------------------------------- around estimators


def test_error_for_a_callback_that_logs_names_the_remedy():
    logger = Callback()
    logger.seen_ = {"batches"}
    with pytest.raises(TypeError, match=r"callbacks\.0\.seen_ is \{'batches'\}.* set callbacks=None first"):
        skae.save(AutoencoderTransformer(2, callbacks=[logger]), io.BytesIO())


@pytest.mark.parametrize("what", ["pipeline", "imputer"])
def test_reconstructor_of_other_estimators(tmp_path, what):
    ae = AutoencoderTransformer(2, missing="mask" if what == "imputer" else "error", **small)
    if what == "pipeline":
        est = Reconstructor(make_pipeline(StandardScaler(), ae))
    else:
        est = Reconstructor(ae, filling=make_pipeline(SimpleImputer(), PowerTransformer()))
    est.fit(X)
    skae.save(est, tmp_path / "file")
    np.testing.assert_array_equal(skae.load(tmp_path / "file").transform(X), est.transform(X))
    known = Reconstructor(AutoencoderTransformer(2, **small), filling=SimpleImputer()).fit(X)
    skae.save(known, tmp_path / "known")
    assert not (tmp_path / "known").read_bytes().startswith(b"PK"), "no skops is needed for it"


def test_device_number(ae):
    again = pickle.loads(pickle.dumps(ae))
    again.set_params(device=0)
    if torch.cuda.is_available():
        assert pickle.loads(pickle.dumps(again)).device == 0
        return
    with pytest.warns(UserWarning, match="device=0 is not available"):
        elsewhere = pickle.loads(pickle.dumps(again))
    assert elsewhere.device == "auto"


def test_load_takes_device_auto(ae, tmp_path):
    skae.save(ae, tmp_path / "file")
    assert skae.load(tmp_path / "file", device="auto").device == "auto"
    skae.save(make_pipeline(StandardScaler(), ae), tmp_path / "archive")
    assert skae.load(tmp_path / "archive", device="auto")[-1].device == "auto"
    with pytest.raises(ValueError, match=r"device must be .*, got 'tpu'"):
        skae.load(tmp_path / "file", device="tpu")


def test_threads_share_the_restored_optimizer(ae):
    ae = copy.copy(ae).set_params(warm_start=True)
    wanted = ae.net_.optimizer_.state_dict()["state"]
    for _ in range(5):
        again, found = pickle.loads(pickle.dumps(ae)), []

        def ask(again=again, found=found):
            found.append((again.net_.optimizer_, pickle.loads(pickle.dumps(again)).net_.optimizer_state()))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert len({id(optimizer) for optimizer, _ in found}) == 1
        for _, state in found:
            for i, values in wanted.items():
                np.testing.assert_array_equal(state["state"][i]["exp_avg"], values["exp_avg"].numpy())
