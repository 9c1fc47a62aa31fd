"""A chart of a drift report as SVG: a panel for each measure, with intervals and alarms.

    page = f"<figure>{drift_svg(outcome)}</figure>"

Lines and letters take the colour of the text around them, so that one chart fits dark and light
pages. There is no script, no style sheet and no style attribute in it: a strict content security
policy lets it through. What colour says, shapes, dashes and titles say too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from cybersecqwen.analyst.drift.drift_report import ALL, GROUPS, DriftReport
from cybersecqwen.analyst.drift.observation import REVIEWED
from cybersecqwen.analyst.drift.readings import Reading
from cybersecqwen.analyst.drift.rule import MEASURES
from cybersecqwen.cwe.label import LABEL_SOURCES

_WIDTH, _PLOT = 760, 110  # of the chart, and the height of what is plotted in a panel
_LEFT, _RIGHT, _TITLE, _GAP = 48, 96, 24, 12
_LETTER = 13  # height of a line of text
_ALARM = "#D55E00"  # told from grey by every kind of colour vision, on dark and on light
_PANELS = {
    "class_mix": (ALL,),
    "vocabulary": (ALL,),
    "confidence": (ALL,),
    "accuracy": (*LABEL_SOURCES, REVIEWED),
    "labels": tuple(LABEL_SOURCES),
}
_DASHES = {
    ALL: "none",
    **dict(zip(LABEL_SOURCES, ("none", "7 3", "2 3"), strict=True)),
    REVIEWED: "9 3 2 3",
}


class _Scale(NamedTuple):
    """Where a window and a value stand in a panel."""

    windows: int
    low: float
    high: float
    top: float

    def x(self, position: int) -> float:
        width = _WIDTH - _LEFT - _RIGHT
        return round(_LEFT + width * (position + 0.5) / self.windows, 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.top + _PLOT * (1 - min(max(share, 0.0), 1.0)), 1)


def drift_svg(outcome: DriftReport) -> str:
    """Draw the readings of all windows; the same report gives the same bytes."""
    panels = {
        measure: series
        for measure, groups in _PANELS.items()
        if (series := {group: _in_order(outcome, group, measure) for group in groups})
        and any(reading.value is not None for own in series.values() for reading in own)
    }
    height = len(panels) * (_TITLE + _PLOT + _GAP) + _TITLE
    told = "; ".join(f"{a.window} {GROUPS[a.group]}: {a.what}" for a in outcome.alarms)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="11" fill="currentColor">',
        "<title>Drift by window</title>",
        f"<desc>{escape(told or 'no alarm')}</desc>",
    ]
    top = 0.0
    for measure, series in panels.items():
        parts += _panel(outcome, measure, series, top + _TITLE)
        top += _TITLE + _PLOT + _GAP
    return "\n".join([*parts, *_names(outcome, top + _GAP), "</svg>"]) + "\n"


def _in_order(outcome: DriftReport, group: str, measure: str) -> list[Reading]:
    readings = outcome.of(group, measure)
    return readings if any(reading.value is not None for reading in readings) else []


def _panel(
    outcome: DriftReport, measure: str, series: dict[str, list[Reading]], top: float
) -> Iterator[str]:
    readings = [reading for own in series.values() for reading in own]
    bounds = [b for r in readings for b in (r.low, r.value, r.high) if b is not None]
    margin = (max(bounds) - min(bounds)) * 0.08 or 0.05
    scale = _Scale(len(outcome.windows), min(bounds) - margin, max(bounds) + margin, top)
    reference = sum(window.role == "reference" for window in outcome.windows)
    right = _WIDTH - _RIGHT
    end = scale.x(reference) - (scale.x(1) - scale.x(0)) / 2
    yield f'<text x="{_LEFT}" y="{top - 8}" font-weight="600">{MEASURES[measure].title}</text>'
    yield (
        f'<rect x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" height="{_PLOT}" '
        'opacity="0.07"><title>the reference</title></rect>'
    )
    for value in (scale.low + margin, scale.high - margin):
        y, shown = scale.y(value), f"{round(value, 2) + 0.0:.2f}"  # never -0.00
        yield (
            f'<line x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="currentColor" '
            f'opacity="0.2"/><text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{shown}</text>'
        )
    for group, own in series.items():
        yield from _line(outcome, group, own, scale)
    ends = {group: _end(own, scale) for group, own in series.items() if own and group != ALL}
    lowest = 0.0
    for group in sorted(ends, key=ends.__getitem__):  # one below the other, where lines meet
        lowest = max(ends[group], lowest + _LETTER)
        yield f'<text x="{right + 6}" y="{lowest + 4:.1f}">{GROUPS[group]}</text>'


def _end(readings: Sequence[Reading], scale: _Scale) -> float:
    return scale.y([r.value for r in readings if r.value is not None][-1])


def _line(
    outcome: DriftReport, group: str, readings: Sequence[Reading], scale: _Scale
) -> Iterator[str]:
    """Draw the readings of a group, joined where none is missing between them."""
    places = {(w.name, w.role == "reference"): i for i, w in enumerate(outcome.windows)}
    run: list[str] = []
    for reading in readings:
        if reading.value is None:
            yield from _path(run, group)
            run = []
            continue
        x, y = scale.x(places[reading.window, reading.reference]), scale.y(reading.value)
        run.append(f"{x} {y}")
        yield from _mark(reading, group, scale, x)
    yield from _path(run, group)


def _path(run: Sequence[str], group: str) -> Iterator[str]:
    if len(run) > 1:
        yield (
            f'<polyline points="{" ".join(run)}" fill="none" stroke="currentColor" '
            f'stroke-width="1.5" stroke-dasharray="{_DASHES[group]}"/>'
        )


def _mark(reading: Reading, group: str, scale: _Scale, x: float) -> Iterator[str]:
    """Draw a reading: its interval, and a ring around it where it is an alarm."""
    value = reading.value or 0.0
    y = scale.y(value)
    if reading.low is not None and reading.high is not None:
        yield (
            f'<line x1="{x}" x2="{x}" y1="{scale.y(reading.low)}" y2="{scale.y(reading.high)}" '
            'stroke="currentColor" opacity="0.35"/>'
        )
    title = f"{reading.window} {GROUPS[group]}: {value:.3f}" + (", alarm" if reading.alarm else "")
    yield f'<circle cx="{x}" cy="{y}" r="2"><title>{escape(title)}</title></circle>'
    if reading.alarm:
        yield (f'<circle cx="{x}" cy="{y}" r="6" fill="none" stroke="{_ALARM}" stroke-width="2"/>')


def _names(outcome: DriftReport, y: float) -> Iterator[str]:
    """Write the names of windows below the panels, as many as there is room for."""
    scale = _Scale(len(outcome.windows), 0, 1, 0)
    step = -(-len(outcome.windows) // 12)
    for position, window in enumerate(outcome.windows):
        if position % step == 0:
            x = scale.x(position)
            yield f'<text x="{x}" y="{y}" text-anchor="middle">{window.name}</text>'
