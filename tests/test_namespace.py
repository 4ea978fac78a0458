"""The namespace of ``skae``."""

import pkgutil
import subprocess
import sys

import pytest

import skae

PUBLIC = [module.name for module in pkgutil.iter_modules(skae.__path__) if not module.name.startswith("_")]
FRESH = """
import sys, skae
assert "skae." + {name} not in sys.modules
assert {name} in dir(skae)
module = getattr(skae, {name})
assert module is sys.modules["skae." + {name}]
assert all(hasattr(module, public) for public in module.__all__)
"""
LEAN = "import sys, skae; print([name for name in sys.modules if name.startswith(('skae', 'matplotlib'))])"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", ["datasets", "metrics", "plotting"])
def test_public_modules_are_loaded_on_access(name):
    run(FRESH.format(name=repr(name)))


def test_dir_lists_public_modules():
    assert len(PUBLIC) == 10
    for name in PUBLIC:
        assert getattr(skae, name) is sys.modules[f"skae.{name}"]


def test_import_loads_no_optional_modules():
    found = run(LEAN)
    assert "skae.estimators" in found
    for name in ("skae.datasets", "skae.export", "skae.metrics", "skae.plotting", "matplotlib"):
        assert f"'{name}'" not in found


def test_dir_lists_only_public_names():
    assert dir(skae) == sorted([*skae.__all__, *PUBLIC])


@pytest.mark.parametrize("name", ["Autoencoder", "metric", "_nothing", "__path_to__"])
def test_unknown_attribute_raises(name):
    assert not hasattr(skae, name)
    with pytest.raises(AttributeError, match=f"module 'skae' has no attribute '{name}'"):
        getattr(skae, name)
