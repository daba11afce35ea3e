"""The command `hub`, as a person runs it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from ledger.tls import SiteAuthority
from twin.clock import wall_now

ROOT = Path(__file__).parents[2]


def hub(state, *words):
    words = [sys.executable, "-m", "twin", "hub", "corner_clinic", "--state", str(state), *words]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_hub_listens_says_where_and_ends_politely(tmp_path):
    authority = SiteAuthority(tmp_path / "sites" / "corner_clinic" / "tls", "corner_clinic")
    for node in ("hub", "gateway"):
        authority.issue(node, ["127.0.0.1"], wall_now())
    process = hub(tmp_path, "--listen", "127.0.0.1:0")

    assert json.loads(process.stdout.readline())["url"].startswith("wss://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, "has ended" in err) == (0, True)


def test_without_a_place_or_certificates_it_says_what_to_do(tmp_path):
    for words, said in (((), "--listen"), (("--listen", "127.0.0.1:0"), "certificate issue")):
        process = hub(tmp_path, *words)
        _, err = process.communicate(timeout=20)
        assert process.returncode != 0
        assert said in err
        assert "Traceback" not in err
