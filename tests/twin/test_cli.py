"""The dispatcher: fast help, near misses named, errors in one line with their exit code."""

import subprocess
import sys
import time

import pytest

from twin import cli


def leave(words, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    return left.value.code, capsys.readouterr()


def test_help_lists_every_command(capsys):
    code, said = leave(["--help"], capsys)

    assert code == 0
    assert all(f"  {name} " in said.out for name in cli.COMMANDS)


def test_the_help_page_loads_no_room():
    words = [
        sys.executable,
        "-c",
        "import sys; from twin import cli; cli.help_text(); print([m for m in sys.modules if m in ('typer','dash','numpy')])",
    ]

    begun = time.monotonic()
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    assert said.strip() == "[]"
    assert time.monotonic() - begun < 10  # a hang, not a speed figure: speed is measured by `wattproof speed`


def test_a_near_miss_is_named(capsys):
    code, said = leave(["verfy"], capsys)

    assert code == 2
    assert "did you mean 'verify'?" in said.err


def test_a_refusal_is_one_line_and_its_exit_code(capsys):
    code, said = leave(["check", "no_such_site"], capsys)

    assert code == 1
    assert said.err == "wattproof check: no_such_site: no folder with a site.toml here or below sites/; give a site's name or its folder\n"
    assert said.out == ""


def test_a_mistake_of_ours_is_told_apart_from_a_failed_check(capsys, monkeypatch):
    def broken() -> None:
        raise KeyError("zone")

    monkeypatch.setattr(cli, "load", lambda _: broken)

    code, said = leave(["check"], capsys)

    assert code == 70
    assert said.err.splitlines()[0].startswith("Traceback")
    assert said.err.splitlines()[-1].startswith("wattproof check: our fault (KeyError)")


@pytest.mark.parametrize(
    "words",
    [
        ["check"],
        ["demo", "--days", "0"],
        ["demo", "--nosuch"],
        ["demo", "--speed", "fast"],
        ["group", "create"],
        ["group", "list"],
        ["device", "list"],
    ],
)
def test_wrong_use_is_one_line_and_exits_with_2(words, capsys):
    code, said = leave(words, capsys)

    assert code == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith(f"wattproof {words[0]}")
    assert said.err.endswith(" --help\n")


@pytest.mark.parametrize("words", [["group"], ["group", "--help"], ["demo", "--help"]])
def test_help_is_plain_text(words, capsys):
    _, said = leave(words, capsys)

    assert f"Usage: wattproof {words[0]}" in said.out + said.err
    assert (said.out + said.err).isascii()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_loads(name):
    assert cli.load(name) is not None
