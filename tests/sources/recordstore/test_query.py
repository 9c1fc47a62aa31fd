"""Queries of the store: records, their history, and its status."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.recordstore import query
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.query import RecordFilter
from cybersecqwen.sources.recordstore.versions import NVD, apply

RECORDS = (
    Vulnerability(
        "CVE-2025-1000",
        "2025-11-30",
        "Old.",
        cwe_nvd=("CWE-79",),
        modified="2026-02-01T00:00:00.000",
    ),
    Vulnerability(
        "CVE-2025-1001",
        "2025-12-01",
        "Ümlaut.",
        cwe_nvd=("NVD-CWE-noinfo",),
        cvss3_vector="CVSS:3.1/AV:N",
        modified="2025-12-02T00:00:00.000",
    ),
    Vulnerability(
        "CVE-2019-1002",
        "2026-01-01",
        "New.",
        cwe_cisa_adp=("CWE-89", "CWE-20"),
        rejected=True,
        modified="2026-01-01T00:00:00.000",
    ),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with open_for_update(tmp_path / "s.sqlite") as connection, transaction(connection):
        apply(connection, NVD, RECORDS, seen="2026-01-01T00:00:00")
        connection.execute(
            "INSERT INTO kev VALUES ('CVE-2025-1001', '', '', '', '2026-01-09', '', '', 0, '[]')"
        )
    return tmp_path / "s.sqlite"


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (RecordFilter(), ["CVE-2025-1000", "CVE-2025-1001", "CVE-2019-1002"]),
        (RecordFilter(since="2025-12-01"), ["CVE-2025-1001", "CVE-2019-1002"]),
        (RecordFilter(since="2026-01-01", by="modified"), ["CVE-2019-1002", "CVE-2025-1000"]),
        (RecordFilter(since="2025-12-01", labelled=True), ["CVE-2019-1002"]),
        (RecordFilter(known_exploited=True), ["CVE-2025-1001"]),
        (RecordFilter(since="2026-01-02", known_exploited=True), []),
    ],
)
def test_records_since_a_date(path: Path, wanted: RecordFilter, ids: list[str]) -> None:
    assert [row["cve_id"] for row in query.rows(path, wanted)] == ids
    assert query.count(path, wanted) == len(ids)


def test_the_rows_are_a_table_that_gives_the_same_records(path: Path, tmp_path: Path) -> None:
    rows = list(query.rows(path, RecordFilter()))
    assert [row["known_exploited"] for row in rows] == [None, "2026-01-09", None]
    table = tmp_path / "fresh.jsonl"
    table.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    again = list(read_vulnerabilities(table))
    assert again == list(RECORDS)
    assert [record.modified for record in again] == [record.modified for record in RECORDS]


def test_records_are_found_by_their_ids(path: Path) -> None:
    (record,) = query.find(path, ["CVE-2025-1001", "CVE-1999-0001"])
    assert record == RECORDS[1]
    assert record.where == f"{path}:CVE-2025-1001"


def test_the_queries_use_their_indices(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for by in ("published", "modified"):
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT * FROM records LEFT JOIN kev USING (cve_id)"
                f" WHERE records.{by} >= '2025' ORDER BY records.{by}, records.cve_id"
            ).fetchall()
            assert f"INDEX records_{by}" in plan[0][3]
            assert not any("TEMP B-TREE" in step[3] for step in plan)


def test_status_counts_and_names_what_there_is(path: Path) -> None:
    status = query.status(path)
    assert (status["records"], status["kev"], status["label_changes"]) == (3, 1, 0)
    assert status["sources"] == {"nvd": 3}
    assert status["newest"] == {"published": "2026-01-01", "modified": "2026-02-01T00:00:00.000"}
