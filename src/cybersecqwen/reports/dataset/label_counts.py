"""The labels of a dataset: how they spread over classes, sources and years.

>>> from cybersecqwen.cwe.catalogue import load_catalogue
>>> counts = spread(Counter({"CWE-79": 3, "CWE-89": 1}), load_catalogue())
>>> counts["classes"], counts["labels"], round(counts["effective_classes"], 3)
(2, 4, 1.755)
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import accumulate

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.catalogue import KINDS, kind
from cybersecqwen.cwe.identifiers import cve_year
from cybersecqwen.cwe.label import LABEL_SOURCES, Labels, primary_label
from cybersecqwen.cwe.mapping import mapping_usage
from cybersecqwen.files import Json
from cybersecqwen.records import Vulnerability, Weakness

NO_YEAR = "unknown"
USAGES = ("Allowed", "Allowed-with-Review", "Discouraged", "Prohibited", "not stated")
_ABSTRACTIONS = ("Pillar", "Class", "Base", "Variant", "Compound")
_HEAD = 25
_RARE = (1, 5, 100)
_SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)


def usage(label: str, catalogue: Mapping[str, Weakness]) -> str:
    """Return which of USAGES a label has; of one outside the catalogue nothing is stated."""
    entry = catalogue.get(label)
    return mapping_usage(entry, unstated="not stated") if entry else "not stated"


def year_of(cve_id: str) -> str:
    """Return the year that a CVE id names."""
    return cve_year(cve_id) or NO_YEAR


def spread(counts: Counter[str], catalogue: Mapping[str, Weakness]) -> Json:
    """Describe how many labels each class has; `counts` are labels by class.

    `effective_classes` is two to the power of the entropy: as many classes of equal size are
    as hard to guess. `needed_for` says how many of the largest classes hold a share of the labels.
    """
    total = counts.total()
    ranked = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    sums = list(accumulate(count for _, count in ranked))
    entropy = -sum(n / total * math.log2(n / total) for n in counts.values()) if total else 0.0
    return {
        "labels": total,
        "classes": len(counts),
        "entropy_bits": entropy,
        "effective_classes": 2**entropy if total else 0.0,
        "head": [
            {
                "cwe": cwe,
                "name": _name(cwe, catalogue),
                "usage": usage(cwe, catalogue),
                **part(count, total),
                "cumulative_share": before / total,
            }
            for (cwe, count), before in zip(ranked[:_HEAD], sums, strict=False)
        ],
        "tail": [_rare(counts, most) for most in _RARE],
        "needed_for": {
            f"{share:g}": sum(held < share * total for held in sums) + 1 for share in _SHARES
        }
        if total
        else {},
        "kinds": grouped(counts, KINDS, lambda c: kind(c, catalogue)),
        "abstractions": grouped(
            counts, (*_ABSTRACTIONS, "none"), lambda c: _abstraction(c, catalogue)
        ),
        "usages": grouped(counts, USAGES, lambda c: usage(c, catalogue)),
        "counts": dict(ranked),
    }


def _name(cwe: str, catalogue: Mapping[str, Weakness]) -> str:
    return catalogue[cwe].name if cwe in catalogue else ""


def _abstraction(cwe: str, catalogue: Mapping[str, Weakness]) -> str:
    return (catalogue[cwe].abstraction if cwe in catalogue else "") or "none"


def _rare(counts: Counter[str], most: int) -> Json:
    rare = [count for count in counts.values() if count <= most]
    return {"labels_at_most": most, "classes": len(rare), "labels": sum(rare)}


def grouped(counts: Counter[str], names: Sequence[str], name_of: Callable[[str], str]) -> Json:
    """Count classes and labels under each of `names` that has any."""
    labels: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for cwe, count in counts.items():
        labels[name_of(cwe)] += count
        classes[name_of(cwe)] += 1
    return {
        name: {"classes": classes[name], **part(labels[name], counts.total())}
        for name in names
        if classes[name]
    }


class Coverage:
    """Counts of records and labels by source.

    All labels of a record count here, NVD's placeholders and CWE categories too.
    """

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self._labels: dict[str, Counter[str]] = {source: Counter() for source in LABEL_SOURCES}
        self._firsts: dict[str, Counter[str]] = {source: Counter() for source in LABEL_SOURCES}
        self._together: Counter[tuple[str, ...]] = Counter()

    def add(self, record: Vulnerability, labels: Labels) -> None:
        """Add one record."""
        for source in LABEL_SOURCES:
            for label in getattr(record, f"cwe_{source}"):
                self._labels[source][label] += 1
            if labels[source]:
                self._firsts[source][labels[source][0]] += 1
        self._together[tuple(source for source in LABEL_SOURCES if labels[source])] += 1

    def to_json(self, *, records: int) -> Json:
        """Return the figures of each source, and how many records which sources label together."""
        together = sorted(self._together.items(), key=lambda row: (-row[1], row[0]))
        return {
            "sources": {source: self._source(source, records) for source in LABEL_SOURCES},
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
        """Add one record."""
        self._by_id[year_of(record.cve_id)] += 1
        year = record.published[:4] or NO_YEAR
        self._published[year] += 1
        for source in LABEL_SOURCES:
            if labels[source]:
                self._covered[year][source] += 1
                self._usages[year][source, self._usage(labels[source][0])] += 1
        primary = primary_label(labels)
        self._primary[year][primary[0] if primary else "none"] += 1

    def to_json(self) -> list[Json]:
        """Return a row a year; `primary_label_from` is whose label counts, "none" for no label."""
        return [
            {
                "year": year,
                "by_id": self._by_id[year],
                "published": self._published[year],
                "labelled_by": {source: self._covered[year][source] for source in LABEL_SOURCES},
                "primary_label_from": {s: self._primary[year][s] for s in (*LABEL_SOURCES, "none")},
                "first_label_usage": {
                    source: {u: self._usages[year][source, u] for u in USAGES}
                    for source in LABEL_SOURCES
                },
            }
            for year in sorted(self._by_id.keys() | self._published.keys())
        ]
