"""Answer questions about no entry in particular: how many, in which order, of which country.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> overview(understand(index, "What comes after discovery in the kill chain?")).sentences[0]
'In the order of the ATT&CK matrix, TA0008 Lateral Movement comes right after TA0007 Discovery.'
>>> overview(understand(index, "How many CAPECs are there?")).sentences
['CAPEC 3.9 has 559 attack patterns.']
>>> overview(understand(index, "Which groups are from Vietnam?")).sentences
['ATT&CK has 1 group linked to Vietnam: G0050 APT32.']
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from cybersecqwen.embedded import facts, situation
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.phrases import Phrases
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.request import question_words
from cybersecqwen.embedded.statements import restricted

_DESCRIBING = 2  # words that tell, from which a question describes something
_DOMAINS = {"": "Enterprise", "mobile": "Mobile", "ics": "ICS"}
_RETIRED = {"Deprecated", "Obsolete"}


class Overview(NamedTuple):
    """What is said, the entries that it is about, and the words of the question left unread."""

    sentences: list[str]
    positions: list[int]
    rest: tuple[str, ...] = ()


def overview(question: Question) -> Overview | None:
    """Answer a question about the knowledge bases as a whole; None for any other."""
    subjects = (
        {question.index.entries[position].kind for position in subject.positions}
        for subject in question.subjects
    )
    if not question.cut or not all("tactic" in kinds for kinds in subjects):
        return None
    return next(filter(None, (way(question) for way in _WAYS)), None)


@cache
def _phrases(name: str) -> Phrases:
    lexicon = question_lexicon()
    return Phrases(lexicon["order"]["places"] if name == "places" else lexicon[name])


def _meant(question: Question, name: str) -> set[str]:
    """Return what the words of a part of the lexicon mean; nothing if the question has others."""
    matches = _phrases(name).find(question.cut)
    read = {question.cut[i].stem for match in matches for i in range(match.start, match.end)}
    return {match.value for match in matches} - {"plain"} if set(question.rest) <= read else set()


def _release(question: Question) -> Overview | None:
    """Say of which releases the knowledge is."""
    if question.subjects or not _meant(question, "release"):
        return None
    names = [f"{source['name']} {source['version']}" for source in question.index.sources]
    return Overview([f"The knowledge here is that of {facts.listed(names)}."], [])


def _of_value(question: Question) -> Overview | None:
    """List the entries of a platform, a country or a programming language."""
    request, wanted = question.request, {question.request.asked, *question.request.others}
    if question.cut[0].word in question_words("how") and not request.count:
        return None
    for name, way in question_lexicon()["values"].items():
        found = _phrases(name).find(question.cut)
        asked = next((asked for asked in way["asked"] if asked in wanted), "")
        read = {question.cut[i].stem for match in found for i in range(match.start, match.end)}
        rest = tuple(term for term in question.rest if term not in read)
        if not found or not asked or len(rest) >= _DESCRIBING:
            continue
        if name == "countries" and "target" in wanted:
            continue  # a country that is attacked
        kinds = question_lexicon()["asked"][asked]["kinds"] or way["kinds"]
        listed = _having(question, way, found[0].value, kinds)
        if listed:
            return listed._replace(rest=rest)
    return None


def _having(
    question: Question, way: dict[str, str], value: str, kinds: Sequence[str]
) -> Overview | None:
    """List the entries of some kinds that have a value as a fact, those with no other first."""
    index, relation = question.index, way["relation"]
    word = index.word(value)
    targets = facts.follow(index, word, f"<{relation}:{','.join(kinds)}") if word else []
    targets.sort(key=lambda target: len(index.related(target, relation)))
    kept, about = restricted(question, word or 0, targets)
    if not kept:
        return None
    says = " ".join(filter(None, (about, way["says"].format(value))))
    names = facts.listed([index.label(position) for position in kept])
    return Overview([f"ATT&CK has {facts.counted(index, kept)} {says}: {names}."], kept)


def _count(question: Question) -> Overview | None:
    """Count the entries of a kind that are in force."""
    index, request = question.index, question.request
    kinds = question_lexicon()["asked"][request.asked]["kinds"]
    kinds = kinds or (["technique"] if request.asked == "child" else [])
    if not request.count or not kinds or question.tactics or question.rest[1:]:
        return None
    positions = [
        position
        for position, entry in enumerate(index.entries)
        if entry.kind in kinds
        and _RETIRED.isdisjoint(index.label(t) for t in index.related(position, "status"))
    ]
    base = facts.base(index.entries[positions[0]].entry_id)
    release = next(one for one in index.sources if one["name"].startswith(base))["version"]
    has = f"{base} {release}" if base != "ATT&CK" else f"ATT&CK (as of {release})"
    counted = _by_domain(index, positions) if base == "ATT&CK" else facts.counted(index, positions)
    return Overview([f"{has} has {counted}."], [], question.rest)


def _by_domain(index: KnowledgeIndex, positions: Sequence[int]) -> str:
    """Count techniques and tactics by the matrix that they are in, and other entries together."""
    if index.entries[positions[0]].kind not in ("technique", "tactic"):
        return facts.counted(index, positions)
    each = []
    for domain, name in _DOMAINS.items():
        own = [p for p in positions if situation.domain(index, p) == domain]
        parts = sum("." in index.entries[p].entry_id for p in own)
        below = f" and {parts} sub-techniques" if parts else ""
        each.append(f"{facts.counted(index, own[parts:])}{below} for {name}")
    return facts.listed(each)


def _order(question: Question) -> Overview | None:
    """Say which of ATT&CK's tactics come before, after or between others."""
    order = question_lexicon()["order"]
    places = _meant(question, "places")
    if question.request.asked not in order["asked"] or not places:
        return None
    matrix = [p for e in order["matrix"] if (p := question.index.position(e)) is not None]
    names = [question.index.entries[p].name for p in matrix]
    found = _phrases("tactics").find(question.cut)
    named = [names.index(name) for name in dict.fromkeys(match.value for match in found)]
    if len(named) == 2:
        return _between(question, matrix, named, places)
    if len(named) == 1 and places & {"before", "after"}:
        return _beside(question.index, matrix, named[0], after="after" in places)
    if not named and "tactic" in (question.request.asked, *question.request.others):
        return _whole(question.index, matrix, places)
    return None


