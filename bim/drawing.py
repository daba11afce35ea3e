"""The geometry of written models: placements, prisms of rooms, boxes of equipment and straight runs of ducts, pipes and cables."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from bim.placements import Xyz

Entity = Any  # ifcopenshell ships no types
_DIGITS = 6


class Size(NamedTuple):
    """A box in metres: width along x, depth along y, height along z. Things on a wall have their back on it (y from 0)."""

    width: float
    depth: float
    height: float
    on_wall: bool = False


SIZES = {
    "IfcUnitaryEquipment": Size(2.4, 1.2, 1.2),
    "IfcBoiler": Size(0.8, 0.8, 1.6),
    "IfcChiller": Size(2.4, 1.2, 1.8),
    "IfcPump": Size(0.5, 0.3, 0.4),
    "IfcFan": Size(0.6, 0.6, 0.6),
    "IfcAirTerminalBox": Size(0.6, 0.6, 0.3),
    "IfcAirTerminal": Size(0.6, 0.6, 0.1),
    "IfcSpaceHeater": Size(1.2, 0.1, 0.6, on_wall=True),
    "IfcDamper": Size(0.4, 0.3, 0.3),
    "IfcValve": Size(0.15, 0.1, 0.15),
    "IfcLightFixture": Size(1.2, 0.3, 0.08),
    "IfcElectricDistributionBoard": Size(0.6, 0.25, 1.2, on_wall=True),
    "IfcDistributionBoard": Size(0.6, 0.25, 1.2, on_wall=True),
    "IfcFlowMeter": Size(0.3, 0.15, 0.4, on_wall=True),
    "IfcSensor": Size(0.08, 0.03, 0.08, on_wall=True),
    "IfcActuator": Size(0.1, 0.1, 0.1),
    "IfcController": Size(0.4, 0.15, 0.5, on_wall=True),
}
OTHER_SIZE = Size(0.3, 0.3, 0.3)


class Drawing:
    """Draws into one file; equal boxes share one shape, so that a model stays small."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.origin = file.create_entity("IfcCartesianPoint", (0.0, 0.0, 0.0))
        self._axes = file.create_entity("IfcAxis2Placement3D", Location=self.origin)
        self._up = file.create_entity("IfcDirection", (0.0, 0.0, 1.0))
        self._boxes: dict[Size, Entity] = {}
        self._rounds: dict[float, Entity] = {}
        self._turns: dict[tuple[float, ...], Entity] = {}
        self.context = file.create_entity(
            "IfcGeometricRepresentationContext",
            ContextType="Model",
            CoordinateSpaceDimension=3,
            Precision=1e-5,
            WorldCoordinateSystem=self._axes,
        )
        self._body = file.create_entity(
            "IfcGeometricRepresentationSubContext",
            ContextIdentifier="Body",
            ContextType="Model",
            ParentContext=self.context,
            TargetView="MODEL_VIEW",
        )

    def placement(self, parent: Entity | None, at: Xyz, x_axis: Xyz | None = None, z_axis: Xyz | None = None) -> Entity:
        """A placement below the parent's; without axes it turns nothing."""
        location = self._file.create_entity("IfcCartesianPoint", tuple(round(float(v), _DIGITS) for v in at))
        axes = self._file.create_entity("IfcAxis2Placement3D", Location=location)
        if x_axis is not None or z_axis is not None:
            axes.Axis = self._direction(z_axis or (0.0, 0.0, 1.0))
            axes.RefDirection = self._direction(x_axis or (1.0, 0.0, 0.0))
        above = parent.ObjectPlacement if parent is not None else None
        return self._file.create_entity("IfcLocalPlacement", PlacementRelTo=above, RelativePlacement=axes)

    def prism(self, polygon: Sequence[tuple[float, float]], height_m: float, holes: Sequence[Sequence[tuple[float, float]]] = ()) -> Entity:
        """A floor raised to its height, with voids through it."""
        outer, inner = self._ring(polygon), [self._ring(hole) for hole in holes]
        if inner:
            profile = self._file.create_entity("IfcArbitraryProfileDefWithVoids", "AREA", None, outer, inner)
        else:
            profile = self._file.create_entity("IfcArbitraryClosedProfileDef", "AREA", None, outer)
        return self._swept(profile, height_m)

    def box(self, size: Size) -> Entity:
        """A box, its foot at z = 0."""
        if size not in self._boxes:
            middle = self._file.create_entity("IfcCartesianPoint", (0.0, size.depth / 2 if size.on_wall else 0.0))
            place = self._file.create_entity("IfcAxis2Placement2D", Location=middle)
            profile = self._file.create_entity("IfcRectangleProfileDef", "AREA", None, place, float(size.width), float(size.depth))
            self._boxes[size] = self._swept(profile, size.height)
        return self._boxes[size]

    def rod(self, radius_m: float, length_m: float) -> Entity:
        """A round run along z."""
        if radius_m not in self._rounds:
            place = self._file.create_entity("IfcAxis2Placement2D", Location=self._file.create_entity("IfcCartesianPoint", (0.0, 0.0)))
            self._rounds[radius_m] = self._file.create_entity("IfcCircleProfileDef", "AREA", None, place, float(radius_m))
        return self._swept(self._rounds[radius_m], length_m)

    def _swept(self, profile: Entity, depth_m: float) -> Entity:
        solid = self._file.create_entity("IfcExtrudedAreaSolid", profile, self._axes, self._up, round(float(depth_m), _DIGITS))
        shape = self._file.create_entity("IfcShapeRepresentation", self._body, "Body", "SweptSolid", [solid])
        return self._file.create_entity("IfcProductDefinitionShape", Representations=[shape])

    def _ring(self, polygon: Sequence[tuple[float, float]]) -> Entity:
        corners = [self._file.create_entity("IfcCartesianPoint", (float(x), float(y))) for x, y in polygon]
        return self._file.create_entity("IfcPolyline", [*corners, corners[0]])

    def _direction(self, ratios: Xyz) -> Entity:
        rounded = tuple(round(float(v), _DIGITS) + 0.0 for v in ratios)
        if rounded not in self._turns:
            self._turns[rounded] = self._file.create_entity("IfcDirection", rounded)
        return self._turns[rounded]


def along(start: Xyz, end: Xyz) -> tuple[float, Xyz, Xyz]:
    """Length of a straight run, its direction, and a direction square to it."""
    delta = tuple(b - a for a, b in zip(start, end, strict=True))
    length = math.hypot(*delta)
    z = (delta[0] / length, delta[1] / length, delta[2] / length)
    level = math.hypot(z[0], z[1])
    return length, z, ((-z[1] / level, z[0] / level, 0.0) if level > 1e-9 else (1.0, 0.0, 0.0))
