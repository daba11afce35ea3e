"""Pages, live loop and charts, without a browser."""

import json
import re
from pathlib import Path

import pytest

import dashboards
from dashboards.access import MAY
from dashboards.live import Loops, _plain, changed
from dashboards.pages import control_room, owner
from dashboards.parts.charts import chart_config
from dashboards.parts.numbers import age, number
from dashboards.server import make_server

ROOM = Path(dashboards.__file__).parent


@pytest.mark.parametrize("page", [control_room, owner])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_live_value_has_a_place_on_its_page(desk, page, lang):
    text = json.dumps(page.layout(desk, lang), default=_plain)
    for name in page.live(desk, lang)["props"]:
        assert f'"id": "{name}"' in text, name


def test_the_live_values_go_over_the_wire_as_plain_json(desk):
    for page in (control_room, owner):
        assert len(json.dumps(page.live(desk, "en"), default=_plain)) < 200_000


def test_only_what_changed_is_sent_again(desk, live_site):
    sent: dict[str, str] = {}
    first = changed(control_room.live(desk, "en"), sent)
    assert "points-grid" in first["props"]
    assert changed(control_room.live(desk, "en"), sent) == {"props": {}}
    live_site.step()
    second = changed(control_room.live(desk, "en"), sent)
    assert "points-grid" in second["props"]
    assert "release-by" not in second["props"]


def test_a_newer_loop_of_the_same_tab_ends_the_older_and_numbers_never_return():
    loops, tab = Loops(), ("session", "tab")
    first, second = loops.begin(tab), loops.begin(tab)
    assert not loops.speaks(tab, first)
    assert loops.speaks(tab, second)
    loops.end(tab, second)
    assert loops.begin(tab) not in (first, second)


def test_no_chart_can_send_its_data_away_and_all_come_from_one_place():
    config = chart_config("zh")
    assert (config["showSendToCloud"], config["plotlyServerURL"], config["displaylogo"]) == (False, "", False)
    makers = [p.name for p in ROOM.rglob("*.py") if "dcc.Graph(" in p.read_text(encoding="utf-8")]
    grids = [p.name for p in ROOM.rglob("*.py") if "AgGrid(" in p.read_text(encoding="utf-8")]
    assert (makers, grids) == (["charts.py"], ["grids.py"])


def test_nothing_in_the_pages_names_an_outside_address():
    for path in [*ROOM.rglob("*.py"), *ROOM.rglob("*.js"), *ROOM.rglob("*.css")]:
        found = set(re.findall(r"https?://[\w.]+", path.read_text(encoding="utf-8"))) - {"http://www.w3.org", "http://"}
        assert found <= {"http://{LOOPBACK}"}, path


def test_every_callback_on_the_server_names_an_action_that_some_role_has(desk, tmp_path):
    actions = {action for allowed in MAY.values() for action in allowed}
    code = "".join((ROOM / "pages" / f"{kind}_callbacks.py").read_text(encoding="utf-8") for kind in ("owner", "government"))
    named = set(re.findall(r'(?:@on|@action)\(\s*(?:app,\s*)?"(\w+)"', code))
    assert named
    assert named <= actions
    assert not re.search(r"@(app\.)?callback", code), "callbacks of a page go through `action`"
    make_server("owner", tmp_path, [desk]).accounts.close()


@pytest.mark.parametrize(("seconds", "said"), [(None, "–"), (5, "5 s"), (600, "10 min"), (7200, "2 h"), (200_000, "2 d")])
def test_ages_are_said_in_one_unit(seconds, said):
    assert age(seconds) == said


def test_numbers_are_grouped_and_missing_ones_are_dashes():
    assert number(12345.6, 0) == "12\u202f346"
    assert number(None) == "–"
