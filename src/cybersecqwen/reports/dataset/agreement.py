"""Where the sources of labels agree, and the list of where they do not.

    agreement = Agreement(CweGraph(catalogue))
    agreement.add("CVE-2021-1", {"nvd": ("CWE-119",), "cna": ("CWE-787",), "cisa_adp": ()})
    agreement.conflicts[0].relation       # 'parent': NVD's label is more general

Two sources conflict over a record where their first labels differ; the first label is the
primary one.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import NamedTuple

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.graph import RELATIONS, CweGraph
from cybersecqwen.files import Json
from cybersecqwen.reports.dataset.labels import SOURCES, Labels, year_of

_SHOWN = 25
_NEAR = ("equal", "parent", "child")


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
            pair: Counter() for pair in combinations(SOURCES, 2)
        }
        self._sets: dict[tuple[str, str], Counter[str]] = {pair: Counter() for pair in self._firsts}
        self._years: dict[tuple[str, str], Counter[tuple[str, bool]]] = {
            pair: Counter() for pair in self._firsts
        }
        self.conflicts: list[Conflict] = []

    def add(self, cve_id: str, labels: Labels) -> None:
        """Take in the labels of one record."""
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
        """Give the figures of each pair of sources that ever labelled the same record."""
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
