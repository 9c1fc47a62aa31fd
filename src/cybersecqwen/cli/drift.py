"""`cybersecqwen drift`: whether the model still meets what it was measured on."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.group import FILE, echo, help_text, json_option

if TYPE_CHECKING:
    from cybersecqwen.analyst.drift import DriftReport, DriftSettings, Observation, Reading
    from cybersecqwen.cli.streams import Bad
    from cybersecqwen.records import Vulnerability

_ALARM = 3  # the exit status with an alarm
_DAYS = {"month": 31, "week": 7}
_TRUTHS = ("nvd", "cna", "cisa_adp", "reviewed")
_COLUMNS = (
    ("all", "abstained"),
    ("all", "class_mix"),
    ("all", "vocabulary"),
    ("all", "confidence"),
    *((truth, "accuracy") for truth in _TRUTHS),
)


@click.command(help=help_text("drift"))
@click.argument("inputs", nargs=-1, metavar="[INPUT]...", type=FILE)
@click.option("--reference", type=FILE, help="Records to hold the others against.")
@click.option("--reference-until", metavar="DATE", help="Last day of the reference in INPUT.")
@click.option(
    "--by", type=click.Choice(["month", "week"]), default="month", help="Length of a window."
)
@click.option("--reviewed", type=FILE, help="Verdicts of reviewers, in JSONL.")
@click.option(
    "--sample", type=click.IntRange(min=100), default=500, help="Records of a window to look at."
)
@click.option("--svg", type=FILE, help="File for a chart of all windows.")
@json_option
def drift(inputs: tuple[Path, ...], by: str, as_json: bool, **options: Any) -> None:
    """Measure drift and raise alarms."""
    reference, reviewed, svg = options["reference"], options["reviewed"], options["svg"]
    reference_until = options["reference_until"]
    if reference and reference_until:
        raise click.UsageError("--reference and --reference-until exclude each other")
    from cybersecqwen.analyst.drift import DriftSettings, drift_svg, read_verdicts, report
    from cybersecqwen.cli.records import iso_day
    from cybersecqwen.cli.streams import Bad
    from cybersecqwen.files import write_text

    bad = Bad()
    until = date.fromisoformat(iso_day(reference_until)) if reference_until else None
    settings = DriftSettings("week" if by == "week" else "month", until, options["sample"])
    left_out: Counter[str] = Counter()
    verdicts = list(read_verdicts(reviewed, bad.report, left_out)) if reviewed else []
    paths: tuple[Path | None, ...] = inputs or (() if reviewed else (None,))
    outcome = report(
        _observations(paths, settings, bad, left_out),
        reference=_observations((reference,) if reference else (), settings, bad, left_out),
        reviewed=verdicts,
        settings=settings,
    )
    if svg:
        write_text(svg, drift_svg(outcome))
    echo(
        {**outcome.as_row(), "left_out": left_out},
        "\n\n".join(_text(outcome, left_out)),
        as_json=as_json,
    )
    if outcome.alarms:
        bad.tell()
        click.get_current_context().exit(_ALARM)
    bad.finish()


def _observations(
    paths: Iterable[Path | None], settings: DriftSettings, bad: Bad, left_out: Counter[str]
) -> list[Observation]:
    """Read records, sample each window, and classify the sample."""
    from cybersecqwen.analyst.drift import REFERENCE_WINDOWS, Selection, observe

    windows = REFERENCE_WINDOWS[settings.by]
    until = settings.reference_until
    days = timedelta(days=_DAYS[settings.by] * (windows + 1))
    selection = Selection(
        settings.by,
        size=settings.size,
        newest=0 if until else 2 * windows,
        since=until - days if until else date.min,
    )
    for path in paths:
        for record in _read(path, bad):
            selection.add(record)
    sampled = list(selection.records())
    left_out.update(selection.left_out)
    return list(_progress(observe(sampled), len(sampled)))


def _read(path: Path | None, bad: Bad) -> Iterator[Vulnerability]:
    """Read a file, standard input, or without a path the record store."""
    from cybersecqwen.sources import open_stream, read_vulnerabilities

    if path is None:
        from cybersecqwen.sources.fetch import default_cache
        from cybersecqwen.sources.recordstore import database, query

        return query.read(default_cache() / database.NAME)
    if str(path) == "-":
        return open_stream(sys.stdin.buffer, "stdin", bad.report)[1]
    return read_vulnerabilities(path, bad.report)


def _progress(observations: Iterator[Observation], total: int) -> Iterable[Observation]:
    if not total or not sys.stderr.isatty():
        return observations
    from tqdm import tqdm

    return tqdm(observations, desc="classify", total=total, unit=" records")


def _text(outcome: DriftReport, left_out: Counter[str]) -> Iterator[str]:
    """Yield a table of the windows, what was not computed or left out, and the alarms."""
    yield _table(outcome)
    if notes := list(_notes(outcome)):
        yield "\n".join(notes)
    if left_out:
        counts = ", ".join(f"{number:,} {reason}" for reason, number in left_out.items() if number)
        yield f"left out: {counts}"
    for alarm in outcome.alarms:
        when = alarm.window if alarm.window == alarm.until else f"{alarm.window} to {alarm.until}"
        yield f"alarm, {when}, {_title(alarm.group, alarm.measure)}: {alarm.what}\n  {alarm.action}"
    if not outcome.alarms:
        yield "no alarm"


def _title(group: str, measure: str) -> str:
    from cybersecqwen.analyst.drift import GROUPS, MEASURES

    title = MEASURES[measure].title
    return title if group == "all" else f"{title} by {GROUPS[group]}"


def _table(outcome: DriftReport) -> str:
    from cybersecqwen.reports.markdown import table

    readings = {(r.window, r.reference, r.group, r.measure): r for r in outcome.readings}
    shown = [
        column
        for column in _COLUMNS
        if any(reading.value is not None for reading in outcome.of(*column))
    ]
    header = (outcome.settings.by, "records", *(_title(*column) for column in shown))
    rows = []
    for window in outcome.windows:
        is_reference = window.role == "reference"
        mark = {"reference": " =", "watched": "", "unfinished": " …"}[window.role]
        cells = [_cell(readings.get((window.name, is_reference, *column))) for column in shown]
        rows.append((f"{window.name}{mark}", f"{window.records:,}", *cells))
    legend = "= reference, … not over and not judged, ! alarm; 95 % intervals"
    return f"{table(header, rows, right=range(1, len(header)))}\n{legend}"


def _cell(reading: Reading | None) -> str:
    if reading is None or reading.value is None:
        return "-"
    mark = "! " if reading.alarm else ""
    if reading.measure == "accuracy" and reading.low is not None and reading.high is not None:
        return f"{mark}{reading.value:.0%} ({reading.low:.0%} to {reading.high:.0%})"
    if reading.measure in ("class_mix", "vocabulary"):
        return f"{mark}{round(reading.value, 2) + 0.0:.2f}"  # never -0.00
    return f"{mark}{reading.value:.0%}"


def _notes(outcome: DriftReport) -> Iterator[str]:
    """Say what was not computed or not judged, in a line for each reason."""
    windows: dict[tuple[str, str, str], list[str]] = {}
    for reading in outcome.readings:
        if reading.note and (reading.group, reading.measure) in _COLUMNS and not reading.reference:
            key = (reading.group, reading.measure, reading.note)
            windows.setdefault(key, []).append(reading.window)
    for (group, measure, note), names in windows.items():
        when = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)})"
        yield f"{_title(group, measure)}, {when}: {note}"
