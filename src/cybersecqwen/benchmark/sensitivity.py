"""How a result moves with the extractor: one set of answers, read by every published rule.

    for row in sensitivity(answers, benchmark):
        print(row.extractor, row.accuracy, row.flipped)

A prompt that can be answered in two ways makes the extractor a part of the score. What changes
is the reading alone: rows, gold and unparseable answers are treated alike in every row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.benchmark.protocol import PROTOCOLS, Protocol
from cybersecqwen.benchmark.responses import ResponseSet, rescore
from cybersecqwen.benchmark.score import TaskScores
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.benchmark.tasks.task import Task
from cybersecqwen.benchmark.unread import LENIENT, read_leniently

_EXAMPLES = 3
_TAIL = 160  # characters of a response that an example shows


class FlippedAnswer(NamedTuple):
    """An answer that two rules read differently; `text` is the end of it."""

    item: int
    trial: int
    text: str
    reference: str | None
    reading: str | None
    gold: str


@dataclass(frozen=True)
class ExtractorResult:
    """One extractor's reading of the responses, against the reference.

    `flipped` counts the answers that it makes right or wrong, `items` those items of which any
    answer flips, `gained` and `lost` which way. `protocols` are the ones that use it, and
    `modified` says what differs from the reference as it is published.
    """

    extractor: str
    summary: str
    protocols: tuple[str, ...]
    fits: bool
    accuracy: float
    parseable_rate: float
    answers: int
    flipped: int
    items: int
    gained: int
    lost: int
    modified: tuple[str, ...]
    examples: tuple[FlippedAnswer, ...]


def sensitivity(
    answers: ResponseSet, benchmark: Path, *, reference: str | None = None, every: bool = False
) -> list[ExtractorResult]:
    """Read answers by every extractor that fits their prompt, the reference's own first.

    `reference` is the protocol whose extractor the others are compared with: by default the one
    that was asked under, else model-card. `every` adds the extractors that do not fit. The last
    row is a lenient reader's, which takes any clear form.
    """
    protocol = answers.scoring_protocol(reference or (None if answers.protocol else "model-card"))
    task = find_task(answers.task)
    own = protocol.extractor_of(task)
    base = rescore(answers, _read_by(protocol, task, own), benchmark)
    results = []
    for name in (own, *(name for name in task.extractors if name != own)):
        if every or name == own or _fits(answers, task, name):
            for lenient in (False, True) if _has_lenient(task, name) else (False,):
                scored = rescore(
                    answers, _read_by(protocol, task, name, lenient=lenient), benchmark
                )
                results.append(_result(answers, base, scored, name, lenient=lenient))
    return [*results, _compared(base, read_leniently(base), "lenient", LENIENT)]


def _fits(answers: ResponseSet, task: Task, name: str) -> bool:
    return not answers.prompt or answers.prompt in task.extractors[name].fits


def _has_lenient(task: Task, name: str) -> bool:
    """Tell whether a protocol reads by an extractor without counting improper answers."""
    return any(
        p.improper == "lenient only" and p.extractor_of(task) == name for p in PROTOCOLS.values()
    )


def _read_by(protocol: Protocol, task: Task, name: str, *, lenient: bool = False) -> Protocol:
    strict = _has_lenient(task, name) and not lenient
    return replace(protocol, extractor=name, improper="lenient only" if strict else "counts")


def _result(
    answers: ResponseSet, base: TaskScores, scored: TaskScores, name: str, *, lenient: bool
) -> ExtractorResult:
    published = (p for p in PROTOCOLS.values() if p.name != "smoke" and not lenient)
    row = _compared(
        base,
        scored,
        f"{name}, improper counted" if lenient else name,
        scored.task.extractors[name].summary,
    )
    return replace(
        row,
        protocols=tuple(p.name for p in published if p.extractor_of(scored.task) == name),
        fits=_fits(answers, scored.task, name),
    )


def _compared(base: TaskScores, scored: TaskScores, name: str, summary: str) -> ExtractorResult:
    before, after = base.marks["correct"] > 0, scored.marks["correct"] > 0
    flipped = before != after
    asked = float(scored.marks["asked"].sum())
    return ExtractorResult(
        extractor=name,
        summary=summary,
        protocols=(),
        fits=True,
        accuracy=float(scored.marks["correct"].sum()) / asked,
        parseable_rate=float(scored.marks["parseable"].sum()) / asked,
        answers=int(asked),
        flipped=int(flipped.sum()),
        items=int(flipped.any(axis=1).sum()),
        gained=int((after & ~before).sum()),
        lost=int((before & ~after).sum()),
        modified=base.protocol.modified,
        examples=_examples(base, scored),
    )


def _examples(base: TaskScores, scored: TaskScores) -> tuple[FlippedAnswer, ...]:
    examples: list[FlippedAnswer] = []
    flipped = (base.marks["correct"] > 0) != (scored.marks["correct"] > 0)
    for position, trial in zip(*flipped.nonzero(), strict=True):
        response = scored.responses[trial][position]
        if response is None or len(examples) == _EXAMPLES:
            break
        examples.append(
            FlippedAnswer(
                item=response.item,
                trial=int(trial),
                text=response.text.strip()[-_TAIL:],
                reference=base.predictions[trial][position],
                reading=scored.predictions[trial][position],
                gold=str(scored.golds[trial][position]),
            )
        )
    return tuple(examples)
