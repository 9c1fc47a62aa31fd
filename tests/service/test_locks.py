"""A lock is one process's until it lets go or dies."""

from __future__ import annotations

import time

import pytest
from postgres import Server
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.locks import open_locks


def test_a_lock_has_one_holder_until_it_lets_go(database: Database) -> None:
    with open_locks(database) as one:
        assert one("watch")
        assert one("watch")
        with open_locks(database) as other:
            assert not other("watch")
            assert other("feeds")
        assert one("feeds")
    with open_locks(database) as other:
        assert other("watch")


def test_a_lock_whose_connection_ends_is_another_s(postgres: Server) -> None:
    database = open_database(postgres.create())
    end = text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with (
        open_locks(database) as other,
        pytest.raises(SQLAlchemyError),
        open_locks(database) as one,
    ):
        assert one("watch")
        assert not other("watch")
        with database.engine.begin() as connection:
            assert connection.execute(end).all() == [(True,)]
        until = time.monotonic() + 60
        while not other("watch") and time.monotonic() < until:
            time.sleep(0.01)
        assert other("watch")
        one("watch")
    database.close()
