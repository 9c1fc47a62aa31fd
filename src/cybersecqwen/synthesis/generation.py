"""Let a teacher write the pairs: it gets a grounding and gives question, answer and a quote of it.

    drafts = generate_drafts(teacher, Subjects(records, facts), settings, path)
    drafts.makers, drafts.unusable, drafts.usage

What it gives is one JSON object, read strictly; anything else is unusable, and kept with its
reason. What can be read passes the same checks as every pair.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.config import Synthesis
from cybersecqwen.engines import failure_reason
from cybersecqwen.engines.teacher import Teacher, generate
from cybersecqwen.files import Json
from cybersecqwen.records import Fact, Request, Response, Sampling
from cybersecqwen.synthesis.cvss import read_vector
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.pair import KINDS, LETTERS, Draft, Grounding
from cybersecqwen.synthesis.record_facts import RecordFacts
from cybersecqwen.synthesis.selection import apportion

_SPARE = 1.25  # requests for each pair that is wanted: some will be rejected
_SHOWN = 500  # characters of an unusable answer that are kept beside it in the ledger

_SYSTEM = (
    "You write training data for a model that helps defenders: triage, detection, mitigation. "
    "You never write exploit code, payloads or steps of an attack. You state nothing that the "
    "given text does not say."
)
_ABOUT = {
    "weakness": "which weakness (CWE) lies behind the vulnerability, and what in the text says so",
    "consequence": "what an attacker can achieve, as the text states it",
    "mitigation": "how defenders can mitigate the technique",
    "technique": "the technique's tactic, platforms, detection or place in ATT&CK",
    "cvss": "what the CVSS vector says about the vulnerability, and how severe it is",
    "component": "which product, version or component is affected",
}
_FREE = (
    'Answer with one JSON object and nothing else: {"question": "...", "answer": "...", '
    '"quote": "..."}. The question is one that an analyst asks; it can be answered from the text '
    "alone{with_text}. The answer has one to four sentences. The quote is a part of the text, word "
    "for word, that supports the answer."
)
_CHOICE = (
    'Answer with one JSON object and nothing else: {"question": "...", "options": ["...", "...", '
    '"...", "..."], "correct": "A", "answer": "...", "quote": "..."}. The question can be answered '
    "from the text alone{with_text}. The four options are plausible and of one sort; exactly one "
    "is right, it is a part of the text word for word, and no other stands in the text. The answer "
    "says in one sentence why. The quote is a part of the text, word for word, that supports it."
)
_WITH = "; the description is shown with the question, so do not repeat it"
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", re.DOTALL)
_KEYS = {False: {"question", "answer", "quote"}}
_KEYS[True] = _KEYS[False] | {"options", "correct"}

# What a technique's grounding states: the relation, whether it is asked backwards, its name.
_STATED = (
    ("tactic", False, "tactic"),
    ("part of", False, "sub-technique of"),
    ("platform", False, "platforms"),
    ("mitigates", True, "mitigations"),
    ("data for", True, "data components that help to detect it"),
)
_MOST = 8  # targets of a relation that are stated


class Subjects(NamedTuple):
    """What may be asked about: records, and the entries of the knowledge bases."""

    records: Sequence[RecordFacts]
    base: FactBase


@dataclass(frozen=True)
class DraftSource:
    """Makers of drafts, answers that none could be made of, and what the asking took."""

    makers: Mapping[tuple[str, str, bool], Callable[[], Iterator[Draft]]]
    unusable: Sequence[Json] = ()
    usage: Json | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """One thing to ask a teacher for."""

    kind: str
    choice: bool
    subject: str
    grounding: tuple[Grounding, ...]
    text: str = ""  # of a record, which is shown with the question
    facts: tuple[Fact, ...] = field(default=())


def generate_drafts(
    teacher: Teacher, topics: Subjects, settings: Synthesis, path: Path
) -> DraftSource:
    """Ask for a quarter more pairs than are wanted; every answer is kept in `path` as it comes.

    Called again after a kill it goes on with what is missing. Raises EngineError where the
    teacher fails.
    """
    questions = list(_questions(topics, settings))
    requests = [_request(n, one, settings) for n, one in enumerate(questions)]
    responses, usage = generate(teacher, requests, path, label="synthesis")
    drafts: dict[tuple[str, str, bool], list[Draft]] = {
        (kind, "asked", choice): [] for kind in KINDS for choice in (True, False)
    }
    unusable: list[Json] = []
    for response in responses:
        question = questions[response.item]
        outcome = _read(response, question, topics.base, str(teacher.identity["model"]))
        if isinstance(outcome, Draft):
            drafts[question.kind, "asked", question.choice].append(outcome)
        else:
            unusable.append(_ledger(response, question, outcome))
    makers = {key: partial(iter, found) for key, found in drafts.items()}
    return DraftSource(makers, unusable, {**teacher.identity, **usage.json()})


def _questions(topics: Subjects, settings: Synthesis) -> Iterator[_Question]:
    """Choose what to ask about: each record and entry once, kinds by their shares."""
    rng = random.Random(f"{settings.seed}/asked")
    records = rng.sample(topics.records, len(topics.records))
    entries = topics.base.of_kind("technique")
    entries = rng.sample(entries, len(entries))
    wanted = apportion(round(settings.pairs * _SPARE), settings.shares.model_dump())
    for kind, number in wanted.items():
        fits = _FITS.get(kind)
        if fits:
            chosen = [r for r in records if fits(r)][:number]
            taken = {r.cve_id for r in chosen}
            records = [r for r in records if r.cve_id not in taken]
            found = [_of_record(kind, record) for record in chosen]
        else:
            found = [_of_entry(kind, one, topics.base) for one in entries[:number]]
            entries = entries[number:] or entries
        choices = round(len(found) * settings.choices)
        yield from (_with_form(one, choice=n < choices) for n, one in enumerate(found))


_FITS: dict[str, Callable[[RecordFacts], bool]] = {
    "weakness": lambda r: bool(r.cwe),
    "consequence": lambda r: True,
    "cvss": lambda r: read_vector(r.vulnerability.cvss3_vector or "") is not None,
    "component": lambda r: True,
}


def _of_record(kind: str, record: RecordFacts) -> _Question:
    grounding = record.grounding()
    reading = read_vector(record.vulnerability.cvss3_vector or "")
    if kind == "cvss" and reading:
        grounding = (*grounding, reading.grounding())
    if kind == "weakness":
        grounding = (*grounding, record.label())
    return _Question(kind, False, record.cve_id, grounding, record.text)


def _of_entry(kind: str, entry_id: str, base: FactBase) -> _Question:
    grounding: list[Grounding] = []
    facts: list[Fact] = []
    for relation, inverse, says in _STATED:
        if inverse:
            others = base.subjects.get((relation, entry_id), ())[:_MOST]
            facts += (Fact(other, relation, entry_id) for other in others)
        else:
            others = base.targets.get((entry_id, relation), ())[:_MOST]
            facts += (Fact(entry_id, relation, other) for other in others)
        if others:
            grounding.append(base.ground(entry_id, says, others))
    texts = base.passages.get((entry_id, "description"), ())[:1]
    grounding += (base.quote(entry_id, "description", text) for text in texts)
    return _Question(kind, False, entry_id, tuple(grounding), facts=tuple(facts))


def _with_form(one: _Question, *, choice: bool) -> _Question:
    return _Question(one.kind, choice, one.subject, one.grounding, one.text, one.facts)


def _request(number: int, question: _Question, settings: Synthesis) -> Request:
    form = _CHOICE if question.choice else _FREE
    told = form.replace("{with_text}", _WITH if question.text else "")
    text = "\n".join(one.text for one in question.grounding)
    asked = f"Ask about {_ABOUT[question.kind]}.\n\nText:\n{text}\n\n{told}"
    sampling = Sampling(settings.temperature, 1.0, settings.max_tokens, settings.seed + number)
    return Request(number, 0, (("system", _SYSTEM), ("user", asked)), sampling)


def _read(response: Response, question: _Question, base: FactBase, model: str) -> Draft | str:
    """Make a draft of a teacher's answer, or say why none can be made of it."""
    if failure_reason(response):
        return "teacher-no-answer"
    if response.finish_reason == "length":
        return "teacher-cut-off"
    given = _object(response.text)
    if given is None:
        return "teacher-no-json"
    problem = _malformed(given, question.choice)
    if problem:
        return problem
    options: tuple[str, ...] = ()
    if question.choice:
        at = LETTERS.index(given["correct"])
        listed = [option.strip() for option in given["options"]]
        options = (listed[at], *listed[:at], *listed[at + 1 :])
    asked = given["question"].strip()
    said = " ".join((asked, given["answer"], *options[:1]))
    return Draft(
        kind=question.kind,
        topic="asked",
        subject=question.subject,
        question=f"{question.text} {asked}" if question.text else asked,
        answer=given["answer"].strip(),
        grounding=question.grounding,
        support=(given["quote"].strip(),),
        options=options,
        facts=tuple(f for f in question.facts if _told(f, question.subject, said, base)),
        made_by=f"teacher {model}",
    )


