"""Say whether an entry is, or has, what a question takes it for.

answer_question(index, "Is T1059 a vulnerability?")
answer_question(index, "Does CWE-120 apply to Java?")
answer_question(index, "Does APT28 do lateral movement?")
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from cybersecqwen.embedded import facts, situation
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.phrases import Phrases
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.statements import paths, restricted

# How the relations read by which an entry has a value.
_SAYS = {"platform": "runs on", "tactic": "serves", "language": "occurs in"}


def whether(question: Question) -> list[str]:
    """Answer a question of yes or no about one entry; [] for any other."""
    index, request = question.index, question.request
    if not request.yes_no or not question.subjects:
        return []
    if len(question.names) == 2 and len(question.subjects) == 1:
        one, other = question.names
        return [f"Yes: {one.said} and {other.said} are both {index.label(one.positions[0])}."]
    entries = [s.positions[0] for s in question.subjects]
    if said := _is_from(question, entries):
        return said
    if len(entries) == 1 and (said := _is_a(question, entries[0]) or _is_known(question)):
        return said
    if weak := [p for p in entries if index.entries[p].kind == "weakness" and question.languages]:
        entries = weak  # "Python" is no technique there
    entries = [p for p in entries if index.entries[p].kind != "tactic"]
    if len(entries) != 1:
        return []
    return _has(question, entries[0]) or _does(question, entries[0])


def _is_a(question: Question, position: int) -> list[str]:
    """Say whether an entry is of a kind: "is T1059 a vulnerability?"."""
    index, cut = question.index, question.cut
    end = question.subjects[0].end
    if cut[0].word not in _BEING or not 0 < end < len(cut):
        return []
    found = [match for match in _kinds().find(cut) if match.start >= end]
    read = {place for match in found for place in range(match.start, match.end)}
    meant = [match.value for match in found if match.value != "plain"]
    if not meant or read != set(range(end, len(cut))):
        return []
    entry, label = index.entries[position], index.label(position)
    part = entry.kind == "technique" and "." in entry.entry_id
    own = {entry.kind, *(["sub-technique"] if part else [])}
    named = "sub-technique" if part else entry.kind
    base = facts.base(entry.entry_id)
    is_it = f"{label} is {_a(named)} in {base}"
    if not own & {*meant}:
        first = f"No: {is_it}, not {_a(meant[0])}."
    else:
        first = f"{is_it}." if len({*meant}) > 1 else f"Yes: {is_it}."
    return [first, index.definition(position)]


def _is_from(question: Question, groups: Sequence[int]) -> list[str]:
    """Say whether groups are linked to a country: "is APT29 Chinese?"."""
    index, wanted = question.index, {*question.request.countries}
    if not wanted or any(index.entries[p].kind != "group" for p in groups):
        return []
    held = {p: [index.label(t) for t in index.related(p, "country")] for p in groups}
    yes = all(wanted & {*countries} for countries in held.values())
    sentences = [
        f"{index.label(p)} is linked to {facts.listed(countries)}."
        if countries
        else f"No country is recorded for {index.label(p)}."
        for p, countries in held.items()
    ]
    return [f"{'Yes' if yes else 'No'}: {sentences[0]}", *sentences[1:]]


def _is_known(question: Question) -> list[str]:
    """Say that an entry is there: "is Silent Chollima in ATT&CK?"."""
    index, subject = question.index, question.subjects[0]
    position = subject.positions[0]
    beside = _beside().find(question.cut, set(range(subject.start, subject.end)))
    read = {place for match in beside for place in range(match.start, match.end)}
    known = any(match.value == "known" for match in beside)
    if paths(index, question.request.asked, position):
        return []  # "is there a technique for CAPEC-66" asks for that
    if not known or len(read) + subject.end - subject.start < len(question.cut):
        return []
    label, base = index.label(position), facts.base(index.entries[position].entry_id)
    named = subject.said.lower() not in label.lower()
    return [
        f"Yes: {f'{subject.said} is ' if named else ''}{label} in {base}.",
        index.definition(position),
    ]


@cache
def _beside() -> Phrases:
    return Phrases(question_lexicon()["known"])


_BEING = {"is", "are", "was", "were", "whether", "isn"}


def _a(kind: str) -> str:
    return kind if kind == "malware" else facts.a(kind)


@cache
def _kinds() -> Phrases:
    return Phrases(question_lexicon()["kinds"])


def _has(question: Question, position: int) -> list[str]:
    """Say whether an entry has a platform, a tactic or a programming language, or has it only."""
    index, label = question.index, question.index.label(position)
    asked = {
        "platform": set(question.request.platforms),
        "tactic": question.tactics,
        "language": set(question.languages),
    }
    if said := _in_matrix(question, position):
        return said
    for relation, wanted in asked.items():
        targets = index.related(position, relation)
        targets = targets or facts.follow(index, position, f">analytic >{relation}")
        held = [_name(index, target) for target in targets]
        if not wanted or not held:
            continue
        says, yes = f"{label} {_SAYS[relation]}", sorted(wanted & set(held))
        if yes and not ("only" in question.words and set(held) - wanted):
            return [f"Yes: {says} {facts.listed(yes)}."]
        if yes:
            return [f"No: {says} {facts.listed(held)}, not only {facts.listed(yes)}."]
        if facts.ANY & set(held):
            return [f"Yes: {label} may occur in any language."]
        return [f"No: {says} {facts.listed(held)}, not {facts.listed(sorted(wanted))}."]
    return []


def _in_matrix(question: Question, position: int) -> list[str]:
    """Say whether a technique is in the matrix of enterprises, mobile devices or ICS."""
    index, entry = question.index, question.index.entries[position]
    wanted = [domain for domain in _MATRICES if domain in question.words]
    if entry.kind != "technique" or len(wanted) != 1:
        return []
    own = situation.domain(index, position) or "enterprise"
    if own == wanted[0]:
        return [f"Yes: {index.label(position)} is in the matrix for {_MATRICES[own]}."]
    like = [
        index.label(p)
        for p, other in enumerate(index.entries)
        if (other.kind, other.name) == (entry.kind, entry.name)
        and (situation.domain(index, p) or "enterprise") == wanted[0]
    ]
    there = f"; there it is {facts.listed(like)}" if like else ""
    matrices = f"{_MATRICES[own]}, not {_MATRICES[wanted[0]]}"
    return [f"No: {index.label(position)} is in the matrix for {matrices}{there}."]


_MATRICES = {"enterprise": "Enterprise", "mobile": "Mobile", "ics": "ICS"}


def _name(index: KnowledgeIndex, target: int) -> str:
    return index.entries[target].name if target < len(index.entries) else index.label(target)


def _does(question: Question, position: int) -> list[str]:
    """Say whether somebody uses techniques for a tactic, or a mitigation is against some."""
    index, tactics = question.index, sorted(question.tactics)
    kind = index.entries[position].kind
    relation = "uses" if kind in PROPER else "mitigates" if kind == "mitigation" else ""
    if not tactics or not relation:
        return []
    used = facts.follow(index, position, f">{relation}:technique")
    used, about = restricted(question, position, used)
    label = index.label(position)
    if used:
        return [f"Yes: {about}, {label} {relation} {facts.listed([index.label(t) for t in used])}."]
    wished = f"{relation} a technique for {facts.listed(tactics)}"
    return [f"No: there is no record that {label} {wished}."]
