"""Windows of the calendar, samples that no order changes, and what is left out or refused."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from cybersecqwen.analyst.drift.observation import (
    Selection,
    first_labels,
    observe,
    read_verdicts,
)
from cybersecqwen.analyst.drift.windows import day_of, window_of
from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability


@pytest.mark.parametrize(
    ("day", "month", "week"),
    [
        (date(2024, 12, 31), ("2024-12", date(2025, 1, 1)), ("2025-W01", date(2025, 1, 6))),
        (date(2024, 2, 29), ("2024-02", date(2024, 3, 1)), ("2024-W09", date(2024, 3, 4))),
        (date(2021, 1, 3), ("2021-01", date(2021, 2, 1)), ("2020-W53", date(2021, 1, 4))),
    ],
)
def test_a_day_lies_in_its_month_and_in_its_iso_week(
    day: date, month: tuple[str, date], week: tuple[str, date]
) -> None:
    assert window_of(day, "month") == month
    assert window_of(day, "week") == week


def record(number: int, published: str, **others: object) -> Vulnerability:
    return Vulnerability(f"CVE-2024-{number}", published, f"A flaw, number {number}.", **others)


def test_a_sample_is_the_same_in_any_order_and_says_what_it_leaves_out() -> None:
    records = [record(n, "2024-05-02") for n in range(100)]
    samples = []
    for order in (records, records[::-1], records[50:] + records):
        selection = Selection("month", size=10, today=date(2024, 6, 1))
        for one in order:
            selection.add(one)
        samples.append(list(map(repr, sorted(selection.records(), key=repr))))
        assert selection.left_out["beyond the sample"] >= 90
    assert samples[0] == samples[1] == samples[2]


def test_records_that_cannot_be_dated_or_read_are_counted() -> None:
    selection = Selection("month", size=10, today=date(2024, 6, 1))
    for one in (
        record(1, ""),
        record(2, "yesterday"),
        record(3, "2024-06-02"),
        record(4, "2024-05-01T10:00:00.000", rejected=True),
        Vulnerability("CVE-2024-5", "2024-05-01", ""),
        record(6, "2024-05-01T10:00:00.000"),
    ):
        selection.add(one)
    assert [one.cve_id for one in selection.records()] == ["CVE-2024-6"]
    counted = {reason: number for reason, number in selection.left_out.items() if number}
    assert counted == {
        "without a date": 2,
        "with a date to come": 1,
        "rejected": 1,
        "without a description": 1,
    }


@pytest.mark.parametrize("order", [1, -1])
def test_only_the_newest_windows_are_held_and_older_records_counted(order: int) -> None:
    selection = Selection("month", size=10, newest=2, today=date(2025, 1, 1))
    for number in range(1, 7)[::order]:
        selection.add(record(number, f"2024-{number:02}-01"))
    assert [one.cve_id for one in selection.records()] == ["CVE-2024-5", "CVE-2024-6"]
    assert selection.left_out["older"] == 4


def test_an_observation_is_classified_as_labelled_and_holds_each_sources_first_cwe() -> None:
    one = Vulnerability(
        "CVE-2024-1",
        "2024-05-02",
        "SQL injection in the id parameter of login.php.",
        cwe_nvd=("NVD-CWE-noinfo",),
        cwe_cna=("CWE-89", "CWE-20"),
    )
    [seen] = observe([one])
    assert (seen.cwe, seen.day, seen.abstain) == ("CWE-89", date(2024, 5, 2), False)
    assert seen.confidence > 0.8
    assert seen.labels == first_labels(one) == {"cna": "CWE-89"}
    with pytest.raises(InputError, match="CVE-2024-2: has no date"):
        list(observe([record(2, "")]))


def test_verdicts_are_read_and_wrong_ones_reported(tmp_path: Path) -> None:
    good = {"id": "a", "text": "SQL injection", "cwe": "CWE-89", "suggested": "CWE-89"}
    rows = [
        {**good, "confidence": 0.9, "at": "2024-05-02T10:00:00.000Z"},
        {**good, "id": "b", "cwe": None, "confidence": 0.2, "at": "2024-05-03"},
        {**good, "id": "c"},
        {**good, "id": "d", "at": "soon"},
        {**good, "id": "e", "at": "2024-05-03", "confidence": 90},
        {**good, "id": "f", "at": "2024-05-03", "confidence": "high"},
        {**good, "id": "g", "at": "2999-01-01"},
        {**good, "id": "h", "confidence": 0.3, "decided_at": "2024-05-04T10:00:00.000Z"},
        {**good, "id": "i", "confidence": 0.3, "decided_at": None},
    ]
    path = tmp_path / "verdicts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "not JSON\n", "utf-8")
    errors: list[InputError] = []
    left_out: Counter[str] = Counter()
    seen = list(read_verdicts(path, errors.append, left_out))
    assert left_out == {"without a verdict": 1}
    assert [(one.id, one.labels) for one in seen] == [
        ("a", {"reviewed": "CWE-89"}),
        ("b", {"reviewed": ""}),
        ("h", {"reviewed": "CWE-89"}),
    ]
    told = " ".join(str(error) for error in errors)
    assert len(errors) == 6
    for what in (
        "no at",
        "'soon' is not a date",
        "confidence is 90",
        "'high'",
        "yet to come",
        "jsonl:10",
    ):
        assert what in told


def test_what_is_no_day_is_none() -> None:
    assert [day_of(text) for text in ("", "2024", "2024-02-30")] == [None, None, None]
