"""Plots of a comparison, as SVG whose bytes depend on the comparison alone.

    for name, svg in plots(found).items():
        write_text(folder / f"{name}.svg", svg)

Colours are Okabe and Ito's. Markers carry the same message, for grey print.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import log10
from typing import Any

from cybersecqwen.files import Json
from cybersecqwen.reports.compare.labels import GAP, Box, Label, place
from cybersecqwen.reports.compare.markdown import MARKS, p_value

AGAINST_SIZE = "accuracy-against-size"
_BLUE, _VERMILLION, _GREY, _BLACK = "#0072B2", "#D55E00", "#595959", "#000000"
_BROWN = "#A04600"  # the vermillion, dark enough for small text
# By verdict: colour and marker.
_VERDICTS = {
    "better": (_BLUE, "^"),
    "worse": (_VERMILLION, "v"),
    "same": (_GREY, "o"),
    "reference": (_BLACK, "D"),
    "": (_GREY, "s"),
}
# By status of a score: colour, marker, face, and the words of the legend.
_STATUS = {
    "measured": (_BLUE, "o", _BLUE, "measured, with the 95 % interval"),
    "published": (_BLACK, "o", "white", "published elsewhere (two joined: lowest and highest)"),
    "baseline": (_VERMILLION, "s", "white", "baseline without a language model"),
}
_COLUMNS = {"cti-mcq": "cti_mcq", "cti-rcm": "cti_rcm"}
_SMALL, _SHOWN = 8, 3.0  # points of the smallest text; the least per cent that is written
_LINE = 10.5  # points that a line of the smallest text takes
_ROOM, _EDGE = 165, 25  # points right of the largest model, and left of the smallest
_RC = {
    "svg.hashsalt": "cybersecqwen",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a model's name may hold a $
}


@dataclass(frozen=True)
class _Point:
    """One score in the plot against size; `size` is in billions of parameters."""

    name: str
    size: float | None
    low: float
    high: float
    status: str

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


def plots(found: Json) -> dict[str, str]:
    """Give each plot as SVG by its name; {} where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return {}
    import matplotlib as mpl

    drawn: dict[str, str] = {}
    with mpl.rc_context(_RC):
        for name, figure, title in _figures(found):
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": title})
            drawn[_unused(_slug(name), drawn)] = buffer.getvalue()
    return drawn


def scores_name(part: Json) -> str:
    """Name the plot of one table's scores."""
    return _slug(f"scores-{part['task']}-{part['protocol']}")


