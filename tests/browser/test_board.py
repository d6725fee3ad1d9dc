"""The board in a real browser, on a fleet where a release goes bad: what a tired person sees, and when."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from reconciler.simulated.behaviour import Fate
from tests.browser.chromium import Chromium
from tests.install.fleet import settings_for
from tests.system.daemon import DaemonProcess
from tests.system.served import ServedFleet

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

CELL = """
((service, environment) => {
  const heads = [...document.querySelectorAll('thead th')].map(h => h.textContent);
  const row = [...document.querySelectorAll('tbody tr')]
    .find(r => r.querySelector('th').textContent === service);
  return row ? row.cells[heads.indexOf(environment)].innerText : '';
})
"""

CONTRAST = """
(() => {
  const light = c => {
    const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(c) && c !== 'transparent') return c;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('main *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .map(e => {
      const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
      return [Math.round(100 * (a + 0.05) / (b + 0.05)) / 100, e.className, e.textContent.slice(0, 40)];
    })
    .filter(([ratio]) => ratio < 4.5);
})()
"""


UNEVEN_PX = """
(() => {
  const wide = [...document.querySelectorAll('thead th')].slice(1).map(h => h.offsetWidth);
  return Math.max(...wide) - Math.min(...wide);
})()
"""

NO_CLOCK = "window.every = window.setInterval; window.setInterval = () => 0;"
"""What is seen to change does so since the page was told: not since it asks now and then, whatever happens."""

NO_NEWS = """
window.EventSource = class extends EventTarget {};
window.setInterval = (what, ms) => window.every(what, ms / 100);
"""

GONE = "what you see is old"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as started, before_pages(started, NO_CLOCK):
        yield started


@contextmanager
def before_pages(browser: Chromium, script: str) -> Iterator[None]:
    """Has a script run in every page before the page's own."""
    added = browser.call("Page.addScriptToEvaluateOnNewDocument", source=script)
    try:
        yield
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", **added)


@pytest.fixture
def browser(chromium: Chromium) -> Chromium:
    """The one browser of all tests, with nothing noted of the tests before: they run in any order."""
    chromium.requested.clear()
    chromium.complaints.clear()
    return chromium


@pytest.fixture(scope="module")
def fleet() -> Iterator[ServedFleet]:
    with ServedFleet() as served:
        yield served


