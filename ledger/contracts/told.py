"""What contracts say, told to people: one sentence per event, and the alarm as it goes into a site's journal."""

from collections.abc import Callable, Mapping
from typing import Any

from ledger.replay import CONTRACT_FIELD

ALARM_PRIORITY = {"warn": 120, "alarm": 60, "critical": 20}


def alarm_body(number: int, kind: str, contract: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A sealed alarm as the journal shows it to people; `entry` is where it stands in the log."""
    level = str(fields.get("level", "alarm"))
    plain = {key: value for key, value in fields.items() if isinstance(value, int | str) and key not in (CONTRACT_FIELD, "event")}
    state = "cleared" if kind == "alarm.cleared" else "raised"
    about = {"kind": contract, "source": str(fields.get("site", "")), "message": alarm_message(contract, fields), "state": state}
    return {**plain, **about, "priority": ALARM_PRIORITY.get(level, 60), "contract": contract, "entry": number}


def alarm_message(contract: str, fields: Mapping[str, Any]) -> str:
    """One sentence about a contract's event."""
    return _MESSAGES.get(str(fields.get("event")), _MESSAGES["raised"])(contract, fields)


_MESSAGES: Mapping[str, Callable[[str, Mapping[str, Any]], str]] = {
    "raised": lambda _, f: f"load {f['power_w'] / 1000:.1f} kW is {f['permille'] / 10:.1f} % of the {f['limit']} limit ({f['level']})",
    "escalated": lambda _, f: f"load {f['power_w'] / 1000:.1f} kW is {f['permille'] / 10:.1f} % of the {f['limit']} limit ({f['level']})",
    "cleared": lambda _, f: f"load is back to {f['power_w'] / 1000:.1f} kW, {f['permille'] / 10:.1f} % of the {f['limit']} limit",
    "gap": lambda _, f: f"{f['point']}: no reading for {f['gap_ms'] // 60_000} minutes",
    "stuck": lambda _, f: f"{f['point']}: the register has not moved for a day",
    "ungranted": lambda _, f: f"{f['point']}: a command of {f['who']} that nobody granted ({f['because']})",
    "refused": lambda contract, f: f"{contract}: {f['why']}",
}
