"""Public names are documented to numpydoc's rules, with an example that pytest runs."""

import inspect

import pytest
from numpydoc.validate import validate

import skae
from skae import bottlenecks, datasets, export, losses, metrics, nn, noise, plotting

MODULES = [skae, nn, losses, noise, bottlenecks, datasets, export, metrics, plotting]
PUBLIC = {f"{module.__name__}.{name}": getattr(module, name) for module in MODULES for name in module.__all__}

NOT_ASKED = {
    "ES01": "a summary that says it all needs no second paragraph",
    "RT02": "results are named, as scikit-learn names them",
    "SA01": "a see-also is written where there is something to see",
    "EX01": "examples are asked of classes, by the test below",
    "GL08": "forward, code, link and the like are documented once, on their base class",
}
NOT_ASKED_OF_PARTS = {
    "RT01": "forward's result is told in its one sentence, with its shape",
    "PR01": "and so are its arguments",
    "GL03": "formulas stand between blank lines",
}


def documented():
    for name, obj in PUBLIC.items():
        yield name
        for method, function in inspect.getmembers(obj, callable):
            if method in vars(obj) or obj in (
                skae.AutoencoderTransformer,
                skae.VAEGenerator,
            ):  # who inherit all there is
                ours = getattr(function, "__module__", None) or ""
                if not method.startswith("_") and ours.startswith("skae"):
                    yield f"{name}.{method}"


@pytest.mark.parametrize("name", sorted(set(documented())))
def test_numpydoc(name):
    is_part = name.startswith(("skae.nn.", "skae.losses.", "skae.noise.", "skae.bottlenecks."))
    ignored = {*NOT_ASKED, *NOT_ASKED_OF_PARTS} if is_part else set(NOT_ASKED)
    errors = [(code, message) for code, message in validate(name)["errors"] if code not in ignored]
    assert errors == []


@pytest.mark.parametrize("name", [name for name, obj in PUBLIC.items() if not getattr(obj, "__subclasses__", list)()])
def test_every_class_that_is_final_has_an_example(name):
    if name != "skae.bottlenecks.Latent":  # a pair of tensors: Identity's example shows one
        assert ">>>" in PUBLIC[name].__doc__
