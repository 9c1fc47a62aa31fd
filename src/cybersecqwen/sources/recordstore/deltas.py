"""The CVE List: read its log of changes, and fetch the records that it names.

    https://github.com/CVEProject/cvelistV5/blob/main/cves/deltaLog.json

The log reaches back some 30 days; before that, the whole list is fetched. The cursor is the
time of the newest change that is in the store. The archives of changes that the project
releases are not used: they are known to lack records, https://github.com/CVEProject/cvelistV5/issues/40
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import cvelist
from cybersecqwen.sources.download import AbsentError, download, get, open_client, retried
from cybersecqwen.sources.fetch import SOURCES
from cybersecqwen.sources.inputs import CVE_ID, Schema, iso_time, parse
from cybersecqwen.sources.recordstore import feeds
from cybersecqwen.sources.recordstore.database import transaction
from cybersecqwen.sources.recordstore.order import Work
from cybersecqwen.sources.recordstore.versions import CVE_LIST, Changes, apply

if TYPE_CHECKING:
    import httpx2

_log = logging.getLogger(__name__)

_CVES = "https://raw.githubusercontent.com/CVEProject/cvelistV5/main/cves"
_OVERLAP = timedelta(minutes=15)  # GitHub may serve a file as it was some minutes ago
_AT_ONCE = 8  # requests
_GROUP = 200  # records of the log in a transaction
_BATCH = 2000  # records of the whole list in a transaction


class _Change(Schema):
    cve_id: str = Field(pattern=CVE_ID, alias="cveId")
    updated: str = Field(default="", alias="dateUpdated")


class _Delta(Schema):
    time: str = Field(alias="fetchTime")
    new: list[_Change] = Field(default=[])
    updated: list[_Change] = Field(default=[])
    error: list[_Change] = Field(default=[])

    @property
    def changes(self) -> list[_Change]:
        return [*self.new, *self.updated, *self.error]


class _Log(Schema):
    model_config = ConfigDict(title="deltaLog.json")

    deltas: list[_Delta]


def update_cve_list(work: Work) -> Iterator[Changes]:
    """Bring what the log names since the cursor, the oldest changes of the list first.

    Yields what each group of them brought. A record that cannot be read goes to the table
    `refused`. Raises CyberSecQwenError when upstream fails for good; what came before stays.
    """
    with open_client(follow_redirects=True) as client:
        deltas = _read_log(work, client)
        cursor = feeds.load(work.connection, CVE_LIST).cursor
        if not cursor or cursor < deltas[0].time:
            _log.info(
                "cvelist: the log of changes begins at %s, so the whole list is fetched",
                deltas[0].time,
            )
            yield from _fetch_whole(work, deltas[-1].time)
            return
        begin = (datetime.fromisoformat(cursor) - _OVERLAP).isoformat(timespec="milliseconds")
        for group in _groups(delta for delta in deltas if delta.time > begin):
            yield _take(work, client, group)


def _read_log(work: Work, client: httpx2.Client) -> list[_Delta]:
    """Read the log, the oldest change first, its times made comparable."""
    url = work.order.at(f"{_CVES}/deltaLog.json")
    data = retried(lambda: get(client, url), url, work.order.patience)
    log = parse(_Log, b'{"deltas":' + data + b"}", url)
    if not log.deltas:
        raise InputError("the log is empty", where=url, tip="run it again later")
    deltas = (d.model_copy(update={"time": iso_time(d.time, url)}) for d in log.deltas)
    return sorted(deltas, key=lambda delta: delta.time)


def _groups(deltas: Iterable[_Delta]) -> Iterator[list[_Delta]]:
    """Put small deltas together, so that their records are fetched at once and kept at once."""
    group: list[_Delta] = []
    for delta in deltas:
        group.append(delta)
        if sum(len(one.changes) for one in group) >= _GROUP:
            yield group
            group = []
    if group:
        yield group


def _fetch_whole(work: Work, reached: str) -> Iterator[Changes]:
    path = work.order.cache / CVE_LIST / "main.zip"
    download(work.order.at(SOURCES[CVE_LIST][0]), path, patience=work.order.patience)
    records = cvelist.read(path)
    while batch := list(islice(records, _BATCH)):
        with transaction(work.connection):
            changes = apply(work.connection, CVE_LIST, batch, seen=work.order.seen())
        yield changes
    with transaction(work.connection):
        _reach(work, reached)


def _take(work: Work, client: httpx2.Client, deltas: list[_Delta]) -> Changes:
    """Fetch what deltas name, and keep the records and how far the log is read, or nothing."""
    named = {change.cve_id: change for delta in deltas for change in delta.changes}
    missing = _missing(work, named)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        fetched = list(pool.map(lambda cve_id: _fetch(work, client, cve_id), missing))
    with transaction(work.connection):
        records = [one for one in fetched if isinstance(one, Vulnerability)]
        changes = apply(work.connection, CVE_LIST, records, seen=work.order.seen())
        for cve_id, one in zip(missing, fetched, strict=True):
            _note(work, cve_id, None if isinstance(one, Vulnerability) else str(one))
        _reach(work, deltas[-1].time)
    return changes


def _missing(work: Work, named: dict[str, _Change]) -> list[str]:
    """List the CVEs whose version here is not as new as the log says."""
    stored = dict(
        work.connection.execute(
            "SELECT cve_id, modified FROM versions"
            " WHERE source = ? AND cve_id IN (SELECT value FROM json_each(?))",
            (CVE_LIST, json.dumps(list(named))),
        ).fetchall()
    )
    return [
        cve_id
        for cve_id, change in named.items()
        if not change.updated or stored.get(cve_id, "") < iso_time(change.updated, cve_id)
    ]


def _fetch(work: Work, client: httpx2.Client, cve_id: str) -> Vulnerability | Exception:
    """Fetch one record, or say why it is none."""
    _, year, number = cve_id.split("-")
    # Made from the id: what the log links to is not followed.
    url = work.order.at(f"{_CVES}/{year}/{number[:-3]}xxx/{cve_id}.json")
    try:
        return cvelist.read_record(retried(lambda: get(client, url), url, work.order.patience), url)
    except (InputError, AbsentError) as error:
        _log.warning("refused: %s", error)
        return error


def _note(work: Work, cve_id: str, reason: str | None) -> None:
    if reason is None:
        work.connection.execute(
            "DELETE FROM refused WHERE feed = ? AND cve_id = ?", (CVE_LIST, cve_id)
        )
    else:
        work.connection.execute(
            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
            (CVE_LIST, cve_id, reason, work.order.seen()),
        )


def _reach(work: Work, time: str) -> None:
    state = feeds.load(work.connection, CVE_LIST)
    cursor = max(state.cursor, time)
    feeds.save(work.connection, replace(state, cursor=cursor, checked=work.order.seen()))
