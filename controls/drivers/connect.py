"""One driver for each connection of a site."""

from collections.abc import Mapping

from controls.drivers import Driver
from controls.drivers.bacnet import BacnetDriver, BacnetNetwork
from controls.drivers.modbus import ModbusDriver
from twin.addresses import ModbusAddress, parse_address
from twin.errors import SiteError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Point


def make_drivers(book: PointBook, connections: Mapping[str, Connection]) -> dict[str, Driver]:
    """Drivers by connection, for the connections that bound points name; all BACnet ones share one application."""
    network = BacnetNetwork()
    drivers: dict[str, Driver] = {}
    for name, points in book.by_connection().items():
        settings = connections.get(name)
        if settings is None:
            raise SiteError(f"{points[0].id} is bound to connection {name!r}, which site.toml does not have; add [connections.{name}]")
        if settings.protocol == "bacnet":
            drivers[name] = BacnetDriver(name, settings, network)
        else:
            drivers[name] = ModbusDriver(name, settings, unit=_first_unit(points))
    return drivers


def _first_unit(points: list[Point]) -> int:
    assert points[0].binding is not None
    address = parse_address(points[0].binding.address)
    return address.unit if isinstance(address, ModbusAddress) else 1
