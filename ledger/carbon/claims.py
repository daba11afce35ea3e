"""Hourly emission claims: made from registers at the hour marks while the log grows, and redone from sealed entries alone.

A claim has one line per meter: the cited readings (entry number, time, register), Wh, factor and grams. Where readings
are missing at a mark the period runs on to the next mark: nothing is estimated, the register bridges the gap.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from ledger.carbon import engine
from ledger.carbon.factors import OFFICIAL, Chosen, FactorError, choose, fuel_by_name
from ledger.cbor import Value
from ledger.contracts.policies import fact_of
from ledger.contracts.verdict import registers
from ledger.entry import from_ms
from ledger.errors import VerificationError
from ledger.replay import View

KIND = "emission.period"
HOUR_MS = 3_600_000
MARK_TOLERANCE_MS = 1_200_000  # a register read up to two steps of ten minutes before the mark stands for the mark
STEP = 11
LINE = "line:"
GATEWAY_SUFFIX = ":gateway"  # sites name their gateway so; other sources that sign readings are meters


@dataclass(frozen=True, slots=True)
class MeterTerm:
    """One meter's part in the claim. Scope 1 burns `fuel`; scope 2 buys electricity; scope 0 is told and not counted again."""

    point: str
    scope: int
    fuel: str = ""

    def __post_init__(self) -> None:
        if self.scope not in (0, 1, 2) or (self.scope == 1) != bool(self.fuel):
            raise FactorError(f"{self.point}: scope is 1 with a fuel, 2, or 0 for a sub-meter; got {self.scope} and {self.fuel!r}")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a site's claims rest on."""

    site: str
    region: str
    meters: tuple[MeterTerm, ...]
    fallback_region: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """One register value with the entry it stands in and who signed that entry."""

    number: int
    time_ms: int
    wh: int
    source: str


class ClaimBook:
    """Follows one site's sealed readings and gives the claims that have become due, each once."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._opened: dict[str, Register] = {}
        self._begun = False  # whether a claim stands: the next one begins exactly where it ended
        self._latest: dict[str, Register] = {}
        self._marks: dict[str, dict[int, Register]] = {meter.point: {} for meter in terms.meters}

    def feed(self, view: View) -> None:
        """Take in one sealed entry: readings move the registers, a claim sealed earlier moves the beginning."""
        entry = view.entry
        if entry.source.split(":")[0] != self._terms.site:
            return
        if entry.kind == KIND:
            self._begin_after(view)
        elif entry.kind == "reading.batch":
            for point, time_ms, wh in registers(fact_of(view)):
                if point in self._marks:
                    self._read(point, Register(view.number, time_ms, wh, entry.source))

    def due(self, report_day: date) -> list[list[tuple[str, Value]]]:
        """The fields of every claim that can be made now, oldest first; FactorError when no factor may be used."""
        made = []
        while (mark := self._next_mark()) is not None:
            closing = {point: marks[mark] for point, marks in self._marks.items()}
            made.append(claim_fields(self._terms, self._opened, closing, report_day))
            self._move_to(mark, closing)
        return made

    def _read(self, point: str, register: Register) -> None:
        before = self._latest.get(point)
        if before is not None and register.time_ms < before.time_ms:
            return
        if before is not None and register.time_ms == before.time_ms and register.source.endswith(GATEWAY_SUFFIX):
            return  # the meter's own word for this time stands already, or the gateway repeats itself
        if point not in self._opened or (not self._begun and self._opened[point] == before and before.time_ms == register.time_ms):
            self._opened[point] = register  # the meter's own word for the same time is the better beginning
        if before is not None:
            mark = (before.time_ms // HOUR_MS + 1) * HOUR_MS
            if before.time_ms < mark < register.time_ms and mark - before.time_ms <= MARK_TOLERANCE_MS:
                self._marks[point][mark] = before
        if register.time_ms % HOUR_MS == 0 and register.time_ms > self._opened[point].time_ms:
            self._marks[point][register.time_ms] = register
        self._latest[point] = register

    def _next_mark(self) -> int | None:
        common = set.intersection(*(set(marks) for marks in self._marks.values())) if self._marks else set()
        return min(common, default=None)

    def _move_to(self, mark: int, closing: Mapping[str, Register]) -> None:
        self._opened, self._begun = dict(closing), True
        for marks in self._marks.values():
            for old in [m for m in marks if m <= mark]:
                del marks[old]

    def _begin_after(self, view: View) -> None:
        fields = view.body.by_name()
        closing = {}
        for name, line in fields.items():
            if name.startswith(LINE):
                number, time_ms, wh = line["to"]
                closing[line["meter"]] = Register(number, time_ms, wh, line["to_source"])
        self._move_to(fields["to_ms"], closing)


def claim_fields(
    terms: Terms, opening: Mapping[str, Register], closing: Mapping[str, Register], report_day: date
) -> list[tuple[str, Value]]:
    """One period's claim; grams are rounded once per line and once for each total."""
    to_ms = _mark_of(closing)
    year = from_ms(to_ms - 1).year
    chosen = _chosen(terms.region, year, report_day, terms.fallback_region)
    lines: list[tuple[str, Value]] = []
    exact = {1: Fraction(0), 2: Fraction(0)}
    energy = {1: 0, 2: 0}
    for meter in terms.meters:
        line, grams = _line(meter, opening[meter.point], closing[meter.point], chosen)
        lines.append((LINE + meter.point, line))
        if meter.scope:
            exact[meter.scope] += grams
            energy[meter.scope] += line["wh"]
    about: dict[str, Value] = {
        "site": terms.site,
        "from_ms": min(register.time_ms for register in opening.values()),
        "to_ms": to_ms,
        "region": terms.region,
        "year": year,
        "reported": report_day.isoformat(),
        "factor": chosen.factor.id,
        "factor_value": chosen.factor.value,
        "provisional": chosen.provisional,
        "fallback_region": terms.fallback_region if chosen.fallback_for else "",
        "scope1_wh": energy[1],
        "scope2_wh": energy[2],
        "scope1_g": engine.rounded(exact[1]),
        "scope2_location_g": engine.rounded(exact[2]),
    }
    return [*about.items(), *lines]


