"""FIRST's Exploit Prediction Scoring System (EPSS): how likely a CVE is to be exploited soon.

https://www.first.org/epss/data_stats

    scores = read_epss(Path("epss_scores-current.csv.gz"))
    scores.date, scores.find("CVE-2021-44228")      # ('2025-03-30', EpssScore(0.94, 1.0))

A score is the probability that exploitation is seen within 30 days. There is a file for each day,
whose first line is a comment with the version of the model and the date.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.cwe.identifiers import CVE_SYNTAX
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head, read_only, utf8
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import EpssScore
from cybersecqwen.sources.feed import Feed, fetch_file
from cybersecqwen.sources.recordstore.session import Session, update_release
from cybersecqwen.sources.recordstore.versions import Changes

_HEADER = b"cve,epss,percentile"
_COMMENT = re.compile(
    rb"#model_version:(?P<model>[^,\s]+),score_date:(?P<date>\d{4}-\d\d-\d\d)[^\n]*\s+" + _HEADER
)
_CVE_ID = re.compile(CVE_SYNTAX.encode())
_TIP = "download it again"


class EpssScores(NamedTuple):
    """The scores of one day; `lines` are the cells of each CVE as upstream wrote them."""

    where: str
    model: str  # v2025.03.14
    date: str  # ISO
    lines: dict[bytes, bytes]

    @property
    def release(self) -> str:
        """The day and the model, by which the record store tells one release from another."""
        return f"{self.date} {self.model}"

    def find(self, cve_id: str) -> EpssScore | None:
        """Return the score of a CVE, None where it has none; raises InputError for a wrong one."""
        line = self.lines.get(cve_id.encode())
        return None if line is None else self._score(cve_id, line)

    def rows(self) -> Iterator[tuple[str, EpssScore]]:
        """Yield each CVE with its score; raises InputError on the first that is wrong."""
        for key, line in self.lines.items():
            cve_id = key.decode("ascii", "replace")
            if not _CVE_ID.fullmatch(key):
                raise InputError(f"{cve_id!r} is not a CVE id", where=self.where, tip=_TIP)
            yield cve_id, self._score(cve_id, line)

    def _score(self, cve_id: str, line: bytes) -> EpssScore:
        try:
            score, percentile = map(float, line.split(b","))
        except ValueError:
            score = percentile = -1.0
        if not (0 <= score <= 1 and 0 <= percentile <= 1):
            what = f"{cve_id}: {line.decode(errors='replace')!r} is no score and percentile"
            raise InputError(what, where=self.where, tip=_TIP)
        return EpssScore(score, percentile)


def read_epss(path: Path) -> EpssScores:
    """Read a day's scores from CSV, gzipped or not; raises InputError when it is something else.

    The cells are checked when they are asked for: a file has some 300,000 rows.
    """
    data = utf8(read_only(path, ".csv"))
    comment = _COMMENT.match(data)
    if comment is None:
        tip = "the first line is #model_version:…,score_date:…, the second cve,epss,percentile"
        raise InputError("holds no EPSS scores", where=path, tip=tip)
    model, date = comment["model"].decode(), comment["date"].decode()
    rows = (line.partition(b",") for line in data[comment.end() :].split())
    return EpssScores(str(path), model, date, {cve_id: cells for cve_id, _, cells in rows})


def _read(path: Path, _: Report) -> Iterator[EpssScores]:
    yield read_epss(path)


def _recognise(head: Head) -> bool:
    return utf8(head.data).startswith(b"#model_version:")


def _update(session: Session) -> Iterator[Changes]:
    return update_release(session, "epss", FEED.url, read=read_epss, keep=_replace)


def _replace(connection: sqlite3.Connection, scores: EpssScores) -> tuple[str, Changes]:
    """Put a day's scores into the store in place of those of the day before."""
    rows = {cve_id: (cve_id, *score) for cve_id, score in scores.rows()}
    old = {row["cve_id"]: tuple(row) for row in connection.execute("SELECT * FROM epss")}
    connection.execute("DELETE FROM epss")
    connection.executemany("INSERT INTO epss VALUES (?, ?, ?)", rows.values())
    new = len(rows.keys() - old.keys())
    changed = sum(old[cve_id] != row for cve_id, row in rows.items() if cve_id in old)
    gone = len(old.keys() - rows.keys())
    return scores.release, Changes(len(rows), new=new, changed=changed + gone)


FEED = Feed(
    "epss",
    "FIRST's EPSS scores of a day",
    EpssScores,
    url="https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
    stale_after=3,
    recognise=_recognise,
    read=_read,
    fetch=fetch_file,
    update=_update,
)
