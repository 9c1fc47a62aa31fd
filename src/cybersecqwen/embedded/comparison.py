"""Compare entries: whether one relates to the other, what both have, how they differ.

answer_question(index, "Is T1003.001 a sub-technique of T1003?")
answer_question(index, "Which software do FIN6 and FIN7 both use?")
answer_question(index, "What is the difference between CWE-77 and CWE-78?")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise, product

from cybersecqwen.embedded import facts, refusal, situation
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.malware_types import MALWARE_TYPES, plural_of_type, types_of
from cybersecqwen.embedded.mapping_advice import is_narrower, rather
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.statements import paths, restricted
from cybersecqwen.embedded.whether import whether

_TWO = 2  # entries that are compared
_TELLING = 3  # words beside the two from which a question describes a situation


def compare(question: Question) -> list[str]:
    """Answer a question that compares entries, in the first way that tells something."""
    ways: tuple[Callable[[Question], list[str]], ...] = (whether, _better, _which_of, _each_of)
    if len(question.subjects) == _TWO:
        ways += _OF_TWO
    denied = question.negated and question.request.yes_no  # "does it not …?" asks of the record
    specific = question.request.asked == "specific"
    if refusal.unrecorded(question.cut) and not (denied or specific):
        ways = (_without,)
    said = next(filter(None, (way(question) for way in ways)), [])
    if not question.negated or not said:
        return said
    # A bare "yes" to "does it not …?" may be read either way: the record alone is stated.
    return [*filter(None, [without_verdict(said[0])]), *said[1:]]


def without_verdict(sentence: str) -> str:
    """Leave out the yes or no by which a sentence begins."""
    rest = _VERDICT.sub("", sentence)
    return rest[:1].upper() + rest[1:]


_VERDICT = re.compile(r"(?:Yes|No)\b[^.:]*[.:] ?")


def _which_of(question: Question) -> list[str]:
    """Name those of several entries that serve a tactic, run on a platform or relate to another."""
    index, cut = question.index, [token.word for token in question.cut]
    entries = [p for p in _first(question) if index.entries[p].kind != "tactic"]
    of_them = any(pair == ("which", "of") for pair in pairwise(cut))
    chosen = of_them or (question.request.either and "which" in cut)
    if not chosen or len(entries) < _TWO:
        return []
    if said := _of_a_sort(question, entries):
        return said
    if cut[:2] != ["which", "of"]:
        return []
    wanted = question.tactics | set(question.request.platforms)
    if wanted:
        entries = [p for p in entries if index.related(p, "platform") or index.related(p, "tactic")]
        held = {p: {*index.related(p, "platform"), *index.related(p, "tactic")} for p in entries}
        names = {p: {index.label(t).removeprefix(_id(index, t)) for t in held[p]} for p in entries}
        kept = [index.label(p) for p in entries if wanted <= names[p]]
        verb = "are" if len(kept) > 1 else "is"
        return [
            f"Of these, {facts.listed(kept) or 'none'} {verb} for {facts.listed(sorted(wanted))}."
        ]
    *each, other = entries
    return _related_each(index, each, other) if len(each) > 1 else []


def _of_a_sort(question: Question, entries: Sequence[int]) -> list[str]:
    """Name those of some malware that are of a sort: "which one was really a wiper?"."""
    index = question.index
    wanted = {token.base for token in question.cut} & MALWARE_TYPES
    if not wanted or any(index.entries[p].kind not in ("malware", "tool") for p in entries):
        return []
    kept = [p for p in entries if wanted <= types_of(index, p)]
    names = facts.listed([index.label(p) for p in kept]) or "none"
    are = "are" if len(kept) > 1 else "is"
    sort = facts.listed([plural_of_type(one) for one in sorted(wanted)])
    first = f"Of these, {names} {are} counted among {sort}, by our own definitions."
    return [first, *(f"{index.label(p)}: {index.definition(p)}" for p in kept or entries)]


def _each_of(question: Question) -> list[str]:
    """Say whether several entries relate to another one, as in "do both use …?"."""
    index, request, entries = question.index, question.request, _first(question)
    kinds = [index.entries[p].kind for p in entries]
    if not request.yes_no or len(entries) <= _TWO:
        return []
    if kinds[0] not in kinds[1:]:  # "is it used by this and that?"
        entries = [*entries[1:], entries[0]]
    *each, other = entries
    if len({index.entries[p].kind for p in each}) > 1:
        return []
    stated = [bool(_stated(index, one, other)) for one in each]
    if request.either and not request.both:
        first = "Yes." if any(stated) else "No, none of them."
    else:
        all_of = "both" if len(each) == _TWO else "all of them"
        first = f"Yes, {all_of}." if all(stated) else f"No, not {all_of}."
    return [first, *_related_each(index, each, other)]


def _stated(index: KnowledgeIndex, one: int, other: int) -> list[str]:
    """State how two entries are related, directly or through others."""
    return facts.stated_between(index, one, other) or _through(index, one, other)


def _related_each(index: KnowledgeIndex, each: Sequence[int], other: int) -> list[str]:
    """Say of each of several entries how it relates to another, those that do first."""
    stated = {one: "; ".join(_stated(index, one, other)) for one in each}
    sentences = [f"{text.removeprefix('Yes: ').rstrip('.')}." for text in stated.values() if text]
    if without := [index.label(one) for one in each if not stated[one]]:
        sentences.append(f"No record links {facts.listed(without)} to {index.label(other)}.")
    return sentences


def _same(question: Question) -> list[str]:
    """Say that two entries are not the same one."""
    request, own = question.request, {question.index.entries[p].kind for p in _pair(question)}
    is_identity = request.asked in _IDENTITY or request.kinds & own  # and not "the same tools"
    one, two = (bool(way.search(question.text)) for way in (_ONE, _SEPARATE))
    if not request.yes_no or not (((one or two) and is_identity) or request.asked == "alias"):
        return []
    names = facts.listed([question.index.label(p) for p in _pair(question)])
    related = [f"{text}." for text in facts.stated_between(question.index, *_pair(question))]
    verdict = "" if one and two else "Yes: " if two else "No: "
    return [f"{verdict}{names} are two entries.", *related]


_KIND = (
    r"(?:groups?|actors?|entr(?:y|ies)|things?|families|malwares?|tools?|campaigns?|techniques?)"
)
_ONE = re.compile(
    r"\b(?:same|identical|or (?:as )?one"
    rf"|(?:one|a single) (?:{_KIND}|and the|or two|or several))\b",
    re.I,
)
_SEPARATE = re.compile(
    rf"\b(?:separate|distinct|(?:two|different) {_KIND}|or (?:as )?two|or several)\b", re.I
)


_IDENTITY = ("definition", "alias", "difference")


def _siblings(question: Question) -> list[str]:
    """Say whether two entries are parts of the same one."""
    index, request, pair = question.index, question.request, _pair(question)
    if request.asked not in ("parent", "child") or "same" not in question.words:
        return []
    wholes = [index.related(p, "part of") for p in pair]
    shared = [index.label(p) for p in wholes[0] if p in wholes[1]]
    if shared:
        return [f"Yes: both are part of {facts.listed(shared)}."]
    names = [facts.listed([index.label(w) for w in whole]) or "no other" for whole in wholes]
    each = [f"{index.label(p)} is part of {name}." for p, name in zip(pair, names, strict=True)]
    return [f"No. {' '.join(each)}"]


def _first(question: Question) -> list[int]:
    return [subject.positions[0] for subject in question.subjects]


def _id(index: KnowledgeIndex, target: int) -> str:
    return index.entries[target].entry_id + " " if target < len(index.entries) else ""


def _chosen(question: Question) -> list[str]:
    """Choose between two entries of a kind by the situation that is described."""
    index, pair = question.index, _pair(question)
    kinds = {index.entries[p].kind for p in pair}
    if not question.request.either or len(kinds) > 1 or len(question.rest) < _TELLING:
        return []
    if kinds & PROPER:
        return []  # a group or its malware fits no situation
    fits = situation.fitting(index, question.description, kinds, among=set(pair))
    if not fits:
        return []
    best = fits[0].position
    other = next(p for p in pair if p != best)
    return [
        f"{index.label(best)} fits better than {index.label(other)}.",
        *(text for p in (best, other) if (text := index.definition(p))),
    ]


def _better(question: Question) -> list[str]:
    """Say which of two weaknesses fits better: what MITRE allows, or the narrower one."""
    index = question.index
    pair = [
        p for s in question.subjects for p in s.positions if index.entries[p].kind == "weakness"
    ]
    if question.request.asked != "specific" or len(pair) < _TWO:
        return []
    one, other = pair[0], next((p for p in pair[1:] if p not in question.subjects[0].positions), -1)
    if other < 0:
        return []
    narrower = [p for p in (one, other) if is_narrower(index, p, one + other - p)]
    best = narrower or [
        fit.position
        for fit in situation.fitting(index, question.description, ["weakness"], among={one, other})
    ]
    if not best:
        return []
    worse = one + other - best[0]
    yes = ("Yes: " if best[0] == one else "No: ") if question.request.yes_no else ""
    return [
        f"{yes}{index.label(best[0])} fits better than {index.label(worse)}.",
        index.definition(best[0]),
        *rather(index, worse),
    ]


def _differing(question: Question) -> list[str]:
    """Say what each of two entries is, and how they are related."""
    index, pair = question.index, _pair(question)
    alike = index.entries[pair[0]].kind == index.entries[pair[1]].kind
    asked = question.request.asked == "difference"
    unserved = not any(paths(index, question.request.asked, p) for p in pair)
    if not asked and (not alike or not unserved or question.request.yes_no):
        return []
    told = [text for p in pair if (text := index.differs(p))]
    related = [f"{text}." for text in facts.stated_between(index, *pair)]
    each = [sentence for p in pair for sentence in facts.summary(index, p)[:3]]
    return [*told[:1], *each, *related] if asked else [*each, *related]


def _common(question: Question) -> list[str]:
    """Name what two entries both have: techniques, software, groups."""
    index, request, pair = question.index, question.request, _pair(question)
    also = "also" in question.words and request.asked in _SHARED and not request.yes_no
    joined = request.both or also or "same" in question.words
    joined = joined or ("and" in question.words and request.asked in _SHARED)
    if not joined or "tactic" in {index.entries[p].kind for p in pair}:
        return []
    for asked in dict.fromkeys((request.asked, "technique", "software", "group", "mitigation")):
        each = [restricted(question, p, _reached(index, asked, p)) for p in pair]
        about = f"{each[0][1]}, " if each[0][1] else ""
        if not all(kept for kept, _ in each):
            continue
        shared = sorted(set(each[0][0]) & set(each[1][0]), key=index.label)
        names = facts.listed([index.label(p) for p in pair])
        if shared:
            targets = facts.listed([index.label(t) for t in shared])
            words = any(t >= len(index.entries) for t in shared)
            noun = facts.plural(asked, len(shared))
            count = f"{len(shared)} {noun}" if words else facts.counted(index, shared)
            about = about[:1].upper() + about[1:]
            return [f"{about}{names} have {count} in common: {targets}."]
        if asked == request.asked:
            return [f"{names} have no {facts.plural(asked)} in common on record."]
    return []


_SHARED = ("group", "software", "technique")


def _without(question: Question) -> list[str]:
    """Name what the first of two entries has and the second has not: "that APT28 does not use"."""
    if len(question.subjects) != _TWO:
        return []
    index, (one, other), asked = question.index, _pair(question), question.request.asked
    before, after = (subject.start for subject in question.subjects[:2])
    words = {token.word for token in question.cut[before:after]}
    denied = words & _DENYING or {token.word for token in question.cut[after + 1 :]} & {
        "not",
        "t",
        "never",
    }
    if question.request.yes_no or asked not in (*_SHARED, "mitigation") or not denied:
        return []
    held = set(_reached(index, asked, other))
    own = [target for target in _reached(index, asked, one) if target not in held]
    if not own or not held:
        return []
    names = facts.listed([index.label(target) for target in own])
    counted = f"{len(own)} {facts.plural(asked, len(own))}"
    return [f"{index.label(one)} has {counted} that {index.label(other)} has not: {names}."]


_DENYING = {"not", "t", "without", "except", "excluding", "never", "minus"}


def _reached(index: KnowledgeIndex, asked: str, position: int) -> list[int]:
    return [
        t for path, _ in paths(index, asked, position) for t in facts.follow(index, position, path)
    ]


def _related(question: Question) -> list[str]:
    """Say whether one of two entries relates to the other, in the direction in which it does."""
    index, request = question.index, question.request
    if request.asked == "difference":
        return []
    each = ({index.entries[p].kind for p in s.positions} for s in question.subjects[:_TWO])
    users, used = each
    uses = users & PROPER and used & {"technique", "malware", "tool"}
    open_question = uses and request.asked in ("definition", "technique")
    if not request.yes_no and not open_question:
        return []
    first, second = question.subjects[:2]
    for one, other in product(first.positions, second.positions):
        stated = facts.stated_between(index, one, other)
        if stated:
            agreed = f"{_agreed(question, one, other)}: " if request.yes_no else ""
            return [f"{agreed}{'; '.join(stated)}."]
    one, other = _pair(question)
    if request.yes_no and {index.entries[p].kind for p in (one, other)} <= {"malware", "tool"}:
        return _of_software(index, one, other)
    indirect = _through(index, one, other)
    if request.yes_no:
        wished = f"{index.label(one)} {_verb(question)} {index.label(other)}"
        return indirect or [f"No: there is no record that {wished}."]
    return [text[0].upper() + text[1:] for text in (i.removeprefix("Yes: ") for i in indirect)]


def _of_software(index: KnowledgeIndex, one: int, other: int) -> list[str]:
    """Say what is told of two pieces of software, which ATT&CK relates to each other nowhere."""
    told = [
        f"{index.label(p)}: {definition}"
        for p, q in ((one, other), (other, one))
        if index.entries[q].name.lower() in (definition := index.definition(p)).lower()
    ]
    names = facts.listed([index.label(p) for p in (one, other)])
    return [*told, f"ATT&CK records no relation between {names}."]


def _agreed(question: Question, one: int, other: int) -> str:
    """Say whether of two entries that are related the first is where the question has it."""
    above = bool(_ABOVE & question.words) or question.request.asked == "child"
    if question.request.asked not in ("parent", "child"):
        return "Yes"
    whole, part = (one, other) if above else (other, one)
    return "Yes" if whole in question.index.related(part, "part of") else "No, the other way round"


# By these words the first of two entries is asked to be above the second.
_ABOVE = {"parent", "parents", "broader", "general", "umbrella", "superclass", "above"}


def _verb(question: Question) -> str:
    kinds = [question.index.entries[p].kind for p in _pair(question)]
    if kinds[0] in ("group", "campaign", "malware", "tool") and kinds[1] not in (
        "group",
        "campaign",
    ):
        return "uses"
    return "is a part of" if question.request.asked in ("parent", "child") else "relates to"


def _through(index: KnowledgeIndex, one: int, other: int) -> list[str]:
    """Say how two entries are related by a campaign of the first or a part of the second."""
    campaigns = facts.follow(index, one, "<attributed to:campaign")
    used = [c for c in campaigns if other in index.related(c, "uses")]
    if used:
        names = facts.listed([index.label(c) for c in used])
        return [
            f"Yes: in {names}, attributed to {index.label(one)}, {index.label(other)} was used."
        ]
    parts = facts.follow(index, other, "<part of:technique")
    used = [p for p in parts if p in index.related(one, "uses")]
    if used:
        names = facts.listed([index.label(p) for p in used])
        return [f"Yes: {index.label(one)} uses {names}, part of {index.label(other)}."]
    return []


def _pair(question: Question) -> Sequence[int]:
    return _first(question)[:_TWO]


# The ways to answer a question about two entries, in the order in which they are tried.
_OF_TWO: tuple[Callable[[Question], list[str]], ...] = (
    _siblings,
    _chosen,
    _same,
    _without,
    _common,
    _related,
    _differing,
)
