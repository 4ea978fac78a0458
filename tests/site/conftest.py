"""The built site, and a browser that looks at it; `make docs` builds it and names it by ``--site``."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
from guards import HANGS

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def site(request):
    folder = request.config.getoption("--site")
    if folder is None:
        pytest.skip("needs the site: `make docs` builds it and runs these")
    assert (Path(folder) / "index.html").exists(), f"{folder} holds no site"
    return Path(folder).resolve()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address(site):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser(site):
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, f"no browser: one of {', '.join(BROWSERS)} must be installed (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        # Without a sandbox, since in containers the user is often root; and with no errands of its own.
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments, timeout=HANGS * 1000)
        yield browser
        browser.close()
