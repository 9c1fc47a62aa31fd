"""What a protocol leaves unread: how many answers, in which forms, and the points it costs.

    report = unread_report(scored)
    report["forms"], report["warning"]         # {"boxed": 12, "refused": 3}, "…"

A clear answer in another form than a protocol asks for scores nothing. That is the protocol's, and
frozen; a reader is told. The lenient score is what the same answers would have with every clear
form read, so it compares with nothing published.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from cybersecqwen.benchmark.breakdown import part, refuses
from cybersecqwen.benchmark.score import TaskScores, extractor
from cybersecqwen.benchmark.statistics import mean, trial_values
from cybersecqwen.benchmark.tasks.lenient import SEVERAL, Reading
from cybersecqwen.benchmark.tasks.task import Marks
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.engines.interface import failure_reason
from cybersecqwen.engines.reasoning import Answer, read_answer
from cybersecqwen.files import Json
from cybersecqwen.records import Item, Response

LENIENT = "any clear form: boxed, tagged, JSON, bold, in words, ids however they are spelled"
_SPELLED = "an id in another spelling"
_POINT = {"mad": 0.1}  # a tenth of the CVSS score; of every other metric one in a hundred
_SHARE = 0.05

# Why an answer that no reader can read is none; the first that holds.
_NO_ANSWER: dict[str, Callable[[Answer, Response, Reading], bool]] = {
    "a failed request": lambda answer, response, reading: bool(failure_reason(response)),
    "filtered": lambda answer, response, reading: response.finish_reason == "content_filter",
    "a tool call": lambda answer, response, reading: (
        response.finish_reason in ("tool_calls", "function_call")
    ),
    "refused": lambda answer, response, reading: (
        response.finish_reason == "refusal" or refuses(answer.text)
    ),
    "cut off in its reasoning": lambda answer, response, reading: (
        answer.cut or bool(response.reasoning and not answer.text.strip())
    ),
    "cut off": lambda answer, response, reading: response.finish_reason == "length",
    "empty": lambda answer, response, reading: not answer.text.strip(),
    SEVERAL: lambda answer, response, reading: reading.form == SEVERAL,
    "no answer": lambda answer, response, reading: True,
}


class _Answered(NamedTuple):
    """A response to an item as it was asked, its answer, and how a lenient reader reads that."""

    trial: int
    position: int
    item: Item
    response: Response
    answer: Answer
    reading: Reading

    @property
    def form(self) -> str:
        """The form of an answer that a protocol does not read, or what came in place of one."""
        if self.reading.answer is not None:
            return self.reading.form
        seen = self.answer, self.response, self.reading
        return next(name for name, holds in _NO_ANSWER.items() if holds(*seen))


def read_leniently(scored: TaskScores) -> TaskScores:
    """Score the same answers as a lenient reader reads them."""
    return _lenient(scored, list(_answered(scored)))


def unread_report(scored: TaskScores) -> Json:
    """Report what was left unread, what a lenient reader scores, and whether that is much."""
    answered = list(_answered(scored))
    forms = Counter(
        one.form for one in answered if scored.predictions[one.trial][one.position] is None
    )
    lenient = _lenient(scored, answered)
    names = dict.fromkeys(("strict_accuracy", scored.task.headline))
    figures = {name: (_figure(scored, name), _figure(lenient, name)) for name in names}
    report = part(forms.total(), len(answered)) | {
        "forms": dict(forms.most_common()),
        "lenient": {name: after for name, (_, after) in figures.items()},
    }
    differ = any(
        (before is None) != (after is None)
        or abs((before or 0.0) - (after or 0.0)) > _POINT.get(name, 0.01) + 1e-9
        for name, (before, after) in figures.items()
    )
    much = report["share"] > _SHARE or differ
    return report | {"warning": _warning(report, len(answered)) if much else ""}


def _answered(scored: TaskScores) -> Iterator[_Answered]:
    for trial, (shown, responses) in enumerate(zip(scored.shown, scored.responses, strict=True)):
        for position, (item, response) in enumerate(zip(shown, responses, strict=True)):
            if item is not None and response is not None:
                answer = read_answer(response.text)
                reading = _reading(scored, item, answer)
                yield _Answered(trial, position, item, response, answer, reading)


def _reading(scored: TaskScores, item: Item, answer: Answer) -> Reading:
    """Read an answer: as it says itself, else as the protocol reads it, else in any form."""
    rule = extractor(scored.task, scored.protocol)
    lenient = scored.task.lenient(item, answer.text)
    if lenient.stated:
        return lenient
    read = rule.read(answer.text).answer
    if read is not None:
        return Reading(read, lenient.form or "improper")
    respelled = rule.read(normalise_ids(answer.text)).answer
    return lenient if respelled is None else Reading(respelled, _SPELLED)


def _lenient(scored: TaskScores, answered: Sequence[_Answered]) -> TaskScores:
    import numpy as np

    marks = {name: np.zeros_like(table) for name, table in scored.marks.items()}
    predictions = [list(row) for row in scored.predictions]
    for one in answered:
        predictions[one.trial][one.position] = one.reading.answer
        for name, value in _marks(scored, one.item, one.reading.answer).items():
            marks.setdefault(name, np.zeros_like(scored.marks["asked"]))
            marks[name][one.position, one.trial] = value
    return replace(scored, predictions=tuple(map(tuple, predictions)), marks=marks)


def _marks(scored: TaskScores, item: Item, answer: str | None) -> Marks:
    given = {"asked": 1.0, "parseable": float(answer is not None), "correct": 0.0}
    task = scored.task
    return given | dict(task.unread(item) if answer is None else task.mark(item, answer))


def _figure(scored: TaskScores, metric: str) -> float | None:
    values = [value for value in trial_values(*scored.ratio(metric)) if not math.isnan(value)]
    return mean(values) if values else None


def _warning(report: Json, asked: int) -> str:
    forms = ", ".join(f"{form} {n:,}" for form, n in report["forms"].items())
    scores = ", ".join(
        f"{name} {'not measured' if value is None else f'{value:.4f}'}"
        for name, value in report["lenient"].items()
    )
    return (
        f"{report['count']:,} of {asked:,} answers ({report['share']:.1%}) were left unread"
        f"{f' ({forms})' if forms else ''}; a lenient reader gives {scores}"
    )
