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

# What lies beyond the screen's right edge and is in no box that scrolls by itself, as code and tables are.
SIDEWAYS = """() => [...document.querySelectorAll('article *')].filter(e =>
    e.getBoundingClientRect().width > 0
    && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && !e.closest('pre, table, .formula, .sk-top-container, svg, .headerlink')
).map(e => e.tagName + ' ' + e.textContent.trim().slice(0, 60))"""


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
    """A test that cannot fail is none."""
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
    assert "(examples/plot_tour.py)" in readme
    visit.open()
    visit.follow(visit.page.locator("a", has_text="Take the tour").first)
    text = visit.page.locator("article").inner_text()
    assert "GridSearchCV" in text
    assert "Pipeline" in text
    assert "# your array here" in text
    assert "accuracy of the best on the test rows" in text
