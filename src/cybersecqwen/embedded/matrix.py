"""Say in which order ATT&CK's tactics stand: what comes before, after or between them.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> matrix_of(understand(index, "the tactics of ICS in order")).name
'the ATT&CK matrix for ICS'
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from cybersecqwen.embedded import facts, situation
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.phrases import Phrases
from cybersecqwen.embedded.question import Question


class Told(NamedTuple):
    """What is said, and the tactics that it is about."""

    sentences: list[str]
    positions: list[int]


class Matrix(NamedTuple):
    """The tactics of one of ATT&CK's matrices, in its order."""

    domain: str
    name: str
    tactics: list[int]


def matrix_of(question: Question) -> Matrix:
    """Return the matrix that a question is about, by its words or by the tactics it names."""
    index, matrices = question.index, question_lexicon()["order"]["matrices"]
    each = {
        domain: [p for entry_id in ids if (p := index.position(entry_id)) is not None]
        for domain, ids in matrices.items()
    }
    named = [{*subject.positions} for subject in question.subjects]
    signs = [domain for domain in each if domain and question.signs(domain)]
    holding = [d for d, tactics in each.items() if named and all(one & {*tactics} for one in named)]
    domain = next(iter((*signs, *holding)), "")
    of = f" for {situation.DOMAINS[domain]}" if domain else ""
    return Matrix(domain, f"the ATT&CK matrix{of}", each[domain])


@cache
def _tactics() -> Phrases:
    return Phrases(question_lexicon()["tactics"])


def order(question: Question, places: set[str]) -> Told | None:
    """Say which of ATT&CK's tactics come before, after or between others, as `places` has it."""
    if question.request.asked not in question_lexicon()["order"]["asked"]:
        return None
    matrix = matrix_of(question)
    names = [question.index.entries[p].name for p in matrix.tactics]
    own = Phrases({name: [name] for name in names}).find(question.cut)
    found = own or _tactics().find(question.cut)
    said = dict.fromkeys(match.value for match in found)
    named = [names.index(name) for name in said if name in names]
    if len(named) == 2:
        return _between(question, matrix, named, places)
    if len(named) == 1 and places & {"before", "after"}:
        return _beside(question.index, matrix, named[0], after="after" in places)
    if not named and "tactic" in (question.request.asked, *question.request.others):
        return _whole(question.index, matrix, places)
    return None


_CAVEAT = "The order is the matrix's own: attackers skip, repeat and mix tactics."


def _between(
    question: Question, matrix: Matrix, named: Sequence[int], places: set[str]
) -> Told | None:
    """Name the tactics between two, or say which of the two comes first."""
    index, (low, high) = question.index, sorted(named)
    first, last = (index.label(matrix.tactics[place]) for place in (low, high))
    if "between" in places:
        inside = matrix.tactics[low + 1 : high]
        names = facts.listed([index.label(p) for p in inside]) or "no other tactic"
        verb = "stand" if len(inside) > 1 else "stands"
        text = f"Between {first} and {last} {verb} {names} in {matrix.name}."
        return Told([text, _CAVEAT], matrix.tactics[low : high + 1])
    if not places & {"before", "after", "first", "last"}:
        return None
    agrees = (named[0] == low) == bool(places & {"before", "first"})
    told = question.request.yes_no and not question.request.either
    yes = ("Yes: " if agrees else "No: ") if told else ""
    text = f"{yes}{first} comes before {last} in the order of {matrix.name}."
    return Told([text, _CAVEAT], [matrix.tactics[low], matrix.tactics[high]])


def _beside(index: KnowledgeIndex, matrix: Matrix, place: int, *, after: bool) -> Told:
    """Name the tactic right before or after one."""
    tactics = matrix.tactics
    side, own = "after" if after else "before", index.label(tactics[place])
    other = place + 1 if after else place - 1
    if not 0 <= other < len(tactics):
        text = f"No tactic comes {side} {own} in the order of {matrix.name}."
        return Told([text], [tactics[place]])
    said = f"{index.label(tactics[other])} comes right {side} {own}"
    text = f"In the order of {matrix.name}, {said}."
    return Told([text, _CAVEAT], [tactics[other], tactics[place]])


def _whole(index: KnowledgeIndex, matrix: Matrix, places: set[str]) -> Told | None:
    """Name the first or the last tactic, or all in their order."""
    for place, position in (("first", matrix.tactics[0]), ("last", matrix.tactics[-1])):
        if place in places:
            text = f"The {place} tactic of {matrix.name} is {index.label(position)}."
            return Told([text], [position])
    if "all" not in places:
        return None
    names = facts.listed([index.label(position) for position in matrix.tactics])
    return Told([f"The tactics of {matrix.name} are, in its order, {names}."], matrix.tactics)
