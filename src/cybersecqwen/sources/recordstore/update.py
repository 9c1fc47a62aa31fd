"""Keep the store current: each feed asked for what is new, none held up by another's failure.

for outcome in update(Order(Path("records.sqlite"), default_cache()), only=("nvd", "kev")):
    print(outcome.feed, outcome.changes, outcome.error)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources import read_vulnerabilities, recognise
from cybersecqwen.sources.inputs import iso_time
from cybersecqwen.sources.recordstore import feeds
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.deltas import update_cve_list
from cybersecqwen.sources.recordstore.increments import update_nvd
from cybersecqwen.sources.recordstore.order import Order, Work
from cybersecqwen.sources.recordstore.releases import RELEASES
from cybersecqwen.sources.recordstore.versions import CVE_LIST, NVD, TABLE, Changes, apply

_log = logging.getLogger(__name__)

_BATCH = 2000  # records in a transaction

# Each yields what it brought as it comes, every part kept before the next one is asked for.
FEEDS: dict[str, Callable[[Work], Iterator[Changes]]] = {
    NVD: update_nvd,
    CVE_LIST: update_cve_list,
    **RELEASES,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the update of a feed brought, up to the error that ended it if there was one."""

    feed: str
    changes: Changes
    cursor: str = ""
    version: str = ""
    error: CyberSecQwenError | None = None


def update(order: Order, *, only: Sequence[str] = ()) -> Iterator[Outcome]:
    """Update the feeds, all or some, and yield the outcome of each.

    Raises CyberSecQwenError when the store cannot be opened, or another update has it.
    """
    for feed in only:
        if feed not in FEEDS:
            raise InputError(f"unknown feed {feed!r}", tip=f"known are {', '.join(FEEDS)}")
    if order.since > order.seen():
        raise InputError(f"{order.since} lies in the future", tip="give a date that has been")
    with open_for_update(order.store) as connection:
        for feed in only or FEEDS:
            work = Work(order, connection)
            _begin(work, feed)
            yield _update(work, feed)


def _begin(work: Work, feed: str) -> None:
    """Let a feed that was never updated begin at the date that is given."""
    if not work.order.since or feed not in (NVD, CVE_LIST):
        return
    state = feeds.load(work.connection, feed)
    if state.cursor or state.progress:
        _log.warning("%s: goes on where it was; --since is where a new store begins", feed)
    else:
        cursor = iso_time(work.order.since, "--since")
        feeds.save(work.connection, replace(state, cursor=cursor))


def _update(work: Work, feed: str) -> Outcome:
    from tqdm import tqdm

    changes, failure = Changes(), None
    with tqdm(desc=feed, unit=" records", unit_scale=True, disable=None) as bar:
        try:
            for part in FEEDS[feed](work):
                changes += part
                bar.update(part.received)
        except CyberSecQwenError as error:
            failure = error
    version, _ = feeds.latest_release(work.connection, feed)
    return Outcome(feed, changes, feeds.load(work.connection, feed).cursor, version, failure)


def import_files(order: Order, paths: Sequence[Path]) -> Iterator[tuple[Path, Changes]]:
    """Bring the records of files into the store, and yield what each of them brought.

    Feeds and files of the CVE List count as their sources' versions, tables as a version of
    their own that comes after both. Raises InputError on a file that cannot be read; what
    came before stays, and importing it again changes nothing.
    """
    from tqdm import tqdm

    with open_for_update(order.store) as connection:
        for path in paths:
            kind = recognise(path)
            source = kind if kind in (NVD, CVE_LIST) else TABLE
            records = tqdm(read_vulnerabilities(path), path.name, unit=" records", disable=None)
            changes, stream = Changes(), iter(records)
            while batch := list(islice(stream, _BATCH)):
                with transaction(connection):
                    changes += apply(connection, source, batch, seen=order.seen())
            yield path, changes
