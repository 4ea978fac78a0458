"""Files that state the version, the dependencies or the supported versions of Python agree."""

import hashlib
import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import skae

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """A repository with the files of a release of version 9.1.0, and its tag."""
    folder = tmp_path_factory.mktemp("tagged")
    texts = {
        "skae/_version.py": '"""The version."""\n\n__version__ = "9.1.0"\n',
        "CITATION.cff": 'version: 9.1.0\ndate-released: "2030-02-01"\n',
        ".conda/recipe.yaml": '# A comment.\ncontext:\n  version: "9.1.0"\nsource:\n  sha256: "00"\n',
        "docs/changelog.md": "# Changelog\n\n## [Unreleased]\n\n## [9.1.0] - 2030-02-01\n\n### Added\n\n"
        "- A [page](guide/x.md#there).\n\n## [9.0.0] - 2030-01-01\n\n- Old.\n",
        "pyproject.toml": '[project.urls]\nDocumentation = "https://example.org/stable/"\n',
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    git = ["git", "-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "MNT Release 9.1.0"],
        ["tag", "-am", "9.1.0", "v9.1.0"],
    ):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def repository(tagged, release, tmp_path, monkeypatch):
    """A copy of the repository, which a test may change, as the root of the functions in .ci/release.py."""
    shutil.copytree(tagged, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    return tmp_path


def change(path, before, after):
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


def test_all_files_state_the_version(release):
    assert set(release.versions().values()) == {skae.__version__}


def test_version_is_the_newest_of_the_changelog_and_its_date_is_cited(release):
    version, date = release.released()[0]
    assert version == skae.__version__
    assert f'date-released: "{date}"\n' in (ROOT / "CITATION.cff").read_text("utf-8")


def test_complete_release_passes(release, repository):
    assert release.check("v9.1.0") == []


@pytest.mark.parametrize(
    ("name", "before", "after", "problem"),
    [
        ("skae/_version.py", "9.1.0", "9.2.0", "_version.py has version 9.2.0"),
        ("CITATION.cff", "version: 9.1.0", "version: 9.0.0", "CITATION.cff has version 9.0.0"),
        ("CITATION.cff", "2030-02-01", "2030-01-01", "has the date 2030-01-01, the changelog 2030-02-01"),
        (".conda/recipe.yaml", "9.1.0", "9.0.0", "recipe.yaml has version 9.0.0"),
        ("docs/changelog.md", "## [9.1.0] - 2030-02-01\n\n", "", "changelog.md has no section"),
    ],
)
def test_incomplete_release_is_named(release, repository, name, before, after, problem):
    change(repository / name, before, after)
    assert [problem in found for found in release.check("v9.1.0")] == [True]


def test_tag_must_be_annotated(release, repository):
    subprocess.run(["git", "tag", "-f", "v9.1.0", "HEAD"], cwd=repository, check=True, capture_output=True)
    assert release.check("v9.1.0") == ["v9.1.0 is not an annotated tag"]


def test_release_notes_are_the_section_with_absolute_links(release, repository):
    assert release.notes("v9.1.0") == "### Added\n\n- A [page](https://example.org/stable/guide/x.html#there)."


def test_recipe_has_version_and_hash_of_the_sdist(release, repository):
    sdist = repository / "skae-9.1.1.tar.gz"
    sdist.write_bytes(b"archive")
    text = release.recipe(sdist)
    assert text.startswith('context:\n  version: "9.1.1"\n')
    assert f'sha256: "{hashlib.sha256(b"archive").hexdigest()}"' in text


def test_recipe_has_the_dependencies_of_the_package():
    text = (ROOT / ".conda" / "recipe.yaml").read_text("utf-8")
    run = re.search(r"\n  run:\n((?:    - .+\n)+)", text)[1]
    found = {line.replace(" ", "") for line in re.findall(r"- (.+)", run)}
    wanted = {dependency.replace("torch>", "pytorch>") for dependency in PROJECT["dependencies"]}
    assert found == wanted | {"python>=${{python_min}}"}
    assert f'python_min: "{PROJECT["requires-python"].removeprefix(">=")}"' in text
    assert PROJECT["urls"]["Source"] in text


def test_classifiers_name_the_tested_versions_of_python():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    tested = re.findall(r'"(.+?)"', re.search(r"python: \[(.+)\]", workflow)[1])
    named = [
        found[1]
        for item in PROJECT["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", item))
    ]
    assert tested == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_actions_are_pinned_by_commit():
    uses = [
        line
        for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
        for line in re.findall(r"uses: (.+)", path.read_text("utf-8"))
    ]
    assert len(uses) > 10
    assert [line for line in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_addresses_are_those_of_the_project():
    urls = PROJECT["urls"]
    for name in ("CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml", ".github/CODE_OF_CONDUCT.md"):
        for link in re.findall(r"https://(?:github\.com|skae)[^\s)\]]*", (ROOT / name).read_text("utf-8")):
            assert link.startswith((urls["Source"], urls["Documentation"])), f"{name}: {link}"
