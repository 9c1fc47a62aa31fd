"""Answer a free question from the knowledge index: link its subjects, read what it asks, say it.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> answer_question(index, "In which phase is CWE-502 introduced?").answer
'CWE-502 Deserialization of Untrusted Data is introduced in the phases Architecture and Design \
and Implementation.'
>>> answer_question(index, "Has apt28 ever used ryuk?").answer.partition(":")[0]
'No'
>>> answer_question(index, "What is the capital of France?").covered
False

The sentences are made here of names and facts, and of the glossary's own sentences: no text of
upstream is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cybersecqwen.embedded import (
    comparison,
    deprecation,
    facts,
    hierarchy,
    linking,
    refusal,
    situation,
    statements,
)
from cybersecqwen.embedded.confidence import UNKNOWN, Basis, confidence
from cybersecqwen.embedded.evidence import MOST, evidence_for
from cybersecqwen.embedded.gazetteer import PROPER
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.linking import Subject
from cybersecqwen.embedded.overview import overview
from cybersecqwen.embedded.question import Question, understand
from cybersecqwen.embedded.ranking import ranking
from cybersecqwen.embedded.request import question_words
from cybersecqwen.embedded.terms import terms
from cybersecqwen.records import Answer

NOT_COVERED = "not covered"
_PAIR = 2  # entries that a part of a name may mean, of which both are answered
_SEVERAL = 3  # entries that one answer speaks of
_DESCRIBING = 2  # words that tell, from which a question describes something
_TELLING = 4  # the same, beside a mitigation by another name, such as "MFA"
_TALE = 6  # the same, from which it is hardly anything but a description
_NEAR = 0.6  # of the best score, from which another entry is named too
_MUCH = 2.5  # times what a name weighs, from which the rest of a question counts more
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SINCE = re.compile(r"\b(?:since|from|of|active|seen) (?:in )?(?:[A-Z]\w+ )?(?:19|20)\d\d\b")
# What is said to be missing where entries of a kind have no such thing, not what the entry is.
_ATTRIBUTES = {"date": "date", "requires": "prerequisite", "skill": "skill level"}
# What is asked of situations too, and the kinds that lead to techniques and weaknesses.
_DESCRIBING_ASKS = ("technique", "weakness", "mitigation", "detection", "attack pattern")
_LEADING = ("attack pattern", "detection strategy", "asset")


@dataclass(frozen=True)
class Reply:
    """An answer, and the entries that it is about, to which the next question may point back.

    `basis` is what its confidence goes by.
    """

    answer: Answer
    about: tuple[int, ...] = ()
    basis: Basis = UNKNOWN


def answer_question(index: KnowledgeIndex, text: str) -> Answer:
    """Answer in a sentence or two; where nothing is known the answer begins with "not covered".

    The confidence is the probability that the answer answers the question, as measured for
    questions that were answered the same way. The score of a piece of evidence is the share of the
    question's words that it holds.
    """
    return reply(index, text).answer


def reply(index: KnowledgeIndex, text: str, *, before: Sequence[int] = ()) -> Reply:
    """Answer a question, which may point back to the entries that the one before was about."""
    if refusal.is_harmful(text):
        return Reply(Answer(refusal.DECLINED, 0.0, covered=False), tuple(before))
    question = understand(index, text, before=before)
    if retired := deprecation.gone(question):
        return Reply(not_covered(retired))
    if _is_off_topic(question):
        return Reply(not_covered("this is no question about attacks or weaknesses"))
    for way in _WAYS:
        answered = way(question)
        if answered is not None:
            return answered
    return Reply(not_covered(_language(question)))


def not_covered(reason: str = "") -> Answer:
    """Return the answer where nothing known answers, with the reason if there is one."""
    text = f"{NOT_COVERED}: {reason}" if reason else NOT_COVERED
    return Answer(text, 0.0, covered=False)


def _compared(question: Question) -> Reply | None:
    """Answer a question about two entries: whether, which, what in common, how they differ."""
    subjects = question.subjects
    way = max((subject.way for subject in subjects), key=linking.WAYS.index, default="id")
    positions = [subject.positions[0] for subject in subjects[:2]]
    sentences = comparison.compare(question)
    if sentences and question.why and not sentences[0].startswith("No"):
        return Reply(not_covered("the reason is not recorded"), tuple(positions))
    if sentences:
        return _reply(question, sentences, positions, Basis(way))
    if question.request.asked != "difference" or situation.is_described(question):
        return None
    return _only_one(question)


def _only_one(question: Question) -> Reply | None:
    """Say that of two things to compare one at most is known, or that both are one entry."""
    index, names = question.index, question.names
    if not question.subjects or len(question.subjects) > 1:
        return Reply(not_covered("the things to compare are not both known here"))
    position = question.subjects[0].positions[0]
    label = index.label(position)
    if len(names) > 1:
        said = facts.listed([name.said for name in names])
        sentences = [f"{said} are one entry here.", *facts.summary(index, position)]
        return _reply(question, sentences, [position], Basis(names[0].way))
    return Reply(not_covered(f"only {label} of what is compared is known here"), (position,))


def _of_subjects(question: Question) -> Reply | None:
    """Say what is asked for of the entries that the question names."""
    request = question.request
    if not question.subjects or _is_told_beside_a_tactic(question):
        return None
    name = linking.unknown_name(question.index, question.cut) if request.yes_no else ""
    if name and len(question.subjects) == 1:
        return Reply(not_covered(f"nothing that is known here is called {name}"))
    if request.yes_no and request.asked == "alias":
        return _of_mention(question)  # whether two are the same was compared before
    served = (_served(question, asked) for asked in (request.asked, *request.others))
    told = _joined(question) or next(filter(None, served), None)
    if told:
        return told
    aside = [_is_aside(question, subject) for subject in question.subjects]
    if all(aside) or (request.certain and any(aside)):
        return None
    return _nothing_recorded(question) or (None if request.certain else _of_mention(question))


def _is_told_beside_a_tactic(question: Question) -> bool:
    """Tell whether something is described of a tactic: "which groups use Telegram for C2"."""
    kinds = {question.index.entries[s.positions[0]].kind for s in question.subjects}
    told = [term for term in question.rest if question.index.postings([term])[0] is not None]
    asked = question.request.kinds & {*PROPER, "mitigation", "detection strategy"}
    # "… resource development technique?" behind what happened asks for one of the tactic's.
    happened = "technique" in question.request.kinds and len(question.rest) >= _TELLING
    return bool(told) and kinds == {"tactic"} and (bool(asked) or happened)


def _joined(question: Question) -> Reply | None:
    """Answer each part of a question that asks for several things, where two at least are told."""
    parts = [
        _of_mention(question, asked) if asked == "definition" else _served(question, asked)
        for asked in question.parts
    ]
    told = [part for part in parts if part]
    if len(told) < _PAIR:
        return None
    answers = [part.answer for part in told]
    evidence = dict.fromkeys(one for answer in answers for one in answer.evidence[:_PAIR])
    answer = replace(
        answers[0],
        answer=" ".join(answer.answer for answer in answers),
        confidence=min(answer.confidence for answer in answers),
        evidence=tuple(evidence)[:MOST],
    )
    return replace(told[0], answer=answer)


def _of_mention(question: Question, asked: str = "") -> Reply | None:
    """Say what the entry is that a question names first, whatever it asks of it."""
    if not question.subjects:
        return None
    # "AV says Korplug" is about that, and not about antivirus.
    subject = min(question.subjects, key=lambda one: one.way == "alias")
    request = question.request
    position = statements.preferred(question, subject.positions)[0]
    sentences = facts.summary(question.index, position)
    said = "instead" if request.certain and asked != "definition" else "asked"
    said = "beside" if _is_beside(question) else said
    return _reply(question, sentences, [position], Basis(subject.way, said))


def _is_beside(question: Question) -> bool:
    """Tell whether an entry only shares the topic of a question for yes or no, or for a list."""
    request = question.request
    several = request.several and request.kinds & PROPER and not question.subjects
    return bool(several) or (request.yes_no and not request.either)


def _served(question: Question, asked: str) -> Reply | None:
    """Say what is asked for of each entry of which it can be said, and most directly."""
    index = question.index
    found: list[tuple[int, Subject, int, list[str]]] = []
    for subject in question.subjects:
        if _is_aside(question, subject):
            continue
        positions = statements.preferred(question, subject.positions)
        for position in statements.of_one_domain(index, positions):
            sentences = statements.said(question, asked, position)
            if sentences:
                hops = max(
                    (facts.hops(p) for p, _ in statements.paths(index, asked, position)), default=1
                )
                found.append((hops, subject, position, sentences))
                break
    # A tactic beside another subject restricts what is said of that.
    found = [one for one in found if index.entries[one[2]].kind != "tactic"] or found
    # So does a campaign beside its group.
    campaigns = [one for one in found if index.entries[one[2]].kind == "campaign"]
    if {index.entries[one[2]].kind for one in found} == {"group", "campaign"}:
        found = campaigns
    if not found:
        return None
    least = min(hops for hops, *_ in found)
    found = [one for one in found if one[0] == least][:_SEVERAL]
    sentences = [sentence for *_, said in found for sentence in said]
    said = "asked" if asked in (question.request.asked, *question.parts) else "instead"
    positions = [position for _, _, position, _ in found]
    return _reply(question, sentences, positions, Basis(found[0][1].way, said))


def _nothing_recorded(question: Question) -> Reply | None:
    """Say that nothing is recorded of what was asked for; None where that is of no such kind."""
    index, asked = question.index, question.request.asked
    first = question.subjects[0].positions[0]
    told = asked == "date" and _SINCE.search(index.definition(first))
    if asked in _ATTRIBUTES and not (told or statements.paths(index, asked, first)):
        lacks = f"no {_ATTRIBUTES[asked]} is recorded for {index.label(first)}"
        entry = index.entries[first]
        if asked == "requires" and entry.kind == "attack pattern":
            lacks = f"the prerequisites of {index.label(first)} are only on its page, {entry.url}"
        return Reply(not_covered(lacks), (first,))
    for subject in question.subjects:
        for position in subject.positions:
            found = statements.paths(index, asked, position)
            if found:
                if index.is_unstated(
                    position, {r for path, _ in found for r in facts.relations(path)}
                ):
                    return Reply(not_covered(), (position,))
                base = facts.base(index.entries[position].entry_id)
                parts = asked == "child" and index.entries[position].kind == "technique"
                asked = "sub-technique" if parts else asked
                text = f"{base} records no {asked} for {index.label(position)}."
                return _reply(question, [text], [position], Basis(subject.way, "none"))
    return None


def _is_aside(question: Question, subject: Subject) -> bool:
    """Tell whether a question says much more than a name that it mentions by the way."""
    index, asked = question.index, question.request.asked
    if index.entries[subject.positions[0]].kind == "mitigation" and subject.way == "alias":
        against = question.first in question_words("how") and question.is_of_attackers
        of_techniques = asked == "technique" and "mitigation" not in question.request.others
        unasked = of_techniques or not question.request.certain
        telling = unasked and len(question.rest) >= _TELLING
        return against or telling
    if subject.way == "id" or not subject.end or asked not in _DESCRIBING_ASKS:
        return False
    kinds = {index.entries[position].kind for position in subject.positions}
    own = question.request.kinds & {*situation.DESCRIBED, *situation.ASKED_FOR}
    if own and not kinds & {*own, *PROPER, "tactic", *_LEADING}:
        return len(question.rest) >= _DESCRIBING
    named = index.rarity(list(dict.fromkeys(terms(subject.said))))
    rest = [term for term in question.rest if index.postings([term])[0] is not None]
    return subject.end - subject.start == 1 and index.rarity(rest) > _MUCH * named


def _of_all(question: Question) -> Reply | None:
    """Rank entries, or answer a question about the knowledge bases as a whole."""
    told = ranking(question) or overview(question)
    last = _SENTENCE.split(question.text.strip())[-1]
    if not told and last != question.text.strip() and not question.subjects:
        question = understand(question.index, last)  # "We run ESXi. Which techniques …?"
        told = overview(question)
    if not told:
        return None
    if not told.sentences:
        reason = f"nothing here records {told.unrecorded}" if told.unrecorded else ""
        return Reply(not_covered(reason))
    way = max((s.way for s in question.subjects), key=linking.WAYS.index, default="name")
    question = replace(question, rest=told.rest)
    return _reply(question, told.sentences, told.positions[:_SEVERAL], Basis(way))


def _unrecorded(question: Question) -> Reply | None:
    """Say that the knowledge bases record nothing of the kind that is asked for."""
    request = question.request
    told = len(question.rest) >= _TALE or question.first == "how"
    reason = "" if told or _asks_for_status(question) else refusal.unrecorded(question.cut)
    view = hierarchy.unknown_view(question)
    reason = f"which entries are in {view}" if view else reason
    if request.asked == "specific" and question.subjects:
        reason = ""  # which of two CWEs is better is said elsewhere
    victims = refusal.names_victims(question.cut)
    asked = request.kinds & PROPER and (request.several or question.first in _WHO)
    targets = "target" in (request.asked, *request.others) or victims
    described = len(question.rest) >= _DESCRIBING
    restricts = request.kinds & {*PROPER, "technique"} and (request.countries or request.platforms)
    if question.negated and restricts and question.subjects and not (described or request.yes_no):
        reason = reason or "what an entry is not or does not have"
    if not reason and (
        (asked and targets and not question.subjects) or (victims and request.yes_no)
    ):
        reason = "whom groups attack, or with what"
    return Reply(not_covered(f"nothing here records {reason}")) if reason else None


_WHO = {"who", "which", "what"}


def _asks_for_status(question: Question) -> bool:
    """Tell "is CWE-592 still a thing?", which of a group or software nothing records."""
    by_id = [s.positions[0] for s in question.subjects if s.way == "id"]
    kinds = {question.index.entries[position].kind for position in by_id}
    return question.request.asked == "status" and bool(kinds) and kinds.isdisjoint(PROPER)


def _unclear(question: Question) -> Reply | None:
    """Ask back where a question is vague or may mean several entries; name what nothing is."""
    index, cut = question.index, question.cut
    if question.subjects or not cut:
        return None
    name, manual = linking.unknown_name(index, cut), refusal.manual(cut)
    if refusal.is_vague(cut) or _is_of_unnamed(question):
        text = "Please say more: which technique, group, software, weakness or CVE is it about?"
        return Reply(Answer(text, 0.0, covered=False))
    if manual:
        return Reply(not_covered(f"{manual} is none of the knowledge bases"))
    if name and question.request.certain and len(question.rest) <= len(name.split()) + 1:
        return Reply(not_covered(f"nothing that is known here is called {name}"))
    part = linking.part_of_name(index, cut) if len(question.rest) <= 1 else None
    return _of_part(question, part) if part else None


def _is_of_unnamed(question: Question) -> bool:
    """Tell "which techniques did they use?", where nobody is named."""
    pointed = "they" in question.words and not question.is_of_attackers
    asked = question.request.kinds & {*PROPER, "technique", "tactic"}
    return pointed and bool(asked) and len(question.rest) <= _TELLING


def _of_part(question: Question, part: Subject) -> Reply | None:
    """Answer for what a part of a name may mean, or ask which of them is meant."""
    if len(part.positions) <= (_PAIR if question.request.certain else 1):
        each = tuple(part._replace(positions=(position,)) for position in part.positions)
        return _of_subjects(replace(question, subjects=each, rest=()))  # it was the only word left
    index, groups = question.index, part.positions
    if question.words & {"group", "groups", "gang", "actor"}:
        groups = tuple(p for p in groups if index.entries[p].kind == "group") or groups
    names = facts.listed([index.label(position) for position in groups])
    return Reply(Answer(f'Which one do you mean by "{part.said}": {names}?', 0.0, covered=False))


def _of_situation(question: Question) -> Reply | None:
    """Link what the question describes to the entry that it fits, and answer for that."""
    tactics = question.tactics if _is_told_beside_a_tactic(question) else ()
    hinted = situation.hinted(question.index, question.text)
    little = question.request.kinds == {"weakness"} or bool(tactics or hinted)
    if len(question.rest) < (1 if little else _DESCRIBING):
        return None
    fits = situation.closest(question, tactics=tactics)
    if not fits:
        return None
    best, *others = fits
    described = replace(question, subjects=(Subject("", (best.position,), "situation"),))
    asked = question.request.asked
    asked = "weakness" if asked == "usage" else asked  # "which CWE would you assign"
    asked = "definition" if asked == "alias" else asked  # "… name of the technique?"
    parts = question.parts or (asked,)
    sentences = [text for part in parts for text in statements.said(described, part, best.position)]
    if not sentences:
        first, *more = facts.summary(question.index, best.position)
        sentences = [f"The closest match: {first}", *more]
    near = [fit.position for fit in others if fit.score >= _NEAR * best.score]
    if near and statements.is_of(question.index, best.position, asked):
        names = facts.listed([question.index.label(position) for position in near])
        sentences.append(f"Also possible: {names}.")
    said = "beside" if _is_beside(question) else "asked"
    return _reply(question, sentences, [best.position], Basis("situation", said, best.score))


def _is_off_topic(question: Question) -> bool:
    """Tell whether a question is one of use or purchase, with no id and for no weakness."""
    by_id = any(subject.way == "id" for subject in question.subjects)
    ours = question.request.asked in ("mitigation", "detection", "weakness")
    named = any(question.index.entries[s.positions[0]].kind in PROPER for s in question.subjects)
    ours = ours or (named and question.request.asked == "technique")
    return not (by_id or ours) and refusal.is_off_topic(question.cut)


def _language(question: Question) -> str:
    name = refusal.language(question.text)
    return (
        f"the question is in {name}, of which only ids, names and some words are read"
        if name
        else ""
    )


def _reply(
    question: Question, sentences: Sequence[str], positions: Sequence[int], basis: Basis
) -> Reply:
    stand_ins = linking.stand_ins(question.index, question.subjects)
    if stand_ins:  # of which nothing is recorded by itself
        sentences = [comparison.without_verdict(sentence) for sentence in sentences]
        basis = basis._replace(said="instead")
    before = (*stand_ins, *deprecation.told_instead(question))
    text = " ".join(sentence for sentence in (*before, *sentences) if sentence)
    evidence = evidence_for(question, positions)
    basis = basis._replace(unread=len(question.rest))
    answer = Answer(text, confidence(basis), covered=True, evidence=evidence)
    return Reply(answer, tuple(positions), basis)


# The ways to answer a question, in the order in which they are tried.
_WAYS: tuple[Callable[[Question], Reply | None], ...] = (
    _of_all,
    _compared,
    _unrecorded,
    _of_subjects,
    _unclear,
    _of_situation,
    _of_mention,
)
