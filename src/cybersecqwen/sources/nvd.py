"""NVD: the yearly feeds, and from its API what has been modified since.

    https://nvd.nist.gov/developers/api-workflows

The record store's cursor is the latest modification that has come, as NVD advises; so neither
this machine's clock nor an answer that is empty by mistake moves it past anything. It moves when
a window is whole. Every page is kept as it comes, and an update that was killed goes on at the
next one.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources import nvd_api, nvd_json
from cybersecqwen.sources.download import RetryPolicy, download, get, open_client, with_retries
from cybersecqwen.sources.feed import Feed, FetchOptions
from cybersecqwen.sources.nvd_api import PAGE, WINDOW, GetPage, open_api
from cybersecqwen.sources.nvd_json import Page, records_of
from cybersecqwen.sources.recordstore.database import transaction
from cybersecqwen.sources.recordstore.session import Session, load, save
from cybersecqwen.sources.recordstore.versions import NVD, Changes, apply
from cybersecqwen.sources.schema import iso_time, parse

_log = logging.getLogger(__name__)

_STEP = WINDOW - timedelta(days=1)  # a window may begin and end in the middle of a day
_OVERLAP = timedelta(hours=1)  # requested again: records may appear late in upstream's answers
_RESTARTS = 3


@dataclass(frozen=True, slots=True)
class _Window:
    """A period of modification, and how much of it is in the store; "" to "" is everything."""

    start: str = ""
    end: str = ""
    position: int = 0
    total: int = -1  # not known before the first page
    latest: str = ""  # modification that has come
    as_of: str = ""  # upstream's clock at the first page

    @property
    def whole(self) -> bool:
        return self.position == self.total


def _fetch_years(options: FetchOptions) -> list[Path]:
    """Fetch yearly feeds, each checked against the hash in its `.meta`."""
    if not options.years:
        raise InputError("no year is given", tip="for example --years 2021-2024")
    files = []
    for year in options.years:
        base = f"{options.url}/nvdcve-2.0-{year}"
        target = options.folder / f"nvdcve-2.0-{year}.json.gz"
        sha256 = _meta_sha256(f"{base}.meta", options.retry)
        files.append(download(f"{base}.json.gz", target, sha256=sha256, retry=options.retry))
    return files


def _meta_sha256(url: str, retry: RetryPolicy) -> str:
    with open_client(follow_redirects=True) as client:
        text = with_retries(lambda: get(client, url), url, retry).decode("utf-8", "replace")
    match = re.search(r"^sha256:([0-9A-Fa-f]{64})\s*$", text, re.MULTILINE)
    if not match:
        raise CyberSecQwenError("holds no sha256", where=url, tip="check the URL of the feeds")
    return match.group(1)


def _update(session: Session) -> Iterator[Changes]:
    """Bring what was modified since the cursor, yielding what each page brought.

    Without a cursor everything is fetched. Raises CyberSecQwenError when upstream fails for
    good or this machine's clock is behind the cursor; the pages that came before stay.
    """
    url = session.options.address(nvd_api.URL)
    with open_api(session.options.retry) as get_page:
        for window in _windows(session):
            yield from _fill(session, window, url, get_page)


def _windows(session: Session) -> Iterator[_Window]:
    """Yield the windows from the unfinished one, or the cursor, to now."""
    state = load(session.connection, NVD)
    if state.progress:
        yield _Window(**json.loads(state.progress))
    elif not state.cursor:
        yield _Window()
    cursor = load(session.connection, NVD).cursor  # which that window has moved
    if not cursor:
        return  # upstream holds nothing
    now = session.options.now()
    if datetime.fromisoformat(cursor) > now:
        raise CyberSecQwenError(
            f"the store is complete up to {cursor}, but this machine's clock says {now:%FT%T}",
            where=session.options.store,
            tip="set the clock (both are UTC)",
        )
    start = datetime.fromisoformat(cursor) - _OVERLAP
    while start < now:
        end = min(start + _STEP, now)
        yield _Window(_stamp(start), _stamp(end))
        start = end


def _fill(session: Session, window: _Window, url: str, get_page: GetPage) -> Iterator[Changes]:
    restarts = 0
    while not window.whole:
        page_url = f"{url}?{_query(window)}"
        page = parse(Page, get_page(page_url), page_url)
        _check(page, window, page_url)
        if page.total < window.total:
            # A record that is modified meanwhile leaves the window, and the others move up into
            # places that have been read already: they would be missed.
            restarts += 1
            if restarts > _RESTARTS:
                raise CyberSecQwenError(
                    "the records change while they are asked for", where=url, tip="run it again"
                )
            window = _Window(window.start, window.end)
            continue
        window, changes = _keep(session, window, page, page_url)
        yield changes


def _query(window: _Window) -> str:
    period = {"lastModStartDate": window.start, "lastModEndDate": window.end}
    pages = {"resultsPerPage": PAGE, "startIndex": window.position}
    return urlencode({**(period if window.end else {}), **pages})


def _check(page: Page, window: _Window, where: str) -> None:
    missing = page.total - window.position
    if page.start != window.position or (missing > 0 and not page.vulnerabilities):
        raise InputError(
            f"{len(page.vulnerabilities)} records at {page.start}, with {window.position} of "
            f"{page.total} here",
            where=where,
            tip="upstream gives less than it says; run it again later",
        )


def _keep(session: Session, window: _Window, page: Page, where: str) -> tuple[_Window, Changes]:
    """Store a page and how far the window has come with it, both or neither."""
    records = records_of(page, where, lambda error: _log.warning("refused: %s", error))
    window = replace(
        window,
        position=window.position + len(page.vulnerabilities),
        total=page.total,
        latest=max([window.latest, *(record.modified for record in records)]),
        as_of=window.as_of or (iso_time(page.timestamp, where) if page.timestamp else ""),
    )
    with transaction(session.connection):
        changes = apply(session.connection, NVD, records, seen=session.options.timestamp())
        _save(session.connection, window, checked=session.options.timestamp())
    return window, changes


def _save(connection: sqlite3.Connection, window: _Window, *, checked: str) -> None:
    state = load(connection, NVD)
    if not window.whole:
        state = replace(state, progress=json.dumps(asdict(window)), checked=checked)
    else:
        # What is modified while the pages come may be missing from those that came before.
        reached = min(window.latest, window.as_of or window.latest)
        state = replace(state, cursor=max(state.cursor, reached), progress="", checked=checked)
    save(connection, state)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


FEED = Feed(
    "nvd",
    "NVD JSON 2.0 (yearly feeds and API pages)",
    url="https://nvd.nist.gov/feeds/json/cve/2.0",
    stale_after=3,
    recognise=nvd_json.recognise,
    read=nvd_json.read,
    parse=nvd_json.read_object,
    fetch=_fetch_years,
    update=_update,
)
