"""Long verifications shared out among the cores: commitments of bodies, and signatures, in processes of their own.

Workers get bytes and give back numbers and hashes; what they cannot vouch for is looked at again by whoever asked.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from ledger.entry import Body
from ledger.errors import FormatError, VerificationError
from ledger.keys import PublicKey

WORTH_IT = 4000  # below that many entries, starting the workers costs more than they save
CHUNK = 1000
Check = tuple[str, bytes, bytes, bytes]
"""Algorithm and raw bytes of a key, a message, and the signature over it."""
Commitment = tuple[bytes, int] | None
"""Root and number of fields of a body; None where it has to be looked at again."""


class Labour:
    """So many workers, started when there is enough to do. One core: nothing is shared out."""

    def __init__(self, cores: int = 1) -> None:
        self.cores = cores
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Labour":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def worth_it(self, count: int) -> bool:
        """Whether to share out `count` pieces of work."""
        return self.cores > 1 and count >= WORTH_IT

    def commitments(self, bodies: Sequence[bytes]) -> "list[Future[list[Commitment]]]":
        """Begin to compute what each body commits to, chunk by chunk."""
        pool = self._workers()
        return [pool.submit(_commitments, bodies[low : low + CHUNK]) for low in range(0, len(bodies), CHUNK)]

    def suspects(self, checks: Sequence[Check]) -> Iterator[int]:
        """The numbers of chunks of CHUNK signatures in which one does not hold."""
        pool = self._workers()
        work = [pool.submit(_all_hold, checks[low : low + CHUNK]) for low in range(0, len(checks), CHUNK)]
        for number, held in enumerate(work):
            if not _result(held, otherwise=False):
                yield number

    def _workers(self) -> ProcessPoolExecutor:
        # Spawned, not forked: whoever verifies may have threads.
        self._pool = self._pool or ProcessPoolExecutor(self.cores, mp_context=get_context("spawn"))
        return self._pool


def gathered(work: "Sequence[Future[list[Commitment]]]", count: int) -> list[Commitment]:
    """The commitments in their order; None for all of a chunk whose worker died."""
    found: list[Commitment] = []
    for number, chunk in enumerate(work):
        left = min(CHUNK, count - number * CHUNK)
        nothing: list[Commitment] = [None] * left
        done: list[Commitment] = _result(chunk, otherwise=nothing)
        found += done
    return found


T = TypeVar("T")


def _result(work: "Future[T]", *, otherwise: T) -> T:
    try:
        return work.result()
    except (BrokenProcessPool, OSError):
        return otherwise


def _commitments(bodies: Sequence[bytes]) -> list[Commitment]:
    return [_commitment(body) for body in bodies]


def _commitment(body: bytes) -> Commitment:
    try:
        return Body.commitment(body)
    except FormatError:
        return None


def _all_hold(checks: Sequence[Check]) -> bool:
    try:
        for algorithm, raw, message, signature in checks:
            PublicKey(algorithm, raw).verify(message, signature)
    except (VerificationError, FormatError, ValueError):
        return False
    return True
