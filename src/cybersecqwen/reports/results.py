"""Scores as tables and JSON: a run's own, beside published ones, and answers scored again.

    print(results_table(Path("runs/smoke")))
    print(scored_table(scores(read_run(run), "faith", benchmark)))

Two spreads stand beside each score: the standard deviation between trials, which is the
noise of sampling answers, and the 95 % interval over items, which is how far the score
of other questions of the same kind may lie. The second is the larger by far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.responses import ResponseSet, excluded_responses, notes, rescore
from cybersecqwen.benchmark.sensitivity import ExtractorResult
from cybersecqwen.benchmark.summary import caveats, details, result, summarise
from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.files import Json
from cybersecqwen.reports.embedded_scores import embedded_rows
from cybersecqwen.reports.markdown import document
from cybersecqwen.reports.published import (
    BASELINES,
    PUBLISHED,
    PUBLISHED_COLUMNS,
    Accuracy,
    Book,
    Published,
)
from cybersecqwen.reports.run_folder import Result, load_results

NO_EVALUATION = "Not evaluated yet: this run holds no scores."


def results(run: Path) -> list[Json]:
    """Return every score in a run folder as JSON-able rows, one per task and protocol."""
    return rows(load_results(run))


def rows(evaluations: list[Result]) -> list[Json]:
    """Return scores as JSON-able rows."""
    return [
        result.model_dump(mode="json")
        | {
            "interval_95": list(result.interval),
            "comparable": result.comparable,
            "book": result.book,
            "deterministic": result.engine.deterministic,
            "fitted_items": sum(fitted.items for fitted in result.fitted),
        }
        for result in evaluations
    ]


def results_table(run: Path) -> str:
    """Render the scores of a run as a table that reads on a terminal and as Markdown."""
    evaluations = load_results(run)
    return measured_table(evaluations) if evaluations else NO_EVALUATION


def measured_table(evaluations: list[Result]) -> str:
    """Render scores as strict accuracy with both spreads, and what is special about them."""
    rows = [
        (result, own_metrics(result.task, {name: m.mean for name, m in result.metrics.items()}))
        for result in evaluations
    ]
    return document("reports/measured.md.jinja", rows=rows).rstrip("\n")


def comparators_table(name: str, size: str, evaluations: list[Result]) -> str:
    """Render this run's CTI-Bench scores above those of what ships and the published ones.

    Of the published ones smaller models stand first, and the baselines last.
    """
    under = attrgetter("under")
    by_protocol = groupby(sorted(evaluations, key=under), key=under)
    by_size = sorted(PUBLISHED, key=lambda row: (row.parameters is None, row.parameters or 0.0))
    return document(
        "reports/comparators.md.jinja",
        name=name,
        size=size,
        ours=[{r.task: r for r in same} for _, same in by_protocol],
        others=[
            *((row, row.source) for row in embedded_rows()),
            *((row, f"published: {row.source}") for row in by_size),
            *((row, row.source) for row in BASELINES),
        ],
        shots=_shots,
        books=_books,
    ).rstrip("\n")


def _shots(result: Result) -> str:
    if result.kind == "base":
        return str(find_protocol(result.protocol).base_shots)
    return "0" if result.kind == "instruct" else "–"


def _books(of: Mapping[str, Result | Book]) -> str:
    """Write the book of all tasks once where it is the same, and else that of each."""
    books = {task: one.book if isinstance(one, Result) else one for task, one in of.items()}
    if len(set(books.values())) == 1:
        return next(iter(books.values()))
    return ", ".join(f"{task} {books[task]}" for task in ("cti-rcm", "cti-mcq") if task in books)


def against_baselines(evaluations: list[Result]) -> list[str]:
    """Write whether each score beats the best baseline that needs no language model."""
    return [_verdict(result) for result in evaluations if result.task in PUBLISHED_COLUMNS]


def _verdict(result: Result) -> str:
    def figure(row: Published) -> float:
        accuracy: Accuracy = getattr(row, PUBLISHED_COLUMNS[result.task])
        return max(accuracy) if isinstance(accuracy, tuple) else accuracy or 0.0

    floor = max(BASELINES, key=figure)
    bar, score, (low, high) = figure(floor), result.strict_accuracy.mean, result.interval
    over_all = result.metrics.get("accuracy_of_all")  # where unread answers are left out
    if over_all and over_all.mean is not None:
        score, low, high = over_all.mean, *(bound or 0.0 for bound in over_all.interval_95)
    verdict = "above" if low > bar else "below" if high < bar else "not distinguishable from"
    return (
        f"{result.task} ({result.protocol}): {score:.4f} is {verdict} the {bar:.3f} of "
        f"{floor.model} ({floor.source}), judged by the interval over items."
    )


def scores(
    response_sets: Sequence[ResponseSet], protocol: str | None, benchmark: Path
) -> list[Json]:
    """Score each set of answers; a recording by model-card where no protocol is named."""
    return [_scored(answers, protocol, benchmark) for answers in response_sets]


def _scored(answers: ResponseSet, name: str | None, benchmark: Path) -> Json:
    protocol = answers.scoring_protocol(name or (None if answers.protocol else "model-card"))
    scored = rescore(answers, protocol, benchmark)
    left = excluded_responses(answers, read_items(benchmark, answers.task), protocol)
    said = notes(answers, protocol)
    said += [f"{left} responses to rows that {protocol.name} leaves out"] if left else []
    flat = result(scored, summarise(scored))
    said += caveats(flat["items"], flat["of"], flat["failed"], flat["unread"]["warning"])
    return flat | {
        "model": answers.name,
        "responses": str(answers.where),
        "notes": said,
        "details": details(scored),
    }


def scored_table(scored: Sequence[Json]) -> str:
    """Render scores made again: strict accuracy, its two spreads, and the task's own metric."""
    rows = [(row, own_metrics(row["task"], row)) for row in scored]
    return document("reports/scored.md.jinja", rows=rows).rstrip("\n")


def own_metrics(task: str, values: Mapping[str, float | None]) -> str:
    """Write those metrics of a task and a protocol beside accuracy that are quoted."""
    own = [name for name, metric in TASKS[task].metrics.items() if metric.quoted]
    names = [*own, "accuracy_of_all", "lenient_accuracy", "improper_rate"]
    return "; ".join(f"{name} {_figure(values[name])}" for name in names if name in values)


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def sensitivity_json(answers: ResponseSet, rows: Sequence[ExtractorResult]) -> Json:
    """Return the table of one set of answers as a JSON object."""
    return {
        "model": answers.name,
        "task": answers.task,
        "asked_under": answers.protocol.name if answers.protocol else "",
        "modified": list(rows[0].modified),
        "spread": _points(rows),
        "extractors": [
            asdict(row) | {"examples": [e._asdict() for e in row.examples]} for row in rows
        ],
    }


def sensitivity_text(answers: ResponseSet, rows: Sequence[ExtractorResult]) -> str:
    """Render how the accuracy moves with the rule, and examples of what moves it."""
    values = {"answers": answers, "rows": rows, "spread": _points(rows), "repr": repr}
    return document("reports/sensitivity.md.jinja", **values).rstrip("\n")


def _points(rows: Sequence[ExtractorResult]) -> float:
    return max(row.accuracy for row in rows) - min(row.accuracy for row in rows)
