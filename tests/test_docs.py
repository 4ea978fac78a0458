"""Documentation: snippets run, links resolve."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md"), *ROOT.glob("skae/*/README.md")])
PEERS = ("keras", "pyod", "pythae")
GALLERY = ROOT / "docs/auto_examples"  # which the site's build makes of the examples


def by_page(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


def snippets(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@by_page([page for page in PAGES if snippets(page)])
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras
def test_snippets_run_in_order(page, tmp_path, monkeypatch, request):
    if page.stem in PEERS and find_spec(page.stem) is None:
        assert request.config.getoption("--site") is None, f"{page.stem} is not installed: extra `peers`"
        pytest.skip("needs the extra `peers`, which `make docs` installs")
    monkeypatch.chdir(tmp_path)
    names = {}
    for snippet in snippets(page):
        exec(compile(snippet, str(page), "exec"), names)


@by_page(PAGES)
def test_all_snippets_are_run(page):
    languages = re.findall(r"^ *(?:```|~~~)(\S+)", page.read_text(), flags=re.MULTILINE)
    directives = {"{toctree}", "{button-ref}", "{include}", "{literalinclude}", "{eval-rst}"}
    assert set(languages) <= {"python", "sh", "text"} | directives
    assert "code-block" not in page.read_text()


def test_examples_have_no_code_in_text():
    assert [path.name for path in ROOT.glob("examples/*.py") if "code-block" in path.read_text()] == []


def anchors(page):
    headings = [line.lstrip("#").strip().lower() for line in page.read_text().splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def example(path):
    """The script that a page or a picture of the gallery is made from."""
    if path.stem == "index":
        return ROOT / "examples/GALLERY_HEADER.rst"
    return ROOT / "examples" / f"{re.sub(r'^sphx_glr_|_[0-9]+$', '', path.stem)}.py"


def test_pages_have_no_placeholders():
    for page in PAGES:
        text = re.sub(r"^```.*?^```|`[^`\n]+`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"\b[A-Z]+_[A-Z_]+\b", text), f"{page.name} holds a placeholder"


@by_page(PAGES)
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if GALLERY in there.parents:
            assert example(there).exists(), f"{page.name} links to {target}"
            continue
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name} links to {target}"


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_readme_commands_are_run_by_ci():
    readme, ci, make = ((ROOT / name).read_text() for name in ("README.md", ".ci/run", "Makefile"))
    for command in ("make quickstart", "make test"):
        assert command in readme
        assert re.search(f"^{command}$", ci, flags=re.MULTILINE)
        assert f"\n{command.removeprefix('make ')}:" in make


def test_version_is_in_changelog():
    import skae

    assert f"## [{skae.__version__}]" in (ROOT / "docs/changelog.md").read_text()
