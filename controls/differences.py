"""Differences: what a reprogrammed device now calls the objects behind our points, against what it called them when they were bound."""

from collections.abc import Mapping, Sequence

Inventory = Mapping[str, Sequence[str]]
"""By address: an object's name and units as its device says them; nothing for an object that is not there."""

TOLD_MAX = 5  # objects named in one alarm; the journal has them all


def differences(before: Inventory, now: Inventory) -> dict[str, str]:
    """By address what is no longer as it was, in words. An object that was not known before is no difference."""
    return {address: said for address, was in before.items() if address in now and (said := _difference(address, was, now[address]))}


def report(connection: str, found: Mapping[str, str]) -> str:
    """One sentence for people: what differs, and what to do about it."""
    told = "; ".join(list(found.values())[:TOLD_MAX])
    more = f"; and {len(found) - TOLD_MAX} more" if len(found) > TOLD_MAX else ""
    return (
        f"{connection} was reprogrammed: {told}{more}. Its points there are neither believed nor commanded; "
        "compare points.csv with the device, then acknowledge this alarm to take it as it is"
    )


def _difference(address: str, was: Sequence[str], now: Sequence[str]) -> str:
    thing = address.rpartition("/")[2]
    if not was:
        return ""
    if not now:
        return f"{thing} ({was[0]}) is gone"
    if was[0] != now[0]:
        return f"{thing} was called {was[0]}, now {now[0]}"
    return f"{thing} ({was[0]}) changed its units" if was[1:] != now[1:] else ""