def _mark_of(closing: Mapping[str, Register]) -> int:
    """The hour mark that these registers stand for: the first one not before any of them."""
    newest = max(register.time_ms for register in closing.values())
    return -(-newest // HOUR_MS) * HOUR_MS


def _chosen(region: str, year: int, report_day: date, fallback_region: str) -> Chosen:
    return choose("scope2_location", region, year, report_day, authority=OFFICIAL, fallback_region=fallback_region)


def _line(meter: MeterTerm, opening: Register, closing: Register, chosen: Chosen) -> tuple[dict[str, Any], Fraction]:
    fallen = closing.wh < opening.wh
    wh = 0 if fallen else closing.wh - opening.wh  # the metering contract refuses the fall; energy that cannot be known is not claimed
    grams, basis = _grams(meter, wh, chosen)
    line = {
        "meter": meter.point,
        "scope": meter.scope,
        "fuel": meter.fuel,
        "from": [opening.number, opening.time_ms, opening.wh],
        "to": [closing.number, closing.time_ms, closing.wh],
        "from_source": opening.source,
        "to_source": closing.source,
        "fallen": fallen,
        "wh": wh,
        "factor": basis,
        "g": engine.rounded(grams),
    }
    return line, grams


def _grams(meter: MeterTerm, wh: int, chosen: Chosen) -> tuple[Fraction, str]:
    if meter.scope == 1:
        fuel = fuel_by_name(meter.fuel)
        return engine.scope1_gas(wh, fuel), fuel.id
    return engine.scope2_location(wh, chosen.factor), chosen.factor.id


def check_claim(view: View, views: Sequence[View]) -> str:
    """Redo a claim from the entries it cites and the factor tables; raises VerificationError at the first thing that differs."""
    fields = view.body.by_name()
    number = view.number
    lines = {name.removeprefix(LINE): line for name, line in fields.items() if name.startswith(LINE)}
    site = view.entry.source.split(":")[0]
    try:
        day = date.fromisoformat(fields["reported"])
        if day != from_ms(view.entry.wall_ms).date() or fields["site"] != site or not lines:
            raise _differs(number, "site and day", f"{fields['site']} {day}", f"{site} {from_ms(view.entry.wall_ms).date()}")
        terms = Terms(site, fields["region"], tuple(_term(line) for line in lines.values()), fields["fallback_region"])
        opening = {point: _cited(number, site, point, line["from"], line["from_source"], views) for point, line in lines.items()}
        closing = {point: _cited(number, site, point, line["to"], line["to_source"], views) for point, line in lines.items()}
        redone = dict(claim_fields(terms, opening, closing, day))
    except (KeyError, TypeError, ValueError, FactorError) as error:
        raise VerificationError(f"claim {number} cannot be redone: {error!r}", step=STEP, entry=number) from None
    for name in sorted(fields.keys() | redone.keys()):
        if fields.get(name) != redone.get(name):
            raise _differs(number, name, fields.get(name), redone.get(name))
    _check_beginning(view, lines, views)
    hours = (fields["to_ms"] - fields["from_ms"]) / HOUR_MS
    wh, grams = fields["scope1_wh"] + fields["scope2_wh"], fields["scope1_g"] + fields["scope2_location_g"]
    return f"claim {number}: {wh} Wh in {hours:g} h give {grams} g by {fields['factor']}, as sealed"


def _term(line: Mapping[str, Any]) -> MeterTerm:
    return MeterTerm(line["meter"], line["scope"], line["fuel"])


def _cited(claim: int, site: str, point: str, cited: Sequence[int], source: str, views: Sequence[View]) -> Register:
    """The cited register, found in the sealed entry itself."""
    number, time_ms, wh = cited
    view = _view(number, views)
    if view is None or view.entry.source != source or source.split(":")[0] != site or number >= claim:
        raise VerificationError(f"claim {claim} cites entry {number} of {source}, which is not among the entries", step=STEP, entry=claim)
    if (point, time_ms, wh) not in registers(fact_of(view)):
        raise VerificationError(
            f"claim {claim} cites {wh} Wh of {point} in entry {number}; that entry does not say so", step=STEP, entry=claim
        )
    return Register(number, time_ms, wh, source)


def _check_beginning(view: View, lines: Mapping[str, Mapping[str, Any]], views: Sequence[View]) -> None:
    """A claim begins where the one before it ended: no energy is left out between two claims."""
    for index in range(bisect_left(views, view.number, key=lambda v: v.number) - 1, -1, -1):
        before = views[index]
        if before.entry.kind == KIND and before.entry.source == view.entry.source:
            fields = before.body.by_name()
            for point, line in lines.items():
                ended = fields.get(LINE + point, {}).get("to")
                if ended != line["from"]:
                    raise _differs(view.number, f"beginning of {point}", line["from"], ended)
            return


def _view(number: int, views: Sequence[View]) -> View | None:
    index = bisect_left(views, number, key=lambda view: view.number)
    return views[index] if index < len(views) and views[index].number == number else None


def _differs(number: int, what: str, sealed: object, redone: object) -> VerificationError:
    return VerificationError(f"claim {number}: {what} is sealed as {sealed!r}, redone it is {redone!r}", step=STEP, entry=number)
