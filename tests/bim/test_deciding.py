"""review.toml is people's: one table goes in or out, and every other line stays as it was."""

import pytest

from bim.deciding import decisions_in, with_decisions, without_decisions
from twin.errors import SiteError

SIGNED = {"by": "M. Chen", "why": "name plate"}
TEXT = """# Our decisions, kept by hand.

# the fan coil in the corner
["2O2Fr$t4X7Zf8NOew3FLOH"]
brick = "FCU"   # read off its name plate
by = "M. Chen"
why = "name plate"

# asked the plumber
["2O2Fr$t4X7Zf8NOew3FLOJ"]
passive = true
by = "L. Wang"
why = "a cupboard"
"""


def test_a_new_decision_is_added_below_and_nothing_else_is_touched() -> None:
    text = with_decisions(TEXT, {"bacnet:ddc_1/analog-output,4": {"point": "vav_1.dmp", "writable": True, **SIGNED}})

    assert text.startswith(TEXT)
    assert decisions_in(text)["bacnet:ddc_1/analog-output,4"] == {"point": "vav_1.dmp", "writable": True, **SIGNED}


def test_a_decision_taken_back_takes_no_comment_of_its_neighbour_along() -> None:
    text = without_decisions(TEXT, ["2O2Fr$t4X7Zf8NOew3FLOH"])

    assert "FCU" not in text
    assert text.endswith(TEXT[TEXT.index("\n# asked the plumber") :])


def test_deciding_again_replaces_and_withdrawing_brings_the_text_back() -> None:
    once = with_decisions(TEXT, {"x" * 22: {"brick": "VAV", **SIGNED}})
    twice = with_decisions(once, {"x" * 22: {"brick": "RVAV", **SIGNED}})

    assert decisions_in(twice)["x" * 22]["brick"] == "RVAV"
    assert without_decisions(twice, ["x" * 22]).rstrip() == TEXT.rstrip()


def test_what_says_nothing_is_not_written() -> None:
    with pytest.raises(SiteError, match="not a class of Brick"):
        with_decisions(TEXT, {"x" * 22: {"brick": "No_Such", **SIGNED}})
    with pytest.raises(SiteError, match="holds no decision"):
        without_decisions(TEXT, ["y" * 22])


def test_a_table_within_a_text_of_several_lines_is_not_mistaken_for_one() -> None:
    text = TEXT.replace('why = "a cupboard"', 'why = """\n["2O2Fr$t4X7Zf8NOew3FLOH"]\nold words"""')

    with pytest.raises(SiteError, match="by hand"):
        without_decisions(text.replace('["2O2Fr$t4X7Zf8NOew3FLOH"]\nbrick = "FCU"', '["z"]\nbrick = "FCU"'), ["2O2Fr$t4X7Zf8NOew3FLOJ"])
