"""Locks by name, each held by one process at a time for as long as it lives.

    with open_locks(database) as take:
        take("watch")    # True where this process holds it now
        take("watch")    # again: does it still?

In PostgreSQL they are advisory locks of one connection. The server releases them when that ends,
whether the process was killed or its machine is gone, and another process gets them. Beside a file
of SQLite they are locks of files.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from cybersecqwen.service.database import Database

_OURS = 0x43535158  # the first number of our locks, by which others' are not taken for them

Take = Callable[[str], bool]


@contextmanager
def open_locks(database: Database) -> Iterator[Take]:
    """Yield what takes a lock and tells whether this process holds it; at the end all are free.

    With PostgreSQL it raises SQLAlchemyError once the connection is broken, and the locks with it.
    """
    engine = database.engine
    if not database.is_sqlite:
        with _advisory(engine) as take:
            yield take
        return
    with ExitStack() as held:
        yield _files(Path(str(engine.url.database)), held)


@contextmanager
def _advisory(engine: Engine) -> Iterator[Take]:
    with engine.connect() as opened:
        connection = opened.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # it is closed at the end, and never another's with these locks

        def take(name: str) -> bool:
            # The session that holds a lock may take it again.
            number = zlib.crc32(name.encode()) >> 1  # PostgreSQL's numbers have a sign
            lock = func.pg_try_advisory_lock(_OURS, number)
            return bool(connection.scalar(select(lock)))

        try:
            yield take
        finally:
            with suppress(SQLAlchemyError):  # where it is broken, they are free
                connection.scalar(select(func.pg_advisory_unlock_all()))


def _files(database: Path, held: ExitStack) -> Take:
    from filelock import FileLock, Timeout

    names = set[str]()

    def take(name: str) -> bool:
        if name not in names:
            lock = FileLock(database.with_name(f".{database.name}.{name}.lock"), timeout=0)
            try:
                held.enter_context(lock)
            except Timeout:
                return False
            names.add(name)
        return True

    return take
