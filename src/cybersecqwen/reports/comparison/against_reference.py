"""A comparison as one JSON-able object, from which every page and plot is drawn.

Each model is held against the reference on the same items, and the p-values of all those
comparisons together are corrected by Holm's method.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cybersecqwen import __version__
from cybersecqwen.benchmark.paired import Comparison, holm, sentence, unpaired
from cybersecqwen.benchmark.paired import compare as compare_pair
from cybersecqwen.benchmark.responses import (
    ResponseSet,
    clustered_by_trial,
    notes,
    read_run,
    rescore,
)
from cybersecqwen.benchmark.run import benchmark_facts
from cybersecqwen.benchmark.score import TaskScores
from cybersecqwen.benchmark.statistics import Interval
from cybersecqwen.benchmark.summary import SAMPLES, SEED, caveats, details, summarise
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_json
from cybersecqwen.reports.embedded_scores import embedded_rows
from cybersecqwen.reports.published import (
    BASELINES,
    ELSEWHERE,
    PUBLISHED,
    PUBLISHED_COLUMNS,
    Published,
)
from cybersecqwen.reports.run_folder import CTI_BENCH


@dataclass(frozen=True)
class ComparisonSettings:
    """The choices of a comparison: task and protocol (all by default), and the reference.

    `reference` is a model's name, by default that of the first run; `sizes` are parameters in
    billions by model, where a run does not know its own.
    """

    reference: str | None = None
    task: str | None = None
    protocol: str | None = None
    published: bool = False
    sizes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Entry:
    """One model's answers to one task, scored."""

    answers: ResponseSet
    scored: TaskScores
    run: Path

    @property
    def group(self) -> tuple[str, str]:
        return self.answers.task, self.scored.protocol.name


