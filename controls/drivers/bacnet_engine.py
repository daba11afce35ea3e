"""What both BACnet engines promise: requests in our own words, and answers in plain values, so that the driver above them is one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twin.addresses import BacnetAddress
from twin.errors import WireError

ANSWER_S = 0.5  # how long an answer is waited for where site.toml says nothing: a controller on MS/TP answers within that
APDU_RETRIES = 1  # a silent device costs two waits
WAITS = 3  # a reply that cannot be decoded never arrives: give up one wait after the last retry
LOCAL_INSTANCE = 4_194_301  # ours; devices never ask for it
LOCAL_VENDOR = 999
SUBSCRIBER = 47  # the process number in our subscriptions; what comes under another one is not for us
ANY_DEVICE = 4_194_303  # BACnet wildcard: whoever listens there

TOO_BIG = (1, 4, 11)  # abort reasons: buffer-overflow, segmentation-not-supported, apdu-too-long
NO_ANSWER = (10, 64, 65)  # abort reasons: tsm-timeout, server-timeout, no-response
UNRECOGNIZED_SERVICE = 9  # reject reason
NO_ROOM = "no-space-to-add-list-element"  # error code of a device that takes no more subscriptions

DEVICE = "device"
PRESENT_VALUE = "present-value"
STATUS_FLAGS = "status-flags"
PRIORITY_ARRAY = "priority-array"
RULING_PRIORITY = "current-command-priority"
MAX_APDU = "max-apdu-length-accepted"

Asked = tuple[str, int | None]  # property, array index


class Refusal(str):
    """What a device said instead of one value: «property: unknown-property»."""

    __slots__ = ()


class Flags(int):
    """Status-flags as four bits, in the order of the standard."""

    __slots__ = ()
    IN_ALARM, FAULT, OVERRIDDEN, OUT_OF_SERVICE = 8, 4, 2, 1

    @property
    def words(self) -> str:
        """The flags that are set."""
        names = {self.IN_ALARM: "in_alarm", self.FAULT: "fault", self.OVERRIDDEN: "overridden", self.OUT_OF_SERVICE: "out_of_service"}
        return "flags " + (" ".join(name for bit, name in names.items() if self & bit) or "none")


Cell = float | int | str | Flags | tuple[float | None, ...] | None
"""A real (NaN included), a whole number, a text, flags, an array of numbers, a Refusal, or None for Null."""
Row = Sequence[Cell] | WireError
"""The cells of one object, in the order asked; or why there are none."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change-of-value notification: what a device says of one object, unasked. The connection of `thing` is not known to the engine."""

    thing: BacnetAddress
    value: Cell
    flags: Cell


class TooBigError(WireError):
    """The device cannot answer that many at once."""


class GarbledError(WireError):
    """The device answered something that is no answer."""


class NoMultipleError(WireError):
    """The device does not know ReadPropertyMultiple."""


class UnknownObjectError(WireError):
    """The device has no such object."""


class NoRoomError(WireError):
    """The device takes no more subscriptions."""


class Engine(Protocol):
    """A BACnet stack. `to` is host:port. WireTimeout when the device is silent, WireError with its words when it refuses."""

    properties_max: int  # in one request

    async def open(self, host: str) -> None:
        """Get a socket ready on our address that faces `host`."""
        ...

    async def close(self) -> None:
        """Close all sockets; safe to call again."""
        ...

    def question(self, things: Sequence[BacnetAddress], asked: Sequence[Asked]) -> Any:
        """A request for these properties of each thing, in the engine's own form: made once and sent often."""
        ...

    async def read_multiple(self, to: str, question: Any) -> list[Row]:
        """One row for each thing, in order; nothing but what was asked is ever believed."""
        ...

    async def read(self, to: str, thing: BacnetAddress, asked: Asked) -> Cell:
        """One property."""
        ...

    async def write(self, to: str, thing: BacnetAddress, value: float | None, priority: int) -> None:
        """Present-value; None writes Null, which relinquishes. `value` is taken as the object's own data type."""
        ...

    async def subscribe(self, to: str, thing: BacnetAddress, lifetime_s: int, take: "Callable[[Change], None]") -> None:
        """Ask for changes of value, and have those that this device tells handed over as they come.

        NoRoomError, or WireError where the engine or the device has no such service.
        """
        ...

    @property
    def missed(self) -> int:
        """Changes that the engine's bounded queue dropped."""
        ...

    @property
    def dropped(self) -> int:
        """Datagrams that never reached us, because no device of the site sent them or too many came at once."""
        ...
