"""ResponseSet scored again, and how a score moves with the extractor, as tables and JSON.

found = scores(read_run(run), "faith", benchmark)
print(scored_table(found))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from cybersecqwen.benchmark.responses import ResponseSet, excluded_responses, notes, rescore
from cybersecqwen.benchmark.sensitivity import ExtractorResult
from cybersecqwen.benchmark.summary import details, result, summarise
from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import table


def scores(found: Sequence[ResponseSet], protocol: str | None, benchmark: Path) -> list[Json]:
    """Score each set of answers; a recording by model-card where no protocol is named."""
    return [_scored(answers, protocol, benchmark) for answers in found]


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


def scored_table(found: Sequence[Json]) -> str:
    """Render scores made again: strict accuracy, its two spreads, and the task's own metric."""
    header = (
        *("model", "task", "protocol", "items", "trials", "strict accuracy", "95 % interval"),
        *("parseable", "task's own"),
    )
    return table(header, map(_score_row, found), right=(3, 4, 5, 6, 7))


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
    """Give the table of one set of answers as a JSON object."""
    return {
        "model": answers.name,
        "task": answers.task,
        "asked_under": answers.protocol.name if answers.protocol else "",
        "spread": max(row.accuracy for row in rows) - min(row.accuracy for row in rows),
        "extractors": [
            asdict(row) | {"examples": [e._asdict() for e in row.examples]} for row in rows
        ],
    }


def sensitivity_text(answers: ResponseSet, rows: Sequence[ExtractorResult]) -> str:
    """Render how the accuracy moves with the rule, and examples of what moves it."""
    under = f", asked under {answers.protocol.name}" if answers.protocol else ""
    spread = max(row.accuracy for row in rows) - min(row.accuracy for row in rows)
    header = (
        *("extractor", "used by", "right, of all", "parseable", "answers that flip"),
        *("items", "gained", "lost", "rule"),
    )
    shown = table(header, map(_sensitivity_row, rows), right=(2, 3, 4, 5, 6, 7))
    examples = [line for row in rows for line in _examples(row)]
    return "\n".join(
        [
            f"{answers.name}, {answers.task}{under}: {100 * spread:.1f} points between the rules",
            "",
            shown,
            *(["", "Examples:", *examples] if examples else []),
        ]
    )


def _sensitivity_row(row: ExtractorResult) -> list[str]:
    return [
        row.extractor if row.fits else f"{row.extractor} (other prompt)",
        ", ".join(row.protocols) or "–",
        f"{row.accuracy:.4f}",
        f"{row.parseable_rate:.1%}",
        f"{row.flipped:,} of {row.answers:,}",
        f"{row.items:,}",
        f"{row.gained:,}",
        f"{row.lost:,}",
        row.summary,
    ]


def _examples(row: ExtractorResult) -> list[str]:
    return [
        f"  item {e.item}, trial {e.trial}, gold {e.gold}: {e.reference} before, {e.reading} by "
        f"{row.extractor}: {e.text!r}"
        for e in row.examples[:1]
    ]