def compare(runs: Sequence[Path], benchmark: Path, *, settings: ComparisonSettings) -> Json:
    """Compare the evaluations in run folders; models that share a name go by their folder.

    Raises InputError where a run holds no answers, answers to other items than those of the
    benchmark, or the reference or a size is of none of the models.
    """
    entries = _entries(runs, benchmark, settings)
    groups: dict[tuple[str, str], list[_Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.group].append(entry)
    models = list(dict.fromkeys(entry.answers.name for entry in entries))
    reference = settings.reference or models[0]
    if reference not in models:
        raise InputError(
            f"the reference {reference!r} is none of the models",
            tip=f"there are {', '.join(models)}",
        )
    unknown = sorted(settings.sizes.keys() - set(models))
    if unknown:
        raise InputError(
            f"a size of {unknown[0]!r}, which is none of the models",
            tip=f"there are {', '.join(models)}",
        )
    facts = benchmark_facts(benchmark)
    tables = [_table(group, scored, reference) for group, scored in groups.items()]
    _correct(tables)
    comparable = facts["name"] == CTI_BENCH and not any(entry.scored.of for entry in entries)
    return {
        "version": __version__,
        "benchmark": facts,
        "reference": reference,
        "bootstrap": {"samples": SAMPLES, "seed": SEED, "level": 0.95},
        "models": [_model(name, entries, settings) for name in models],
        "tables": tables,
        "published": _published(tables, reference) if settings.published and comparable else [],
        "published_left_out": settings.published and not comparable,
        "items": [_items(group, scored) for group, scored in groups.items()],
    }


def _entries(runs: Sequence[Path], benchmark: Path, settings: ComparisonSettings) -> list[_Entry]:
    entries = []
    for run in runs:
        for answers in read_run(run, task=settings.task):
            protocol = answers.scoring_protocol(settings.protocol)
            entries.append(_Entry(answers, rescore(answers, protocol, benchmark), run))
    return _distinct(entries)


def _distinct(entries: list[_Entry]) -> list[_Entry]:
    """Name models by their run folders where two answer one task under the same name."""
    counts = Counter((e.answers.name, *e.group) for e in entries)
    repeated = {name for (name, *_), n in counts.items() if n > 1}
    named = [
        replace(e, answers=replace(e.answers, name=f"{e.answers.name} ({e.run})"))
        if e.answers.name in repeated
        else e
        for e in entries
    ]
    again = Counter((e.answers.name, *e.group) for e in named)
    twice = next((key for key, n in again.items() if n > 1), None)
    if twice:
        raise InputError(
            f"{twice[0]} answers {twice[1]} under {twice[2]} twice",
            tip="give each run once, or one evaluation of it: RUN/evaluation/TASK/PROTOCOL",
        )
    return named


def _model(name: str, entries: Sequence[_Entry], settings: ComparisonSettings) -> Json:
    of = [entry for entry in entries if entry.answers.name == name]
    engine = _engine(of[0])
    counted = engine.get("parameters")
    return {
        "name": name,
        "run": str(of[0].run),
        "kind": of[0].answers.kind,
        "engine": engine,
        "parameters": settings.sizes.get(name, counted / 1e9 if counted else None),
        "probe": _json(of[0].answers.where / "probe.json"),
    }


def _engine(entry: _Entry) -> Json:
    engine = _json(entry.answers.where / "scores.json").get("engine", {})
    return engine if isinstance(engine, dict) else {}


def _json(path: Path) -> Json:
    value = read_json(path) if path.is_file() else {}
    return value if isinstance(value, dict) else {}


def _table(group: tuple[str, str], entries: Sequence[_Entry], reference: str) -> Json:
    task, protocol = group
    against = next((e for e in entries if e.answers.name == reference), None)
    metric = TASKS[task].headline
    rows = [_row(entry, against, metric) for entry in entries]
    better = entries[0].scored.metrics[metric].better
    most = max(row["answered"] for row in rows)
    return {
        "task": task,
        "protocol": protocol,
        "protocol_version": entries[0].scored.protocol.version,
        "metric": metric,
        "better": better,
        "reference": against.answers.name if against else "",
        "rows": sorted(rows, key=lambda row: _rank(row, better, most)),
    }


def _rank(row: Json, better: str, most: float) -> tuple[bool, float]:
    """Rank by the score, behind those that answered `most` who left out what others answered."""
    value = row["value"]["mean"]
    score = float("inf") if value is None else -value if better == "higher" else value
    return row["answered"] < most - 0.01, score


def _row(entry: _Entry, against: _Entry | None, metric: str) -> Json:
    summary = summarise(entry.scored)
    values = {
        "strict_accuracy": summary["strict_accuracy"],
        "parseable_rate": summary["parseable_rate"],
        **summary["metrics"],
    }
    engine = _engine(entry)
    recorded = engine.get("engine") == "replay"
    fitted = [f for f in engine.get("fitted_to", []) if f.get("task") == entry.answers.task]
    return {
        "model": entry.answers.name,
        "value": values[metric],
        "metrics": values,
        "unread": summary["unread"],
        "answered": float(entry.scored.answered(metric).mean()),
        "items": summary["items"],
        "trials": summary["trials"],
        "modified": summary["modified"],
        "extractor": summary["extractor"],
        "book": engine.get("books", {}).get(entry.answers.task, ""),
        "deterministic": bool(engine.get("deterministic")),
        "fitted_items": sum(int(f.get("items", 0)) for f in fitted),
        "notes": [
            *(["a recording: prompt and sampling as its maker says"] if recorded else []),
            *notes(entry.answers, entry.scored.protocol),
            *caveats(
                summary["items"], summary["of"], summary["failed"], summary["unread"]["warning"]
            ),
            *_not_paired(entry, against),
        ],
        "details": details(entry.scored),
        "against": _against(entry, against, metric),
    }


def _against(entry: _Entry, against: _Entry | None, metric: str) -> Json | None:
    """Compare a model with the reference; None for itself, or where the rows differ."""
    if against is None or against is entry:
        return None
    if _not_paired(entry, against):
        return None
    comparison = compare_pair(
        entry.scored.ratio(metric),
        against.scored.ratio(metric),
        trials=any(clustered_by_trial(e.answers, e.scored.protocol) for e in (entry, against)),
        answered=(entry.scored.answered(metric), against.scored.answered(metric)),
    )
    return asdict(comparison) | {"interval": list(comparison.interval)}


def _not_paired(entry: _Entry, against: _Entry | None) -> list[str]:
    """List the reason why a model cannot be compared with the reference, if there is one."""
    if against is None or _indices(against) == _indices(entry):
        return []
    return ["not held against the reference, which was asked other rows"]


def _indices(entry: _Entry) -> list[int]:
    return [item.index for item in entry.scored.items]


def _correct(tables: Sequence[Json]) -> None:
    """Add the p-values after Holm over all tables, the verdict and a sentence to quote.

    There is no verdict where a model has no value, or answered another share of the items.
    """
    rows = [(table, row) for table in tables for row in table["rows"] if row["against"]]
    found = [_comparison(row["against"]) for _, row in rows]
    p_values = [math.nan if one.withheld else one.p_value for one in found]
    n = sum(not math.isnan(p_value) for p_value in p_values)
    for (table, row), one, p_value in zip(rows, found, holm(p_values), strict=True):
        against = row["against"] | {"detectable": one.detectable_after(n)}
        said = sentence(
            one,
            first=row["model"],
            second=table["reference"],
            task=table["task"],
            metric=table["metric"],
            adjusted_p=p_value,
            comparisons=n,
        )
        gain = against["difference"] * (1 if table["better"] == "higher" else -1)
        verdict = "same" if p_value >= 0.05 else "better" if gain > 0 else "worse"
        verdict = "" if math.isnan(p_value) else verdict
        if one.withheld:
            row["notes"].append("no verdict: another share of the items was answered")
        told = against | {"p_holm": p_value, "verdict": verdict, "sentence": said}
        row["against"] = {name: _measured(value) for name, value in told.items()}


def _measured(value: Any) -> Any:
    """Return None in place of nan, which JSON does not have."""
    if isinstance(value, list):
        return [_measured(bound) for bound in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _comparison(against: Json) -> Comparison:
    return Comparison(**against | {"interval": Interval(*against["interval"])})


def _published(tables: Sequence[Json], reference: str) -> list[Json]:
    """Return the published rows, each with its distance from the reference, items unpaired."""
    ours = {
        (table["task"], table["protocol"]): row
        for table in tables
        for row in table["rows"]
        if row["model"] == reference and table["metric"] == "strict_accuracy"
    }
    rows = [
        *((row, "measured") for row in embedded_rows()),
        *((row, "published") for row in PUBLISHED),
    ]
    rows += [(row, "baseline") for row in BASELINES]
    published = [_published_row(row, status, ours) for row, status in rows]
    return published + [row | {"status": "published"} for row in ELSEWHERE]


def _published_row(row: Published, status: str, ours: Mapping[tuple[str, str], Json]) -> Json:
    """Compare the reference with a published row, under that row's protocol where it has both."""
    distances = {}
    for task, column in PUBLISHED_COLUMNS.items():
        value = getattr(row, column)
        by_protocol = {protocol: mine for (name, protocol), mine in ours.items() if name == task}
        mine = (
            by_protocol.get(row.protocol)
            or by_protocol.get("model-card")
            or next(iter(by_protocol.values()), None)
        )
        if mine and isinstance(value, float):
            n, mean = mine["items"], mine["value"]["mean"]
            distance = unpaired(mean, n, value, n)
            distances[task] = {
                "difference": distance.difference,
                "interval_95_unpaired": list(distance.interval),
            }
    return asdict(row) | {"status": status, "reference_minus_this": distances}


def _items(group: tuple[str, str], entries: Sequence[_Entry]) -> Json:
    """Return every item with the answers of each model, for the browser of items."""
    task, protocol = group
    by_model = {entry.answers.name: _by_item(entry) for entry in entries}
    items = {item.index: item for entry in entries for item in entry.scored.items}
    return {
        "task": task,
        "protocol": protocol,
        "models": list(by_model),
        "rows": [
            {
                "item": index,
                "url": items[index].url,
                "text": items[index].text,
                "options": list(items[index].options),
                "gold": items[index].gold,
                "answers": [answers.get(index) for answers in by_model.values()],
            }
            for index in sorted(items)
        ],
    }


def _by_item(entry: _Entry) -> dict[int, Json]:
    """Return predictions and correctness of each item by trial, and one whole response."""
    scored = entry.scored
    by_item = {}
    for position, item in enumerate(scored.items):
        shown = [r[position] for r in scored.responses if r[position] is not None]
        by_item[item.index] = {
            "predictions": [row[position] for row in scored.predictions],
            "correct": [bool(value) for value in scored.marks["correct"][position]],
            "response": shown[0].text if shown and shown[0] else "",
        }
    return by_item
