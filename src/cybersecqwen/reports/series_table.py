"""A series of runs as one table: what each overrides, its score, and its distance from one.

print(series_text(series_report(about, runs, comparison, failed)))
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from cybersecqwen.config import override
from cybersecqwen.files import Json
from cybersecqwen.reports.comparison.result_tables import MARKS, interval, legend, p_value
from cybersecqwen.reports.markdown import document

_AGAINST = ("difference", "interval", "p_value", "p_holm", "test", "detectable", "verdict")


def series_report(
    about: Json, runs: Mapping[str, Json], comparison: Json | None, failed: Mapping[str, str]
) -> Json:
    """Combine the runs of a series, by name with their overrides, with their comparison.

    `failed` are the errors of those that did not finish; `comparison` is None where none did.
    """
    return {
        **about,
        "reference": comparison["reference"] if comparison else None,
        "benchmark": comparison["benchmark"] if comparison else None,
        "legend": legend(comparison) if comparison else "",
        "runs": [
            {
                "name": name,
                "overrides": overrides,
                "error": failed.get(name),
                "results": list(_results(comparison, name)) if comparison else [],
            }
            for name, overrides in runs.items()
        ],
    }


def _results(comparison: Json, name: str) -> Iterator[Json]:
    """Yield a run's score in each task, with its distance from the reference."""
    for part in comparison["tables"]:
        for row in part["rows"]:
            if row["model"] != name:
                continue
            against = row["against"]
            yield {
                "task": part["task"],
                "protocol": f"{part['protocol']} {part['protocol_version']}",
                "metric": part["metric"],
                "mean": row["value"]["mean"],
                "std": row["value"]["std"],
                "interval_95": row["value"]["interval_95"],
                "parseable_rate": row["metrics"]["parseable_rate"]["mean"],
                "items": row["items"],
                "trials": len(row["trials"]),
                "against": {key: against[key] for key in _AGAINST} if against else None,
            }


def series_text(report: Json) -> str:
    """Write the report as Markdown, a table for each task, which also reads on a terminal."""
    tasks: dict[tuple[str, str, str], list[tuple[Json, Json]]] = defaultdict(list)
    for run in report["runs"]:
        for result in run["results"]:
            tasks[result["task"], result["protocol"], result["metric"]].append((run, result))
    return document(
        "reports/series.md.jinja",
        report=report,
        tasks=tasks,
        overrides=overrides,
        marks=MARKS,
        interval=interval,
        p_value=p_value,
    ).rstrip("\n")


def overrides(settings: Json) -> str:
    """Write what a run overrides, as --set takes it."""
    return ", ".join(override(key, value) for key, value in settings.items()) or "nothing"