@pytest.fixture(scope="module")
def daemon(fleet: ServedFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    settings = {**settings_for(fleet), "repo": {"url": fleet.repo_url, "poll_s": 0.3}}
    with DaemonProcess(tmp_path_factory.mktemp("daemon"), settings) as started:
        started.wait_ready()
        started.until(
            lambda: {c["phase"] for c in started.status()["cells"]} == {"Proven"}, "all is proven"
        )
        yield started


def shown(service: str, environment: str) -> str:
    return f"{CELL}({service!r}, {environment!r})"


def keep(browser: Chromium, name: str) -> None:
    """Saves what is seen, where somebody wants to look at it."""
    folder = os.environ.get("RECONCILER_TEST_SCREENSHOTS")
    if folder:
        browser.screenshot(Path(folder) / f"{name}.png")


def test_a_bad_release_is_seen_as_it_happens(
    browser: Chromium, fleet: ServedFleet, daemon: DaemonProcess
) -> None:
    browser.open(daemon.page_url)
    heads = browser.evaluate("[...document.querySelectorAll('thead th')].map(h => h.textContent)")
    assert heads == ["service", "dev", "staging", "prod"]
    rows = browser.evaluate("[...document.querySelectorAll('tbody th')].map(h => h.textContent)")
    assert rows == ["api", "store", "web", "worker"]
    assert "All 12 are proven" in browser.text()
    keep(browser, "well")
    browser.evaluate("window.sameDocument = true")

    fleet.merge("1.9.0", Fate.READY, "good")
    browser.until(f"{shown('web', 'prod')}.includes('Proven 1.9.0')")
    fleet.faults["prod-2"].is_down = True
    browser.until("document.body.innerText.includes('cluster prod-2: it does not answer')")
    keep(browser, "a cluster is down")
    fleet.faults["prod-2"].is_down = False
    browser.until("!document.body.innerText.includes('does not answer')")

    fleet.merge("1.10.0", Fate.CRASH, "bad")
    browser.until(f"{shown('web', 'dev')}.includes('1.10.0')")
    browser.until(
        f"/Rejected|RollingBack|RevertPending|RollingOut/.test({shown('web', 'staging')})"
    )
    keep(browser, "bad")
    assert browser.evaluate(UNEVEN_PX) <= 2, "columns stay where they are, whatever a cell says"
    browser.until(f"{shown('web', 'staging')}.includes('Proven 1.9.0')")
    assert browser.evaluate("window.sameDocument") is True, (
        "it was changed in place, not loaded anew"
    )
    keep(browser, "back")

    # Its own page is followed live, too.
    browser.open(f"{daemon.page_url}/services/web")
    browser.evaluate("window.sameDocument = true")
    fleet.merge("1.11.0", Fate.READY, "good")
    browser.until("document.body.innerText.includes('1.11.0')")
    browser.until("document.querySelectorAll('h2 .good').length === 3")
    assert browser.evaluate("window.sameDocument") is True
    assert browser.complaints == []


def test_a_page_that_is_told_nothing_asks_now_and_then(
    browser: Chromium, daemon: DaemonProcess
) -> None:
    def asked() -> int:
        browser.text()  # Takes in what the browser has to say.
        return browser.requested.count(f"{daemon.page_url}/table")

    with before_pages(browser, NO_NEWS):
        browser.open(daemon.page_url)
        daemon.until(lambda: asked() >= 2, "it asks again")
        assert f"{daemon.page_url}/events" not in browser.requested


def test_a_services_page_explains_and_leads_back(browser: Chromium, daemon: DaemonProcess) -> None:
    browser.open(daemon.page_url)
    browser.evaluate("document.querySelector('tbody th a[href=\"/services/web\"]').click()")
    browser.until("location.pathname === '/services/web' && document.readyState === 'complete'")
    text = browser.text()
    assert text.index("dev: ") < text.index("staging: ") < text.index("prod: ")
    assert "wanted" in text and "open gates" in text
    keep(browser, "service")
    browser.evaluate("document.querySelector('header a').click()")
    browser.until("location.pathname === '/' && document.querySelector('table') !== null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/services/web", "/nowhere"])
def test_everything_can_be_read_by_day_and_by_night(
    scheme: str, path: str, browser: Chromium, daemon: DaemonProcess
) -> None:
    browser.prefer(scheme)
    browser.open(f"{daemon.page_url}{path}")
    assert browser.evaluate(CONTRAST) == []
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", ground)[:3])) < 200
    assert dark == (scheme == "dark")
    keep(browser, f"{scheme}{path.replace('/', '-')}")


def test_it_works_without_its_script(browser: Chromium, daemon: DaemonProcess) -> None:
    browser.run_scripts(allowed=False)
    try:
        browser.open(daemon.page_url)
        assert browser.evaluate("document.querySelectorAll('tbody tr').length") == 4
        assert browser.evaluate("document.querySelector('noscript meta') !== null")
    finally:
        browser.run_scripts(allowed=True)


def test_nothing_is_asked_of_anybody_else(browser: Chromium, daemon: DaemonProcess) -> None:
    own = urlsplit(daemon.page_url).netloc
    browser.open(f"{daemon.page_url}/services/web")
    browser.open(daemon.page_url)
    asked = {urlsplit(url).netloc for url in browser.requested if not url.startswith("data:")}
    assert asked == {own}
    policy = "Content-Security-Policy"
    blocked = browser.evaluate(
        "new Promise(done => { addEventListener('securitypolicyviolation', () => done(true));"
        " const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.head.append(s); setTimeout(() => done(window.ran !== 1), 500); })"
    )
    assert blocked, f"the {policy} lets nothing inline run"


def test_a_bad_address_is_a_page(browser: Chromium, daemon: DaemonProcess) -> None:
    browser.open(f"{daemon.page_url}/services/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert "there is no such page" in browser.text()


def test_a_daemon_that_is_gone_is_told(
    browser: Chromium, fleet: ServedFleet, tmp_path: Path
) -> None:
    settings = {**settings_for(fleet), "mode": "observe"}
    with DaemonProcess(tmp_path, settings) as other:
        other.wait_ready()
        browser.open(other.page_url)
        assert GONE not in browser.text()
        other.kill()
        browser.until(f"document.body.innerText.includes('{GONE}')")
