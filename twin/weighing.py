"""How well an object and a point of the twin fit: words, role, object type and unit. What cannot be is refused, whatever the names say."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from twin.addresses import BacnetAddress, parse_address
from twin.graph import brick
from twin.lexicon import Unit, conversion, meaning, unit_of_qudt, units
from twin.scans import ScannedDevice, ScannedObject

QUANTITIES: Mapping[str, frozenset[str]] = {
    # what is measured -> quantities that a unit may have for it; "" stands for no unit said
    "temperature": frozenset({"temperature"}), "dewpoint": frozenset({"temperature"}), "humidity": frozenset({"humidity", "share"}),
    "co2": frozenset({"concentration"}), "flow": frozenset({"flow", "share"}), "pressure": frozenset({"pressure", "share"}),
    "lux": frozenset({"illuminance"}), "power": frozenset({"power"}), "energy": frozenset({"energy"}), "current": frozenset({"current"}),
    "voltage": frozenset({"voltage"}), "frequency": frozenset({"frequency", "share"}),
    "speed": frozenset({"speed", "share", "frequency"}), "position": frozenset({"share"}), "damper": frozenset({"share", "velocity"}),
    "valve": frozenset({"share"}), "light": frozenset({"share"}),
}  # fmt: skip
_WEIGHT = {**dict.fromkeys(QUANTITIES, 3.0), "occupancy": 3.0, "run": 3.0, "count": 1.5, "air": 0.0, "water": 0.5, "zone": 1.0}
_OTHER_WEIGHT = 2.0  # supply, return, heating, min ...: what tells two points of one kind apart
_ASSUMED = {
    "zone": 0.35,
    "supply": 0.5,
    "heating": 1.0,
    "fan": 0.5,
    "air": 0.0,
    "position": 0.3,
    "static": 0.7,
    "run": 1.5,
    "temperature": 1.0,
    "count": 0.5,
}
"""What it costs that a name lacks a word of the class: in a VAV box nobody says zone, and few setpoints say temperature."""
_BESIDE = {
    "fan": 0.7,
    "occupancy": 0.6,
    "duct": 0.0,
    "air": 0.0,
    "zone": 0.5,
    "temperature": 1.0,
    "hot_water": 1.0,
    "chilled_water": 1.0,
    "air_quality": 0.0,
}
"""What it costs that a name says a word which the class lacks."""
_BESIDE_SUPPLY_FAN = 0.3  # "supply fan" speaks of the fan, and an air handler that runs is its supply fan
_CLASS_WORDS = {
    "discharge": "supply", "illuminance": "lux", "luminance": "light", "on": "run", "off": "run", "start": "run", "stop": "run",
    "enable": "run", "disable": "run", "relative": "", "level": "", "electric": "", "electrical": "", "target": "", "zone": "zone",
    "usage": "energy", "hot": "hot_water", "chilled": "chilled_water", "load": "power", "effective": "", "intensity": "", "quality": "",
}  # fmt: skip
_ROLE_OF_CLASS = {"sensor": "sensor", "setpoint": "setpoint", "command": "command", "status": "status", "alarm": "alarm", "limit": "limit"}
_ROLE_FIT = {
    # (role of the object, role of the class) -> how well; absent pairs do not fit
    ("sensor", "sensor"): 1.0, ("setpoint", "setpoint"): 1.0, ("command", "command"): 1.0, ("status", "status"): 1.0,
    ("alarm", "alarm"): 1.0, ("setpoint", "limit"): 0.95, ("limit", "limit"): 1.0, ("limit", "setpoint"): 0.8,
    ("command", "setpoint"): 0.6, ("setpoint", "command"): 0.6, ("sensor", "status"): 0.85, ("status", "sensor"): 0.7,
    ("value", "sensor"): 0.85, ("value", "setpoint"): 0.7, ("value", "command"): 0.75, ("value", "status"): 0.8, ("value", "limit"): 0.7,
    ("output", "command"): 0.95, ("output", "setpoint"): 0.75, ("output", "limit"): 0.7, ("command", "limit"): 0.5,
}  # fmt: skip
_YES_NO = frozenset({"run", "status", "alarm", "occupancy", "mode", "command", "unoccupied"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A point of the twin that has no address. `must_accept`: it takes commands, so a person must accept its address."""

    point: str
    brick: str
    unit: str
    owner: str
    label: str = ""
    must_accept: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What an object says of itself, read once."""

    address: str
    name: str
    kind: str  # analog, binary, multi-state
    side: str  # input, output, value
    content: frozenset[str]
    role: str  # sensor, setpoint, command, status, alarm, limit; output or value when only the type tells
    names: tuple[str, ...]
    unit: Unit | None


@dataclass(frozen=True, slots=True)
class Weighed:
    """How well object and class fit, with the evidence, and what turns the object's unit into the point's."""

    score: float
    evidence: str
    scale: float = 1.0
    offset: float = 0.0
    brick: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A point class in words."""

    content: frozenset[str]
    role: str


def said_by(device: ScannedDevice, thing: ScannedObject) -> Said:
    """Read an object's name and description; the device's name helps to tell whose it is."""
    address = parse_address(thing.address)
    assert isinstance(address, BacnetAddress), f"{thing.address}: only BACnet objects have names"
    kind, _, side = address.object_type.rpartition("-")
    own = meaning(f"{thing.name} | {thing.description}")
    names, role = (*meaning(device.name).names, *own.names), _role(own.roles, side)
    runs = {"run"} if kind == "binary" and role in ("command", "output") else set()  # a yes-or-no command starts and stops
    return Said(thing.address, thing.name, kind, side, (own.content | runs) - {"air"}, role, names, units().get(thing.units))


