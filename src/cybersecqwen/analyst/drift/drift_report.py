"""The report on drift: every reading by window and source of labels, and the alarms.

    outcome = report(observations, settings=DriftSettings(reference_until=date(2024, 12, 31)))
    for alarm in outcome.alarms:
        print(alarm.window, alarm.what, alarm.action)

Class mix, vocabulary and expected accuracy raise alarms for all records alone, whoever labels them,
so that a source of labels that stops moves none of them. Accuracy is held against each source by
itself, and not where the share that this source labels has moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

from cybersecqwen.analyst.drift.observation import REVIEWED, Observation
from cybersecqwen.analyst.drift.readings import (
    Reading,
    Windows,
    explain,
    judged,
    read_accuracy,
    read_group,
    read_labels,
)
from cybersecqwen.analyst.drift.rule import MEASURES, RULE, AlarmRule
from cybersecqwen.analyst.drift.windows import Period, Window, sample, split, window_of
from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json

Role = Literal["reference", "watched", "unfinished"]

ALL, UNLABELLED = "all", "none"
GROUPS = {ALL: "all", **LABEL_SOURCES, UNLABELLED: "no label", REVIEWED: "reviewers"}
SAMPLE = 500  # records of a window

_ByWindow = dict[Window, list[Observation]]


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """What a window is, which windows are the reference, and the thresholds.

    Without `reference_until` the reference is the first half of the newest windows, twice
    REFERENCE_WINDOWS of them.
    """

    by: Period = "month"
    reference_until: date | None = None
    size: int = SAMPLE  # records of a window that are looked at
    today: date = field(default_factory=date.today)
    rule: AlarmRule = RULE


class WindowSummary(NamedTuple):
    """A window, what it serves as, and how many of its records were looked at."""

    name: str
    role: Role
    records: int
    verdicts: int


class Alarm(NamedTuple):
    """An alarm: the first and the last window that raise it, what has moved, and what to do."""

    window: str
    until: str
    group: str
    measure: str
    what: str
    action: str


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All windows in the order of time, all readings of them, and the alarms."""

    settings: DriftSettings
    windows: tuple[WindowSummary, ...]
    readings: tuple[Reading, ...]
    alarms: tuple[Alarm, ...]

    def of(self, group: str, measure: str) -> list[Reading]:
        """Return the readings of one measure of one group, in the order of time."""
        return [r for r in self.readings if (r.group, r.measure) == (group, measure)]

    def as_row(self) -> Json:
        """Return the report as JSON-able values; what was not computed is null."""
        return {
            "by": self.settings.by,
            "rule": {**self.settings.rule._asdict(), "limit": round(self.settings.rule.limit, 4)},
            "windows": [window._asdict() for window in self.windows],
            "readings": [_rounded(reading) for reading in self.readings],
            "alarms": [alarm._asdict() for alarm in self.alarms],
        }


def _rounded(reading: Reading) -> Json:
    row = reading._asdict()
    row["note"] = reading.note or None
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


def report(
    observations: Iterable[Observation],
    *,
    reference: Iterable[Observation] = (),
    reviewed: Iterable[Observation] = (),
    settings: DriftSettings | None = None,
) -> DriftReport:
    """Measure drift from the reference to the windows after it.

    The reference is taken from the observations themselves, by the settings, unless it is given.
    `reviewed` are verdicts, which only accuracy is measured on; where there are no observations,
    everything is. Raises InputError where the reference has too few windows with enough records.
    """
    settings = settings or DriftSettings()
    verdicts = _by_window(reviewed, settings)
    records = _by_window(observations, settings) or verdicts
    given = _by_window(reference, settings)
    before, after = split(
        {**records, **verdicts}, given, by=settings.by, until=settings.reference_until
    )
    of_records = _Samples.of(given or records, before, records, after)
    of_verdicts = _Samples.of(verdicts, before, verdicts, after)
    _check(of_records, settings)
    ended = {window.name for window in after if window.end <= settings.today}
    readings = [
        reading._replace(alarm=reading.alarm and reading.window in ended)
        for reading in _readings(of_records, of_verdicts, settings.rule)
    ]
    summaries = [_summary(w, "reference", of_records.before, of_verdicts.before) for w in before]
    for window in after:
        role: Role = "watched" if window.name in ended else "unfinished"
        summaries.append(_summary(window, role, of_records.after, of_verdicts.after))
    alarms = _alarms(readings, of_records, of_verdicts)
    return DriftReport(settings, tuple(summaries), tuple(readings), tuple(alarms))


