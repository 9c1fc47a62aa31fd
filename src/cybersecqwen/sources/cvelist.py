"""The CVE List: the whole of it, or the records that its log of changes names.

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

from pydantic import Field

from cybersecqwen.errors import InputError
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import cve_json
from cybersecqwen.sources.download import AbsentError, download, get, open_client, with_retries
from cybersecqwen.sources.feed import Feed, fetch_file
from cybersecqwen.sources.recordstore.database import transaction
from cybersecqwen.sources.recordstore.session import Session, load, save
from cybersecqwen.sources.recordstore.versions import CVE_LIST, Changes, apply
from cybersecqwen.sources.schema import CveId, Schema, iso_time, parse

if TYPE_CHECKING:
    import httpx2

_log = logging.getLogger(__name__)

_URL = "https://github.com/CVEProject/cvelistV5/archive/refs/heads/main.zip"
_CVES = "https://raw.githubusercontent.com/CVEProject/cvelistV5/main/cves"
_OVERLAP = timedelta(minutes=15)  # GitHub may serve a file as it was some minutes ago
_AT_ONCE = 8  # requests
_GROUP = 200  # records of the log in a transaction
_BATCH = 2000  # records of the whole list in a transaction


class _Change(Schema):
    cve_id: CveId = Field(alias="cveId")
    updated: str = Field(default="", alias="dateUpdated")


class _Delta(Schema):
    time: str = Field(alias="fetchTime")
    new: list[_Change] = Field(default=[])
    updated: list[_Change] = Field(default=[])
    error: list[_Change] = Field(default=[])

    @property
    def changes(self) -> list[_Change]:
        return [*self.new, *self.updated, *self.error]


class _Log(Schema, title="deltaLog.json"):
    deltas: list[_Delta]


def _update(session: Session) -> Iterator[Changes]:
    """Bring what the log names since the cursor, the oldest changes first.

    Yields what each group of changes brought. A record that cannot be read goes to the table
    `refused`. Raises CyberSecQwenError when upstream fails for good; what came before stays.
    """
    with open_client(follow_redirects=True) as client:
        deltas = _read_log(session, client)
        cursor = load(session.connection, CVE_LIST).cursor
        if not cursor or cursor < deltas[0].time:
            _log.info(
                "cvelist: the log of changes begins at %s, so the whole list is fetched",
                deltas[0].time,
            )
            yield from _fetch_whole(session, deltas[-1].time)
            return
        begin = (datetime.fromisoformat(cursor) - _OVERLAP).isoformat(timespec="milliseconds")
        for group in _groups(delta for delta in deltas if delta.time > begin):
            yield _take(session, client, group)


def _read_log(session: Session, client: httpx2.Client) -> list[_Delta]:
    """Read the log, the oldest change first, its times made comparable."""
    url = session.options.address(f"{_CVES}/deltaLog.json")
    data = with_retries(lambda: get(client, url), url, session.options.retry)
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


def _fetch_whole(session: Session, reached: str) -> Iterator[Changes]:
    path = session.options.cache / CVE_LIST / "main.zip"
    download(
        session.options.address(_URL),
        path,
        check=lambda path: next(cve_json.read(path)),
        retry=session.options.retry,
    )
    records = cve_json.read(path, lambda error: _log.warning("refused: %s", error))
    while batch := list(islice(records, _BATCH)):
        with transaction(session.connection):
            changes = apply(session.connection, CVE_LIST, batch, seen=session.options.timestamp())
        yield changes
    with transaction(session.connection):
        _reach(session, reached)


def _take(session: Session, client: httpx2.Client, deltas: list[_Delta]) -> Changes:
    """Fetch what deltas name; store the records and how far the log is read, both or neither."""
    named = {change.cve_id: change for delta in deltas for change in delta.changes}
    missing = _missing(session, named)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        fetched = list(pool.map(lambda cve_id: _fetch(session, client, cve_id), missing))
    with transaction(session.connection):
        records = [one for one in fetched if isinstance(one, Vulnerability)]
        changes = apply(session.connection, CVE_LIST, records, seen=session.options.timestamp())
        for cve_id, one in zip(missing, fetched, strict=True):
            _note(session, cve_id, None if isinstance(one, Vulnerability) else str(one))
        _reach(session, deltas[-1].time)
    return changes


def _missing(session: Session, named: dict[str, _Change]) -> list[str]:
    """List the CVEs whose version here is not as new as the log says."""
    stored = dict(
        session.connection.execute(
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


def _fetch(session: Session, client: httpx2.Client, cve_id: str) -> Vulnerability | Exception:
    """Fetch one record, or return the error that refuses it."""
    _, year, number = cve_id.split("-")
    # Made from the id: what the log links to is not followed.
    url = session.options.address(f"{_CVES}/{year}/{number[:-3]}xxx/{cve_id}.json")
    try:
        return cve_json.read_record(
            with_retries(lambda: get(client, url), url, session.options.retry), url
        )
    except (InputError, AbsentError) as error:
        _log.warning("refused: %s", error)
        return error


def _note(session: Session, cve_id: str, reason: str | None) -> None:
    if reason is None:
        session.connection.execute(
            "DELETE FROM refused WHERE feed = ? AND cve_id = ?", (CVE_LIST, cve_id)
        )
    else:
        session.connection.execute(
            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
            (CVE_LIST, cve_id, reason, session.options.timestamp()),
        )


def _reach(session: Session, time: str) -> None:
    state = load(session.connection, CVE_LIST)
    cursor = max(state.cursor, time)
    save(session.connection, replace(state, cursor=cursor, checked=session.options.timestamp()))


# CISA's copy of the list, with a container of its own (CWE, CVSS, SSVC) in each record. Its
# records are recognised as those of the list.
VULNRICHMENT = Feed(
    "vulnrichment",
    "CVE JSON 5 with CISA's labels",
    url="https://github.com/cisagov/vulnrichment/archive/refs/heads/develop.zip",
    read=cve_json.read,
    fetch=fetch_file,
)
FEED = Feed(
    CVE_LIST,
    "CVE JSON 5 (the CVE List and CISA's Vulnrichment)",
    url=_URL,
    stale_after=3,
    recognise=cve_json.recognise,
    read=cve_json.read,
    parse=lambda data, where, _: iter((cve_json.read_record(data, where),)),
    fetch=fetch_file,
    update=_update,
)
