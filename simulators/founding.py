"""The ledger side of a simulated site: its group founded with the government, gateway and secure meters enrolled with keys of their own."""

from dataclasses import dataclass, field
from pathlib import Path

from ledger.custody import Enrolment, device_signer, enrol_devices, found_group, issue_gateway
from ledger.errors import LedgerError
from ledger.seal_commands import group_policies, terms_of
from ledger.source import Source
from ledger.witness_client import WitnessClient
from simulators.running import RecordMaker
from simulators.secure_meter import SecureMeter
from twin.addresses import ModbusAddress, parse_address
from twin.errors import StateError
from twin.graph import Graph
from twin.points import PointBook
from twin.site import Site
from twin.state import StateFolder


@dataclass(frozen=True)
class Founded:
    """A founded group: where it lives, and what its secure meters sign with."""

    name: str
    owner: str
    folder: Path
    records: dict[str, RecordMaker] = field(default_factory=dict)


def found(site: Site, graph: Graph, book: PointBook, state: StateFolder, witness_url: str) -> Founded:
    """Found the site's group, the government joining, and give gateway and secure meters their certificates."""
    folder = state.group(site.group.name)
    try:
        policies = group_policies([(site, terms_of(site, graph))])
        group = found_group(
            folder, site.group.name, site.group.owner, WitnessClient(witness_url), simulated=site.simulated, policies=policies
        )
        issue_gateway(folder, site.name)
        records: dict[str, RecordMaker] = {}
        for record, energy, connection in _secure_meters(book):
            name = f"{site.name}:{connection}"
            enrol_devices(folder, [Enrolment(name, brick=book[record].brick, address=connection)])
            source = Source(device_signer(folder, name), group.id, name, simulated=site.simulated)
            records[record] = SecureMeter(source, energy)
    except LedgerError as error:
        raise StateError(f"group {site.group.name} cannot be founded: {error}") from None
    return Founded(site.group.name, site.group.owner, folder, records)


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
