"""A BACnet Secure Connect hub, by rusty-bacnet: it lets in who stands on the site's roll of certificates, and nobody else."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rusty_bacnet import BacnetError, ScHub, ScHubCertificateBinding

from twin.clock import wall_now
from twin.errors import WireError
from twin.secure_connect import HUB, Member, in_force, node_uuid, node_vmac, read_members, vmac_bytes

LOOK_S = 2.0  # a revoked node is shut out within seconds
GRACE_MS = 1000  # nodes find another hub, or this one again, by themselves


class SecureHub:
    """The hub of one site. A change of the roll restarts it: whoever is still on the roll comes back within a second or two."""

    def __init__(self, folder: Path, site: str, listen: str) -> None:
        self._folder, self._site, self._listen = folder, site, listen
        self._hub: Any = None
        self._admitted: Mapping[str, Sequence[Member]] = {}
        self.restarts = -1

    async def start(self) -> str:
        """Listen; the URL that nodes dial. WireError when the place is taken or the hub has no certificate."""
        self._admitted = in_force(read_members(self._folder), wall_now())
        others = [rows for name, rows in self._admitted.items() if name != HUB]
        if HUB not in self._admitted or not others:
            raise WireError(
                f"{self._folder}: the hub needs a certificate in force, and at least one node beside it; "
                "issue them with `wattproof certificate issue SITE hub --host ADDRESS` and `... issue SITE gateway`"
            )
        identity = node_uuid(self._site, HUB)
        try:
            self._hub = ScHub(
                self._listen, str(self._folder / f"{HUB}.pem"), str(self._folder / f"{HUB}.key"), vmac_bytes(node_vmac(identity)),
                ca_cert=str(self._folder / "authority.pem"), device_uuid=identity.bytes,
                certificate_bindings=[_binding(rows) for rows in others],
                graceful_disconnect_ack_ms=GRACE_MS, graceful_ws_close_ms=GRACE_MS, graceful_overall_ms=2 * GRACE_MS,
            )  # fmt: skip
            await self._hub.start()
        except (BacnetError, RuntimeError, ValueError, OSError) as error:
            self._hub = None
            raise WireError(f"no hub on {self._listen} ({error}); choose another place, or issue the hub's certificate again") from None
        self.restarts += 1
        self._listen = str(await self._hub.address())  # port 0 was the system's choice; the next start takes the same one
        return f"wss://{self._listen}"

    async def keep(self, stop: asyncio.Event) -> None:
        """Serve until told to stop, with the roll as it stands."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), LOOK_S)
            except TimeoutError:
                if in_force(read_members(self._folder), wall_now()) != self._admitted:
                    await self.stop()
                    await self.start()

    async def clients(self) -> int:
        """How many nodes are joined now."""
        return int((await self._hub.status())["client_count"]) if self._hub is not None else 0

    async def stop(self) -> None:
        """Leave, politely if the nodes answer."""
        hub, self._hub = self._hub, None
        if hub is not None:
            await hub.shutdown_gracefully()


def _binding(rows: Sequence[Member]) -> Any:
    """One node: all its certificates in force lead to the same identity."""
    first = rows[0]
    return ScHubCertificateBinding(
        uuid=uuid.UUID(first.uuid).bytes, allowed_vmacs=[vmac_bytes(first.vmac)], leaf_sha256=[bytes.fromhex(row.sha256) for row in rows]
    )
