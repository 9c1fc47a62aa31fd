"""NVD: ask its API for what was modified since, in windows that it takes.

    https://nvd.nist.gov/developers/api-workflows

The cursor is the latest modification that has come, as NVD advises; so neither this machine's
clock nor an answer that is empty by mistake moves it past anything. It moves when a window is
whole. Every page is kept as it comes, and an update that was killed goes on at the next one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources.fetch import SOURCES
from cybersecqwen.sources.inputs import iso_time, parse
from cybersecqwen.sources.nvd import Page, records_of
from cybersecqwen.sources.nvd_api import PAGE, WINDOW, Ask, open_api
from cybersecqwen.sources.recordstore import feeds
from cybersecqwen.sources.recordstore.database import transaction
from cybersecqwen.sources.recordstore.order import Work
from cybersecqwen.sources.recordstore.versions import NVD, Changes, apply

_STEP = WINDOW - timedelta(days=1)  # a window may begin and end in the middle of a day
_OVERLAP = timedelta(hours=1)  # asked for again, for records may appear late in upstream's answers
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


def update_nvd(work: Work) -> Iterator[Changes]:
    """Bring what was modified since the cursor, yielding what each page brought.

    Without a cursor everything is fetched. Raises CyberSecQwenError when upstream fails for
    good or this machine's clock is behind the cursor; the pages that came before stay.
    """
    url = work.order.at(SOURCES["nvd-api"][0])
    with open_api(work.order.patience) as ask:
        for window in _windows(work):
            yield from _fill(work, window, url, ask)


def _windows(work: Work) -> Iterator[_Window]:
    """List the windows from the one that is in work, or the cursor, to now."""
    state = feeds.load(work.connection, NVD)
    if state.progress:
        yield _Window(**json.loads(state.progress))
    elif not state.cursor:
        yield _Window()
    cursor = feeds.load(work.connection, NVD).cursor  # which that window has moved
    if not cursor:
        return  # upstream holds nothing
    now = work.order.now()
    if datetime.fromisoformat(cursor) > now:
        raise CyberSecQwenError(
            f"the store is complete up to {cursor}, but this machine's clock says {now:%FT%T}",
            where=work.order.store,
            tip="set the clock (both are UTC)",
        )
    start = datetime.fromisoformat(cursor) - _OVERLAP
    while start < now:
        end = min(start + _STEP, now)
        yield _Window(_stamp(start), _stamp(end))
        start = end


def _fill(work: Work, window: _Window, url: str, ask: Ask) -> Iterator[Changes]:
    restarts = 0
    while not window.whole:
        asked = f"{url}?{_query(window)}"
        page = parse(Page, ask(asked), asked)
        _check(page, window, asked)
        if page.total < window.total:
            # A record that is modified meanwhile leaves the window, and others move up: into
            # the place of one that has come, where nothing would ask for them.
            restarts += 1
            if restarts > _RESTARTS:
                raise CyberSecQwenError(
                    "the records change while they are asked for", where=url, tip="run it again"
                )
            window = _Window(window.start, window.end)
            continue
        window, changes = _keep(work, window, page, asked)
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


def _keep(work: Work, window: _Window, page: Page, where: str) -> tuple[_Window, Changes]:
    """Keep a page and how far the window is with it, both or neither."""
    records = records_of(page, where)
    window = replace(
        window,
        position=window.position + len(records),
        total=page.total,
        latest=max([window.latest, *(record.modified for record in records)]),
        as_of=window.as_of or (iso_time(page.timestamp, where) if page.timestamp else ""),
    )
    with transaction(work.connection):
        changes = apply(work.connection, NVD, records, seen=work.order.seen())
        _save(work.connection, window, checked=work.order.seen())
    return window, changes


def _save(connection: sqlite3.Connection, window: _Window, *, checked: str) -> None:
    state = feeds.load(connection, NVD)
    if not window.whole:
        state = replace(state, progress=json.dumps(asdict(window)), checked=checked)
    else:
        # What is modified while the pages come may be missing from those that came before.
        reached = min(window.latest, window.as_of or window.latest)
        state = replace(state, cursor=max(state.cursor, reached), progress="", checked=checked)
    feeds.save(connection, state)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
