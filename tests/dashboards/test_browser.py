"""A person's day in a real browser that can resolve nothing but this machine: sign up, watch, switch, override, give back, read."""

import os
import shutil
import time

import pytest

from dashboards.server import make_server
from ledger import explorer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = "a long password"
FLAGS = ["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
pytestmark = pytest.mark.browser

if not CHROMIUM:
    pytest.skip("no chromium on this machine: browser tests NOT run (wattproof doctor --install)", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Open a page and sign up through the set-up link; afterwards: nothing went outside and the console stayed clean."""
    contexts, outside, noise = [], [], []

    def open_page(url: str, pages, width: int = 1400):
        context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
        contexts.append(context)
        context.on("request", lambda r: r.url.startswith((url, url.replace("http", "ws"), "data:", "blob:")) or outside.append(r.url))
        page = context.new_page()
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("console", lambda m: noise.append(m.text) if m.type in ("error", "warning") else None)
        page.goto(pages.setup_url(url))
        page.fill("[name=user]", "Mei Lin")
        page.fill("[name=password]", PASSWORD)
        page.click("form button")
        return page

    open_page.forgiven = []
    yield open_page
    for context in contexts:
        context.close()
    assert outside == []
    assert [words for words in noise if not any(part in words for part in open_page.forgiven)] == []


def until(page, expression: str, arg=None, seconds: float = 20):
    """Wait in Python: Playwright's own waiting needs eval, which our policy forbids."""
    end = time.monotonic() + seconds
    while not (answer := page.evaluate(expression, arg)):
        assert time.monotonic() < end, f"still not true after {seconds} s: {expression} {arg}"
        page.wait_for_timeout(50)
    return answer


def text(page, element: str) -> str:
    return page.evaluate("id => document.getElementById(id)?.textContent ?? ''", element)


def test_the_facility_manager_watches_switches_overrides_and_gives_the_building_back(owner_server, moving_site, visit):
    url, pages = owner_server
    page = visit(url, pages)
    page.wait_for_selector("#plan svg polygon", timeout=30_000)
    until(page, "() => /[0-9] kW/.test(document.getElementById('tile-power-value').textContent)")
    before = text(page, "tile-power-value")
    until(page, "old => document.getElementById('tile-power-value').textContent !== old", before)
    until(page, "() => /Data \\d+ s old/.test(document.getElementById('age').textContent)")
    assert "vs business as usual" in page.inner_text("#tile-saved-bau")
    assert "simulated baseline" in text(page, "tile-saved-bau-note")

    assert page.locator("#plan polygon.band-stale").count() == 0, "the lost room is on another floor"
    page.click("text=Level 2")
    until(page, "() => document.querySelectorAll('#plan polygon.band-stale').length === 1")
    page.click("text=CO₂")
    until(page, "() => [...document.querySelectorAll('#plan .label-value')].some(v => v.textContent.includes('ppm'))")

    page.click("#plan [data-room=core_mid_room]")
    page.wait_for_selector("#points-grid .ag-row >> text=core_mid.clg_sp")
    page.click("#points-grid .ag-row >> text=core_mid.clg_sp")
    until(page, "() => document.getElementById('wish-limits').textContent.includes('20.0 to 32.0')")
    page.fill("#wish-value", "25")
    page.fill("#wish-why", "guests in the core")
    page.click("#wish-ask")
    until(page, "() => document.getElementById('wish-said').textContent.includes('next cycle')")
    page.wait_for_selector("#wishes-grid .ag-row >> text=passed on", timeout=10_000)
    page.wait_for_selector("#commands-grid .ag-row >> text=guests in the core", timeout=10_000)

    page.click("#give-back")
    page.click("#give-back-do")
    until(page, "() => document.getElementById('give-back-said').textContent.includes('reason is needed')")
    page.fill("#give-back-why", "lift maintenance")
    page.click("#give-back-do")
    until(page, "() => document.getElementById('release-words').textContent === '61 points released, 0 still held, 0.4 s'")
    until(page, "() => document.getElementById('head-mode').textContent.startsWith('Off')")
    assert moving_site.mode() == "off"


def test_an_alarm_is_acknowledged_with_a_note(owner_server, moving_site, visit):
    url, pages = owner_server
    page = visit(url, pages)
    page.wait_for_selector("#alarms-grid .ag-row >> text=raised", timeout=30_000)
    page.click("#alarms-grid .ag-row >> text=raised")
    page.click("#acknowledge")
    page.fill("#acknowledge-why", "shedding load")
    page.click("#acknowledge-do")
    page.wait_for_selector("#alarms-grid .ag-row >> text=acknowledged", timeout=10_000)
    until(page, "() => document.getElementById('tile-alarms-value').textContent === '0'")


def test_the_owner_reads_in_chinese_in_the_dark_on_a_telephone(owner_server, moving_site, visit):
    url, pages = owner_server
    page = visit(url, pages, width=390)
    page.wait_for_selector("#plan svg polygon", timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.goto(f"{url}/owner")
    page.wait_for_selector("#own-comfort table", timeout=20_000)
    page.click("text=中文")
    page.wait_for_selector("text=三种运行的舒适度", timeout=20_000)
    assert page.get_attribute("html", "lang") == "zh-CN"
    page.locator("label[for=dark]").first.click()
    page.wait_for_selector("html[data-mantine-color-scheme=dark]")
    until(page, "() => document.getElementById('own-used-value').textContent.includes('kWh')")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_tab_whose_session_was_ended_goes_to_the_sign_in_form(owner_server, live_site, visit):
    url, pages = owner_server
    page = visit(url, pages)
    page.wait_for_selector("#plan svg polygon", timeout=30_000)
    cookie = page.context.cookies()[0]
    visit.forgiven += ["401", "already read"]  # a request under way when the session ends is refused, as it should be
    pages.accounts.end(cookie["value"])
    page.wait_for_url("**/login", timeout=20_000)


def test_no_chart_of_the_page_offers_the_cloud(owner_server, live_site, visit):
    url, pages = owner_server
    page = visit(url, pages)
    page.wait_for_selector("#power-chart .js-plotly-plot .main-svg", timeout=30_000)
    graph = "document.querySelector('#power-chart .js-plotly-plot')"
    assert page.evaluate(f"{graph}._context.showSendToCloud") is False
    assert page.evaluate(f"{graph}._context.plotlyServerURL") == ""
    titles = page.eval_on_selector_all(".modebar-btn", "b => b.map(x => x.dataset.title)")
    assert not any("share" in (title or "").lower() for title in titles)


def test_the_inspectors_server_opens_without_any_group(tmp_path, visit, serve_pages):
    pages = make_server("government", tmp_path / "state")
    with serve_pages(pages) as url:
        page = visit(url, pages)
        page.wait_for_selector("text=This server is a member of no group yet", timeout=30_000)
        assert "inspector" in page.inner_text("header")


def test_the_inspector_reads_an_entry_and_verifies_the_group(sealing, visit, serve_pages):
    pages = make_server("government", sealing.root, explorer=explorer)
    with serve_pages(pages) as url:
        page = visit(url, pages)
        page.wait_for_selector("#entries-grid .ag-row", timeout=30_000)
        assert "Harbour Offices Ltd" in page.inner_text("#audit-groups")
        page.click("#entries-grid .ag-row >> text=emission.period >> nth=0")
        until(page, "() => document.getElementById('entry-detail').textContent.includes('scope2_location_g')")
        page.click("#verify")
        page.wait_for_selector("#verify-steps table", timeout=60_000)
        assert "Everything holds: 12 steps" in page.inner_text("#verify-steps")
