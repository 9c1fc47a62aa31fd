"""Rank entries by how many others they relate to: the most, the fewest, none, or what another has.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> ranking(understand(index, "Which mitigation covers the most techniques?")).sentences[0]
'M1018 User Account Management mitigates the most techniques: 120.'
>>> ranking(understand(index, "Which has more techniques, FIN7 or APT41?")).sentences
['G0096 APT41 uses more techniques: 82, against 67 of G0046 FIN7.']
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from cybersecqwen.embedded import facts, situation
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.malware_types import of_a_kind_of_software
from cybersecqwen.embedded.matrix import matrix_of
from cybersecqwen.embedded.overview import Overview, domains
from cybersecqwen.embedded.phrases import Match, Phrases
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.request import asked_kinds, question_words
from cybersecqwen.embedded.statements import paths, restricted

_NEXT = 4  # entries that are named behind the first
_MOST_NAMED = 10
_DESCRIBING = 2  # words that tell, from which a question describes something
_LARGEST = 100  # numbers of entries that may be asked for
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# By what entries of a kind are ranked where a question says only "the most common".
_USED_BY = {"technique": "group", "software": "group", "tactic": "group", "mitigation": "technique"}
# The kinds that are ranked or counted.
_RANKED = (
    *("technique", "group", "software", "campaign", "mitigation", "tactic"),
    *("weakness", "attack pattern", "child", "platform"),
)
_RESTRICTED = ("technique", "software", "child")  # the kinds that a platform or tactic restricts
_OF_A_MATRIX = ("technique", "child", "tactic")
_KINDS = {"technique": ("technique",), "software": ("malware", "tool"), "group": ("group",)}
_EXACTLY = {"none": 0, "one": 1}
_FEWER = {"fewer", "fewest", "less", "least"}
_OWNING = {"its", "their"}
_CAVEAT = "This counts what the knowledge base records, not how often it happens."


class _Asked(NamedTuple):
    """A ranking that is asked for: of which kind of entries, by which other, and which end."""

    kind: str
    by: str
    extent: str  # of the lexicon: most, fewest, none or one
    how_often: bool = False  # "the most used", which says nothing of what is counted


class _Scope(NamedTuple):
    """What counts in a ranking: which software, and the techniques of which matrix."""

    software: set[int]
    sort: str  # what the software is called
    domain: str
    words: set[str]  # that name the matrix; without any it may still be that of a tactic named


def ranking(question: Question) -> Overview | None:
    """Answer a question that ranks entries; None for any other."""
    return next(filter(None, (way(question) for way in _WAYS)), None)


@cache
def _extents() -> Phrases:
    return Phrases(question_lexicon()["extents"])


@cache
def _kinds() -> Phrases:
    asked = question_lexicon()["asked"]
    return Phrases({name: asked[name]["words"] for name in _RANKED})


def _cues(question: Question) -> list[Match]:
    """Return the words for kinds of entries, in their order."""
    return _kinds().find(question.cut, _taken(question))


def _taken(question: Question) -> set[int]:
    return {place for s in question.subjects for place in range(s.start, s.end)}


def _unread(question: Question) -> list[str]:
    """Return the stems of the words that neither rank nor ask nor name."""
    found = _extents().find(question.cut)
    read = {question.cut[i].stem for match in found for i in range(match.start, match.end)}
    counts = _numbers(question)
    of_matrix = _scope(question).words
    read |= {t.stem for i, t in enumerate(question.cut) if i in counts or t.word in of_matrix}
    return [term for term in question.rest if term not in read]


def _numbers(question: Question) -> dict[int, int]:
    """Return the numbers that may say how many entries are asked for, by their place."""
    words = {word: number for number, word in enumerate(_NUMBERS, 2)}
    words |= {str(number): number for number in range(1, _LARGEST + 1)}
    taken = _taken(question)
    return {
        place: words[token.word]
        for place, token in enumerate(question.cut)
        if token.word in words and place not in taken
    }


def _scope(question: Question, *, tools: bool = True) -> _Scope:
    """Read which software, such as tools alone, and which matrix a ranking is restricted to."""
    index, domain = question.index, matrix_of(question).domain
    every = [p for p, entry in enumerate(index.entries) if entry.kind in ("malware", "tool")]
    kept, sort = of_a_kind_of_software(question, every, tools=tools)
    signs = question_lexicon()["signs"][domain] if domain else ["enterprise"]
    return _Scope({*kept}, sort or "software", domain, question.words & {*signs})


def _read(question: Question) -> _Asked | None:
    """Read what is ranked by what: "the most techniques", "the most common technique"."""
    cut, cues, words = question.cut, _cues(question), question_lexicon()["ranking"]
    uncounted = {match.start for match in asked_kinds(cut) if match.value not in _RANKED}
    between = _between(question, cues)
    for extent in _extents().find(cut, _taken(question)):
        if extent.value == "plain":
            continue
        start = extent.end
        while start in between:
            start += 1
        beside = next((cue for cue in cues if cue.start == start), None)
        others = [cue.value for cue in cues if cue is not beside]
        name, _, common = extent.value.partition(" ")
        if beside and not common:
            inner = next((kind for kind in others if kind != beside.value), "")
            return _Asked(inner, beside.value, name) if inner else None
        ends = beside or start == len(cut) or cut[start].word in words["among"]
        if name in ("most", "fewest") and cues and not beside and start in uncounted:
            return _Asked(cues[0].value, "", name)  # "the most detections" are not counted
        if name not in ("most", "fewest") or not cues or not ends:
            continue
        kind = (beside or cues[0]).value
        by = next((value for value in others if value != kind), "")
        return _Asked(kind, by or _USED_BY.get(kind, ""), name, how_often=True)
    return None


def _between(question: Question, cues: Sequence[Match]) -> set[int]:
    """Return the places that may lie between "most" and what is counted: a tactic, a number, …"""
    cued = {place for cue in cues for place in range(cue.start, cue.end)}
    asked = {i for match in asked_kinds(question.cut) for i in range(match.start, match.end)}
    words = {*question_lexicon()["ranking"]["between"], *_scope(question).words}
    plain = {place for place, token in enumerate(question.cut) if token.word in words}
    return (
        plain | _taken(question) | (question.request.used - asked) | {*_numbers(question)}
    ) - cued


def _superlative(question: Question) -> Overview | None:
    """Name the entries of a kind that have the most, the fewest or none of another."""
    index, asked = question.index, _read(question)
    unread = _unread(question)
    if asked is None or question.request.yes_no or len(unread) >= _DESCRIBING:
        return None
    # Those of the question before count only where a word stands for them.
    points_back = not question.words.isdisjoint(_OWNING)
    subjects = [
        s
        for s in question.subjects
        if (s.end or points_back) and index.entries[s.positions[0]].kind != "tactic"
    ]
    if len(subjects) > 1 and not asked.how_often:
        return None
    if subjects and asked.how_often:
        return Overview([], [], unrecorded="how often something is used")
    scope = _scope(question)
    candidates, about = _candidates(question, asked, [s.positions[0] for s in subjects], scope)
    counts = {p: _targets(question, asked, p, scope) for p in candidates}
    counted = {p: len(targets) for p, targets in counts.items() if targets is not None}
    if not counted:
        what = f"how common {facts.a(_noun(asked.kind, 'technique', 1))} is"
        return Overview([], [], unrecorded=f"{what}, or a ranking of that kind")
    of_matrix = _of_a_matrix(asked, scope)
    if unread or _is_turned_round(question) or (scope.words and not of_matrix):
        return Overview([], [])
    if asked.extent in _EXACTLY:
        text, found = _exactly(index, asked, counted, candidates, scope)
        more: list[str] = []
    else:
        number = next(iter(_numbers(question).values()), _NEXT + 1)
        (text, *more), found = _ends(index, asked, counted, number, scope)
    sort = ""
    if asked.kind == "software" and scope.sort != "software" and asked.extent not in _EXACTLY:
        sort = f"of the {scope.sort} on record"
    text = ", ".join(filter(None, (sort, about, text)))
    matrix = f"Only {of_matrix} of the {situation.DOMAINS[scope.domain]} matrix count here."
    told = [f"{text[0].upper()}{text[1:]}", *more]
    return Overview([*told, matrix] if of_matrix and not subjects else told, found)


def _of_a_matrix(asked: _Asked, scope: _Scope) -> str:
    """Name what counts only where it is of one matrix; "" where nothing is of one alone."""
    kinds = [kind for kind in (asked.kind, asked.by) if kind in (*_OF_A_MATRIX, "mitigation")]
    if not scope.words:
        kinds = [kind for kind in kinds[:1] if kind == asked.kind and kind in _OF_A_MATRIX]
    return facts.listed([_noun(kind, "technique") for kind in kinds])


def _candidates(
    question: Question, asked: _Asked, subjects: Sequence[int], scope: _Scope
) -> tuple[list[int], str]:
    """List the entries that may be ranked, and say to which the ranking is restricted.

    They are all of a kind in force, or those of a subject.
    """
    index, kind, about = question.index, asked.kind, []
    kinds = question_lexicon()["asked"][kind]["kinds"] or ["technique"] * (kind == "child")
    if subjects:
        found = _reached(index, kind, subjects[0])
        own = _noun(kind, index.entries[subjects[0]].kind)
        about = [f"of the {own} of {index.label(subjects[0])}"]
    else:
        found = [
            p for p, e in enumerate(index.entries) if e.kind in kinds and facts.in_force(index, p)
        ]
        found = _in_matrix(index, kind, found, scope)
        if kind == "child":
            found = [p for p in found if "." in index.entries[p].entry_id]
    everywhere = replace(question, request=replace(question.request, countries=()))
    ranked, counted = (question, everywhere) if kind == "group" else (everywhere, question)
    kept, said = restricted(ranked, len(index.entries), found)
    if kind == "software":
        kept = [p for p in kept if p in scope.software]
    return kept, ", ".join(filter(None, (*about, said, _limits(counted, asked))))


def _limits(question: Question, asked: _Asked) -> str:
    """Say to what that which is counted is restricted, as `_targets` does."""
    index = question.index
    if asked.by != "group" and asked.kind in _RESTRICTED:
        return ""
    every = [p for p, e in enumerate(index.entries) if e.kind in _KINDS.get(asked.by, ())]
    return restricted(question, len(index.entries), every)[1]


def _is_turned_round(question: Question) -> bool:
    """Tell "not from Russia" and the like; "without" a mitigation says what is counted."""
    request, found = question.request, _extents().find(question.cut)
    ranking_words = {i for match in found for i in range(match.start, match.end)}
    negated = any(
        token.word in question_words("not")
        for place, token in enumerate(question.cut)
        if place not in ranking_words
    )
    return negated and bool(request.countries or request.platforms or question.tactics)


def _in_matrix(
    index: KnowledgeIndex, kind: str, positions: Sequence[int], scope: _Scope
) -> list[int]:
    """Keep the techniques and tactics of the matrix, and the mitigations where it is named."""
    if kind not in _OF_A_MATRIX and not (kind == "mitigation" and scope.words):
        return list(positions)
    return [p for p in positions if scope.domain in domains(index, p)]


def _reached(index: KnowledgeIndex, asked: str, position: int) -> list[int]:
    found = paths(index, asked, position)
    return facts.follow(index, position, found[0][0]) if found else []


def _targets(question: Question, asked: _Asked, position: int, scope: _Scope) -> list[int] | None:
    """List what an entry relates to that counts; None where its kind relates to no such thing."""
    index, by, request = question.index, asked.by, question.request
    if not by or not paths(index, by, position):
        return None
    found = _reached(index, by, position)
    if scope.words:
        found = _in_matrix(index, by, found, scope)
    restricts = asked.kind not in _RESTRICTED and (request.platforms or question.tactics)
    if found and (restricts or (by == "group" and request.countries)):
        found = restricted(question, position, found)[0]
    return [p for p in found if p in scope.software] if by == "software" else found


def _says(index: KnowledgeIndex, by: str, position: int) -> str:
    """Return how a relation reads without its noun: "serves the tactic" is "serves"."""
    return paths(index, by, position)[0][1].partition(" the ")[0]


def _ends(
    index: KnowledgeIndex, asked: _Asked, counted: dict[int, int], number: int, scope: _Scope
) -> tuple[list[str], list[int]]:
    """Name the entry with the most or the fewest, and the next, a number of entries in all."""
    sign = -1 if asked.extent == "most" else 1
    order = sorted(counted, key=lambda p: (sign * counted[p], index.label(p)))
    best = counted[order[0]]
    first = [p for p in order if counted[p] == best]
    noun = _noun(asked.by, index.entries[order[0]].kind, sort=scope.sort)
    names = facts.listed([index.label(p) for p in first])
    if len(first) > max(_NEXT, number):
        kind = _noun(asked.kind, index.entries[order[0]].kind, sort=scope.sort)
        return [f"{len(first)} {kind} have the {asked.extent} {noun}, {best}: {names}."], first
    verb = _says(index, asked.by, order[0])
    sentences = [f"{names} {_plural(verb, len(first))} the {asked.extent} {noun}: {best}."]
    nexts = [f"{index.label(p)} ({counted[p]})" for p in order[len(first) : number]]
    if nexts:
        sentences.append(f"Next {'comes' if len(nexts) == 1 else 'come'} {facts.listed(nexts)}.")
    return [*sentences, _CAVEAT], order[: max(len(first), number)]


def _plural(verb: str, count: int) -> str:
    """Put a verb in the plural for several subjects: "is used by" becomes "are used by"."""
    first, *more = verb.split()
    several = {"is": "are", "has": "have"}.get(first, first.removesuffix("s"))
    return " ".join((several if count > 1 else first, *more))


def _exactly(
    index: KnowledgeIndex,
    asked: _Asked,
    counted: dict[int, int],
    candidates: Sequence[int],
    scope: _Scope,
) -> tuple[str, list[int]]:
    """Name the entries of which no other, or exactly one, is recorded."""
    wanted = _EXACTLY[asked.extent]
    found = sorted((p for p in candidates if counted.get(p) == wanted), key=index.label)
    base = facts.base(index.entries[candidates[0]].entry_id)
    own = index.entries[candidates[0]].kind
    noun = _noun(asked.by, own, 1, scope.sort)
    number = "no" if wanted == 0 else "exactly one"
    if not found:
        kind = _noun(asked.kind, own, 1, scope.sort)
        return f"there is no {kind} for which {base} records {number} {noun}.", [*candidates[:1]]
    names = facts.listed([index.label(p) for p in found])
    counts = f"{len(found)} {_noun(asked.kind, own, len(found), scope.sort)}"
    return f"{base} records {number} {noun} for {counts}: {names}.", found


def _noun(asked: str, kind: str = "", count: int = 0, sort: str = "software") -> str:
    """Name what is counted: the parts of a technique are sub-techniques; software is of a sort."""
    if asked == "software":
        several = sort.endswith("s")  # "tools", beside "malware"
        pieces = facts.plural(asked, count).replace("software", sort)
        return (sort.removesuffix("s") if count == 1 else sort) if several else pieces
    parts = asked == "child" and kind == "technique"
    return facts.plural("sub-technique" if parts else asked, count)


def _more_of_two(question: Question) -> Overview | None:
    """Say which of two entries has more of something."""
    index, pair = question.index, [s.positions[0] for s in question.subjects]
    comparing = set(question_lexicon()["ranking"]["comparing"])
    if len(pair) != 2 or not question.words & comparing:
        return None
    cut, cues, by = question.cut, _cues(question), ""
    between = _between(question, cues) - _taken(question)
    for cue in cues:
        start = cue.start - 1
        while start in between:
            start -= 1
        if start >= 0 and cut[start].word in comparing:
            by = cue.value
    scope, asked = _scope(question), _Asked(index.entries[pair[0]].kind, by, "most")
    targets = {p: _targets(question, asked, p, scope) for p in pair}
    counts = {p: len(found) for p, found in targets.items() if found is not None}
    if len(counts) != 2:
        return None
    fewer = not question.words.isdisjoint(_FEWER)
    sign = 1 if fewer else -1
    (first, number), (second, other) = sorted(counts.items(), key=lambda one: sign * one[1])
    noun = _noun(by, index.entries[first].kind, sort=scope.sort)
    if scope.words and by in (*_OF_A_MATRIX, "mitigation"):
        noun = f"{noun} of the {situation.DOMAINS[scope.domain]} matrix"
    told = question.request.yes_no and not question.request.either and not question.negated
    yes = "Yes: " if first == pair[0] and number != other else "No: "
    if number == other:
        says = f"{facts.listed([index.label(p) for p in pair])} have {number} {noun} each."
    else:
        says = f"{index.label(first)} {_says(index, by, first)} {'fewer' if fewer else 'more'} "
        says += f"{noun}: {number}, against {other} of {index.label(second)}."
    says = ", ".join(filter(None, (_limits(question, asked), says)))
    return Overview([f"{yes}{says}" if told else f"{says[0].upper()}{says[1:]}"], [first, second])


def _alike(question: Question) -> Overview | None:
    """Name the entries that have most in common with another: "groups that share tools with X"."""
    index, request = question.index, question.request
    sharing = question_lexicon()["ranking"]["sharing"]
    if len(question.subjects) != 1 or question.words.isdisjoint(sharing):
        return None
    same = {i + 1 for i, token in enumerate(question.cut) if token.word == "same"}
    if same and same.isdisjoint(cue.start for cue in _cues(question)):
        return None  # "the same as which group?" asks for another name
    subject = question.subjects[0].positions[0]
    cues = [cue.value for cue in _cues(question)]
    own = index.entries[subject].kind
    own = "software" if own in ("malware", "tool") else own
    by = next((cue for cue in cues if cue != own), "technique" if own != "technique" else "group")
    scope, asked = _scope(question, tools=False), _Asked(own, by, "most")
    if own in _OF_A_MATRIX:
        scope = scope._replace(domain=situation.domain(index, subject))
    held = _targets(question, asked, subject, scope)
    if own not in cues or not held or request.yes_no:
        return None
    found, about = _candidates(question, asked, (), scope)
    candidates = [p for p in found if p != subject]
    shared = {p: len({*(_targets(question, asked, p, scope) or ())} & {*held}) for p in candidates}
    order = sorted((p for p in candidates if shared[p]), key=lambda p: (-shared[p], index.label(p)))
    noun, shown = (_noun(by, count=count, sort=scope.sort) for count in (0, len(held)))
    label = index.label(subject)
    if not order:
        return Overview([f"No other {own} on record shares {noun} with {label}."], [subject])
    names = facts.listed([f"{index.label(p)} ({shared[p]})" for p in order[:_MOST_NAMED]])
    owns = _noun(own, count=len(order), sort=scope.sort)
    among = (
        f"of the {situation.DOMAINS[scope.domain]} matrix" if own in _OF_A_MATRIX else "on record"
    )
    limits = f", {about}" if about else ""
    return Overview(
        [
            f"Of {label}'s {len(held)} {shown}, most are shared by {names}.",
            f"In all, {len(order)} other {owns} {among} share one or more{limits}.",
        ],
        [subject, *order[:2]],
    )


_WAYS: tuple[Callable[[Question], Overview | None], ...] = (_alike, _more_of_two, _superlative)
