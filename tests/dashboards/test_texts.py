"""The words: both languages say everything, and every word the pages ask for is there."""

import re
import tomllib
from pathlib import Path
from string import Formatter

import dashboards
from dashboards.pages.frame import SCRIPT_WORDS
from dashboards.texts import preferred, texts

ROOM = Path(dashboards.__file__).parent


def tables(lang: str) -> dict:
    return tomllib.loads((ROOM / "texts" / f"{lang}.toml").read_text(encoding="utf-8"))


def test_both_languages_have_the_same_words_in_the_same_places():
    en, zh = tables("en"), tables("zh")
    assert {name: list(table) for name, table in en.items()} == {name: list(table) for name, table in zh.items()}


def test_no_word_stands_twice():
    keys = [key for table in tables("en").values() for key in table]
    assert len(keys) == len(set(keys))


def test_both_languages_fill_in_the_same_marks():
    def marks(text: str) -> set:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}

    for key, text in texts("en").items():
        assert marks(text) == marks(texts("zh")[key]), key


def test_every_word_that_the_code_names_exists():
    code = "\n".join(p.read_text(encoding="utf-8") for p in ROOM.rglob("*.py"))
    asked = set(re.findall(r'words\["([a-z0-9_]+)"\]', code)) | set(SCRIPT_WORDS)
    assert asked - set(texts("en")) == set()


def test_a_browser_that_prefers_chinese_gets_it():
    assert preferred("zh-CN,zh;q=0.9,en;q=0.8") == "zh"
    assert preferred("de-DE,en;q=0.5") == "en"
    assert texts("xx") == texts("en")
