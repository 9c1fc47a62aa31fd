"""The records that questions are asked of: a store, files read into memory, or the cache.

    records = find_records(["CVE-2021-44228"], [Path("cve.parquet")])
    with open_indexes([Path("cve.parquet")]) as indexes:
        indexes[0].name, indexes[0].newest        # ('cve.parquet', '2025-12-16')

A store is read where it lies, and a Parquet table is searched by its columns. Any other file, and
a table that many questions are asked of, is read once, into a store in memory. What is in memory
serves all later questions of the process until the file changes.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.analyst import local_records
from cybersecqwen.analyst.exploitation import feed_name
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import first_bytes
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import record_table, table_search
from cybersecqwen.sources.recordstore import search
from cybersecqwen.sources.recordstore.database import (
    NAME,
    index_words,
    open_for_reading,
    open_in_memory,
)

_log = logging.getLogger(__name__)

_IN_MEMORY = 4  # files that are kept there
_FEW = 30  # questions, whose searches of a table take less time than the index of its words
_FILE_FOR_EACH = ("cvelist", "vulnrichment")  # a record is found there without reading them all


class StoreIndex(NamedTuple):
    """The records of a store: what they are called, and the date of the newest."""

    name: str
    newest: str
    connection: sqlite3.Connection

    def select(self, chosen: search.Search) -> Iterator[Vulnerability]:
        """Yield the records that are searched for, the newest first."""
        return search.select(self.connection, chosen)

    def best(self, words: Sequence[str], limit: int) -> tuple[list[Vulnerability], float]:
        """Return the records that hold most of the words, and the share of these."""
        return search.best(self.connection, words, limit=limit)


class TableIndex(NamedTuple):
    """The records of a Parquet table: what they are called, and the date of the newest."""

    name: str
    newest: str
    path: Path

    def select(self, chosen: search.Search) -> Iterator[Vulnerability]:
        """Yield the records that are searched for, the newest first."""
        return table_search.select(self.path, chosen, _log_error)

    def best(self, words: Sequence[str], limit: int) -> tuple[list[Vulnerability], float]:
        """Return the records that hold most of the words, and the share of these."""
        return table_search.best(self.path, words, limit=limit, report=_log_error)


Index = StoreIndex | TableIndex


class RecordHit(NamedTuple):
    """A record, the name of where it lies, and the date of the newest record there, if known."""

    record: Vulnerability
    source: str
    newest: str = ""


def find_records(cve_ids: Sequence[str], records: Sequence[Path]) -> dict[str, RecordHit]:
    """Find the records of CVE ids; what is nowhere, or in no place that can be read, is missing."""
    hits: dict[str, RecordHit] = {}
    for path in _places(cve_ids, records):
        wanted = [cve_id for cve_id in cve_ids if cve_id not in hits]
        if not wanted:
            break
        if _is_index(path, records):
            with _open_store(path) as index:
                chosen = search.Search(ids=wanted, rejected=True)
                for one in index.select(chosen):
                    hits[one.cve_id] = RecordHit(one, index.name, index.newest)
        else:
            read = local_records.look_up(wanted, [path], _log_error)
            newest = record_table.newest(path) if read and is_parquet(path) else ""
            hits |= {cve_id: RecordHit(one, path.name, newest) for cve_id, one in read.items()}
    return hits


def _places(cve_ids: Sequence[str], records: Sequence[Path]) -> list[Path]:
    from cybersecqwen.analyst.lookup import record_files

    try:
        return record_files(records) if records else local_records.places(cve_ids, ())
    except InputError:  # nothing is at hand, which the answer says
        return []


@contextmanager
def open_indexes(records: Sequence[Path]) -> Iterator[list[Index]]:
    """Open what can be searched: the files that are given, or the store of the cache.

    Raises InputError for a file that holds no records, and for a store that another program has
    been writing for too long.
    """
    from cybersecqwen.analyst.lookup import record_files
    from cybersecqwen.sources.fetch import default_cache

    store = default_cache() / NAME
    paths = record_files(records) if records else [store] if store.is_file() else []
    with ExitStack() as stack:
        yield [_open(path, stack) for path in paths]


def _open(path: Path, stack: ExitStack) -> Index:
    if is_parquet(path) and next(_questions(path, path.stat().st_mtime_ns)) < _FEW:
        return TableIndex(path.name, record_table.newest(path), path)
    index = stack.enter_context(_open_store(path))
    index_words(index.connection, path=path)
    return index


@contextmanager
def _open_store(path: Path) -> Iterator[StoreIndex]:
    if feed_name(path) == "recordstore":
        with open_for_reading(path) as connection:
            yield StoreIndex(path.name, search.newest(connection), connection)
        return
    yield _in_memory(path, path.stat().st_mtime_ns if path.exists() else 0)


def _is_index(path: Path, records: Sequence[Path]) -> bool:
    """Tell a store, or a file that is given and worth reading as a whole."""
    feed = feed_name(path)
    whole = records and feed and feed not in _FILE_FOR_EACH and not is_parquet(path)
    return feed == "recordstore" or bool(whole)


def is_parquet(path: Path) -> bool:
    """Tell a table in which a record is found without reading the others."""
    return path.is_file() and first_bytes(path).startswith(record_table.MAGIC)


@lru_cache(maxsize=_IN_MEMORY)
def _questions(_path: Path, _modified: int) -> Iterator[int]:
    """Return the counter of the questions that a table was searched for."""
    return count()


@lru_cache(maxsize=_IN_MEMORY)
def _in_memory(path: Path, _modified: int) -> StoreIndex:
    from tqdm import tqdm

    from cybersecqwen.sources import read_vulnerabilities

    connection = open_in_memory()
    read = read_vulnerabilities(path, _log_error)
    search.fill(connection, tqdm(read, path.name, unit=" records", disable=None))
    return StoreIndex(path.name, search.newest(connection), connection)


def _log_error(error: InputError) -> None:
    _log.warning("passed over: %s", error)
