"""Public docstrings follow numpydoc and have examples."""

import inspect

from numpydoc.validate import validate

import skae
from skae import (
    bottlenecks,
    coding,
    critics,
    datasets,
    density,
    export,
    losses,
    metrics,
    model_selection,
    nn,
    noise,
    persistence,
    plotting,
    tables,
    textures,
)

MODULES = [
    skae,
    nn,
    losses,
    noise,
    bottlenecks,
    coding,
    critics,
    datasets,
    density,
    export,
    metrics,
    model_selection,
    persistence,
    plotting,
    tables,
    textures,
]
PUBLIC = {f"{module.__name__}.{name}": getattr(module, name) for module in MODULES for name in module.__all__}
del PUBLIC["skae.persistence.TRUSTED_TYPES"]  # a list, which the module describes

NOT_ASKED = {
    "ES01": "a summary that says it all needs no second paragraph",
    "RT02": "results are named, as scikit-learn names them",
    "SA01": "a see-also is written where there is something to see",
    "EX01": "examples are asked of classes, by the test below",
}
NOT_ASKED_OF_PARTS = {"GL03": "formulas stand between blank lines"}
NOT_ASKED_OF_THEIR_METHODS = {
    "GL08": "forward, code, link and the like are documented once, on their base class",
    "RT01": "results are described in the summary of a method, with their shape",
    "PR01": "and so are its arguments",
}


def documented():
    """The public names, and of classes all that is ours, inherited or a property too."""
    for name, obj in PUBLIC.items():
        yield name
        for member in dir(obj) if isinstance(obj, type) else ():
            found = inspect.getattr_static(obj, member)
            function = found.fget if isinstance(found, property) else getattr(obj, member)
            ours = (getattr(function, "__module__", None) or "").startswith("skae")
            if ours and not member.startswith("_") and (callable(function) or isinstance(found, property)):
                yield f"{name}.{member}"


def errors_of(name):
    ignored = set(NOT_ASKED)
    if name.startswith(("skae.nn.", "skae.losses.", "skae.noise.", "skae.bottlenecks.", "skae.critics.")):
        ignored |= set(NOT_ASKED_OF_PARTS) | (set() if name in PUBLIC else set(NOT_ASKED_OF_THEIR_METHODS))
    return [(name, code, message) for code, message in validate(name)["errors"] if code not in ignored]


def test_public_names_follow_numpydoc():
    names = sorted(set(documented()))
    assert len(names) > 200
    assert [error for name in names for error in errors_of(name)] == []


def test_public_classes_have_examples():
    final = {name: obj for name, obj in PUBLIC.items() if not getattr(obj, "__subclasses__", list)()}
    del final["skae.bottlenecks.Latent"]  # a pair of tensors: Identity's example shows one
    assert [name for name, obj in final.items() if ">>>" not in obj.__doc__] == []
