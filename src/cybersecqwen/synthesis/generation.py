"""Let a teacher write the pairs: from a grounding, a question, its answer and a quote.

    drafts = generate_drafts(teacher, Subjects(records, base), settings, path)
    drafts.makers, drafts.unusable, drafts.usage

It answers with one JSON object, read strictly; anything else is unusable, and kept with its
reason. What can be read passes the same checks as every pair.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
from cybersecqwen.synthesis.pair import KINDS, LETTERS, Draft, Grounding, Makers, right_first
from cybersecqwen.synthesis.record_facts import RecordFacts
from cybersecqwen.synthesis.relation_questions import RELATIONS
from cybersecqwen.synthesis.selection import apportion
from cybersecqwen.synthesis.wording import fill, load_templates

_TOPIC = "asked"  # of all that a teacher writes
_SPARE = 1.25  # requests for each pair that is wanted: some will be rejected
_SHOWN = 500  # characters of an unusable answer that are kept beside it in the ledger

_WORDS = load_templates("teacher.toml")
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", re.DOTALL)
_KEYS = {False: {"question", "answer", "quote"}}
_KEYS[True] = _KEYS[False] | {"options", "correct"}

# Topics of the relations that a technique's grounding states, in this order.
_STATED = (
    "tactic",
    "parent technique",
    "platform",
    "mitigation of a technique",
    "data component",
)
_RELATIONS = {relation.topic: relation for relation in RELATIONS}
_MOST = 8  # targets of a relation that are stated


class Subjects(NamedTuple):
    """All that may be asked about: records, and the entries of the knowledge bases."""

    records: Sequence[RecordFacts]
    base: FactBase


@dataclass(frozen=True)
class DraftSource:
    """Makers of drafts, the answers that no draft could be made of, and the teacher's usage."""

    makers: Makers
    unusable: Sequence[Json] = ()
    usage: Json | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    """One pair that a teacher is to write."""

    kind: str
    subject: str
    grounding: tuple[Grounding, ...]
    text: str = ""  # of a record, which is shown with the question
    facts: tuple[Fact, ...] = ()
    choice: bool = False


def generate_drafts(
    teacher: Teacher, subjects: Subjects, settings: Synthesis, path: Path
) -> DraftSource:
    """Generate a quarter more pairs than are wanted; every answer is in `path` as it comes.

    Called again after a kill it goes on with what is missing. Raises EngineError where the
    teacher fails.
    """
    tasks = list(_tasks(subjects, settings))
    requests = [_request(n, task, settings) for n, task in enumerate(tasks)]
    responses, usage = generate(teacher, requests, path, label="synthesis")
    drafts: dict[tuple[str, str, bool], list[Draft]] = {
        (kind, _TOPIC, choice): [] for kind in KINDS for choice in (True, False)
    }
    unusable: list[Json] = []
    for response in responses:
        task = tasks[response.item]
        outcome = _read(response, task, subjects.base, str(teacher.identity["model"]))
        if isinstance(outcome, Draft):
            drafts[task.kind, _TOPIC, task.choice].append(outcome)
        else:
            unusable.append(_ledger_row(response, task, outcome))
    makers: Makers = {key: partial(iter, of) for key, of in drafts.items()}
    return DraftSource(makers, unusable, {**teacher.identity, **usage.json()})


def _tasks(subjects: Subjects, settings: Synthesis) -> Iterator[_Task]:
    """Choose what to ask about: each record and entry once, kinds by their shares."""
    rng = random.Random(f"{settings.seed}/{_TOPIC}")
    records = rng.sample(subjects.records, len(subjects.records))
    entries = subjects.base.of_kind("technique")
    entries = rng.sample(entries, len(entries))
    wanted = apportion(round(settings.pairs * _SPARE), settings.shares.model_dump())
    for kind, number in wanted.items():
        fits = _FITS.get(kind)
        if fits:
            chosen = [r for r in records if fits(r)][:number]
            taken = {r.cve_id for r in chosen}
            records = [r for r in records if r.cve_id not in taken]
            tasks = [_record_task(kind, record) for record in chosen]
        else:
            tasks = [_entry_task(kind, one, subjects.base) for one in entries[:number]]
            entries = entries[number:] or entries
        choices = round(len(tasks) * settings.choices)
        yield from (replace(task, choice=n < choices) for n, task in enumerate(tasks))


