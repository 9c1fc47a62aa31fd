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

from cybersecqwen.embedded import facts
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.overview import Overview
from cybersecqwen.embedded.phrases import Match, Phrases
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.statements import of_a_kind_of_software, paths, restricted

_NEXT = 4  # entries that are named behind the first
_MOST_NAMED = 10
_DESCRIBING = 2  # words that tell, from which a question describes something
_RETIRED = {"Deprecated", "Obsolete"}
# By what entries of a kind are ranked where a question says only "the most common".
_USED_BY = {"technique": "group", "software": "group", "tactic": "group", "mitigation": "technique"}
# The kinds that are ranked or counted.
_RANKED = (
    *("technique", "group", "software", "campaign", "mitigation", "tactic"),
    *("weakness", "attack pattern", "child", "platform"),
)


class _Asked(NamedTuple):
    """A ranking that is asked for: of which kind of entries, by which other, and which end."""

    kind: str
    by: str
    extent: str  # of the lexicon: most, fewest, none or one
    how_often: bool = False  # "the most used", which says nothing of what is counted


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
    return [term for term in question.rest if term not in read and not term.isdecimal()]


def _read(question: Question) -> _Asked | None:
    """Read what is ranked by what: "the most techniques", "the most common technique"."""
    cut, cues, words = question.cut, _cues(question), question_lexicon()["ranking"]
    cued = {place for cue in cues for place in range(cue.start, cue.end)}
    read = _taken(question) | question.request.used  # such as a tactic
    between = {i for i, t in enumerate(cut) if t.word.isdecimal() or i in read} - cued
    for extent in _extents().find(cut, _taken(question)):
        if extent.value == "plain":
            continue
        start = extent.end
        while start < len(cut) and (cut[start].word in words["between"] or start in between):
            start += 1
        beside = next((cue for cue in cues if cue.start == start), None)
        others = [cue.value for cue in cues if cue is not beside]
        name, _, common = extent.value.partition(" ")
        if beside and not common:
            inner = next((kind for kind in others if kind != beside.value), "")
            return _Asked(inner, beside.value, name) if inner else None
        ends = beside or start == len(cut) or cut[start].word in words["among"]
        if name not in ("most", "fewest") or not cues or not ends:
            continue
        kind = (beside or cues[0]).value
        by = next((value for value in others if value != kind), "")
        return _Asked(kind, by or _USED_BY.get(kind, ""), name, how_often=True)
    return None


def _superlative(question: Question) -> Overview | None:
    """Name the entries of a kind that have the most, the fewest or none of another."""
    index, asked = question.index, _read(question)
    unread = _unread(question)
    if asked is None or question.request.yes_no or len(unread) >= _DESCRIBING:
        return None
    # Those of the question before count where "it" or the like stands for them.
    subjects = [
        s for s in question.subjects if s.end and index.entries[s.positions[0]].kind != "tactic"
    ]
    if len(subjects) > 1 and not asked.how_often:
        return None
    if subjects and asked.how_often:
        return Overview([], [], unrecorded="how often something is used")
    candidates = _candidates(question, asked.kind, [s.positions[0] for s in subjects])
    counts = {p: _targets(question, asked.by, p) for p in candidates}
    counted = {p: len(targets) for p, targets in counts.items() if targets is not None}
    if not counted or unread:
        what = f"how common {facts.a(asked.kind)} is, or a ranking of that kind"
        return Overview([], [], unrecorded=what)
    if asked.extent in _EXACTLY:
        return _exactly(index, asked, counted, candidates)
    return _ends(index, asked, counted)


_EXACTLY = {"none": 0, "one": 1}


def _candidates(question: Question, asked: str, subjects: Sequence[int]) -> list[int]:
    """List the entries that may be ranked: all of a kind in force, or those of a subject."""
    index, kinds = question.index, question_lexicon()["asked"][asked]["kinds"]
    if subjects:
        found = _reached(index, asked, subjects[0])
    else:
        found = [p for p, e in enumerate(index.entries) if e.kind in kinds and _in_force(index, p)]
    own = replace(question, request=replace(question.request, countries=()))
    kept, _ = restricted(question if asked == "group" else own, len(index.entries), found)
    return of_a_kind_of_software(question, kept)[0] if asked == "software" else kept


def _in_force(index: KnowledgeIndex, position: int) -> bool:
    return _RETIRED.isdisjoint(index.label(t) for t in index.related(position, "status"))


def _reached(index: KnowledgeIndex, asked: str, position: int) -> list[int]:
    found = paths(index, asked, position)
    return facts.follow(index, position, found[0][0]) if found else []


def _targets(question: Question, by: str, position: int) -> list[int] | None:
    """List what an entry relates to that counts; None where its kind relates to no such thing."""
    index = question.index
    if not by or not paths(index, by, position):
        return None
    found = _reached(index, by, position)
    if by == "group" and question.request.countries:
        found = restricted(question, len(index.entries), found)[0]
    return of_a_kind_of_software(question, found)[0] if by == "software" else found


