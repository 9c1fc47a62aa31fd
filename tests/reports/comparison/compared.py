"""A comparison made by hand: two models, two tasks, one item of each that says everything."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.reports.published import BASELINES, PUBLISHED

Found = dict[str, Any]


def value(mean: float | None, low: float | None, high: float | None) -> Found:
    return {"mean": mean, "std": None, "interval_95": [low, high], "better": "higher"}


def row(model: str, mean: float, verdict: str = "", **changes: Any) -> Found:
    score = value(mean, mean - 0.03, mean + 0.03)
    against = {
        "difference": -0.15,
        "interval": [-0.18, -0.12],
        "p_holm": 0.0004,
        "detectable": 0.046,
        "verdict": verdict,
        "sentence": f"{model} answers 15.0 points fewer of the items correctly.",
    }
    return {
        "model": model,
        "value": score,
        "metrics": {"strict_accuracy": score, "parseable_rate": value(0.968, 0.96, 0.974)},
        "unread": {
            "count": 32,
            "share": 0.032,
            "forms": {"boxed": 30, "refused": 2},
            "lenient": {"strict_accuracy": 0.7},
            "warning": "",
        },
        "items": 1_000,
        "trials": [{}, {}],
        "modified": [],
        "book": "",
        "deterministic": False,
        "fitted_items": 0,
        "notes": [],
        "details": {},
        "against": against if verdict else None,
    } | changes


def table(task: str, rows: list[Found], **changes: Any) -> Found:
    return {
        "task": task,
        "protocol": "model-card",
        "protocol_version": 1,
        "metric": TASKS[task].headline,
        "better": "higher",
        "reference": rows[0]["model"],
        "rows": rows,
    } | changes


def answer(*predictions: str | None, gold: str = "B", response: str = "") -> Found:
    correct = [prediction == gold for prediction in predictions]
    return {"predictions": list(predictions), "correct": correct, "response": response}


def items(task: str, models: list[str], rows: list[Found]) -> Found:
    return {"task": task, "protocol": "model-card", "models": models, "rows": rows}


def item(number: int, *answers: Found | None, **changes: Any) -> Found:
    return {
        "item": number,
        "url": "https://attack.mitre.org/techniques/T1548/",
        "text": "Which mitigation is it?",
        "options": ["Audit", "Sandboxing", "None", "Filtering"],
        "gold": "B",
        "answers": list(answers),
    } | changes


def published() -> list[Found]:
    rows = [(row, "published") for row in PUBLISHED] + [(row, "baseline") for row in BASELINES]
    distance = {"cti-rcm": {"difference": 0.034, "interval_95_unpaired": [-0.003, 0.071]}}
    return [asdict(row) | {"status": s, "reference_minus_this": distance} for row, s in rows]


CONFUSION = {
    "rows": ["CWE-79", "CWE-89"],
    "columns": ["CWE-79", "CWE-89", "other", "none"],
    "counts": [[75, 23, 0, 2], [0, 0, 0, 0]],
}


def compared(**changes: Any) -> Found:
    models = ["ours", "theirs"]
    rcm = [
        row("ours", 0.79, details={"confusion": CONFUSION}, book="closed"),
        row("theirs", 0.64, "worse", modified=["trials 2"]),
    ]
    mcq = [row("ours", 0.81, fitted_items=1_250), row("theirs", 0.73, "same")]
    answers = (answer("B", "B", response="It is\n\nB"), answer("A", None, response="A, surely"))
    return {
        "version": "0.1.0",
        "benchmark": {"name": "cti-bench", "sha256": {"cti-rcm.tsv": "ab" * 32}},
        "reference": "ours",
        "bootstrap": {"samples": 10_000, "seed": 0, "level": 0.95},
        "models": [
            {"name": "ours", "run": "r", "kind": "instruct", "engine": {"engine": "embedded"}}
            | {"parameters": None, "probe": {}},
            {"name": "theirs", "run": "s", "kind": "base", "engine": {"engine": "http"}}
            | {"parameters": 4.0, "probe": {}},
        ],
        "tables": [table("cti-mcq", mcq), table("cti-rcm", rcm)],
        "published": published(),
        "published_left_out": False,
        "items": [items("cti-mcq", models, [item(7, *answers)])],
    } | changes
