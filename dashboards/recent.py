"""Answers that are read again after some seconds, however many tabs ask for them."""

import sqlite3
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from twin.clock import monotonic_s
from twin.errors import WattproofError

KEPT_MOST = 200  # remembered answers; beyond that they start anew
UNREADABLE = (WattproofError, OSError, sqlite3.Error)  # the sealing process may be making the group just now
T = TypeVar("T")


class Recent:
    """The newest answer to each question; one reader at a time."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def answer(self, question: Hashable, every_s: float, read: Callable[[], T], otherwise: T) -> T:
        """What was read at most `every_s` ago; `otherwise` while the thing cannot be read."""
        with self._lock:
            at_s, answer = self._kept.get(question, (float("-inf"), otherwise))
            if monotonic_s() - at_s > every_s:
                try:
                    answer = read()
                except UNREADABLE:
                    answer = otherwise
                if len(self._kept) > KEPT_MOST:
                    self._kept.clear()
                self._kept[question] = (monotonic_s(), answer)
            return answer  # type: ignore[no-any-return]
