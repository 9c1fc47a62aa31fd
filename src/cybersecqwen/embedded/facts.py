"""Follow the facts of the knowledge index, and word them.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> start = index.position("C0024")
>>> [index.label(target) for target in follow(index, start, ">attributed to")]
['G0016 APT29']
>>> sentence(index, start, "is attributed to", follow(index, start, ">attributed to"))
'C0024 SolarWinds Compromise is attributed to G0016 APT29.'

A path is one step or several: ">" goes from a fact's subject to its target, "<" the other way, and
":" keeps the kinds named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import LEXICON

_NUMBER = re.compile(r"([A-Z]+-?)(\d+(?:\.\d+)?)\b")
LISTED = 25  # entries that a sentence names
_STEP = re.compile(r"([<>])([^<>:]+)(?::([^<>]+))?")


def follow(index: KnowledgeIndex, position: int, path: str) -> list[int]:
    """List where a path leads from an entry; of several ways first where most of them lead."""
    reached = {position: 1}
    steps = _STEP.findall(path)
    for way, relation, kinds in steps:
        kept = {kind.strip() for kind in kinds.split(",")} if kinds else set()
        reached = _onward(index, reached, relation.strip(), kept, inverse=way == "<")
    if len(steps) > 1:
        return sorted(reached, key=lambda target: (-reached[target], _place(index, target)))
    return sorted(reached, key=lambda target: _place(index, target))


def _place(index: KnowledgeIndex, target: int) -> tuple[str, float, str]:
    """Order labels as their ids are numbered: CWE-79 comes before CWE-285."""
    label = index.label(target)
    number = _NUMBER.match(label)
    return (number[1], float(number[2]), label) if number else ("", 0.0, label)


def _onward(
    index: KnowledgeIndex, reached: dict[int, int], relation: str, kinds: set[str], *, inverse: bool
) -> dict[int, int]:
    """Count for the targets of one step how many entries lead there."""
    if len(reached) == 1:
        targets = index.related(next(iter(reached)), relation, inverse=inverse)
    else:
        rows = index.facts[index.facts[:, 1] == _number(index, relation)]
        here, there = (2, 0) if inverse else (0, 2)
        targets = rows[np.isin(rows[:, here], list(reached)), there].tolist()
    size = len(index.entries)
    return dict(
        Counter(t for t in targets if not kinds or (t < size and index.entries[t].kind in kinds))
    )


def _number(index: KnowledgeIndex, relation: str) -> int:
    return index.relations.index(relation) if relation in index.relations else -1


def sentence(
    index: KnowledgeIndex, position: int, says: str, targets: Sequence[int], *, about: str = ""
) -> str:
    """State a fact of an entry: its label, how the relation reads, and the targets."""
    names = listed([index.label(target) for target in targets])
    return f"{index.label(position)} {says} {about}{names}."


def listed(names: Sequence[str]) -> str:
    """Join names as in "a, b and c"; of a long list the first are named and the rest counted."""
    if not names:
        return ""
    more = len(names) - LISTED
    if more > 0:
        return f"{', '.join(names[:LISTED])} and {more} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def stated_between(index: KnowledgeIndex, first: int, second: int) -> list[str]:
    """State the facts between two entries, in the direction in which they hold."""
    return [
        _between(index, subject, relation, target)
        for subject, target in ((first, second), (second, first))
        for relation in LEXICON["answers"]["between"]
        if target in index.related(subject, relation)
    ]


def _between(index: KnowledgeIndex, subject: int, relation: str, target: int) -> str:
    says = LEXICON["relations"][relation][0]
    if relation == "part of":
        says = _part_of(index.entries[subject].kind)
    return f"{index.label(subject)} {says} {index.label(target)}"


def _part_of(kind: str) -> str:
    return "is a sub-technique of" if kind == "technique" else "is a kind of"


def summary(index: KnowledgeIndex, position: int) -> list[str]:
    """Say in sentences what an entry is: its definition, kind, other names and facts."""
    entry = index.entries[position]
    said = index.definition(position)
    kind = f"{a(entry.kind)} of {base(entry.entry_id)}"
    first = (
        [f"{index.label(position)}: {said}"] if said else [f"{index.label(position)} is {kind}."]
    )
    if said:
        first.append(f"It is {kind}.")
    if entry.aliases:
        first.append(f"It is also known as {listed(entry.aliases)}.")
    return [*first, *_facts(index, position)]


def _facts(index: KnowledgeIndex, position: int) -> Iterable[str]:
    for name in LEXICON["answers"]["summary"]:
        targets = index.related(position, name)
        if targets:
            says = LEXICON["relations"][name][0]
            yield f"It {says} {listed([index.label(t) for t in targets])}."
    for name in LEXICON["answers"]["counted"]:
        forward, inverse = LEXICON["relations"][name]
        for backward, says in ((False, forward), (True, inverse)):
            count = len(index.related(position, name, inverse=backward))
            if count:
                yield f"It {says} {count} {'entry' if count == 1 else 'entries'}."


def base(entry_id: str) -> str:
    """Return the knowledge base that an id is of."""
    prefix = entry_id.partition("-")[0]
    return prefix if prefix in ("CWE", "CAPEC") else "ATT&CK"


def a(kind: str) -> str:
    """Put the article before a kind: "a group", "an asset"."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def hops(path: str) -> int:
    """Count the steps of a path."""
    return len(_STEP.findall(path))


def relations(path: str) -> set[str]:
    """Return the relations that a path follows."""
    return {relation.strip() for _, relation, _ in _STEP.findall(path)}
