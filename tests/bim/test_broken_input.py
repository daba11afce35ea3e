"""Whatever comes as a model: a twin, or one clear sentence, and never half of the files."""

import gzip
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import brickschema  # noqa: F401 (loaded here once, so that each of the many child processes finds it loaded)
import pytest

from bim.apart import import_apart
from bim.importing import import_models
from twin.errors import ModelError, SiteError, StateError, WattproofError

ModelFile = Callable[..., Path]
FILES = ["plan.json", "report.html", "report.json", "review.proposals.toml", "review.toml", "twin.ttl"]


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "no such file"),
        ("empty", "the file is empty"),
        ("folder", "cannot be read"),
        ("text", "not an IFC file"),
        ("gzip", "compressed"),
        ("zip", "compressed"),
        ("cut", "cut off"),
        ("schema", "schema 'IFC9' is not supported"),
        ("no_schema", "schema 'not stated' is not supported"),
        ("no_data", "no IfcProject"),
        ("utf16", "not an IFC file"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line_and_nothing_is_written(
    model_file: ModelFile, tmp_path: Path, name: str, words: str
) -> None:
    whole = model_file()
    path = tmp_path / f"{name}.ifc"
    text = whole.read_text()
    match name:
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
        case "text":
            path.write_text("dear colleague, the model follows on Monday")
        case "gzip":
            path.write_bytes(gzip.compress(whole.read_bytes()))
        case "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.write(whole, "model.ifc")
        case "cut":
            path.write_text(text[: len(text) // 2])
        case "schema":
            path.write_text(text.replace("('IFC4')", "('IFC9')"))
        case "no_schema":
            path.write_text(re.sub(r"FILE_SCHEMA\(.*\);", "", text))
        case "no_data":
            path.write_text(re.sub(r"DATA;.*ENDSEC;", "DATA;\nENDSEC;", text, flags=re.DOTALL))
        case "utf16":
            path.write_text(text, encoding="utf-16")

    with pytest.raises(ModelError, match=words) as refused:
        import_models([path], tmp_path / "out", "house")

    assert "\n" not in str(refused.value)
    assert names(tmp_path / "out") == []


def test_an_older_import_stays_whole_when_the_next_one_is_refused(model_file: ModelFile, tmp_path: Path) -> None:
    import_models([model_file()], tmp_path / "out", "house")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}

    with pytest.raises(ModelError):
        import_models([model_file(change=lambda text: text[:-200])], tmp_path / "out", "house")

    assert {name: (tmp_path / "out" / name).read_bytes() for name in names(tmp_path / "out")} == before


def test_a_full_disk_half_way_leaves_the_older_import_as_it_was(model_file: ModelFile, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: the twin fits no more, smaller files would."""
    out = tmp_path / "out"
    import_models([model_file()], out, "house")
    before = {name: (out / name).read_bytes() for name in FILES}
    limit = max(map(len, before.values())) - 1000
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from bim.importing import import_models; from twin.errors import StateError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try: import_models([Path(sys.argv[1])], Path(sys.argv[2]), 'house')\n"
        "except StateError as error: print(error)\n"
    )
    changed = model_file("b.ifc", change=lambda text: text.replace("'VAV-1'", "'VAV-9'"))

    done = subprocess.run([sys.executable, "-c", script, str(changed), str(out)], capture_output=True, text=True, check=False, timeout=60)

    assert "cannot be written" in done.stdout, done.stderr
    assert "nothing was changed" in done.stdout
    assert {name: (out / name).read_bytes() for name in names(out)} == before


@pytest.mark.parametrize("place", ["a_file", "/proc/wattproof"])
def test_a_place_that_takes_no_files_is_named(model_file: ModelFile, tmp_path: Path, place: str) -> None:
    (tmp_path / "a_file").write_text("not a folder")

    with pytest.raises(StateError, match="cannot be written"):
        import_models([model_file()], tmp_path / place, "house")


def test_a_disk_that_takes_nothing_is_told_in_one_line(model_file: ModelFile, tmp_path: Path) -> None:
    """A mount of this process alone: a disk without room, then one that is read-only."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("no right to mount (unshare -m) here: full and read-only disks stay untested")
    script = (
        "import sys; from pathlib import Path\n"
        "from bim.importing import import_models; from twin.errors import StateError\n"
        "try: import_models([Path(sys.argv[1])], Path(sys.argv[2]), 'house')\n"
        "except StateError as error: print(error, [p.name for p in Path(sys.argv[2]).iterdir()])\n"
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    for options, words in (("size=16k", "No space left on device"), ("ro", "Read-only file system")):
        mounted = f'mount -t tmpfs -o {options} none "$3"; exec "$0" -c "$1" "$2" "$3"'
        child = ["unshare", "-m", "sh", "-c", mounted, sys.executable, script, str(model_file()), str(disk)]
        done = subprocess.run(child, capture_output=True, text=True, check=False, timeout=60)

        assert words in done.stdout, done.stderr
        assert done.stdout.endswith("nothing was changed; check the disk and the folder's owner []\n")


def test_one_file_given_twice_is_refused(model_file: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the same file as .*one\.ifc, byte by byte"):
        import_models([model_file("one.ifc"), model_file("two.ifc")], tmp_path / "out", "house")

    assert names(tmp_path / "out") == []


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ifc")

    with pytest.raises(ModelError, match="it is a pipe or a device"):
        import_models([tmp_path / "pipe.ifc"], tmp_path / "out", "house")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("scan.json", "{}", "expected a scan"),
        ("scan.json", "{", "cannot be read as a scan"),
        ("scan.json", '{"format": "wattproof scan", "version": 1, "at": "x", "devices": [3]}', "not as it should be"),
        ("points.csv", "point,colour\nx,red\n", "columns must be among"),
        ("review.toml", "[", "not readable as TOML"),
    ],
)
def test_a_broken_file_beside_the_model_stops_the_import_and_is_named(
    model_file: ModelFile, tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text(content)

    with pytest.raises(SiteError, match=words):
        import_models([model_file()], tmp_path / "out", "house")

    assert names(tmp_path / "out") == [name]


def test_malformed_global_ids_are_told_and_everything_else_is_imported(model_file: ModelFile, tmp_path: Path) -> None:
    def malformed(text: str) -> str:
        ids = re.findall(r"IFCSENSOR\('([^']{22})'", text)
        return text.replace(ids[0], "too short").replace(ids[1], "x" * 40)

    imported = import_models([model_file(change=malformed)], tmp_path / "out", "house")

    assert len(imported.graph.points()) == 5
    assert any("2 GlobalIds are malformed" in w for w in imported.report["warnings"])


def test_latin_bytes_elements_without_placement_and_rooms_without_a_body_are_findings(model_file: ModelFile, tmp_path: Path) -> None:
    path = model_file()
    text = path.read_bytes().replace(b"'VAV-1'", b"'K\xfchlger\xe4t'")  # a careless exporter's Latin-1
    text = re.sub(rb"(IFCAIRTERMINALBOX\('[^']*',\$,'VAV-2',\$,\$,)#\d+", rb"\1$", text)
    text = re.sub(rb"(IFCSPACE\('[^']*',\$,'R1',\$,\$,#\d+,)#\d+", rb"\1$", text)
    path.write_bytes(text)

    imported = import_models([path], tmp_path / "out", "house")

    told = " | ".join(imported.report["warnings"])
    assert "no body with a floor" in told
    assert "1 elements have no placement" in told
    assert sum(imported.counts["elements"][k] for k in ("mapped", "unmapped", "passive")) == imported.counts["elements"]["total"] == 9


def mutated(content: bytes, seed: int) -> bytes:
    """A model as bad tools and bad disks leave it: bytes, lines, references, numbers and texts changed by chance."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at, length = rng.randrange(len(content)), rng.randrange(1, 200)
        lines = content.split(b"\n")
        line = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
            case 1:
                content = content[:at] + content[at + length :]
            case 2:
                content = content[:at] + content[at : at + length] + content[at:]
            case 3:
                content = exchanged(content, rng, rb"#\d+", [m[0] for m in re.finditer(rb"#\d+", content)])
            case 4:
                content = exchanged(content, rng, rb"-?\d+\.\d*", [b"1.E308", b"-1.E308", b"0.", b"1.E-300", b"$", b"*"])
            case 5:
                texts = [b"''", b"$", rb"'\X2\D800\X0\'", b"'\xff\xfe'", b"'" + b"A" * 3000 + b"'", rb"'\X\00'"]
                content = exchanged(content, rng, rb"'[^']*'", texts)
            case 6:
                content = b"\n".join(lines[:line] + lines[line + 1 :])
            case _:
                content = b"\n".join([*lines[:line], lines[rng.randrange(len(lines))], *lines[line:]])
    return content


def exchanged(content: bytes, rng: random.Random, pattern: bytes, others: list[bytes]) -> bytes:
    found = list(re.finditer(pattern, content))
    if not found or not others:
        return content
    spot = rng.choice(found)
    return content[: spot.start()] + rng.choice(others) + content[spot.end() :]


def survives(seeds: range, model: Path, folder: Path) -> None:
    """Each mutated model gives a whole import or one of the product's own errors; a failure prints its seed."""
    content = model.read_bytes()
    for seed in seeds:
        path, out = folder / f"mutated_{seed}.ifc", folder / f"out_{seed}"
        path.write_bytes(mutated(content, seed))
        refused = None
        try:
            import_apart([path], out, "house")
        except WattproofError as error:
            refused = error
        assert (seed, names(out)) == (seed, [] if refused else FILES), refused
        path.unlink()


@pytest.mark.parametrize("start", range(0, 100, 25))
def test_mutated_models_never_end_in_a_traceback_nor_half_written(model_file: ModelFile, tmp_path: Path, start: int) -> None:
    survives(range(start, start + 25), model_file(), tmp_path)


@pytest.mark.long
def test_thousands_of_mutated_models_never_end_in_a_traceback_nor_half_written(model_file: ModelFile, tmp_path: Path) -> None:
    survives(range(1000, 4000), model_file(), tmp_path)
