"""A site's configuration: site.toml read into frozen values, every key known, every error naming what to mend."""

import difflib
import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import tzinfo
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twin.errors import SiteError
from twin.secure_connect import vmac_bytes

PROTOCOLS = ("bacnet", "modbus")
FRAMINGS = ("tcp", "tls", "rtu", "rtu_over_tcp")  # how Modbus travels; rtu is a serial line
BACNET_ENGINES = ("fast", "reference")
PARITIES = ("N", "E", "O")
LINKS_MAX = 8  # connections to one Modbus gateway; few take more
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")  # names become folders and stand in sealed entries
HIDDEN = ("folder", "group", "cycle", "comfort", "secure_connect", "bacnet", "connections")  # no plain keys of site.toml
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """One device or gateway on the network. Port 0: a simulated site chooses a free one at start."""

    protocol: str
    host: str = "127.0.0.1"
    port: int = 0
    device: int = 0  # BACnet device instance; Modbus units stand in the address
    vmac: str = ""  # a device on BACnet Secure Connect, through the site's hub; host and port do not count then
    network: str = ""  # the router network behind which the device stands: all of one name are asked one at a time
    framing: str = "tcp"
    serial: str = ""  # the serial line of framing rtu
    baud: int = 9600
    parity: str = "N"
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    delay_ms: int = 0  # least time between two requests: some gateways need a pause
    links: int = 1  # TCP connections that the gateway allows at once

    def __post_init__(self) -> None:
        _among("protocol", self.protocol, PROTOCOLS)
        _among("framing", self.framing, FRAMINGS)
        _among("parity", self.parity, PARITIES)
        for key, value, most in (("port", self.port, 65535), ("delay_ms", self.delay_ms, 10_000)):
            if not 0 <= value <= most:
                raise ValueError(f"{key} must be 0 to {most}, got {value}")
        if not 1 <= self.links <= LINKS_MAX:
            raise ValueError(f"links must be 1 to {LINKS_MAX}, got {self.links}")
        if not 300 <= self.baud <= 1_000_000:
            raise ValueError(f"baud must be 300 to 1000000, got {self.baud}")
        if self.framing == "tls" and not (self.tls_ca and self.tls_cert and self.tls_key):
            raise ValueError("framing tls needs tls_ca, tls_cert and tls_key: both ends show a certificate")
        if (self.framing == "rtu") != bool(self.serial):
            raise ValueError("framing rtu and serial (the serial line, such as /dev/ttyUSB0) belong together")
        if self.vmac:
            vmac_bytes(self.vmac)
            if self.protocol != "bacnet":
                raise ValueError("vmac belongs to BACnet Secure Connect; take it out of a modbus connection")
        if self.framing == "rtu" and self.links > 1:
            raise ValueError("a serial line carries one request at a time; take links out")


@dataclass(frozen=True, slots=True)
class GroupMembership:
    """The ledger group the site belongs to: one owner, the government, and who else."""

    name: str
    owner: str
    government: str

    def __post_init__(self) -> None:
        require_name(self.name)


ANSWER_S = (0.05, 10.0)  # no stack answers faster under load; the standard's own default is 3 s


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """How often the cycle runs and how long a command may live without being renewed."""

    step_s: int = 600
    lease_s: int = 900  # field-bus convention: never above 15 minutes
    bacnet_engine: str = "fast"
    fast_s: int = 5  # how often a real site's points are read, by their rate class (controls/rates.csv)
    normal_s: int = 30
    slow_s: int = 300
    answer_s: float = 0.5  # a controller on MS/TP answers within half a second

    def __post_init__(self) -> None:
        if not ANSWER_S[0] <= self.answer_s <= ANSWER_S[1]:
            raise ValueError(f"answer_s must be {ANSWER_S[0]:g} to {ANSWER_S[1]:g}, got {self.answer_s:g}")
        if not 1 <= self.step_s <= 3600:
            raise ValueError(f"step_s must be 1 to 3600, got {self.step_s}")
        if not self.step_s <= self.lease_s <= 900:
            raise ValueError(f"lease_s must be between step_s and 900, got {self.lease_s}")
        _among("bacnet_engine", self.bacnet_engine, BACNET_ENGINES)
        if not 1 <= self.fast_s <= self.normal_s <= self.slow_s <= 3600:
            raise ValueError(f"fast_s, normal_s, slow_s must rise within 1 to 3600, got {self.fast_s}, {self.normal_s}, {self.slow_s}")


