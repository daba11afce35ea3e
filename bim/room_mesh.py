"""Rooms as one glTF 2.0 binary file (.glb) for a 3D view: a node a room, the same bytes for the same rooms."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_MAGIC, _VERSION = 0x46546C67, 2
_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_FLOAT, _UINT = 5126, 5125
_VERTICES, _INDICES = 34962, 34963
_DIGITS = 3  # millimetres


@dataclass(frozen=True)
class RoomBody:
    """A room as a viewer knows it. `vertices` n x 3 in metres, `faces` m x 3."""

    id: str
    name: str
    storey: str | None
    vertices: Any
    faces: Any


def glb(rooms: Sequence[RoomBody]) -> bytes:
    """The file's bytes. glTF's y axis is up; single precision is kept by a shift to the middle, told in the scene's extras."""
    drawn = [room for room in sorted(rooms, key=lambda r: r.id) if len(room.faces)]
    origin = _origin(drawn)
    binary = bytearray()
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    nodes, meshes = [], []
    for n, room in enumerate(drawn):
        points = _upright(np.asarray(room.vertices, dtype=float) - origin)
        meshes.append({"primitives": [{"attributes": {"POSITION": 2 * n}, "indices": 2 * n + 1, "mode": 4}]})
        extras = {"id": room.id, "name": room.name, "storey": room.storey}
        nodes.append({"name": room.id, "mesh": n, "extras": extras})
        low, high = ([float(v) for v in bound] for bound in (points.min(axis=0), points.max(axis=0)))
        accessors.append({"bufferView": 2 * n, "componentType": _FLOAT, "count": len(points), "type": "VEC3", "min": low, "max": high})
        accessors.append({"bufferView": 2 * n + 1, "componentType": _UINT, "count": 3 * len(room.faces), "type": "SCALAR"})
        for content, target in ((points.tobytes(), _VERTICES), (np.asarray(room.faces, dtype="<u4").tobytes(), _INDICES)):
            views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content), "target": target})
            binary += content
    scene = {"nodes": list(range(len(nodes))), "extras": {"origin_m": [float(v) for v in origin], "axes": "x east, y up, z south"}}
    document: dict[str, Any] = {"asset": {"version": "2.0", "generator": "wattproof"}, "scene": 0, "scenes": [scene]}
    if nodes:
        document |= {
            "nodes": nodes,
            "meshes": meshes,
            "accessors": accessors,
            "bufferViews": views,
            "buffers": [{"byteLength": len(binary)}],
        }
    else:
        del scene["nodes"]
    return _file(document, bytes(binary))


def _origin(rooms: Sequence[RoomBody]) -> Any:
    """The middle of all rooms, to the metre."""
    if not rooms:
        return np.zeros(3)
    low = np.min([np.asarray(room.vertices).min(axis=0) for room in rooms], axis=0)
    high = np.max([np.asarray(room.vertices).max(axis=0) for room in rooms], axis=0)
    return np.round((low + high) / 2) + 0.0


def _upright(points: Any) -> Any:
    """From z up to y up: (x, y, z) becomes (x, z, -y)."""
    turned = np.column_stack([points[:, 0], points[:, 2], -points[:, 1]])
    return (np.round(turned, _DIGITS) + 0.0).astype("<f4")


def _file(document: Mapping[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), _JSON) + text
    if binary:
        chunks += struct.pack("<II", len(binary), _BINARY) + binary
    return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks
