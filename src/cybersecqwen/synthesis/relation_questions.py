"""Questions about one relation of an entry: the tactic of a technique, the mitigations of it.

    questions = RelationQuestions(RELATIONS[0], base, random.Random(42))
    next(questions.choices()).options         # the right one first, then three of the same kind

A wrong option is an entry of the same kind that the release lists neither for the subject nor for
anything that the subject is part of or made of. Of those that serve alike one that is near the
right one is taken.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Fact
from cybersecqwen.synthesis.distractors import Distractors
from cybersecqwen.synthesis.facts import FactBase, domain
from cybersecqwen.synthesis.pair import Draft, Kind
from cybersecqwen.synthesis.wording import (
    PLACEHOLDERS,
    TEMPLATES,
    check_templates,
    listed,
    read_templates,
    say,
)

_Given = TypeVar("_Given")
_ROUNDS = 3  # over the facts that guessing would tell
_EMPTY = {"Other", "Unknown", "Varies by Context", "None"}  # words that answer nothing


class Relation(BaseModel):
    """A relation that is asked about, as a table of `attack.toml` or `cwe-capec.toml` states it.

    The keys are explained there. `choice` and `open` hold the sentences of the two forms; without
    `open`, no list is asked for.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    topic: str
    kind: Kind
    relation: str
    subjects: list[str]
    targets: list[str]
    grounding: str
    choice: dict[str, Any]
    open: dict[str, Any] | None = None
    inverse: bool = False
    longest: int = 6
    plain: bool = False

    def fact(self, entry_id: str, other: str) -> Fact:
        """State the relation of an entry that is asked about and one that answers."""
        ends = (other, entry_id) if self.inverse else (entry_id, other)
        return Fact(ends[0], self.relation, ends[1])


def read_relations(name: str) -> list[Relation]:
    """Read the relations of a file of templates; raises InputError with the file and the key."""
    relations = []
    for topic, table in read_templates(name).items():
        try:
            given = {"topic": topic, **table} if isinstance(table, dict) else table
            relations.append(Relation.model_validate(given))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join((topic, *map(str, first["loc"])))
            tip = "the first lines of attack.toml explain the keys"
            raise InputError(f"{key}: {first['msg']}", where=TEMPLATES / name, tip=tip) from None
        forms = {key: table[key] for key in PLACEHOLDERS["relation"] if key in table}
        layout = {key: PLACEHOLDERS["relation"][key] for key in forms}
        check_templates(name, forms, layout, at=topic)
    return relations


# Topics of a kind take turns in this order.
RELATIONS = (*read_relations("attack.toml"), *read_relations("cwe-capec.toml"))


