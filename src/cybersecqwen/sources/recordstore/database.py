"""The SQLite file of the record store: its schema, how it is opened, what can be wrong with it.

    with open_for_reading(Path("records.sqlite")) as connection:
        connection.execute("SELECT count(*) FROM records").fetchone()

It has a rollback journal and no write-ahead log, so that the one file is the whole truth: it
can be copied and hashed. The file names itself by its application id, and its schema by
`user_version`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from cybersecqwen.errors import InputError
from cybersecqwen.files import locked

_log = logging.getLogger(__name__)

NAME = "records.sqlite"  # in the cache

_SCHEMA = Path(__file__).with_name("schema.sql")
_SEARCH = Path(__file__).with_name("search.sql")
# From each older schema to the one after it.
_STEPS = {
    1: (Path(__file__).with_name("upgrade-1.sql"),),
    2: (_SEARCH, Path(__file__).with_name("upgrade-2.sql")),
    3: (Path(__file__).with_name("upgrade-3.sql"),),
}
_APPLICATION = int.from_bytes(b"CSQW")
_VERSION = 4  # of the schema, which says both
_OLDEST = 1  # that is brought to this one
MAGIC = b"SQLite format 3\0"
_MANY = 20_000  # records, whose words take more than a moment to index
_PATIENCE = 30.0  # seconds that a reader and a writer wait for each other

# By SQLite's primary result codes: what is wrong, and what to do.
_SQLITE_ERRORS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space and run it again"),
    sqlite3.SQLITE_BUSY: ("another program is using it", "run it again when that has ended"),
    sqlite3.SQLITE_LOCKED: ("another program is using it", "run it again when that has ended"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check the path and the permissions"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "check the permissions"),
    sqlite3.SQLITE_PERM: ("cannot be opened", "check the permissions"),
    sqlite3.SQLITE_IOERR: ("the disk refuses it", "check the disk"),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite file", "give a record store"),
    sqlite3.SQLITE_CORRUPT: ("is truncated or damaged", "delete it and fill it again"),
}


@contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing store; raises InputError when there is none that can be read."""
    if not path.is_file():
        raise InputError(
            "no such record store", where=path, tip="make it: cybersecqwen fetch records"
        )
    with _sqlite_errors(path), closing(_connect(path, "rw")) as connection:
        # Open to be written, for what a killed update left half-done has to be taken back.
        _check_schema(connection, path)
        connection.execute("PRAGMA query_only = ON")
        yield connection


@contextmanager
def open_for_update(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a store to change it, and make it where there is none; one process at a time.

    Raises CyberSecQwenError when another process is changing it, and when the disk refuses.
    """
    with (
        _sqlite_errors(path),
        locked(path, wait=False),
        closing(_connect(path, "rwc")) as connection,
    ):
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            with transaction(connection):
                _run(connection, _SCHEMA, _SEARCH)
        _check_schema(connection, path)
        yield connection


def open_in_memory() -> sqlite3.Connection:
    """Make an empty store in memory, without the index of words, for any thread to use."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    with transaction(connection):
        _run(connection, _SCHEMA)
    return connection


def index_words(connection: sqlite3.Connection, *, path: Path) -> None:
    """Make the index of words where there is none, or where it is not that of the records.

    A store has one that triggers keep; but one in memory has none, and another program may have
    numbered the rows anew.
    """
    if _has_current_index(connection):
        return
    number = connection.execute("SELECT count(*) FROM records").fetchone()[0]
    if number >= _MANY or _has_index(connection):
        _log.warning("%s: indexing the words of %d records", path, number)
    connection.execute("PRAGMA query_only = OFF")
    with transaction(connection):
        if not _has_index(connection):
            _run(connection, _SEARCH)
        connection.execute("INSERT INTO search (search) VALUES ('rebuild')")


def _has_current_index(connection: sqlite3.Connection) -> bool:
    if not _has_index(connection):
        return False
    last, indexed = connection.execute(
        "SELECT (SELECT max(rowid) FROM records), (SELECT max(id) FROM search_docsize)"
    ).fetchone()
    return bool(last == indexed)


def _has_index(connection: sqlite3.Connection) -> bool:
    named = "SELECT count(*) FROM sqlite_master WHERE name = 'search'"
    return bool(connection.execute(named).fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep all of what is written inside, or none of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Transactions are begun by hand, where they are meant to be.
    uri = f"file:{quote(str(path))}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
    connection.row_factory = lambda cursor, values: _row(cursor, values, path)
    return connection


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...], path: Path) -> sqlite3.Row:
    """Return a row; the store has text and numbers, so anything else is damage."""
    if bytes in map(type, values):
        raise _damaged(path, "bytes in place of text")
    return sqlite3.Row(cursor, values)


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"is damaged: {what}", where=path, tip="delete it and fill it again")


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    if application != _APPLICATION:
        raise InputError(
            "is an SQLite file of another program", where=path, tip="give a record store"
        )
    if _OLDEST <= version < _VERSION:
        _upgrade(connection, path)
    elif version != _VERSION:
        raise InputError(
            f"has the schema {version}, not {_VERSION}",
            where=path,
            tip="use the version of cybersecqwen that made it, or fill a new store",
        )


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a store of an older schema to this one, unless another process just did."""
    with transaction(connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version < _VERSION:
            _log.warning("%s: brought to the schema %d", path, _VERSION)
        for step in range(version, _VERSION):
            _run(connection, *_STEPS[step])


def _run(connection: sqlite3.Connection, *files: Path) -> None:
    """Execute files of SQL inside a transaction, which `executescript` would end."""
    for file in files:
        for statement in _statements(file.read_text(encoding="utf-8")):
            connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; the semicolons inside a trigger end none."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says of the file and the disk, and damaged labels, into our errors."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "UTF-8" in str(error):  # which has no code
            raise _damaged(path, str(error)) from error
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF  # without the extension
        if code not in _SQLITE_ERRORS:
            raise
        what, tip = _SQLITE_ERRORS[code]
        raise InputError(what, where=path, tip=tip) from error
    except ValidationError as error:
        raise _damaged(path, "labels that are no list") from error