@dataclass(frozen=True, slots=True)
class SecureConnect:
    """How the site is reached over BACnet Secure Connect: the hub, and our own certificate. Without a hub there is none."""

    hub: str = ""  # wss://host:port
    failover_hub: str = ""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    listen: str = ""  # host:port where `wattproof hub` listens, for a site without a hub

    def __post_init__(self) -> None:
        for key, url in (("hub", self.hub), ("failover_hub", self.failover_hub)):
            if url and not url.startswith("wss://"):
                raise ValueError(f"{key} must be a URL such as wss://10.0.0.2:47809, got {url!r}")
        if self.failover_hub and not self.hub:
            raise ValueError("failover_hub needs a hub before it")
        if self.listen and not re.fullmatch(r"[^:\s]+:[0-9]{1,5}", self.listen):
            raise ValueError(f"listen must be host:port, got {self.listen!r}")


@dataclass(frozen=True, slots=True)
class BacnetNetwork:
    """How the site's BACnet/IP network is faced. Without an interface or a BBMD nobody listens to what is said there."""

    interface: str = ""  # our own address with its mask (10.0.0.5/24): every BACnet socket is bound to it alone
    port: int = 47808  # where announcements of devices are heard; 0: any free one
    bbmd: str = ""  # host:port of a BBMD that we join as a foreign device, to hear another subnet
    bbmd_lifetime_s: int = 300  # how long it keeps us; renewed at a third of it
    sources: tuple[str, ...] = ()  # addresses, besides the devices', whose datagrams are taken
    known: tuple[str, ...] = ()  # instances of devices that are there and none of ours

    def __post_init__(self) -> None:
        if self.interface:
            _our_address(self.interface)
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be 0 to 65535, got {self.port}")
        if self.bbmd and not re.fullmatch(r"[^:\s]+:[0-9]{1,5}", self.bbmd):
            raise ValueError(f"bbmd must be host:port, got {self.bbmd!r}")
        if not 30 <= self.bbmd_lifetime_s <= 65535:
            raise ValueError(f"bbmd_lifetime_s must be 30 to 65535, got {self.bbmd_lifetime_s}")
        for source in self.sources:
            _ipv4(source)
        if wrong := [text for text in self.known if not text.isdigit()]:
            raise ValueError(f'known must be device instances such as "4711", got {wrong[0]!r}')


def _our_address(text: str) -> None:
    try:
        ipaddress.IPv4Interface(text if "/" in text else "no mask")
    except ValueError:
        raise ValueError(f"interface must be our own address with its mask, for example 10.0.0.5/24, got {text!r}") from None


def _ipv4(text: str) -> None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError(f"sources must be IPv4 addresses, got {text!r}") from None


@dataclass(frozen=True, slots=True)
class Comfort:
    """What people are owed: the temperature band while they are present, CO2, humidity and light."""

    category: str = "II"  # EN 16798-1
    low_c: float = 20.0
    high_c: float = 26.0
    co2_ppm_max: float = 1000.0
    rh_percent_max: float = 65.0
    lux_target: float = 500.0

    def __post_init__(self) -> None:
        if self.category not in ("I", "II", "III", "IV"):
            raise ValueError(f"category must be I, II, III or IV (EN 16798-1), got {self.category!r}")
        if not 10 <= self.low_c < self.high_c <= 35:
            raise ValueError(f"low_c must be below high_c within 10 to 35, got {self.low_c:g} and {self.high_c:g}")