_FITS: dict[str, Callable[[RecordFacts], bool]] = {
    "weakness": lambda r: bool(r.cwe),
    "consequence": lambda r: True,
    "cvss": lambda r: read_vector(r.vulnerability.cvss3_vector or "") is not None,
    "component": lambda r: True,
}


def _record_task(kind: str, record: RecordFacts) -> _Task:
    grounding = record.grounding()
    reading = read_vector(record.vulnerability.cvss3_vector or "")
    if kind == "cvss" and reading:
        grounding = (*grounding, reading.grounding())
    if kind == "weakness":
        grounding = (*grounding, record.label())
    return _Task(kind, record.cve_id, grounding, record.text)


def _entry_task(kind: str, entry_id: str, base: FactBase) -> _Task:
    grounding: list[Grounding] = []
    facts: list[Fact] = []
    for relation in map(_RELATIONS.__getitem__, _STATED):
        others = base.related(entry_id, relation.relation, inverse=relation.inverse)[:_MOST]
        facts += (relation.fact(entry_id, other) for other in others)
        if others:
            grounding.append(base.ground(entry_id, relation.grounding, others))
    texts = base.passages.get((entry_id, "description"), ())[:1]
    grounding += (base.quote(entry_id, "description", text) for text in texts)
    return _Task(kind, entry_id, tuple(grounding), facts=tuple(facts))


def _request(number: int, task: _Task, settings: Synthesis) -> Request:
    form = _WORDS["choice" if task.choice else "open"]
    prompt = fill(
        _WORDS["request"],
        about=_WORDS["about"][task.kind],
        text="\n".join(one.text for one in task.grounding),
        form=fill(form, shown=_WORDS["shown"] if task.text else ""),
    )
    sampling = Sampling(settings.temperature, 1.0, settings.max_tokens, settings.seed + number)
    return Request(number, 0, (("system", _WORDS["system"]), ("user", prompt)), sampling)


def _read(response: Response, task: _Task, base: FactBase, model: str) -> Draft | str:
    """Make a draft of a teacher's answer, or say why none can be made of it."""
    if failure_reason(response):
        return "teacher-no-answer"
    if response.finish_reason == "length":
        return "teacher-cut-off"
    answer = _object(response.text)
    if answer is None:
        return "teacher-no-json"
    problem = _malformed(answer, task.choice)
    if problem:
        return problem
    options: tuple[str, ...] = ()
    if task.choice:
        listed = [option.strip() for option in answer["options"]]
        options = right_first(listed, LETTERS.index(answer["correct"]))
    question = answer["question"].strip()
    spoken = " ".join((question, answer["answer"], *options[:1])).casefold()
    return Draft(
        kind=task.kind,
        topic=_TOPIC,
        subject=task.subject,
        question=f"{task.text} {question}" if task.text else question,
        answer=answer["answer"].strip(),
        grounding=task.grounding,
        support=(answer["quote"].strip(),),
        options=options,
        facts=tuple(f for f in task.facts if _names_other_end(spoken, f, task.subject, base)),
        made_by=f"teacher {model}",
    )


def _object(text: str) -> Json | None:
    fenced = _FENCE.match(text)
    try:
        parsed = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _malformed(answer: Json, choice: bool) -> str:
    """Name what is wrong with the object, "" where nothing is."""
    if answer.keys() != _KEYS[choice]:
        return "teacher-wrong-keys"
    texts = [answer[key] for key in ("question", "answer", "quote")]
    if choice:
        options = answer["options"]
        if not isinstance(options, list) or len(options) != 4:
            return "teacher-not-four-options"
        if answer["correct"] not in list(LETTERS):
            return "teacher-no-letter"
        texts += options
    good = all(isinstance(text, str) and text.strip() for text in texts)
    return "" if good else "teacher-empty-text"


def _names_other_end(spoken: str, fact: Fact, subject: str, base: FactBase) -> bool:
    """Tell whether a pair speaks of the end of a fact that it is not about."""
    other = fact.target if fact.subject == subject else fact.subject
    names = (other, base.label(other)) if other in base.entries else (other,)
    return any(name.casefold() in spoken for name in names)


def _ledger_row(response: Response, task: _Task, reason: str) -> Json:
    return {
        "reason": reason,
        "detail": failure_reason(response) or response.text[:_SHOWN],
        "item": "",
        "kind": task.kind,
        "topic": _TOPIC,
        "subject": task.subject,
        "answered": response.item,  # its place in answers.jsonl, where it stands whole
    }
