"""Authority: every command is covered by a grant of its person or rule, and a person's by his own signed request.

A grant names points with their limits, and a period of site time. What no grant covers is told, command by command.
"""

from typing import Any

from ledger.contracts.verdict import Fact, State, Verdict, site_of

OPERATOR = 3  # the authority of a command that a person asked for; rules have larger numbers


def begin(parameters: dict[str, Any]) -> State:
    """Parameters: none; grants and requests come as entries."""
    return {"grants": {}, "requests": {}, "flagged": 0}


def apply(state: State, fact: Fact) -> Verdict:
    """Take in one sealed entry; events are commands that nobody was allowed to give."""
    if fact.kind == "grant.given":
        given = dict(fact.fields)
        return Verdict({**state, "grants": {**state["grants"], given["grant"]: given}})
    if fact.kind == "grant.ended":
        ended = dict(fact.fields)["grant"]
        return Verdict({**state, "grants": {name: grant for name, grant in state["grants"].items() if name != ended}})
    if fact.kind == "control.request":
        return _requested(state, fact)
    if fact.kind == "control.action":
        return _commanded(state, fact)
    return Verdict(state)


def _requested(state: State, fact: Fact) -> Verdict:
    wish = dict(fact.fields)
    point, value, until_ms = wish.get("point"), wish.get("value_milli"), wish.get("until_ms")
    if type(point) is not str or type(until_ms) is not int:
        return Verdict(state, (), (f"{fact.source} signed a request without point and end",))
    key = f"{fact.source} {point}"
    requests = {name: asked for name, asked in state["requests"].items() if name != key and asked[0] > fact.time_ms}
    if value is not None:
        requests = {**requests, key: [until_ms, value]}
    return Verdict({**state, "requests": requests})


def _commanded(state: State, fact: Fact) -> Verdict:
    fields = dict(fact.fields)
    asked = fields.get("asked")
    if fields.get("late") or type(asked) is not dict or asked.get("gives_back"):
        return Verdict(state)
    is_person = asked.get("authority") == OPERATOR
    who = f"{'person' if is_person else 'rule'}/{fields.get('by')}"
    because = _objection(state, fact.time_ms, who, fields, asked)
    if not because and is_person:
        because = _unsigned(state, fact.time_ms, who, fields)
    if not because:
        return Verdict(state)
    site, point = site_of(fact), str(fields.get("point"))
    event = {"event": "ungranted", "id": f"ungranted.{point}.{site}", "site": site, "point": point, "who": who, "because": because}
    return Verdict({**state, "flagged": state["flagged"] + 1}, ({**event, "command": str(fields.get("id")), "time_ms": fact.time_ms},))


def _objection(state: State, time_ms: int, who: str, fields: dict[str, Any], asked: dict[str, Any]) -> str:
    """Why no grant covers a command; the nearest miss is told."""
    because = "no grant"
    for name in sorted(state["grants"]):
        grant = state["grants"][name]
        if grant["who"] != who or fields.get("point") not in grant["points"]:
            continue
        if not grant["from_ms"] <= time_ms < grant["until_ms"]:
            because = f"outside the period of grant {name}"
        elif grant["version"] not in ("", fields.get("software", "")):
            because = f"grant {name} is for version {grant['version']}"
        elif not _within(asked.get("value_milli"), grant["points"][fields["point"]]):
            because = f"outside the limits of grant {name}"
        else:
            return ""
    return because


def _within(value: Any, limits: list[Any]) -> bool:
    low, high = limits
    return type(value) is int and (low is None or low <= value) and (high is None or value <= high)


def _unsigned(state: State, time_ms: int, who: str, fields: dict[str, Any]) -> str:
    """A person's command needs his own signed request for the point; the guard may have held its value to something safer."""
    until_ms, _ = state["requests"].get(f"{who} {fields.get('point')}", [0, None])
    return "" if time_ms < until_ms else "no request signed by that person"
