"""What each source of labels covers, and what kinds of labels it gives.

    coverage = Coverage(catalogue)
    coverage.add(record, labels_of(record))
    coverage.to_json(records=1)["sources"]["nvd"]["share"]      # 1.0

All labels of a record are counted here, NVD's placeholders and CWE categories too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.files import Json
from cybersecqwen.records import Vulnerability, Weakness
from cybersecqwen.reports.dataset.label_counts import USAGES, grouped, usage
from cybersecqwen.reports.dataset.labels import KINDS, SOURCES, Labels, kind


class Coverage:
    """Counts of records and labels by source."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self._labels: dict[str, Counter[str]] = {source: Counter() for source in SOURCES}
        self._firsts: dict[str, Counter[str]] = {source: Counter() for source in SOURCES}
        self._together: Counter[tuple[str, ...]] = Counter()

    def add(self, record: Vulnerability, labels: Labels) -> None:
        """Take in one record."""
        for source in SOURCES:
            for label in getattr(record, f"cwe_{source}"):
                self._labels[source][label] += 1
            if labels[source]:
                self._firsts[source][labels[source][0]] += 1
        self._together[tuple(source for source in SOURCES if labels[source])] += 1

    def to_json(self, *, records: int) -> Json:
        """Give the figures of each source, and how many records which sources label together."""
        together = sorted(self._together.items(), key=lambda row: (-row[1], row[0]))
        return {
            "sources": {source: self._source(source, records) for source in SOURCES},
            "together": [
                {"sources": list(names), **part(count, records)} for names, count in together
            ],
        }

    def _source(self, source: str, records: int) -> Json:
        labels, firsts = self._labels[source], self._firsts[source]
        return {
            **part(firsts.total(), records),
            "labels": labels.total(),
            "kinds": grouped(labels, KINDS, lambda c: kind(c, self._catalogue)),
            "first_label_usages": grouped(firsts, USAGES, lambda c: usage(c, self._catalogue)),
        }
