"""Lanes to the wire: one request in flight for each device and each router network, few in all, and writes before reads."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

IN_FLIGHT_MAX = 32  # of a site: a hundred answers at once overran the default receive buffer and were lost
DOUBTFUL_MAX = 32  # of those whose last request was not answered: their time-outs must not use up the places of the others


class Gate:
    """Lets so many through at a time; who writes goes before who reads, else first come, first served."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._writers: deque[asyncio.Future[None]] = deque()
        self._readers: deque[asyncio.Future[None]] = deque()

    async def to_write(self) -> None:
        """Wait for a place, before all who read."""
        await self._enter(self._writers)

    async def to_read(self) -> None:
        """Wait for a place, behind all who write."""
        await self._enter(self._readers)

    def leave(self) -> None:
        """Give the place to the next one."""
        for queue in (self._writers, self._readers):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1

    async def _enter(self, queue: "deque[asyncio.Future[None]]") -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place came and nobody is there any more to use it
                self.leave()
            raise


class Way:
    """One connection's way to the wire: its own lane, or the one it shares with its network, and a place among all."""

    def __init__(self, lane: Gate, sound: Gate, doubtful: Gate) -> None:
        self._lane = lane
        self._sound = sound
        self._doubtful = doubtful
        self.answered = True  # the last request; set by the driver

    @asynccontextmanager
    async def to_read(self) -> AsyncIterator[None]:
        """The right to send one request, after all writes that wait."""
        await self._lane.to_read()
        try:
            places = self._places()
            await places.to_read()
            try:
                yield
            finally:
                places.leave()
        finally:
            self._lane.leave()

    @asynccontextmanager
    async def to_write(self) -> AsyncIterator[None]:
        """The right to send one request, before all reads that wait."""
        await self._lane.to_write()
        try:
            places = self._places()
            await places.to_write()
            try:
                yield
            finally:
                places.leave()
        finally:
            self._lane.leave()

    def _places(self) -> Gate:
        return self._sound if self.answered else self._doubtful


class Traffic:
    """All lanes of a site."""

    def __init__(self) -> None:
        self._sound = Gate(IN_FLIGHT_MAX)
        self._doubtful = Gate(DOUBTFUL_MAX)
        self._networks: dict[str, Gate] = {}

    def way(self, network: str = "") -> Way:
        """A new way; those that name the same router network share one lane."""
        lane = self._networks.setdefault(network, Gate(1)) if network else Gate(1)
        return Way(lane, self._sound, self._doubtful)