def weigh(said: Said, wanted: Wanted, own_names: frozenset[str]) -> Weighed | None:
    """Object against point; None where type, unit or role cannot be. `own_names`, pieces of the owner's identifier, speak of no kind."""
    role_and_type = _possible(said, f"brick:{wanted.brick}")
    if role_and_type is None:
        return None
    scale, offset = 1.0, 0.0
    point_unit = unit_of_qudt(wanted.unit)
    if said.unit is not None and point_unit is not None:
        if not _one_quantity(said.unit, point_unit):
            return None
        if said.unit.quantity == point_unit.quantity:
            scale, offset = conversion(said.unit, point_unit)
    fits, evidence = _words(said, f"brick:{wanted.brick}", own_names)
    return Weighed(round(fits * role_and_type, 3), f"{evidence}; {_typed(said)}", scale, offset)


def best_class(said: Said, own_names: frozenset[str]) -> Weighed | None:
    """The Brick point class that the object's words fit best, the shorter name among equals; None when none does."""
    best: tuple[float, int, str, str] | None = None
    for name in point_classes():
        role_and_type = _possible(said, name)
        if role_and_type is None or not (said.content & kind_of(name).content):
            continue
        fits, evidence = _words(said, name, own_names)
        found = (round(fits * role_and_type, 3), -len(kind_of(name).content), name, evidence)
        if best is None or found[:2] > best[:2]:
            best = found
    if best is None:
        return None
    unit = said.unit.qudt if said.unit is not None else "NUM"
    return Weighed(best[0], f"{best[3]}; {_typed(said)}", brick=best[2].removeprefix("brick:"), unit=unit)


@cache
def point_classes() -> tuple[str, ...]:
    """Every class of Brick 1.5 below Point that is not deprecated and says more than its role."""
    names = (n for n in brick().classes if n.startswith("brick:") and n not in brick().deprecated and brick().is_a(n, "brick:Point"))
    return tuple(sorted((n for n in names if kind_of(n).content and kind_of(n).role), key=lambda n: (_synonyms(n), n)))


def _synonyms(name: str) -> int:
    """How many words of a class are another word's synonym (discharge for supply): among equals the plain name comes first."""
    return sum(bool(_CLASS_WORDS.get(w.lower())) and _CLASS_WORDS[w.lower()] != w.lower() for w in name.removeprefix("brick:").split("_"))


@cache
def kind_of(name: str) -> _Kind:
    """A class name in words: Heating_Zone_Air_Temperature_Setpoint says heating, zone, temperature and the role setpoint."""
    words = [_CLASS_WORDS.get(w.lower(), w.lower()) for w in name.removeprefix("brick:").split("_")]
    roles = [_ROLE_OF_CLASS[w] for w in words if w in _ROLE_OF_CLASS]
    content = frozenset(w for w in words if w and w not in _ROLE_OF_CLASS and w != "air")
    return _Kind(content - {"water"} if content & {"hot_water", "chilled_water"} else content, roles[-1] if roles else "")


def _possible(said: Said, name: str) -> float | None:
    """How well role and type fit the class; None where they cannot: an input takes no command, a switch measures no temperature."""
    kind = kind_of(name)
    fit = _ROLE_FIT.get((said.role, kind.role))
    if fit is None or (said.side == "input" and kind.role in ("setpoint", "command", "limit")):
        return None
    if said.kind != "analog" and not (
        (kind.content | {kind.role}) & _YES_NO and not kind.content & (QUANTITIES.keys() - {"damper", "valve", "light"})
    ):
        return None
    measured = [QUANTITIES[w] for w in kind.content if w in QUANTITIES]
    if said.unit is not None and measured and not any(said.unit.quantity in allowed for allowed in measured):
        return None
    if said.unit is not None and not measured and said.unit.quantity not in ("share", "time"):
        return None
    return fit


def _words(said: Said, name: str, own_names: frozenset[str]) -> tuple[float, str]:
    """Weighted share of the words that both say."""
    kind = kind_of(name)
    both, missing = said.content & kind.content, kind.content - said.content
    named = {word for piece in own_names for word in meaning(piece).content}
    extra = said.content - kind.content - named
    if not both:
        return 0.0, "no word in common"
    shared = sum(_WEIGHT.get(w, _OTHER_WEIGHT) for w in both)
    lacking = sum(_ASSUMED.get(w, _WEIGHT.get(w, _OTHER_WEIGHT)) for w in missing)
    beside = sum(_BESIDE.get(w, _WEIGHT.get(w, _OTHER_WEIGHT)) for w in extra)
    if "fan" in said.content and "supply" in extra:
        beside -= _OTHER_WEIGHT - _BESIDE_SUPPLY_FAN
    if said.unit is not None and any(said.unit.quantity in QUANTITIES.get(w, ()) for w in missing):
        lacking *= 0.5  # the unit says what the name left out
    told = f"says {', '.join(sorted(both))}" + (f", not {', '.join(sorted(missing))}" if missing else "")
    return shared / (shared + lacking + beside), told + (f", besides {', '.join(sorted(extra))}" if extra else "")


def _role(roles: frozenset[str], side: str) -> str:
    """The role that the words say, else the one of the object's side."""
    for role in ("setpoint", "alarm", "status", "command", "limit"):
        if role in roles and not (role in ("setpoint", "command") and side == "input"):
            return role
    if side == "input" or "sensor_role" in roles:
        return "sensor"
    return side


def _one_quantity(raw: Unit, wanted: Unit) -> bool:
    return raw.quantity == wanted.quantity or {raw.quantity, wanted.quantity} == {"humidity", "share"}


def _typed(said: Said) -> str:
    return f"{said.kind} {said.side}" + (f" in {said.unit.qudt}" if said.unit is not None else "")
