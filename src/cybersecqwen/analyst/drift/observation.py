"""What drift is measured on: classified records, each with its day and what others say of it.

    selection = Selection("month", size=500)
    for record in read_vulnerabilities(Path("records.jsonl")):
        selection.add(record)
    observations = list(observe(selection.records()))

Of each month or week a sample is enough, and always the same one is taken: that of the lowest
checksums of the ids. Records without a usable day are counted, and none is dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.analyst.classification import classify
from cybersecqwen.analyst.drift.windows import Period, Window, day_of, sample, window_of
from cybersecqwen.analyst.local_records import given_of
from cybersecqwen.cwe.label import LABEL_SOURCES, labels_of
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.formats.archives import readable
from cybersecqwen.formats.rows import Report, jsonl_rows
from cybersecqwen.records import Vulnerability

if TYPE_CHECKING:
    from cybersecqwen.analyst.embedded_classifier import Classifier

REVIEWED = "reviewed"  # the source of labels that are a reviewer's verdicts
_PRUNE = 2  # times the size of a sample that is held while records are read


@dataclass(frozen=True, slots=True)
class Observation:
    """One classified text: the first candidate, and what each source of labels calls it.

    `cwe` is "" where the classifier had no candidate. `labels` are by source: nvd, cna, cisa_adp,
    reviewed; a verdict that no weakness can be told is "".
    """

    id: str
    day: date
    text: str
    cwe: str
    confidence: float
    abstain: bool = False
    labels: dict[str, str] = field(default_factory=dict)


class Selection:
    """A sample of the records of each window, taken while they are read.

    Of a record that is there twice the first one counts. With `newest` only so many of the newest
    windows are held, with `since` only those that end after it.
    """

    def __init__(
        self,
        by: Period,
        *,
        size: int,
        newest: int = 0,
        since: date = date.min,
        today: date | None = None,
    ) -> None:
        self._by, self._size, self._newest, self._since = by, size, newest, since
        self._today = today or date.today()
        self._windows: dict[Window, dict[str, Vulnerability]] = {}
        self.left_out: Counter[str] = Counter()  # how many, by why

    def add(self, record: Vulnerability) -> None:
        """Take a record in, or count why it is not."""
        if reason := self._add(record):
            self.left_out[reason] += 1

    def _add(self, record: Vulnerability) -> str:
        if record.rejected or not record.description:
            return "rejected" if record.rejected else "without a description"
        day = day_of(record.published)
        if day is None:
            return "without a date"
        if day > self._today:
            return "with a date to come"
        window = window_of(day, self._by)
        oldest = min(self._windows, key=lambda w: w.end, default=window)
        full = self._newest and len(self._windows) >= self._newest
        if window.end <= self._since or (full and window.end < oldest.end):
            return "older"
        if window not in self._windows and full:
            self.left_out["older"] += len(self._windows.pop(oldest))
        held = self._windows.setdefault(window, {})
        held.setdefault(record.cve_id, record)
        if len(held) > _PRUNE * self._size:
            self.left_out["beyond the sample"] += len(held) - self._size
            self._windows[window] = sample(held, self._size)
        return ""

    def records(self) -> Iterator[Vulnerability]:
        """Yield the sample, window by window."""
        for window in sorted(self._windows, key=lambda w: w.end):
            held = self._windows[window]
            chosen = sample(held, self._size)
            self.left_out["beyond the sample"] += len(held) - len(chosen)
            self._windows[window] = chosen
            yield from chosen.values()


def observe(
    records: Iterable[Vulnerability], classifier: Classifier | None = None
) -> Iterator[Observation]:
    """Classify dated records by what feeds would label them with, which labels can be held against.

    Raises InputError for a record without a date.
    """
    records = list(records)
    results = classify(map(given_of, records), classifier=classifier, top=1, as_labelled=True)
    for record, result in zip(records, results, strict=True):
        day = day_of(record.published)
        if day is None:
            raise InputError("has no date", where=record.cve_id)
        cwe, confidence = "", 0.0
        if result.candidates:
            cwe, confidence = result.candidates[0].cwe, result.candidates[0].confidence
        yield Observation(
            record.cve_id,
            day,
            record.description,
            cwe,
            confidence,
            result.abstain,
            first_labels(record),
        )


def first_labels(record: Vulnerability) -> dict[str, str]:
    """Return the first CWE that each source gives a record; sources without one are left out."""
    given = labels_of(record)
    firsts = {s: next((c for c in given[s] if c.startswith("CWE-")), "") for s in LABEL_SOURCES}
    return {source: cwe for source, cwe in firsts.items() if cwe}


def read_verdicts(
    path: Path, report: Report, left_out: Counter[str] | None = None
) -> Iterator[Observation]:
    """Yield reviewers' verdicts, one JSON object a line; a row that is wrong goes to `report`.

    `at` is when the verdict was given, `cwe` the reviewer's, null where no weakness can be told,
    `suggested` what the tool said, null where it said nothing, and `confidence` its confidence.
    Records that the workplace exports have `decided_at` for `at`; where that is null there is no
    verdict yet, which is counted in `left_out`.
    """
    with readable(path), path.open("rb") as lines:
        for where, row in jsonl_rows(lines, str(path), report):
            at = row.get("at", row.get("decided_at", ""))
            if at is None:
                if left_out is not None:
                    left_out["without a verdict"] += 1
                continue
            try:
                yield _verdict({**row, "at": at} if at else row, where)
            except InputError as error:
                report(error)


def _verdict(row: Json, where: str) -> Observation:
    missing = [name for name in ("id", "cwe", "suggested", "at") if name not in row]
    if missing:
        tip = 'a verdict is {"id", "text", "cwe", "suggested", "confidence", "at"}'
        raise InputError(f"no {missing[0]}", where=where, tip=tip)
    suggested = str(row["suggested"] or "")
    return Observation(
        str(row["id"]),
        _verdict_day(row["at"], where),
        str(row.get("text") or ""),
        suggested,
        _confidence(row.get("confidence") or 0.0, where),
        not suggested,
        {REVIEWED: str(row["cwe"] or "")},
    )


def _verdict_day(at: object, where: str) -> date:
    day = day_of(str(at))
    if day is None:
        raise InputError(f"{at!r} is not a date", where=where, tip="write it as 2025-12-01")
    if day > date.today():
        raise InputError(f"{at!r} is yet to come", where=where, tip="check the clock")
    return day


def _confidence(given: object, where: str) -> float:
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 1:
        return float(given)
    raise InputError(f"the confidence is {given!r}", where=where, tip="give 0 to 1")
