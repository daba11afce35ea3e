"""State files are whole or absent; one controller holds a site."""

import os

import pytest

from twin.errors import StateError
from twin.state import StateFolder, lock_is_held, read_json, site_lock, write_json, write_whole


def test_a_file_is_written_whole_with_its_mode(tmp_path):
    write_whole(tmp_path / "keys" / "a.key", b"secret", 0o600)

    assert (tmp_path / "keys" / "a.key").read_bytes() == b"secret"
    assert (tmp_path / "keys" / "a.key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "keys") == ["a.key"]


def test_json_goes_round_and_broken_json_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": "楼"})
    assert read_json(tmp_path / "a.json") == {"a": "楼", "b": 1}

    (tmp_path / "a.json").write_text("{")
    with pytest.raises(StateError, match="not readable as JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(StateError, match="not there"):
        read_json(tmp_path / "b.json")


def test_a_second_controller_is_refused_and_told_who_holds_the_site(tmp_path):
    folder = StateFolder(tmp_path).site("shed")
    assert not lock_is_held(folder)

    with site_lock(folder, "demo"):
        assert lock_is_held(folder)
        with pytest.raises(StateError, match=rf"already running \(demo, process {os.getpid()}\)"), site_lock(folder, "run"):
            pass

    with site_lock(folder, "run"):
        pass
    assert not lock_is_held(folder)


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "sites").write_text("a file in the way")

    with pytest.raises(StateError, match="cannot be made"):
        StateFolder(tmp_path).site("shed")


def test_nobody_else_on_this_machine_looks_into_a_state_folder(tmp_path):
    folder = StateFolder(tmp_path / "state")
    made = [folder.site("tower"), folder.group("harbour"), folder.witness(), tmp_path / "state"]

    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 4
