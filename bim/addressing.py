"""Property sets that carry a point's address, read into the address text of twin.addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twin.addresses import parse_address
from twin.errors import SiteError

PSET_BACNET = "BuildingControl_BACnet"
PSET_MODBUS = "BuildingControl_Modbus"


@dataclass(frozen=True, slots=True)
class PsetAddress:
    """What a property set says of a point; `text` is its address, `problem` why it has none."""

    pset: str
    text: str = ""
    object_name: str = ""
    device: str = ""
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    writable: bool = False
    point_name: str = ""
    point_class: str = ""
    problem: str = ""
    bound_by: str = ""  # review or scan, where the model did not say it
    confidence: float = 1.0


def read_address(pset: str, values: Mapping[str, Any]) -> PsetAddress:
    """The address in a property set; an unusable one is kept with its problem, never dropped."""
    text, device, problem = "", "", ""
    try:
        device = _connection(values)
        text = _bacnet(device, values) if pset == PSET_BACNET else _modbus(device, values)
        text = str(parse_address(text))
    except (SiteError, KeyError, ValueError) as error:
        text, problem = "", f"missing property {error}" if isinstance(error, KeyError) else str(error)
    return PsetAddress(
        pset,
        text,
        str(values.get("ObjectName", "")),
        device,
        str(values.get("Unit", "")),
        _number(values.get("Scale"), 1.0),
        _number(values.get("Offset"), 0.0),
        bool(values.get("Writable", False)),
        str(values.get("PointName", "")),
        str(values.get("PointClass", "")),
        problem,
    )


def _connection(values: Mapping[str, Any]) -> str:
    """The connection's name; models that state only a device instance or host get one made of it."""
    if name := values.get("Connection"):
        return str(name)
    if "DeviceInstance" in values:
        return f"device_{int(values['DeviceInstance'])}"
    return "host_" + "".join(c if c.isalnum() else "_" for c in str(values["Host"]).lower())


def _bacnet(connection: str, values: Mapping[str, Any]) -> str:
    return f"bacnet:{connection}/{values['ObjectIdentifier']}"


def _modbus(connection: str, values: Mapping[str, Any]) -> str:
    data_type = str(values.get("DataType", "uint16"))
    order = f":{values.get('WordOrder', 'big')}" if not data_type.startswith("record") else ""
    return f"modbus:{connection}/{int(values['UnitId'])}/{values['Table']}/{int(values['Address'])}:{data_type}{order}"


def _number(value: Any, otherwise: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return otherwise