class _Samples(NamedTuple):
    """The samples of the reference's windows and of those after it, by the names of these."""

    before: Windows
    after: Windows

    @classmethod
    def of(
        cls,
        reference: _ByWindow,
        before: Sequence[Window],
        watched: _ByWindow,
        after: Sequence[Window],
    ) -> _Samples:
        """Take the samples of some windows; one without any is empty."""
        return cls(
            {window.name: reference.get(window, []) for window in before},
            {window.name: watched.get(window, []) for window in after},
        )

    def group(self, group: str) -> _Samples:
        """Keep the records that a source labels, those that none does, or all."""
        return _Samples(
            {name: [o for o in window if _is_of(o, group)] for name, window in self.before.items()},
            {name: [o for o in window if _is_of(o, group)] for name, window in self.after.items()},
        )


def _is_of(observation: Observation, group: str) -> bool:
    if group == ALL:
        return True
    return not observation.labels if group == UNLABELLED else group in observation.labels


def _by_window(observations: Iterable[Observation], settings: DriftSettings) -> _ByWindow:
    """Sample the observations of each window; of several with one id the last one counts."""
    windows: dict[Window, dict[str, Observation]] = {}
    for one in observations:
        windows.setdefault(window_of(one.day, settings.by), {})[one.id] = one
    return {window: list(sample(held, settings.size).values()) for window, held in windows.items()}


def _check(samples: _Samples, settings: DriftSettings) -> None:
    rule = settings.rule
    enough = sum(len(window) >= rule.least_records for window in samples.before.values())
    if enough < rule.least_windows:
        raise InputError(
            f"{enough} {settings.by}s of the reference have {rule.least_records} records or more, "
            f"{rule.least_windows} are needed",
            where="drift",
            tip="give more records, a later --reference-until, --reference FILE or --by week",
        )
    if not samples.after:
        raise InputError(
            f"no {settings.by} is left after the reference",
            where="drift",
            tip="give newer records, or an earlier --reference-until",
        )


def _summary(window: Window, role: Role, records: Windows, verdicts: Windows) -> WindowSummary:
    return WindowSummary(window.name, role, len(records[window.name]), len(verdicts[window.name]))


def _readings(records: _Samples, verdicts: _Samples, rule: AlarmRule) -> Iterator[Reading]:
    for group in (ALL, *LABEL_SOURCES, UNLABELLED):
        own = records.group(group)
        if not any((*own.before.values(), *own.after.values())):
            continue
        readings = list(read_group(group, *own, rule=rule))
        yield from judged(readings, rule) if group == ALL else readings
        if group in LABEL_SOURCES:
            labels = list(judged(list(read_labels(group, *records, rule=rule)), rule))
            yield from labels
            moved = {reading.window for reading in labels if reading.alarm}
            yield from read_accuracy(group, *records, unjudged=moved, rule=rule)
    if any(verdicts.after.values()):
        yield from read_accuracy(REVIEWED, *verdicts, rule=rule)


def _alarms(readings: Sequence[Reading], records: _Samples, verdicts: _Samples) -> Iterator[Alarm]:
    """Yield an alarm for each run of windows that raise it, in the order of time."""
    names = list(records.after)
    runs: list[tuple[Reading, str]] = []
    for reading in readings:
        if not reading.alarm:
            continue
        if runs and _continues(*runs[-1], reading, names):
            runs[-1] = (runs[-1][0], reading.window)
        else:
            runs.append((reading, reading.window))
    for first, until in sorted(runs, key=lambda run: names.index(run[0].window)):
        before, after = verdicts if first.group == REVIEWED else records
        enough = [window for window in before.values() if window]
        what = explain(first, enough, after[first.window]) + _where(first, readings)
        action = MEASURES[first.measure].action
        yield Alarm(first.window, until, first.group, first.measure, what, action)


def _continues(first: Reading, until: str, reading: Reading, names: Sequence[str]) -> bool:
    same = (first.group, first.measure) == (reading.group, reading.measure)
    return same and names.index(reading.window) == names.index(until) + 1


def _where(alarm: Reading, readings: Sequence[Reading]) -> str:
    """Name the group of records that an alarm of all comes from most, if it stands out there."""
    if alarm.group != ALL or alarm.deviation is None:
        return ""
    sign = 1 if alarm.deviation > 0 else -1
    apart = {
        reading.group: sign * reading.deviation
        for reading in readings
        if (reading.window, reading.measure) == (alarm.window, alarm.measure)
        and reading.group != ALL
        and reading.deviation is not None
        and not reading.reference
    }
    most = max(apart, key=apart.__getitem__, default="")
    if not most or apart[most] < RULE.near:
        return ""
    return f" (most of it in records labelled by: {GROUPS[most]})"