_CAVEAT = "The order is the matrix's own: attackers skip, repeat and mix tactics."


def _between(
    question: Question, matrix: Sequence[int], named: Sequence[int], places: set[str]
) -> Overview | None:
    """Name the tactics between two, or say which of the two comes first."""
    index, (low, high) = question.index, sorted(named)
    first, last = (index.label(matrix[place]) for place in (low, high))
    if "between" in places:
        inside = matrix[low + 1 : high]
        names = facts.listed([index.label(p) for p in inside]) or "no other tactic"
        verb = "stand" if len(inside) > 1 else "stands"
        text = f"Between {first} and {last} {verb} {names} in the ATT&CK matrix."
        return Overview([text, _CAVEAT], list(matrix[low : high + 1]))
    if not places & {"before", "after"}:
        return None
    agrees = (named[0] == low) == ("before" in places)
    yes = ("Yes: " if agrees else "No: ") if question.request.yes_no else ""
    text = f"{yes}{first} comes before {last} in the order of the ATT&CK matrix."
    return Overview([text, _CAVEAT], [matrix[low], matrix[high]])


def _beside(index: KnowledgeIndex, matrix: Sequence[int], place: int, *, after: bool) -> Overview:
    """Name the tactic right before or after one."""
    side, own = "after" if after else "before", index.label(matrix[place])
    other = place + 1 if after else place - 1
    if not 0 <= other < len(matrix):
        text = f"No tactic comes {side} {own} in the order of the ATT&CK matrix."
        return Overview([text], [matrix[place]])
    said = f"{index.label(matrix[other])} comes right {side} {own}"
    text = f"In the order of the ATT&CK matrix, {said}."
    return Overview([text, _CAVEAT], [matrix[other], matrix[place]])


def _whole(index: KnowledgeIndex, matrix: Sequence[int], places: set[str]) -> Overview | None:
    """Name the first or the last tactic, or all in their order."""
    for place, position in (("first", matrix[0]), ("last", matrix[-1])):
        if place in places:
            text = f"The {place} tactic of the ATT&CK matrix is {index.label(position)}."
            return Overview([text], [position])
    if "all" not in places:
        return None
    names = facts.listed([index.label(position) for position in matrix])
    return Overview([f"The tactics of the ATT&CK matrix are, in its order, {names}."], [*matrix])


_WAYS: tuple[Callable[[Question], Overview | None], ...] = (_release, _order, _of_value, _count)
