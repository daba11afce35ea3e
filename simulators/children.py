"""Child processes of a simulated site: each in its own process session, its words logged, ended in bounded time, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from twin.cli import main
from twin.errors import StateError
from twin.site import product_root

READY_TIMEOUT_S = 60  # importing the pages takes up to 16 s on a busy machine
STOP_TIMEOUT_S = 30  # a sealing process first seals what is there
LAST_WORDS = 3  # lines of a dead child's log that go into the error


class Child:
    """One command of ours in its own process session, so that Ctrl-C reaches the parent first and it ends the rest in order.

    Its standard input is a pipe that only the parent holds: when that closes, the parent is gone, however it went, and the child ends too.
    """

    def __init__(self, name: str, words: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        paths = [str(product_root()), *filter(None, [os.environ.get("PYTHONPATH")])]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 (our own command line, no shell)
                [sys.executable, "-m", "simulators.children", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        self._lines: Queue[bytes | None] = Queue()
        threading.Thread(target=self._listen, daemon=True, name=f"{name} output").start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def object(self, timeout_s: float | None = READY_TIMEOUT_S) -> dict[str, Any]:
        """The next JSON object the child prints (None: wait without end); StateError with its last words when it ends or stays silent."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except Empty:
            raise StateError(f"{self.name} said nothing for {timeout_s:.0f} s; its log is {self.log}") from None
        if line is None:
            raise StateError(f"{self.name} ended with {self._process.wait()}: {self._last_words()}")
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Let the child end by itself; returns its exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise StateError(f"{self.name} did not end within {timeout_s:.0f} s; its log is {self.log}") from None

    def interrupt(self) -> None:
        """Ask the child to end (SIGTERM), without waiting."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Ask the child to end (SIGTERM), wait, and end it if it does not; returns its exit code."""
        self.interrupt()
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(lines[-LAST_WORDS:]) or f"no words; its log is {self.log}"


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(STOP_TIMEOUT_S)
    os._exit(1)  # asked to end, and did not


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True, name="parent").start()
    main()
