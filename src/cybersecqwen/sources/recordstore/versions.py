"""Make one record of the versions that the feeds give of it, and note what that changes.

    with transaction(connection):
        changes = apply(connection, "nvd", records, seen="2026-03-01T09:00:00")

Of each source the latest version is kept whole, and the record follows from those alone:
neither the order of arrival nor a repetition matters. Versions that do not say when they were
modified are older than all that do; among them the one that comes last counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from pydantic import TypeAdapter

from cybersecqwen.records import AffectedProduct, Cvss, Vulnerability
from cybersecqwen.sources.affected import union

# In the order in which they are preferred; KEV has but a short description and a few labels.
NVD, CVE_LIST, TABLE, KEV = SOURCES = ("nvd", "cvelist", "table", "kev")
LABELS = ("cwe_nvd", "cwe_cna", "cwe_cisa_adp")
COLUMNS = (
    *("cve_id", "published", "description", *LABELS, "cvss3_vector", "assigner"),
    *("description_source", "rejected", "modified", "status", "cvss", "affected"),
)
_values = attrgetter(*COLUMNS)
_WATCHED = (*LABELS, "description", "cvss3_vector", "rejected")  # whose changes are history

_LABELS = TypeAdapter(list[str])
_CVSS = TypeAdapter(list[Cvss])
_AFFECTED = TypeAdapter(list[AffectedProduct])

Versions = Mapping[str, Vulnerability]


@dataclass(frozen=True, slots=True)
class Changes:
    """Counts of CVEs in an update; `labels` counts changed columns of labels."""

    received: int = 0
    new: int = 0
    changed: int = 0
    labels: int = 0

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.received + other.received,
            self.new + other.new,
            self.changed + other.changed,
            self.labels + other.labels,
        )


def merge(versions: Versions) -> Vulnerability:
    """Make one record of the versions by source, of which there is at least one.

    NVD's labels come from NVD; those of CNA and CISA, and whether the record is rejected, come
    from the CVE List. The rest is NVD's where it says something.
    """
    if len(versions) == 1:
        return next(iter(versions.values()))
    ranked = [versions[source] for source in SOURCES if source in versions]
    home = versions.get(CVE_LIST)
    told = next((v for v in ranked if v.description), ranked[0])
    others = [home] if home else ranked
    severities = sorted((c for v in ranked for c in v.cvss), key=lambda c: c.version, reverse=True)
    return Vulnerability(
        cve_id=told.cve_id,
        published=next((v.published for v in ranked if v.published), ""),
        description=told.description,
        cwe_nvd=(versions.get(NVD) or versions.get(TABLE) or ranked[-1]).cwe_nvd,
        cwe_cna=next((v.cwe_cna for v in others if v.cwe_cna), ()),
        cwe_cisa_adp=next((v.cwe_cisa_adp for v in others if v.cwe_cisa_adp), ()),
        cvss3_vector=next((v.cvss3_vector for v in ranked if v.cvss3_vector), None),
        assigner=next((v.assigner for v in ranked if v.assigner), None),
        description_source=told.description_source,
        rejected=(home or ranked[0]).rejected,
        status=next((v.status for v in ranked if v.status), ""),
        cvss=tuple(dict.fromkeys(severities)),
        modified=max(v.modified for v in ranked),
        affected=union(v.affected for v in ranked),
    )


def supersedes(new: Vulnerability, old: Vulnerability) -> bool:
    """Tell whether a version takes the place of another one of the same source."""
    if new.modified != old.modified:
        return new.modified > old.modified
    if new == old:
        return False
    # Of two that claim the same moment one is taken, whichever came first: one with products before
    # one without, as the store had it before it kept them.
    return not new.modified or _rank(new) > _rank(old)


def _rank(record: Vulnerability) -> tuple[int, str]:
    return len(record.affected), repr(_row(record))


def apply(
    connection: sqlite3.Connection, source: str, records: Sequence[Vulnerability], *, seen: str
) -> Changes:
    """Bring versions of a source into the store, inside a transaction of the caller's."""
    stored = load_versions(connection, [record.cve_id for record in records])
    changes = Changes(received=len(records))
    history: list[tuple[Any, ...]] = []
    written: dict[str, Vulnerability] = {}
    for record in records:
        versions = stored[record.cve_id]
        before = merge(versions) if versions else None
        if source in versions and not supersedes(record, versions[source]):
            continue
        versions[source] = record
        now = written[record.cve_id] = merge(versions)
        if before is None:
            changes += Changes(new=1)
        elif before != now:
            rows = list(_history(before, now, source, record.modified))
            history += [(*row, seen) for row in rows]
            changes += Changes(changed=1, labels=sum(row[1] in LABELS for row in rows))
    _write(connection, "versions", ((*_row(stored[i][source]), source) for i in written))
    rows_of = ((*_row(now), json.dumps(sorted(stored[i]))) for i, now in written.items())
    _write(connection, "records", rows_of)
    connection.executemany(
        "INSERT INTO history (cve_id, field, old, new, source, modified, seen)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        history,
    )
    return changes


