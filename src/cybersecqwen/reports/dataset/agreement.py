"""Disagreement between the sources of labels, and labels that MITRE advises against.

    labels = {"nvd": ("CWE-119",), "cna": ("CWE-787",), "cisa_adp": ()}
    next(conflicts_of("CVE-2021-1", labels, graph)).relation    # 'parent': NVD's is more general
    agreement(records, graph)[0]["first_label"]["share"]

Two sources conflict over a record where their first labels differ; the first label is the
primary one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import NamedTuple

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.graph import RELATIONS, CweGraph
from cybersecqwen.cwe.label import LABEL_SOURCES, Labels
from cybersecqwen.cwe.mapping import ADVISED_AGAINST
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness
from cybersecqwen.reports.dataset.label_counts import Labellings, usage

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


def conflicts_of(cve_id: str, labels: Labels, graph: CweGraph) -> Iterator[Conflict]:
    """Yield the conflicts over one record."""
    for source, other in combinations(LABEL_SOURCES, 2):
        ours, theirs = labels[source], labels[other]
        if ours and theirs and ours[0] != theirs[0]:
            label, against = ours[0], theirs[0]
            order_only = label in theirs and against in ours
            relation = graph.relation(label, against)
            yield Conflict(cve_id, source, label, other, against, relation, order_only)


def agreement(records: Labellings, graph: CweGraph) -> list[Json]:
    """Return the figures of each pair of sources that ever labelled the same record."""
    pairs = [_pair(*pair, records, graph) for pair in combinations(LABEL_SOURCES, 2)]
    return [pair for pair in pairs if pair]


def _pair(source: str, other: str, records: Labellings, graph: CweGraph) -> Json | None:
    firsts: Counter[tuple[str, str]] = Counter()
    years: Counter[tuple[str, bool]] = Counter()  # by whether the first labels are the same
    equal = overlapping = 0
    for of, count in records.items():
        ours, theirs = of.labels[source], of.labels[other]
        if ours and theirs:
            firsts[ours[0], theirs[0]] += count
            years[of.by_id, ours[0] == theirs[0]] += count
            equal += count * (set(ours) == set(theirs))
            overlapping += count * (not set(ours).isdisjoint(theirs))
    if not firsts:
        return None
    both = firsts.total()
    relations: Counter[str] = Counter()
    in_view = 0
    for (label, against), count in firsts.items():
        relations[graph.relation(label, against)] += count
        in_view += count * graph.same_in_view_1003(label, against)
    return {
        "sources": [source, other],
        "records": both,
        "first_label": part(relations["equal"], both),
        "or_parent_or_child": part(sum(relations[name] for name in _NEAR), both),
        "same_in_view_1003": part(in_view, both),
        "sets_equal": part(equal, both),
        "sets_overlapping": part(overlapping, both),
        "relations": {name: part(relations[name], both) for name in RELATIONS},
        "by_year_of_id": [
            {
                "year": year,
                "records": (labelled := years[year, True] + years[year, False]),
                "first_label": part(years[year, True], labelled),
            }
            for year in sorted({year for year, _ in years})
        ],
        "commonest_conflicts": _commonest(firsts, graph),
    }


def _commonest(firsts: Counter[tuple[str, str]], graph: CweGraph) -> list[Json]:
    differing = [(count, *pair) for pair, count in firsts.items() if pair[0] != pair[1]]
    ranked = sorted(differing, key=lambda row: (-row[0], *row[1:]))
    return [
        {
            "label": label,
            "other_label": other,
            "records": count,
            "relation": graph.relation(label, other),
        }
        for count, label, other in ranked[:_SHOWN]
    ]


def discouraged(records: Labellings, catalogue: Mapping[str, Weakness], better: Better) -> Json:
    """Count primary labels that are Discouraged or Prohibited, and what other sources say.

    `better` names the neighbour of a label, given other labels with their shares: here those that
    other sources give to the same records, where they do so for some.
    """
    labelled: Counter[str] = Counter()
    others: dict[str, Counter[str]] = defaultdict(Counter)
    for of, count in records.items():
        if of.primary:
            label = of.primary.cwe
            labelled[label] += count
            by_others = (of.labels[s] for s in LABEL_SOURCES if s != of.primary.source)
            for other in {*chain.from_iterable(by_others)} - {label}:
                others[label][other] += count
    advised = {c: n for c, n in labelled.items() if usage(c, catalogue) in ADVISED_AGAINST}
    ranked = sorted(advised.items(), key=lambda row: (-row[1], row[0]))

    def row(cwe: str, count: int) -> Json:
        named = sorted(others[cwe].items(), key=lambda row: (-row[1], row[0]))
        neighbour = better(cwe, [(other, n / count) for other, n in named if n >= _FEWEST])
        return {
            "cwe": cwe,
            "name": catalogue[cwe].name,
            "usage": usage(cwe, catalogue),
            "records": count,
            "better": {
                "cwe": neighbour,
                "name": catalogue[neighbour].name,
                "records_so_labelled_by_another_source": others[cwe][neighbour],
            }
            if neighbour
            else None,
        }

    return {
        "records": part(sum(advised.values()), labelled.total()) if labelled else None,
        "classes": [row(cwe, count) for cwe, count in ranked[:_SHOWN]],
        "other_classes": len(ranked[_SHOWN:]),
    }
