"""What the knowledge base relates to weaknesses: mitigations, attack patterns, techniques.

>>> related = relate(["CWE-798"])
>>> [(t.technique, t.capec) for t in related.techniques]
[('T1552.001', 'CAPEC-191'), ('T1078.001', 'CAPEC-70')]

A technique of ATT&CK is the one that CAPEC says is the same as an attack pattern that exploits
the weakness. The texts of mitigations are there once the knowledge base is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from cybersecqwen.embedded.knowledge import KnowledgeIndex, open_knowledge
from cybersecqwen.records import Entry


class Mitigations(NamedTuple):
    """The mitigations that CWE has for a weakness; `texts` is empty where none are installed."""

    cwe: str
    number: int
    texts: tuple[str, ...]
    url: str


class AttackPattern(NamedTuple):
    """An attack pattern of CAPEC that exploits a weakness."""

    cwe: str
    capec: str
    name: str
    url: str


class Technique(NamedTuple):
    """A technique of ATT&CK, and the attack pattern by which it exploits a weakness."""

    cwe: str
    capec: str
    technique: str
    name: str
    url: str


class Related(NamedTuple):
    """What belongs to some weaknesses, in their order; `releases` are those of the sources."""

    mitigations: tuple[Mitigations, ...]
    patterns: tuple[AttackPattern, ...]
    techniques: tuple[Technique, ...]
    releases: tuple[str, ...]
    has_texts: bool


def relate(weaknesses: Iterable[str]) -> Related:
    """Collect what the knowledge base has for weaknesses, by their ids."""
    known = list(filter(None, map(_of_weakness, weaknesses)))
    index = knowledge()
    return Related(
        tuple(mitigations for mitigations, _, _ in known),
        tuple(pattern for _, patterns, _ in known for pattern in patterns),
        tuple(technique for _, _, techniques in known for technique in techniques),
        tuple(f"{source['name']} {source['version']}" for source in index.sources),
        index.has_texts,
    )


@cache
def _of_weakness(
    cwe: str,
) -> tuple[Mitigations, tuple[AttackPattern, ...], tuple[Technique, ...]] | None:
    index = knowledge()
    position = index.position(cwe)
    if position is None:
        return None
    patterns = index.related(position, "exploits", inverse=True)
    return (
        _mitigations(index, cwe, position),
        tuple(_pattern(cwe, index.entries[pattern]) for pattern in patterns),
        tuple(one for pattern in patterns for one in _techniques(index, cwe, pattern)),
    )


def _mitigations(index: KnowledgeIndex, cwe: str, position: int) -> Mitigations:
    passages = index.passages(position, "mitigation")
    texts = [index.evidence(passage, 0).passage for passage in passages]
    return Mitigations(cwe, len(passages), tuple(filter(None, texts)), index.entries[position].url)


def _pattern(cwe: str, entry: Entry) -> AttackPattern:
    return AttackPattern(cwe, entry.entry_id, entry.name, entry.url)


def _techniques(index: KnowledgeIndex, cwe: str, pattern: int) -> Iterator[Technique]:
    for target in index.related(pattern, "same as"):
        if target < len(index.entries):  # the others are words of CAPEC's that name no entry
            entry, capec = index.entries[target], index.entries[pattern].entry_id
            yield Technique(cwe, capec, entry.entry_id, entry.name, entry.url)


@cache
def knowledge() -> KnowledgeIndex:
    """Open the knowledge base, once: the one that is installed, else the one that ships."""
    return open_knowledge()
