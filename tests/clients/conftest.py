"""Each file is named after a package that takes scikit-learn's estimators, and uses ours in it as its users would.

`make clients` installs the packages and fails where one is not there. Elsewhere the tests of what is not installed are
skipped.
"""

import importlib
import re
import warnings
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

# What packages, or those below them, say of their own future is none of ours.
THEIRS = "DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "ResourceWarning"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for category in THEIRS:
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}"))


@pytest.fixture(autouse=True)
def client(request):
    """The package that the file is named after."""
    name = request.path.stem.removeprefix("test_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of while it is imported is its own business
        if request.config.getoption("--clients"):
            return importlib.import_module(name)
        return pytest.importorskip(name, reason=f"{name} is not installed: `make clients` installs it")


@pytest.fixture
def recipe(client, tmp_path, monkeypatch):
    """Names that the snippets of the guide which use the package define, with the first snippet of their page."""
    monkeypatch.chdir(tmp_path)
    importing = re.compile(rf"^(import |from torch\.utils\.){client.__name__}\b", re.MULTILINE)
    for page in sorted((Path(__file__).parents[2] / "docs/guide").glob("*.md")):
        first, *others = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL) or [""]
        if any(importing.search(other) for other in others):
            break
    else:
        pytest.fail(f"no snippet of the guide uses {client.__name__}")
    names = {}
    # `Monitor` is a callback that those of the packages are used with.
    for snippet in (first, *(other for other in others if importing.search(other) or "class Monitor" in other)):
        exec(compile(snippet, page.name, "exec"), names)
    return names


@pytest.fixture(scope="session")
def cancer():
    """569 samples with 30 named features, as a DataFrame, and two classes."""
    return load_breast_cancer(return_X_y=True, as_frame=True)
