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
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache

import numpy as np

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import LEXICON, question_lexicon, read_lexicon
from cybersecqwen.records import Entry

_FORMER_ID = re.compile(r"[TGS]\d{4}")
_NUMBER = re.compile(r"([A-Z]+-?)(\d+(?:\.\d+)?)\b")
LISTED = 25  # entries that a sentence names
_STEP = re.compile(r"([<>])([^<>:]+)(?::([^<>]+))?")


def follow(
    index: KnowledgeIndex,
    position: int,
    path: str,
    *,
    keep: Callable[[list[int]], Collection[int]] | None = None,
) -> list[int]:
    """List where a path leads from an entry; of several ways first where most of them lead.

    `keep` chooses the entries on the way that count.
    """
    reached = {position: 1}
    steps = _STEP.findall(path)
    for number, (way, relation, kinds) in enumerate(steps):
        if keep is not None and number:
            reached = dict.fromkeys(keep(list(reached)), 1)
        kept = {kind.strip() for kind in kinds.split(",")} if kinds else set()
        reached = _onward(index, reached, relation.strip(), kept, inverse=way == "<")
    if len(steps) > 1:
        return sorted(reached, key=lambda target: (-reached[target], _place(index, target)))
    return sorted(reached, key=lambda target: _place(index, target))


def _place(index: KnowledgeIndex, target: int) -> tuple[str, float, str]:
    """Order labels as their ids are numbered: CWE-79 comes before CWE-285, event 3 before 22."""
    label = index.label(target)
    number = _NUMBER.match(label)
    if number:
        return number[1], float(number[2]), label
    return "", float(label) if label.isdecimal() else 0.0, label


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


def sentence(index: KnowledgeIndex, position: int, says: str, targets: Sequence[int]) -> str:
    """State a fact of an entry: its label, how the relation reads, and the targets."""
    return f"{index.label(position)} {reading(index, says, targets)}."


def reading(index: KnowledgeIndex, says: str, targets: Sequence[int]) -> str:
    """Put the targets behind how a relation reads, or where its "{}" is."""
    names = listed([index.label(target) for target in targets]).removesuffix(".")
    if "{}" in says:
        return says.format(names)
    start, _, noun = says.rpartition(" ")
    if names in ANY:
        return f"{start.removesuffix(' the')} no particular {noun}"
    if len(targets) > 1 and noun in _PLURALS:
        says = f"{start} {_PLURALS[noun]}"
    return f"{says} {names}"


ANY = {"Not Language-Specific", "Not Technology-Specific", "Not Architecture-Specific"}
# The nouns that a relation may end with, before several targets.
_PLURALS = {
    "tactic": "tactics",
    "phase": "phases",
    "language": "languages",
    "technology": "technologies",
    "architecture": "architectures",
    "impact": "impacts",
    "id": "ids",
}


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
    """Say in sentences what an entry is: its definition, other names and facts.

    Its kind is said where no definition is at hand, and of software: it may be malware or a tool.
    """
    entry = index.entries[position]
    said = index.definition(position)
    kind = entry.kind if entry.kind == "malware" else a(entry.kind)
    label = index.label(position)
    first = [f"{label}: {said}" if said else f"{label} is {kind} of {base(entry.entry_id)}."]
    if said and entry.kind in ("malware", "tool"):
        first.append(f"{base(entry.entry_id)} lists it as {kind}.")
    return [
        *first,
        *replacement(index, entry.entry_id),
        *_other_names(entry),
        *_facts(index, position),
    ]


@cache
def replaced() -> dict[str, list[str]]:
    """Return the retired ids of CWE and CAPEC, each with the ids that stand in its place."""
    table: dict[str, list[str]] = defaultdict(list)
    for instead, ids in read_lexicon("aliases.toml")["replaced"].items():
        for entry_id in ids:
            table[entry_id] += [instead] if instead else []
    return dict(table)


def replacement(index: KnowledgeIndex, entry_id: str) -> list[str]:
    """Say that an id is retired, and what stands in its place; [] for one in force."""
    instead = replaced().get(entry_id)
    if instead is None:
        return []
    positions = [(one, index.position(one)) for one in instead]
    labels = [one if position is None else index.label(position) for one, position in positions]
    verb = "stand" if len(labels) > 1 else "stands"
    names = listed(labels) or "nothing"
    return [f"{entry_id} is deprecated in {base(entry_id)}, and {names} {verb} in its place."]


