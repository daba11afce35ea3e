"""Where a model puts its things: absolute placements in metres, each computed once, damaged ones counted."""

from typing import Any

import numpy as np

Ref = tuple[int, int]
"""File number and entity number: what a record is known by, for real files hold empty and double GlobalIds."""
Xyz = tuple[float, float, float]
Axes = tuple[Xyz, Xyz, Xyz]
_DEEP = 200  # a chain of placements longer than this is a circle
_FLAT = 1e-6  # axes that differ by less are the same


class Placements:
    """The placements of one file; `damaged` counts those that are none."""

    def __init__(self, scale_m: float) -> None:
        self._scale_m = scale_m
        self._matrices: dict[int, Any] = {}
        self.damaged = 0

    def position(self, item: Any) -> Xyz | None:
        """The insertion point in metres; None where the model gives none that can be read."""
        matrix = self.matrix(item)
        if matrix is None:
            return None
        x, y, z = (float(v) for v in matrix[:3, 3])
        return x, y, z

    def axes(self, item: Any) -> Axes | None:
        """The item's own axes in world directions; None where its placement turns nothing, which says nothing about where it faces."""
        placement: Any = getattr(item, "ObjectPlacement", None)
        if not is_entity(placement) or not placement.is_a("IfcLocalPlacement"):
            return None
        own = getattr(placement, "RelativePlacement", None)
        if getattr(own, "Axis", None) is None and getattr(own, "RefDirection", None) is None:
            return None
        matrix = self.matrix(item)
        if matrix is None or np.allclose(_axes(own)[:3, :3], np.eye(3), atol=_FLAT):
            return None
        x, y, z = (tuple(float(v) for v in matrix[:3, column]) for column in range(3))
        return (x[0], x[1], x[2]), (y[0], y[1], y[2]), (z[0], z[1], z[2])

    def matrix(self, item: Any) -> Any | None:
        """The absolute 4 x 4 matrix with its place in metres."""
        placement: Any = getattr(item, "ObjectPlacement", None)
        if not is_entity(placement) or not placement.is_a("IfcLocalPlacement"):
            return None
        try:
            matrix = self._absolute(placement)
        except (AttributeError, TypeError, ValueError):
            self.damaged += 1
            return None
        if not np.isfinite(matrix).all():
            self.damaged += 1
            return None
        scaled = matrix.copy()
        scaled[:3, 3] *= self._scale_m
        return scaled

    def _absolute(self, placement: Any) -> Any:
        """Climb to the first placement that is known, then come down; a chain may be long, so no recursion."""
        chain: list[Any] = []
        current: Any = placement
        while current is not None and current.id() not in self._matrices and current.is_a("IfcLocalPlacement"):
            if len(chain) > _DEEP:
                raise ValueError("placements in a circle")
            chain.append(current)
            current = current.PlacementRelTo
        known = self._matrices.get(current.id()) if current is not None else None
        matrix = known if known is not None else np.eye(4)
        for link in reversed(chain):
            matrix = matrix @ _axes(link.RelativePlacement)
            self._matrices[link.id()] = matrix
        return matrix


def is_entity(value: Any) -> bool:
    """Whether a value read from a model is an instance, and not a hole where one was."""
    return hasattr(value, "is_a")


def _axes(axes: Any) -> Any:
    """A 4 x 4 matrix of an IfcAxis2Placement3D (or 2D)."""
    matrix = np.eye(4)
    location = tuple(axes.Location.Coordinates)
    matrix[: len(location), 3] = location
    axis, direction = getattr(axes, "Axis", None), getattr(axes, "RefDirection", None)
    if axis is None and direction is None:
        return matrix
    z = _unit(axis.DirectionRatios if axis is not None else (0.0, 0.0, 1.0))
    x = _unit((*(direction.DirectionRatios if direction is not None else (1.0, 0.0, 0.0)), 0.0)[:3])
    x = _unit(x - np.dot(x, z) * z) if abs(np.dot(x, z)) < 1 - 1e-9 else x
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = x, np.cross(z, x), z
    return matrix


def _unit(ratios: Any) -> Any:
    vector = np.array(ratios, dtype=float)
    return vector / (float(np.linalg.norm(vector)) or 1.0)
