"""Folders import only lower folders, and optional packages where they are used."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1] / "skae"
# Each folder imports from itself and from those above it in this list; parts (one line) do not import each other.
LAYERS = [
    ["_version"],
    ["_utils"],
    ["_data", "_patches"],
    ["_density"],
    ["nn", "bottlenecks", "losses", "noise", "critics"],
    ["_module"],
    ["_training"],
    ["estimators"],
    ["textures", "tables"],
    ["coding", "datasets", "density", "export", "metrics", "model_selection", "persistence", "plotting"],
    [""],  # skae/__init__.py
]
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
# Satellites that use others of their layer.
ALSO = {"coding": {"persistence"}, "plotting": {"metrics"}, "persistence": set(), "export": set()}
CORE = {"joblib", "numpy", "safetensors", "scipy", "sklearn", "skorch", "threadpoolctl", "torch"}
FILES = sorted(ROOT.rglob("*.py"))


def folder_of(path):
    """The name in LAYERS that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0].replace("__init__", "")


def imports_of(path):
    """(folder or top-level package, is it ours, is it at module level) of every import in a file."""
    package = path.relative_to(ROOT).parts[:-1]
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        top = node in tree.body or any(isinstance(block, ast.Try) and node in block.body for block in tree.body)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], False, top
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0], False, top
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            for alias in node.names:
                yield [*base, *filter(None, (node.module or "").split(".")), alias.name][0], True, top


def test_folders_have_layers():
    assert {folder_of(path) for path in FILES} == set(LAYER_OF)


def test_imports_go_down():
    upward = []
    for path in FILES:
        here = folder_of(path)
        for name, ours, _ in imports_of(path):
            allowed = name == here or LAYER_OF.get(name, 0) < LAYER_OF[here] or name in ALSO.get(here, ())
            if ours and not allowed:
                upward.append(f"{path.relative_to(ROOT)} imports {name}")
    assert upward == []


def test_optional_packages_are_imported_lazily():
    known = CORE | set(sys.stdlib_module_names)
    early = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in FILES
        for name, ours, top in imports_of(path)
        if top and not ours and name not in known
    ]
    assert early == []


def test_skorch_is_imported_by_training_only():
    others = {
        str(path.relative_to(ROOT))
        for path in FILES
        for name, ours, _ in imports_of(path)
        if name == "skorch" and not ours and folder_of(path) != "_training"
    }
    assert others == set()


def test_number_of_private_folders():
    private = [path.name for path in ROOT.iterdir() if path.name.startswith("_") and not path.name.startswith("__")]
    assert len([name for name in private if (ROOT / name).is_dir()]) <= 6
    assert [name for name in private if name.endswith(".py")] == ["_version.py"]
