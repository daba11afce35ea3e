"""The command `serve`: one line with the set-up link, a clear refusal of a used port, an end in bounded time."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from dashboards.server import bind
from twin import cli


def start(*words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "twin", "serve", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.parametrize("words", [["demo_office"], ["--government"]])
def test_serve_says_where_it_is_and_ends_when_told(tmp_path, words):
    server = start(*words, "--state", str(tmp_path), "--port", "0", "--json")
    try:
        ready = json.loads(server.stdout.readline())
        assert set(ready) == {"url", "setup_url"}
        assert ready["setup_url"].startswith(ready["url"] + "/setup?token=")
        with urllib.request.urlopen(ready["url"] + "/healthz", timeout=10) as answer:
            assert json.load(answer) == {"ok": True}
    finally:
        server.send_signal(signal.SIGTERM)
        said, complained = server.communicate(timeout=15)
    assert server.returncode == 0
    assert said == ""
    assert "Traceback" not in complained


def test_a_used_port_is_one_line_and_an_exit_code(tmp_path, capsys):
    with bind(0) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit) as left:
            cli.main(["serve", "demo_office", "--state", str(tmp_path), "--port", port])
    assert left.value.code == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert f"port {port}" in said[0]


def test_an_unknown_site_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["serve", "no_such_site", "--state", str(tmp_path), "--port", "0"])
    assert left.value.code == 1
    assert "no_such_site" in capsys.readouterr().err
