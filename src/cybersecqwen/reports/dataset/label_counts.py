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
from itertools import accumulate
from typing import NamedTuple

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.catalogue import KINDS, kind
from cybersecqwen.cwe.identifiers import cve_year
from cybersecqwen.cwe.label import LABEL_SOURCES, Label, Labels, labels_of, primary_label
from cybersecqwen.cwe.mapping import mapping_usage
from cybersecqwen.files import Json
from cybersecqwen.records import Vulnerability, Weakness

NO_YEAR = "unknown"
USAGES = ("Allowed", "Allowed-with-Review", "Discouraged", "Prohibited", "not stated")
_ABSTRACTIONS = ("Pillar", "Class", "Base", "Variant", "Compound")
_HEAD = 25
_RARE = (1, 5, 100)
_SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)


class Labelling(NamedTuple):
    """The years and labels of a record, which many records share: what is counted by."""

    by_id: str
    published: str
    all_labels: tuple[tuple[str, ...], ...]  # of each source, NVD's placeholders too
    usable_labels: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, record: Vulnerability) -> Labelling:
        """Return the labelling of a record."""
        return cls(
            cve_year(record.cve_id) or NO_YEAR,
            record.published[:4] or NO_YEAR,
            tuple(labels_of(record, placeholders=True).values()),
            tuple(labels_of(record).values()),
        )

    @property
    def given(self) -> Labels:
        """All labels by source."""
        return dict(zip(LABEL_SOURCES, self.all_labels, strict=True))

    @property
    def labels(self) -> Labels:
        """The labels by source, without placeholders."""
        return dict(zip(LABEL_SOURCES, self.usable_labels, strict=True))

    @property
    def primary(self) -> Label | None:
        """The primary label."""
        return primary_label(self.labels)


Labellings = Counter[Labelling]  # how many records have each


def usage(label: str, catalogue: Mapping[str, Weakness]) -> str:
    """Return which of USAGES a label has; of one outside the catalogue nothing is stated."""
    entry = catalogue.get(label)
    return mapping_usage(entry, unstated="not stated") if entry else "not stated"


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


def coverage(records: Labellings, catalogue: Mapping[str, Weakness]) -> Json:
    """Count records and labels by source, and how many records which sources label together.

    All labels of a record count here, NVD's placeholders and CWE categories too.
    """
    together: Counter[tuple[str, ...]] = Counter()
    for of, count in records.items():
        together[tuple(source for source, labels in of.labels.items() if labels)] += count
    ranked = sorted(together.items(), key=lambda row: (-row[1], row[0]))
    return {
        "sources": {source: _source(source, records, catalogue) for source in LABEL_SOURCES},
        "together": [
            {"sources": list(names), **part(count, records.total())} for names, count in ranked
        ],
    }


def _source(source: str, records: Labellings, catalogue: Mapping[str, Weakness]) -> Json:
    labels: Counter[str] = Counter()
    firsts: Counter[str] = Counter()
    for of, count in records.items():
        for label in of.given[source]:
            labels[label] += count
        for label in of.labels[source][:1]:
            firsts[label] += count
    return {
        **part(firsts.total(), records.total()),
        "labels": labels.total(),
        "kinds": grouped(labels, KINDS, lambda c: kind(c, catalogue)),
        "first_label_usages": grouped(firsts, USAGES, lambda c: usage(c, catalogue)),
    }


def years(records: Labellings, catalogue: Mapping[str, Weakness]) -> list[Json]:
    """Count by year of the CVE id and of publication; everything else is by publication.

    `primary_label_from` is whose label counts, "none" for no label.
    """
    by_id: Counter[str] = Counter()
    published: dict[str, Labellings] = defaultdict(Counter)
    for of, count in records.items():
        by_id[of.by_id] += count
        published[of.published][of] += count
    return [
        {"year": year, "by_id": by_id[year], **_year(published[year], catalogue)}
        for year in sorted(by_id.keys() | published.keys())
    ]


def _year(records: Labellings, catalogue: Mapping[str, Weakness]) -> Json:
    labelled: Counter[str] = Counter()
    primary: Counter[str] = Counter()
    usages: Counter[tuple[str, str]] = Counter()
    for of, count in records.items():
        primary[of.primary.source if of.primary else "none"] += count
        for source, labels in of.labels.items():
            for label in labels[:1]:
                labelled[source] += count
                usages[source, usage(label, catalogue)] += count
    return {
        "published": records.total(),
        "labelled_by": {source: labelled[source] for source in LABEL_SOURCES},
        "primary_label_from": {source: primary[source] for source in (*LABEL_SOURCES, "none")},
        "first_label_usage": {
            source: {u: usages[source, u] for u in USAGES} for source in LABEL_SOURCES
        },
    }
