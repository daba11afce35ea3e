"""What a site's commissioning.toml is worth when somebody is about to sign."""

import shutil
from pathlib import Path

import pytest

from twin.commissioned import FILE, commissioning_note, points_digest
from twin.graph import Graph
from twin.points import read_points
from twin.site import load_site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def note(tmp_path):
    """The note on the clinic with this commissioning.toml; `{digest}` becomes that of its points."""
    folder = tmp_path / "clinic"
    shutil.copytree(ROOT / "sites" / "corner_clinic", folder)
    graph = Graph.read(folder / "twin.ttl")

    def ask(text=None):
        site, book = load_site(folder), read_points(folder / "points.csv", graph.points())
        if text is not None:
            (folder / FILE).write_text(text.format(digest=points_digest(site, book)))
        return commissioning_note(site, book)

    ask.folder = folder
    return ask


PASSED = 'at = "2026-01-02T03:04:05+00:00"\npassed = true\npoints_sha256 = "{digest}"\n'


def test_a_site_that_passed_with_these_points_needs_no_word(note):
    assert note(PASSED) == ""


def test_other_hosts_are_no_other_points_but_another_limit_is(note):
    note(PASSED)
    toml = note.folder / "site.toml"
    toml.write_text(toml.read_text().replace("127.0.0.1", "10.0.0.7"))
    assert note() == ""

    points = note.folder / "points.csv"
    points.write_text(points.read_text().replace(",0,3,,0.36", ",0,2,,0.36"))
    assert note() == "changed since it was tried at 2026-01-02: what may be written is not what was tried"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "never tried on its simulated building: commissioning.toml is missing"),
        ('passed = false\nat = "2026-01-02"', "did not pass when it was tried at 2026-01-02"),
        ("passed = perhaps", "commissioning.toml is not readable"),
    ],
)
def test_what_was_not_tried_or_did_not_pass_is_said(note, text, said):
    assert note(text).startswith(said)