class RelationQuestions:
    """Asks about one relation, over all entries that have it."""

    def __init__(self, relation: Relation, base: FactBase, rng: random.Random) -> None:
        self._relation, self._base, self._rng = relation, base, rng
        self._names = Counter(entry.name for entry in base.entries.values())
        answers = {i: self._targets(i) for i in base.of_kind(*relation.subjects)}
        self._answers = {entry_id: targets for entry_id, targets in answers.items() if targets}
        # One pool a domain: ICS techniques have tactics and mitigations of their own.
        pools: dict[str, set[str]] = defaultdict(set)
        for entry_id, targets in self._answers.items():
            pools[domain(entry_id)].update(targets)
        self._pools = {where: sorted(pool) for where, pool in pools.items()}
        self._groups = {where: _groups(base, pool) for where, pool in self._pools.items()}
        self._distractors = Distractors(rng)

    def choices(self) -> Iterator[Draft]:
        """Yield a multiple choice for every fact that guessing does not tell, in a drawn order.

        What could not be asked at first comes again, since other answers were right meanwhile.
        """
        waiting = self._shuffled([(i, t) for i, targets in self._answers.items() for t in targets])
        for _ in range(_ROUNDS):
            left = []
            for entry_id, target in waiting:
                draft = self._choice(entry_id, target) if self._asks(entry_id, target) else None
                if draft:
                    yield draft
                else:
                    left.append((entry_id, target))
            waiting = left

    def lists(self) -> Iterator[Draft]:
        """Yield an open question for every entry, answered with all that is listed."""
        relation = self._relation
        for entry_id, targets in self._shuffled(list(self._answers.items())):
            if relation.open and len(targets) <= relation.longest:
                yield self._list(entry_id, targets)

    def _shuffled(self, given: list[_Given]) -> list[_Given]:
        return self._rng.sample(given, len(given))

    def _targets(self, entry_id: str) -> tuple[str, ...]:
        relation = self._relation
        others = self._base.related(entry_id, relation.relation, inverse=relation.inverse)
        return tuple(other for other in others if self._fits(other))

    def _fits(self, target: str) -> bool:
        entry, kinds = self._base.entries.get(target), self._relation.targets
        if entry is None:
            return not kinds and target not in _EMPTY
        return entry.kind in kinds

    def _candidates(self, entry_id: str, target: str) -> list[str]:
        """List what is not right, by id, by kinship or by name."""
        base = self._base
        right = {t for one in _kin(base, entry_id) for t in self._targets(one)} | {entry_id}
        right |= {t for one in (target, *self._answers[entry_id]) for t in _kin(base, one)}
        names = {base.label(one).casefold() for one in right}
        return [
            one
            for one in self._pools[domain(entry_id)]
            if one not in right
            and domain(one) == domain(target)
            and base.label(one).casefold() not in names
        ]

    def _near(self, target: str, where: str) -> frozenset[str]:
        """Collect what shares a tactic or a parent with a right option; of words none is near."""
        groups = self._groups[where]
        return frozenset(
            one for place in self._base.places(target) for one in groups.get(place, ())
        )

    def _asks(self, entry_id: str, target: str) -> bool:
        return self._distractors.owed(target) <= 0 and self._told(entry_id, target)

    def _told(self, *ids: str) -> bool:
        """Tell whether names without ids say which entries are meant, and not one another."""
        if not self._relation.plain:
            return True
        first, second = (self._plain(i) for i in ids)
        return {self._names[first], self._names[second]} == {1} and not (
            first in second or second in first
        )

    def _choice(self, entry_id: str, target: str) -> Draft | None:
        relation, base, rng = self._relation, self._base, self._rng
        if relation.plain:
            label, subject = self._plain, self._plain(entry_id)
        else:
            label = base.label if rng.random() < 0.5 else base.name
            subject = base.name(entry_id)
        draft = self._draft(relation.choice, entry_id, subject, right=label(target))
        near = self._near(target, domain(entry_id)).__contains__
        candidates = self._candidates(entry_id, target)
        wrong = self._distractors.draw(draft.question, target, candidates, label, near=near)
        options = tuple(map(label, (target, *wrong)))
        facts = (relation.fact(entry_id, target),)
        return replace(draft, support=options[:1], options=options, facts=facts) if wrong else None

    def _plain(self, one: str) -> str:
        return self._base.entries[one].name

    def _list(self, entry_id: str, targets: Sequence[str]) -> Draft:
        relation, base = self._relation, self._base
        names = [base.name(target) for target in targets]
        words = relation.open or {}
        draft = self._draft(words, entry_id, base.name(entry_id), all=listed(names))
        facts = tuple(relation.fact(entry_id, target) for target in targets)
        return replace(draft, support=tuple(names), facts=facts)

    def _draft(self, words: Json, entry_id: str, subject: str, **answer: str) -> Draft:
        relation, base, rng = self._relation, self._base, self._rng
        return Draft(
            kind=relation.kind,
            topic=relation.topic,
            subject=entry_id,
            question=say(rng, words["question"], subject=subject),
            answer=say(rng, words["answer"], subject=base.name(entry_id), **answer),
            grounding=(base.ground(entry_id, relation.grounding, self._answers[entry_id]),),
            support=(),
        )


@lru_cache(maxsize=8192)
def _kin(base: FactBase, entry_id: str) -> frozenset[str]:
    return frozenset(base.kin(entry_id))


def _groups(base: FactBase, ids: Iterable[str]) -> dict[str, list[str]]:
    """Collect entries by the tactics and parents that they share."""
    groups: dict[str, list[str]] = defaultdict(list)
    for one in ids:
        for place in base.places(one):
            groups[place].append(one)
    return groups
