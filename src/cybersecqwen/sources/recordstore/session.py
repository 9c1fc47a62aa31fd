"""An update of the record store: its options, its state for each feed, and whole releases.

    session = Session(UpdateOptions(Path("records.sqlite"), default_cache()), connection)
    state = load(connection, "nvd")
    save(connection, replace(state, cursor="2026-03-01T09:00:00.000"))

A feed that has an `update` is called with a session. What upstream releases whole (KEV, CWE,
ATT&CK, CAPEC) is updated by `update_release`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

from cybersecqwen.files import sha256_file
from cybersecqwen.sources.download import RetryPolicy, download
from cybersecqwen.sources.recordstore.database import transaction
from cybersecqwen.sources.recordstore.versions import Changes

_Release = TypeVar("_Release")


def utc_now() -> datetime:
    """Return this machine's time in UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """Which store to update, and from where: `url` stands for all upstream hosts, paths stay.

    `since` (an ISO date) is where NVD and the CVE List begin while they have no cursor; without it
    everything is fetched.
    """

    store: Path
    cache: Path
    url: str = ""
    since: str = ""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    now: Callable[[], datetime] = utc_now

    def address(self, upstream: str) -> str:
        """Return the address to fetch from, which is upstream's or below `url`."""
        return self.url.rstrip("/") + urlsplit(upstream).path if self.url else upstream

    def timestamp(self) -> str:
        """Return this machine's time as the store keeps it."""
        return self.now().isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Session:
    """The options of an update, and the store open for it."""

    options: UpdateOptions
    connection: sqlite3.Connection


@dataclass(frozen=True, slots=True)
class State:
    """How far a feed has come; times are upstream's, but `checked` is of this machine."""

    feed: str
    cursor: str = ""  # up to which all is in the store, "" before the first fill is whole
    progress: str = ""  # JSON of the feed's own: the part that is in work
    checked: str = ""


def load(connection: sqlite3.Connection, feed: str) -> State:
    """Load the state of a feed, an empty one for a feed that was never updated."""
    row = connection.execute(
        "SELECT feed, cursor, progress, checked FROM feeds WHERE feed = ?", (feed,)
    ).fetchone()
    return State(*row) if row else State(feed)


def save(connection: sqlite3.Connection, state: State) -> None:
    """Keep the state of a feed, inside a transaction of the caller's or as one of its own."""
    connection.execute("INSERT OR REPLACE INTO feeds VALUES (?, ?, ?, ?)", astuple(state))


def latest_release(connection: sqlite3.Connection, feed: str) -> tuple[str, str]:
    """Return version and sha256 of the latest release of a feed, both "" where there is none."""
    row = connection.execute(
        "SELECT version, sha256 FROM releases WHERE feed = ? ORDER BY id DESC LIMIT 1", (feed,)
    ).fetchone()
    return (row["version"], row["sha256"]) if row else ("", "")


def update_release(
    session: Session,
    feed: str,
    url: str,
    *,
    read: Callable[[Path], _Release],
    keep: Callable[[sqlite3.Connection, _Release], tuple[str, Changes]],
) -> Iterator[Changes]:
    """Fetch a release if upstream has another one, and remember its version and sha256.

    `keep` writes what `read` has read, and returns the version and what has changed. Raises
    CyberSecQwenError when upstream fails or serves something else; the release before it then
    stays the latest.
    """
    options, connection = session.options, session.connection
    path = options.cache / feed / PurePosixPath(url).name
    download(options.address(url), path, check=read, retry=options.retry)
    sha256 = sha256_file(path)
    state = replace(load(connection, feed), checked=options.timestamp())
    if sha256 == latest_release(connection, feed)[1]:
        save(connection, state)
        return
    release = read(path)
    with transaction(connection):
        version, changes = keep(connection, release)
        save(connection, state)
        connection.execute(
            "INSERT INTO releases (feed, version, sha256, seen) VALUES (?, ?, ?, ?)",
            (feed, version, sha256, options.timestamp()),
        )
    yield changes
