"""The CWE catalogue as a graph: parents, children, pillars, and how two entries are related.

>>> from cybersecqwen.cwe.catalogue import load_catalogue
>>> graph = CweGraph(load_catalogue())
>>> graph.kinship("CWE-74", "CWE-79")       # Injection, and cross-site scripting
'parent'
>>> sorted(graph.in_view_1003("CWE-121"))   # a stack overflow is an out-of-bounds write there
['CWE-787']
>>> graph.relation("CWE-264", "CWE-79")     # a category
'not a weakness'
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from functools import cache

from cybersecqwen.cwe.catalogue import kind
from cybersecqwen.records import Weakness

KINSHIP = ("equal", "parent", "child", "sibling", "same pillar", "unrelated")
RELATIONS = (*KINSHIP, "not a weakness", "not in the catalogue")
# Views: research concepts, and the simplified mapping that NVD labels with.
RESEARCH, SIMPLIFIED = "1000", "1003"

# The members of view 1003 that have neither parent nor child there, which the parents of
# the catalogue's entries do not show (CWE 4.16).
_ALONE_IN_1003 = frozenset({"CWE-269", "CWE-326", "CWE-697", "CWE-755", "CWE-922"})


class CweGraph:
    """The entries of a catalogue with their parents by view; what was walked is remembered."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self._children: dict[str, list[str]] = defaultdict(list)
        for cwe_id in catalogue:
            for parent in dict.fromkeys(self.parents(cwe_id)):
                self._children[parent].append(cwe_id)
        self.view_1003 = _members(catalogue)
        self.pillars = cache(self._pillars)
        self.in_view_1003 = cache(self._in_view_1003)
        self.relation = cache(self._relation)

    def parents(self, cwe_id: str, *views: str) -> list[str]:
        """List the parents of an entry in some views, or in all where none is named."""
        entry = self._catalogue.get(cwe_id)
        if entry is None:
            return []
        return [p for view in views or entry.parents for p in entry.parents.get(view, ())]

    def children(self, cwe_id: str) -> list[str]:
        """List the entries below one in any view, in the catalogue's order."""
        return self._children.get(cwe_id, [])

    def descendants(self, cwe_id: str) -> Iterator[str]:
        """Yield the entries below one at any depth, the nearest first."""
        seen, waiting = {cwe_id}, deque([cwe_id])
        while waiting:
            for child in self.children(waiting.popleft()):
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
                    yield child

    def kinship(self, first: str, second: str, *views: str) -> str:
        """Return which of KINSHIP the first of two entries is to the second.

        "parent", "child" and "sibling" are one step in the views, by default in view 1000;
        those of the "same pillar" have a pillar above both, or are one.
        """
        if first == second:
            return "equal"
        views = views or (RESEARCH,)
        above_first, above_second = self.parents(first, *views), self.parents(second, *views)
        if first in above_second:
            return "parent"
        if second in above_first:
            return "child"
        if not set(above_first).isdisjoint(above_second):
            return "sibling"
        apart = self.pillars(first).isdisjoint(self.pillars(second))
        return "unrelated" if apart else "same pillar"

    def _relation(self, first: str, second: str) -> str:
        """Return which of RELATIONS the first of two labels is to the second, in either view.

        Where one of them is a category or a view, they are related as "not a weakness".
        """
        kinds = {kind(first, self._catalogue), kind(second, self._catalogue)}
        if first != second and "not in the catalogue" in kinds:
            return "not in the catalogue"
        if first != second and kinds & {"category", "view"}:
            return "not a weakness"
        return self.kinship(first, second, RESEARCH, SIMPLIFIED)

    def same_in_view_1003(self, first: str, second: str) -> bool:
        """Say whether two entries have an equal nearest ancestor-or-self in view 1003."""
        return not self.in_view_1003(first).isdisjoint(self.in_view_1003(second))

    def _pillars(self, cwe_id: str) -> frozenset[str]:
        """Return the pillars above an entry, or itself if it is one."""
        above = [c for level in self._levels(cwe_id, RESEARCH) for c in level]
        known = [c for c in above if c in self._catalogue]
        return frozenset(c for c in known if self._catalogue[c].abstraction == "Pillar")

    def _in_view_1003(self, cwe_id: str) -> frozenset[str]:
        """Map an entry to its nearest ancestors-or-self in view 1003, or to itself without any."""
        levels = self._levels(cwe_id, RESEARCH, SIMPLIFIED)
        members = (level & self.view_1003 for level in levels)
        return next(filter(None, members), frozenset({cwe_id}))

    def _levels(self, cwe_id: str, *views: str) -> Iterator[frozenset[str]]:
        """Yield an entry, its parents, their parents and so on, each where it is met first."""
        seen: frozenset[str] = frozenset()
        level = frozenset({cwe_id})
        while level:
            yield level
            seen |= level
            level = frozenset(p for c in level for p in self.parents(c, *views)) - seen


def _members(catalogue: Mapping[str, Weakness]) -> frozenset[str]:
    """Return the members of view 1003: those with a parent or child in it, and those alone."""
    children = {c for c, entry in catalogue.items() if SIMPLIFIED in entry.parents}
    parents = {p for c in children for p in catalogue[c].parents[SIMPLIFIED]}
    return frozenset(children | parents | (_ALONE_IN_1003 & catalogue.keys()))
