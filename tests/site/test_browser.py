"""The site in a browser, on large and small screens: no errors, no missing images, no overflow."""

import time
from pathlib import Path

import pytest
from guards import HANGS

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
PICTURES = """async () => {
    const wrong = [];
    for (const image of document.images) {
        image.loading = "eager";
        try { await image.decode(); } catch { wrong.push(image.src); }
        if (!image.naturalWidth) wrong.push(image.src);
    }
    return wrong;
}"""

# Elements beyond the screen's right edge, except in boxes that scroll by themselves, such as code, tables and diagrams.
SIDEWAYS = """() => {
    const scrolls = e => /auto|scroll/.test(getComputedStyle(e).overflowX);
    const inBox = e => e.tagName != 'ARTICLE' && (scrolls(e) || inBox(e.parentElement));
    return [...document.querySelectorAll('article *')].filter(e =>
        e.getBoundingClientRect().width > 0
        && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
        && !e.closest('.sk-top-container, svg, .headerlink') && !inBox(e)
    ).map(e => e.tagName + ' ' + e.textContent.trim().slice(0, 60));
}"""

# Words of code in tables that continue on another line.
BROKEN = r"""() => {
    const broken = [];
    for (const code of document.querySelectorAll('article table code')) {
        const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) for (const word of walker.currentNode.data.matchAll(/[\w.]+/g)) {
            const range = document.createRange();
            range.setStart(walker.currentNode, word.index);
            range.setEnd(walker.currentNode, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) broken.push(word[0]);
        }
    }
    return broken;
}"""

# Texts whose contrast with the color behind them is below the 4.5 (large ones: 3) of WCAG 2.1, level AA.
FAINT = r"""() => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
    const rgba = color => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const over = ([r, g, b, a], below) => [r, g, b].map((c, i) => (c * a + below[i] * (255 - a)) / 255);
    const behind = e => e ? over(rgba(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [255, 255, 255];
    const linear = c => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const faint = [], walker = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim(), e = walker.currentNode.parentElement, style = getComputedStyle(e);
        const hidden = !e.getClientRects().length || style.visibility == 'hidden' || parseFloat(style.opacity) == 0;
        if (!text || hidden || e.closest('svg, .headerlink, .copybtn')) continue;
        const below = behind(e), pair = [luminance(over(rgba(style.color), below)), luminance(below)];
        const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        if (contrast < (large ? 3 : 4.5)) faint.push([text.slice(0, 40), contrast.toFixed(2)].join(' '));
    }
    return faint;
}"""


