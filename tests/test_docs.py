"""Documentation: snippets run, links resolve."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from snippets import run, shows, snippets, wrong_shapes

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md"), *ROOT.glob("skae/*/README.md")])
PEERS = ("keras", "pyod", "pythae")
CLIENTS = ("mlflow", "optuna", "ray", "tensorboard", "wandb")  # whose snippets tests/clients runs
GALLERY = ROOT / "docs/auto_examples"  # built from the examples
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
SITE = URLS["Documentation"]


def name_of(page):
    return str(page.relative_to(ROOT))


def imports(code, package):
    return re.search(rf"^(import |from |from torch\.utils\.){package}\b", code, re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page)], ids=name_of)
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras
def test_snippets_run_and_print_what_the_page_shows(page, tmp_path, monkeypatch, request):
    if page.stem in PEERS and find_spec(page.stem) is None:
        assert request.config.getoption("--site") is None, f"{page.stem} is not installed: group `peers`"
        pytest.skip("needs the group `peers`, which `make docs` installs")
    monkeypatch.chdir(tmp_path)
    missing = [name for name in CLIENTS if find_spec(name) is None]
    wrong = list(run(page, skip=lambda code: any(imports(code, name) for name in missing)))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("0.43 of PCA's error", "0.4519 of PCA's error", True),
        ("0.43 of PCA's error", "0.62 of PCA's error", False),
        ("0.43 of PCA's error", "0.43 of its error", False),
        ("codes (1797, 8)", "codes (1790, 8)", False),
        ("[0.97 0.02]", "[0.98\n 0.03]", True),
        ("[0.97 0.02]", "[0.98 0.03 0.01]", False),
        ("first ...\nlast 5", "first x y\nz\nlast 5", True),
        ("first ...\nlast 5", "first x y\nz\nend 5", False),
        ("...", "anything", True),
        ("", "anything", False),
        ("1.3e-8", "1.9e-08", False),
        ("[0.97 0.02]", "[ 0.97  0.02]", True),
        ("(2, 3)", "(2,3)", True),
        ("a ... b ... c", "a 1 b 2 c", True),
        ("a ... b ... c", "a 1 2 c", False),
        ("a b ... b c", "a b c", False),
    ],
)
def test_output_is_compared_by_words_shapes_and_numbers(shown, printed, expected):
    assert shows(shown, printed) is expected


def test_shapes_in_comments_are_compared():
    code = "Z = [[1, 2]]  # codes, (1, 2)\nY = [1]  # labels, (2,)\n"
    names = {"Z": [[1, 2]], "Y": [1]}
    assert list(wrong_shapes(code, names)) == ["the comment on Y says (2,), its shape is (1,)"]


def test_all_snippets_are_run():
    known = {
        "python",
        "output",
        "sh",
        "text",
        "{toctree}",
        "{button-ref}",
        "{include}",
        "{literalinclude}",
        "{eval-rst}",
    }
    wrong = [(name_of(page), "indented") for page in PAGES if "\n ```python" in re.sub(" +", " ", page.read_text())]
    for page in [*PAGES, *ROOT.glob("examples/*.py")]:
        languages = set(re.findall(r"^ *(?:```|~~~)(\S+)", page.read_text(), flags=re.MULTILINE))
        found = languages - known | set(re.findall("code-block", page.read_text()))
        wrong += [(name_of(page), language) for language in sorted(found)]
    assert wrong == []


def anchors(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = [line.lstrip("#").strip().lower() for line in text.splitlines() if line.startswith("#")]
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


def leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if GALLERY in there.parents:
        return example(there).exists()
    return there.exists() and (not anchor or anchor in anchors(there))


def test_links_resolve():
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    inside = [(page, link) for page, link in links if not link.startswith(("http://", "https://"))]
    assert [(name_of(page), link) for page, link in inside if not leads_somewhere(page, link)] == []


def test_pages_are_short():
    limits = {ROOT / "README.md": 120} | dict.fromkeys(ROOT.glob("docs/guide/*.md"), 150)
    lengths = {page: len(page.read_text("utf-8").splitlines()) for page in limits}
    assert {name_of(page): length for page, length in lengths.items() if length > limits[page]} == {}


def test_glossary_has_25_terms():
    terms = re.findall(r"^## (.+)$", (ROOT / "docs/glossary.md").read_text(), flags=re.MULTILINE)
    assert len(terms) == 25
    assert terms == sorted(terms, key=str.lower)


def is_on_site(url):
    """Return whether the address of a page or file of the site, with its anchor, has a source in the repository."""
    path, _, anchor = url.removeprefix(SITE).partition("#")
    if path.startswith("_static/"):
        return (ROOT / "docs" / path).is_file()
    page = ROOT / "docs" / (path or "index.html").replace(".html", ".md")
    return leads_somewhere(ROOT / "docs/index.md", f"{page.relative_to(ROOT / 'docs')}{'#' * bool(anchor)}{anchor}")


def test_readme_links_are_absolute():
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text())
    assert [link for link in links if not link.startswith("https://")] == []
    assert sum(link.startswith(SITE) for link in links) > 30


def test_addresses_of_the_site_resolve():
    files = [ROOT / "pyproject.toml", *ROOT.glob("*.md"), *ROOT.glob("*.cff"), *ROOT.glob(".github/**/*.*")]
    found = [
        (name_of(file), url)
        for file in files
        if file.is_file()
        for url in re.findall(rf"{re.escape(SITE)}[^\s()\"'<>]*", file.read_text("utf-8"))
    ]
    assert len(found) > 30
    assert [(file, url) for file, url in found if not is_on_site(url)] == []


def test_readme_and_landing_page_agree():
    pages = ROOT / "README.md", ROOT / "docs/index.md"
    codes = [snippets(page)[0] for page in pages]
    assert (codes[0].code, codes[0].output) == (codes[1].code, codes[1].output)
    tables = []
    for page in pages:
        section = page.read_text().partition("## Figures\n")[2].partition("\n## ")[0]
        links = re.sub(rf"{re.escape(SITE)}|\.html|\.md", "", section.lower())
        tables.append([line for line in links.splitlines() if line.startswith("|")])
    assert tables[0] == tables[1]
    assert len(tables[0]) > 8


def test_readme_commands_are_run_by_ci():
    readme, ci, make = ((ROOT / name).read_text() for name in ("README.md", ".ci/run", "Makefile"))
    for command in ("quickstart", "test"):
        assert f"make {command}" in readme
        assert f"\n{command}:" in make
    assert re.search("^make quickstart$", ci, flags=re.MULTILINE)
    assert re.search("^make test slow$", ci, flags=re.MULTILINE)
    assert "$(MAKE) test slow" in make


def test_version_is_in_changelog():
    import skae

    assert f"## [{skae.__version__}]" in (ROOT / "docs/changelog.md").read_text()