def _says(index: KnowledgeIndex, by: str, position: int) -> str:
    """Return how a relation reads without its noun: "serves the tactic" is "serves"."""
    return paths(index, by, position)[0][1].partition(" the ")[0]


def _ends(index: KnowledgeIndex, asked: _Asked, counted: dict[int, int]) -> Overview:
    """Name the entry with the most or the fewest, and the next."""
    sign = -1 if asked.extent == "most" else 1
    order = sorted(counted, key=lambda p: (sign * counted[p], index.label(p)))
    best = counted[order[0]]
    first = [p for p in order if counted[p] == best]
    noun = _noun(asked.by, index.entries[order[0]].kind)
    names = facts.listed([index.label(p) for p in first])
    if len(first) > _NEXT:
        text = f"{len(first)} {_noun(asked.kind)} have the {asked.extent} {noun}, {best}: {names}."
        return Overview([text], first)
    verb = _says(index, asked.by, order[0])
    verb = {"uses": "use", "mitigates": "mitigate"}.get(verb, verb) if len(first) > 1 else verb
    sentences = [f"{names} {verb} the {asked.extent} {noun}: {best}."]
    nexts = [f"{index.label(p)} ({counted[p]})" for p in order[len(first) : len(first) + _NEXT]]
    if nexts:
        sentences.append(f"Next {'comes' if len(nexts) == 1 else 'come'} {facts.listed(nexts)}.")
    return Overview([*sentences, _CAVEAT], order[: len(first) + _NEXT])


_CAVEAT = "This counts what the knowledge base records, not how often it happens."


def _exactly(
    index: KnowledgeIndex, asked: _Asked, counted: dict[int, int], candidates: Sequence[int]
) -> Overview:
    """Name the entries of which no other, or exactly one, is recorded."""
    wanted = _EXACTLY[asked.extent]
    found = sorted((p for p in candidates if counted.get(p) == wanted), key=index.label)
    base = facts.base(index.entries[candidates[0]].entry_id)
    noun = _noun(asked.by, index.entries[candidates[0]].kind, 1)
    number = "no" if wanted == 0 else "exactly one"
    if not found:
        text = f"There is no {_noun(asked.kind, count=1)} for which {base} records {number} {noun}."
        return Overview([text], list(candidates[:1]))
    names = facts.listed([index.label(p) for p in found])
    counts = f"{len(found)} {_noun(asked.kind, count=len(found))}"
    return Overview([f"{base} records {number} {noun} for {counts}: {names}."], found)


def _noun(asked: str, kind: str = "", count: int = 0) -> str:
    """Name what is counted: the parts of a technique are sub-techniques."""
    parts = asked == "child" and kind == "technique"
    return facts.plural("sub-technique" if parts else asked, count)


def _more_of_two(question: Question) -> Overview | None:
    """Say which of two entries has more of something."""
    index, pair = question.index, [s.positions[0] for s in question.subjects]
    comparing = set(question_lexicon()["ranking"]["comparing"])
    if len(pair) != 2 or not question.words & comparing:
        return None
    cut, by = question.cut, ""
    for cue in _cues(question):
        if cue.start and cut[cue.start - 1].word in comparing:
            by = cue.value
    counts = {p: len(found) for p in pair if (found := _targets(question, by, p)) is not None}
    if len(counts) != 2:
        return None
    (more, high), (less, low) = sorted(counts.items(), key=lambda one: -one[1])
    noun = _noun(by, index.entries[more].kind)
    if high == low:
        return Overview(
            [f"{facts.listed([index.label(p) for p in pair])} have {high} {noun} each."], pair
        )
    verb = _says(index, by, more)
    text = f"{index.label(more)} {verb} more {noun}: {high}, against {low} of {index.label(less)}."
    return Overview([text], [more, less])


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
    held = _targets(question, by, subject)
    if own not in cues or not held or request.yes_no:
        return None
    candidates = [p for p in _candidates(question, own, ()) if p != subject]
    shared = {p: len({*(_targets(question, by, p) or ())} & {*held}) for p in candidates}
    order = sorted((p for p in candidates if shared[p]), key=lambda p: (-shared[p], index.label(p)))
    noun = facts.plural(by)
    label = index.label(subject)
    if not order:
        return Overview([f"No other {own} on record shares {noun} with {label}."], [subject])
    names = facts.listed([f"{index.label(p)} ({shared[p]})" for p in order[:_MOST_NAMED]])
    owns = facts.plural(own, len(order))
    return Overview(
        [
            f"Of {label}'s {len(held)} {facts.plural(by, len(held))}, most are shared by {names}.",
            f"In all, {len(order)} other {owns} on record share one or more.",
        ],
        [subject, *order[:2]],
    )


_WAYS: tuple[Callable[[Question], Overview | None], ...] = (_alike, _more_of_two, _superlative)
