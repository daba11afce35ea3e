"""Rights while the controller runs: a grant that comes, that is narrower, that ends, and files that changed under it."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controls.rights import Files, Rights
from ledger.site_commands import grant, sign
from twin.journal import Journal
from twin.site import load_site

CLINIC = Path(__file__).parents[2] / "sites" / "corner_clinic"
NOW = datetime.now(UTC)


@pytest.fixture
def site(tmp_path):
    """The clinic as if it were real, nothing protected."""
    folder = tmp_path / "clinic"
    shutil.copytree(CLINIC, folder)
    (folder / "plant.toml").unlink()
    toml = (folder / "site.toml").read_text()
    (folder / "site.toml").write_text(toml.replace('protected_zones = ["surgery_1"]', "protected_zones = []"))
    return folder


@pytest.fixture
def commission(site, tmp_path):
    def commissioned(*, new_key=False, days=9, revoke="") -> None:
        sign(str(site), tmp_path / "engineer.pem", "chen", new_key=new_key, days=days, revoke=revoke)
        grant(str(site), str(tmp_path / "state"), revoke=revoke)

    return commissioned


@pytest.fixture
def told():
    return []


@pytest.fixture
def rights(site, tmp_path, told):
    """The site's rights as a controller that starts now sees them."""
    journals = []

    def at_start() -> Rights:
        journals.append(Journal(tmp_path / "state" / "sites" / "corner_clinic" / "journal.db"))
        return Rights(Files.read(load_site(site)), journals[-1], told.append)

    yield at_start
    for journal in journals:
        journal.close()


def test_a_grant_that_comes_later_counts_and_is_told(rights, commission, told):
    mine = rights()
    assert (mine.now.book.writable, mine.news(NOW)) == ([], None)
    commission(new_key=True)
    news = mine.news(NOW)

    assert len(news.book.writable) > 10
    assert news.rewired  # devices are commanded that were only read: nobody else may command them now
    assert mine.news(NOW) is None
    assert "never commissioned" in told[0]
    assert told[1].endswith("points may be written, granted by chen")


def test_a_point_taken_back_counts_without_beginning_anew(rights, commission, told):
    commission(new_key=True)
    mine = rights()
    commission(revoke="surgery_1.htg_sp")
    news = mine.news(NOW)

    assert not news.book["surgery_1.htg_sp"].writable
    assert not news.rewired
    assert told[-1] == "surgery_1.htg_sp was taken back by chen"


def test_a_grant_ends_while_the_controller_runs(rights, commission, told):
    commission(new_key=True, days=2)
    mine = rights()
    assert mine.news(NOW + timedelta(days=1)) is None
    news = mine.news(NOW + timedelta(days=3))

    assert news.book.writable == []
    assert "the grant of chen ended" in told[-1]
    assert mine.news(NOW + timedelta(days=4)) is None


@pytest.mark.parametrize("change", ["points.csv", "site.toml", "twin.ttl", "interlocks.csv"])
def test_only_files_that_lead_elsewhere_begin_anew(rights, commission, site, change):
    commission(new_key=True)
    mine = rights()
    texts = {
        "points.csv": ("points.csv", "surgery_1.htg_sp", ",12,24,,20", ",13,24,,20"),
        "site.toml": ("site.toml", "device", "= 2001", "= 2002"),
        "twin.ttl": ("twin.ttl", "# wattproof importer", "# wattproof importer", "# the same importer"),
        "interlocks.csv": ("interlocks.csv", "", "", ""),
    }
    name, start, old, new = texts[change]
    if change == "interlocks.csv":
        (site / name).write_text("name,rule\nx,surgery_1.htg_sp > 20 forbids ahu_1.oa_f_sp > 2\n")
    else:
        lines = (site / name).read_text().splitlines()
        number = next(n for n, line in enumerate(lines) if line.startswith(start) and old in line)
        lines[number] = lines[number].replace(old, new)
        (site / name).write_text("\n".join(lines) + "\n")
    commission()
    news = mine.news(NOW)

    assert news.rewired == (change in ("site.toml", "twin.ttl"))
    assert news.book["surgery_1.htg_sp"].limits.low == (13.0 if change == "points.csv" else 12.0)
    assert [lock.name for lock in news.interlocks] == (["x"] if change == "interlocks.csv" else [])


def test_files_broken_since_the_grant_stop_nobody(rights, commission, site, told):
    commission(new_key=True)
    mine = rights()
    commission()
    (site / "points.csv").write_text("nonsense")
    news = mine.news(NOW)

    assert len(news.book.writable) > 10
    assert any("the new grant holds over the files as they were read before" in words for words in told)
