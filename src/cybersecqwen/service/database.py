"""Open the database of the workplace: SQLite in a file, or PostgreSQL by URL.

    database = open_database("sqlite:///workplace.sqlite")
    with database.write() as session:
        session.add(…)                      # committed at the end of the block, or not at all
    with database.read() as session:
        session.get(Record, 1)

There is one writer at a time, which takes the lock when it begins: so the audit trail is one chain,
and two writers never deadlock. SQLite is opened so that what was acknowledged survives a power cut
(write-ahead log, full synchronisation). PostgreSQL frees what a machine held that is gone, after
half a minute, and ends a writer that does nothing for a minute.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.orm import Session

from cybersecqwen.errors import InputError, clean, extra
from cybersecqwen.service.tables import SharedValue
from cybersecqwen.service.upgrade import migrate

_WAIT = 30  # seconds, for another writer of SQLite
_WRITER = 0x43535157  # the number of the advisory lock that a writer of PostgreSQL holds
_NAMED = 500  # items
# Seconds after which the other end of a connection that says nothing counts as gone: before the
# first question whether it is there, and between three of them.
_IDLE, _BETWEEN, _QUESTIONS = 15, 5, 3
_CONNECT: dict[str, object] = {
    "connect_timeout": 10,
    "keepalives_idle": _IDLE,
    "keepalives_interval": _BETWEEN,
    "keepalives_count": _QUESTIONS,
}
_FROZEN = 60  # seconds for which a writer of PostgreSQL may do nothing, and others wait for it

T = TypeVar("T")


@dataclass(frozen=True)
class Database:
    """An open database: sessions that read, and sessions that write."""

    engine: Engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that sees one state of the database, and changes nothing."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session whose changes are all committed at its end, or none of them."""
        engine = self.engine.execution_options(writing=True)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            session.connection()  # it waits here for the writer before it
            yield session

    @contextmanager
    def beating(self, beat: Callable[[Session], object], *, seconds: float) -> Iterator[None]:
        """Write a sign every few seconds, as long as the block lasts, that this process goes on."""
        over = threading.Event()

        def repeat() -> None:
            while not over.wait(seconds):
                # Where the database is busy, or has ended the connection, the next beat does.
                with suppress(DatabaseError), self.write() as session:
                    beat(session)

        thread = threading.Thread(target=repeat, name="beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @property
    def is_sqlite(self) -> bool:
        """Tell whether it is a file of SQLite."""
        return self.engine.dialect.name == "sqlite"

    def truncate_log(self) -> None:
        """Empty SQLite's write-ahead log, in which what was overwritten lasts a while."""
        if self.is_sqlite:
            with closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield as many items at a time as one statement names."""
    rest = iter(items)
    while some := list(islice(rest, _NAMED)):
        yield some


def open_database(url: str) -> Database:
    """Open a database and bring its schema up to date.

    Raises InputError where the URL is none, the server does not answer, or the schema is of a newer
    version of this package.
    """
    engine = _engine(url)
    try:
        migrate(engine)
    except DatabaseError as error:
        reason = clean(str(error.orig).strip().splitlines()[0])
        raise InputError(
            f"the database cannot be opened: {reason}",
            where=engine.url.render_as_string(),
            tip="check the address, and that the server runs and lets this user in",
        ) from error
    return Database(engine)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url))
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ArgumentError(parsed.drivername)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"{clean(url)!r} is no database that the service can use",
            tip="give sqlite:///FILE or postgresql://USER@HOST/NAME",
        ) from error
    if parsed.get_backend_name() == "postgresql":
        with extra("postgres"):
            return _with_psycopg(str(parsed.render_as_string(hide_password=False)))
    if not parsed.database:
        raise InputError("SQLite needs a file", where=url, tip="give sqlite:///FILE")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _WAIT})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _with_psycopg(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args=_CONNECT)
    except NoSuchModuleError as error:
        raise ModuleNotFoundError("psycopg", name="psycopg") from error
    event.listen(engine, "connect", _prepare_postgresql)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Have SQLite keep what it acknowledged, and leave the beginning of transactions to us."""
    connection.isolation_level = None
    for pragma in (
        *("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"),
        "secure_delete = ON",  # what was deleted or overwritten is not left in the file
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """Have the server let go of what a machine holds that is gone without a word."""
    for name, value in (("idle", _IDLE), ("interval", _BETWEEN), ("count", _QUESTIONS)):
        connection.execute(f"SET tcp_keepalives_{name} = {value}")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("writing"):
        limit = f"set_config('idle_in_transaction_session_timeout', '{_FROZEN}s', true)"
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER}), {limit}")


def shared_value(database: Database, name: str, make: Callable[[], str]) -> str:
    """Return a value that all processes on a database share; the first one that asks makes it."""
    with database.read() as session:
        held = session.get(SharedValue, name)
    if held is None:
        with database.write() as session:
            held = session.get(SharedValue, name) or SharedValue(name=name, value=make())
            session.add(held)
    return held.value