def is_former_id(name: str) -> bool:
    """Tell whether a name is an id of ATT&CK, as one that was replaced is among the aliases."""
    return bool(_FORMER_ID.fullmatch(name))


def _other_names(entry: Entry) -> Iterable[str]:
    """Say what an entry is called beside its name, and which ids it had before."""
    former = [name for name in entry.aliases if is_former_id(name)]
    names = [name for name in entry.aliases if name not in former]
    if names:
        yield f"It is also known as {listed(names)}."
    if former:
        yield f"Its former id is {listed(former)}."


def _facts(index: KnowledgeIndex, position: int) -> Iterable[str]:
    reads = question_lexicon()["summary"]
    for name in LEXICON["answers"]["summary"]:
        targets = [t for t in index.related(position, name) if index.label(t) not in _EMPTY]
        if name == "part of":
            yield from _wholes(index, position, targets)
        elif targets and name == "platform" and index.entries[position].kind == "technique":
            yield f"It works on {listed([index.label(target) for target in targets])}."
        elif targets:
            says = reads.get(name, LEXICON["relations"][name][0])
            yield f"It {reading(index, says, targets)}."
    for name in LEXICON["answers"]["counted"]:
        forward, inverse = LEXICON["relations"][name]
        for backward, says in ((False, forward), (True, inverse)):
            targets = index.related(position, name, inverse=backward)
            if targets:
                yield f"It {reads.get(says, says)} {counted(index, targets)}."


# What says nothing of an entry.
_EMPTY = {"Other", "Varies by Context", "Not OS-Specific"}


def _wholes(index: KnowledgeIndex, position: int, targets: Sequence[int]) -> Iterable[str]:
    """Say what an entry is a part of: entries of its own kind, and those that only group others."""
    kind = index.entries[position].kind
    own = [target for target in targets if index.entries[target].kind == kind]
    if own:
        yield f"It {_part_of(kind)} {listed([index.label(target) for target in own])}."
    other = [target for target in targets if target not in own]
    if other:
        yield f"It is listed in {listed([index.label(target) for target in other])}."


def counted(index: KnowledgeIndex, targets: Sequence[int]) -> str:
    """Count entries by kind: "5 groups, 1 campaign and 3 pieces of software"."""
    counts = Counter(_counted_as(index.entries[target].kind) for target in targets)
    return listed([f"{count} {plural(kind, count)}" for kind, count in counts.items()])


def how_many(index: KnowledgeIndex, targets: Sequence[int]) -> str:
    """Say how many targets there are: "There are 10 weaknesses."."""
    entries = all(target < len(index.entries) for target in targets)
    verb = "is" if len(targets) == 1 else "are"
    return f"There {verb} {counted(index, targets) if entries else len(targets)}."


def _counted_as(kind: str) -> str:
    return "software" if kind in ("malware", "tool") else kind


def plural(kind: str, count: int = 0) -> str:
    """Name a kind for a number of its entries: "techniques", "piece of software"."""
    if kind in ("follows", "requires"):
        kind = "entry"
    if kind == "child":
        return "child" if count == 1 else "children"
    if kind == "software":
        return "piece of software" if count == 1 else "pieces of software"
    if count == 1:
        return kind
    for ending, several in (("ss", "sses"), ("gy", "gies"), ("ry", "ries"), ("ty", "ties")):
        if kind.endswith(ending):
            return kind.removesuffix(ending) + several
    return f"{kind}s"


def base(entry_id: str) -> str:
    """Return the knowledge base that an id is of."""
    prefix = entry_id.partition("-")[0]
    return prefix if prefix in ("CWE", "CAPEC") else "ATT&CK"


def a(kind: str) -> str:
    """Put the article before a kind: "a group", "an asset"."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def in_force(index: KnowledgeIndex, position: int) -> bool:
    """Tell whether an entry is neither deprecated nor obsolete."""
    return _RETIRED.isdisjoint(index.label(t) for t in index.related(position, "status"))


_RETIRED = {"Deprecated", "Obsolete"}


def hops(path: str) -> int:
    """Count the steps of a path."""
    return len(_STEP.findall(path))


def relations(path: str) -> set[str]:
    """Return the relations that a path follows."""
    return {relation.strip() for _, relation, _ in _STEP.findall(path)}


def relation_of(path: str) -> str:
    """Return the relation of a path's last step."""
    return str(_STEP.findall(path)[-1][1]).strip()
