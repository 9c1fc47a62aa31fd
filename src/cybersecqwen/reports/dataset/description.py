"""Measure a dataset in one pass over its rows.

    found = measure(rows_of_records(records), settings=Settings(load_catalogue()))
    found.figures["classes"]["head"][0]["cwe"]      # 'CWE-79'
    found.conflicts[0].relation

The primary label of a record is the first of NVD, else of the CNA, else of CISA-ADP; NVD's
placeholders are no labels. Rejected records are counted and left out of everything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness
from cybersecqwen.reports.dataset.agreement import Agreement, Conflict
from cybersecqwen.reports.dataset.coverage import Coverage
from cybersecqwen.reports.dataset.discouraged import Better, Discouraged
from cybersecqwen.reports.dataset.duplicates import Duplicates
from cybersecqwen.reports.dataset.label_counts import spread
from cybersecqwen.reports.dataset.labels import labels_of, primary
from cybersecqwen.reports.dataset.lengths import Lengths
from cybersecqwen.reports.dataset.rows import Row
from cybersecqwen.reports.dataset.texts import TokenCounter
from cybersecqwen.reports.dataset.years import Years


@dataclass(frozen=True)
class Settings:
    """What a dataset is measured with; `better` names a neighbour of a discouraged label."""

    catalogue: Mapping[str, Weakness]
    better: Better
    max_length: int = 4096  # tokens, of the published recipe
    counter: TokenCounter | None = None


class Measured(NamedTuple):
    """The figures of a dataset as JSON-able values, and each record its sources differ over."""

    figures: Json
    conflicts: tuple[Conflict, ...]


def measure(rows: Iterable[Row], *, settings: Settings) -> Measured:
    """Measure all rows; raises InputError where there are none, or none that is not rejected."""
    found = _Pass(settings)
    for row in rows:
        found.add(row)
    if not found.records:
        raise InputError(
            f"{found.rejected} records, all of them rejected" if found.rejected else "no records",
            tip="give records of vulnerabilities",
        )
    return Measured(found.figures(), tuple(sorted(found.agreement.conflicts)))


class _Pass:
    """Every measurement, fed with one row after another."""

    def __init__(self, settings: Settings) -> None:
        catalogue = settings.catalogue
        self._catalogue = catalogue
        self.records = self.rejected = self._without_text = 0
        self._classes: Counter[str] = Counter()
        self._coverage, self._years = Coverage(catalogue), Years(catalogue)
        self._discouraged = Discouraged(catalogue, settings.better)
        self._duplicates = Duplicates()
        self._lengths = Lengths(limit=settings.max_length, counter=settings.counter)
        self.agreement = Agreement(CweGraph(catalogue))

    def add(self, row: Row) -> None:
        record = row.record
        if record.rejected:
            self.rejected += 1
            return
        self.records += 1
        labels = labels_of(record)
        found = primary(labels)
        if found:
            self._classes[found[1]] += 1
        self._coverage.add(record, labels)
        self._years.add(record, labels)
        self._discouraged.add(labels)
        self.agreement.add(record.cve_id, labels)
        if record.description.strip():
            self._duplicates.add(record.cve_id, record.description, found[1] if found else "")
            self._lengths.add(record.cve_id, record.description, row.prompt, row.completion)
        else:
            self._without_text += 1

    def figures(self) -> Json:
        conflicts = self.agreement.conflicts
        return {
            "records": self.records,
            "rejected": self.rejected,
            "without_text": self._without_text,
            "labelled": part(self._classes.total(), self.records),
            "years": self._years.to_json(),
            "classes": spread(self._classes, self._catalogue),
            "coverage": self._coverage.to_json(records=self.records),
            "agreement": self.agreement.to_json(),
            "conflicts": {
                "records": len({conflict.cve_id for conflict in conflicts}),
                "pairs": len(conflicts),
            },
            "discouraged": self._discouraged.to_json(),
            "duplicates": self._duplicates.to_json(),
            "lengths": self._lengths.to_json(),
        }
