"""Lanes to the wire: one request in flight for each device and each router network, few in all, and writes before reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

IN_FLIGHT_MAX = 32  # of a site: a hundred answers at once overran the default receive buffer and were lost
DOUBTFUL_MAX = 32  # of those whose last request was not answered: their time-outs must not use up the places of the others


class Lane:
    """What carries one request at a time: a device, or the network behind a router."""

    def __init__(self) -> None:
        self.busy = False


class Traffic:
    """All lanes of a site. Whoever waits goes as soon as its lane and a place are free: writes first, then first come, first served."""

    def __init__(self) -> None:
        self._free = {True: IN_FLIGHT_MAX, False: DOUBTFUL_MAX}  # by whether the device answers
        self._networks: dict[str, Lane] = {}
        self._writers: list[_Waiting] = []
        self._readers: list[_Waiting] = []

    def way(self, network: str = "") -> "Way":
        """A new way; those that name the same router network share one lane."""
        return Way(self, self._networks.setdefault(network, Lane()) if network else Lane())

    async def enter(self, way: "Way", *, to_write: bool) -> bool:
        """Wait for lane and place; which kind of place it is, for `leave`."""
        kind = way.answered
        if self._take(way.lane, kind):
            return kind
        waiting = _Waiting(way.lane, kind)
        queue = self._writers if to_write else self._readers
        queue.append(waiting)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting in queue:
                queue.remove(waiting)
            if not waiting.turn.cancelled():  # the turn came, and nobody is there any more to use it
                self.leave(way, kind)
            raise
        return kind

    def leave(self, way: "Way", kind: bool) -> None:
        """Free lane and place, and let go who can."""
        way.lane.busy = False
        self._free[kind] += 1
        for queue in (self._writers, self._readers):
            for waiting in [w for w in queue if not w.lane.busy and not w.turn.done()]:
                if self._take(waiting.lane, waiting.kind):
                    queue.remove(waiting)
                    waiting.turn.set_result(None)

    def _take(self, lane: Lane, kind: bool) -> bool:
        if lane.busy or not self._free[kind]:
            return False
        lane.busy = True
        self._free[kind] -= 1
        return True


class Way:
    """One connection's way to the wire: its own lane, or the one it shares with its network."""

    def __init__(self, traffic: Traffic, lane: Lane) -> None:
        self._traffic = traffic
        self.lane = lane
        self.answered = True  # the last request; set by the driver

    @asynccontextmanager
    async def to_read(self) -> AsyncIterator[None]:
        """The right to send one request, after all writes that wait."""
        kind = await self._traffic.enter(self, to_write=False)
        try:
            yield
        finally:
            self._traffic.leave(self, kind)

    @asynccontextmanager
    async def to_write(self) -> AsyncIterator[None]:
        """The right to send one request, before all reads that wait."""
        kind = await self._traffic.enter(self, to_write=True)
        try:
            yield
        finally:
            self._traffic.leave(self, kind)


class _Waiting:
    """Somebody who waits for a lane and a place."""

    def __init__(self, lane: Lane, kind: bool) -> None:
        self.lane = lane
        self.kind = kind
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
