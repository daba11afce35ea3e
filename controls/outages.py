"""Outages: which alarm stands for devices that fell silent. A whole network behind a lost router is one alarm, not one each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

FELL_SILENT = 1  # unanswered scans after which a device is no witness that its network lives


@dataclass(frozen=True, slots=True)
class Outage:
    """An alarm that begins or ends: about a device or a network, by name."""

    kind: str  # device or network
    name: str
    raised: bool


class Outages:
    """Holds a device's alarm back while its whole network may be gone; `failures` says how often a device did not answer in a row."""

    def __init__(self, networks: Mapping[str, str], failures: Callable[[str], int]) -> None:
        self._failures = failures
        self._network_of = {name: network for name, network in networks.items() if network}
        self._members: dict[str, set[str]] = {}
        for name, network in self._network_of.items():
            self._members.setdefault(network, set()).add(name)
        self.lost: set[str] = set()
        self._raised: set[Outage] = set()
        self._patience: dict[str, int] = {}  # failures that a device still away may have: its network came back just now

    def note(self, name: str, *, lost: bool) -> None:
        """A device was lost, or returned."""
        (self.lost.add if lost else self.lost.discard)(name)

    def news(self) -> list[Outage]:
        """Alarms that begin or end now."""
        down = {network for network, members in self._members.items() if len(members) > 1 and members <= self.lost}
        told = [*self._networks(down), *self._devices(down)]
        for outage in told:
            begun = Outage(outage.kind, outage.name, raised=True)
            (self._raised.add if outage.raised else self._raised.discard)(begun)
        return told

    def just_back(self) -> set[str]:
        """Devices that are still away while their network has come back: worth asking at once."""
        return {name for name in self._patience if name in self.lost}

    def _networks(self, down: set[str]) -> list[Outage]:
        known = {outage.name for outage in self._raised if outage.kind == "network"}
        for network in known - down:
            self._patience |= {name: self._failures(name) for name in self._members[network] & self.lost}
        return [
            *(Outage("network", name, raised=True) for name in sorted(down - known)),
            *(Outage("network", name, raised=False) for name in sorted(known - down)),
        ]

    def _devices(self, down: set[str]) -> list[Outage]:
        known = {outage.name for outage in self._raised if outage.kind == "device"}
        alone = {name for name in self.lost - known if self._network_of.get(name) not in down and self._is_alone(name)}
        for name in [*alone, *(self._patience.keys() - self.lost)]:
            self._patience.pop(name, None)
        return [
            *(Outage("device", name, raised=True) for name in sorted(alone)),
            *(Outage("device", name, raised=False) for name in sorted(known - self.lost)),
        ]

    def _is_alone(self, name: str) -> bool:
        """Whether it is the device that is away: somebody else of its network answers, and it was asked since."""
        others = self._members.get(self._network_of.get(name, ""), {name}) - {name}
        witnessed = not others or any(other not in self.lost and self._failures(other) < FELL_SILENT for other in others)
        return witnessed and self._failures(name) > self._patience.get(name, -1)
