"""BACnet Secure Connect, by rusty-bacnet: the same requests as on BACnet/IP, through the site's hub over mutual TLS 1.3.

The library dials the failover hub when the primary is gone, and returns to the primary by itself. A new certificate in the
place of the old one is taken up within a minute, by dialling anew.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from rusty_bacnet import BACnetClient, BacnetError, ScReconnect

from controls.drivers import WireTimeout
from controls.drivers.bacnet_fast import FastEngine
from controls.drivers.papers import Papers, notices
from controls.tasks import end_tasks
from twin.clock import monotonic_s, wall_now
from twin.errors import WireError
from twin.secure_connect import GATEWAY, node_uuid, node_vmac, vmac_bytes
from twin.site import SecureConnect

DIAL_MS = 3000  # TCP, TLS 1.3 and Connect-Request on a building's network take well under a second
RETRY_FIRST_MS, RETRY_MOST_MS = 500, 5000  # the standard allows up to ten minutes; a building is not left alone so long
RETRIES = 2  # on the primary hub, then the failover hub is dialled
DIAL_AGAIN_S = 5.0  # after a hub that let nobody in
DOWN_MOST_S = 15.0  # a link that did not come back by itself is dialled anew
APDU_MS = 6000  # longer than our own deadline: the stream loses nothing, so a request is never sent twice
LOOK_S = 60.0  # how often the certificate's file is looked at

T = TypeVar("T")


class SecureEngine(FastEngine):
    """One link to the hub for all devices of a site; `to` is a VMAC."""

    _write_words: Mapping[str, str] = MappingProxyType({})

    def __init__(self, settings: SecureConnect, site: str) -> None:
        super().__init__()
        self._settings = settings
        self._identity = node_uuid(site, GATEWAY)
        self._link: Any = None
        self._dialled_with: bytes | None = None  # the certificate
        self._looked_s = self._failed_s = float("-inf")
        self._down_s: float | None = None  # since when requests have found the link down
        self._trouble = ""

    async def open(self, host: str) -> None:
        """Dial the hub; one that does not answer is dialled again with the requests."""
        try:
            await self._client(host)
        except WireTimeout:
            return

    async def close(self) -> None:
        async with self._opening:
            await self._hang_up()

    async def _client(self, to: str) -> Any:
        async with self._opening:
            if self._link is not None and (self._given_up() or await self._renewed()):
                await self._hang_up()
            if self._link is None:
                await self._dial()
            return self._link

    async def _listener(self, to: str) -> Any:
        client = await self._client(to)
        if self._changes is None:
            self._changes = await client.cov_notifications()
            self._hearing = asyncio.create_task(self._hear())
        return client

    async def _asked(self, client: Any, answer: Awaitable[T], to: str, what: str) -> T:
        try:
            found = await super()._asked(client, answer, to, what)
        except WireError:
            if (await client.connection_status()).state == "connected":
                raise
            self._down_s = self._down_s or monotonic_s()
            raise WireTimeout(f"{to}: {what}: no way to the hub {self._settings.hub}; is it running?") from None
        self._down_s = None
        return found

    def _source(self, mac: bytes) -> str:
        return mac.hex(":")

    def _given_up(self) -> bool:
        return self._down_s is not None and monotonic_s() - self._down_s > DOWN_MOST_S

    async def _renewed(self) -> bool:
        """Whether another certificate stands in the place of ours."""
        if monotonic_s() - self._looked_s < LOOK_S:
            return False
        self._looked_s = monotonic_s()
        return await asyncio.to_thread(_content, self._settings.tls_cert) not in (None, self._dialled_with)

    async def _dial(self) -> None:
        if monotonic_s() - self._failed_s < DIAL_AGAIN_S:
            raise WireTimeout(self._trouble)
        settings = self._settings
        self._dialled_with, self._looked_s = await asyncio.to_thread(_content, settings.tls_cert), monotonic_s()
        try:
            client = BACnetClient(
                transport="sc", sc_hub=settings.hub, sc_failover_hub=settings.failover_hub or None,
                sc_vmac=vmac_bytes(node_vmac(self._identity)), sc_device_uuid=self._identity.bytes,
                sc_ca_cert=settings.tls_ca, sc_client_cert=settings.tls_cert, sc_client_key=settings.tls_key,
                apdu_timeout_ms=APDU_MS, sc_connect_timeout_ms=DIAL_MS,
                reconnect=ScReconnect(initial_delay_ms=RETRY_FIRST_MS, max_delay_ms=RETRY_MOST_MS, max_retries=RETRIES),
            )  # fmt: skip
            await client.__aenter__()
        except (BacnetError, RuntimeError, ValueError, OSError) as error:
            self._failed_s = monotonic_s()
            papers = Papers(settings.tls_ca, settings.tls_cert, settings.tls_key)
            said = await asyncio.to_thread(notices, [papers], wall_now())
            self._trouble = "; ".join(filter(None, [*said.values(), f"hub {settings.hub} cannot be joined ({error})"]))
            raise WireTimeout(self._trouble) from None
        self._link, self._down_s = client, None

    async def _hang_up(self) -> None:
        link, self._link, self._changes, self._down_s = self._link, None, None, None
        if link is not None:
            await end_tasks([self._hearing])
            await link.stop()


def _content(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
