"""A storey's floor plan as SVG: rooms with names, equipment as dots that say how sure their place is."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 1060.0, 620.0  # units of the largest drawing, about what a page shows
MARGIN_M = 1.0
_NAME_CHARS = 24
_LETTER = 0.62  # width of a letter, in its own height
_DOTS_MOST = 3000  # more would only be a cloud, and a heavy page


def storey_svg(rooms: Sequence[Mapping[str, Any]], equipment: Sequence[Mapping[str, Any]], unsure: Collection[str]) -> str:
    """The drawing, or a word where nothing has a shape or place. Names are escaped; north is up."""
    corners = [corner for room in rooms for ring in room["polygons"] for corner in ring["outer"]]
    placed = [e for e in equipment if e["x"] is not None]
    spots = corners or [(e["x"], e["y"]) for e in placed]
    if not spots:
        return "<p>nothing with a shape or place</p>"
    frame = _Frame(spots)
    near = [e for e in placed if frame.holds(e["x"], e["y"])]
    away = len(placed) - len(near)
    parts = [*_rooms(rooms, frame), *_dots(near[:_DOTS_MOST], unsure, frame)]
    more = f"<small>{away} stand outside this drawing</small>" if away else ""
    size = f'viewBox="0 0 {frame.width:.0f} {frame.height:.0f}" width="{frame.width:.0f}"'
    return f'<svg {size} role="img">{"".join(parts)}</svg>{more}'


class _Frame:
    """Metres to units of the drawing."""

    def __init__(self, spots: Sequence[Sequence[float]]) -> None:
        xs, ys = [s[0] for s in spots], [s[1] for s in spots]
        self._x0, self._y1 = min(xs) - MARGIN_M, max(ys) + MARGIN_M
        self._x1, self._y0 = max(xs) + MARGIN_M, min(ys) - MARGIN_M
        across, up = (max(span, MARGIN_M) for span in (self._x1 - self._x0, self._y1 - self._y0))  # far out, a float swallows the margin
        self.scale = min(WIDTH / across, HEIGHT / up)
        self.width, self.height = across * self.scale, up * self.scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (x - self._x0) * self.scale, (self._y1 - y) * self.scale

    def holds(self, x: float, y: float) -> bool:
        """Whether it lies on the sheet or near it; a tree a kilometre away must not shrink the house."""
        return self._x0 - 5 <= x <= self._x1 + 5 and self._y0 - 5 <= y <= self._y1 + 5


def _rooms(rooms: Sequence[Mapping[str, Any]], frame: _Frame) -> Iterator[str]:
    for room in rooms:
        rings = [ring for polygon in room["polygons"] for ring in (polygon["outer"], *polygon.get("holes", ()))]
        if not rings:
            continue
        path = " ".join("M" + " L".join("{:.1f},{:.1f}".format(*frame.at(*corner)) for corner in ring) + " Z" for ring in rings)
        area = f", {room['area_m2']:g} m²" if room["area_m2"] is not None else ""
        yield f'<path class="room" fill-rule="evenodd" d="{path}"><title>{_text(room["name"])}{area}</title></path>'
        yield from _name(room, frame)


def _name(room: Mapping[str, Any], frame: _Frame) -> Iterator[str]:
    """The room's name where it fits into the room's box."""
    corners = [frame.at(*corner) for corner in room["polygons"][0]["outer"]]
    left, right = min(x for x, _ in corners), max(x for x, _ in corners)
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    name = str(room["name"])[:_NAME_CHARS]
    size = min(14.0, (right - left) / max(len(name) * _LETTER, 1), (bottom - top) / 2)
    if size >= 5:
        x, y = (left + right) / 2, (top + bottom) / 2 + size / 3
        yield f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}">{_text(name)}</text>'


def _dots(equipment: Sequence[Mapping[str, Any]], unsure: Collection[str], frame: _Frame) -> Iterator[str]:
    for thing in equipment:
        x, y = frame.at(thing["x"], thing["y"])
        sure = "unsure" if thing["id"] in unsure else "sure" if thing["room"] else "lost"
        told = f"{_text(thing['name'] or thing['id'])} ({_text(thing['class'])})"
        yield f'<circle class="{sure}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{told}</title></circle>'


def _text(text: Any) -> str:
    return escape("".join(c if c.isprintable() else "\ufffd" for c in str(text)), quote=True)
