"""How often the class is right: real elements labelled by reading, and names as eight design tools write them (README beside the data)."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import ifcopenshell
import pytest

from bim.classifying import Classified, Coverage, classify
from bim.importing import import_models
from bim.inventory import Element, take_inventory
from bim.opening import open_model
from bim.peers import named_by_trade, named_in
from bim.shares import TRADES
from bim.tables import domain_of
from twin.graph import brick, class_name

DATA = Path(__file__).parents[1] / "data"
SCHEMAS = {"IFC2X3": "IFC2X3", "IFC4": "IFC4", "IFC4X3": "IFC4X3_ADD2"}
PROXY = ("IfcBuildingElementProxy", "IfcBuildingElement", "IfcElement")
TARGET = 0.9


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / "classify" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def ancestors(schema: str, name: str) -> tuple[str, ...]:
    declaration = ifcopenshell.schema_by_name(SCHEMAS[schema]).declaration_by_name(name)
    return (name, *(ancestors(schema, declaration.supertype().name()) if declaration.supertype() else ()))


def written(row: dict[str, str]) -> Element:
    """The element of a row of element_names.csv."""
    system = ((row["system"], row["system_predefined"]),) if row["system"] else ()
    return Element(
        (0, 1), row["ifc_class"], row["predefined"], row["type_class"], row["type_predefined"], row["type_name"], "g", row["name"],
        row["object_type"], None, None, "", (), ancestors(row["schema"], row["ifc_class"]), systems=system,
    )  # fmt: skip


def answer(verdict: Classified) -> str:
    return verdict.brick.removeprefix("brick:") if verdict.coverage is Coverage.MAPPED else verdict.coverage.value


def trade(accepted: str) -> str:
    first = accepted.split("|", maxsplit=1)[0]
    return first if first in ("passive", "unmapped") else TRADES.get(domain_of(class_name(first)), "other")


def right_by_trade(pairs: Iterable[tuple[str, Classified]]) -> dict[str, float]:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for accepted, verdict in pairs:
        for key in (trade(accepted), "all"):
            total[key] += 1
            right[key] += answer(verdict) in accepted.split("|")
    return {key: right[key] / total[key] for key in total}


@pytest.mark.parametrize("part", ["development", "held out"])
def test_names_as_tools_write_them_get_the_right_class_in_every_trade(part: str) -> None:
    chosen = [row for row in rows("element_names.csv") if row["part"] == part]
    right = right_by_trade((row["accepted"], classify(written(row))) for row in chosen)

    assert len(chosen) > 140
    assert {key: share for key, share in right.items() if share < TARGET} == {}


def test_words_of_family_libraries_and_standards_tell_what_a_bare_proxy_is() -> None:
    def proxy(name: str) -> Element:
        return Element((0, 1), PROXY[0], "", "", "", "", "g", f"{name}:123456", "", None, None, "", (), PROXY)

    right = right_by_trade((row["accepted"], classify(proxy(row["name"]))) for row in rows("library_families.csv"))

    assert {key: share for key, share in right.items() if share < TARGET} == {}


@pytest.mark.parametrize("part", ["first", "second"])
def test_fresh_names_of_real_offices_get_the_right_class_in_every_language(part: str) -> None:
    def element(row: dict[str, str]) -> Element:
        chain = ancestors("IFC4", row["ifc_class"])
        return Element((0, 1), row["ifc_class"], "", "", "", "", "g", row["name"], "", None, None, "", (), chain)

    chosen = [row for row in rows("fresh_names.csv") if row["part"] == part]
    right = Counter(row["language"] for row in chosen if answer(classify(element(row))) in row["accepted"].split("|"))
    total = Counter(row["language"] for row in chosen)

    assert set(total) == {"en", "de", "zh"}
    assert right.total() >= TARGET * total.total()
    assert {language: right[language] for language in total if right[language] < 0.8 * total[language]} == {}


def test_every_label_is_a_class_that_exists() -> None:
    names = {n for f in ("element_names", "library_families", "labelled_elements", "fresh_names") for r in rows(f"{f}.csv")
             for n in r["accepted"].split("|")}  # fmt: skip

    assert sorted(n for n in names if class_name(n) not in brick().classes) == ["passive", "unmapped"]


def test_no_life_safety_goes_unmarked_and_hardly_anything_else_is_locked() -> None:
    marked = {row["name"]: bool(classify(written(row)).protected) for row in rows("element_names.csv")}
    meant = {row["name"]: bool(row["protected"]) for row in rows("element_names.csv")}

    missed = [name for name, safety in meant.items() if safety and not marked[name]]
    locked = [name for name, safety in meant.items() if not safety and marked[name]]
    assert missed == []
    assert len(locked) <= 0.01 * len(meant)  # one too many locked is a nuisance, one too few is a danger


LABELLED = rows("labelled_elements.csv")


def verdicts(path: Path) -> list[tuple[str, Classified]]:
    by_id = {e.global_id: classify(e) for e in take_inventory([open_model(path)]).elements.values()}
    return [(row["accepted"], by_id[row["global_id"]]) for row in LABELLED if row["file"] == path.name]


def test_the_double_house_gets_the_right_classes_in_every_trade() -> None:
    pairs = [pair for path in sorted((DATA / "ifc").glob("*.ifc")) for pair in verdicts(path)]
    right = right_by_trade(pairs)

    assert len(pairs) == 92
    assert {key: share for key, share in right.items() if share < TARGET} == {}


def test_real_elements_of_ten_models_get_the_right_classes(public: Callable[[str], Path]) -> None:
    files = sorted({row["file"] for row in LABELLED})
    pairs = [pair for name in files for pair in verdicts(public(name))]
    right = right_by_trade(pairs)

    assert len(pairs) == len(LABELLED) >= 100
    assert {key: share for key, share in right.items() if share < TARGET} == {}


def test_more_elements_are_named_than_by_the_peer() -> None:
    named = named_in(DATA / "ifc" / "duplex_electrical_ifc2x3.ifc")

    assert named.of == 46
    assert named.ours >= 0.95 * named.of
    assert named.ours > named.peer > 0


@pytest.mark.parametrize("name", sorted({row["file"] for row in LABELLED}))
def test_every_trade_of_every_public_model_is_named_and_never_less_than_by_the_peer(name: str, public: Callable[[str], Path]) -> None:
    trades = {trade: found for trade, found in named_by_trade(public(name)).items() if trade not in ("all", "other")}

    assert {trade: found for trade, found in trades.items() if found.ours < 0.95 * found.of} == {}
    assert {trade: found for trade, found in trades.items() if found.ours < found.peer} == {}


def test_two_schemas_of_one_building_give_the_same_twin(public: Callable[[str], Path], tmp_path: Path) -> None:
    twins = []
    for schema in ("ifc4", "ifc4x3"):
        models = [public(f"pcert_{part}_{schema}.ifc") for part in ("arch", "hvac")]
        copies = [tmp_path / schema / path.name.replace(f"_{schema}", "") for path in models]
        copies[0].parent.mkdir()
        for path, copy in zip(models, copies, strict=True):
            copy.write_bytes(path.read_bytes())
        import_models(copies, tmp_path / schema / "out", "pcert")
        text = (tmp_path / schema / "out" / "twin.ttl").read_text(encoding="utf-8")
        twins.append([line for line in text.splitlines() if not line.startswith("# model")])

    assert len(twins[0]) > 100
    assert twins[0] == twins[1]
