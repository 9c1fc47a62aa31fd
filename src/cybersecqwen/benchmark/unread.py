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
from collections.abc import Callable, Mapping

from cybersecqwen.benchmark.breakdown import part, refuses
from cybersecqwen.benchmark.score import TaskScores, extractor, read_by
from cybersecqwen.benchmark.statistics import mean, trial_values
from cybersecqwen.benchmark.tasks.lenient import Reading
from cybersecqwen.benchmark.tasks.task import Extraction
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.engines.interface import failure_reason
from cybersecqwen.engines.reasoning import Answer, read_answer
from cybersecqwen.files import Json
from cybersecqwen.records import Item, Response

LENIENT = "any clear form: boxed, tagged, JSON, bold, in words, ids however they are spelled"
_SPELLED = "an id in another spelling"
_POINT = {"mad": 0.1}  # a tenth of the CVSS score; of every other metric one in a hundred
_SHARE = 0.05
_CALLS = ("tool_calls", "function_call")

# Why an answer that no reader can read is none; the first that holds.
_NO_ANSWER: dict[str, Callable[[Answer, Response], bool]] = {
    "a failed request": lambda answer, response: bool(failure_reason(response)),
    "filtered": lambda answer, response: response.finish_reason == "content_filter",
    "a tool call": lambda answer, response: response.finish_reason in _CALLS,
    "refused": lambda answer, response: response.finish_reason == "refusal" or refuses(answer.text),
    "cut off in its reasoning": lambda answer, response: answer.cut or _thought_only(response),
    "cut off": lambda answer, response: response.finish_reason == "length",
    "empty": lambda answer, response: not answer.text.strip(),
}


def _thought_only(response: Response) -> bool:
    return bool(response.reasoning) and not response.text.strip()


def read_leniently(scored: TaskScores) -> TaskScores:
    """Score the same answers as a lenient reader reads them."""
    return read_by(scored, lambda item, response: Extraction(_read(scored, item, response).answer))


def unread_report(scored: TaskScores) -> Json:
    """Report what was left unread, what a lenient reader scores, and whether that is much."""
    readings: dict[tuple[int, int], Reading] = {}

    def read(item: Item, response: Response) -> Extraction:
        reading = readings[response.item, response.trial] = _read(scored, item, response)
        return Extraction(reading.answer)

    lenient = read_by(scored, read)
    forms = Counter(
        readings[response.item, response.trial].form
        for trial, position, _, response in scored.answers()
        if scored.predictions[trial][position] is None
    )
    names = dict.fromkeys(("strict_accuracy", scored.task.headline))
    figures = {name: (_figure(scored, name), _figure(lenient, name)) for name in names}
    report = part(forms.total(), len(readings)) | {
        "forms": dict(forms.most_common()),
        "lenient": {name: after for name, (_, after) in figures.items()},
    }
    differ = any(
        (before is None) != (after is None)
        or abs((before or 0.0) - (after or 0.0)) > _POINT.get(name, 0.01) + 1e-9
        for name, (before, after) in figures.items()
    )
    much = report["share"] > _SHARE or differ
    return report | {"warning": _warning(report, len(readings)) if much else ""}


def _read(scored: TaskScores, item: Item, response: Response) -> Reading:
    """Read an answer: as it says itself, else as the protocol reads it, else in any form.

    Where there is none, the form says what came in place of one.
    """
    answer, rule = read_answer(response.text), extractor(scored.task, scored.protocol)
    lenient = scored.task.lenient(item, answer.text)
    if lenient.stated:
        return lenient
    read = rule.read(answer.text).answer
    if read is not None:
        return Reading(read, lenient.form or "improper")
    respelled = rule.read(normalise_ids(answer.text)).answer
    if respelled is not None:
        return Reading(respelled, _SPELLED)
    if lenient.answer is not None:
        return lenient
    reasons = (name for name, holds in _NO_ANSWER.items() if holds(answer, response))
    return Reading(None, next(reasons, lenient.form or "no answer"))


def _figure(scored: TaskScores, metric: str) -> float | None:
    values = [value for value in trial_values(*scored.ratio(metric)) if not math.isnan(value)]
    return mean(values) if values else None


def forms_text(forms: Mapping[str, int]) -> str:
    """Write how many answers were left unread in each form."""
    return ", ".join(f"{form} {n:,}" for form, n in forms.items())


def _warning(report: Json, asked: int) -> str:
    forms = forms_text(report["forms"])
    scores = ", ".join(
        f"{name} {'not measured' if value is None else f'{value:.4f}'}"
        for name, value in report["lenient"].items()
    )
    return (
        f"{report['count']:,} of {asked:,} answers ({report['share']:.1%}) were left unread"
        f"{f' ({forms})' if forms else ''}; a lenient reader gives {scores}"
    )
