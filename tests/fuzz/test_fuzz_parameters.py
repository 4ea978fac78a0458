"""Whatever a parameter is set to, `fit` trains, or refuses it by name and leaves the estimator as it was."""

import functools
import inspect
import numbers
import types

import numpy as np
import pandas as pd
import pytest
from cases import HOSTILE, garbage, hostile, tables
from fuzzing import (
    FROM_FIT,
    LABELS,
    NARROW,
    PLANNED,
    SMALL_CONV,
    SMALL_TCN,
    TINY,
    Refused,
    fitted,
    fuzzed,
    note_case,
    outcome,
    plain,
    table,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from parts import BASES, members
from sklearn.base import clone

from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    OutlierDetector,
    Reconstructor,
    VAEGenerator,
    bottlenecks,
    critics,
    losses,
    metrics,
    noise,
)
from skae.datasets import make_sprites
from skae.density import NormalizingFlow
from skae.nn import GRU, MLP, TCN, Conv
from skae.tables import TableAutoencoder, TableEncoder
from skae.textures import StyleTransfer, TextureSynthesizer

# Work that these ask for is done, however long it takes: there is no wrong answer to look for.
LONG = {"max_epochs": 5, "n_residual_blocks": 3, "n_layers": 5, "importance_samples": 50, "n_blocks": 50}
# Up to a billion units are work too; what does not fit into memory is refused: tests/nn/test_mlp.py.
WIDE = {
    "n_components", "hidden_layer_sizes", "channels", "kernel_size", "hidden_size", "n_frequencies", "n_levels",
}  # fmt: skip
N_WIDE = 200
SKIPPED = {"compile": "starts a C++ compiler", "verbose": "prints", "checkpoint": "writes to any path"}


def bounded(name):
    """Whether a value of the parameter ``name`` leaves a test short; wrong types always do."""
    last = name.rpartition("__")[2]

    def is_short(value):
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            if last in LONG:
                return value <= LONG[last] or value > 2**63
            if last in WIDE:
                return value <= N_WIDE or value > 2**63
        return True

    return is_short


def parameters(cls):
    taken = inspect.signature(cls).parameters.values()
    return [p.name for p in taken if p.kind is not p.VAR_KEYWORD and p.name not in SKIPPED]


def assert_trained(estimator, X):
    """Nothing of what was learned is NaN."""
    assert all(bool(value.isfinite().all()) for value in estimator.module_.state_dict().values())
    assert np.isfinite(estimator.loss_curve_).all()
    assert np.isfinite(estimator.validation_loss_curve_).all()
    result = outcome("transform", lambda: estimator.transform(X), estimator=estimator)
    assert isinstance(result, Refused) or np.isfinite(plain(result)).all()


def try_fit(estimator, X, y, names):
    """Fit with a parameter that ``names`` name, one of which a refusal must."""
    result = outcome(
        "fit", lambda: estimator.fit(X, y), estimator=estimator, errors=FROM_FIT, changes=True, names=names
    )
    if not isinstance(result, Refused):
        assert_trained(estimator, X)


# Of a FloatingPointError, which parameters within bounds may end in, of copies of what cannot be copied, and of numbers
# that torch does not multiply with.
OTHER_WORDS = ("loss", "weights", "pickle", "Fraction")

