"""The words of the pages in Chinese and English: one TOML file a language, equal keys (a test compares them)."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "en", "zh": "zh-CN"}  # ours -> what the browser is told


@cache
def texts(lang: str) -> Mapping[str, str]:
    """All words of one language, by key; an unknown language gets English."""
    name = lang if lang in LANGUAGES else "en"
    tables = tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))
    return {key: text for table in tables.values() for key, text in table.items()}


def other_language(lang: str) -> str:
    """The language that the switch in the header leads to."""
    return "en" if lang == "zh" else "zh"


def preferred(accepted: str) -> str:
    """The language of a browser that has not chosen yet, from its Accept-Language header."""
    first = accepted.split(",")[0].strip().lower()
    return "zh" if first.startswith("zh") else "en"
