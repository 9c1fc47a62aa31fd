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
from collections.abc import Callable, Iterator
from dataclasses import replace

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


def read_leniently(scored: TaskScores) -> TaskScores:
    """Score the same answers as a lenient reader reads them."""
    import numpy as np

    marks = {name: np.zeros_like(table) for name, table in scored.marks.items()}
    predictions = [list(row) for row in scored.predictions]
    for trial, position, item, response in _answers(scored):
        answer = _reading(scored, item, read_answer(response.text)).answer
        predictions[trial][position] = answer
        for name, value in _marks(scored, item, answer).items():
            marks.setdefault(name, np.zeros_like(scored.marks["asked"]))
            marks[name][position, trial] = value
    return replace(scored, predictions=tuple(map(tuple, predictions)), marks=marks)


def unread_report(scored: TaskScores) -> Json:
    """Report what was left unread, what a lenient reader scores, and whether that is much."""
    forms = Counter(
        form_of(scored, item, response)
        for trial, position, item, response in _answers(scored)
        if scored.predictions[trial][position] is None
    )
    asked = int(scored.marks["asked"].sum())
    lenient = read_leniently(scored)
    names = dict.fromkeys(("strict_accuracy", scored.task.headline))
    figures = {name: (_figure(scored, name), _figure(lenient, name)) for name in names}
    report = part(forms.total(), asked) | {
        "forms": dict(forms.most_common()),
        "lenient": {name: after for name, (_, after) in figures.items()},
    }
    differ = any(
        (before is None) != (after is None)
        or abs((before or 0.0) - (after or 0.0)) > _POINT.get(name, 0.01) + 1e-9
        for name, (before, after) in figures.items()
    )
    much = report["share"] > _SHARE or differ
    return report | {"warning": _warning(report, asked) if much else ""}


def form_of(scored: TaskScores, item: Item, response: Response) -> str:
    """Name the form of an answer that was not read, or what came in place of one."""
    answer = read_answer(response.text)
    reading = _reading(scored, item, answer)
    if reading.answer is not None:
        return reading.form
    return next(n for n, holds in _NO_ANSWER.items() if holds(answer, response, reading))


def _answers(scored: TaskScores) -> Iterator[tuple[int, int, Item, Response]]:
    for trial, (shown, responses) in enumerate(zip(scored.shown, scored.responses, strict=True)):
        for position, (item, response) in enumerate(zip(shown, responses, strict=True)):
            if item is not None and response is not None:
                yield trial, position, item, response


def _reading(scored: TaskScores, item: Item, answer: Answer) -> Reading:
    """Read an answer: as it says itself, else as the protocol reads it, else in any form."""
    rule = extractor(scored.task, scored.protocol)
    lenient = scored.task.lenient(item, answer.text)
    if lenient.stated:
        return lenient
    for text, form in (
        (answer.text, lenient.form or "improper"),
        (normalise_ids(answer.text), _SPELLED),
    ):
        read = rule.read(text).answer
        if read is not None:
            return Reading(read, form)
    return lenient


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
