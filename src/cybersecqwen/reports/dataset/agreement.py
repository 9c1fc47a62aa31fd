"""Disagreement between the sources of labels, and labels that MITRE advises against.

    agreement = Agreement(CweGraph(catalogue))
    agreement.add("CVE-2021-1", {"nvd": ("CWE-119",), "cna": ("CWE-787",), "cisa_adp": ()})
    agreement.conflicts[0].relation       # 'parent': NVD's label is more general

Two sources conflict over a record where their first labels differ; the first label is the
primary one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.graph import RELATIONS, CweGraph
from cybersecqwen.cwe.label import LABEL_SOURCES, Labels, primary_label
from cybersecqwen.cwe.mapping import ADVISED_AGAINST
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness
from cybersecqwen.reports.dataset.label_counts import usage, year_of

_SHOWN = 25  # conflicts of a pair of sources, and discouraged classes
_FEWEST = 5  # records over which another source has to say so
_NEAR = ("equal", "parent", "child")

Better = Callable[[str, Sequence[tuple[str, float]]], str]


class Conflict(NamedTuple):
    """One record over which two sources differ; `relation` is of the first label to the second."""

    cve_id: str
    source: str
    label: str
    other_source: str
    other_label: str
    relation: str
    order_only: bool  # both labels stand in both lists


class Agreement:
    """Counts of two sources' labels for one record, by pair of sources."""

    def __init__(self, graph: CweGraph) -> None:
        self._graph = graph
        self._firsts: dict[tuple[str, str], Counter[tuple[str, str]]] = {
            pair: Counter() for pair in combinations(LABEL_SOURCES, 2)
        }
        self._sets: dict[tuple[str, str], Counter[str]] = {pair: Counter() for pair in self._firsts}
        self._years: dict[tuple[str, str], Counter[tuple[str, bool]]] = {
            pair: Counter() for pair in self._firsts
        }
        self.conflicts: list[Conflict] = []

    def add(self, cve_id: str, labels: Labels) -> None:
        """Add the labels of one record."""
        for pair, firsts in self._firsts.items():
            ours, theirs = labels[pair[0]], labels[pair[1]]
            if not ours or not theirs:
                continue
            firsts[ours[0], theirs[0]] += 1
            self._years[pair][year_of(cve_id), ours[0] == theirs[0]] += 1
            shared = set(ours) & set(theirs)
            self._sets[pair]["equal"] += set(ours) == set(theirs)
            self._sets[pair]["overlapping"] += bool(shared)
            if ours[0] != theirs[0]:
                relation = self._graph.relation(ours[0], theirs[0])
                both = {ours[0], theirs[0]} <= shared
                self.conflicts.append(
                    Conflict(cve_id, pair[0], ours[0], pair[1], theirs[0], relation, both)
                )

    def to_json(self) -> list[Json]:
        """Return the figures of each pair of sources that ever labelled the same record."""
        return [
            self._pair(*pair, firsts) for pair, firsts in self._firsts.items() if firsts.total()
        ]

    def _pair(self, source: str, other: str, firsts: Counter[tuple[str, str]]) -> Json:
        both = firsts.total()
        relations: Counter[str] = Counter()
        in_view = 0
        for (label, against), count in firsts.items():
            relations[self._graph.relation(label, against)] += count
            in_view += count * self._graph.same_in_view_1003(label, against)
        sets = self._sets[source, other]
        return {
            "sources": [source, other],
            "records": both,
            "first_label": part(relations["equal"], both),
            "or_parent_or_child": part(sum(relations[name] for name in _NEAR), both),
            "same_in_view_1003": part(in_view, both),
            "sets_equal": part(sets["equal"], both),
            "sets_overlapping": part(sets["overlapping"], both),
            "relations": {name: part(relations[name], both) for name in RELATIONS},
            "by_year_of_id": self._by_year(source, other),
            "commonest_conflicts": self._commonest(firsts),
        }

    def _by_year(self, *pair: str) -> list[Json]:
        counts = self._years[pair[0], pair[1]]
        return [
            {
                "year": year,
                "records": (both := counts[year, True] + counts[year, False]),
                "first_label": part(counts[year, True], both),
            }
            for year in sorted({year for year, _ in counts})
        ]

    def _commonest(self, firsts: Counter[tuple[str, str]]) -> list[Json]:
        differing = [(count, *pair) for pair, count in firsts.items() if pair[0] != pair[1]]
        ranked = sorted(differing, key=lambda row: (-row[0], *row[1:]))
        return [
            {
                "label": label,
                "other_label": other,
                "records": count,
                "relation": self._graph.relation(label, other),
            }
            for count, label, other in ranked[:_SHOWN]
        ]


class Discouraged:
    """Counts of primary labels that are Discouraged or Prohibited, and of what others say.

    `better` names the neighbour of a label, given other labels with their shares: here those that
    other sources give to the same records, where they do so for some.
    """

    def __init__(self, catalogue: Mapping[str, Weakness], better: Better) -> None:
        self._catalogue = catalogue
        self._better = better
        self._labelled = 0
        self._counts: Counter[str] = Counter()
        self._others: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, labels: Labels) -> None:
        """Add the labels of one record."""
        primary = primary_label(labels)
        if primary is None:
            return
        self._labelled += 1
        source, label = primary
        if usage(label, self._catalogue) in ADVISED_AGAINST:
            self._counts[label] += 1
            others = {c for other in LABEL_SOURCES if other != source for c in labels[other]}
            self._others[label].update(others - {label})

    def to_json(self) -> Json:
        """Return how many records carry such a label, and the commonest of them."""
        ranked = sorted(self._counts.items(), key=lambda row: (-row[1], row[0]))
        return {
            "records": part(self._counts.total(), self._labelled) if self._labelled else None,
            "classes": [self._class(cwe, count) for cwe, count in ranked[:_SHOWN]],
            "other_classes": len(ranked[_SHOWN:]),
        }

    def _class(self, cwe: str, count: int) -> Json:
        others = self._others[cwe]
        enough = [(other, n) for other, n in others.items() if n >= _FEWEST]
        ranked = sorted(enough, key=lambda row: (-row[1], row[0]))
        better = self._better(cwe, [(other, n / count) for other, n in ranked])
        return {
            "cwe": cwe,
            "name": self._catalogue[cwe].name,
            "usage": usage(cwe, self._catalogue),
            "records": count,
            "better": {
                "cwe": better,
                "name": self._catalogue[better].name,
                "records_so_labelled_by_another_source": others[better],
            }
            if better
            else None,
        }
