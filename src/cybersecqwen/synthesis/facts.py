"""The facts of ATT&CK, CAPEC and CWE as questions need them: by entry, by relation, both ways.

    base = FactBase.of([read_attack(path)], shipped=KnowledgeIndex.load())
    base.targets["T1055.011", "tactic"]         # ('TA0004', 'TA0005')

The index that ships inside the package holds entries and relations of all three, and no text. A
feed that is given brings its texts too, and replaces what ships of its family.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.records import Entry, Fact, Knowledge
from cybersecqwen.synthesis.pair import Grounding


@dataclass(frozen=True, eq=False)  # one object, one base: what is cached goes by identity
class FactBase:
    """Entries by id, the targets and subjects of each relation, and passages by section."""

    entries: Mapping[str, Entry]
    targets: Mapping[tuple[str, str], tuple[str, ...]]  # by subject and relation
    subjects: Mapping[tuple[str, str], tuple[str, ...]]  # by relation and target
    passages: Mapping[tuple[str, str], tuple[str, ...]]  # by entry and section
    releases: Mapping[str, str]  # of each family: "CWE 4.16"

    @classmethod
    def of(cls, given: Sequence[Knowledge], shipped: KnowledgeIndex) -> FactBase:
        """Join feeds with what ships, of the families that no feed belongs to."""
        given_families = {family(entry.entry_id) for part in given for entry in part.entries}
        parts = [*given, *_shipped(shipped, given_families)]
        entries = {e.entry_id: e for part in parts for e in part.entries}
        facts = list(dict.fromkeys(_short(fact) for part in parts for fact in part.facts))
        passages = dict.fromkeys(p for part in parts for p in part.passages)
        facts = [fact for fact in facts if fact.subject in entries]
        return cls(
            entries,
            targets=_grouped(((s, relation), t) for s, relation, t in facts),
            subjects=_grouped(((relation, t), s) for s, relation, t in facts),
            passages=_grouped(((p.entry_id, p.section), p.text) for p in passages),
            releases={
                family(p.entries[0].entry_id): _release(p) for p in reversed(parts) if p.entries
            },
        )

    def of_kind(self, *kinds: str) -> list[str]:
        """List the ids of all entries of these kinds, sorted."""
        return sorted(i for i, entry in self.entries.items() if entry.kind in kinds)

    def label(self, one: str) -> str:
        """Name an entry without its id, a sub-technique with its parent as ATT&CK does."""
        return self._labels.get(one, one)

    def name(self, one: str) -> str:
        """Name an entry with its id, "T1055 Process Injection"; a mere word stays as it is."""
        label = self.label(one)
        return label if label == one else f"{one} {label}"

    @cached_property
    def _labels(self) -> dict[str, str]:
        return {one: self._label(entry) for one, entry in self.entries.items()}

    def _label(self, entry: Entry) -> str:
        head, dot, _ = entry.entry_id.partition(".")
        parent = self.entries.get(head) if dot else None
        return f"{parent.name}: {entry.name}" if parent else " ".join(entry.name.split())

    def kin(self, entry_id: str) -> set[str]:
        """Collect an entry with all that it is part of and all that is part of it."""
        above = _closure(entry_id, lambda i: self.related(i, "part of"))
        return above | _closure(entry_id, lambda i: self.related(i, "part of", inverse=True))

    def related(self, entry_id: str, relation: str, *, inverse: bool = False) -> tuple[str, ...]:
        """List the targets of an entry's relation; its subjects where the entry is the target."""
        if inverse:
            return self.subjects.get((relation, entry_id), ())
        return self.targets.get((entry_id, relation), ())

    def places(self, entry_id: str) -> tuple[str, ...]:
        """List the tactics and parents of an entry: what shares one of them is near it."""
        return (*self.related(entry_id, "tactic"), *self.related(entry_id, "part of"))

    def ground(self, entry_id: str, relation: str, others: Iterable[str] = ()) -> Grounding:
        """State what a release says of an entry: "T1055 Process Injection; tactic: TA0004 …"."""
        listed = ", ".join(map(self.name, others))
        text = f"{self.name(entry_id)}; {relation}: {listed}"
        return Grounding(self.release(entry_id), entry_id, text)

    def quote(self, entry_id: str, section: str, text: str) -> Grounding:
        """Ground an answer in a passage of an entry."""
        return Grounding(
            self.release(entry_id), entry_id, f"{self.name(entry_id)}; {section}: {text}"
        )

    def release(self, entry_id: str) -> str:
        """Name the knowledge base and release that an entry comes from."""
        return self.releases[family(entry_id)]


def family(entry_id: str) -> str:
    """Name the knowledge base that an id belongs to."""
    head = entry_id.partition("-")[0]
    return head if head in ("CWE", "CAPEC") else "ATT&CK"


def domain(entry_id: str) -> str:
    """Tell the ids of ICS from the others: their techniques, tactics and mitigations never mix."""
    return "ics" if entry_id.startswith(("T0", "TA01", "M08", "M09")) else "other"


def _closure(start: str, step: Callable[[str], Iterable[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting.extend(step(one))
    return reached


def _grouped(
    pairs: Iterable[tuple[tuple[str, str], str]],
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Collect the second of each pair by the first."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}


def _shipped(index: KnowledgeIndex, given: set[str]) -> Iterator[Knowledge]:
    """Yield what ships of each family that no feed belongs to."""
    entries = index.entries
    for name in ("ATT&CK", "CAPEC", "CWE"):
        if name in given:
            continue
        versions = sorted({s["version"] for s in index.sources if s["name"].startswith(name)})
        facts = (
            Fact(entries[s].entry_id, index.relations[r], _target(index, t))
            for s, r, t in index.facts.tolist()
        )
        yield Knowledge(
            name,
            versions[-1] if versions else "",
            tuple(e for e in entries if family(e.entry_id) == name),
            (),
            tuple(fact for fact in facts if family(fact.subject) == name),
        )


def _short(fact: Fact) -> Fact:
    """Cut off the sentence in parentheses that CAPEC adds to some of its impacts."""
    if fact.relation == "impact" and family(fact.subject) == "CAPEC":
        return fact._replace(target=fact.target.partition(" (")[0])
    return fact


def _target(index: KnowledgeIndex, target: int) -> str:
    if target < len(index.entries):
        return index.entries[target].entry_id
    return index.label(target)


def _release(part: Knowledge) -> str:
    return f"{family(part.entries[0].entry_id)} {part.version}".strip()
