"""Broken models: one clear line each, and nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bim.importing import import_models
from bim.opening import open_model
from twin.errors import ModelError


def header(schema: str) -> str:
    return (
        "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\nFILE_NAME('','',(''),(''),'','','');\n"
        f"FILE_SCHEMA(('{schema}'));\nENDSEC;\nDATA;\nENDSEC;\nEND-ISO-10303-21;\n"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("   \n\n", "empty"),
        ("<html><body>404</body></html>", "not an IFC file"),
        ("ISO-10303-21;\nHEADER;\n", "cut off"),
        (header("IFC2X_FINAL"), "schema 'IFC2X_FINAL' is not supported"),
        (header("AP214"), "schema 'AP214' is not supported"),
        (header("IFC5"), "schema 'IFC5' is not supported"),
        ("ISO-10303-21;\nHEADER;\nENDSEC;\nDATA;\nENDSEC;\nEND-ISO-10303-21;\n", "schema 'not stated' is not supported"),
        (header("IFC4"), "no IfcProject"),
        (header("IFC4").replace("DATA;\n", "DATA;\n#1=IFCWALL('x\n"), "not readable as IFC|no IfcProject"),
    ],
)
def test_a_broken_model_is_one_line_and_leaves_nothing(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "broken.ifc"
    path.write_text(content)

    with pytest.raises(ModelError, match=words) as caught:
        import_models([path], tmp_path / "out", "site")

    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        open_model(tmp_path / "absent.ifc")
    with pytest.raises(ModelError, match="cannot be read"):
        open_model(tmp_path)
    with pytest.raises(ModelError, match="no IFC model given"):
        import_models([], tmp_path / "out", "site")


def test_a_truncated_model_is_refused_though_the_parser_would_take_it(model_file: Callable[..., Path], tmp_path: Path) -> None:
    whole = model_file()
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    with pytest.raises(ModelError, match="cut off"):
        import_models([whole], tmp_path / "out", "site")


def test_a_broken_second_model_leaves_the_old_twin_as_it_was(model_file: Callable[..., Path], tmp_path: Path) -> None:
    import_models([model_file()], tmp_path / "out", "site")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    (tmp_path / "empty.ifc").write_text("")

    with pytest.raises(ModelError):
        import_models([model_file(), tmp_path / "empty.ifc"], tmp_path / "out", "site")

    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_a_windows_export_with_byte_order_mark_and_trailing_lines_opens(model_file: Callable[..., Path]) -> None:
    path = model_file()
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")

    model = open_model(path)

    assert model.schema == "IFC4"
    assert len(model.sha256) == 64
