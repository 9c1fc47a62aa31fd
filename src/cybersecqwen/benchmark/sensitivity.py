"""How a result moves with the extractor: one set of answers, read by every published rule.

    for row in sensitivity(answers, benchmark):
        print(row.extractor, row.accuracy, row.flipped)

A prompt that can be answered in two ways makes the extractor a part of the score. What changes
is the reading alone: rows, gold and unparseable answers are treated alike in every row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.benchmark.protocol import PROTOCOLS, Protocol
from cybersecqwen.benchmark.responses import ResponseSet, rescore
from cybersecqwen.benchmark.score import TaskScores
from cybersecqwen.benchmark.tasks import find_task

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
    answer flips, `gained` and `lost` which way. `protocols` are the ones that use it.
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
    examples: tuple[FlippedAnswer, ...]


def sensitivity(
    answers: ResponseSet, benchmark: Path, *, reference: str | None = None, every: bool = False
) -> list[ExtractorResult]:
    """Read answers by every extractor that fits their prompt, the reference's own first.

    `reference` is the protocol whose extractor the others are compared with: by default the one
    that was asked under, else model-card. `every` adds the extractors that do not fit.
    """
    protocol = answers.scoring_protocol(reference or (None if answers.protocol else "model-card"))
    base = rescore(answers, _read_by(protocol, answers.task, _own(protocol, answers)), benchmark)
    return [
        _row(answers, base, scored, name, lenient)
        for name, lenient in _rules(answers, protocol, every=every)
        for scored in [
            rescore(answers, _read_by(protocol, answers.task, name, lenient=lenient), benchmark)
        ]
    ]


def _own(protocol: Protocol, answers: ResponseSet) -> str:
    return protocol.extractor_of(find_task(answers.task))


def _rules(answers: ResponseSet, protocol: Protocol, *, every: bool) -> Iterator[tuple[str, bool]]:
    """Yield the extractors to try, also with improper answers counted where that is a choice."""
    found = find_task(answers.task).extractors
    own = _own(protocol, answers)
    for name in (own, *(name for name in found if name != own)):
        if every or not answers.prompt or answers.prompt in found[name].fits or name == own:
            yield name, False
            if _lenient(answers.task, name):
                yield name, True


def _lenient(task: str, name: str) -> bool:
    return any(
        p.improper == "lenient only" and p.extractor_of(find_task(task)) == name
        for p in PROTOCOLS.values()
    )


def _read_by(protocol: Protocol, task: str, name: str, *, lenient: bool = False) -> Protocol:
    strict = _lenient(task, name) and not lenient
    return replace(
        protocol,
        extractor=name,
        improper="lenient only" if strict else "counts",
    )


def _row(
    answers: ResponseSet, base: TaskScores, scored: TaskScores, name: str, lenient: bool
) -> ExtractorResult:
    before, after = base.marks["correct"] > 0, scored.marks["correct"] > 0
    flipped = before != after
    asked = float(scored.marks["asked"].sum())
    task = find_task(answers.task)
    return ExtractorResult(
        extractor=f"{name}, improper counted" if lenient else name,
        summary=task.extractors[name].summary,
        protocols=_users(answers.task, name, lenient),
        fits=not answers.prompt or answers.prompt in task.extractors[name].fits,
        accuracy=float(scored.marks["correct"].sum()) / asked,
        parseable_rate=float(scored.marks["parseable"].sum()) / asked,
        answers=int(asked),
        flipped=int(flipped.sum()),
        items=int(flipped.any(axis=1).sum()),
        gained=int((after & ~before).sum()),
        lost=int((before & ~after).sum()),
        examples=_examples(base, scored),
    )


def _users(task: str, name: str, lenient: bool) -> tuple[str, ...]:
    if lenient:
        return ()
    published = (p for p in PROTOCOLS.values() if p.name != "smoke")
    return tuple(p.name for p in published if p.extractor_of(find_task(task)) == name)


def _examples(base: TaskScores, scored: TaskScores) -> tuple[FlippedAnswer, ...]:
    found: list[FlippedAnswer] = []
    flipped = (base.marks["correct"] > 0) != (scored.marks["correct"] > 0)
    for position, trial in zip(*flipped.nonzero(), strict=True):
        response = scored.responses[trial][position]
        if response is None or len(found) == _EXAMPLES:
            break
        found.append(
            FlippedAnswer(
                item=response.item,
                trial=int(trial),
                text=response.text.strip()[-_TAIL:],
                reference=base.predictions[trial][position],
                reading=scored.predictions[trial][position],
                gold=str(scored.golds[trial][position]),
            )
        )
    return tuple(found)
