"""One driver for each connection of a site."""

import logging
from collections.abc import Mapping

from controls.drivers import Driver
from controls.drivers.bacnet import BacnetDriver
from controls.drivers.bacnet_engine import ANSWER_S, Engine
from controls.drivers.lanes import Traffic
from controls.drivers.modbus import ModbusDriver
from controls.drivers.sockets import Reach
from twin.addresses import ModbusAddress, parse_address
from twin.errors import MissingError, SiteError
from twin.points import PointBook
from twin.site import BacnetNetwork, Connection, SecureConnect
from twin.words import Point

GATEWAY_WAITS = 2  # nothing is asked twice over Modbus, so it is waited for as long as for both questions of BACnet

_log = logging.getLogger(__name__)


def make_drivers(
    book: PointBook,
    connections: Mapping[str, Connection],
    bacnet_engine: str = "fast",
    *,
    site: str = "",
    secure: SecureConnect | None = None,
    answer_s: float = ANSWER_S,
    network: BacnetNetwork | None = None,
) -> dict[str, Driver]:
    """Drivers by connection, for the connections that bound points name; all BACnet ones share one engine, those with a vmac one link."""
    reach = reach_of(connections, network)
    engine: Engine | None = None
    link: Engine | None = None
    traffic = Traffic()
    drivers: dict[str, Driver] = {}
    for name, points in book.by_connection().items():
        settings = connections.get(name)
        if settings is None:
            raise SiteError(f"{points[0].id} is bound to connection {name!r}, which site.toml does not have; add [connections.{name}]")
        if settings.vmac:
            link = link or _secure_link(secure, site, name)
            drivers[name] = BacnetDriver(name, settings, link, traffic.way(settings.network))
        elif settings.protocol == "bacnet":
            engine = engine or make_engine(bacnet_engine, answer_s, reach)
            drivers[name] = BacnetDriver(name, settings, engine, traffic.way(settings.network))
        else:
            drivers[name] = ModbusDriver(name, settings, traffic, unit=_first_unit(points), answer_s=GATEWAY_WAITS * answer_s)
    return drivers


def reach_of(connections: Mapping[str, Connection], network: BacnetNetwork | None = None) -> Reach:
    """From where our BACnet/IP sockets speak, and whom they hear: the site's devices, and whom site.toml names beside them."""
    settings = network or BacnetNetwork()
    devices = {c.host for c in connections.values() if c.protocol == "bacnet" and not c.vmac}
    return Reach(settings.interface, frozenset({*devices, *settings.sources} if devices else ()))


def make_engine(name: str, answer_s: float = ANSWER_S, reach: Reach = Reach()) -> Engine:  # noqa: B008 (a frozen value)
    """The BACnet engine of this name; where the fast one has no wheel, the reference one, and the log says so."""
    if name == "fast":
        try:
            from controls.drivers.bacnet_fast import FastEngine  # here, because a platform without its wheel must still run

            return FastEngine(answer_s, reach)
        except ImportError as error:
            _log.warning("the fast BACnet engine does not load here (%s); the reference engine takes over: slower", error)
    from controls.drivers.bacnet_reference import ReferenceEngine  # here, because it takes long to load and is rarely needed

    return ReferenceEngine(answer_s, reach)


def _secure_link(secure: SecureConnect | None, site: str, connection: str) -> Engine:
    if secure is None or not secure.hub:
        raise SiteError(f"connection {connection} has a vmac, so [secure_connect] of site.toml must name a hub")
    try:
        from controls.drivers.bacnet_secure import SecureEngine  # here, as above
    except ImportError as error:
        raise MissingError(f"BACnet Secure Connect needs rusty-bacnet, which does not load here ({error})") from None
    return SecureEngine(secure, site)


def _first_unit(points: list[Point]) -> int:
    assert points[0].binding is not None
    address = parse_address(points[0].binding.address)
    return address.unit if isinstance(address, ModbusAddress) else 1