ESTIMATORS = {
    "AutoencoderTransformer": (AutoencoderTransformer, NARROW, table(4)),
    "ConvAutoencoder": (ConvAutoencoder, SMALL_CONV, table(4, 4)),
    "VAEGenerator": (VAEGenerator, NARROW, table(4)),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@fuzzed("constructors", 10, 700, len(ESTIMATORS))
@given(data=st.data())
def test_parameters_of_estimators(name, data):
    cls, base, X = ESTIMATORS[name]
    parameter = data.draw(st.sampled_from(parameters(cls)))
    value = data.draw(garbage(bounded(parameter)))
    # A function or a class may make any object: what it makes is not looked at.
    assume(parameter != "module" or not isinstance(value, types.FunctionType | type))
    note_case({parameter: value})
    if parameter == "module":  # which has parameters of its own
        base = {key: other for key, other in base.items() if "module__" not in key}
    estimator = cls(**{"n_components": 2} | base | {parameter: value})
    # A callable or a class that was given for a part has errors of its own.
    names = {"module": (), "optimizer": (), "prior": (), "channel_axis": ()}
    names = names.get(parameter, (parameter, *OTHER_WORDS))
    try_fit(estimator, X, LABELS if name == "VAEGenerator" else None, names)


PARTS = {"bottleneck": bottlenecks, "loss": losses, "noise": noise, "critic": critics}


@pytest.mark.parametrize("slot", PARTS)
@fuzzed("parts", 5, 375, len(PARTS))
@given(data=st.data())
def test_parameters_of_parts(slot, data):
    parts = members(PARTS[slot], BASES)
    pairs = [(cls, parameter) for cls in parts for parameter in inspect.signature(cls).parameters]
    cls, parameter = data.draw(st.sampled_from(pairs))
    value = data.draw(garbage(bounded(parameter)))
    note_case({f"{cls.__name__}.{parameter}": value})
    needed = {"first": noise.GaussianNoise(), "second": noise.GaussianNoise()} if cls is noise.Compose else {}
    part = cls(**needed | {parameter: value})
    estimator_class = data.draw(st.sampled_from([AutoencoderTransformer, VAEGenerator][slot == "critic" :]))
    X = np.random.default_rng(0).integers(0, 2, (24, 4)) if slot == "loss" else table(4)
    estimator = estimator_class(2, **NARROW | {slot: part})
    try_fit(estimator, X, None, (parameter, "warmup", cls.__name__, *OTHER_WORDS))


NETWORKS = {
    "mlp": (MLP, table(4), NARROW),
    "conv": (Conv, table(1, 4, 4), SMALL_CONV | {"module": "conv"}),
    "gru": (GRU, table(5, 2), TINY | {"module": "gru", "module__hidden_size": 3}),
    "tcn": (TCN, table(5, 2), SMALL_TCN),
}


@pytest.mark.parametrize("name", NETWORKS)
@fuzzed("networks", 6, 300, len(NETWORKS))
@given(data=st.data())
def test_parameters_of_networks(name, data):
    cls, X, base = NETWORKS[name]
    own = [p for p in parameters(cls) if p not in ("input_shape", "n_components", "n_outputs")]
    parameter = data.draw(st.sampled_from(own))
    value = data.draw(garbage(bounded(parameter)))
    note_case({parameter: value})
    estimator = AutoencoderTransformer(2, **base | {f"module__{parameter}": value})
    try_fit(estimator, X, None, (parameter, *OTHER_WORDS))


EXTRA = {
    "iterator_train__shuffle", "iterator_train__drop_last", "iterator_train__batch_size", "iterator_valid__batch_size",
    "iterator_train__collate_fn", "module__nonsense", "nonsense", "callbacks__nonsense", "module__n_components",
    "bottleneck__weight", "loss__delta", "noise__scale", "prior__n_components", "critic__lr",
}  # fmt: skip


@fuzzed("extras", 8, 400)
@given(data=st.data())
def test_parameters_with_double_underscores(data):
    parameter = data.draw(st.sampled_from(sorted(EXTRA)))
    value = data.draw(garbage(bounded(parameter)))
    note_case({parameter: value})
    estimator = AutoencoderTransformer(2, **NARROW | {parameter: value})
    try_fit(estimator, table(4), None, (parameter.rpartition("__")[2], *OTHER_WORDS))


@fuzzed("Reconstructor", 8, 300)
@given(data=st.data())
def test_parameters_of_reconstructor(data):
    parameter = data.draw(st.sampled_from(["estimator", "filling", "keep_observed"]))
    value = data.draw(garbage())
    note_case({parameter: value})
    params = {"estimator": AutoencoderTransformer(2, **NARROW)} | {parameter: value}
    estimator = Reconstructor(**params)
    outcome("fit", lambda: estimator.fit(table(4)), estimator=estimator, errors=FROM_FIT, changes=True)


@fuzzed("OutlierDetector", 8, 300)
@given(data=st.data())
def test_parameters_of_outlier_detector(data):
    parameter = data.draw(st.sampled_from(parameters(OutlierDetector)))
    value = data.draw(garbage())
    note_case({parameter: value})
    params = {"estimator": AutoencoderTransformer(2, **NARROW), "cv": 2} | {parameter: value}
    estimator = OutlierDetector(**params)
    outcome("fit", lambda: estimator.fit(table(4)), estimator=estimator, errors=FROM_FIT, changes=True)


FLOW = NormalizingFlow(1, 1, 4, n_components=1, max_epochs=1)
LARGE = {"n_transforms": 4, "n_layers": 4, "width": 50, "max_epochs": 3}  # more takes longer, and is right


@fuzzed("flows", 8, 200)
@given(data=st.data())
def test_parameters_of_normalizing_flows(data):
    parameter = data.draw(st.sampled_from(parameters(NormalizingFlow)))
    bound = LARGE.get(parameter, np.inf)
    value = data.draw(garbage(lambda value: not isinstance(value, numbers.Real) or value <= bound or value > 2**63))
    note_case({parameter: value})
    flow = clone(FLOW).set_params(**{parameter: value})
    result = outcome(
        "fit", lambda: flow.fit(table(4), LABELS), estimator=flow, errors=FROM_FIT, changes=True, names=(parameter,)
    )
    if not isinstance(result, Refused):
        assert np.isfinite(flow.score_samples(table(4))).all()
        assert flow.sample(3, random_state=0).shape == (3, 4)


TEXTURES = {"n_repairs": 20, "style_scale": 4}  # more takes longer, and is right
EXEMPLARS = np.random.default_rng(0).integers(0, 256, (2, 36, 40, 3)).astype(np.uint8)
SPATIAL = ConvAutoencoder(
    2, module__channels=(4,), module__dense=False, crop_size=12, n_crops=4, batch_size=4, max_epochs=1
)


@pytest.mark.parametrize("cls", [TextureSynthesizer, StyleTransfer])
@fuzzed("textures", 8, 100, 2)
@given(data=st.data())
def test_parameters_of_textures(cls, data):
    parameter = data.draw(st.sampled_from(parameters(cls)))
    bound = TEXTURES.get(parameter, np.inf)
    value = data.draw(garbage(lambda value: not isinstance(value, numbers.Real) or value <= bound or value > 2**63))
    note_case({parameter: value})
    method = {"method": data.draw(st.sampled_from(["swap", "quilting"]))} if cls is StyleTransfer else {}
    estimator = cls(**{"estimator": SPATIAL, "block_size": 12} | method | {parameter: value})
    result = outcome("fit", lambda: estimator.fit(EXEMPLARS), estimator=estimator, errors=FROM_FIT, changes=True)
    if isinstance(result, Refused):
        return
    use = (lambda: estimator.sample(1, 0)) if cls is TextureSynthesizer else (lambda: estimator.transform(EXEMPLARS))
    found = outcome("use", use)
    if not isinstance(found, Refused):
        assert found.shape[1:] == (36, 40, 3)


MIXED = pd.DataFrame({"number": np.arange(24) / 7, "word": [*"abcabcabcaab"] * 2, "count": np.arange(24) % 5})


@fuzzed("tables", 40, 600)
@given(data=st.data())
def test_parameters_of_tables(data):
    parameter = data.draw(st.sampled_from(parameters(TableEncoder)))
    value = data.draw(garbage())
    value = data.draw(st.sampled_from([value, {"count": value}])) if parameter == "kinds" else value
    note_case({parameter: value})
    encoder = TableEncoder(**{parameter: value})
    names = (parameter, "Column", "categories")
    result = outcome("fit", lambda: encoder.fit(MIXED), estimator=encoder, errors=FROM_FIT, changes=True, names=names)
    if not isinstance(result, Refused):
        found = encoder.inverse_transform(encoder.transform(MIXED))
        assert found[["number", "count"]].equals(MIXED[["number", "count"]])


@fuzzed("table autoencoders", 6, 100)
@given(data=st.data())
def test_parameters_of_table_autoencoders(data):
    parameter = data.draw(st.sampled_from(parameters(TableAutoencoder)))
    value = data.draw(garbage())
    note_case({parameter: value})
    estimator = TableAutoencoder(**{"estimator": VAEGenerator(2, **NARROW)} | {parameter: value})
    outcome("fit", lambda: estimator.fit(MIXED), estimator=estimator, errors=FROM_FIT, changes=True)


@fuzzed("given columns", 12, 200)
@given(data=st.data())
def test_columns_that_are_given(data):
    model = synthesizer()
    value, name = data.draw(garbage()), data.draw(st.sampled_from([*MIXED.columns]))
    given = data.draw(st.sampled_from([value, {name: value}]))
    note_case({"given": given})
    result = outcome("sample", lambda: model.sample(2, 0, given=given), estimator=model, names=("given", "Column"))
    if not isinstance(result, Refused):
        assert result.dtypes.equals(MIXED.dtypes)


@functools.cache
def synthesizer():
    return TableAutoencoder(VAEGenerator(2, **NARROW)).fit(MIXED)


# ------------------------------------------------------------------ arguments of methods

# What is drawn is returned, so many rows are asked for in vain only if there are more than an index counts.
ROWS = 10_000
ARGUMENTS = {
    ("ae", "sample"): ("n_samples", "random_state"),
    ("vae", "sample"): ("n_samples", "random_state", "noisy"),
    ("vae_classes", "sample"): ("y",),
    ("vae_targets", "sample"): ("y",),
    ("vae", "sample_posterior"): ("n_draws", "random_state", "noisy", "y"),
    ("vae", "interpolate"): ("n_steps", "method", "y"),
    ("vae", "score_samples"): ("n_importance_samples", "y"),
    ("ae_mask", "reconstruct"): ("keep_observed",),
    ("ae", "score"): ("sample_weight",),
}


@fuzzed("arguments", 40, 2500)
@given(data=st.data())
def test_arguments_of_methods(data):
    name, method = data.draw(st.sampled_from(sorted(ARGUMENTS)))
    argument = data.draw(st.sampled_from(ARGUMENTS[name, method]))
    value = data.draw(garbage(lambda value: not is_integer(value) or value <= ROWS or value > 2**63))
    note_case({f"{name}.{method} {argument}": value})
    X = table(4)[:3]
    args = {"sample": (), "interpolate": (X, X)}.get(method, (X,))
    function = getattr(fitted(name), method)
    result = outcome(
        method,
        lambda: function(*args, **{argument: value}),
        estimator=fitted(name),
        # Of what an array holds scikit-learn speaks, and not always by its name.
        names=() if argument in ("y", "sample_weight") else (argument, "eed"),
    )
    if not isinstance(result, Refused):
        assert np.isfinite(plain(result)).all()


def is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


# ------------------------------------------------------------------ metrics and made data

SIZES = ("patch_size", "n_scales", "n_projections", "crop_size")
PAIRS = {
    "active_units": ("Z", "threshold"),
    "copied_share": ("X", "exemplar", "patch_size", "crop_size", "channel_axis"),
    "dci": ("Z", "factors", "random_state"),
    "disentanglement": ("Z", "factors", "random_state"),
    "explained_variance": ("X", "X_hat", "sample_weight", "multioutput"),
    "frechet_distance": ("X", "X_generated", "features"),
    "kernel_distance": ("X", "X_generated", "features"),
    "memorization": ("X", "X_generated", "X_held_out", "features"),
    "mutual_information_gap": ("Z", "factors", "n_bins", "per_factor"),
    "patch_distance": ("X", "exemplar", *SIZES, "channel_axis", "random_state"),
    "peak_signal_noise_ratio": ("X", "X_hat", "data_range", "per_sample"),
    "precision_recall_density_coverage": ("X", "X_generated", "features", "n_neighbors"),
    "reconstruction_error": ("X", "X_hat", "sample_weight", "multioutput", "per_sample"),
    "seam_ratio": ("X", "channel_axis"),
    "separated_attribute_predictability": ("Z", "factors", "per_factor"),
    "sharpness": ("X", "channel_axis"),
    "structural_similarity": ("X", "X_hat", "data_range", "channel_axis", "win_size", "per_sample"),
    "two_sample_auc": ("X", "exemplar", "patch_size", "channel_axis", "random_state"),
}
SMALL_PATCHES = {"copied_share": {"patch_size": 5}, "two_sample_auc": {"patch_size": 12}}
FAST_METRICS = sorted(set(PAIRS) - {"dci", "disentanglement"})  # these two fit forests


def good(metric):
    factors = np.indices((4, 5)).reshape(2, -1).T
    images = np.random.default_rng(1).random((3, 9, 9))
    values = {"Z": factors + 0.5, "factors": factors, "X": images, "X_hat": images + 0.1}
    values |= {"X_generated": images[::-1] * 0.9, "X_held_out": images * 1.1, "exemplar": images[0]}
    if metric == "two_sample_auc":  # which has no patches below 12 × 12, from halves of images
        values |= {"X": np.random.default_rng(1).random((2, 24, 24)), "exemplar": np.eye(24)}
    return {name: values[name] for name in PAIRS[metric] if name in values}


def leaves(result):
    """The numbers in a result."""
    return [leaf for part in result for leaf in leaves(part)] if isinstance(result, tuple) else [result]


def test_all_metrics_are_fuzzed():
    assert set(PAIRS) == set(metrics.__all__)


@fuzzed("metrics", 40, 2500)
@given(data=st.data())
def test_metrics(data):
    forests = data.draw(st.integers(0, 60)) == 0
    metric = data.draw(st.sampled_from(["dci", "disentanglement"] if forests else FAST_METRICS))
    function, args = getattr(metrics, metric), good(metric)
    argument = data.draw(st.sampled_from(PAIRS[metric]))
    kind = data.draw(st.sampled_from(["table", "object"] if argument in args else ["garbage"]))
    if kind == "table":
        if data.draw(st.booleans()):
            args |= {name: data.draw(tables((2, 2), most=8))[0] for name in args}
        elif argument in ("Z", "factors"):
            args[argument] = data.draw(tables((2,), most=30))[0]
        else:
            args[argument] = data.draw(tables((9, 9), most=6))[0]
    elif kind == "object":
        args[argument] = HOSTILE[data.draw(hostile())]()
    else:
        args[argument] = data.draw(garbage(lambda value: not is_integer(value) or value <= 1000 or value > 2**63))
    note_case({metric: args})
    result = outcome(metric, lambda: function(**SMALL_PATCHES.get(metric, {}) | args), *args.values())
    if isinstance(result, Refused):
        return
    for leaf in leaves(result):
        leaf = np.asarray(leaf, float)
        documented = metric == "memorization" or (metric == "peak_signal_noise_ratio" and not np.isnan(leaf).any())
        documented |= metric == "reconstruction_error" and args.get("per_sample") is True
        assert documented or np.isfinite(leaf).all(), leaf


@fuzzed("make_sprites", 5, 200)
@given(data=st.data())
def test_synthetic_data(data):
    argument = data.draw(st.sampled_from(["n_samples", "image_size", "random_state"]))
    value = data.draw(garbage(lambda value: not is_integer(value) or value <= 200 or value > 2**63))
    note_case({argument: value})
    args = {"n_samples": 2, "image_size": 16} | {argument: value if value is not None else 2}
    result = outcome("make_sprites", lambda: make_sprites(**args), names=(argument, "eed"))
    if not isinstance(result, Refused):
        X, factors = result
        assert X.dtype == np.float32
        assert np.isfinite(X).all()
        assert len(X) == len(factors)


def test_make_fuzz_runs_twenty_thousand_examples():
    import test_fuzz_arrays  # noqa: F401 # plans its own

    assert sum(PLANNED.values()) >= 20_000
