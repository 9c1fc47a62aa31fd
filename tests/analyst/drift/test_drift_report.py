"""Shifts that are made raise the alarm that is theirs and no other; what cannot be told is said."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from analyst.drift.conftest import (
    RECORDS,
    Shift,
    corrupted,
    halted,
    less_sure,
    month,
    other_class,
    other_words,
    quiet,
    shifted,
)
from cybersecqwen.analyst.drift import (
    DriftReport,
    DriftSettings,
    Observation,
    drift_svg,
    report,
)
from cybersecqwen.errors import InputError

SETTINGS = DriftSettings(reference_until=date(2024, 6, 30), today=date(2026, 6, 1))


@cache
def outcome_of(shift: Shift) -> DriftReport:
    """Report on ten months of which the last three are shifted."""
    return report(shifted(shift), settings=SETTINGS)


def alarms(outcome: DriftReport) -> set[tuple[str, str]]:
    return {(alarm.group, alarm.measure) for alarm in outcome.alarms}


def test_quiet_months_raise_no_alarm(months: list[Observation]) -> None:
    outcome = report(months, settings=SETTINGS)
    assert outcome.alarms == ()
    assert [w.role for w in outcome.windows] == ["reference"] * 6 + ["watched"] * 4
    assert {w.records for w in outcome.windows} == {RECORDS}
    [first, *_] = outcome.of("nvd", "accuracy")
    assert first.value == pytest.approx(0.8, abs=0.1)
    assert first.low is not None
    assert first.high is not None
    assert first.low < first.value < first.high
    expected = [reading.value for reading in outcome.of("all", "confidence")]
    assert expected == pytest.approx([0.8] * 10, abs=0.03)


@pytest.mark.parametrize(
    ("shift", "raised"),
    [
        (other_class, {("all", "class_mix"), ("nvd", "labels"), ("cna", "labels")}),
        (other_words, {("all", "vocabulary")}),
        (less_sure, {("all", "confidence")}),
        (corrupted, {("nvd", "accuracy")}),
        (halted, {("nvd", "labels")}),
    ],
)
def test_a_shift_raises_its_own_alarm_and_no_other(
    shift: Shift, raised: set[tuple[str, str]]
) -> None:
    outcome = outcome_of(shift)
    assert alarms(outcome) == raised
    assert {alarm.window for alarm in outcome.alarms} <= {"2024-08", "2024-09", "2024-10"}
    assert all(alarm.what and alarm.action for alarm in outcome.alarms)


def test_what_moved_is_named() -> None:
    [mix, *_] = [a for a in outcome_of(other_class).alarms if a.measure == "class_mix"]
    assert re.search(r"CWE-416 \d+% → [45]\d%", mix.what)
    [words] = outcome_of(other_words).alarms
    assert "novel" in words.what
    assert (words.window, words.until) == ("2024-08", "2024-10")


def test_a_halt_of_labels_leaves_every_other_reading_of_all_records_as_it_was(
    months: list[Observation],
) -> None:
    before = report(months, settings=SETTINGS)
    after = outcome_of(halted)
    for measure in ("class_mix", "vocabulary", "confidence", "abstained"):
        assert before.of("all", measure) == after.of("all", measure)
    assert before.of("cna", "accuracy") == after.of("cna", "accuracy")
    [*_, last] = after.of("nvd", "accuracy")
    assert (last.value, last.note) == (None, "0 answers to hold against, 10 are needed")


def test_a_month_that_is_not_over_is_shown_and_not_judged() -> None:
    settings = replace(SETTINGS, today=date(2024, 10, 15))
    outcome = report(shifted(other_words, after=9), settings=settings)
    assert outcome.windows[-1].role == "unfinished"
    assert outcome.alarms == ()
    [*_, last] = outcome.of("all", "vocabulary")
    assert last.deviation is not None
    assert last.deviation > SETTINGS.rule.far


def test_a_window_with_too_few_records_is_said_and_not_computed(
    months: list[Observation],
) -> None:
    outcome = report([*months, *list(quiet(1, first=10))[:20]], settings=SETTINGS)
    [*_, last] = outcome.of("all", "class_mix")
    assert (last.value, last.note) == (None, "20 records, 100 are needed")


def test_a_reference_may_come_from_elsewhere_and_cover_the_same_months(
    months: list[Observation],
) -> None:
    outcome = report(
        shifted(less_sure, months=7, after=0),
        reference=months[: 7 * RECORDS],
        settings=replace(SETTINGS, reference_until=None),
    )
    assert [(w.name, w.role) for w in outcome.windows[::7]] == [
        ("2024-01", "reference"),
        ("2024-01", "watched"),
    ]
    assert alarms(outcome) == {("all", "confidence")}
    assert outcome.alarms[0].window == "2024-01"


def test_without_a_reference_it_is_the_first_half_of_the_newest_months() -> None:
    settings = replace(SETTINGS, reference_until=None, size=100)
    bare = (replace(one, text="", labels={}) for one in quiet(26))
    outcome = report(bare, settings=settings)
    reference = [w.name for w in outcome.windows if w.role == "reference"]
    assert (len(outcome.windows), reference[0], reference[-1]) == (24, "2024-03", "2025-02")
    assert {w.records for w in outcome.windows} == {100}


@pytest.mark.parametrize(
    ("until", "what"),
    [
        (date(2024, 3, 31), "3 months of the reference have 100 records or more, 6 are needed"),
        (date(2024, 10, 31), "no month is left after the reference"),
    ],
)
def test_a_reference_that_cannot_serve_is_refused(
    months: list[Observation], until: date, what: str
) -> None:
    with pytest.raises(InputError, match=what):
        report(months, settings=replace(SETTINGS, reference_until=until))


def verdicts(months: int, right: float, *, first: int = 0) -> list[Observation]:
    return [
        replace(one, labels={"reviewed": one.cwe if n % 10 < right * 10 else ""})
        for n, one in enumerate(quiet(months, first=first, seed=7))
    ]


def test_verdicts_are_judged_by_themselves_beside_records(months: list[Observation]) -> None:
    reviewed = [*verdicts(7, 0.8), *verdicts(3, 0.5, first=7)]
    outcome = report(months, reviewed=reviewed, settings=SETTINGS)
    assert alarms(outcome) == {("reviewed", "accuracy")}
    assert outcome.alarms[0].window in ("2024-08", "2024-09")
    assert {w.verdicts for w in outcome.windows} == {RECORDS}
    alone = report((), reviewed=reviewed, settings=SETTINGS)
    assert alarms(alone) == {("reviewed", "accuracy")}
    assert alone.of("all", "class_mix")[0].value is not None


def test_verdicts_without_any_in_the_reference_are_shown_and_not_judged(
    months: list[Observation],
) -> None:
    outcome = report(months, reviewed=verdicts(3, 0.2, first=7), settings=SETTINGS)
    [*_, last] = outcome.of("reviewed", "accuracy")
    assert last.value == pytest.approx(0.2, abs=0.05)
    assert last.note == "not judged: the reference has 0 answers to hold against"
    assert outcome.alarms == ()


def test_the_row_holds_windows_readings_alarms_and_thresholds() -> None:
    outcome = outcome_of(halted)
    row = outcome.as_row()
    assert row["rule"]["far"] == SETTINGS.rule.far
    assert len(row["readings"]) == len(outcome.readings)
    [alarm] = row["alarms"]
    assert (alarm["window"], alarm["until"], alarm["group"]) == ("2024-08", "2024-10", "nvd")


def test_the_chart_is_an_image_with_a_ring_for_each_alarm_and_fit_for_a_strict_policy() -> None:
    outcome = outcome_of(other_words)
    svg = drift_svg(outcome)
    root = ET.fromstring(svg)
    tags = [element.tag.partition("}")[2] for element in root.iter()]
    assert not {"script", "style", "image", "use"} & set(tags)
    assert not any(
        "style" in e.attrib or any(k.startswith("on") for k in e.attrib) for e in root.iter()
    )
    rings = [e for e in root.iter() if e.get("r") == "6"]
    assert len(rings) == sum(reading.alarm for reading in outcome.readings) == 3
    assert "novel" in (root[1].text or "")
    assert svg == drift_svg(outcome)
    assert month(9).strftime("%Y-%m") in svg
