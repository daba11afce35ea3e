"""Moves between the coordinates of two models: a turn about the vertical and a shift, fitted or read from georeferences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ifcopenshell.util.unit
import numpy as np
from shapely.affinity import affine_transform

from bim.placements import Axes, Placements, Xyz, is_entity
from bim.rooms import Body, RoomShape

_SAME_M, _SAME_RAD = 0.01, 1e-4
_APART_M = 1.0  # points nearer to each other than this tell no turn


@dataclass(frozen=True, slots=True)
class Move:
    """x, y turned by `turn` radians, then shifted; z shifted. In metres."""

    turn: float = 0.0
    dx: float = 0.0
    dy: float = 0.0
    dz: float = 0.0

    @property
    def still(self) -> bool:
        """Whether it moves nothing that matters."""
        return abs(self.turn) < _SAME_RAD and max(abs(self.dx), abs(self.dy), abs(self.dz)) < _SAME_M

    def point(self, p: Xyz) -> Xyz:
        x, y, z = self.direction(p)
        return x + self.dx, y + self.dy, z + self.dz

    def direction(self, d: Xyz) -> Xyz:
        c, s = math.cos(self.turn), math.sin(self.turn)
        return c * d[0] - s * d[1], s * d[0] + c * d[1], d[2]

    def axes(self, axes: Axes) -> Axes:
        return self.direction(axes[0]), self.direction(axes[1]), self.direction(axes[2])

    def room(self, shape: RoomShape) -> RoomShape:
        body = shape.body
        if body is not None:
            body = (body[0] @ self._matrix()[:3, :3].T + self._matrix()[:3, 3], body[1])
        return replace(shape, floor=self._flat(shape.floor), z_min=shape.z_min + self.dz, z_max=shape.z_max + self.dz, body=body)

    def body(self, body: Body) -> Body:
        return Body(self._flat(body.outline), body.z_min + self.dz, body.z_max + self.dz)

    def after(self, first: "Move") -> "Move":
        """`first`, then this."""
        x, y, z = self.point((first.dx, first.dy, first.dz))
        return Move(_turned(self.turn + first.turn), x, y, z)

    def back(self) -> "Move":
        x, y, z = Move(-self.turn).direction((-self.dx, -self.dy, -self.dz))
        return Move(-self.turn, x, y, z)

    def said(self) -> str:
        """For a person: what it does."""
        turn = f"turned by {math.degrees(self.turn):.2f} degrees and " if abs(self.turn) >= _SAME_RAD else ""
        return f"{turn}shifted by ({self.dx:.2f}, {self.dy:.2f}, {self.dz:.2f}) m"

    def _matrix(self) -> Any:
        matrix = np.eye(4)
        c, s = math.cos(self.turn), math.sin(self.turn)
        matrix[:2, :2] = ((c, -s), (s, c))
        matrix[:3, 3] = (self.dx, self.dy, self.dz)
        return matrix

    def _flat(self, shape: Any) -> Any:
        c, s = math.cos(self.turn), math.sin(self.turn)
        return affine_transform(shape, (c, -s, s, c, self.dx, self.dy)).normalize()


@dataclass(frozen=True, slots=True)
class Frame:
    """How a model says it lies in the world: its map conversion, its north, and where it puts its site."""

    to_map: Move | None
    north_rad: float  # of true north against the model's y axis
    site: Move | None


def read_frame(file: Any) -> Frame:
    """What a file says of its place; whatever cannot be read counts as not said."""
    try:
        return Frame(_map_conversion(file), _true_north(file), _site(file))
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError):
        return Frame(None, 0.0, None)


def fit(here: Sequence[Xyz], there: Sequence[Xyz]) -> tuple[Move, float]:
    """The move that brings points `here` onto the same points `there`, and the largest distance that is left."""
    a, b = np.array(here, dtype=float), np.array(there, dtype=float)
    middle_a, middle_b = a.mean(axis=0), b.mean(axis=0)
    da, db = a - middle_a, b - middle_b
    turn = 0.0
    if len(a) > 1 and float(np.linalg.norm(da[:, :2], axis=1).max()) > _APART_M:
        turn = math.atan2(float((da[:, 0] * db[:, 1] - da[:, 1] * db[:, 0]).sum()), float((da[:, :2] * db[:, :2]).sum()))
    x, y, z = Move(turn).direction((float(middle_a[0]), float(middle_a[1]), float(middle_a[2])))
    move = Move(turn, float(middle_b[0]) - x, float(middle_b[1]) - y, float(middle_b[2]) - z)
    left = max(math.dist(move.point((p[0], p[1], p[2])), q) for p, q in zip(here, there, strict=True))
    return move, left


def _map_conversion(file: Any) -> Move | None:
    try:
        conversions = file.by_type("IfcMapConversion")
    except RuntimeError:  # IFC2X3 has none
        return None
    if len(conversions) != 1:
        return None
    c = conversions[0]
    own_unit = float(ifcopenshell.util.unit.calculate_unit_scale(file))
    target = getattr(c, "TargetCRS", None)
    stated = getattr(target, "MapUnit", None) is not None or c.Scale is not None  # then map coordinates are in metres
    unit = 1.0 if stated else own_unit
    turn = math.atan2(float(c.XAxisOrdinate or 0.0), float(1.0 if c.XAxisAbscissa is None else c.XAxisAbscissa))
    return Move(turn, float(c.Eastings) * unit, float(c.Northings) * unit, float(c.OrthogonalHeight or 0.0) * unit)


def _true_north(file: Any) -> float:
    for context in file.by_type("IfcGeometricRepresentationContext", include_subtypes=False):
        north = context.TrueNorth
        if is_entity(north):
            x, y = (float(v) for v in north.DirectionRatios[:2])
            return math.atan2(-x, y)
    return 0.0


def _site(file: Any) -> Move | None:
    sites = file.by_type("IfcSite")
    if not sites:
        return None
    matrix = Placements(float(ifcopenshell.util.unit.calculate_unit_scale(file))).matrix(sites[0])
    if matrix is None:
        return None
    return Move(math.atan2(float(matrix[1, 0]), float(matrix[0, 0])), float(matrix[0, 3]), float(matrix[1, 3]), float(matrix[2, 3]))


def _turned(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))
