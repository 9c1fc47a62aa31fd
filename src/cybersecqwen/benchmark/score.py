"""Score stored responses: a pure function from items and raw texts to marks, and to numbers.

    scored = score(open_task("cti-rcm", folder), protocol, items, responses, kind="instruct")
    scored.ratio("strict_accuracy")       # its numerator and denominator, items x trials

Generation is another program with a file between, so any score can be made again, under any
protocol. What was not asked or not answered is never scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cybersecqwen.benchmark.protocol import Protocol
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.benchmark.tasks.task import (
    ACCURACY,
    ACCURACY_OF_PARSEABLE,
    IMPROPER,
    LENIENT,
    PARSEABLE,
    Extraction,
    Extractor,
    Metric,
    Task,
)
from cybersecqwen.benchmark.trial import protocol_items, trial_items
from cybersecqwen.engines.interface import failure_reason
from cybersecqwen.engines.reasoning import read_answer
from cybersecqwen.errors import InputError
from cybersecqwen.records import Item, Response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table = NDArray[np.float64]  # items x trials


@dataclass(frozen=True)
class TaskScores:
    """The marks of one task under one protocol.

    `items` are those that any trial asks; `shown`, which are the items as they were asked,
    `predictions` and `responses` are by trial and position, None where a trial does not ask one. A
    prediction is None also where nothing could be read, or only in a form that does not count.
    `marks` are items x trials. `of` is the number of items of the whole task where only a part was
    asked, else 0.
    """

    task: Task
    protocol: Protocol
    items: tuple[Item, ...]
    shown: tuple[tuple[Item | None, ...], ...]
    predictions: tuple[tuple[str | None, ...], ...]
    responses: tuple[tuple[Response | None, ...], ...]
    marks: Mapping[str, Table]
    of: int = 0

    @property
    def failed(self) -> tuple[int, ...]:
        """Count for each trial the requests that failed, which count as wrong answers."""
        given = ([r for r in row if r and failure_reason(r)] for row in self.responses)
        return tuple(map(len, given))

    @cached_property
    def golds(self) -> tuple[tuple[str | None, ...], ...]:
        """The gold of each item as it was asked, by trial and position."""
        return tuple(
            tuple(None if item is None else item.gold for item in trial) for trial in self.shown
        )

    def answers(self) -> Iterator[tuple[int, int, Item, Response]]:
        """Yield every response with its trial and position, and the item as it was asked."""
        for trial, row in enumerate(zip(self.shown, self.responses, strict=True)):
            for position, (item, response) in enumerate(zip(*row, strict=True)):
                if item is not None and response is not None:
                    yield trial, position, item, response

    @property
    def metrics(self) -> dict[str, Metric]:
        """Return what the protocol and the task measure, by name, accuracy first."""
        return metrics(self.task, self.protocol)

    def ratio(self, metric: str) -> tuple[Table, Table]:
        """Return the numerator and the denominator of a metric, each items x trials."""
        measured = self.metrics[metric]
        return self._sum(measured.numerator), self._sum(measured.denominator)

    def answered(self, metric: str) -> NDArray[np.bool_]:
        """Tell which answers count in a metric, items x trials; what was not asked is no gap."""
        counted: NDArray[np.bool_] = (self.ratio(metric)[1] > 0) | (self.marks["asked"] == 0)
        return counted

    def _sum(self, weights: Mapping[str, float]) -> Table:
        import numpy as np

        total = np.zeros_like(self.marks["asked"])
        for name, weight in weights.items():
            total += weight * self.marks[name] if name in self.marks else 0.0
        return total


def metrics(task: Task, protocol: Protocol) -> dict[str, Metric]:
    """Return what a protocol measures in a task, by name, accuracy first."""
    measured = {"strict_accuracy": ACCURACY, "parseable_rate": PARSEABLE}
    if protocol.unparseable == "dropped":
        measured |= {"strict_accuracy": ACCURACY_OF_PARSEABLE, "accuracy_of_all": ACCURACY}
    if protocol.improper == "lenient only":
        measured["lenient_accuracy"] = LENIENT
    if protocol.improper != "counts":
        measured["improper_rate"] = IMPROPER
    return measured | dict(task.metrics)


def extractor(task: Task, protocol: Protocol) -> Extractor:
    """Return the rule by which a protocol reads answers to a task."""
    return task.extractors[protocol.extractor_of(task)]


def score(
    task: Task,
    protocol: Protocol,
    items: Sequence[Item],
    responses: Mapping[int, Iterable[Response]],
    *,
    kind: str = "instruct",
    partial: bool = False,
) -> TaskScores:
    """Score every trial of the protocol.

    `responses` are by trial, for rows that the protocol leaves out too. `partial` leaves out the
    items that lack a response, and marks the protocol. Raises InputError for a missing trial or
    one too many, a response of another trial, to no item, two to one, or an item without any.
    """
    require_gold(items)
    trials = range(len(protocol.seeds))
    missing = [trial for trial in trials if trial not in responses]
    if missing:
        raise InputError(
            f"trial {missing[0]} has no responses", where=task.name, tip="answer it first"
        )
    more = sorted(responses.keys() - set(trials))
    if more:
        raise InputError(
            f"responses of trial {more[0]}, which the protocol does not have", where=task.name
        )
    shown = [{i.index: i for i in trial_items(protocol, items, kind=kind, trial=t)} for t in trials]
    whole = len(set().union(*shown))
    task_items = len(protocol_items(protocol, items)) if protocol.limit else whole
    if partial:
        given = [{response.item for response in responses[trial]} for trial in trials]
        lacking = set().union(*(rows.keys() - given[trial] for trial, rows in enumerate(shown)))
        shown = [{i: item for i, item in rows.items() if i not in lacking} for rows in shown]
    known = {item.index for item in items}
    answered = [_by_item(task.name, known, shown[t], responses[t], trial=t) for t in trials]
    asked = tuple(item for item in items if any(item.index in rows for rows in shown))
    if not asked:
        raise InputError("no item is answered in every trial", where=task.name)
    if len(asked) < whole:
        part = f"partial: {len(asked):,} of {whole:,} items"
        protocol = replace(protocol, modified=(*protocol.modified, part))
    unread = TaskScores(
        task,
        protocol,
        asked,
        tuple(tuple(rows.get(item.index) for item in asked) for rows in shown),
        (),
        tuple(tuple(answers.get(item.index) for item in asked) for answers in answered),
        {},
        of=task_items if len(asked) < task_items else 0,
    )
    rule = extractor(task, protocol)
    return read_by(unread, lambda item, response: rule.read(read_answer(response.text).text))


def read_by(scored: TaskScores, read: Callable[[Item, Response], Extraction]) -> TaskScores:
    """Score the same responses as another rule reads them."""
    import numpy as np

    shape = len(scored.items), len(scored.shown)
    marks: dict[str, Table] = defaultdict(lambda: np.zeros(shape))
    predictions: list[list[str | None]] = [[None] * shape[0] for _ in scored.shown]
    for trial, position, item, response in scored.answers():
        extraction = read(item, response)
        prediction, marked = _mark(scored.task, scored.protocol, item, extraction)
        predictions[trial][position] = prediction
        for name, value in marked.items():
            marks[name][position, trial] = value
    return replace(scored, predictions=tuple(map(tuple, predictions)), marks=dict(marks))


def mark(
    task: Task, protocol: Protocol, item: Item, text: str
) -> tuple[str | None, dict[str, float]]:
    """Read one response: the prediction that counts, None for none, and its marks.

    Reasoning and special tokens at the end are no part of the answer, under any protocol.
    """
    return _mark(task, protocol, item, extractor(task, protocol).read(read_answer(text).text))


def _mark(
    task: Task, protocol: Protocol, item: Item, extraction: Extraction
) -> tuple[str | None, dict[str, float]]:
    answer, proper = extraction
    given = {"asked": 1.0, "parseable": 0.0, "correct": 0.0, "lenient": 0.0, "improper": 0.0}
    if answer is None:
        return None, given | dict(task.unread(item))
    marks = dict(task.mark(item, answer))
    given |= {"lenient": marks["correct"], "improper": float(not proper)}
    if not proper and protocol.improper == "lenient only":
        return None, given | dict(task.unread(item))
    return answer, given | {"parseable": 1.0} | marks


def require_gold(items: Sequence[Item]) -> None:
    """Raise InputError where an item has no gold answer to be judged by."""
    without = next((item for item in items if not item.gold), None)
    if without:
        task = find_task(without.task)
        raise InputError(
            f"item {without.index} has no gold answer",
            where=task.name,
            tip=f"get {task.gold_file} with: {task.suite.fetch}"
            if task.gold_file
            else "check the task file",
        )


def is_correct(task: Task, protocol: Protocol, item: Item, text: str) -> bool:
    """Tell whether one response is right, for the accuracy that a running evaluation shows."""
    return bool(mark(task, protocol, item, text)[1]["correct"])


def _by_item(
    task: str,
    known: set[int],
    wanted: Mapping[int, Item],
    responses: Iterable[Response],
    *,
    trial: int,
) -> dict[int, Response]:
    """Return the responses of one trial by item, those to rows that are not `wanted` left out.

    Raises InputError for what was not asked or not answered.
    """
    where = f"{task}, trial {trial}"
    answers: dict[int, Response] = {}
    for response in responses:
        if response.item not in known:
            raise InputError(
                f"a response to item {response.item}, which is none",
                where=where,
                tip=f"items are counted from 0, {task} has {len(known)}",
            )
        if response.trial != trial:
            raise InputError(f"a response of trial {response.trial}", where=where)
        if response.item in answers:
            raise InputError(f"two responses to item {response.item}", where=where)
        answers[response.item] = response
    missing = sorted(wanted.keys() - answers.keys())
    if missing:
        raise InputError(
            f"{len(missing)} items have no response, the first is {missing[0]}",
            where=where,
            tip="run the evaluation again, it goes on where it stopped; a recording has to "
            "answer them",
        )
    return {item: answer for item, answer in answers.items() if item in wanted}
