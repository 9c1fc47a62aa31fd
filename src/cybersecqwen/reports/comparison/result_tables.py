"""The tables of a comparison, as text that its Markdown and its page both show.

    print(render(comparison, plots=()))

The Markdown, which also reads on a terminal, is in `comparison.md.jinja` and `summary.md.jinja`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cybersecqwen import templates
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.benchmark.unread import forms_text
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import document

_NONE = "–"
MARKS = {"better": "▲", "worse": "▼", "same": "=", "": ""}  # "": no value to hold against


def render(comparison: Json, *, plots: Sequence[str]) -> str:
    """Write the whole comparison as Markdown."""
    return document(
        "reports/comparison/comparison.md.jinja", plots=plots, **result_tables(comparison)
    )


def summary(comparison: Json) -> str:
    """Write the tables and the sentences alone, for a terminal."""
    return document("reports/comparison/summary.md.jinja", **result_tables(comparison)).strip()


def result_tables(comparison: Json) -> Json:
    """Return what the Markdown and the page show of a comparison, figures as text."""
    rows = [row for part in comparison["tables"] for row in part["rows"]]
    published = comparison["published"]
    return {
        "comparison": comparison,
        "tables": [_table(part) for part in comparison["tables"]],
        "legend": legend(comparison),
        "sentences": [row["against"]["sentence"] for row in rows if row["against"]],
        "published": [_published_row(row) for row in published if "cti_mcq" in row],
        "other_published": [row for row in published if "metric" in row],
        "failed_checks": _failed_checks(comparison),
    }


def legend(comparison: Json) -> str:
    """Explain the marks and the spreads of a table."""
    rows = [row for part in comparison["tables"] for row in part["rows"]]
    counts = {
        "comparisons": sum(bool(row["against"] and row["against"]["verdict"]) for row in rows),
        "withheld": any(row["against"] and not row["against"]["verdict"] for row in rows),
        "models": len(comparison["models"]),
    }
    return " ".join(
        templates.render("reports/comparison/legend.jinja", **counts).split("\n")
    ).strip()


def _table(part: Json) -> Json:
    """Return one table; `behind` has the figures behind the scores by name, a model a column."""
    figures = [_behind(row, part["task"]) for row in part["rows"]]
    names = dict.fromkeys(name for of_model in figures for name in of_model)
    return part | {
        "title": f"{part['task']}, protocol {part['protocol']} {part['protocol_version']}",
        "rows": [_result_row(row, part) for row in part["rows"]],
        "behind": {name: [of_model.get(name, _NONE) for of_model in figures] for name in names},
    }


def _result_row(row: Json, part: Json) -> dict[str, str | bool]:
    value, against = row["value"], row["against"]
    std = f" ± {value['std']:.4f}" if value["std"] is not None else ""
    reference = row["model"] == part["reference"]
    cells = {
        "name": row["model"],
        "reference": reference,
        "verdict": against["verdict"] if against else "",
        "mark": MARKS[against["verdict"]] if against else "",
        "model": row["model"] + (" (reference)" if reference else ""),
        "value": _four_decimals(value["mean"]) + std,
        "interval": interval(value["interval_95"]),
        "parseable": f"{row['metrics']['parseable_rate']['mean']:.1%}",
        "unread": _unread(row["unread"]),
        "lenient": _four_decimals(row["unread"]["lenient"][part["metric"]]),
        "items": f"{row['items']:,}",
        "trials": str(len(row["trials"])),
        "remarks": "; ".join(_remarks(row)),
    }
    against_cells = ("difference", "difference_interval", "p", "detectable")
    if not against or not against["verdict"]:
        return cells | dict.fromkeys(against_cells, _NONE)
    return cells | {
        "difference": f"{against['difference']:+.4f}",
        "difference_interval": interval(against["interval"], sign=True),
        "p": p_value(against["p_holm"]),
        "detectable": f"{against['detectable']:.3f}",
    }


def _four_decimals(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _unread(report: Json) -> str:
    """Write the share of answers that were left unread, and their forms."""
    forms = forms_text(report["forms"])
    return f"{report['share']:.1%}: {forms}" if forms else _NONE


def _remarks(row: Json) -> list[str]:
    """List what a reader has to know about a row."""
    remarks = [f"modified: {', '.join(row['modified'])}"] if row["modified"] else []
    remarks += [f"{row['book']} book"] if row["book"] else []
    remarks += ["deterministic"] if row["deterministic"] else []
    if row["fitted_items"]:
        remarks.append(f"weights fitted to {row['fitted_items']:,} of these items")
    return remarks + list(row["notes"])


def p_value(value: float) -> str:
    """Write a p-value to three decimals."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def interval(bounds: Sequence[float | None], *, sign: bool = False) -> str:
    """Write both ends of an interval to three decimals."""
    low, high = bounds
    if low is None or high is None:
        return _NONE
    return f"{low:+.3f} to {high:+.3f}" if sign else f"{low:.3f} to {high:.3f}"


def _published_row(row: Json) -> Json:
    return row | {
        "size": row["size"] or _NONE,
        "mcq": figure(row["cti_mcq"]),
        "rcm": figure(row["cti_rcm"]),
        "mcq_distance": _distance(row, "cti-mcq"),
        "rcm_distance": _distance(row, "cti-rcm"),
    }


def figure(value: float | Sequence[float] | None) -> str:
    """Write a published figure, or the lowest and highest of several."""
    if value is None:
        return _NONE
    if isinstance(value, Sequence):
        return " to ".join(f"{bound:.3f}" for bound in value)
    return f"{value:.4f}".rstrip("0").ljust(5, "0")


def _distance(row: Json, task: str) -> str:
    """Write how far the reference is from a published row, with the unpaired interval."""
    distance = row["reference_minus_this"].get(task)
    if not distance:
        return _NONE
    low, high = distance["interval_95_unpaired"]
    return f"{distance['difference']:+.3f} ({low:+.3f} to {high:+.3f})"


def _behind(row: Json, task: str) -> dict[str, str]:
    """Name and write what stands behind one model's score in a task."""
    of_protocols = ("accuracy_of_all", "lenient_accuracy", "improper_rate")
    text = templates.render(
        "reports/comparison/behind.jinja",
        names=("strict_accuracy", *TASKS[task].metrics, *of_protocols),
        metrics=row["metrics"],
        details=row["details"],
    )
    return dict(line.split("\t") for line in text.splitlines() if line)


def _failed_checks(comparison: Json) -> list[str]:
    """List the checks of a server that it failed, by model."""
    return [
        f"{model['name']}: {check['name']}: {check['evidence']}"
        for model in comparison["models"]
        for check in model["probe"].get("checks", [])
        if check.get("status") == "failed"
    ]
