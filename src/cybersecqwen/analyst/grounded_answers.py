"""Have a language model write answers from the passages that were found, and check what it wrote.

    question = Question(0, "Which tactic does T1059.001 serve?")
    embedded = [(question, ask(question.text))]
    for question, answer in write_answers(embedded, "CyberSecQwen-4B@http://localhost:8000/v1"):
        print(answer.answer, answer.grounding.kept, answer.grounding.refused)

The embedded answer comes first: what it does not cover, or declines, is never put to the model.
The model gets it with its evidence as quoted passages. Of a free answer the sentences that the
passages bear out are kept, behind the embedded answer unless the first of them is, at the embedded
confidence. Of a choice the letter is weighed against the embedded probabilities. Where nothing is
left, or the model fails, the embedded answer stands.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cybersecqwen.analyst.grounding import check, sentences
from cybersecqwen.analyst.optional_model import FailureReport, OptionalModel
from cybersecqwen.analyst.questions import Question
from cybersecqwen.analyst.quotations import in_a_line, numbered, quoted
from cybersecqwen.analyst.related import knowledge
from cybersecqwen.analyst.voting import outweighed, weighed
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.embedded.option_ranker import QuestionContext
from cybersecqwen.engines import empty_response, failure_reason
from cybersecqwen.engines.reasoning import read_answer
from cybersecqwen.prompts import GROUNDED
from cybersecqwen.records import (
    Answer,
    Evidence,
    Grounding,
    Quotation,
    Refusal,
    Request,
    Response,
    Sampling,
)

if TYPE_CHECKING:
    from cybersecqwen.embedded.knowledge import KnowledgeIndex

AHEAD = 256  # questions that are put to the model together
_SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=512, seed=42)
_PASSAGES = 8  # of a free answer
_LONGEST = 4_000  # characters of a question in a prompt
_FOR_OPTIONS = 12  # passages of a choice, as many for each option
_TEXT = 1_000  # characters of a passage that are quoted
_OWN_TEXT = 4_000  # of the embedded answer
_OWN = "what the embedded model answers"
_NO_ANSWER = "NOT COVERED"
_SHOWN = 200  # characters of an answer that names no option

QuestionAnswer = tuple[Question, Answer]


class _Text(NamedTuple):
    """A text to quote, and the entry that it is of."""

    id: str
    name: str
    url: str
    text: str


class _Draft(NamedTuple):
    """An embedded answer, and what the model is given of it; no prompt where it is not covered."""

    question: Question
    answer: Answer
    passages: tuple[Quotation, ...] = ()
    prompt: str = ""


def write_answers(
    answers: Iterable[QuestionAnswer],
    model: str | Path | OptionalModel,
    *,
    ahead: int = AHEAD,
    report: FailureReport | None = None,
    **options: Any,
) -> Iterator[QuestionAnswer]:
    """Yield every question with the answer that a model wrote and the passages bear out.

    `model` and `options` are those of `engines.open_model`, or it is open already. So many answers
    as `ahead` are read together, and all are yielded in their order. `report`, by default the log,
    is told of what the model has no text for; once it has failed for good it is not asked again,
    and the embedded answers stand. Raises InputError where the string names no model.
    """
    writer = model
    if not isinstance(writer, OptionalModel):
        writer = OptionalModel(str(writer), report=report, **options)
    index, left = knowledge(), iter(answers)
    for begin in count(step=ahead):
        drafts = [_draft(question, answer, index) for question, answer in islice(left, ahead)]
        for draft, response in zip(drafts, _write(writer, drafts, begin), strict=True):
            yield draft.question, _answer(draft, response, writer.name, index)
        if len(drafts) < ahead:
            return


def _write(model: OptionalModel, drafts: Sequence[_Draft], begin: int) -> Iterator[Response | None]:
    """Yield the response to each draft that has a prompt; an empty one says what failed."""
    requests = {
        position: Request(position, 0, (("user", draft.prompt),), _SAMPLING)
        for position, draft in enumerate(drafts, start=begin)
        if draft.prompt
    }
    stream = model.generate([*requests.values()])
    responses: dict[int, Response] = {}
    for position in range(begin, begin + len(drafts)):
        while position in requests and position not in responses and (got := next(stream, None)):
            responses[got.item] = got
        response = responses.pop(position, None)
        if response is None and position in requests:
            response = empty_response(requests[position], model.failure or "no answer")
        yield response
    for _ in stream:  # only an exhausted engine has told of every failure
        pass


def _draft(question: Question, answer: Answer, index: KnowledgeIndex) -> _Draft:
    if not answer.covered:
        return _Draft(question, answer)
    if answer.choice is not None:
        return _choice(question, answer, index)
    embedded = _Text("", _OWN, "", answer.answer)
    passages = _numbered([embedded, *_texts(answer.evidence, index)])
    kept = passages[:_PASSAGES]
    prompt = GROUNDED["ask"].format(passages=numbered(kept), question=_asked(question))
    return _Draft(question, answer, kept, prompt)


def _asked(question: Question) -> str:
    return in_a_line(question.text[:_LONGEST])


def _choice(question: Question, answer: Answer, index: KnowledgeIndex) -> _Draft:
    """Look up passages for every option; the first passage is how likely each of them is."""
    lettered = list(zip(string.ascii_uppercase, question.options, strict=False))
    shares = ", ".join(
        f"{letter} {share:.0%}" for (letter, _), share in zip(lettered, answer.scores, strict=True)
    )
    context = QuestionContext(index, question.text)
    each = max(1, _FOR_OPTIONS // len(lettered))
    texts = [_Text("", _OWN, "", f"How likely each option is by the knowledge index: {shares}.")]
    for letter, option in lettered:
        found = _texts(context.evidence(option, each), index)
        texts += (one._replace(text=f"For {letter}: {one.text}") for one in found)
    passages = _numbered(texts)
    prompt = GROUNDED["choose"].format(
        passages=numbered(passages),
        question=_asked(question),
        options="\n".join(f"{letter}) {in_a_line(option)}" for letter, option in lettered),
    )
    return _Draft(question, answer, passages, prompt)


def _texts(evidence: Iterable[Evidence], index: KnowledgeIndex) -> Iterator[_Text]:
    """Yield what the glossary says of each entry, and what can be said of each of its passages."""
    defined = set()
    for one in evidence:
        if one.id not in defined and (words := _glossary(one.id, index)):
            yield _Text(one.id, one.name, one.url, f"{one.id} {one.name} ({one.kind}): {words}")
        defined.add(one.id)
        second = f" {one.other} {one.other_name}" if one.other else ""
        head = f"{one.id} {one.name} ({one.kind}; {one.section}{second})"
        said = one.passage or _facts(one, index)
        yield _Text(one.id, one.name, one.url, f"{head}: {said}" if said else f"{head}.")


def _glossary(entry_id: str, index: KnowledgeIndex) -> str:
    """Return our own words on an entry: what it is, how it differs, what prevents it."""
    position = index.position(entry_id)
    if position is None:
        return ""
    fix = index.fix(position)
    fix = f"What prevents it: {fix}" if fix else ""
    return " ".join(filter(None, (index.definition(position), index.differs(position), fix)))


def _facts(evidence: Evidence, index: KnowledgeIndex) -> str:
    """List the facts of an entry in a section such as "facts: tactic"."""
    kind, _, relation = evidence.section.partition(": ")
    position = index.position(evidence.id)
    if kind != "facts" or position is None:
        return ""
    return ", ".join(index.label(target) for target in index.related(position, relation))


def _numbered(texts: Iterable[_Text]) -> tuple[Quotation, ...]:
    """Quote texts, each once, and number them."""
    once = {quoted(one.text, longest=_TEXT if one.id else _OWN_TEXT): one for one in texts}
    return tuple(
        Quotation(number, one.id, one.name, one.url, text)
        for number, (text, one) in enumerate(once.items(), start=1)
    )


def _answer(draft: _Draft, response: Response | None, model: str, index: KnowledgeIndex) -> Answer:
    """Return the answer that the passages bear out, or the embedded one with the reason."""
    if response is None:
        return draft.answer
    if reason := failure_reason(response):
        return replace(draft.answer, grounding=Grounding(model, failure=reason))
    text = read_answer(response.text).text.strip()
    if draft.answer.choice is not None:
        return _chosen(draft, text, model)
    kept, refused = check(text, draft.passages, draft.question.text, index)
    if not text or text.upper().startswith(_NO_ANSWER):
        kept, refused = [], [Refusal(text, "finds no answer in the passages")]
    leads = bool(kept) and normalise_ids(sentences(text)[0]) == kept[0]
    grounding = Grounding(
        model, len(kept) + len(refused), len(kept), tuple(refused), draft.passages, leads=leads
    )
    # The first sentence is the one that answers, and no sentence stands in for a table.
    line, line_break, table = draft.answer.answer.partition("\n")
    said = " ".join(kept if leads else [line, *kept])
    return replace(draft.answer, answer=said + line_break + table, grounding=grounding)


def _chosen(draft: _Draft, text: str, model: str) -> Answer:
    """Read the letter as the task of multiple choice does."""
    from cybersecqwen.benchmark.tasks.multiple_choice import cascade

    letters = string.ascii_uppercase[: len(draft.question.options)]
    letter = cascade(letters)(text).answer
    if letter is None:
        refused = (Refusal(text[-_SHOWN:], "names no option"),)
        return replace(draft.answer, grounding=Grounding(model, 1, 0, refused, draft.passages))
    shares = weighed(dict(zip(letters, draft.answer.scores, strict=True)), {letter: 1})
    first = max(shares, key=lambda one: (shares[one], one == letter))
    choice = letters.index(first)
    if first == letter:
        grounding = Grounding(model, 1, 1, (), draft.passages, leads=True)
    else:
        reason = outweighed(letter, first, shares[first])
        refused = (Refusal(text[-_SHOWN:], reason),)
        grounding = Grounding(model, 1, 0, refused, draft.passages)
    evidence = draft.answer.evidence
    if choice != draft.answer.choice:
        context = QuestionContext(knowledge(), draft.question.text)
        evidence = context.evidence(draft.question.options[choice], max(1, len(evidence)))
    return Answer(first, shares[first], True, evidence, choice, (*shares.values(),), grounding)