def _slug(name: str) -> str:
    """Make a file name: a model's name may be a path."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.")[:120]


def _unused(name: str, drawn: dict[str, str]) -> str:
    """Number names that differ in what a file name cannot hold, or in case alone."""
    taken = {other.casefold() for other in drawn}
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
    return next(other for other in names if other.casefold() not in taken)


def _figures(found: Json) -> Iterator[tuple[str, Any, str]]:
    panels = [(task, points) for task in sorted(_COLUMNS) if (points := _points(found, task))]
    panels = [(task, points) for task, points in panels if any(p.size for p in points)]
    if panels:
        title = "Strict accuracy against the number of parameters"
        yield AGAINST_SIZE, _against_size(panels), title
    tables = Counter(part["task"] for part in found["tables"])
    for part in found["tables"]:
        of = f"{part['task']}, protocol {part['protocol']}"
        yield scores_name(part), _scores(part), f"Scores: {of}"
        for row in part["rows"]:
            if "confusion" in row["details"]:
                protocol = f"-{part['protocol']}" if tables[part["task"]] > 1 else ""
                yield (
                    f"confusion-{part['task']}{protocol}-{row['model']}",
                    _confusion(row),
                    f"What {row['model']} answers, by gold: {of}",
                )


def _short(name: str, length: int = 36) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _scores(part: Json) -> Any:
    """Draw each model's score with its interval, and how it stands to the reference."""
    from matplotlib.figure import Figure

    rows = part["rows"]
    figure = Figure(figsize=(7.5, 1.15 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(rows):
        _score(axes, y, row, part)
    axes.set_yticks(range(len(rows)), [_short(row["model"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    better = "higher" if part["better"] == "higher" else "lower"
    metric = part["metric"].replace("_", " ")
    axes.set_xlabel(f"{metric} with its 95 % interval ({better} is better)")
    axes.grid(axis="x", color="#D9D9D9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def _score(axes: Any, y: int, row: Json, part: Json) -> None:
    value, against = row["value"], row["against"]
    reference = row["model"] == part["reference"]
    verdict = "reference" if reference else against["verdict"] if against else ""
    colour, marker = _VERDICTS[verdict]
    said = verdict
    if against:
        said = f"{MARKS[verdict]} {verdict}, p {p_value(against['p_holm'])}"
    if value["mean"] is None:
        said = "no score"
    else:
        low, high = value["interval_95"]
        axes.plot([low, high], [y, y], color=colour, linewidth=1.6)
        axes.plot(value["mean"], y, marker=marker, color=colour, markersize=7)
        said = f"{value['mean']:.3f}  {said}"
        if reference:
            axes.axvline(value["mean"], color=_BLACK, linewidth=0.8, linestyle=":")
    axes.annotate(
        said, (1.02, y), xycoords=axes.get_yaxis_transform(), va="center", annotation_clip=False
    )


def _confusion(row: Json) -> Any:
    """Draw the shares of what is answered for each of the commonest golds."""
    from matplotlib.figure import Figure

    found = row["details"]["confusion"]
    totals = [sum(counts) for counts in found["counts"]]
    shares = [
        [100 * count / total if total else 0.0 for count in counts]
        for counts, total in zip(found["counts"], totals, strict=True)
    ]
    wide, high = len(found["columns"]), len(found["rows"])
    figure = Figure(figsize=(2.0 + 0.33 * wide, 1.5 + 0.29 * high), layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(
        shares, cmap="Blues", vmin=0, vmax=100, edgecolor="#D9D9D9", linewidth=0.4
    )
    for y, line in enumerate(shares):
        for x, share in enumerate(line):
            if share >= _SHOWN:
                colour = "white" if share > 55 else "black"
                place = {"ha": "center", "va": "center", "size": _SMALL}
                axes.text(x + 0.5, y + 0.5, f"{share:.0f}", color=colour, **place)
    axes.set_xticks([x + 0.5 for x in range(wide)], found["columns"], rotation=90, size=_SMALL)
    named = [f"{gold} ({n:,})" for gold, n in zip(found["rows"], totals, strict=True)]
    axes.set_yticks([y + 0.5 for y in range(high)], named, size=_SMALL)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set(xlabel=f"answered by {_short(row['model'])}", ylabel="gold (answers)")
    figure.colorbar(mesh, ax=axes, label="per cent of the gold's answers", shrink=0.6)
    return figure


def _points(found: Json, task: str) -> list[_Point]:
    """Collect what is known of a task, none where no model of the comparison answers it."""
    ours = list(_measured(found, task))
    if not ours:
        return []
    embedded = any(model["engine"].get("engine") == "embedded" for model in found["models"])
    rows = [
        row
        for row in found["published"]
        if row.get(_COLUMNS[task]) and not (row["status"] == "measured" and embedded)
    ]
    repeated = Counter(row["model"] for row in rows)
    others = []
    for row in rows:
        value = row[_COLUMNS[task]]
        low, high = value if isinstance(value, Sequence) else (value, value)
        name = f"{row['model']} ({row['protocol']})" if repeated[row["model"]] > 1 else row["model"]
        others.append(_Point(_short(name), row["parameters"], low, high, row["status"]))
    return [*ours, *others]


def _measured(found: Json, task: str) -> Iterator[_Point]:
    sizes = {model["name"]: model["parameters"] for model in found["models"]}
    parts = [
        part
        for part in found["tables"]
        if part["task"] == task and part["metric"] == "strict_accuracy"
    ]
    for part in parts:
        for row in part["rows"]:
            if row["value"]["mean"] is not None:
                protocol = f" ({part['protocol']})" if len(parts) > 1 else ""
                name, size = f"{_short(row['model'])}{protocol}", sizes[row["model"]]
                yield _Point(name, size, *row["value"]["interval_95"], "measured")


def _against_size(panels: Sequence[tuple[str, list[_Point]]]) -> Any:
    """Draw a panel per task, as high as its labels need."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for height in range(380, 5_000, 60):  # points; past the last one labels would overlap
        total = height * len(panels) + 40
        figure = Figure(figsize=(9, total / 72), dpi=72)
        FigureCanvasAgg(figure)
        fits = True
        for number, (task, points) in enumerate(panels):
            bottom = (total - 30 - height * (number + 1) + 45) / total
            fits &= _panel(figure, task, points, bottom=bottom, height=(height - 70) / total)
        if fits:
            break
    _legend(figure, panels)
    return figure


def _panel(figure: Any, task: str, points: list[_Point], *, bottom: float, height: float) -> bool:
    """Draw one task: scores over size, and those without a size in a strip; False: no room."""
    # Those at the edge have the fewest places for a label, so they choose first.
    sized = sorted((p for p in points if p.size), key=lambda p: (-(p.size or 0), -p.middle))
    unsized = sorted((p for p in points if not p.size), key=lambda p: -p.middle)
    left = figure.add_axes((0.07, bottom, 0.64, height))
    strip = figure.add_axes((0.73, bottom, 0.265, height), sharey=left)
    sizes = [p.size for p in sized if p.size]
    left.set_xscale("log")
    left.set_xlim(*_reach(sizes, width=left.bbox.width))
    strip.set_xlim(0, 1)
    left.set_ylim(*_limits(points))
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
    fits.append(_scatter(strip, unsized, [0.05] * len(unsized)))
    return all(fits)


def _reach(sizes: Sequence[float], *, width: float) -> tuple[float, float]:
    """Give the range of sizes that leaves room for a label right of the largest model."""
    low, high = min(sizes), max(sizes)
    decades = max(log10(high / low), 0.6)
    per_point = decades / (width - _ROOM - _EDGE)
    return low / 10 ** (_EDGE * per_point), high * 10 ** (_ROOM * per_point)


def _limits(points: Sequence[_Point]) -> tuple[float, float]:
    """Give the range of accuracy to show: a baseline far below every model stays outside."""
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


def _scatter(axes: Any, points: Sequence[_Point], xs: Sequence[float]) -> bool:
    """Draw markers, intervals and labels; False where the labels have no room."""
    labels, taken = [], []
    renderer = axes.figure.canvas.get_renderer()
    bottom, top = axes.get_ylim()
    points = [_raised(point, bottom + 0.03 * (top - bottom)) for point in points]
    for point, x in zip(points, xs, strict=True):
        colour, marker, face, _ = _STATUS[point.status]
        axes.plot([x, x], [point.low, point.high], color=colour, linewidth=1.4, zorder=2)
        style = {"markeredgecolor": colour, "markerfacecolor": face, "markersize": 5.5}
        marked = [point.middle] if point.status == "measured" else [point.low, point.high]
        axes.plot([x] * len(marked), marked, marker=marker, linestyle="none", zorder=3, **style)
        (px, low), (_, high) = axes.transData.transform([(x, point.low), (x, point.high)])
        taken.append(Box(px - 2, low, px + 2, high))
        drawn = axes.text(0, 0, point.name, size=_SMALL, weight=_weight(point))
        width = drawn.get_window_extent(renderer).width
        drawn.remove()
        labels.append(Label(px, axes.transData.transform((x, marked[-1]))[1], width, _LINE))
    places = place(labels, bounds=Box(*axes.bbox.extents), taken=taken)
    for point, label, spot in zip(points, labels, places or [], strict=bool(places)):
        _label(axes, point, label, spot)
    return places is not None


def _raised(point: _Point, floor: float) -> _Point:
    """Move a point from below the axes to their edge, and write its score beside its name."""
    if point.high >= floor:
        return point
    return replace(point, name=f"{point.name}: {point.middle:.3f} ↓", low=floor, high=floor)


def _weight(point: _Point) -> str:
    return "bold" if point.status == "measured" else "normal"


def _label(axes: Any, point: _Point, label: Label, spot: Box) -> None:
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
        size=_SMALL,
        weight=_weight(point),
        color=colour,
        ha="left" if right else "right",
        va="center",
        arrowprops=line if moved else None,
    )


def _legend(figure: Any, panels: Sequence[tuple[str, list[_Point]]]) -> None:
    from matplotlib.lines import Line2D

    there = {point.status for _, points in panels for point in points}
    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, label=words)
        if status == "measured"
        else Line2D([], [], color=colour, marker=marker, markerfacecolor=face, label=words, lw=0)
        for status, (colour, marker, face, words) in _STATUS.items()
        if status in there
    ]
    figure.legend(handles=handles, loc="upper left", ncols=3, frameon=False, fontsize=_SMALL)
