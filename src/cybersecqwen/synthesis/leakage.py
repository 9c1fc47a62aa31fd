"""The facts that a benchmark asks for: no pair may give them away, however they are worded.

No rule on the words of a text sees that "User Account Management mitigates T1580" answers an item
about T1580. Two rules on facts do.

- `benchmark-fact`: an item of cti-mcq links to the page of an entry, and the fact joins that entry
  with the item's right option: its words, or most of them. Other facts of the entry may be asked.
- `benchmark-entry`: an item of cti-ate links to the page of a software or group, and its answer are
  the techniques of it. No fact about that entry may be asked.

>>> item = Item("cti-mcq", 7, "", "C", "https://attack.mitre.org/techniques/T1087/002/", "",
...             ("M1031", "M1026", "User Account Management", "M1033"))
>>> facts = BenchmarkFacts({"cti-mcq": (item,)}, {"M1018": "User Account Management"})
>>> facts.hit(Fact("M1018", "mitigates", "T1087.002"))
('benchmark-fact', 'cti-mcq/7')
>>> facts.hit(Fact("T1087.002", "tactic", "TA0007"))
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from cybersecqwen.contamination import tokens
from cybersecqwen.cwe.rationale import STOP_WORDS
from cybersecqwen.records import Fact, Item

_PAGE = re.compile(
    r"attack\.mitre\.org/\w+/([A-Z]+\d{4})(?:/(\d{3}))?"
    r"|(cwe|capec)\.mitre\.org/data/definitions/(\d+)"
)
_SHARE = 0.8  # of a gold option's words that an answer repeats
_FEW = 3  # words of a gold option from which a share of them counts


class BenchmarkFacts:
    """The right options of a benchmark's items, by the entry whose page they link to."""

    def __init__(self, benchmark: Mapping[str, Iterable[Item]], names: Mapping[str, str]) -> None:
        self._names = names
        self._golds: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._entries: dict[str, str] = {}
        for item in benchmark.get("cti-mcq", ()):
            gold = tokens(item.options["ABCD".index(item.gold)]) if item.options else ()
            page = page_of(item.url)
            if page and gold:
                self._golds[page].append((gold, f"cti-mcq/{item.index}"))
        for item in benchmark.get("cti-ate", ()):
            page = page_of(item.url)
            if page:
                self._entries.setdefault(page, f"cti-ate/{item.index}")

    def hit(self, fact: Fact) -> tuple[str, str] | None:
        """Return the rule and the item that a fact gives away, or None."""
        for entry, other in ((fact.subject, fact.target), (fact.target, fact.subject)):
            if entry in self._entries:
                return "benchmark-entry", self._entries[entry]
            for gold, item in self._golds.get(entry, ()):
                if self._says(other, gold):
                    return "benchmark-fact", item
        return None

    def _says(self, other: str, gold: tuple[str, ...]) -> bool:
        """Tell whether an entry or words are what an option says, in its words or most of them."""
        named = tokens(other), tokens(self._names.get(other, ""))
        if any(_within(one, gold) or _within(gold, one) for one in named if one):
            return True
        wanted = {word for word in gold if word not in STOP_WORDS}
        said = set(named[0]) | set(named[1])
        return len(wanted) >= _FEW and len(wanted & said) >= _SHARE * len(wanted)


def page_of(url: str) -> str:
    """Read the id of the entry whose page a link leads to; "" for any other link.

    >>> page_of("http://capec.mitre.org/data/definitions/66.html")
    'CAPEC-66'
    """
    match = _PAGE.search(url)
    if match is None:
        return ""
    entry, part, base, number = match.groups()
    if base:
        return f"{base.upper()}-{number}"
    return f"{entry}.{part}" if part else str(entry)


def _within(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Tell whether words stand in a row among others."""
    size = len(short)
    return any(long[i : i + size] == short for i in range(len(long) - size + 1))
