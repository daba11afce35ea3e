"""The ledger side of a simulated site: its group founded with the government, gateway and secure meters enrolled with keys of their own."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controls.strategies.lighting import Lighting
from controls.strategies.minimum_flow import MinimumFlow
from controls.strategies.setpoints import Setpoints
from controls.strategies.start_stop import StartStop
from controls.strategies.static_pressure import StaticPressure
from controls.strategies.supply_air import SupplyAir
from controls.strategies.ventilation import Ventilation
from ledger.authority import Grant, give_grants
from ledger.authority_commands import writable_points
from ledger.custody import Enrolment, device_signer, enrol_devices, found_group, issue_gateway
from ledger.entry import NO_HASH
from ledger.errors import LedgerError
from ledger.reader import Reader
from ledger.source import Source
from ledger.terms import group_policies, terms_of
from ledger.witness_client import WitnessClient
from simulators.running import RecordMaker
from simulators.secure_meter import SecureMeter
from twin.addresses import ModbusAddress, parse_address
from twin.errors import StateError
from twin.graph import Graph
from twin.points import PointBook
from twin.site import Site
from twin.state import StateFolder

RULES = tuple(rule.name for rule in (StartStop, Setpoints, MinimumFlow, Ventilation, StaticPressure, SupplyAir, Lighting))
BEGIN, END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Founded:
    """A founded group and where it lives."""

    name: str
    owner: str
    folder: Path


def found(site: Site, graph: Graph, book: PointBook, state: StateFolder, witness_url: str) -> Founded:
    """Found the site's group, the government joining, and give gateway and secure meters their certificates."""
    folder = state.group(site.group.name)
    try:
        policies = group_policies([(site, terms_of(site, graph))])
        found_group(folder, site.group.name, site.group.owner, WitnessClient(witness_url), simulated=site.simulated, policies=policies)
        issue_gateway(folder, site.name)
        meters = [Enrolment(f"{site.name}:{connection}", book[record].brick, connection) for record, _, connection in _secure_meters(book)]
        if meters:
            enrol_devices(folder, meters)
        give_grants(folder, _rule_grants(book))
    except LedgerError as error:
        raise StateError(f"group {site.group.name} cannot be founded: {error}") from None
    return Founded(site.group.name, site.group.owner, folder)


def _rule_grants(book: PointBook) -> list[Grant]:
    """Each strategy may move the writable points within their limits, for the whole of a simulation's time."""
    points = writable_points(book)
    return [Grant(f"rule/{name}", f"rule/{name}", points, BEGIN, END) for name in RULES] if points else []


def meter_records(site: Site, book: PointBook, state: StateFolder) -> dict[str, RecordMaker]:
    """The secure meters of a site, each with its own key, by record point; none where the site's group is not founded yet."""
    folder = state.group(site.group.name)
    if not (folder / "log.db").exists():
        return {}
    try:
        reader = Reader(folder / "log.db")
        group = reader.group(1).id
        records: dict[str, RecordMaker] = {}
        for record, energy, connection in _secure_meters(book):
            name = f"{site.name}:{connection}"
            last = reader.last(name)
            stand = (last.seq, last.hash) if last else (0, NO_HASH)
            source = Source(device_signer(folder, name), group, name, *stand, simulated=site.simulated)
            records[record] = SecureMeter(source, energy)
        reader.close()
    except LedgerError as error:
        raise StateError(f"group {site.group.name}: a secure meter has no identity: {error}") from None
    return records


def _secure_meters(book: PointBook) -> list[tuple[str, str, str]]:
    """(record point, energy point of the same meter, connection) of each meter that signs its own readings."""
    found = []
    for point in book.bound:
        assert point.binding is not None
        address = parse_address(point.binding.address)
        if isinstance(address, ModbusAddress) and address.is_record:
            energy = next(p.id for p in book.bound if p.owner == point.owner and p.brick == "Electric_Energy_Sensor")
            found.append((point.id, energy, address.connection))
    return found
