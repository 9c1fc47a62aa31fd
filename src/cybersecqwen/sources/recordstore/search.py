"""Search the records of a store: by words of their descriptions, by date, label and id.

    with open_for_reading(Path("records.sqlite")) as connection:
        for record in select(connection, Search(phrases=(("big", "ip"),), since="2024-01-01")):
            print(record.cve_id)

The words are an index of SQLite's FTS5 in the store's own file, which triggers keep as the records
are. A file of records is searched in the same way, once it is read into memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.recordstore.database import transaction
from cybersecqwen.sources.recordstore.versions import COLUMNS, as_vulnerability, write_records
from cybersecqwen.sources.severity import has_score

_BATCH = 5000  # records
_FREQUENT = 1 << 16  # records, beyond which those that hold a word are not counted
_RECORDS = f"SELECT {', '.join(f'records.{name}' for name in COLUMNS)} FROM records"
_NOT_REJECTED = "NOT records.rejected"


@dataclass(frozen=True, slots=True)
class Search:
    """Which records: all conditions hold, and one that is empty holds for any record.

    A phrase is words that follow each other in the description. `assigner` is a part of its name,
    with which `rest` in the description does for the phrases: a vendor seldom names itself. Dates
    are ISO, of publication, both inclusive.
    """

    phrases: Sequence[Sequence[str]] = ()
    assigner: str = ""
    rest: Sequence[str] = ()
    since: str = ""
    until: str = ""
    cwes: Sequence[str] = ()
    described: str = ""  # words that do for the label
    score: tuple[float, float] | None = None  # CVSS, both inclusive
    ids: Sequence[str] | None = None
    rejected: bool = False  # these too


def fill(connection: sqlite3.Connection, records: Iterable[Vulnerability]) -> None:
    """Bring records into a store that is in memory; of two with one id the first counts."""
    waiting = iter(records)
    with transaction(connection):
        while batch := list(islice(waiting, _BATCH)):
            write_records(connection, batch)


def newest(connection: sqlite3.Connection) -> str:
    """Return the date of the record that was published last, "" where none states one."""
    return str(connection.execute("SELECT max(published) FROM records").fetchone()[0] or "")


def select(connection: sqlite3.Connection, search: Search) -> Iterator[Vulnerability]:
    """Yield the records that are searched for, the newest first."""
    conditions, values = _conditions(search)
    where = " AND ".join(conditions) or "TRUE"
    query = f"{_RECORDS} WHERE {where} ORDER BY records.published DESC, records.cve_id DESC"
    for record in map(as_vulnerability, connection.execute(query, values)):
        if search.score is None or has_score(record, *search.score):
            yield record


def _conditions(search: Search) -> tuple[list[str], list[str]]:
    conditions = [] if search.rejected else [_NOT_REJECTED]
    values: list[str] = []
    for condition, value in (
        ("records.published >= ?", search.since),
        ("records.published <= ?", search.until),
        ("records.cve_id IN (SELECT value FROM json_each(?))", _listed(search.ids)),
    ):
        if value:
            conditions.append(condition)
            values.append(value)
    named = "records.rowid IN (SELECT rowid FROM search WHERE search MATCH ?)"
    if search.phrases:
        match = " AND ".join(map(phrase, search.phrases))
        conditions.append(named)
        values.append(match)
        if search.assigner:
            conditions[-1] = f"({named} OR ({named} AND records.assigner LIKE ?))"
            values += [phrase(search.rest), f"%{search.assigner}%"]
    if search.cwes:
        labels = [f"records.{name} LIKE ?" for name in ("cwe_nvd", "cwe_cna", "cwe_cisa_adp")]
        given = [f'%"{cwe}"%' for cwe in search.cwes for _ in labels]
        either = labels * len(search.cwes)
        if search.described:
            either.append(named)
            given.append(phrase(search.described.split()))
        conditions.append(f"({' OR '.join(either)})")
        values += given
    return conditions, values


def _listed(ids: Sequence[str] | None) -> str:
    return "" if ids is None else json.dumps(list(ids))


def phrase(words: Iterable[str]) -> str:
    """Write words as FTS5 takes a phrase."""
    return '"' + " ".join(word.replace('"', "") for word in words) + '"'


def best(
    connection: sqlite3.Connection, words: Sequence[str], *, limit: int
) -> tuple[list[Vulnerability], float]:
    """Return the records whose descriptions hold most of the words, the best by BM25 first.

    All words have to be there; where no record has them all, the most frequent ones are left out.
    Beside the records stands the share of the words, weighed by rarity, that was looked for.
    """
    numbers = {word: _number(connection, word) for word in words}
    for kept, share in narrowing({word: rarity(number) for word, number in numbers.items()}):
        rows = connection.execute(
            f"{_RECORDS} JOIN search ON search.rowid = records.rowid"
            f" WHERE search MATCH ? AND {_NOT_REJECTED} ORDER BY bm25(search) LIMIT ?",
            (" AND ".join(phrase([word]) for word in kept), limit),
        ).fetchall()
        if rows:
            return list(map(as_vulnerability, rows)), share
    return [], 0.0


def _number(connection: sqlite3.Connection, word: str) -> int:
    query = "SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ? LIMIT ?)"
    return int(connection.execute(query, (phrase([word]), _FREQUENT)).fetchone()[0])


def rarity(number: int) -> float:
    """Return 1 for a word that one record has, less for a more frequent one, 0 for an unknown."""
    return 1.0 - (min(number, _FREQUENT).bit_length() - 1) / 17 if number else 0.0


def narrowing(rarities: Mapping[str, float]) -> Iterator[tuple[list[str], float]]:
    """Yield the words to look for, at first all, then each time without the most frequent one.

    Beside them stands their share of the weight of all words; an unknown one weighs 1.
    """
    kept = sorted((word for word in rarities if rarities[word]), key=lambda word: -rarities[word])
    total = sum(rarities.values()) + sum(1.0 for word in rarities if not rarities[word])
    while kept:
        yield list(kept), sum(rarities[word] for word in kept) / total
        kept.pop()
