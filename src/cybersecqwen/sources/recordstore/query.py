"""Read the store: records, their history, and how current it is.

wanted = RecordFilter(since="2025-12-01", labelled=True)
count(Path("records.sqlite"), wanted)
for row in rows(Path("records.sqlite"), wanted):
    print(row["cve_id"])
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cybersecqwen.files import Json
from cybersecqwen.formats.rows import Report, refuse
from cybersecqwen.records import EpssScore, KnownExploitation, Vulnerability
from cybersecqwen.sources.recordstore.database import open_for_reading
from cybersecqwen.sources.recordstore.session import latest_release
from cybersecqwen.sources.recordstore.versions import (
    COLUMNS,
    LABELS,
    as_affected,
    as_cvss,
    as_labels,
    as_vulnerability,
)

_RECORDS = f"SELECT {', '.join(COLUMNS)} FROM records"
_WANTED = "cve_id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records: from a date on, by publication or upstream's last modification."""

    since: str = ""  # ISO date, inclusive
    by: Literal["published", "modified"] = "published"
    labelled: bool = False  # with a CWE of any giver
    known_exploited: bool = False


def read(path: Path, _: Report = refuse) -> Iterator[Vulnerability]:
    """Yield all records in the order of their ids; `where` is the file and the id."""
    with open_for_reading(path) as connection:
        for row in connection.execute(f"{_RECORDS} ORDER BY cve_id"):
            yield as_vulnerability(row, f"{path}:{row['cve_id']}")


def find(path: Path, cve_ids: Collection[str]) -> Iterator[Vulnerability]:
    """Yield the records of some CVEs, as far as the store holds them."""
    with open_for_reading(path) as connection:
        for row in connection.execute(
            f"{_RECORDS} WHERE {_WANTED}",
            (json.dumps(list(cve_ids)),),
        ):
            yield as_vulnerability(row, f"{path}:{row['cve_id']}")


def known_exploited(
    path: Path, cve_ids: Collection[str] | None = None
) -> tuple[str, dict[str, KnownExploitation]]:
    """Return the version of KEV in the store, "" without one, and its entries, all or of some."""
    with open_for_reading(path) as connection:
        entries = connection.execute(
            f"SELECT cve_id, {', '.join(KnownExploitation._fields)} FROM kev"
            f" WHERE ?1 IS NULL OR cve_id IN (SELECT value FROM json_each(?1))",
            (None if cve_ids is None else json.dumps(list(cve_ids)),),
        )
        found = {row["cve_id"]: _exploitation(row) for row in entries}
        return latest_release(connection, "kev")[0], found


def _exploitation(row: sqlite3.Row) -> KnownExploitation:
    texts = {name: row[name] for name in KnownExploitation._fields}
    return KnownExploitation(**{**texts, "ransomware": bool(row["ransomware"])})


def epss(path: Path, cve_ids: Collection[str] | None) -> tuple[str, dict[str, EpssScore]]:
    """Return the date and version of EPSS in the store, "" without it, and scores of some CVEs."""
    with open_for_reading(path) as connection:
        scores = connection.execute(
            f"SELECT cve_id, score, percentile FROM epss WHERE {_WANTED}",
            (json.dumps(list(cve_ids or ())),),
        )
        found = {cve_id: EpssScore(*score) for cve_id, *score in scores}
        return latest_release(connection, "epss")[0], found


def rows(path: Path, wanted: RecordFilter) -> Iterator[Json]:
    """Yield records as rows of the table that every command reads, the oldest first.

    `known_exploited` is the date on which KEV took the record in, or null.
    """
    where, values = _condition(wanted)
    columns = ", ".join(f"records.{name}" for name in COLUMNS)
    query = (
        f"SELECT {columns}, kev.date_added AS known_exploited FROM records"
        f" LEFT JOIN kev USING (cve_id) WHERE {where} ORDER BY records.{wanted.by}, records.cve_id"
    )
    with open_for_reading(path) as connection:
        for row in connection.execute(query, values):
            labels = {name: list(as_labels(row[name])) for name in LABELS}
            cvss = [severity._asdict() for severity in as_cvss(row["cvss"])]
            affected = [product._asdict() for product in as_affected(row["affected"])]
            lists = {**labels, "cvss": cvss, "affected": affected}
            yield {**dict(row), **lists, "rejected": bool(row["rejected"])}


def count(path: Path, wanted: RecordFilter) -> int:
    """Count the records that `rows` would yield."""
    where, values = _condition(wanted)
    query = f"SELECT count(*) FROM records LEFT JOIN kev USING (cve_id) WHERE {where}"
    with open_for_reading(path) as connection:
        return int(connection.execute(query, values).fetchone()[0])


def _condition(wanted: RecordFilter) -> tuple[str, tuple[str, ...]]:
    conditions = [f"records.{wanted.by} >= ?"]
    if wanted.labelled:
        # The quotation mark keeps NVD-CWE-noinfo and NVD-CWE-Other out.
        given = " OR ".join(f"""records.{name} LIKE '%"CWE-%'""" for name in LABELS)
        conditions.append(f"({given})")
    if wanted.known_exploited:
        conditions.append("kev.cve_id IS NOT NULL")
    return " AND ".join(conditions), (wanted.since,)


def history(path: Path, cve_id: str) -> list[Json]:
    """List what has changed in a record since it came here, the oldest change first."""
    with open_for_reading(path) as connection:
        return [
            {**dict(row), "old": json.loads(row["old"]), "new": json.loads(row["new"])}
            for row in connection.execute(
                "SELECT cve_id, field, old, new, source, modified, seen FROM history"
                " WHERE cve_id = ? ORDER BY id",
                (cve_id,),
            )
        ]


def checked(path: Path) -> dict[str, str]:
    """Return when each feed was last brought up to date, by the clock of the machine that did."""
    with open_for_reading(path) as connection:
        return dict(map(tuple, connection.execute("SELECT feed, checked FROM feeds ORDER BY feed")))


def status(path: Path) -> Json:
    """Return what the store holds and how far each feed has come."""
    with open_for_reading(path) as connection:
        return {
            "store": str(path),
            "bytes": path.stat().st_size,
            **{table: _number(connection, table) for table in ("records", "history", "kev")},
            "label_changes": _number(connection, "history WHERE field LIKE 'cwe_%'"),
            "sources": dict(
                connection.execute("SELECT source, count(*) FROM versions GROUP BY source")
            ),
            "newest": dict(
                connection.execute(
                    "SELECT max(published) published, max(modified) modified FROM records"
                ).fetchone()
            ),
            "feeds": [dict(row) for row in connection.execute("SELECT * FROM feeds ORDER BY feed")],
            "releases": [
                dict(row)
                for row in connection.execute(
                    "SELECT feed, version, sha256, seen FROM releases ORDER BY id"
                )
            ],
            "refused": [dict(row) for row in connection.execute("SELECT * FROM refused")],
        }


def _number(connection: sqlite3.Connection, what: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])
