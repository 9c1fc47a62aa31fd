"""Draw accuracy against the number of parameters: what was measured, beside what is published.

    figure = against_size(size_panels(comparison))

Filled markers with an interval are measured here. Hollow ones are quoted. What has no known size
stands in a strip at the right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log10
from typing import Any

from cybersecqwen.files import Json
from cybersecqwen.reports.comparison.label_placement import (
    GAP,
    Box,
    PlotLabel,
    beside,
    place,
    short,
)
from cybersecqwen.reports.published import PUBLISHED_COLUMNS
from cybersecqwen.reports.svg import BLACK, BLUE, VERMILLION

AGAINST_SIZE = "accuracy-against-size"
_BROWN = "#A04600"  # the vermillion, dark enough for small text
# By status of a score: colour, marker, face, and the words of the legend.
_STATUS = {
    "measured": (BLUE, "o", BLUE, "measured, with the 95 % interval"),
    "published": (BLACK, "o", "white", "published (joined: a range)"),
    "baseline": (VERMILLION, "s", "white", "baseline without a language model"),
}
_LABEL, _LINE = 9.5, 12  # points of a label, and those that its line takes
_EDGE = 60  # points left of the smallest model
_WIDE, _AXIS = 720, 48  # points: the plot against size, and the scale at its left


@dataclass(frozen=True)
class Point:
    """One score in the plot against size; `size` is in billions of parameters."""

    name: str
    size: float | None
    low: float
    high: float
    status: str

    @property
    def middle(self) -> float:
        """The score, or the middle of several."""
        return (self.low + self.high) / 2


def size_panels(comparison: Json) -> list[tuple[str, list[Point]]]:
    """Return each task's scores, for the tasks where any score has a size."""
    panels = [(task, _points(comparison, task)) for task in sorted(PUBLISHED_COLUMNS)]
    return [(task, points) for task, points in panels if any(p.size for p in points)]


def _points(comparison: Json, task: str) -> list[Point]:
    """Collect what is known of a task, none where no model of the comparison answers it."""
    ours = list(_measured(comparison, task))
    if not ours:
        return []
    embedded = any(model["engine"].get("engine") == "embedded" for model in comparison["models"])
    rows = [
        row
        for row in comparison["published"]
        if row.get(PUBLISHED_COLUMNS[task]) and not (row["status"] == "measured" and embedded)
    ]
    repeated = Counter(row["model"] for row in rows)
    others = []
    for row in rows:
        value = row[PUBLISHED_COLUMNS[task]]
        low, high = value if isinstance(value, Sequence) else (value, value)
        name = f"{row['model']} ({row['protocol']})" if repeated[row["model"]] > 1 else row["model"]
        others.append(Point(short(name), row["parameters"], low, high, row["status"]))
    return [*ours, *others]


def _measured(comparison: Json, task: str) -> Iterator[Point]:
    sizes = {model["name"]: model["parameters"] for model in comparison["models"]}
    parts = [
        part
        for part in comparison["tables"]
        if part["task"] == task and part["metric"] == "strict_accuracy"
    ]
    for part in parts:
        for row in part["rows"]:
            if row["value"]["mean"] is not None:
                protocol = f" ({part['protocol']})" if len(parts) > 1 else ""
                name, size = f"{short(row['model'])}{protocol}", sizes[row["model"]]
                low, high = row["value"]["interval_95"]
                if low is None:
                    low = high = row["value"]["mean"]
                yield Point(name, size, low, high, "measured")