def load_versions(
    connection: sqlite3.Connection, cve_ids: Collection[str]
) -> defaultdict[str, dict[str, Vulnerability]]:
    """Load the versions of some CVEs, by id and source."""
    versions: defaultdict[str, dict[str, Vulnerability]] = defaultdict(dict)
    for row in connection.execute(
        f"SELECT {', '.join(COLUMNS)}, source FROM versions"
        " WHERE cve_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(cve_ids)),),
    ):
        versions[row["cve_id"]][row["source"]] = as_vulnerability(row)
    return versions


def as_vulnerability(row: sqlite3.Row, where: str = "") -> Vulnerability:
    """Turn a row with COLUMNS into a record."""
    values = {name: row[name] for name in COLUMNS}
    values |= {name: as_labels(values[name]) for name in LABELS}
    values |= {"cvss": as_cvss(values["cvss"]), "affected": as_affected(values["affected"])}
    values["rejected"] = bool(values["rejected"])
    return Vulnerability(**values, where=where)


def _row(record: Vulnerability) -> tuple[Any, ...]:
    return tuple(_listed(value) if isinstance(value, tuple) else value for value in _values(record))


# A million records share a few thousand lists of labels.
@lru_cache(maxsize=1 << 14)
def _listed(values: tuple[Any, ...]) -> str:
    return _json(values)


@lru_cache(maxsize=1 << 14)
def as_labels(listed: str) -> tuple[str, ...]:
    """Read a list of labels as the store writes it; raises ValidationError on anything else."""
    return tuple(_LABELS.validate_json(listed))


@lru_cache(maxsize=1 << 14)
def as_cvss(listed: str) -> tuple[Cvss, ...]:
    """Read a list of severities likewise."""
    return tuple(_CVSS.validate_json(listed))


def as_affected(listed: str) -> tuple[AffectedProduct, ...]:
    """Read a list of products likewise."""
    return () if listed == "[]" else tuple(_AFFECTED.validate_json(listed))


def write_records(connection: sqlite3.Connection, records: Iterable[Vulnerability]) -> None:
    """Write records without versions, as a store in memory has them; the first of an id counts."""
    rows = ((*_row(record), "[]") for record in records)
    _insert(connection, "records", rows, "ON CONFLICT DO NOTHING")


def _write(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    keys = "cve_id, source" if table == "versions" else "cve_id"
    # A row that is replaced would get another number, by which the index of words knows it.
    changes = ", ".join(f"{name} = excluded.{name}" for name in (*COLUMNS, _LAST[table]))
    _insert(connection, table, rows, f"ON CONFLICT ({keys}) DO UPDATE SET {changes}")


_LAST = {"versions": "source", "records": "sources"}  # the column beside COLUMNS


def _insert(
    connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]], conflict: str
) -> None:
    # By name: columns that an upgrade added stand at the end of the table.
    names = (*COLUMNS, _LAST[table])
    places = ", ".join("?" * len(names))
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places}) {conflict}", rows
    )


def _history(
    old: Vulnerability, new: Vulnerability, source: str, modified: str
) -> Iterator[tuple[Any, ...]]:
    for name in _WATCHED:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield (new.cve_id, name, _json(before), _json(after), source, modified)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
