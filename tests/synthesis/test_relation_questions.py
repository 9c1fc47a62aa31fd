"""Relations of the knowledge bases are asked about in both directions, with wrong options wrong."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from cybersecqwen.synthesis.facts import FactBase, domain
from cybersecqwen.synthesis.relation_questions import RELATIONS, Relation, RelationQuestions


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda r: r.topic)
def test_every_relation_is_asked_with_one_right_option(relation: Relation, base: FactBase) -> None:
    asker = RelationQuestions(relation, base, random.Random(3))
    made = list(islice(asker.choices(), 25))
    assert made
    for draft in made:
        subject, right = draft.subject, draft.facts[0]
        assert len({option.casefold() for option in draft.options}) == 4
        assert draft.options[0] in draft.grounding[0].text
        ends = {right.subject, right.target} - {subject}
        assert base.targets[right.subject, right.relation].count(right.target) == 1
        other = ends.pop() if ends else subject
        assert draft.options[0] in (base.name(other), base.label(other), base.label(other)) or (
            relation.plain and draft.options[0] == base.entries[other].name
        )
        listed = {base.label(t).casefold() for t in _targets(base, relation, subject)}
        wrong = {option.casefold() for option in draft.options[1:]}
        assert not wrong & listed
        assert not wrong & {base.name(t).casefold() for t in _targets(base, relation, subject)}


def _targets(base: FactBase, relation: Relation, subject: str) -> tuple[str, ...]:
    if relation.inverse:
        return base.subjects.get((relation.relation, subject), ())
    return base.targets.get((subject, relation.relation), ())


def test_a_list_is_complete_and_its_grounding_holds_it(base: FactBase) -> None:
    relation = next(r for r in RELATIONS if r.topic == "mitigation of a technique")
    for draft in islice(RelationQuestions(relation, base, random.Random(3)).lists(), 50):
        listed = base.subjects["mitigates", draft.subject]
        assert [fact.subject for fact in draft.facts] == list(listed)
        assert all(base.name(one) in draft.answer for one in listed)
        assert all(words in draft.grounding[0].text for words in draft.support)


def test_tactics_of_ics_are_offered_for_ics_alone(base: FactBase) -> None:
    relation = next(r for r in RELATIONS if r.topic == "tactic")
    for draft in islice(RelationQuestions(relation, base, random.Random(3)).choices(), 400):
        if domain(draft.subject) == "other":
            assert "Impair Process Control" not in draft.options


def test_a_sub_techniques_name_does_not_tell_its_parent(base: FactBase) -> None:
    relation = next(r for r in RELATIONS if r.topic == "parent technique")
    for draft in islice(RelationQuestions(relation, base, random.Random(3)).choices(), 50):
        assert draft.subject not in draft.question
        assert draft.options[0] not in draft.question


def test_the_same_seed_asks_the_same(base: FactBase) -> None:
    first, again = (
        list(islice(RelationQuestions(RELATIONS[0], base, random.Random(7)).choices(), 20))
        for _ in range(2)
    )
    assert first == again
    other = list(islice(RelationQuestions(RELATIONS[0], base, random.Random(8)).choices(), 20))
    assert first != other
