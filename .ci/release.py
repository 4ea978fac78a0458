"""Check that a tag and the files of a release agree, and write what the release publishes.

python release.py check TAG       compare the tag with the version, the changelog, the citation and the recipe
python release.py notes TAG       print the changelog's section of the version
python release.py recipe SDIST    print the recipe for conda-forge with the version and the hash of an sdist
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _search(path, pattern):
    return re.search(pattern, (ROOT / path).read_text("utf-8"), re.MULTILINE)


def versions():
    """Return the version that each file states."""
    return {
        "skae/_version.py": _search("skae/_version.py", r'^__version__ = "(.+)"$')[1],
        "CITATION.cff": _search("CITATION.cff", r"^version: (.+)$")[1],
        ".conda/recipe.yaml": _search(".conda/recipe.yaml", r'^  version: "(.+)"$')[1],
    }


def released():
    """Return the versions and dates of the changelog's sections, the newest first."""
    text = (ROOT / "docs" / "changelog.md").read_text("utf-8")
    return re.findall(r"^## \[(\d.*)\] - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)


def check(tag):
    """Return what keeps ``tag`` from being released."""
    version, problems = tag.removeprefix("v"), []
    problems += [f"{path} has version {found}" for path, found in versions().items() if found != version]
    date = dict(released()).get(version)
    if date is None:
        problems.append(f'docs/changelog.md has no section "## [{version}] - YYYY-MM-DD"')
    elif (cited := _search("CITATION.cff", r'^date-released: "(.+)"$')[1]) != date:
        problems.append(f"CITATION.cff has the date {cited}, the changelog {date}")
    kind = subprocess.run(["git", "cat-file", "-t", f"refs/tags/{tag}"], cwd=ROOT, capture_output=True, text=True)
    if kind.stdout.strip() != "tag":
        problems.append(f"{tag} is not an annotated tag")
    return problems


def notes(tag):
    """Return the changelog's section of a version, with links to the site in place of relative ones."""
    text = (ROOT / "docs" / "changelog.md").read_text("utf-8")
    section = re.search(
        rf"^## \[{re.escape(tag.removeprefix('v'))}\][^\n]*\n(.*?)(?=^## \[|\Z)", text, re.DOTALL | re.MULTILINE
    )
    site = _search("pyproject.toml", r'^Documentation = "(.+)"$')[1]
    return re.sub(r"\]\((?!https?:)([^)#]+)\.md(#[^)]*)?\)", rf"]({site}\1.html\2)", section[1]).strip()


def recipe(sdist):
    """Return the recipe with the version and the SHA-256 of an sdist."""
    version = re.fullmatch(r"skae-(.+)\.tar\.gz", sdist.name)[1]
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    text = (ROOT / ".conda" / "recipe.yaml").read_text("utf-8").split("\n", 1)[1]
    text = re.sub(r'^  version: ".+"$', f'  version: "{version}"', text, count=1, flags=re.MULTILINE)
    return re.sub(r'^  sha256: ".+"$', f'  sha256: "{digest}"', text, count=1, flags=re.MULTILINE)


if __name__ == "__main__":
    action, value = sys.argv[1:]
    if action == "check":
        sys.exit("\n".join(check(value)) or None)
    print(notes(value) if action == "notes" else recipe(Path(value)), end="" if action == "recipe" else "\n")
