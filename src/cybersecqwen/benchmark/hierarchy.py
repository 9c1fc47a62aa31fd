"""Say how near a wrong CWE came: its place in the CWE hierarchy against that of the gold.

>>> from cybersecqwen.embedded.artifacts import load_catalogue
>>> graph = CweGraph(load_catalogue())
>>> graph.relation("CWE-74", "CWE-79")      # Injection, for cross-site scripting
'parent'
>>> sorted(graph.in_view_1003("CWE-121"))   # a stack overflow is an out-of-bounds write there
['CWE-787']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from cybersecqwen.benchmark.breakdown import Pairs, count_pairs, count_predicted, part
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness

RELATIONS = (
    "exact",
    "parent",
    "child",
    "same_pillar",
    "other",
    "not_a_weakness",
    "not_in_catalogue",
    "unparseable",
)
_RESEARCH, _SIMPLIFIED = "1000", "1003"

# The members of view 1003 that have neither parent nor child there, which the parents of
# the catalogue's entries do not show (CWE 4.16).
_ALONE_IN_1003 = frozenset({"CWE-269", "CWE-326", "CWE-697", "CWE-755", "CWE-922"})


class CweGraph:
    """The catalogue as a graph; what was walked once is remembered."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self.view_1003 = _members(catalogue)
        self.pillars = cache(self._pillars)
        self.in_view_1003 = cache(self._in_view_1003)

    def relation(self, predicted: str | None, gold: str) -> str:
        """Name which of RELATIONS a prediction has to the gold.

        "parent" and "child" are one step in view 1000 from the gold, so a parent is too
        general; "same_pillar" have a pillar above both, or are one. A prediction that is
        "not_a_weakness" is a category or a view.
        """
        if predicted is None:
            return "unparseable"
        if predicted == gold:
            return "exact"
        if predicted not in self._catalogue:
            return "not_in_catalogue"
        if self._catalogue[predicted].kind != "weakness":
            return "not_a_weakness"
        return self._kinship(predicted, gold)

    def _kinship(self, predicted: str, gold: str) -> str:
        if predicted in self._parents(gold, _RESEARCH):
            return "parent"
        if gold in self._parents(predicted, _RESEARCH):
            return "child"
        return "other" if self.pillars(predicted).isdisjoint(self.pillars(gold)) else "same_pillar"

    def usage(self, cwe_id: str) -> str:
        """Give what MITRE says of mapping to an entry, in lower case; "" where it says nothing.

        Categories, views and deprecated entries are prohibited whether the catalogue's file
        says so or not.
        """
        entry = self._catalogue.get(cwe_id)
        if entry is None:
            return ""
        retired = entry.kind != "weakness" or entry.status == "Deprecated"
        return "prohibited" if retired else entry.usage.lower()

    def _pillars(self, cwe_id: str) -> frozenset[str]:
        """Find the pillars above an entry, or itself if it is one."""
        above = [c for level in self._levels(cwe_id, _RESEARCH) for c in level]
        known = [c for c in above if c in self._catalogue]
        return frozenset(c for c in known if self._catalogue[c].abstraction == "Pillar")

    def _in_view_1003(self, cwe_id: str) -> frozenset[str]:
        """Map an entry to its nearest ancestors-or-self in view 1003, or to itself without any."""
        levels = self._levels(cwe_id, _RESEARCH, _SIMPLIFIED)
        found = (level & self.view_1003 for level in levels)
        return next(filter(None, found), frozenset({cwe_id}))

    def _levels(self, cwe_id: str, *views: str) -> Iterator[frozenset[str]]:
        """Yield an entry, its parents, their parents and so on, each where it is met first."""
        seen: frozenset[str] = frozenset()
        level = frozenset({cwe_id})
        while level:
            yield level
            seen |= level
            level = frozenset(p for c in level for p in self._parents(c, *views)) - seen

    def _parents(self, cwe_id: str, *views: str) -> Iterator[str]:
        if entry := self._catalogue.get(cwe_id):
            for view in views:
                yield from entry.parents.get(view, ())


def _members(catalogue: Mapping[str, Weakness]) -> frozenset[str]:
    """Find the members of view 1003: those with a parent or a child in it, and those alone."""
    children = {c for c, entry in catalogue.items() if _SIMPLIFIED in entry.parents}
    parents = {p for c in children for p in catalogue[c].parents[_SIMPLIFIED]}
    return frozenset(children | parents | (_ALONE_IN_1003 & catalogue.keys()))


def hierarchy(
    predictions: Sequence[Sequence[str | None]],
    golds: Sequence[str],
    catalogue: Mapping[str, Weakness],
) -> Json:
    """Count how near predictions come to the gold in the CWE hierarchy.

    `relations` counts every answer once (see `CweGraph.relation`), `credit` adds up the near
    ones, and `ids` lists the ids that are no weakness or no entry. `view_1003.agreement` is
    the share of answers that view 1003 puts with the gold: both are mapped to their nearest
    ancestors-or-self there, any of equally near ones counts, and an entry without any stands
    for itself, so that an exact answer always agrees. `usage` is the share of mappings
    that MITRE discourages or prohibits, of all answers beside that of the items' golds.
    """
    pairs = count_pairs(predictions, golds)
    graph, n = CweGraph(catalogue), pairs.total()
    relations: Counter[str] = Counter()
    ids: dict[str, Counter[str]] = {"not_in_catalogue": Counter(), "not_a_weakness": Counter()}
    for (predicted, gold), count in pairs.items():
        relation = graph.relation(predicted, gold)
        relations[relation] += count
        if predicted is not None and relation in ids:
            ids[relation][predicted] += count
    exact, near = relations["exact"], relations["parent"] + relations["child"]
    predicted_ids, gold_ids = count_predicted(pairs), Counter(golds)
    return {
        "answers": n,
        "relations": {name: part(relations[name], n) for name in RELATIONS},
        "ids": {name: dict(found.most_common()) for name, found in ids.items()},
        "credit": {
            "exact": part(exact, n),
            "or_parent_or_child": part(exact + near, n),
            "or_same_pillar": part(exact + near + relations["same_pillar"], n),
        },
        "view_1003": {
            "agreement": part(_agreeing(graph, pairs), n),
            "predicted_inside": part(_inside(graph, predicted_ids), n),
            "gold_inside": part(_inside(graph, gold_ids), len(golds)),
        },
        "usage": {
            "predicted": _usage(graph, predicted_ids, n),
            "gold": _usage(graph, gold_ids, len(golds)),
        },
    }


def _agreeing(graph: CweGraph, pairs: Pairs) -> int:
    return sum(
        n
        for (predicted, gold), n in pairs.items()
        if predicted is not None
        and not graph.in_view_1003(predicted).isdisjoint(graph.in_view_1003(gold))
    )


def _inside(graph: CweGraph, ids: Counter[str]) -> int:
    return sum(n for cwe_id, n in ids.items() if cwe_id in graph.view_1003)


def _usage(graph: CweGraph, ids: Counter[str], whole: int) -> Json:
    counts: Counter[str] = Counter()
    for cwe_id, n in ids.items():
        counts[graph.usage(cwe_id)] += n
    return {usage: part(counts[usage], whole) for usage in ("discouraged", "prohibited")}
