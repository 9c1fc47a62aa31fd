"""How records, labels and discouraged labels spread over the years.

years = Years(catalogue)
years.add(record, labels_of(record))
years.to_json()[0]["published"]     # records published in the first year
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache

from cybersecqwen.files import Json
from cybersecqwen.records import Vulnerability, Weakness
from cybersecqwen.reports.dataset.label_counts import USAGES, usage
from cybersecqwen.reports.dataset.labels import NO_YEAR, SOURCES, Labels, primary, year_of


class Years:
    """Counts by year of the CVE id and of publication; everything else is by publication."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._usage = cache(lambda label: usage(label, catalogue))
        self._by_id: Counter[str] = Counter()
        self._published: Counter[str] = Counter()
        self._covered: dict[str, Counter[str]] = defaultdict(Counter)
        self._primary: dict[str, Counter[str]] = defaultdict(Counter)
        self._usages: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)

    def add(self, record: Vulnerability, labels: Labels) -> None:
        """Take in one record."""
        self._by_id[year_of(record.cve_id)] += 1
        year = record.published[:4] or NO_YEAR
        self._published[year] += 1
        for source in SOURCES:
            if labels[source]:
                self._covered[year][source] += 1
                self._usages[year][source, self._usage(labels[source][0])] += 1
        found = primary(labels)
        self._primary[year][found[0] if found else "none"] += 1

    def to_json(self) -> list[Json]:
        """Give a row a year; `primary_label_from` is whose label counts, "none" for no label."""
        return [
            {
                "year": year,
                "by_id": self._by_id[year],
                "published": self._published[year],
                "labelled_by": {source: self._covered[year][source] for source in SOURCES},
                "primary_label_from": {s: self._primary[year][s] for s in (*SOURCES, "none")},
                "first_label_usage": {
                    source: {u: self._usages[year][source, u] for u in USAGES} for source in SOURCES
                },
            }
            for year in sorted(self._by_id.keys() | self._published.keys())
        ]
