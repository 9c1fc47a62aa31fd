"""A Parquet table is searched as a store is, by conditions on its columns."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import table_search
from cybersecqwen.sources.record_table import COLUMNS
from cybersecqwen.sources.recordstore import search
from cybersecqwen.sources.recordstore.database import index_words, open_in_memory
from cybersecqwen.sources.recordstore.search import Search

from .test_record_table import NULLS, ROW, write

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
RECORDS = (
    Vulnerability("CVE-2020-1001", "2020-05-01", "SQL injection in Foo Server.", ("CWE-89",)),
    Vulnerability("CVE-2021-1002", "2021-05-01", "XSS in Foo-Server.", cwe_cna=("CWE-79",)),
    Vulnerability("CVE-2022-1003", "2022-05-01", "On Server, a leak.", assigner="psirt@foo.com"),
    Vulnerability("CVE-2022-1004", "2022-06-01", "** REJECT ** Foo Server.", rejected=True),
    Vulnerability(
        "CVE-2022-1005",
        "2022-05-01",
        "A leak in foo_server, a leak of AT&T's keys.",
        cvss3_vector=HIGH,
    ),
    Vulnerability("CVE-2022-1006", "2022-05-02", "A file server by Zürich leaks. FOO\u00a0SÉRVER"),
    Vulnerability("CVE-2023-1007", "", "Foo Server 2.0 has a leak.", ("CWE-790",)),
    Vulnerability(
        "CVE-2023-1008",
        "2023-01-01",
        "Foo Servers leak memory of food servers.",
        cvss3_vector=CRITICAL,
    ),
    Vulnerability("CVE-2020-1001", "2024-05-01", "A second row of one id, with a leak."),
)
SEARCHES = (
    Search(),
    Search(rejected=True),
    Search(phrases=[("foo", "server")]),
    Search(phrases=[("foo", "server"), ("leak",)], rejected=True),
    Search(phrases=[("server", "foo")]),
    Search(phrases=[("zürich",)]),
    Search(phrases=[("zurich",)]),
    Search(phrases=[("at&t",)]),
    Search(phrases=[("foo", "server")], assigner="foo", rest=("server",)),
    Search(since="2021-05-01", until="2022-05-01"),
    Search(until="2021-05-01"),
    Search(cwes=["CWE-89", "CWE-79"]),
    Search(cwes=["CWE-79"], described="sql injection"),
    Search(ids=["CVE-2020-1001", "CVE-1999-0001"]),
    Search(ids=[]),
    Search(phrases=[("second", "row")]),
    Search(score=(9.0, 10.0)),
    Search(score=(4.0, 8.9), since="2021-01-01"),
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.parquet"
    names = [*COLUMNS, "rejected"]
    rows: list[dict[str, Any]] = [
        {name: asdict(one)[name] for name in names} for one in map(_as_table, RECORDS)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def _as_table(one: Vulnerability) -> Vulnerability:
    return replace(one, assigner=one.assigner or "")


@pytest.mark.parametrize("wanted", SEARCHES, ids=str)
def test_a_table_is_searched_as_a_store_is(table: Path, wanted: Search) -> None:
    connection = open_in_memory()
    search.fill(connection, RECORDS)
    index_words(connection, path=table)
    of_store = [one.cve_id for one in search.select(connection, wanted)]
    assert [one.cve_id for one in table_search.select(table, wanted)] == of_store


@pytest.mark.parametrize(
    "words",
    [
        ["leak", "server"],
        ["leak", "server", "unheard"],
        ["sql", "leak", "server"],
        ["foo", "zürich", "keys"],
        ["unheard"],
        ['"', "NEAR("],
        [],
    ],
)
def test_the_best_records_are_those_of_a_store(table: Path, words: list[str]) -> None:
    connection = open_in_memory()
    search.fill(connection, RECORDS)
    index_words(connection, path=table)
    records, share = search.best(connection, words, limit=2)
    found, own_share = table_search.best(table, words, limit=2)
    assert ([one.cve_id for one in found], own_share) == ([one.cve_id for one in records], share)


def test_columns_of_nulls_of_dates_and_of_no_rows_are_searched(tmp_path: Path) -> None:
    path = write(tmp_path, ".parquet", [NULLS])
    assert [*table_search.select(path, Search(cwes=["CWE-79"], described="a b"))] == []
    assert [*table_search.select(path, Search(since="2021-01-01", phrases=[("a",)]))] == []
    assert len([*table_search.select(path, Search(until="2021-01-01"))]) == 1
    assert table_search.best(path, ["a"], limit=1) == ([], 0.0)
    (other := tmp_path / "dates").mkdir()
    dated = write(other, ".parquet", [{**ROW, "published": date(2021, 3, 4)}])
    (record,) = table_search.select(dated, Search(since="2021-03-04", until="2021-03-04"))
    assert record.published == "2021-03-04"
    parquet.write_table(parquet.read_table(dated).slice(0, 0), path)
    assert [*table_search.select(path, SEARCHES[8])] == []
    assert table_search.best(path, ["a"], limit=1) == ([], 0.0)


def test_a_wrong_row_is_reported_and_the_others_are_found(tmp_path: Path) -> None:
    rows = [{**ROW, "published": "soon"}, {**ROW, "cve_id": "CVE-2021-0002"}]
    errors: list[InputError] = []
    path = write(tmp_path, ".parquet", rows)
    found = [*table_search.select(path, Search(phrases=[("none",)]), errors.append)]
    assert [one.cve_id for one in found] == ["CVE-2021-0002"]
    assert "table.parquet:CVE-2021-0001" in str(errors[0])