class Visit:
    """A page in a browser, and all that went wrong in it."""

    def __init__(self, page, address):
        self.page, self.address, self.wrong = page, address, []
        page.on("console", lambda said: said.type == "error" and self.wrong.append(said.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        # What is on its way while another page is asked for is given up, and no failure.
        page.on("requestfailed", lambda r: r.failure == "net::ERR_ABORTED" or self.wrong.append(f"failed: {r.url}"))
        page.on("response", lambda got: got.status >= 400 and self.wrong.append(f"{got.status}: {got.url}"))
        page.on("request", lambda request: self.is_ours(request.url) or self.wrong.append(f"asked {request.url}"))

    def is_ours(self, url):
        return url.startswith((self.address, "data:", "blob:"))

    def open(self, path=""):
        self.page.goto(self.address + path, wait_until="load")
        self.look()

    def follow(self, link):
        """Click on what leads to another page, and look at that one."""
        with self.page.expect_navigation(wait_until="load"):
            link.click()
        self.look()

    def look(self):
        """Fail if what is open has an error, lacks a picture or has to be moved sideways."""
        self.page.wait_for_load_state("load")
        assert self.page.evaluate(PICTURES) == [], self.page.url
        assert self.page.evaluate(SIDEWAYS) == [], self.page.url
        assert self.page.evaluate(BROKEN) == [], self.page.url
        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert self.wrong == [], self.page.url


@pytest.fixture(params=SIZES)
def visit(browser, address, request):
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, is_mobile=request.param == "phone")
    context.set_default_timeout(HANGS * 1000)
    yield Visit(context.new_page(), address)
    context.close()


def test_every_page(visit, site):
    paths = [str(path.relative_to(site)) for path in sorted(site.rglob("*.html"))]
    paths = [path for path in paths if not path.startswith("_static")]
    assert len(paths) > 80
    for path in paths:
        visit.open(path)


def test_checks_detect_broken_pages(visit):
    visit.open()
    for script, found in [
        ("console.error('broken')", "broken"),
        ("fetch('missing.png')", "404"),
        ("new Image().src = 'https://example.org/a.png'", "example.org"),
    ]:
        visit.page.evaluate(f"() => {{ {script} }}")
        end = time.monotonic() + HANGS
        while not any(found in text for text in visit.wrong):
            assert time.monotonic() < end, f"{found} was not seen"
            visit.page.wait_for_timeout(100)
        visit.wrong.clear()
    visit.page.evaluate("document.images[0].src = 'data:image/png;base64,AAAA'")
    assert visit.page.evaluate(PICTURES) != []
    wide = "'<p style=width:3000px>wide</p>'"
    visit.page.evaluate(f"document.querySelector('article').insertAdjacentHTML('beforeend', {wide})")
    assert visit.page.evaluate(SIDEWAYS) == ["P wide"]


def test_checks_detect_broken_words_and_faint_text(visit):
    visit.open()
    code = "<code style='overflow-wrap:anywhere'>a_long_name_of_a_parameter</code>"
    table = f"<table style='width:60px;table-layout:fixed'><tr><td>{code}</td></tr></table>"
    text = f"{table}<p style='color:#888;background:#999'>faint</p>"
    visit.page.evaluate("text => document.querySelector('article').insertAdjacentHTML('beforeend', text)", text)
    assert visit.page.evaluate(BROKEN) == ["a_long_name_of_a_parameter"]
    assert any(text.startswith("faint") for text in visit.page.evaluate(FAINT))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["index", "guide/index", "guide/parts", "benchmarks", "glossary"])
def test_text_has_contrast(visit, path, scheme):
    visit.page.emulate_media(color_scheme=scheme)
    visit.open(f"{path}.html")
    assert visit.page.evaluate("document.documentElement.dataset.theme") == scheme
    # Colors change gradually from one scheme to the other.
    visit.page.evaluate("Promise.all(document.getAnimations().map(one => one.finished)).then(() => 0)")
    assert visit.page.evaluate(FAINT) == []


def test_output_has_no_copy_button(visit):
    visit.open()
    assert visit.page.locator(".highlight-python .copybtn").count() > 0
    assert visit.page.locator(".highlight-output").count() > 0
    assert visit.page.locator(".highlight-output .copybtn").count() == 0


def test_search_from_the_landing_page(visit):
    visit.open()
    visit.page.locator("button.search-button__button:visible, button.search-button:visible").first.click()
    visit.page.locator("input[type=search]:visible").first.fill("denoise")
    visit.page.keyboard.press("Enter")
    found = visit.page.locator("#search-results li a", has_text="Denoise").first
    found.wait_for()
    visit.page.wait_for_load_state("networkidle")  # it fetches a summary for each result
    visit.look()
    visit.follow(found)
    assert "denois" in visit.page.title().lower()


def test_from_the_landing_page_through_the_gallery(visit):
    visit.open()
    if not visit.page.locator("header >> text=Gallery").first.is_visible():
        visit.page.locator("button.primary-toggle").click()
    visit.follow(visit.page.locator("a.nav-link:visible", has_text="Gallery").first)
    examples = visit.page.locator(".sphx-glr-thumbcontainer")
    assert examples.count() > 10
    visit.follow(examples.first.locator("a").first)
    assert visit.page.locator("img.sphx-glr-single-img, img.sphx-glr-multi-img").count() > 0
    assert visit.page.locator(".highlight-Python, .highlight-python").count() > 0


def test_three_pages_from_the_front_to_a_tuned_pipeline(visit):
    """From the README, or the landing page, to the tour: there a grid search over a pipeline on one's own array."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert "auto_examples/plot_tour.html)" in readme
    visit.open()
    visit.follow(visit.page.locator("a", has_text="Take the tour").first)
    text = visit.page.locator("article").inner_text()
    assert "GridSearchCV" in text
    assert "Pipeline" in text
    assert "# replace with your data" in text
