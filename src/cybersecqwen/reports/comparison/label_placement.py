"""Find a place for each label of a scatter plot, so that nothing lies on anything else.

>>> place([PlotLabel(10, 10, 20, 8), PlotLabel(10, 12, 20, 8)], bounds=Box(0, 0, 100, 40))
[Box(left=18, bottom=6.0, right=38, top=14.0), Box(left=18, bottom=14.0, right=38, top=22.0)]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

GAP = 8  # from the middle of a marker to its label
_STEP = 3
_MARKER = 4  # half the side of the square around a marker


class Box(NamedTuple):
    """A rectangle in points, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def hits(self, other: Box) -> bool:
        """Return whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def inside(self, other: Box) -> bool:
        """Return whether this lies within the other."""
        return (
            other.left <= self.left
            and other.bottom <= self.bottom
            and self.right <= other.right
            and self.top <= other.top
        )


class PlotLabel(NamedTuple):
    """The marker that a label names, and the label's width and height, all in points."""

    x: float
    y: float
    width: float
    height: float


def place(
    labels: Sequence[PlotLabel], *, bounds: Box, taken: Sequence[Box] = ()
) -> list[Box] | None:
    """Place each label beside its marker, as near as is free; None where there is no room.

    No label overlaps another, a marker, a box of `taken`, or the line that joins a label that
    had to move away with its marker.
    """
    blocked = [*taken, *(_marker(label) for label in labels)]
    lines: list[Box] = []
    places = []
    for label in labels:
        spot = next((s for s in _spots(label, bounds) if _free(s, label, blocked, lines)), None)
        if spot is None:
            return None
        blocked.append(spot)
        lines.append(_line(label, spot))
        places.append(spot)
    return places


def short(name: str, length: int = 36) -> str:
    """Cut a long name."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def beside(label: PlotLabel) -> Box:
    """Return the place right of a label's marker, free or not."""
    left, bottom = label.x + GAP, label.y - label.height / 2
    return Box(left, bottom, left + label.width, bottom + label.height)


def _marker(label: PlotLabel) -> Box:
    x, y = label.x, label.y
    return Box(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER)


def _spots(label: PlotLabel, bounds: Box) -> Iterator[Box]:
    """Yield where a label may go: right and left of its marker, ever further up and down."""
    for step in range(int((bounds.top - bounds.bottom) / _STEP) + 1):
        for direction in (1, -1) if step else (1,):
            middle = label.y + direction * step * _STEP
            bottom, top = middle - label.height / 2, middle + label.height / 2
            for left in (label.x + GAP, label.x - GAP - label.width):
                spot = Box(left, bottom, left + label.width, top)
                if spot.inside(bounds):
                    yield spot


def _free(spot: Box, label: PlotLabel, blocked: Sequence[Box], lines: Sequence[Box]) -> bool:
    line, own = _line(label, spot), _marker(label)
    return not any(
        spot.hits(box) or (box != own and line.hits(box)) for box in blocked
    ) and not any(spot.hits(box) for box in lines)


def _line(label: PlotLabel, spot: Box) -> Box:
    """Return the box around the line from a marker to its label."""
    right = spot.left > label.x
    ends = (label.x + _MARKER, spot.left) if right else (spot.right, label.x - _MARKER)
    middle = (spot.bottom + spot.top) / 2
    return Box(ends[0], min(label.y, middle), ends[1], max(label.y, middle))
