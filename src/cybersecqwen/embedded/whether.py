"""Say whether an entry is, or has, what a question takes it for.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> from cybersecqwen.embedded.question import understand
>>> index = KnowledgeIndex.load()
>>> whether(understand(index, "Is T1059 a vulnerability?"))[0]
'No: T1059 Command and Scripting Interpreter is a technique in ATT&CK, not a vulnerability.'
>>> whether(understand(index, "Does CWE-120 apply to Java?"))[0].partition(" occurs ")[2]
'in Assembly, C and C++, not Java.'
>>> whether(understand(index, "Does APT28 do lateral movement?"))[0].partition(",")[0]
'Yes: for Lateral Movement'
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from cybersecqwen.embedded import facts, hierarchy, refusal, situation
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.lexicon import question_lexicon
from cybersecqwen.embedded.malware_types import MALWARE_TYPES, types_of
from cybersecqwen.embedded.phrases import Phrases, tokens
from cybersecqwen.embedded.question import Question
from cybersecqwen.embedded.statements import paths, restricted

# How the relations read by which an entry has a value.
_SAYS = {"platform": "runs on", "tactic": "serves", "language": "occurs in"}
_BEING = {"is", "are", "was", "were", "whether", "isn", "aren"}
# Stems of words beside a country that say that a group is of it.
_OF_ORIGIN = {"believ", "work", "oper", "run", "associ", "yes", "isn", "t"}
_JOINING = {"and", "or", "nor"}
_MATRICES = {name.lower(): domain for domain, name in situation.DOMAINS.items()}


def whether(question: Question) -> list[str]:
    """Answer a question of yes or no about one entry; [] for any other."""
    index, request = question.index, question.request
    if not request.yes_no or not question.subjects:
        return []
    if len(question.names) == 2 and len(question.subjects) == 1:
        one, other = question.names
        return [f"Yes: {one.said} and {other.said} are both {index.label(one.positions[0])}."]
    entries = [s.positions[0] for s in question.subjects]
    of_entries = (_in_view, _found_by, _has_effect, _is_from, _is_a)
    said = next(filter(None, (way(question, entries) for way in of_entries)), [])
    if not said and len(entries) == 1:
        said = _is_known(question)
    if said:
        return said
    if weak := [p for p in entries if index.entries[p].kind == "weakness" and question.languages]:
        entries = weak  # "Python" is no technique there
    entries = [p for p in entries if index.entries[p].kind != "tactic"]
    if len(entries) != 1:
        return []
    ways = (_has, _affects, _leads_on, _does)
    return next(filter(None, (way(question, entries[0]) for way in ways)), [])


def _in_view(question: Question, entries: Sequence[int]) -> list[str]:
    """Say whether a weakness is in a view: "is CWE-121 part of view 1003?"."""
    member = any(token.base == "member" for token in question.cut)
    asks = len(entries) == 1 and (question.request.asked != "child" or member)
    return hierarchy.in_view(question) if asks else []


def _verdict(question: Question, yes: bool) -> str:
    """Return "Yes: " or "No: "; "" where "not" turns the question round."""
    return "" if question.negated else "Yes: " if yes else "No: "


def _is_either(question: Question) -> bool:
    """Tell "Russian or Chinese?", which "Russian, yes or no?" is not."""
    return question.request.either and "yes" not in question.words


def _is_a(question: Question, entries: Sequence[int]) -> list[str]:
    """Say whether entries are of a kind: "is T1059 a vulnerability?"."""
    index, cut, subjects = question.index, question.cut, question.subjects
    start, end = min(s.start for s in subjects), max(s.end for s in subjects)
    if cut[0].word not in _BEING or not 0 < end < len(cut):
        return []
    taken = {place for s in subjects for place in range(s.start, s.end)}
    if any(cut[i].word not in _JOINING for i in range(start, end) if i not in taken):
        return []
    found = [match for match in _kinds().find(cut) if match.start >= end]
    read = {place for match in found for place in range(match.start, match.end)}
    meant = [match.value for match in found if match.value != "plain"]
    if not meant or read != set(range(end, len(cut))):
        return []
    each = [_as_a(index, position, meant) for position in entries]
    clear = all(fits is not None for fits, _ in each)
    if len({*meant}) > 1 or (len(each) > 1 and _is_either(question)):  # "a group or malware"
        clear = clear and not any(fits for fits, _ in each)
    verdict = _verdict(question, all(fits for fits, _ in each)) if clear else ""
    (_, first), *more = each
    definition = [] if more else [index.definition(entries[0])]
    return [f"{verdict}{first}", *(said for _, said in more), *definition]


def _as_a(index: KnowledgeIndex, position: int, meant: Sequence[str]) -> tuple[bool | None, str]:
    """Say what an entry is, and whether it is of the kinds meant; None where nothing says so."""
    entry, label = index.entries[position], index.label(position)
    part = entry.kind == "technique" and "." in entry.entry_id
    own = {entry.kind, *(["sub-technique"] if part else [])}
    base = facts.base(entry.entry_id)
    is_it = f"{label} is {_a('sub-technique' if part else entry.kind)} in {base}"
    sort = next((kind for kind in meant if kind.lower() in MALWARE_TYPES), "")
    if sort and entry.kind in ("malware", "tool"):
        if sort.lower() in types_of(index, position):
            return True, f"{label} is {_a(sort)}, listed as {_a(entry.kind)} in {base}."
        if not own & {*meant}:
            return None, f"{is_it}; its definition here does not call it {_a(sort)}."
    if own & {*meant}:
        return True, f"{is_it}."
    return False, f"{is_it}, not {_a(meant[0])}."


def _is_from(question: Question, groups: Sequence[int]) -> list[str]:
    """Say whether groups are linked to a country: "is APT29 Chinese?"."""
    index, wanted = question.index, {*question.request.countries}
    if not wanted or any(index.entries[p].kind != "group" for p in groups):
        return []
    if {*question.rest} - _OF_ORIGIN or refusal.names_victims(question.cut):
        return []
    held = {p: [index.label(t) for t in index.related(p, "country")] for p in groups}
    yes = all(wanted <= {*countries} for countries in held.values())
    verdict = "" if _is_either(question) else _verdict(question, yes)
    sentences = [
        f"{index.label(p)} is linked to {facts.listed(countries)}."
        if countries
        else f"No country is recorded for {index.label(p)}."
        for p, countries in held.items()
    ]
    return [f"{verdict}{sentences[0]}", *sentences[1:]]


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


def _a(kind: str) -> str:
    return kind if kind in ("malware", "ransomware") else facts.a(kind)


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
        says, found = f"{label} {_SAYS[relation]}", sorted(wanted & set(held))
        yes, no = _verdict(question, True), _verdict(question, False)
        if found and (question.request.either or len(found) == len(wanted)):
            if "only" not in question.words or set(held) <= wanted:
                return [f"{yes}{says} {facts.listed(found)}."]
            return [f"{no}{says} {facts.listed(held)}, not only {facts.listed(found)}."]
        if facts.ANY & set(held):
            return [f"{yes}{label} may occur in any language."]
        return [f"{no}{says} {facts.listed(held)}, not {facts.listed(sorted(wanted - {*held}))}."]
    return []


def _has_effect(question: Question, entries: Sequence[int]) -> list[str]:
    """Say whether the first of several entries has an effect that others only have the name of."""
    others = question.subjects[1:]  # "can CWE-22 lead to denial of service?"
    if not others or any(subject.way == "id" for subject in others):
        return []
    return _affects(question, entries[0])


def _affects(question: Question, position: int) -> list[str]:
    """Say whether a weakness or attack pattern affects, say, confidentiality, or lets code run."""
    index = question.index
    verbs = {
        token.stem for verb in question_lexicon()["affecting"]["verbs"] for token in tokens(verb)
    }
    if index.entries[position].kind not in ("weakness", "attack pattern"):
        return []
    if not any(token.stem in verbs for token in question.cut):
        return []
    for relation, says in (("scope", "affects"), ("impact", "has the impact")):
        wanted = [m.value for m in _effects(relation).find(question.cut)]
        held = [index.label(t) for t in index.related(position, relation)]
        if not wanted or not held:
            continue
        found = {w: [h for h in held if h.startswith(w)] for w in wanted}
        yes = any(found.values()) if question.request.either else all(found.values())
        told = list(dict.fromkeys(h for each in found.values() for h in each)) if yes else held
        targets = [t for t in index.related(position, relation) if index.label(t) in told]
        lacks = [w.lower() if relation == "scope" else f'"{w}"' for w in wanted if not found[w]]
        but = "" if yes else f", not {facts.listed(lacks)}"
        label = index.label(position)
        return [f"{_verdict(question, yes)}{label} {facts.reading(index, says, targets)}{but}."]
    return []


def _leads_on(question: Question, position: int) -> list[str]:
    """Say whether an entry can precede others: "can CWE-1321 lead to other weaknesses?"."""
    index, label = question.index, question.index.label(position)
    after = index.related(position, "can precede")
    before = question.words & {"follow", "after", "caused"}
    if question.request.asked != "follows" or before or "chain" in question.words:
        return []
    if index.entries[position].kind not in ("weakness", "attack pattern"):
        return []
    if not after:
        return [f"{facts.base(index.entries[position].entry_id)} records nothing after {label}."]
    names = facts.listed([index.label(target) for target in after])
    return [f"{_verdict(question, True)}{label} can precede {names}."]


@cache
def _effects(relation: str) -> Phrases:
    return Phrases(question_lexicon()["affecting"][relation])


def _found_by(question: Question, entries: Sequence[int]) -> list[str]:
    """Say whether a weakness is found by a method: "can CWE-125 be found by fuzzing?"."""
    index = question.index
    weak = [p for p in entries if index.entries[p].kind == "weakness"]
    wanted = list(dict.fromkeys(m.value for m in _methods().find(question.cut)))
    asks = question.request.asked == "detection" or not question.words.isdisjoint(_FINDING)
    if len(weak) != 1 or not wanted or not asks:
        return []
    label, methods = index.label(weak[0]), index.related(weak[0], "detection method")
    names = [index.label(target) for target in methods]
    if not names:
        return [f"CWE records no detection method for {label}."]
    found = [name for name in names if any(want in name for want in wanted)]
    if found:
        return [f"{_verdict(question, True)}{label} is found by {facts.listed(found)}."]
    said = f"{label} is found by {facts.listed(names)}; {facts.listed(wanted)} is not among these"
    return [f"{'' if question.negated else 'No record of that: '}{said}."]


_FINDING = {
    "find",
    "finds",
    "found",
    "catch",
    "catches",
    "caught",
    "discover",
    "discovered",
    "miss",
}


@cache
def _methods() -> Phrases:
    return Phrases(question_lexicon()["methods"])


def _in_matrix(question: Question, position: int) -> list[str]:
    """Say whether a technique is in the matrix of enterprises, mobile devices or ICS."""
    index, entry = question.index, question.index.entries[position]
    wanted = [domain for name, domain in _MATRICES.items() if name in question.words]
    if entry.kind != "technique" or len(wanted) != 1:
        return []
    own, other = situation.domain(index, position), situation.DOMAINS[wanted[0]]
    is_in = f"{index.label(position)} is in the matrix for {situation.DOMAINS[own]}"
    if own == wanted[0]:
        return [f"{_verdict(question, True)}{is_in}."]
    like = [
        index.label(p)
        for p, entry_there in enumerate(index.entries)
        if (entry_there.kind, entry_there.name) == (entry.kind, entry.name)
        and situation.domain(index, p) == wanted[0]
    ]
    there = f"; there it is {facts.listed(like)}" if like else ""
    return [f"{_verdict(question, False)}{is_in}, not {other}{there}."]


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
        names = facts.listed([index.label(t) for t in used])
        return [f"{_verdict(question, True)}{about}, {label} {relation} {names}."]
    wished = f"{relation} a technique for {facts.listed(tactics)}"
    return [f"{_verdict(question, False)}there is no record that {label} {wished}."]
