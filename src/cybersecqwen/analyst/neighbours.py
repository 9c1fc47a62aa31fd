"""The CWE to map to instead of one that MITRE advises against.

>>> from cybersecqwen.embedded.artifacts import load_catalogue
>>> neighbours = Neighbours(load_catalogue())
>>> neighbours.better("CWE-119", [("CWE-119", 0.6), ("CWE-787", 0.2), ("CWE-125", 0.1)])
'CWE-787'
>>> neighbours.better("CWE-787", [("CWE-787", 0.9)])
''
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence

from cybersecqwen.records import Weakness

ADVISED_AGAINST = ("Discouraged", "Prohibited")


class Neighbours:
    """The family of every entry of a catalogue: its children at any depth, and its peers."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self._children: dict[str, list[str]] = defaultdict(list)
        for entry in catalogue.values():
            for parent in dict.fromkeys(p for ids in entry.parents.values() for p in ids):
                self._children[parent].append(entry.cwe_id)
        self._families: dict[str, tuple[frozenset[str], str]] = {}

    def better(self, cwe: str, ranked: Sequence[tuple[str, float]]) -> str:
        """Name the neighbour that fits a text better; "" where `cwe` may be mapped to.

        `ranked` is the classifier's own order for the text. Of the Allowed descendants and
        peers the first in it is taken; else what MITRE suggests, else the nearest Allowed
        descendant, else a parent that is not advised against, else (for categories, which
        have no family) the first Allowed entry ranked. "" also where there is none of these.
        """
        if usage(self._catalogue[cwe]) not in ADVISED_AGAINST:
            return ""
        family, fallback = self._family(cwe)
        first = next((other for other, _ in ranked if other in family), "")
        return first or fallback or next((o for o, _ in ranked if self._allowed(o)), "")

    def _family(self, cwe: str) -> tuple[frozenset[str], str]:
        """Give the Allowed descendants and peers, and what to name if none of them is ranked."""
        if cwe not in self._families:
            below = [c for c in self._descendants(cwe) if self._allowed(c)]
            parents = [p for ids in self._catalogue[cwe].parents.values() for p in ids]
            peers = [c for p in parents for c in self._children[p] if self._allowed(c)]
            self._families[cwe] = (
                frozenset([*below, *peers]) - {cwe},
                next(self._instead(cwe, below, parents), ""),
            )
        return self._families[cwe]

    def _instead(self, cwe: str, below: Sequence[str], parents: Sequence[str]) -> Iterator[str]:
        """Yield what may be named whatever the text is, the best first."""
        yield from (c for c in self._catalogue[cwe].suggestions if self._allowed(c))
        # View 1003 holds the weaknesses that vulnerabilities are commonly mapped to.
        yield from (c for c in below if "1003" in self._catalogue[c].parents)
        yield from below
        known = [self._catalogue[p] for p in parents if p in self._catalogue]
        yield from (p.cwe_id for p in known if usage(p) not in ADVISED_AGAINST)

    def _descendants(self, cwe: str) -> Iterator[str]:
        """Walk down breadth first, the nearest first."""
        seen, waiting = {cwe}, deque([cwe])
        while waiting:
            for child in self._children[waiting.popleft()]:
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
                    yield child

    def _allowed(self, cwe: str) -> bool:
        entry = self._catalogue.get(cwe)
        return entry is not None and entry.usage == "Allowed"


def usage(entry: Weakness) -> str:
    """Give MITRE's mapping usage; an entry without one of its own is Prohibited.

    Those are the categories, the views, the deprecated entries and a few weaknesses of
    mere code quality, none of which a vulnerability may be mapped to.
    """
    return entry.usage or "Prohibited"
