"""Where candidates and labels stand in the CWE catalogue, and a search in it by id or name.

>>> [root] = tree([("CWE-89", 0.9), ("CWE-79", 0.05)], {"CWE-89": ["NVD"]})
>>> root.cwe, root.children[0].cwe
('CWE-707', 'CWE-74')
>>> [entry.cwe_id for entry in search("xss")[:1]]
['CWE-79']
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from cybersecqwen.analyst.related import knowledge
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.graph import RESEARCH, CweGraph
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.cwe.mapping import mapping_usage
from cybersecqwen.embedded.linking import named
from cybersecqwen.embedded.tokenizer import words
from cybersecqwen.records import Weakness

_USAGES = ("Allowed", "Allowed-with-Review", "Discouraged", "Prohibited")
_LONGEST = 200  # characters of a search


@dataclass
class Node:
    """An entry of view 1000 above or among the candidates."""

    cwe: str
    name: str
    abstraction: str
    usage: str
    confidence: float | None = None  # of a candidate
    givers: Sequence[str] = ()  # the sources that label the record so
    children: list[Node] = field(default_factory=list)


def tree(
    candidates: Sequence[tuple[str, float]], labels: Mapping[str, Sequence[str]]
) -> list[Node]:
    """Return the roots of the tree that holds all candidates and labels, up to the pillars."""
    nodes: dict[str, Node] = {}
    roots: list[Node] = []
    shares = dict(candidates)
    for cwe in [*shares, *labels]:
        below: Node | None = None
        for step in _upwards(cwe):
            begun = step in nodes
            node = nodes.setdefault(step, _node(step, shares.get(step), labels.get(step, ())))
            if below and below not in node.children:
                node.children.append(below)
            below = node
            if begun:
                break
        else:
            if below:
                roots.append(below)
    return roots


def _node(cwe: str, confidence: float | None, givers: Sequence[str]) -> Node:
    entry = load_catalogue()[cwe]
    abstraction = entry.abstraction or entry.kind
    return Node(cwe, entry.name, abstraction, mapping_usage(entry), confidence, givers)


def _upwards(cwe: str) -> Iterator[str]:
    """Yield an entry and what stands above it, by the first parent of each in view 1000."""
    seen: set[str] = set()
    while cwe in load_catalogue() and cwe not in seen:
        yield cwe
        seen.add(cwe)
        cwe = next(iter(_graph().parents(cwe, RESEARCH)), "")


@cache
def _graph() -> CweGraph:
    return CweGraph(load_catalogue())


def search(text: str, *, limit: int = 12) -> list[Weakness]:
    """Find weaknesses by an id, the beginning of one, the words of a name, or another name.

    Entries that may be mapped to stand before those that MITRE advises against.
    """
    text = normalise_ids(text.strip()[:_LONGEST])
    if not text:
        return []
    catalogue = load_catalogue()
    chosen = dict.fromkeys([*_by_id(text), *_by_other_name(text), *_by_words(text)])
    return [catalogue[cwe] for cwe in chosen if cwe in _weaknesses()][:limit]


def _by_id(text: str) -> Iterator[str]:
    digits = text.upper().removeprefix("CWE").lstrip("- ")
    if digits.isascii() and digits.isdigit():
        numbers = [cwe for cwe in _weaknesses() if cwe[4:].startswith(digits)]
        yield from sorted(numbers, key=lambda cwe: int(cwe[4:]))


def _by_other_name(text: str) -> Iterator[str]:
    """Yield what the knowledge base knows by this name, such as XSS."""
    entries = knowledge().entries
    for subject in named(knowledge(), text, everyday=True):
        yield from (entries[position].entry_id for position in subject.positions)


def _by_words(text: str) -> list[str]:
    """List the entries in whose name each word begins one, those of view 1003 first."""
    begun = words(text)
    if not begun:
        return []
    hits = [
        cwe
        for cwe, name in _weaknesses().items()
        if all(any(word.startswith(start) for word in name) for start in begun)
    ]
    return sorted(hits, key=_rank)


def _rank(cwe: str) -> tuple[int, bool, int]:
    """Rank by mapping usage, whether vulnerabilities are commonly mapped to it, and its length."""
    entry = load_catalogue()[cwe]
    return _USAGES.index(mapping_usage(entry)), cwe not in _graph().view_1003, len(entry.name)


@cache
def _weaknesses() -> dict[str, tuple[str, ...]]:
    """Return the words of the name of each weakness that is not deprecated."""
    return {
        cwe: tuple(words(entry.name))
        for cwe, entry in load_catalogue().items()
        if entry.kind == "weakness" and entry.status != "Deprecated"
    }
