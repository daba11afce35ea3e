"""Subscriptions: devices with room for them tell changes of fast points by themselves, and polling stays underneath.

A lost subscription makes no sound. So it is renewed at half its life, a first notification must come, the slower polling goes on,
and a device that was away is asked anew: a restart empties its list.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from controls.drivers import Sample
from controls.scan import Scanner, Watch
from twin.clock import monotonic_s

LIFETIME_S = 600
RENEW_S = LIFETIME_S / 2
FIRST_WITHIN_S = 5.0  # the standard has a notification follow the subscription at once
AGAIN_S = 3600.0  # a device without room, or without the service, is asked again that rarely
TICK_S = 1.0


@dataclass
class _State:
    """How one device stands with us."""

    due_s: float = 0.0
    asked_s: float = 0.0
    agreed: set[str] = field(default_factory=set)  # points for which it took the subscription
    heard: set[str] = field(default_factory=set)  # ... and then said something


class Subscriptions:
    """Subscribes for the fast points of all devices, and says which of them need no fast polling."""

    def __init__(self, scanner: Scanner, now: Callable[[], datetime]) -> None:
        self._scanner = scanner
        self._now = now
        self._states = {name: _State() for name, watch in scanner.watches.items() if watch.fast}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.gather(*[self._tend(self._scanner.watches[name], state) for name, state in self._states.items()])
            await asyncio.sleep(TICK_S)

    async def _tend(self, watch: Watch, state: _State) -> None:
        now_s = monotonic_s()
        if watch.lost or watch.barred or not watch.answering:
            state.due_s, state.agreed, state.heard = 0.0, set(), set()  # whoever returns is asked anew
            watch.told(())
            return
        if now_s >= state.due_s:
            await self._subscribe(watch, state)
        if state.agreed and now_s - state.asked_s > FIRST_WITHIN_S:
            state.agreed &= state.heard  # it agreed and stays mute: polled
        watch.told(state.agreed & state.heard)

    async def _subscribe(self, watch: Watch, state: _State) -> None:
        def take(sample: Sample) -> None:
            state.heard.add(sample.point)
            self._scanner.take(watch.name, [sample], self._now())

        state.asked_s = monotonic_s()
        state.heard.clear()  # each renewal brings a notification too: a list that the device lost shows itself
        agreed = await watch.driver.subscribe(watch.fast, LIFETIME_S, take)
        state.agreed = {p.id for p in agreed}
        state.due_s = monotonic_s() + (RENEW_S if agreed else AGAIN_S)
