"""How two labels of one record relate in the CWE hierarchy.

>>> from cybersecqwen.embedded.artifacts import load_catalogue
>>> kinship = Kinship(load_catalogue())
>>> kinship.relation("CWE-119", "CWE-787")
'parent'
>>> kinship.same_in_view_1003("CWE-121", "CWE-787")
True
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from cybersecqwen.benchmark.hierarchy import CweGraph
from cybersecqwen.records import Weakness
from cybersecqwen.reports.dataset.labels import kind

RELATIONS = (
    *("equal", "parent", "child", "sibling", "same pillar", "unrelated"),
    *("not a weakness", "not in the catalogue"),
)
_VIEWS = ("1000", "1003")  # research concepts, and the simplified mapping that NVD labels with


class Kinship:
    """The catalogue as a family; a pair that was looked up once is remembered."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self._graph = CweGraph(catalogue)
        self.relation = cache(self._relation)
        self.same_in_view_1003 = cache(self._same_in_view_1003)

    def _relation(self, first: str, second: str) -> str:
        """Name which of RELATIONS the first label is to the second.

        "parent", "child" and "sibling" are one step in view 1000 or 1003; labels of the "same
        pillar" have an ancestor in common. "not a weakness" has a category or a view in it.
        """
        if first == second:
            return "equal"
        kinds = {kind(first, self._catalogue), kind(second, self._catalogue)}
        if "not in the catalogue" in kinds:
            return "not in the catalogue"
        return "not a weakness" if kinds & {"category", "view"} else self._kin(first, second)

    def _kin(self, first: str, second: str) -> str:
        above_first, above_second = self._parents(first), self._parents(second)
        if first in above_second:
            return "parent"
        if second in above_first:
            return "child"
        if above_first & above_second:
            return "sibling"
        apart = self._graph.pillars(first).isdisjoint(self._graph.pillars(second))
        return "unrelated" if apart else "same pillar"

    def _same_in_view_1003(self, first: str, second: str) -> bool:
        """Say whether both have an equal nearest ancestor-or-self in view 1003."""
        in_view = self._graph.in_view_1003
        return not in_view(first).isdisjoint(in_view(second))

    def _parents(self, cwe_id: str) -> set[str]:
        parents = self._catalogue[cwe_id].parents
        return {parent for view in _VIEWS for parent in parents.get(view, ())}
