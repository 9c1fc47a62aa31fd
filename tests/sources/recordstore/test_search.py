"""The index of words: kept as the records are, made anew where it is not theirs, and searched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.recordstore import database, search
from cybersecqwen.sources.recordstore.database import (
    index_words,
    open_for_reading,
    open_for_update,
    open_in_memory,
    transaction,
)
from cybersecqwen.sources.recordstore.search import Search
from cybersecqwen.sources.recordstore.versions import NVD, apply

from .test_database import WITHOUT_WORDS

RECORDS = (
    Vulnerability("CVE-2020-1001", "2020-05-01", "SQL injection in Foo Server.", ("CWE-89",)),
    Vulnerability("CVE-2021-1002", "2021-05-01", "XSS in Foo-Server.", cwe_cna=("CWE-79",)),
    Vulnerability("CVE-2022-1003", "2022-05-01", "On Server, a leak.", assigner="psirt@foo.com"),
    Vulnerability("CVE-2022-1004", "2022-06-01", "** REJECT ** Foo Server.", rejected=True),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return fill(tmp_path / "s.sqlite", RECORDS, "2026-01-01")


def fill(path: Path, records: tuple[Vulnerability, ...], seen: str) -> Path:
    with open_for_update(path) as connection, transaction(connection):
        apply(connection, NVD, records, seen=seen)
    return path


def ids(path: Path, **wanted: object) -> list[str]:
    with open_for_reading(path) as connection:
        index_words(connection, path=path)
        return [record.cve_id[-4:] for record in search.select(connection, Search(**wanted))]  # type: ignore[arg-type]


def test_records_are_found_by_phrase_date_label_and_id_the_newest_first(path: Path) -> None:
    assert ids(path, phrases=[("foo", "server")]) == ["1002", "1001"]
    assert ids(path, phrases=[("foo", "server")], rejected=True) == ["1004", "1002", "1001"]
    assert ids(path, phrases=[("server", "foo")]) == []
    assert ids(path, since="2021-05-01", until="2021-05-01") == ["1002"]
    assert ids(path, cwes=["CWE-89", "CWE-79"], until="2020") == []
    assert ids(path, cwes=["CWE-89", "CWE-79"]) == ["1002", "1001"]
    assert ids(path, cwes=["CWE-79"], described="sql injection") == ["1002", "1001"]
    assert ids(path, ids=["CVE-2020-1001"]) == ["1001"]
    assert ids(path, ids=[]) == []
    assert ids(path) == ["1003", "1002", "1001"]


def test_a_vendor_that_assigned_the_id_need_not_be_named(path: Path) -> None:
    wanted = {"phrases": [("foo", "server")], "assigner": "foo", "rest": ("server",)}
    assert ids(path, **wanted) == ["1003", "1002", "1001"]


def test_words_change_with_the_records(path: Path) -> None:
    changed = replace(RECORDS[0], description="Path traversal in Bar.", modified="2026-01-02")
    fill(path, (changed,), "2026-01-02")
    assert ids(path, phrases=[("foo", "server")]) == ["1002"]
    assert ids(path, phrases=[("path", "traversal")]) == ["1001"]
    with open_for_update(path) as connection, transaction(connection):
        connection.execute("DELETE FROM records WHERE cve_id = 'CVE-2021-1002'")
    assert ids(path, phrases=[("foo", "server")]) == []
    with open_for_update(path) as connection:
        connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")


def test_an_index_that_is_not_that_of_the_records_is_made_anew_and_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER search_insert")
        connection.execute(
            "INSERT INTO records SELECT 'CVE-2023-1005', '2023-01-01', 'Foo Server again.',"
            " cwe_nvd, cwe_cna, cwe_cisa_adp, cvss3_vector, assigner, description_source, 0, '',"
            " sources, status, cvss, affected FROM records LIMIT 1"
        )
        connection.commit()
    assert ids(path, phrases=[("foo", "server")])[0] == "1005"
    assert "indexing the words of 5 records" in caplog.text
    caplog.clear()
    ids(path)
    assert not caplog.text


def test_a_store_of_the_schema_without_words_gets_them_when_it_is_opened(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(WITHOUT_WORDS)
    assert ids(path, phrases=[("foo", "server")]) == ["1002", "1001"]
    assert "brought to the schema 4" in caplog.text


def test_a_store_that_is_written_is_waited_for_and_then_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.05)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="another program is using it"):
            ids(path)


def test_the_best_records_hold_most_of_the_words(path: Path) -> None:
    with open_for_reading(path) as connection:
        records, share = search.best(connection, ["leak", "server"], limit=5)
        assert ([one.cve_id for one in records], share) == (["CVE-2022-1003"], 1.0)
        records, share = search.best(connection, ["leak", "server", "unheard"], limit=5)
        assert records[0].cve_id == "CVE-2022-1003"
        assert share < 0.75
        assert search.best(connection, ["unheard"], limit=5) == ([], 0.0)
        assert search.best(connection, ['"', "NEAR("], limit=5) == ([], 0.0)


def test_a_store_in_memory_is_searched_alike() -> None:
    connection = open_in_memory()
    search.fill(connection, [*RECORDS, replace(RECORDS[0], description="Another.")])
    index_words(connection, path=Path("feed.json"))
    found = search.select(connection, Search(phrases=[("sql", "injection")]))
    assert [one.cve_id for one in found] == ["CVE-2020-1001"]
    assert search.newest(connection) == "2022-06-01"
