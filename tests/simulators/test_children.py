"""Children live in their own session, speak JSON, and are ended in bounded time with their last words kept."""

import os
import subprocess
import sys
import time

import pytest

from simulators.children import Child
from twin.errors import StateError


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "child.log"


def test_a_child_prints_its_object_and_ends(log):
    child = Child("doctor", ["doctor", "--json"], log)

    assert {need["name"] for need in child.object()["needs"]} >= {"Python 3.11", "Chromium"}
    assert child.wait() == 0


def test_a_child_that_fails_is_named_with_its_last_words(log):
    child = Child("check", ["check", "no_such_site"], log)

    with pytest.raises(StateError, match=r"check ended with 1: .*no folder with a site"):
        child.object()


def test_a_child_has_its_own_session_so_that_ctrl_c_does_not_reach_it(log):
    child = Child("doctor", ["doctor", "--json"], log)

    assert os.getsid(child._process.pid) != os.getsid(0)
    child.stop()


def test_a_silent_child_is_not_waited_for_without_end(log):
    child = Child("doctor", ["doctor", "--json"], log)
    child.object()
    begun = time.monotonic()

    with pytest.raises(StateError):
        child.object(timeout_s=5)
    assert time.monotonic() - begun < 10


def test_a_child_ends_when_its_parent_was_killed(log, tmp_path):
    words = f"""
import pathlib, time
from simulators.children import Child
child = Child("witness", ["witness", "--state", {str(tmp_path / "state")!r}], pathlib.Path({str(log)!r}))
child.object()
print(child._process.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True)
    orphan = int(parent.stdout.readline())
    parent.kill()
    parent.wait()

    until = time.monotonic() + 20
    while alive(orphan) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(orphan)


def alive(process):
    """Whether it runs; one that ended and waits for its parent to notice does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")
