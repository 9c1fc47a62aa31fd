"""The file itself: foreign, damaged, locked, full, of another schema; one updater at a time."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.records import Cvss, Vulnerability
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.recordstore import database, query
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.versions import NVD, Changes, apply

RECORDS = [Vulnerability(f"CVE-2024-{i}", "2024-01-01", "text " * 20) for i in range(1000, 1400)]


WITHOUT_WORDS = """
    DROP TRIGGER search_insert; DROP TRIGGER search_update; DROP TRIGGER search_delete;
    DROP TABLE search; PRAGMA user_version = 2;
    ALTER TABLE versions DROP COLUMN affected; ALTER TABLE records DROP COLUMN affected;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return fill(tmp_path / "s.sqlite")


def fill(path: Path) -> Path:
    with open_for_update(path) as connection, transaction(connection):
        apply(connection, NVD, RECORDS, seen="2026-01-01T00:00:00")
    return path


def test_a_store_is_recognised_by_its_content_and_read_like_any_feed(path: Path) -> None:
    renamed = path.rename(path.with_name("any-name.bin"))
    assert list(read_vulnerabilities(renamed)) == RECORDS


def test_what_is_missing_foreign_or_of_another_schema_is_one_line(
    path: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no such record store"):
        list(query.read(tmp_path / "absent.sqlite"))
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(InputError, match="SQLite file of another program"):
        list(read_vulnerabilities(other))
    with pytest.raises(InputError, match="SQLite file of another program"), open_for_update(other):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 5")
    with pytest.raises(InputError, match="has the schema 5, not 4"):
        list(query.read(path))
    text = tmp_path / "text.sqlite"
    text.write_text("no database at all " * 100)
    with pytest.raises(InputError, match="is not an SQLite file"), open_for_update(text):
        pass


def test_a_store_of_the_first_schema_is_brought_to_this_one(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(WITHOUT_WORDS)
        for table in ("versions", "records"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN status")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN cvss")
        connection.executescript("DROP TABLE epss; PRAGMA user_version = 1")
    assert list(query.read(path)) == RECORDS
    assert query.epss(path, ["CVE-2024-1000"]) == ("", {})
    scored = replace(RECORDS[0], status="Analyzed", cvss=(Cvss("nvd", "3.1", "CVSS:3.1/…", 9.8),))
    with open_for_update(path) as connection, transaction(connection):
        changes = apply(connection, NVD, [scored, *RECORDS[1:]], seen="2026-01-02T00:00:00")
    assert changes == Changes(len(RECORDS), changed=1)
    assert next(query.read(path)) == scored


def test_a_truncated_store_is_called_damaged(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="is truncated or damaged"):
        list(read_vulnerabilities(path))


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("description", "x'ff00'", "bytes in place of text"),
        ("cvss3_vector", "x''", "bytes in place of text"),
        ("description", "CAST(x'ff' AS TEXT)", "UTF-8"),
        ("cwe_nvd", "x'5b5d'", "bytes in place of text"),
        ("cwe_nvd", "'CWE-79'", "labels that are no list"),
        ("cwe_cna", "'[1]'", "labels that"),
        ("cwe_cisa_adp", "'7'", "labels that"),
    ],
)
def test_a_store_with_other_values_is_called_damaged(
    path: Path, column: str, value: str, says: str
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE records SET {column} = {value} WHERE cve_id = 'CVE-2024-1200'")
    everything = query.RecordFilter()
    for read in (query.read, lambda path: query.rows(path, everything)):
        with pytest.raises(InputError, match=f"is damaged: .*{says}"):
            list(read(path))


def test_a_store_that_another_program_holds_is_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="another program is using it"):
            list(query.read(path))


def test_a_second_update_is_refused_while_one_runs_and_not_after_it(path: Path) -> None:
    with (
        open_for_update(path),
        pytest.raises(CyberSecQwenError, match="another process is writing it"),
        open_for_update(path),
    ):
        pass
    with open_for_update(path):
        pass


def test_a_full_disk_is_one_line_and_leaves_the_store_as_it_was(path: Path) -> None:
    more = [Vulnerability(f"CVE-2025-{i}", "2025-01-01", "text " * 99) for i in range(1000, 1400)]
    with (
        pytest.raises(InputError, match="the disk is full"),
        open_for_update(path) as connection,
    ):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with transaction(connection):
            apply(connection, NVD, more, seen="2026-01-01T00:00:00")
    assert list(query.read(path)) == RECORDS


def test_a_store_whose_writer_was_killed_in_a_transaction_reads_as_before_it(path: Path) -> None:
    code = textwrap.dedent(
        f"""
        import os, sqlite3
        connection = sqlite3.connect({str(path)!r}, isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file early
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE records SET description = 'half'")
        os.kill(os.getpid(), 9)
        """
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert path.with_name("s.sqlite-journal").exists()
    assert list(query.read(path)) == RECORDS
