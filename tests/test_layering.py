"""A file imports only lower layers, and what is optional is imported where it is used."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "skae"
LAYERS = {
    "_component": 0,
    "_params": 0,
    "_pca": 0,
    "_random": 0,
    "_threads": 0,
    "_tensors": 0,
    "_inputs": 0,
    "_reasons": 0,
    "_shapes": 0,
    "_sequences": 0,
    "_slices": 0,
    "_scaling": 0,
    "_validation": 0,
    "_prior": 0,
    "_images": 0,
    "_memory": 0,
    "_codec": 0,
    "_version": 0,
    "_files": 0,
    "_source": 0,
    "_sparse": 0,
    "_mixture": 0,
    "_em": 0,
    "_conditions": 0,
    "nn": 1,
    "bottlenecks": 1,
    "noise": 1,
    "losses": 1,
    "_probe": 1,
    "_autoencoder": 2,
    "_variational": 2,
    "_module_state": 3,
    "_net_state": 3,
    "_rows": 3,
    "_row_blocks": 3,
    "_update": 3,
    "_graph": 3,
    "_step": 3,
    "_net": 3,
    "_criterion": 3,
    "_checkpoint": 3,
    "_callbacks": 3,
    "_reports": 3,
    "estimators": 4,
    "datasets": 5,
    "export": 5,
    "metrics": 5,
    "persistence": 5,
    "plotting": 5,
    "": 9,  # skae/__init__.py
}
CORE = {"joblib", "numpy", "safetensors", "scipy", "sklearn", "skorch", "threadpoolctl", "torch"}
SKORCH = {"_net", "_callbacks", "_reports"}
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path):
    """The name in LAYERS that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0].replace("__init__", "")


def imported(path):
    """(part or top-level package, is it ours, is it at module level) of every import in a file."""
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


def test_every_file_has_its_layer():
    assert {part_of(path) for path in FILES} == set(LAYERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    here = part_of(path)
    for name, ours, top in imported(path):
        if ours:
            assert name == here or LAYERS[name] < LAYERS[here] or LAYERS[name] == LAYERS[here] != 1, (
                f"{here} (layer {LAYERS[here]}) imports {name} (layer {LAYERS[name]})"
            )
        elif top:
            assert name in CORE or name in __import__("sys").stdlib_module_names, f"{name} at module level"
        if name == "skorch":
            assert here in SKORCH, "only the engine knows skorch"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path):
    """Lines of code; docstrings and comments do not count."""
    text = path.read_text()
    documented = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            documented |= {*range(node.body[0].lineno, node.body[0].end_lineno + 1)}
    lines = enumerate(text.splitlines(), 1)
    code = [line for i, line in lines if i not in documented and line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 300
