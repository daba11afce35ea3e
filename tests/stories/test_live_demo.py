"""The live demo as a person has it: the real processes, both servers in a real browser, a building given back, and a clean end."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
READY_S, WAIT_S = 60, 30
pytestmark = pytest.mark.browser

if not CHROMIUM:
    pytest.skip("no chromium on this machine: browser tests NOT run (wattproof doctor --install)", allow_module_level=True)


def _two_free_ports() -> int:
    """A port whose neighbour is free too: the inspector's pages take the next one."""
    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    pytest.fail("no two neighbouring ports are free")


class LiveDemo:
    """The demo's processes; `said` grows with what they tell a person."""

    def __init__(self, state: Path) -> None:
        self.state, self.port, self.said = state, _two_free_ports(), ""
        words = [
            "demo",
            "--site",
            "demo_office",
            "--plant",
            "rc",
            "--port",
            str(self.port),
            "--speed",
            "600",
            "--state",
            str(state),
            "--json",
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "twin", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self.process.stderr:
            self.said += line

    def setup_url(self, who: str) -> str:
        deadline = time.monotonic() + READY_S
        while not (found := re.search(rf"{who}: \S+ +\(first sign-in, once: (\S+)\)", self.said)):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, f"{who} not ready: {self.said}"
            time.sleep(0.1)
        return found.group(1)

    def stop(self) -> dict:
        self.process.send_signal(signal.SIGINT)
        out = self.process.stdout.read()
        assert self.process.wait(WAIT_S) == 0, self.said
        self._listener.join(5)
        return json.loads(out)


@pytest.fixture
def demo(tmp_path):
    demo = LiveDemo(tmp_path / "state")
    yield demo
    if demo.process.poll() is None:
        demo.process.send_signal(signal.SIGINT)
        demo.process.wait(WAIT_S)


@pytest.fixture
def visit():
    """Pages of a browser that resolves nothing but this machine; afterwards: a clean console, no request outside."""
    from playwright.sync_api import sync_playwright

    outside, noise = [], []

    def open_page(url: str, user: str):
        page = chromium.new_context(viewport={"width": 1400, "height": 900}, locale="en-GB").new_page()
        here = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
        page.context.on("request", lambda r: r.url.startswith(here) or outside.append(r.url))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("console", lambda m: noise.append(m.text) if m.type in ("error", "warning") else None)
        page.goto(url)
        page.fill("[name=user]", user)
        page.fill("[name=password]", "a long password")
        page.click("form button")
        return page

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])])
        yield open_page
        chromium.close()
    assert outside == []
    assert noise == []


def until(page, expression: str, arg=None):
    deadline = time.monotonic() + WAIT_S
    while not (answer := page.evaluate(expression, arg)):
        assert time.monotonic() < deadline, f"still not true: {expression} {arg}"
        page.wait_for_timeout(50)
    return answer


def test_the_live_demo_is_watched_inspected_given_back_and_ended(demo, visit):
    room = visit(demo.setup_url("control room"), "Mei Lin")
    room.wait_for_selector("#plan svg polygon", timeout=30_000)
    power = until(room, "() => { const p = document.getElementById('tile-power-value').textContent; return /[0-9] kW/.test(p) && p }")
    until(room, "old => document.getElementById('tile-power-value').textContent !== old", power)

    inspector = visit(demo.setup_url("inspector"), "Li Na")
    inspector.wait_for_selector("#entries-grid .ag-row", timeout=30_000)
    groups = inspector.inner_text("#audit-groups")
    assert "Harbour Offices Ltd" in groups
    assert "Corner Clinic Partners" in groups
    inspector.click("#verify")
    inspector.wait_for_selector("#verify-steps .verdict-ok", timeout=60_000)

    _override_for_an_hour(room, demo.state)
    room.click("#give-back")
    room.fill("#give-back-why", "lift maintenance")
    room.click("#give-back-do")
    until(room, "() => /^[1-9][0-9]* points released, 0 still held/.test(document.getElementById('release-words').textContent)")
    room.context.close()
    inspector.context.close()

    summary = demo.stop()
    assert summary["stopped"] is True
    assert summary["ledger"]["verified"] is True
    assert demo.said.count("0 still held") == 2
    release = _rows(demo.state, "release")
    assert [row["held_after"] for row in release] == [0] * len(release) != []


def _override_for_an_hour(page, state: Path) -> None:
    """A wish is applied by the site's own clock, and let go when its hour is over."""
    page.wait_for_selector("#points-grid .ag-row", timeout=10_000)
    page.fill("#points-filter", "core_mid.clg_sp")
    page.click("#points-grid .ag-row >> text=core_mid.clg_sp")
    until(page, "() => document.getElementById('wish-limits').textContent.includes('20.0 to 32.0')")
    page.fill("#wish-value", "27.5")
    page.fill("#wish-why", "guests in the core")
    page.click("#wish-ask")
    page.wait_for_selector("#wishes-grid .ag-row >> text=passed on", timeout=WAIT_S * 1000)
    page.wait_for_selector("#wishes-grid .ag-row >> text=over", timeout=WAIT_S * 1000)
    later = [row["value"] for row in _rows(state, "command") if row["point"] == "core_mid.clg_sp"]
    assert 27.5 in later
    deadline = time.monotonic() + WAIT_S
    while later[-1] == 27.5:
        assert time.monotonic() < deadline, "the override was never let go"
        time.sleep(0.2)
        later = [row["value"] for row in _rows(state, "command") if row["point"] == "core_mid.clg_sp"]


def _rows(state: Path, kind: str) -> list[dict]:
    journal = sqlite3.connect(f"file:{state / 'sites' / 'demo_office' / 'journal.db'}?mode=ro", uri=True)
    rows = [json.loads(body) for (body,) in journal.execute("SELECT body FROM journal WHERE kind = ? ORDER BY number", (kind,))]
    journal.close()
    return rows
