"""The site's files: links resolve, no external resources, the gallery has images."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import numpy as np
import pytest
from PIL import Image

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, OutlierDetector, Reconstructor, VAEGenerator
from skae.estimators._html import SITE

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
ASSETS = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("object", "data")}


class Page(HTMLParser):
    """What a page refers to, and which anchors it has."""

    def __init__(self, path):
        super().__init__()
        self.links, self.assets, self.anchors, self.pictures = set(), set(), {"", "top"}, []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.add(found["href"])
        if tag == "img":
            self.pictures.append(found)
        if found.get("rel") == "canonical":  # where the page will be, not what it is made of
            return
        self.assets |= {found[key] for name, key in ASSETS if name == tag and found.get(key)}


@cache
def page(path):
    return Page(path)


@pytest.fixture(scope="module")
def pages(site):
    found = {path: page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.relative_to(site).parts}
    assert len(found) > 80
    return found


def is_elsewhere(target):
    return bool(urlsplit(target).scheme or urlsplit(target).netloc)


def test_links_and_assets_resolve(site, pages):
    wrong = []
    for path, content in pages.items():
        for target in content.links | content.assets:
            if is_elsewhere(target):
                continue
            where, anchor = urldefrag(target)
            there = (path.parent / unquote(urlsplit(where).path)).resolve() if urlsplit(where).path else path
            is_there = there.is_file() and site in there.parents
            if not is_there or (there.suffix == ".html" and unquote(anchor) not in page(there).anchors):
                wrong.append((str(path.relative_to(site)), target))
    assert wrong == []


def test_readme_links_resolve(site):
    """Its addresses of pages, anchors and pictures are those of the built site."""
    wrong = []
    for url in re.findall(rf"\]\({re.escape(SITE)}([^)\s]*)\)", (ROOT / "README.md").read_text()):
        path, anchor = urldefrag(url)
        there = site / (path or "index.html")
        if not there.is_file() or (there.suffix == ".html" and anchor not in page(there).anchors):
            wrong.append(url)
    assert wrong == []


def test_pages_contain_no_build_errors(site, pages):
    wrong = [path for path in pages if re.search("system-message|problematic", path.read_text())]
    assert [str(path.relative_to(site)) for path in wrong] == []


def test_no_external_resources(site, pages):
    assert {target for content in pages.values() for target in content.assets if is_elsewhere(target)} == {
        target for content in pages.values() for target in content.assets if target.startswith("data:")
    }
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^)"']*""", sheet.read_text()), sheet.name


def test_images_have_alt_text(site, pages):
    """Those of the gallery by their titles, or else they would have the name of the script."""
    wrong = []
    for path, content in pages.items():
        for picture in content.pictures:
            said = picture.get("alt")
            decorates = "logo" in picture.get("class", "") or "thumb" in picture["src"]  # beside what says the same
            if said is None or re.fullmatch(r"plot \w+( \w+)?", said) or not (said or decorates):
                wrong.append((str(path.relative_to(site)), picture["src"]))
    assert wrong == []


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_gallery_examples_have_output(site, script):
    text = (site / "auto_examples" / f"{script.stem}.html").read_text()
    assert f"sphx_glr_{script.stem}_001.png" in text
    assert "sphx-glr-script-out" in text


def test_front_pictures_match_gallery(site):
    """Copies by `make pictures` are the gallery's pictures, up to compression and rounding on other processors."""
    script = (ROOT / "docs/_ext/pictures.py").read_text()
    copies = re.findall(r'gallery / "([\w.]+)".*?static / "([\w.-]+)"', script, flags=re.DOTALL)
    shown = re.findall(r"_static/([\w.-]+)", (ROOT / "README.md").read_text())
    assert len(shown) == 3
    assert set(shown) == {copy for _, copy in copies}
    for original, copy in copies:
        paths = ROOT / "docs/_static" / copy, site / "_images" / original
        mine, drawn = (np.asarray(Image.open(path).convert("RGB"), float) / 255 for path in paths)
        assert mine.shape == drawn.shape, f"{copy}: `make pictures` copies them"
        assert abs(mine - drawn).mean() < 0.05, f"{copy}: `make pictures` copies them"


@pytest.mark.parametrize(
    "estimator", [AutoencoderTransformer, ConvAutoencoder, OutlierDetector, Reconstructor, VAEGenerator]
)
def test_repr_links_resolve(site, estimator):
    link = estimator._get_doc_link(estimator.__new__(estimator))
    text = (site / link.removeprefix(SITE)).read_text()
    assert f'id="skae.{estimator.__name__}.fit"' in text


def test_public_names_have_pages(site):
    from skae import bottlenecks, datasets, export, losses, metrics, nn, noise, persistence, plotting

    for module in (skae, bottlenecks, datasets, export, losses, metrics, nn, noise, persistence, plotting):
        names = [name for name in module.__all__ if callable(getattr(module, name))]  # lists stand in the module's text
        assert [name for name in names if not (site / f"api/{module.__name__}.{name}.html").exists()] == []
