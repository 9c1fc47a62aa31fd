"""What the store remembers of each feed: how far it has come, and which releases it has seen.

state = load(connection, "nvd")
save(connection, replace(state, cursor="2026-03-01T09:00:00.000"))
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass


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
    """Give version and sha256 of the release that was seen last, both "" where there is none."""
    row = connection.execute(
        "SELECT version, sha256 FROM releases WHERE feed = ? ORDER BY id DESC LIMIT 1", (feed,)
    ).fetchone()
    return (row["version"], row["sha256"]) if row else ("", "")
