"""Work that an import does aside, in a forked child, while it goes on itself: an importing machine has more than one core."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Later(Generic[Result]):
    """A result that is on its way."""

    def __init__(self, wait: Callable[[], Result]) -> None:
        self._wait = wait

    def result(self) -> Result:
        """Wait for it. What the work raises is raised here; EOFError when its process died, as a crashing library makes it."""
        return self._wait()


@contextmanager
def aside(work: Callable[[], Result]) -> Iterator[Later[Result]]:
    """Begin the work at once; when the block is left, its process is gone too."""
    if sys.platform != "linux":  # no fork that shares an open model
        yield Later(work)
        return
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(send, receive, work), daemon=True)
    child.start()
    send.close()
    try:
        yield Later(lambda: _received(receive))
    finally:
        receive.close()
        child.kill()
        child.join()


def _send(send: Connection, receive: Connection, work: Callable[[], Result]) -> None:
    receive.close()
    try:
        send.send((work(), None))
    except Exception as error:  # noqa: BLE001 (raised again where the result is waited for)
        send.send((None, error))


def _received(receive: Connection) -> Any:
    result, error = receive.recv()
    if error is not None:
        raise error
    return result
