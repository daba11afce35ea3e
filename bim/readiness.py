"""Readiness: what a model lacks for becoming a twin, by the rules of wattproof.ids (IDS 1.0); it informs and never blocks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ifcopenshell

from bim.opening import DAMAGED, Model

IDS_FILE = Path(__file__).parent / "data" / "wattproof.ids"
EXAMPLES = 5  # of each rule: enough to find the habit behind them
LARGEST_BYTES = 20_000_000  # checked with every import; larger models on request, since 100 MB take half a minute


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule over all models: to how many objects it applies, how many meet it, and some that do not."""

    name: str
    description: str
    instructions: str
    applicable: int
    passed: int
    failed: int
    holds: bool  # false too where something that must be there is missing altogether
    examples: tuple[str, ...]  # "IfcClass name (GlobalId)"


@dataclass(frozen=True, slots=True)
class Readiness:
    """How ready the models are, rule by rule, in the order of the IDS file."""

    rules: tuple[RuleResult, ...]

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The rules that do not hold."""
        return tuple(rule for rule in self.rules if not rule.holds)

    def body(self) -> dict[str, Any]:
        """What stands in report.json."""
        return {"failed": len(self.failed), "rules": [asdict(rule) for rule in self.rules]}


def check(models: Sequence[Model]) -> Readiness:
    """Check all models of a building together: what one file lacks another may hold."""
    results = [rule for number in range(len(_specification())) if (rule := _over_models(number, models)) is not None]
    return Readiness((*results, _unique_global_ids(models)))


def is_quick(models: Iterable[Model]) -> bool:
    """Whether a check belongs to every import of these models."""
    return sum(model.path.stat().st_size for model in models) <= LARGEST_BYTES


@cache
def _specification() -> Any:
    from ifctester import ids  # here, because it takes a quarter of a second and only a check needs it

    for kind in (ifcopenshell.entity_instance, ifcopenshell.file):
        if not hasattr(kind, "wrapped_data"):
            # ifctester 0.9 needs a package that exists as source only; 0.8 asks through this attribute, which ifcopenshell 0.9 dropped.
            kind.wrapped_data = property(_Wrapped)
    return ids.open(str(IDS_FILE)).specifications


class _Wrapped:
    """What ifcopenshell 0.8 called the wrapped data of an instance or file."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def declaration(self) -> Any:
        return self._thing.declaration

    def __getattr__(self, name: str) -> Any:
        return getattr(self._thing, name)


def _over_models(number: int, models: Sequence[Model]) -> RuleResult | None:
    """A rule summed over the models whose IFC version it speaks of; None when it speaks of none."""
    rule = _specification()[number]
    applicable, failures, unread, asked = 0, list[Any](), list[str](), False
    for model in models:
        rule.reset_status()
        if not rule.check_ifc_version(model.file):
            continue
        asked = True
        if damage := _damage(rule, model):
            unread.append(damage)
            continue
        applicable += len(rule.applicable_entities)
        failures += sorted(rule.failed_entities, key=lambda entity: int(entity.id()))
    rule.reset_status()
    if not asked:
        return None
    holds = not failures and not unread and (applicable > 0 or rule.minOccurs == 0)
    examples = (*unread, *(_told(entity) for entity in failures[:EXAMPLES]))
    return RuleResult(
        rule.name, rule.description, rule.instructions, applicable, applicable - len(failures), len(failures), holds, examples
    )


def _damage(rule: Any, model: Model) -> str:
    """Why the rule cannot be checked in a model; empty when it was. One relation that leads to nothing stops a whole rule of ifctester."""
    try:
        rule.validate(model.file)
    except DAMAGED as error:
        return f"{model.path.name} cannot be checked, it is damaged ({' '.join(str(error).split())[:200]}); export it again"
    return ""


def _unique_global_ids(models: Sequence[Model]) -> RuleResult:
    """IDS has no word for uniqueness, so this rule is ours."""
    roots = [(n, entity.GlobalId, entity) for n, model in enumerate(models) for entity in model.file.by_type("IfcObject")]
    seen = Counter((n, global_id) for n, global_id, _ in roots)
    double = [entity for n, global_id, entity in roots if seen[n, global_id] > 1]
    return RuleResult(
        "GlobalIds are unique",
        "Changes are followed by GlobalId from one import to the next.",
        "Export every object with a GlobalId of its own; do not copy objects with theirs. 每个对象使用唯一的GlobalId。",
        len(roots),
        len(roots) - len(double),
        len(double),
        not double,
        tuple(_told(entity) for entity in double[:EXAMPLES]),
    )


def _told(entity: Any) -> str:
    return f"{entity.is_a()} {getattr(entity, 'Name', None) or 'without a name'} ({getattr(entity, 'GlobalId', '')})"