def against_size(panels: Sequence[tuple[str, list[Point]]]) -> Any:
    """Draw a panel per task, as high as its labels need."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for height in (380, 470, 590, 740, 920, 1_150, 1_440, 1_800):  # points
        total = height * len(panels) + 40
        figure = Figure(figsize=(_WIDE / 72, total / 72), dpi=72)
        FigureCanvasAgg(figure)
        fits = True
        for number, (task, points) in enumerate(panels):
            bottom = (total - 30 - height * (number + 1) + 45) / total
            fits &= _panel(figure, task, points, bottom=bottom, height=(height - 70) / total)
        if fits:
            break
    _legend(figure, panels)
    return figure


def _panel(figure: Any, task: str, points: list[Point], *, bottom: float, height: float) -> bool:
    """Draw one task: scores over size, and those without a size in a strip; False: no room."""
    limits = _limits(points)
    points = [_raised(p, limits[0] + 0.03 * (limits[1] - limits[0])) for p in points]
    # Those at the edge have the fewest places for a label, so they choose first.
    sized = sorted((p for p in points if p.size), key=lambda p: (-(p.size or 0), -p.middle))
    unsized = sorted((p for p in points if not p.size), key=lambda p: -p.middle)
    width = max([_width(figure, p) for p in unsized], default=100) + 4 * GAP
    start = (_WIDE - width) / _WIDE
    left = figure.add_axes((_AXIS / _WIDE, bottom, start - (_AXIS + 12) / _WIDE, height))
    strip = figure.add_axes((start, bottom, width / _WIDE, height), sharey=left)
    sizes = [p.size for p in sized if p.size]
    left.set_xscale("log")
    room = max(_width(figure, p) for p in sized) + 2 * GAP
    left.set_xlim(*_reach(sizes, width=left.bbox.width - room, room=room))
    strip.set_xlim(0, width)
    left.set_ylim(*limits)
    _ticks(left, sizes)
    strip.set_xticks([])
    strip.set_xlabel("size not known, or none")
    left.set(title=task, ylabel="strict accuracy", xlabel="parameters, billions")
    strip.tick_params(axis="y", left=False, labelleft=False)
    for axes in (left, strip):
        axes.grid(color="#E5E5E5", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    fits = [_scatter(left, sized, [p.size or 0 for p in sized])]
    fits.append(_scatter(strip, unsized, [float(GAP)] * len(unsized)))
    return all(fits)


def _reach(sizes: Sequence[float], *, width: float, room: float) -> tuple[float, float]:
    """Return the range of sizes that leaves room for a label right of the largest model."""
    low, high = min(sizes), max(sizes)
    per_point = max(log10(high / low), 0.6) / (width - _EDGE)
    return low / 10 ** (_EDGE * per_point), high * 10 ** (room * per_point)


def _width(figure: Any, point: Point) -> float:
    """Measure a label in points."""
    drawn = figure.text(0, 0, point.name, size=_LABEL, weight=_weight(point))
    width: float = drawn.get_window_extent(figure.canvas.get_renderer()).width
    drawn.remove()
    return width


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """Return the range of accuracy to show: a baseline far below every model stays outside."""
    models = [p for p in points if p.status != "baseline"]
    floor = min(p.low for p in models) - 0.1
    shown = [p for p in points if p.low >= floor]
    low, high = min(p.low for p in shown), max(p.high for p in shown)
    margin = 0.08 * (high - low or 1)
    return low - margin, high + margin


def _ticks(axes: Any, sizes: Sequence[float]) -> None:
    marks = (0.01, 0.03, 0.1, 0.3, 1, 2, 4, 8, 16, 32, 70, 200, 600, 2000)
    low, high = axes.get_xlim()[0], 2 * max(sizes)  # further right there are labels only
    shown = [mark for mark in marks if low <= mark <= high] or sorted(set(sizes))
    axes.set_xticks(shown, [f"{mark:g}" for mark in shown])
    axes.minorticks_off()


def _scatter(axes: Any, points: Sequence[Point], xs: Sequence[float]) -> bool:
    """Draw markers, intervals and labels; False where the labels have no room."""
    labels, taken = [], []
    for point, x in zip(points, xs, strict=True):
        colour, marker, face, _ = _STATUS[point.status]
        axes.plot([x, x], [point.low, point.high], color=colour, linewidth=1.4, zorder=2)
        style = {"markeredgecolor": colour, "markerfacecolor": face, "markersize": 5.5}
        marked = [point.middle] if point.status == "measured" else [point.low, point.high]
        axes.plot([x] * len(marked), marked, marker=marker, linestyle="none", zorder=3, **style)
        (px, low), (_, high) = axes.transData.transform([(x, point.low), (x, point.high)])
        taken.append(Box(px - 2, low, px + 2, high))
        y = axes.transData.transform((x, marked[-1]))[1]
        labels.append(PlotLabel(px, y, _width(axes.figure, point), _LINE))
    places = place(labels, bounds=Box(*axes.bbox.extents), taken=taken)
    for point, label, spot in zip(points, labels, places or map(beside, labels), strict=True):
        _label(axes, point, label, spot)
    return places is not None


def _raised(point: Point, floor: float) -> Point:
    """Move a point from below the axes to their edge, and write its score beside its name."""
    if point.high >= floor:
        return point
    return replace(point, name=f"{point.name}: {point.middle:.3f} ↓", low=floor, high=floor)


def _weight(point: Point) -> str:
    return "bold" if point.status == "measured" else "normal"


def _label(axes: Any, point: Point, label: PlotLabel, spot: Box) -> None:
    colour = _BROWN if point.status == "baseline" else _STATUS[point.status][0]
    right = spot.left > label.x
    away = (spot.bottom + spot.top) / 2 - label.y
    shift = (GAP if right else -GAP, away)
    moved = abs(away) > 5
    line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    line |= {"relpos": (0 if right else 1, 0.5)}
    axes.annotate(
        point.name,
        axes.transData.inverted().transform((label.x, label.y)),
        xytext=shift,
        textcoords="offset points",
        size=_LABEL,
        weight=_weight(point),
        color=colour,
        ha="left" if right else "right",
        va="center",
        arrowprops=line if moved else None,
    )


def _legend(figure: Any, panels: Sequence[tuple[str, list[Point]]]) -> None:
    from matplotlib.lines import Line2D

    there = {point.status for _, points in panels for point in points}
    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, label=words)
        if status == "measured"
        else Line2D([], [], color=colour, marker=marker, markerfacecolor=face, label=words, lw=0)
        for status, (colour, marker, face, words) in _STATUS.items()
        if status in there
    ]
    figure.legend(handles=handles, loc="upper left", ncols=3, frameon=False, fontsize=_LABEL)
