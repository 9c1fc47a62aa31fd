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
_STRANGER = 0.1  # what the share of an entry counts that is no relative
_LIKELY = 0.005  # below it nothing in the text speaks for an entry


# Entries that were published without a mapping usage, and that vulnerabilities are mapped to.
_ALLOWED_UNSTATED = frozenset({"CWE-1427"})


def mapping_usage(entry: Weakness, *, unstated: str = "Prohibited") -> str:
    """Return MITRE's mapping usage: Allowed, Allowed-with-Review, Discouraged or Prohibited.

    Categories, views and deprecated entries are Prohibited whether the catalogue says so or not.
    `unstated` is what to say of a weakness of which it says nothing: most are of mere code
    quality, which no vulnerability should be mapped to.
    """
    if entry.kind != "weakness" or entry.status == "Deprecated":
        return "Prohibited"
    if not entry.usage and entry.cwe_id in _ALLOWED_UNSTATED:
        return "Allowed"
    return entry.usage or unstated


class MappingAdvice:
    """Names the neighbour to map to, for any entry of a catalogue that is advised against."""

    def __init__(self, catalogue: Mapping[str, Weakness]) -> None:
        self._catalogue = catalogue
        self._graph = CweGraph(catalogue)
        usages = {cwe: mapping_usage(entry) for cwe, entry in catalogue.items()}
        self._against = frozenset(cwe for cwe, usage in usages.items() if usage in ADVISED_AGAINST)
        self._families: dict[str, tuple[frozenset[str], str]] = {}

    def better(self, cwe: str, ranked: Sequence[tuple[str, float]]) -> str:
        """Return the entry that fits a text better; "" where `cwe` may be mapped to.

        `ranked` are CWEs with their shares for the text. The likeliest entry that may be mapped to
        is taken, relatives of `cwe` (its descendants, its peers, what MITRE suggests) counting
        many times as much as others. Where none of them is likely it is what MITRE suggests, else
        the nearest Allowed descendant, else a parent that is not advised against, else the
        likeliest of the others. "" also where there is none of these.
        """
        if cwe not in self._against:
            return ""
        relatives, fallback = self._family(cwe)
        fitting = [
            (share if other in relatives else share * _STRANGER, other)
            for other, share in ranked
            if other not in self._against and other in self._catalogue
        ]
        share, best = max(fitting, key=lambda pair: pair[0], default=(0.0, ""))
        return best if share >= _LIKELY or not fallback else fallback

    def _family(self, cwe: str) -> tuple[frozenset[str], str]:
        """Return the Allowed descendants and peers, and what to name if none of them is ranked."""
        if cwe not in self._families:
            below = [c for c in self._graph.descendants(cwe) if self._allowed(c)]
            parents = self._graph.parents(cwe)
            peers = [c for p in parents for c in self._graph.children(p) if self._allowed(c)]
            self._families[cwe] = (
                frozenset([*below, *peers, *self._catalogue[cwe].suggestions]) - {cwe},
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
