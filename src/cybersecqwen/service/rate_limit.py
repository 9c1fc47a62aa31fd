"""How often a client may do something: a bucket of tokens for each, which fills at a steady rate.

    limit = open_limit(settings, lambda: database, "requests", rate=50, burst=100)
    await limit.wait("192.0.2.1")      # 0 where it may, else the seconds until it may again

On PostgreSQL all processes and replicas take from one bucket. Each takes a tenth of it at a time,
so that most requests need no database, and what is not used soon is given up: together they never
let more through than one would. On SQLite each process counts for itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import sqlalchemy as sql
from sqlalchemy import Double, cast, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from cybersecqwen.service.database import Database
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import RateLimitBucket

_log = logging.getLogger(__name__)

_CLIENTS = 10_000  # whose tokens a process keeps; the one that asked longest ago goes first
_LOTS = 10  # into which a bucket is divided
_RETRY = 30.0  # seconds for which a database that does not answer is left alone
_NOW = cast(func.extract("epoch", func.clock_timestamp()), Double)


class Limit(Protocol):
    """What says whether a client may go on."""

    async def wait(self, client: str) -> float:
        """Take a token, and return 0; or say how many seconds it is until there is one."""


def open_limit(
    settings: ServiceSettings,
    database: Callable[[], Database],
    name: str,
    *,
    rate: float,
    burst: float,
) -> Limit:
    """Return the limit of a name; the database is needed once somebody waits for a token."""
    if settings.database_url.startswith("sqlite"):
        return RateLimit(rate=rate, burst=burst)
    return SharedRateLimit(name, rate=rate, burst=burst, database=database)


class RateLimit:
    """A bucket of tokens for each client: it holds `burst`, and fills with `rate` a second.

    >>> now = iter([0.0, 0.0, 0.0, 0.5])
    >>> limit = RateLimit(rate=2, burst=2, clock=lambda: next(now))
    >>> limit.take("a"), limit.take("a"), limit.take("a"), limit.take("a")
    (0.0, 0.0, 0.5, 0.0)
    """

    def __init__(
        self, *, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take a token, and return 0; or say how many seconds it is until there is one."""
        now = self._clock()
        tokens, before = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - before) * self._rate)
        enough = tokens >= 1
        self._buckets[client] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (1 - tokens) / self._rate

    async def wait(self, client: str) -> float:
        """Do so for a caller that awaits."""
        return self.take(client)


class SharedRateLimit:
    """The same for all processes on a PostgreSQL; while it does not answer each has its own."""

    def __init__(
        self, name: str, *, rate: float, burst: float, database: Callable[[], Database]
    ) -> None:
        self._name, self._rate, self._burst = name, rate, burst
        self._database = database
        self._lot = max(1, int(burst / _LOTS))
        self._alone = RateLimit(rate=rate, burst=burst)
        self._alone_until = 0.0
        self._lock = asyncio.Lock()
        # Of each client: how many tokens are at hand, and until when; -1 where it is refused.
        self._held: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def wait(self, client: str) -> float:
        """Take a token, and return 0; or say how many seconds it is until there is one."""
        wait = self._at_hand(client)
        if wait is not None:
            return wait
        async with self._lock:
            wait = self._at_hand(client)  # another request may have brought some
            if wait is not None:
                return wait
            if time.monotonic() < self._alone_until:
                return self._alone.take(client)
            try:
                tokens, refused = await run_in_threadpool(self._fetch, client)
            except SQLAlchemyError as error:
                _log.warning("each process limits clients by itself for now: %s", error)
                self._alone_until = time.monotonic() + _RETRY
                return self._alone.take(client)
            # What is not used soon is given up: by then the shared bucket holds it again.
            self._hold(client, tokens - 1, time.monotonic() + (refused or tokens / self._rate))
            return refused

    def _at_hand(self, client: str) -> float | None:
        """Use a token at hand, or say how long there is none; None where nothing is known."""
        tokens, until = self._held.pop(client, (0, 0.0))
        left = until - time.monotonic()
        if not tokens or left <= 0:
            return None
        self._hold(client, max(tokens - 1, -1), until)
        return 0.0 if tokens > 0 else left

    def _hold(self, client: str, tokens: int, until: float) -> None:
        self._held[client] = tokens, until
        if len(self._held) > _CLIENTS:
            self._held.popitem(last=False)

    def _fetch(self, client: str) -> tuple[int, float]:
        """Take tokens out of the shared bucket: as many as a lot has, or one, or none yet."""
        bucket = hashlib.sha256(f"{self._name} {client}".encode()).hexdigest()
        with self._database().engine.begin() as connection:
            for tokens in sorted({self._lot, 1}, reverse=True):
                if connection.execute(self._taking(bucket, tokens)).first():
                    return tokens, 0.0
            full_in = select(RateLimitBucket.full_at - _NOW).where(RateLimitBucket.client == bucket)
            left = connection.scalar(full_in) or 0.0
        return 0, max(left - (self._burst - 1) / self._rate, 0.001)

    def _taking(self, bucket: str, tokens: int) -> sql.Executable:
        """Return the statement that takes some tokens, and returns a row where they were there."""
        took = tokens / self._rate
        full_in = func.greatest(RateLimitBucket.full_at - _NOW, 0.0)
        return (
            insert(RateLimitBucket)
            .values(client=bucket, full_at=_NOW + took)
            .on_conflict_do_update(
                index_elements=["client"],
                set_={"full_at": _NOW + full_in + took},
                where=full_in <= (self._burst - tokens) / self._rate,
            )
            .returning(RateLimitBucket.client)
        )


def remove_full(database: Database) -> None:
    """Remove the buckets that are full, and so like those that there are not."""
    if not database.is_sqlite:
        with database.engine.begin() as connection:
            connection.execute(delete(RateLimitBucket).where(RateLimitBucket.full_at < _NOW))
