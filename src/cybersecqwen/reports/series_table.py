"""A series of runs as one table: what each overrides, its score, and its distance from one.

print(series_text(series_report(about, runs, comparison, failed)))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cybersecqwen.config import override
from cybersecqwen.files import Json
from cybersecqwen.reports.comparison.result_tables import MARKS, interval, legend, p_value
from cybersecqwen.reports.markdown import table

_NONE = "–"
_AGAINST = ("difference", "interval", "p_value", "p_holm", "test", "detectable", "verdict")


def series_report(
    about: Json, runs: Mapping[str, Json], found: Json | None, failed: Mapping[str, str]
) -> Json:
    """Combine the runs of a series, by name with their overrides, with their comparison.

    `failed` are the errors of those that did not finish; `found` is None where none did.
    """
    return {
        **about,
        "reference": found["reference"] if found else None,
        "benchmark": found["benchmark"] if found else None,
        "legend": legend(found) if found else "",
        "runs": [
            {
                "name": name,
                "overrides": overrides,
                "error": failed.get(name),
                "results": list(_results(found, name)) if found else [],
            }
            for name, overrides in runs.items()
        ],
    }


def _results(found: Json, name: str) -> Iterator[Json]:
    """Yield a run's score in each task, with its distance from the reference."""
    for part in found["tables"]:
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
    tasks = dict.fromkeys(
        (r["task"], r["protocol"], r["metric"]) for run in report["runs"] for r in run["results"]
    )
    parts = [f"# {report['name']}", report["summary"]]
    parts += (
        [f"Unless a run says otherwise: {overrides(report['common'])}."] if report["common"] else []
    )
    parts += [_task(report, *task) for task in tasks]
    parts += [report["legend"]] if report["legend"] else []
    failed = [f"- {run['name']}: {run['error']}" for run in report["runs"] if run["error"]]
    parts += ["## Failed\n\n" + "\n".join(failed)] if failed else []
    return "\n\n".join(parts)


def overrides(settings: Json) -> str:
    """Write what a run overrides, as --set takes it."""
    return ", ".join(override(key, value) for key, value in settings.items()) or "nothing"


def _task(report: Json, task: str, protocol: str, metric: str) -> str:
    header = (
        *("", "run", "overrides", metric, "95 % interval", "parseable"),
        *("difference", "95 % interval of it", "p (Holm)"),
    )
    rows = [
        _row(run, result, run["name"] == report["reference"])
        for run in report["runs"]
        for result in run["results"]
        if (result["task"], result["protocol"]) == (task, protocol)
    ]
    shown = table(header, rows, right=range(3, 9))
    return f"## {task}, protocol {protocol}, benchmark {report['benchmark']['name']}\n\n{shown}"


def _row(run: Json, result: Json, is_reference: bool) -> list[str]:
    against, std = result["against"], result["std"]
    known = against and against["verdict"]
    mean = _NONE if result["mean"] is None else f"{result['mean']:.4f}"
    return [
        MARKS[against["verdict"]] if against else "",
        run["name"] + (" (reference)" if is_reference else ""),
        overrides(run["overrides"]),
        mean if std is None else f"{mean} ± {std:.4f}",
        interval(result["interval_95"]),
        f"{result['parseable_rate']:.1%}",
        f"{against['difference']:+.4f}" if known else _NONE,
        interval(against["interval"], sign=True) if known else _NONE,
        p_value(against["p_holm"]) if known else _NONE,
    ]
