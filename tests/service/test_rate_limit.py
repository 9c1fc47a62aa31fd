"""A client's bucket of tokens, of one process and of all that share a database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from postgres import Server
from sqlalchemy import create_engine, func, select, update

from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.rate_limit import RateLimit, SharedRateLimit, open_limit, remove_full
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import RateLimitBucket

SLOW = 0.001  # tokens a second: none comes while a test lasts


@pytest.fixture
def shared(postgres: Server) -> Iterator[Database]:
    database = open_database(postgres.create())
    yield database
    database.close()


def limit(database: Database, *, rate: float = SLOW, burst: float = 25) -> SharedRateLimit:
    return SharedRateLimit("test", rate=rate, burst=burst, database=lambda: database)


def test_a_bucket_fills_again_and_no_more_than_full() -> None:
    now = 0.0
    limit = RateLimit(rate=10, burst=2, clock=lambda: now)
    assert [limit.take("a") for _ in range(2)] == [0, 0]
    assert limit.take("a") == pytest.approx(0.1)
    now = 100.0
    assert [limit.take("a") > 0 for _ in range(3)] == [False, False, True]


def test_processes_on_one_database_let_through_what_one_would(shared: Database) -> None:
    replicas = [limit(shared) for _ in range(3)]

    async def ask() -> list[float]:
        asked = (replicas[number % 3].wait("192.0.2.1") for number in range(60))
        return await asyncio.gather(*asked)

    waits = asyncio.run(ask())
    assert waits.count(0.0) == 25
    assert all(900 < wait <= 1000 for wait in waits if wait)
    assert asyncio.run(replicas[0].wait("192.0.2.2")) == 0.0


def test_tokens_come_back_and_full_buckets_are_removed(shared: Database) -> None:
    ours = limit(shared, burst=1)
    assert asyncio.run(ours.wait("a")) == 0.0
    assert asyncio.run(limit(shared, burst=1).wait("a")) > 900
    remove_full(shared)
    earlier = update(RateLimitBucket).values(full_at=RateLimitBucket.full_at - 1001)
    with shared.engine.begin() as connection:
        assert connection.execute(earlier).rowcount == 1
    assert asyncio.run(limit(shared, burst=1).wait("a")) == 0.0
    with shared.engine.begin() as connection:
        connection.execute(earlier)
    remove_full(shared)
    with shared.read() as session:
        assert session.scalar(select(func.count()).select_from(RateLimitBucket)) == 0


def test_without_its_database_each_process_counts_for_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("psycopg")
    gone = Database(create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    alone = limit(gone, burst=2)
    waits = [asyncio.run(alone.wait("a")) for _ in range(3)]
    assert [wait > 0 for wait in waits] == [False, False, True]
    assert len(caplog.records) == 1  # it is not asked for every request


def test_a_file_s_processes_count_for_themselves() -> None:
    database = ServiceSettings(database="postgresql://db.example/cti")
    for settings, kind in ((ServiceSettings(), RateLimit), (database, SharedRateLimit)):
        assert isinstance(open_limit(settings, Database, "x", rate=1, burst=1), kind)
