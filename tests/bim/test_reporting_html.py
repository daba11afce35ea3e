"""report.html: one page that asks nothing of the network, and in which no name of a model can do anything."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bim.importing import import_models

HOSTILE = r"<script>alert(1)</script><img src=x onerror=alert(2)>\X2\202E0001\X0\ ' & "


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_names_from_a_model_are_text_and_nothing_is_fetched(model_file: Callable[..., Path], tmp_path: Path) -> None:
    def evil(text: str) -> str:
        for name in ("R1", "VAV-1", "LT-1", "Level 1", "Zone 1"):
            text = text.replace(f"'{name}'", f"'{name} {HOSTILE.replace(chr(39), chr(39) * 2)}'")
        return text.replace("IFCCARTESIANPOINT((1.,1.,1.5))", "IFCCARTESIANPOINT((5.,1.,1.5))")

    imported = import_models([model_file(change=evil, contain="storey")], tmp_path, "house")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = _Tags()
    page.feed(text)

    assert any("<script>" in str(room["name"]) for room in imported.plan["rooms"])
    assert {tag for tag, _ in page.tags} & {"script", "img", "iframe", "link", "object", "form"} == set()
    assert [a for _, attributes in page.tags for a in attributes if a.startswith("on") or a == "src"] == []
    assert {attributes["href"][0] for tag, attributes in page.tags if tag == "a" and attributes.get("href")} == {"#"}
    assert page.open == []
    assert not re.search(r"https?:|url\(|@import", text)
    assert "\x01" not in text
    assert "\u202e" not in text


def test_every_section_and_both_languages_are_there(model_file: Callable[..., Path], tmp_path: Path) -> None:
    import_models([model_file()], tmp_path, "house")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")

    assert re.findall(r'<section id="(\w+)"', text) == [
        "review", "changes", "coverage", "placement", "plans", "points", "feeds", "readiness", "violations", "warnings",
    ]  # fmt: skip
    assert re.findall(r'<a href="#(\w+)"', text) == re.findall(r'<section id="(\w+)"', text)
    assert "待审核" in text
    assert text.count("<circle") == 5
    assert text.count('class="room"') == 2


def test_things_of_one_kind_are_one_row_and_a_rule_that_fails_says_what_to_do(model_file: Callable[..., Path], tmp_path: Path) -> None:
    def no_kinds(text: str) -> str:
        return re.sub(r"IFCAIRTERMINALBOX\((.*?)'VAV-(\d)'", r"IFCBUILDINGELEMENTPROXY(\1'Thing \2'", text)

    imported = import_models([model_file(change=no_kinds)], tmp_path, "house")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    failed = [rule for rule in imported.report["readiness"]["rules"] if not rule["holds"]]

    assert len([item for item in imported.report["review"] if item["id"].startswith("thing_")]) == 2
    assert "and 1 alike" in text
    assert all(rule["instructions"].split(".")[0] in text for rule in failed)


def test_readiness_that_was_not_checked_says_how_to_ask_for_it(
    model_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bim.readiness.LARGEST_BYTES", 100)
    unasked = import_models([model_file()], tmp_path / "unasked", "house")
    asked = import_models([model_file()], tmp_path / "asked", "house", readiness=True)

    assert "readiness" not in unasked.report
    assert "--readiness" in (tmp_path / "unasked" / "report.html").read_text(encoding="utf-8")
    assert asked.report["readiness"]["failed"] == 0


def test_what_went_stood_somewhere_before_and_what_came_stands_there_now(model_file: Callable[..., Path], tmp_path: Path) -> None:
    without = model_file(change=lambda text: re.sub(r"#\d+=IFCLIGHTFIXTURE\(.*\n", "", text))
    import_models([without], tmp_path, "house")
    import_models([model_file()], tmp_path, "house")
    came = (tmp_path / "report.html").read_text(encoding="utf-8")
    import_models([model_file(change=lambda text: re.sub(r"#\d+=IFCLIGHTFIXTURE\(.*\n", "", text))], tmp_path, "house")
    went = (tmp_path / "report.html").read_text(encoding="utf-8")

    assert "<small>Luminaire</small></td><td>–</td><td>r1</td>" in came
    assert "<small>Luminaire</small></td><td>r1</td><td>–</td>" in went