def _object(text: str) -> Json | None:
    fenced = _FENCE.match(text)
    try:
        given = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _malformed(given: Json, choice: bool) -> str:
    """Name what is wrong with the object, "" where nothing is."""
    if given.keys() != _KEYS[choice]:
        return "teacher-wrong-keys"
    texts = [given[key] for key in ("question", "answer", "quote")]
    if choice:
        options = given["options"]
        if not isinstance(options, list) or len(options) != 4:
            return "teacher-not-four-options"
        if given["correct"] not in list(LETTERS):
            return "teacher-no-letter"
        texts += options
    good = all(isinstance(text, str) and text.strip() for text in texts)
    return "" if good else "teacher-empty-text"


def _told(fact: Fact, subject: str, said: str, base: FactBase) -> bool:
    """Tell whether a pair speaks of the other end of a fact."""
    other = fact.target if fact.subject == subject else fact.subject
    words = (other, base.label(other)) if other in base.entries else (other,)
    return any(word.casefold() in said.casefold() for word in words)


def _ledger(response: Response, question: _Question, reason: str) -> Json:
    return {
        "reason": reason,
        "detail": failure_reason(response) or response.text[:_SHOWN],
        "item": "",
        "kind": question.kind,
        "topic": "asked",
        "subject": question.subject,
        "answered": response.item,  # its place in answers.jsonl, where it stands whole
    }
