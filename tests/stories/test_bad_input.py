"""Whatever is wrong is said in one clear line, with an exit code other than 0, and nothing half-written stays."""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from twin.state import StateFolder, site_lock

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "sites" / "corner_clinic" / "models"
LIMIT_S = 120


def wattproof(*words, env=None):
    return subprocess.run(
        [sys.executable, "-m", "twin", *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, env=env, check=False
    )


def refused_in_one_line(done, said):
    assert done.returncode not in (0, 70), done.stdout
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert re.search(said, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def model():
    return next(MODEL.glob("*.ifc"))


@pytest.fixture
def clinic(tmp_path):
    return Path(shutil.copytree(ROOT / "sites" / "corner_clinic", tmp_path / "corner_clinic"))


def spoiled(model, kind):
    content = model.read_bytes()
    schema = re.search(rb"FILE_SCHEMA\s*\(\('[^']+'\)\)", content)
    return {
        "empty": b"",
        "truncated": content[: len(content) // 2],
        "no IFC": b"%PDF-1.7 this is a drawing, not a model\n" * 50,
        "of an unknown schema": content.replace(schema.group(), b"FILE_SCHEMA(('IFC9'))"),
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "truncated", "no IFC", "of an unknown schema"])
def test_a_model_that_is_spoiled_is_refused_and_leaves_nothing(tmp_path, model, kind):
    path, out = tmp_path / "model.ifc", tmp_path / "out"
    path.write_bytes(spoiled(model, kind))

    refused_in_one_line(wattproof("import", path, "--out", out), r"model\.ifc")

    assert not out.exists() or not list(out.iterdir())


def test_a_missing_model_is_refused(tmp_path):
    refused_in_one_line(wattproof("import", tmp_path / "nowhere.ifc", "--out", tmp_path / "out"), "nowhere")


def test_an_unknown_key_in_site_toml_is_named_with_the_nearest_right_one(clinic, tmp_path):
    path = clinic / "site.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("timezone", "time_zone"), encoding="utf-8")

    refused_in_one_line(
        wattproof("demo", "--site", clinic, "--headless", "--state", tmp_path / "state"), "unknown key 'time_zone'; did you mean 'timezone'"
    )

    assert not (tmp_path / "state").exists() or not list((tmp_path / "state").iterdir())


def with_fixed_port(clinic, connection, port):
    path = clinic / "site.toml"
    text = path.read_text(encoding="utf-8")
    head, _, tail = text.partition(f"[connections.{connection}]")
    assert tail
    tail = re.sub(r"port = \d+", f"port = {port}", tail, count=1) if re.match(r"[^\[]*port = ", tail) else f"\nport = {port}{tail}"
    path.write_text(f"{head}[connections.{connection}]{tail}", encoding="utf-8")


@pytest.mark.parametrize(("connection", "kind"), [("ahu_1", socket.SOCK_DGRAM), ("meters", socket.SOCK_STREAM)])
def test_a_used_field_port_is_named_before_anything_starts(clinic, tmp_path, connection, kind):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with_fixed_port(clinic, connection, port)

        done = wattproof("demo", "--site", clinic, "--headless", "--state", tmp_path / "state")

    refused_in_one_line(done, rf"{connection}.*{port}|{port}.*{connection}")


def test_a_used_web_port_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        refused_in_one_line(wattproof("demo", "--port", port, "--state", tmp_path / "state"), str(port))


def test_a_second_controller_for_one_site_is_refused(tmp_path):
    state = tmp_path / "state"
    with site_lock(StateFolder(state).site("corner_clinic"), "another run"):
        done = wattproof("demo", "--site", "corner_clinic", "--headless", "--state", state)

    refused_in_one_line(done, "already running|choose an empty folder")


def test_without_energyplus_the_rc_plant_is_used_and_said_so(tmp_path):
    words = "import sys; sys.modules['pyenergyplus'] = None; from twin.cli import main; main()"
    command = [sys.executable, "-c", words, "simulate", "demo_office", "--controller", "bau", "--days", "1", "--json"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    assert done.returncode == 0, done.stderr
    assert '"plant": "rc"' in done.stdout
    assert "EnergyPlus" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--start", "02-30"], "start must be MM-DD"),
        (["--plant", "magic"], "plant must be one of"),
        (["--state", "taken"], "taken: cannot be used as a folder"),
        (["--state", "taken/below"], "taken/below: cannot be used as a folder"),
    ],
)
def test_a_demo_that_cannot_be_leaves_no_state(tmp_path, words, said):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    state = [str(tmp_path / w) if w.startswith("taken") else w for w in words]

    refused_in_one_line(wattproof("demo", "--headless", "--state", tmp_path / "state", *state), said)

    assert list(tmp_path.iterdir()) == [taken]


def test_a_demo_with_a_spoiled_model_takes_away_what_it_wrote(clinic, tmp_path):
    path = next((clinic / "models").glob("*.ifc"))
    path.write_bytes(path.read_bytes()[:20_000])

    done = wattproof("demo", "--site", clinic, "--headless", "--state", tmp_path / "state")

    assert done.returncode == 1
    assert "the file is cut off" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["tariff.csv", "twin.ttl", "plant.toml", "points.csv", "site.toml"])
def test_check_tells_of_a_file_that_is_no_text(clinic, name):
    (clinic / name).write_bytes(b"\x7fELF\xd0\xff\x00" * 99)

    done = wattproof("check", clinic, "--json")

    assert done.returncode == 1
    assert done.stderr == ""
    assert name in done.stdout
