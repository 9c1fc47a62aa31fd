"""CWE, ATT&CK, CAPEC and KEV: files that upstream releases whole, asked for only when changed.

The file lies in the cache, where `fetch` puts it. The store keeps which releases it has seen
(version, sha256, when), and the entries of the newest KEV.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.files import sha256_file
from cybersecqwen.sources.attack import read_attack
from cybersecqwen.sources.capec import read_capec
from cybersecqwen.sources.cwe import catalogue_version
from cybersecqwen.sources.fetch import SOURCES, fetch
from cybersecqwen.sources.kev import KnownExploited, read_kev
from cybersecqwen.sources.recordstore import feeds
from cybersecqwen.sources.recordstore.database import transaction
from cybersecqwen.sources.recordstore.order import Work
from cybersecqwen.sources.recordstore.versions import Changes

_Row = tuple[str | bool, ...]
# What reads a release: its version, and for KEV its entries by CVE id.
_Reader = Callable[[Path], tuple[str, dict[str, _Row]]]


def update_release(work: Work, feed: str, read: _Reader) -> Iterator[Changes]:
    """Fetch a release if upstream has another one, and remember it.

    Raises CyberSecQwenError when upstream fails or gives something else; the release that was
    there before counts on.
    """
    (path,) = fetch(
        feed,
        work.order.cache,
        url=work.order.at(SOURCES[feed][0]),
        patience=work.order.patience,
    )
    sha256 = sha256_file(path)
    state = replace(feeds.load(work.connection, feed), checked=work.order.seen())
    if sha256 == feeds.latest_release(work.connection, feed)[1]:
        feeds.save(work.connection, state)
        return
    try:
        version, entries = read(path)
    except InputError:
        path.unlink()  # or upstream would be asked only whether this one has changed
        raise
    with transaction(work.connection):
        changes = _replace_kev(work.connection, entries) if entries else Changes(1, new=1)
        feeds.save(work.connection, state)
        work.connection.execute(
            "INSERT INTO releases (feed, version, sha256, seen) VALUES (?, ?, ?, ?)",
            (feed, version, sha256, work.order.seen()),
        )
    yield changes


def _replace_kev(connection: sqlite3.Connection, entries: dict[str, _Row]) -> Changes:
    old = {row["cve_id"]: tuple(row) for row in connection.execute("SELECT * FROM kev")}
    connection.execute("DELETE FROM kev")
    connection.executemany("INSERT INTO kev VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entries.values())
    changed = sum(old[i] != row for i, row in entries.items() if i in old)
    gone = len(old.keys() - entries.keys())
    return Changes(len(entries), new=len(entries.keys() - old.keys()), changed=changed + gone)


def _kev(path: Path) -> tuple[str, dict[str, _Row]]:
    catalogue = read_kev(path)
    return catalogue.version, {entry.cve_id: _row(entry) for entry in catalogue.entries}


def _row(entry: KnownExploited) -> _Row:
    return (
        *(entry.cve_id, entry.name, entry.vendor, entry.product, entry.date_added),
        *(entry.due_date, entry.action, entry.ransomware, json.dumps(entry.cwes)),
    )


_READERS: dict[str, _Reader] = {
    "kev": _kev,
    "cwe": lambda path: (catalogue_version(path), {}),
    **dict.fromkeys(
        ("attack-enterprise", "attack-mobile", "attack-ics"),
        lambda path: (read_attack(path).version, {}),
    ),
    "capec": lambda path: (read_capec(path).version, {}),
}

RELEASES = {feed: partial(update_release, feed=feed, read=read) for feed, read in _READERS.items()}
