"""Private names of other libraries stand in the compatibility modules, and nowhere else."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import skae

ROOT = Path(skae.__file__).parent
# Every private name of another library, by the file that may use it.
NAMES = {
    "_utils/torch_compat.py": {"_get_default_store", "_modules"},
    "_utils/sklearn_compat.py": {
        "_doc_link_module",
        "_doc_link_template",
        "_get_metadata_request",
        "_get_param_names",
        "_init_callback_context",
        "_metadata_request",
        "_parent_callback_ctx",
        "_skl_callbacks",
        "_sklearn_output_config",
    },
    "_training/skorch_compat.py": {"_default_callbacks"},
    "_training/fused_adam.py": {
        "_fused_adam_",
        "_fused_adamw_",
        "_global_optimizer_post_hooks",
        "_global_optimizer_pre_hooks",
        "_optimizer_step_post_hooks",
        "_optimizer_step_pre_hooks",
        "_wrapped_by_lr_sched",
    },
    # Those of NumPy and of Python itself.
    "_data/sources.py": {"_mmap"},
    "estimators/_warnings.py": {"_getframe"},
}
NAMED_TUPLE = {"_replace", "_asdict", "_fields"}  # which are documented
# Undocumented, although their names do not begin with an underscore.
MODULES = {"sklearn.callback": "_utils/sklearn_compat.py", "joblib.parallel": "_utils/joblib_compat.py"}
ATTRIBUTES = dict.fromkeys(("gru", "all_weights", "default_generator", "default_generators"), "_utils/torch_compat.py")
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name.isidentifier() and len(name) > 1


def assigned(tree):
    """The names that a file defines, those of attributes included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def used(tree):
    """The attributes, the names in strings and the imports from other packages of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module != "__future__":
            yield from [*node.module.split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))


def test_private_names_are_only_in_compatibility_modules():
    foreign = set().union(*NAMES.values())
    ours = {name for tree in TREES.values() for name in assigned(tree)} - foreign
    for path, tree in TREES.items():
        found = {name for name in used(tree) if is_private(name)} - ours - NAMED_TUPLE
        assert found <= NAMES.get(path, set()), path


@pytest.mark.parametrize("path", NAMES)
def test_listed_private_names_are_used(path):
    names = {node.value for node in ast.walk(TREES[path]) if isinstance(node, ast.Constant)}
    assert NAMES[path] <= {*used(TREES[path]), *assigned(TREES[path]), *names}
    if path.endswith(("_compat.py", "fused_adam.py")):
        text = ast.get_docstring(TREES[path])
        assert [name for name in NAMES[path] if name.rpartition("_")[2] not in text] == []


def is_ours(cls):
    return cls.__module__.partition(".")[0] == "skae"


def test_private_methods_are_not_overridden_elsewhere():
    ours, overridden = ("_abc", "_sklearn_", "_doc_link_"), set()  # the last are set by a compatibility module
    for info in pkgutil.walk_packages(skae.__path__, "skae."):
        for cls in vars(importlib.import_module(info.name)).values():
            if inspect.isclass(cls) and is_ours(cls):
                others = [base for base in cls.__mro__ if not is_ours(base)]
                mine = {name for name in vars(cls) if is_private(name) and not name.startswith(ours)}
                overridden |= {(cls.__module__, name) for name in mine if any(name in vars(base) for base in others)}
    assert overridden == {("skae._training.skorch_compat", "_default_callbacks")}


def test_undocumented_names_are_only_in_compatibility_modules():
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in MODULES and not node.level:
                assert path == MODULES[node.module]
            elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
                assert path == ATTRIBUTES[node.attr]


def test_private_names_of_fused_update_are_looked_up_on_use():
    tree = TREES["_training/fused_adam.py"]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    tree = ast.Module([node for node in tree.body if node not in functions and not isinstance(node, ast.ClassDef)], [])
    assert not {name for name in used(tree) if is_private(name)}
