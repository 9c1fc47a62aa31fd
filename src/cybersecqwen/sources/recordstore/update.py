"""Keep the store current, feed by feed; none is held up by the failure of another.

for outcome in update(UpdateOptions(store, default_cache()), only=("nvd", "kev")):
    print(outcome.feed, outcome.changes, outcome.error)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.formats.rows import Report, refuse, reported
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import FEEDS, open_vulnerabilities
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.session import (
    Session,
    UpdateOptions,
    latest_release,
    load,
    save,
)
from cybersecqwen.sources.recordstore.versions import CVE_LIST, NVD, SOURCES, TABLE, Changes, apply
from cybersecqwen.sources.schema import iso_time

_log = logging.getLogger(__name__)

_BATCH = 2000  # records in a transaction


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of updating a feed, up to the error that ended it if there was one."""

    feed: str
    changes: Changes
    cursor: str = ""
    version: str = ""
    error: CyberSecQwenError | None = None


def updates() -> dict[str, Callable[[Session], Iterator[Changes]]]:
    """Return the update function of each feed that has one, by the feed's name."""
    return {name: feed.update for name, feed in FEEDS.items() if feed.update}


def update(options: UpdateOptions, *, only: Sequence[str] = ()) -> Iterator[Outcome]:
    """Update the feeds, all or some, and yield the outcome of each.

    Raises CyberSecQwenError when the store cannot be opened, or another update has it.
    """
    for feed in only:
        if feed not in updates():
            known = ", ".join(updates())
            raise InputError(f"unknown feed {feed!r}", tip=f"known are {known}")
    if options.since > options.timestamp():
        raise InputError(f"{options.since} lies in the future", tip="give a date that has been")
    with open_for_update(options.store) as connection:
        for feed in only or updates():
            session = Session(options, connection)
            _begin(session, feed)
            yield _update(session, feed)


def _begin(session: Session, feed: str) -> None:
    """Let a feed that was never updated begin at the date that is given."""
    if not session.options.since or feed not in (NVD, CVE_LIST):
        return
    state = load(session.connection, feed)
    if state.cursor or state.progress:
        _log.warning("%s: goes on where it was; --since is where a new store begins", feed)
    else:
        cursor = iso_time(session.options.since, "--since")
        save(session.connection, replace(state, cursor=cursor))


def _update(session: Session, feed: str) -> Outcome:
    from tqdm import tqdm

    changes, failure = Changes(), None
    with tqdm(desc=feed, unit=" records", unit_scale=True, disable=None) as bar:
        try:
            for part in updates()[feed](session):
                changes += part
                bar.update(part.received)
        except CyberSecQwenError as error:
            failure = error
    version, _ = latest_release(session.connection, feed)
    return Outcome(feed, changes, load(session.connection, feed).cursor, version, failure)


def _up_to_error(records: Iterator[Vulnerability], report: Report) -> Iterator[Vulnerability]:
    """Yield records as far as they can be read, so that a batch that an error ends is kept."""
    with reported(report):
        yield from records


def import_files(
    options: UpdateOptions, paths: Sequence[Path], report: Report = refuse
) -> Iterator[tuple[Path, Changes]]:
    """Bring the records of files into the store, and yield what each of them brought.

    Feeds and files of the CVE List count as their sources' versions, tables as a version of
    their own that comes after both, and KEV after that. A record or file that cannot be read
    goes to `report`; what came before stays, and importing it again changes nothing.
    """
    from tqdm import tqdm

    with open_for_update(options.store) as connection:
        for path in paths:
            changes = Changes()
            with reported(report):
                feed, records = open_vulnerabilities(path, report)
                source = feed.name if feed.name in SOURCES else TABLE
                read = _up_to_error(records, report)
                stream = iter(tqdm(read, path.name, unit=" records", disable=None))
                while batch := list(islice(stream, _BATCH)):
                    with transaction(connection):
                        changes += apply(connection, source, batch, seen=options.timestamp())
            yield path, changes
