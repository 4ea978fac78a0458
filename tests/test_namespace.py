"""The namespace of ``skae``."""

import pkgutil
import subprocess
import sys

import pytest

import skae

PUBLIC = [module.name for module in pkgutil.iter_modules(skae.__path__) if not module.name.startswith("_")]
FRESH = """
import sys, skae
assert "skae.estimators" in sys.modules
for name in ("coding", "datasets", "density", "export", "metrics", "plotting"):
    assert "skae." + name not in sys.modules, name
assert "matplotlib" not in sys.modules
assert "zuko" not in sys.modules
for name in ("datasets", "metrics", "plotting"):
    assert name in dir(skae)
    module = getattr(skae, name)
    assert module is sys.modules["skae." + name]
    assert all(hasattr(module, public) for public in module.__all__)
"""


@pytest.mark.slow
def test_public_modules_are_imported_when_they_are_asked_for():
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_dir_lists_public_modules():
    assert len(PUBLIC) == 16
    for name in PUBLIC:
        assert getattr(skae, name) is sys.modules[f"skae.{name}"]


def test_dir_lists_only_public_names():
    assert dir(skae) == sorted([*skae.__all__, *PUBLIC])


@pytest.mark.parametrize("name", ["Autoencoder", "metric", "_nothing", "__path_to__"])
def test_unknown_attribute_raises(name):
    assert not hasattr(skae, name)
    with pytest.raises(AttributeError, match=f"module 'skae' has no attribute '{name}'"):
        getattr(skae, name)
