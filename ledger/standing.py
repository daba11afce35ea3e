"""Where the contracts stand, kept beside the log: whoever seals can go on from there without every body since the founding.

The file is nobody's word: it counts only where its states give the roots that the log sealed at that size.
"""

from collections.abc import Sequence
from pathlib import Path

from ledger.cbor import decode, encode
from ledger.contracts.policies import contracts
from ledger.entry import Body
from ledger.errors import FormatError
from ledger.log import Log
from ledger.replay import Contracts, Follow, Followed, View
from twin.state import write_whole


def kept_contracts(log: Log) -> tuple[Contracts, int]:
    """The group's contracts as the kept file says, and the size it was kept at; from the founding on where there is none."""
    fresh = Contracts(list(contracts().values()), log.current.policies)
    path = _file(log)
    if not path.exists():
        return fresh, 0
    try:
        kept = decode(path.read_bytes())
        size, states = int(kept["size"]), dict(kept["states"])
        state = next(log.stored(size - 1, size))
        fresh.stand(states)
        if state.entry.kind == "state" and Body.decode(state.box).by_name()["contracts"] == fresh.roots():
            return fresh, size
    except (FormatError, KeyError, TypeError, ValueError, StopIteration):
        pass
    return Contracts(list(contracts().values()), log.current.policies), 0


def contracts_now(log: Log) -> Contracts:
    """The group's contracts after everything that is sealed."""
    standing, size = kept_contracts(log)
    standing.feed([view for view in log.views(size, log.size()) if view.is_input])
    return standing


def keep_contracts(log: Log, standing: Contracts, size: int) -> None:
    """Write down where the contracts stood when the log had `size` entries."""
    write_whole(_file(log), encode({"size": size, "states": standing.states}), mode=0o600)


def following(log: Log) -> Follow:
    """What a checkpoint that another process than the recorder makes must do for the contracts: feed them, and seal their roots."""

    def follow(views: Sequence[View]) -> Followed:
        standing = contracts_now(log)  # within the transaction: nobody seals in between
        standing.feed(views)
        return Followed([], standing.roots())

    return follow


def _file(log: Log) -> Path:
    return log.path.parent / "contracts.standing"
