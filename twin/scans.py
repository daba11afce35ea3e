"""What a discovery scan found, as a file of the site's state (scan.json): devices, their objects, and what was odd.

Controls write it, binding reads it.
{"format": "wattproof scan", "version": 1, "at": ISO time, "devices": [...], "problems": [...]}; devices and objects have the fields below.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from twin.addresses import parse_address
from twin.errors import SiteError, StateError
from twin.state import read_json, write_json

FORMAT, VERSION = "wattproof scan", 1
FILE_NAME = "scan.json"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ScannedObject:
    """One object of a device: its address as the product writes it, and what the device says of it."""

    address: str  # bacnet:CONNECTION/OBJECT-TYPE,INSTANCE or modbus:...
    name: str = ""
    description: str = ""
    units: str = ""  # BACnet's own name, for example degrees-celsius; empty: none said
    commandable: bool = False  # a priority array is there
    answered: bool = True  # Modbus: whether the listed register gave a value

    def __post_init__(self) -> None:
        parse_address(self.address)


@dataclass(frozen=True, slots=True)
class ScannedDevice:
    """One device: where it answered, who it says it is, and its objects. `connection` is its name in site.toml, or the one to add."""

    protocol: str
    address: str  # host:port
    id: int
    connection: str
    known: bool = False  # the connection stands in site.toml
    name: str = ""
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    database_revision: int = 0
    objects: tuple[ScannedObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """A whole scan; `problems` are sentences: double ids, changed addresses, devices that did not answer."""

    at: str
    devices: tuple[ScannedDevice, ...] = ()
    problems: tuple[str, ...] = field(default=())

    @property
    def objects(self) -> list[tuple[ScannedDevice, ScannedObject]]:
        return [(device, thing) for device in self.devices for thing in device.objects]


def write_scan(path: Path, scan: Scan) -> None:
    """Write scan.json whole or not at all."""
    write_json(path, {"format": FORMAT, "version": VERSION, **asdict(scan)})


def read_scan(path: Path) -> Scan | None:
    """The scan, None where there is no file; SiteError when the file is of another kind or broken."""
    if not path.exists():
        return None
    try:
        data = read_json(path)
    except (StateError, OSError) as error:
        raise SiteError(f"{path}: cannot be read as a scan ({error}); scan again with `wattproof discover`") from None
    if not isinstance(data, Mapping) or data.get("format") != FORMAT or data.get("version") != VERSION:
        raise SiteError(f"{path}: expected a scan (format {FORMAT!r}, version {VERSION}); scan again with `wattproof discover`")
    try:
        devices = tuple(_device(row) for row in data["devices"])
        return Scan(str(data["at"]), devices, tuple(str(p) for p in data.get("problems", ())))
    except (KeyError, TypeError, ValueError, AttributeError, SiteError) as error:
        raise SiteError(f"{path}: a part of the scan is not as it should be ({error}); scan again with `wattproof discover`") from None


def _device(row: Mapping[str, Any]) -> ScannedDevice:
    objects = tuple(_made(ScannedObject, thing) for thing in row.get("objects", ()))
    return _made(ScannedDevice, {**row, "objects": objects})


def _made(kind: type[T], row: Mapping[str, Any]) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in row.items() if key in known})
