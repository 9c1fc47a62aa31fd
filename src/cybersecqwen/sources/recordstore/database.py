"""The SQLite file of the record store: its schema, how it is opened, what can be wrong with it.

    with open_for_reading(Path("records.sqlite")) as connection:
        connection.execute("SELECT count(*) FROM records").fetchone()

It has a rollback journal and no write-ahead log, so that the one file is the whole truth: it
can be copied and hashed. The file names itself by its application id, and its schema by
`user_version`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from cybersecqwen.errors import InputError
from cybersecqwen.files import locked

NAME = "records.sqlite"  # in the cache

_SCHEMA = Path(__file__).with_name("schema.sql")
_UPGRADE = Path(__file__).with_name("upgrade.sql")
_APPLICATION = int.from_bytes(b"CSQW")
_VERSION = 2  # of the schema, which says both
MAGIC = b"SQLite format 3\0"
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
            schema = _SCHEMA.read_text(encoding="utf-8")
            connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")
        _check_schema(connection, path)
        yield connection


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
    if version == _VERSION - 1:
        _upgrade(connection)
    elif version != _VERSION:
        raise InputError(
            f"has the schema {version}, not {_VERSION}",
            where=path,
            tip="use the version of cybersecqwen that made it, or fill a new store",
        )


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring a store of the schema before this one to this one, unless another process just did."""
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            for statement in _UPGRADE.read_text(encoding="utf-8").split(";"):
                connection.execute(statement)


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