@dataclass(frozen=True)
class Site:
    """A building as its integrator describes it; the folder holds the rest (models, points, plant, tariff)."""

    folder: Path
    name: str
    title: str
    place: str
    jurisdiction: str
    timezone: str
    area_m2: float
    use: str
    grid_region: str
    group: GroupMembership
    connections: Mapping[str, Connection]
    contract_demand_kw: float = 0.0
    transformer_kva: float = 0.0
    protected_zones: tuple[str, ...] = ()
    state_directory: str = ""
    cycle: CycleSettings = field(default_factory=CycleSettings)
    comfort: Comfort = field(default_factory=Comfort)
    secure_connect: SecureConnect = field(default_factory=SecureConnect)
    bacnet: BacnetNetwork = field(default_factory=BacnetNetwork)

    def __post_init__(self) -> None:
        require_name(self.name)
        if not 0 < self.area_m2 < math.inf:
            raise ValueError(f"area_m2 must be a number above 0, got {self.area_m2:g}")
        if not self.secure_connect.hub and (first := next((n for n, c in self.connections.items() if c.vmac), "")):
            raise ValueError(f"connection {first} has a vmac, so [secure_connect] must name a hub")
        for key, value in (("contract_demand_kw", self.contract_demand_kw), ("transformer_kva", self.transformer_kva)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{key} must be 0 (not watched) or above, got {value:g}")

    @property
    def zone(self) -> tzinfo:
        return ZoneInfo(self.timezone)

    @property
    def simulated(self) -> bool:
        return (self.folder / "plant.toml").exists()

    @property
    def models(self) -> list[Path]:
        return sorted((self.folder / "models").glob("*.ifc"))

    @property
    def twin_file(self) -> Path:
        return self.folder / "twin.ttl"

    @property
    def plan_file(self) -> Path:
        return self.folder / "plan.json"

    @property
    def points_file(self) -> Path:
        return self.folder / "points.csv"

    @property
    def interlocks_file(self) -> Path:
        return self.folder / "interlocks.csv"

    @property
    def plant_file(self) -> Path:
        return self.folder / "plant.toml"


def _among(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{key} must be one of {', '.join(allowed)}, got {value!r}")


def require_name(name: str) -> None:
    """ValueError unless a site's or group's name can stand as a folder's name everywhere."""
    if not NAME.fullmatch(name):
        raise ValueError(f"name must be lower-case letters, digits, - and _ (at most 63), got {name!r}")


def find_site(name_or_path: str) -> Path:
    """The folder of a site given by path or, below `sites/` of the product, by name."""
    for folder in (Path(name_or_path), Path("sites") / name_or_path, product_root() / "sites" / name_or_path):
        if (folder / "site.toml").is_file():
            return folder.resolve()
    raise SiteError(f"{name_or_path}: no folder with a site.toml here or below sites/; give a site's name or its folder")


def product_root() -> Path:
    """The folder that holds the six packages and `sites/`."""
    return Path(__file__).resolve().parent.parent


def load_site(folder: Path) -> Site:
    """Read `site.toml`; SiteError names the key, what was expected and what came."""
    path = folder / "site.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SiteError(f"{path}: no such file; a site folder needs a site.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SiteError(f"{path}: not readable as TOML ({error})") from None
    where = str(path)
    tables = {
        "group": (GroupMembership, data.pop("group", {})),
        "cycle": (CycleSettings, data.pop("cycle", {})),
        "comfort": (Comfort, data.pop("comfort", {})),
        "bacnet": (BacnetNetwork, data.pop("bacnet", {})),
        "secure_connect": (SecureConnect, _in_folder(folder, _table(data.pop("secure_connect", {}), where, "secure_connect"))),
    }
    parts: dict[str, Any] = {name: _build(kind, _table(value, where, name), f"{where}: [{name}]") for name, (kind, value) in tables.items()}
    connections = _table(data.pop("connections", {}), where, "connections")
    parts["connections"] = {
        name: _build(Connection, _in_folder(folder, _table(value, where, f"connections.{name}")), f"{where}: [connections.{name}]")
        for name, value in connections.items()
    }
    site = _build(Site, {"folder": folder, **data, **parts}, where, hidden=HIDDEN)
    try:
        ZoneInfo(site.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # "Asia" alone is a folder
        raise SiteError(f"{where}: timezone {site.timezone!r} is not known; use a name such as Asia/Shanghai") from None
    return site


def _in_folder(folder: Path, table: dict[str, Any]) -> dict[str, Any]:
    """Certificates are named from the site's folder on."""
    files = {key: str(folder / table[key]) for key in ("tls_ca", "tls_cert", "tls_key") if isinstance(table.get(key), str) and table[key]}
    return {**table, **files}


def _table(value: Any, where: str, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SiteError(f"{where}: [{name}] must be a table, got {type(value).__name__}")
    return dict(value)


def _build(kind: type[T], values: dict[str, Any], where: str, hidden: tuple[str, ...] = ()) -> T:
    """Make a dataclass from a table: unknown keys, missing keys and wrong types are said in one line."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, [k for k in known if k not in hidden], 1)
            raise SiteError(
                f"{where}: unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}")
            )
        if key not in hidden:
            values[key] = _typed(value, str(known[key].type), f"{where}: {key}")
    missing = [n for n, f in known.items() if n not in values and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise SiteError(f"{where}: missing {', '.join(missing)}")
    try:
        return kind(**values)
    except ValueError as error:
        raise SiteError(f"{where}: {error}") from None


def _typed(value: Any, wanted: str, where: str) -> Any:
    if "float" in wanted and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if "tuple" in wanted and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    plain = {"<class 'str'>": str, "<class 'int'>": int}.get(wanted)
    if plain is not None and isinstance(value, plain) and not isinstance(value, bool):
        return value
    names = {
        "<class 'str'>": "a text",
        "<class 'int'>": "a whole number",
        "<class 'float'>": "a number",
        "tuple[str, ...]": "a list of texts",
    }
    raise SiteError(f"{where}: expected {names.get(wanted, wanted)}, got {value!r}")


def state_root(option: str | None = None, site: Site | None = None) -> Path:
    """Where state lives: the option, else WATTPROOF_STATE, else what the site says, else ~/.local/state/wattproof."""
    chosen = option or os.environ.get("WATTPROOF_STATE") or (site.state_directory if site else "") or "~/.local/state/wattproof"
    return Path(chosen).expanduser().absolute()
