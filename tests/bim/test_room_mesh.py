"""The 3D file of rooms, read back as a viewer reads it."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bim.importing import import_models
from bim.room_mesh import RoomBody, glb

TETRA = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]], dtype=float)
FAR = TETRA + np.array([691_000, 5_334_000, 500])
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def parsed(content: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert (kind, size % 4) == (b"JSON", 0)
    document = json.loads(content[20 : 20 + size])
    rest = content[20 + size :]
    if not rest:
        return document, b""
    binary_size, binary_kind = struct.unpack_from("<I4s", rest)
    assert (binary_kind, binary_size) == (b"BIN\0", len(rest) - 8)
    return document, rest[8:]


def triangles(document: dict[str, Any], binary: bytes, node: dict[str, Any]) -> Any:
    primitive = document["meshes"][node["mesh"]]["primitives"][0]
    arrays = []
    for accessor, kind, width in ((primitive["attributes"]["POSITION"], "<f4", 3), (primitive["indices"], "<u4", 1)):
        stated = document["accessors"][accessor]
        view = document["bufferViews"][stated["bufferView"]]
        part = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        arrays.append(np.frombuffer(part, dtype=kind).reshape(-1, width))
        assert stated["count"] == len(arrays[-1])
    return arrays[0][arrays[1].ravel()].reshape(-1, 3, 3)


def test_a_room_comes_back_with_its_triangles_upright_and_its_key() -> None:
    document, binary = parsed(glb([RoomBody("r_1", "Büro 1", "level_1", FAR, FACES)]))
    (node,) = document["nodes"]
    found = triangles(document, binary, node)

    assert node["name"] == "r_1"
    assert node["extras"] == {"id": "r_1", "name": "Büro 1", "storey": "level_1"}
    east, north, height = document["scenes"][0]["extras"]["origin_m"]
    back = np.column_stack([found[..., 0].ravel() + east, -found[..., 2].ravel() + north, found[..., 1].ravel() + height])
    assert back == pytest.approx(FAR[FACES].reshape(-1, 3), abs=1e-3)
    volume = np.einsum("ij,ij->i", found[:, 0], np.cross(found[:, 1], found[:, 2])).sum() / 6
    assert volume == pytest.approx(8 / 6)  # positive: the faces still look outwards


def test_the_order_of_rooms_does_not_matter_and_no_rooms_are_a_valid_file_too() -> None:
    one, two = (RoomBody(name, name, None, TETRA + n, FACES) for n, name in enumerate("ab"))

    assert glb([one, two]) == glb([two, one])
    assert parsed(glb([]))[0]["asset"]["version"] == "2.0"


def test_an_import_writes_the_mesh_when_asked_and_only_then(model_file: Callable[..., Path], tmp_path: Path) -> None:
    import_models([model_file()], tmp_path / "plain", "house")
    for name in ("one", "two"):
        import_models([model_file()], tmp_path / name, "house", mesh=True)

    document, _ = parsed((tmp_path / "one" / "rooms.glb").read_bytes())
    assert not (tmp_path / "plain" / "rooms.glb").exists()
    assert (tmp_path / "one" / "rooms.glb").read_bytes() == (tmp_path / "two" / "rooms.glb").read_bytes()
    assert [node["extras"] for node in document["nodes"]] == [
        {"id": "r1", "name": "R1", "storey": "level_1"},
        {"id": "r2", "name": "R2", "storey": "level_1"},
    ]
