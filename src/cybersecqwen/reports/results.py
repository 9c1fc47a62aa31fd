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
from pathlib import Path

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.responses import ResponseSet, excluded_responses, notes, rescore
from cybersecqwen.benchmark.sensitivity import ExtractorResult
from cybersecqwen.benchmark.summary import details, result, summarise
from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.files import Json
from cybersecqwen.reports.embedded_scores import embedded_rows
from cybersecqwen.reports.markdown import document, table
from cybersecqwen.reports.published import BASELINES, PUBLISHED, Accuracy, Book, Published
from cybersecqwen.reports.run_folder import Result, Spread, load_results

NO_EVALUATION = "Not evaluated yet: this run holds no scores."
_NONE = "–"
_TASKS = ("cti-rcm", "cti-mcq")
_OWN = 8  # the column of the measured table that only some tasks and protocols fill


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
    header = [
        *("task", "protocol", "book", "items", "trials"),
        *("strict accuracy", "95 % interval", "parseable", "task's own", "remarks"),
    ]
    rows = [_measured_row(result) for result in evaluations]
    if not any(row[_OWN] for row in rows):
        for row in (header, *rows):
            del row[_OWN]
    return table(header, rows, right=(3, 4, 5, 6, 7))


def comparators_table(name: str, size: str, evaluations: list[Result]) -> str:
    """Render this run's CTI-Bench scores above those of what ships and the published ones.

    Of the published ones smaller models stand first, and the baselines last.
    """
    header = (
        *("model", "size", "CTI-RCM", "CTI-MCQ", "shots"),
        *("where from", "protocol", "book", "remarks"),
    )
    by_protocol = groupby(sorted(evaluations, key=_protocol), key=_protocol)
    ours = [_our_row(name, size, list(same)) for _, same in by_protocol]
    by_size = sorted(PUBLISHED, key=lambda row: (row.parameters is None, row.parameters or 0.0))
    embedded = [_published_row(row, row.source) for row in embedded_rows()]
    others = [_published_row(row, f"published: {row.source}") for row in by_size]
    baselines = [_published_row(row, row.source) for row in BASELINES]
    return table(header, [*ours, *embedded, *others, *baselines], right=(2, 3, 4))


def against_baselines(evaluations: list[Result]) -> list[str]:
    """Write whether each score beats the best baseline that needs no language model."""
    floors = {
        "cti-rcm": max(BASELINES, key=lambda row: _highest(row.cti_rcm)),
        "cti-mcq": max(BASELINES, key=lambda row: _highest(row.cti_mcq)),
    }
    return [
        _verdict(result, floors[result.task]) for result in evaluations if result.task in floors
    ]


def _verdict(result: Result, floor: Published) -> str:
    score, (low, high) = result.strict_accuracy.mean, result.interval
    bar = _highest(floor.cti_rcm if result.task == "cti-rcm" else floor.cti_mcq)
    verdict = "above" if low > bar else "below" if high < bar else "not distinguishable from"
    return (
        f"{result.task} ({result.protocol}): {score:.4f} is {verdict} the {bar:.3f} of "
        f"{floor.model} ({floor.source}), judged by the interval over items."
    )


def _highest(accuracy: Accuracy) -> float:
    return max(accuracy) if isinstance(accuracy, tuple) else accuracy or 0.0


def _measured_row(result: Result) -> list[str]:
    low, high = result.interval
    remarks = [_modified(result)] if result.modified else []
    remarks += ["deterministic"] if result.engine.deterministic else []
    remarks += [f"weights fitted to {f.items:,} of these items" for f in result.fitted]
    if not result.comparable:
        remarks.append(f"benchmark: {result.benchmark.name}, not CTI-Bench")
    return [
        result.task,
        _protocol(result),
        result.book,
        f"{result.items:,}",
        str(len(result.trials)),
        _spread(result.strict_accuracy),
        f"{low:.3f} to {high:.3f}",
        f"{result.parseable_rate.mean:.1%}",
        own_metrics(result.task, {name: m.mean for name, m in result.metrics.items()}),
        "; ".join(remarks),
    ]


def _our_row(name: str, size: str, same: list[Result]) -> list[str]:
    """Write the tasks of one protocol as one row."""
    scores = {r.task: f"**{_spread(r.strict_accuracy)}**" for r in same}
    remarks = [f"{r.task} {_modified(r)}" for r in same if r.modified]
    return [
        f"**{name}**",
        size,
        *(scores.get(task, _NONE) for task in _TASKS),
        _shots(same[0]),
        "**measured in this run**",
        _protocol(same[0]),
        _books({r.task: r.book for r in same}),
        "; ".join(remarks),
    ]


def _published_row(row: Published, where_from: str) -> list[str]:
    mcq_std, rcm_std = row.spread or (None, None)
    return [
        row.model,
        row.size or _NONE,
        _accuracy(row.cti_rcm, rcm_std),
        _accuracy(row.cti_mcq, mcq_std),
        _NONE if row.shots is None else str(row.shots),
        where_from,
        row.protocol,
        _books(
            {
                task: book
                for task, accuracy, book in (
                    ("cti-rcm", row.cti_rcm, row.rcm_book),
                    ("cti-mcq", row.cti_mcq, row.mcq_book),
                )
                if accuracy is not None
            }
        ),
        row.note,
    ]


def _books(books: Mapping[str, Book]) -> str:
    """Write the book of all tasks once where it is the same, and else that of each."""
    if len(set(books.values())) == 1:
        return next(iter(books.values()))
    return ", ".join(f"{task} {books[task]}" for task in _TASKS if task in books)


def _accuracy(accuracy: Accuracy, std: float | None) -> str:
    """Write a published figure with its own decimals, three at least."""
    if accuracy is None:
        return _NONE
    if isinstance(accuracy, tuple):
        return " to ".join(f"{bound:.3f}" for bound in accuracy)
    return f"{accuracy:.3f}" if std is None else f"{accuracy:.4f} ± {std:.4f}"


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.4f}" + (f" ± {spread.std:.4f}" if spread.std is not None else "")


def _shots(result: Result) -> str:
    if result.kind == "base":
        return str(find_protocol(result.protocol).base_shots)
    return "0" if result.kind == "instruct" else _NONE


def _protocol(result: Result) -> str:
    return f"{result.protocol} {result.protocol_version}"


def _modified(result: Result) -> str:
    return f"modified: {', '.join(result.modified)}"


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
    return flat | {
        "model": answers.name,
        "responses": str(answers.where),
        "notes": said,
        "details": details(scored),
    }


def scored_table(scored: Sequence[Json]) -> str:
    """Render scores made again: strict accuracy, its two spreads, and the task's own metric."""
    header = (
        *("model", "task", "protocol", "items", "trials", "strict accuracy", "95 % interval"),
        *("parseable", "task's own"),
    )
    return table(header, map(_score_row, scored), right=(3, 4, 5, 6, 7))


def _score_row(row: Json) -> list[str]:
    modified = f", modified: {', '.join(row['modified'])}" if row["modified"] else ""
    std = f" ± {row['trial_std']:.4f}" if row["trial_std"] is not None else ""
    low, high = row["interval_95"]
    return [
        row["model"],
        row["task"],
        f"{row['protocol']} {row['protocol_version']}{modified}",
        f"{row['items']:,}",
        str(row["trials"]),
        f"{row['strict_accuracy']:.4f}{std}",
        f"{low:.3f} to {high:.3f}",
        f"{row['parseable_rate']:.1%}",
        own_metrics(row["task"], row),
    ]


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
