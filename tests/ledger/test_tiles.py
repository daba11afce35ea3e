import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.commands import group_app
from ledger.errors import VerificationError
from ledger.tiles import WIDTH, check_tiles, export_tiles
from ledger.tree import leaf_hash


@pytest.fixture
def exported(house, tmp_path: Path) -> Path:
    """A log of some six hundred entries as tiles."""
    gateway = house.gateway()
    for _ in range(3):
        house.seal(*(house.batch(gateway) for _ in range(200)))
    house.cosign()
    export_tiles(house.log, tmp_path / "tiles")
    return tmp_path / "tiles"


def _check(house, folder: Path) -> int:
    return check_tiles(folder, house.trust)


def test_tiles_stand_where_the_specification_puts_them_and_hold_what_it_says(house, exported: Path) -> None:
    size = house.log.size()
    names = sorted(str(path.relative_to(exported)) for path in exported.rglob("*") if path.is_file())
    rest = size % WIDTH

    assert names == sorted(
        [
            "checkpoint",
            *(f"tile/{level}/{name}" for level in ("0", "entries") for name in ("000", "001", f"002.p/{rest}")),
            f"tile/1/000.p/{size // WIDTH}",
        ]
    )
    first = next(house.log.leaf_bytes(0, 1))[1]
    entries, hashes = (exported / "tile/entries/000").read_bytes(), (exported / "tile/0/000").read_bytes()
    assert entries[:2] == len(first).to_bytes(2, "big")
    assert entries[2 : 2 + len(first)] == first
    assert hashes[:32] == leaf_hash(first)
    assert len(hashes) == 32 * WIDTH
    assert (exported / f"tile/1/000.p/{size // WIDTH}").read_bytes()[:32] == house.log.range_hash(0, WIDTH)
    assert _check(house, exported) == size


def test_an_export_that_goes_on_adds_and_changes_no_full_tile(house, exported: Path) -> None:
    full = {path: path.stat().st_mtime_ns for path in exported.rglob("00[01]")}
    gateway = house.gateway()
    house.seal(*(house.batch(gateway) for _ in range(200)))
    house.cosign()

    export_tiles(house.log, exported)

    assert _check(house, exported) == house.log.size()
    assert {path: path.stat().st_mtime_ns for path in full} == full


@pytest.mark.parametrize(("flips", "seed"), [pytest.param(200, 1), pytest.param(10_000, 2, marks=pytest.mark.long)])
def test_a_bit_changed_in_any_tile_is_found_and_its_file_named(house, exported: Path, flips: int, seed: int) -> None:
    chance, files = random.Random(seed), sorted(path for path in exported.rglob("*") if path.is_file())
    for _ in range(flips):
        path = chance.choice(files)
        data = path.read_bytes()
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
        with pytest.raises(VerificationError) as told:
            _check(house, exported)
        path.write_bytes(data)
        name = str(path.relative_to(exported))
        # An altered entry shows in the hash beside it: the two files of one row stand for each other.
        twin = name.replace("tile/entries", "tile/0")
        assert str(told.value).startswith((name, twin, "checkpoint")), f"seed {seed}: bit {bit} of byte {place} in {name}: {told.value}"


def test_a_missing_tile_is_named(house, exported: Path) -> None:
    (exported / "tile/0/001").unlink()

    with pytest.raises(VerificationError, match="tile/0/001: cannot be read"):
        _check(house, exported)


def test_the_command_writes_and_recomputes(house, street, tmp_path: Path) -> None:
    house.live(1)

    told = CliRunner().invoke(group_app, ["tiles", "riverside", "--out", str(tmp_path / "t"), "--state", str(street.root), "--json"])

    assert json.loads(told.output)["size"] == house.log.size()
