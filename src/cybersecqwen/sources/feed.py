"""The shape of a feed: how its files are recognised, read, fetched, and kept current.

    FEED = Feed("kev", "CISA's catalogue of Known Exploited Vulnerabilities", read=read, …)

A feed is one file with such an object and a line in FEEDS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from cybersecqwen.formats.archives import Head, json_members
from cybersecqwen.formats.rows import Report, refuse, reported
from cybersecqwen.records import Knowledge, Vulnerability
from cybersecqwen.sources.download import Check, RetryPolicy, download
from cybersecqwen.sources.recordstore.session import Session, update_release
from cybersecqwen.sources.recordstore.versions import Changes

USUAL_DAYS = 45  # after which a feed is stale that changes with its releases


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """The options of fetching a feed: from where, into which folder, which years."""

    upstream: str
    url: str  # in place of upstream's, without a slash at its end
    folder: Path
    years: Sequence[int]
    check: Check  # raises InputError on a file that is not the feed's
    retry: RetryPolicy


Parse = Callable[[bytes, str, Report], Iterator[Vulnerability]]


@dataclass(frozen=True, slots=True)
class Feed:
    """One source of upstream's; a part is None where it has none.

    `read` yields what the file holds, objects of `kind`. A record that it cannot read goes to
    `report`, which raises it unless told otherwise. `parse` reads one JSON object of records.
    `fetch` lists the files that it brought. `update` brings into the record store what is new, and
    yields what each part of it changed. What came is stale after `stale_after` days.
    """

    name: str
    title: str
    kind: type[Any] = Vulnerability
    url: str = ""
    stale_after: int = USUAL_DAYS
    recognise: Callable[[Head], bool] | None = None
    read: Callable[[Path, Report], Iterator[Any]] | None = None
    parse: Parse | None = None
    fetch: Callable[[FetchOptions], list[Path]] | None = None
    update: Callable[[Session], Iterator[Changes]] | None = None


def days_since(at: str, now: datetime | None = None) -> float | None:
    """Return how many days ago a time in ISO 8601 was; None for an empty one."""
    now = now or datetime.now(UTC)
    return (now - datetime.fromisoformat(at)).total_seconds() / 86_400 if at else None


def fetch_file(options: FetchOptions) -> list[Path]:
    """Fetch the one file of a feed, under the name that upstream gives it."""
    # The reader knows an archive by its ending, which another address may not have.
    target = options.folder / PurePosixPath(options.upstream).name
    return [download(options.url, target, check=options.check, retry=options.retry)]


def advisory_feed(
    name: str,
    title: str,
    *,
    recognise: Callable[[Head], bool],
    records: Parse,
    **parts: Any,
) -> Feed:
    """Return the feed of advisories in JSON: one or more `records` in each file.

    `parts` are further parts of a Feed.
    """

    def read(path: Path, report: Report = refuse) -> Iterator[Vulnerability]:
        for member in json_members(path):
            with reported(report):
                yield from records(member.read(), member.where, report)

    return Feed(name, title, recognise=recognise, read=read, parse=records, **parts)


def knowledge_feed(
    name: str,
    title: str,
    *,
    url: str,
    recognise: Callable[[Head], bool],
    read: Callable[[Path], Knowledge],
) -> Feed:
    """Return the feed of a knowledge base in one file, of which the store keeps the version."""

    def update(session: Session) -> Iterator[Changes]:
        return update_release(
            session,
            name,
            url,
            read=read,
            keep=lambda _, release: (release.version, Changes(1, new=1)),
        )

    return Feed(
        name,
        title,
        Knowledge,
        url=url,
        recognise=recognise,
        read=lambda path, _: iter((read(path),)),
        fetch=fetch_file,
        update=update,
    )
