"""What an update of the store is told, the same for every feed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cybersecqwen.sources.download import Patience


def utc_now() -> datetime:
    """Give this machine's time in UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Order:
    """Which store to update from where: `url` stands for all upstream hosts, paths stay.

    `since` (an ISO date) is where NVD and the CVE List begin that have no cursor yet; without
    it everything is fetched.
    """

    store: Path
    cache: Path
    url: str = ""
    since: str = ""
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], datetime] = utc_now

    def at(self, upstream: str) -> str:
        """Give the address to ask, which is upstream's or below `url`."""
        return self.url.rstrip("/") + urlsplit(upstream).path if self.url else upstream

    def seen(self) -> str:
        """Give this machine's time as the store keeps it."""
        return self.now().isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Work:
    """An order with its store open."""

    order: Order
    connection: sqlite3.Connection
