"""How MITRE wants an entry used in mapping, and what to map to where it advises against one.

>>> from cybersecqwen.cwe.catalogue import load_catalogue
>>> advice = MappingAdvice(load_catalogue())
>>> advice.better("CWE-119", [("CWE-119", 0.6), ("CWE-787", 0.2), ("CWE-125", 0.1)])
'CWE-787'
>>> advice.better("CWE-787", [("CWE-787", 0.9)])
''
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cybersecqwen.cwe.graph import SIMPLIFIED, CweGraph
from cybersecqwen.records import Weakness

ADVISED_AGAINST = ("Discouraged", "Prohibited")


def mapping_usage(entry: Weakness, *, unstated: str = "Prohibited") -> str:
    """Return MITRE's mapping usage: Allowed, Allowed-with-Review, Discouraged or Prohibited.

    Categories, views and deprecated entries are Prohibited whether the catalogue says so or not.
    `unstated` is what to say of a weakness of which it says nothing: some of mere code quality,
    which no vulnerability should be mapped to.
    """
    if entry.kind != "weakness" or entry.status == "Deprecated":
        return "Prohibited"
    return entry.usage or unstated


class MappingAdvice:
    """Names the neighbour to map to, for any entry of a catalogue that is advised against."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self._graph = CweGraph(catalogue)
        self._families: dict[str, tuple[frozenset[str], str]] = {}

    def better(self, cwe: str, ranked: Sequence[tuple[str, float]]) -> str:
        """Return the neighbour that fits a text better; "" where `cwe` may be mapped to.

        `ranked` is the classifier's own order for the text. Of the Allowed descendants and
        peers the first in it is taken; else what MITRE suggests, else the nearest Allowed
        descendant, else a parent that is not advised against, else (for categories, which
        have no family) the first Allowed entry ranked. "" also where there is none of these.
        """
        if mapping_usage(self._catalogue[cwe]) not in ADVISED_AGAINST:
            return ""
        family, fallback = self._family(cwe)
        first = next((other for other, _ in ranked if other in family), "")
        return first or fallback or next((o for o, _ in ranked if self._allowed(o)), "")

    def _family(self, cwe: str) -> tuple[frozenset[str], str]:
        """Return the Allowed descendants and peers, and what to name if none of them is ranked."""
        if cwe not in self._families:
            below = [c for c in self._graph.descendants(cwe) if self._allowed(c)]
            parents = self._graph.parents(cwe)
            peers = [c for p in parents for c in self._graph.children(p) if self._allowed(c)]
            self._families[cwe] = (
                frozenset([*below, *peers]) - {cwe},
                next(self._instead(cwe, below, parents), ""),
            )
        return self._families[cwe]

    def _instead(self, cwe: str, below: Sequence[str], parents: Sequence[str]) -> Iterator[str]:
        """Yield what may be named whatever the text is, the best first."""
        yield from (c for c in self._catalogue[cwe].suggestions if self._allowed(c))
        # View 1003 holds the weaknesses that vulnerabilities are commonly mapped to.
        yield from (c for c in below if SIMPLIFIED in self._catalogue[c].parents)
        yield from below
        known = [self._catalogue[p] for p in parents if p in self._catalogue]
        yield from (p.cwe_id for p in known if mapping_usage(p) not in ADVISED_AGAINST)

    def _allowed(self, cwe: str) -> bool:
        entry = self._catalogue.get(cwe)
        return entry is not None and entry.usage == "Allowed"
