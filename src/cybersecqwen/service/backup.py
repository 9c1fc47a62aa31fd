"""Back up the workplace while it runs, and restore it. What is not whole replaces nothing.

    verification = backup("sqlite:///workplace.sqlite", Path("monday.sqlite"))
    restore(Path("monday.sqlite"), "sqlite:///workplace.sqlite")

A backup is one file of SQLite, made by its own backup API. Both ways its pages and its audit trail
are checked first. PostgreSQL has programs of its own for this: the errors name them.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from cybersecqwen.errors import InputError
from cybersecqwen.files import locked
from cybersecqwen.service.audit_trail import Verification, verify
from cybersecqwen.service.database import open_database

_WAIT = 30  # seconds, for a writer


def backup(url: str, target: Path) -> Verification:
    """Copy a database, check the copy, and put it in the place of an older one.

    Returns what its audit trail says. Raises InputError where the copy is damaged or its trail is
    broken; the older file then stays.
    """
    source = sqlite_file(url, "pg_dump --format=custom --file=FILE")
    _check_other(target, source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        locked(target, wait=False),
        TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder,
    ):
        copy = Path(folder) / "copy.sqlite"
        with _opened(source) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")  # so that it is one file
        verification = check(copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        copy.replace(target)
    return verification


def restore(backup_file: Path, url: str, *, replace: bool = False) -> Verification:
    """Check a backup and bring its content into a database, with the schema of this version.

    With `replace` the content of a database that there is gives way, also while a service runs on
    it; without it such a database is an error, and so is a backup that is not whole.
    """
    target = sqlite_file(url, "pg_restore --clean --if-exists FILE --dbname", exists=False)
    _check_other(backup_file, target)
    verification = check(backup_file)
    if target.exists() and not replace:
        raise InputError("there is a database already", where=target, tip="give --replace")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(backup_file) as old, closing(sqlite3.connect(target, timeout=_WAIT)) as new:
        old.backup(new)
    open_database(url).close()
    return verification


def check(path: Path) -> Verification:
    """Check the pages of a file of SQLite and the audit trail in it; raises InputError."""
    with _opened(path) as connection:
        try:
            [(said,), *_] = connection.execute("PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError as error:
            said = str(error)
    if said != "ok":
        raise InputError(f"is damaged: {said}", where=path, tip="take another backup")
    engine = create_engine(URL.create("sqlite", database=str(path)))
    try:
        with Session(engine) as session:
            verification = verify(session)
    except DatabaseError as error:
        raise InputError(
            f"is no workplace: {error.orig}", where=path, tip="give a file that backup wrote"
        ) from error
    finally:
        engine.dispose()
    if verification.broken:
        raise InputError(
            f"the audit trail is broken: {verification.broken}",
            where=path,
            tip="keep it as it is, and compare it with other backups",
        )
    return verification


def _check_other(backup_file: Path, database: Path) -> None:
    """Refuse the database as its own backup, for its service would go on in a file without name."""
    if backup_file.resolve() == database.resolve():
        raise InputError("is the database itself", where=backup_file, tip="name another file")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise InputError("no such file", where=path, tip="check the path")
    with closing(sqlite3.connect(path, timeout=_WAIT)) as connection:
        yield connection


def sqlite_file(url: str, command: str, *, exists: bool = True) -> Path:
    """Return the file of a database of SQLite; raises InputError that names PostgreSQL's command.

    Unless the file may be new, it has to exist.
    """
    if not url.startswith("sqlite:"):
        shown = make_url(url).set(query={}).render_as_string() if "://" in url else url
        raise InputError(
            "is no file of SQLite",
            where=shown,
            tip=f"PostgreSQL has its own program: {command} {shlex.quote(shown)}",
        )
    path = Path(make_url(url).database or "")
    if exists and not path.is_file():
        raise InputError(
            "there is no database yet", where=path, tip="import something, or name another one"
        )
    return path
