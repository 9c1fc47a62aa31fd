"""The tables of a comparison, as text that its Markdown and its page both show.

    print(render(comparison, plots=()))

The Markdown, which also reads on a terminal, is in `comparison.md.jinja` and `summary.md.jinja`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import document

_NONE = "–"
MARKS = {"better": "▲", "worse": "▼", "same": "=", "": ""}  # "": no value to hold against
_MARKS_MEAN = (
    "▲ better than the reference, ▼ worse, = not to be told apart, after Holm's correction over "
    "{n} at the 5 % level. "
)
_NONE_AGAINST = (
    "Nothing is held against the reference: no other model answers a task under the same protocol "
    "(--protocol NAME reads all answers by one). "
)
_SPREADS_MEAN = (
    "The interval is a cluster bootstrap over items and trials; ± is the standard deviation "
    "between trials."
)
PUBLISHED_NOTE = (
    "Rows marked published are quoted from the source they name and were not measured here. "
    "The items of all these rows are not at hand, so the distance is unpaired and its interval "
    "wider than that of a comparison item by item. Another protocol has another prompt and "
    "extractor, and does not compare directly."
)


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
        "published_note": PUBLISHED_NOTE,
        "failed_checks": _failed_checks(comparison),
    }


def legend(comparison: Json) -> str:
    """Explain the marks and the spreads of a table."""
    rows = [row for part in comparison["tables"] for row in part["rows"]]
    n = sum(row["against"] is not None for row in rows)
    if n:
        marks = _MARKS_MEAN.format(n=f"all {n} comparisons" if n > 1 else "1 comparison")
    else:
        marks = _NONE_AGAINST if len(comparison["models"]) > 1 else ""
    return marks + _SPREADS_MEAN


def _table(part: Json) -> Json:
    """Return one table; `behind` has the figures behind the scores by name, a model a column."""
    figures = [dict(_behind(row, part["task"])) for row in part["rows"]]
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
        "value": f"{value['mean']:.4f}{std}" if value["mean"] is not None else _NONE,
        "interval": interval(value["interval_95"]),
        "parseable": f"{row['metrics']['parseable_rate']['mean']:.1%}",
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


def _behind(row: Json, task: str) -> Iterator[tuple[str, str]]:
    """Name and write what stands behind one model's score in a task."""
    for name in (
        "strict_accuracy",
        *TASKS[task].metrics,
        "accuracy_of_all",
        "lenient_accuracy",
        "improper_rate",
    ):
        value = row["metrics"].get(name, {}).get("mean")
        if value is not None:
            yield name.replace("_", " "), f"{value:.3f}"
    details = row["details"]
    if "classes" in details:
        classes = details["classes"]
        yield "macro F1", f"{classes['macro_f1']:.3f}"
        yield "classes with one item", _share(classes["tail"]["once"]["accuracy"])
        yield "classes with at most five", _share(classes["tail"]["at_most_5"]["accuracy"])
    if "hierarchy" in details:
        yield from _kinship(details["hierarchy"])
    if "positions" in details:
        yield from _letters(details["positions"])
    if "permutations" in details:
        yield from _orders(details["permutations"])
    yield from _texts(details.get("answers", {}))


def _kinship(hierarchy: Json) -> Iterator[tuple[str, str]]:
    yield "right, or a parent or child", _share(hierarchy["credit"]["or_parent_or_child"]["share"])
    yield "right, or of the same pillar", _share(hierarchy["credit"]["or_same_pillar"]["share"])
    yield "agree in view CWE-1003", _share(hierarchy["view_1003"]["agreement"]["share"])
    usage = hierarchy["usage"]
    yield "Discouraged predictions", _share(usage["predicted"]["discouraged"]["share"])
    yield "Discouraged in the gold", _share(usage["gold"]["discouraged"]["share"])
    yield "ids that no CWE has", _share(hierarchy["relations"]["not_in_catalogue"]["share"])
    yield "categories and views", _share(hierarchy["relations"]["not_a_weakness"]["share"])


def _letters(positions: Json) -> Iterator[tuple[str, str]]:
    constant = positions["constant"]
    yield f"always {constant['letter']}", f"{constant['accuracy']:.3f}"
    if positions["bias"] is not None:
        yield "position bias (total variation)", f"{positions['bias']:.3f}"
    for letter, share in positions["letters"].items():
        yield f"{letter}: given, in the gold", f"{share['predicted']:.1%}, {share['gold']:.1%}"


def _orders(orders: Json) -> Iterator[tuple[str, str]]:
    constant = orders["constant"]
    yield f"always {constant['letter']}, over the orders", f"{constant['accuracy']:.3f}"
    yield "mean over orders of the options", f"{orders['mean']:.3f}"
    yield "same option under every order", _share(orders["consistent"])
    yield "right under every order", _share(orders["always_right"])


def _texts(answers: Json) -> Iterator[tuple[str, str]]:
    if not answers:
        return
    yield "unparseable", _share(answers["unparseable"]["share"])
    yield "refusals", _share(answers["refusals"]["share"])
    yield "empty answers", _share(answers["empty"]["share"])
    if answers["cut_at_limit"]:
        yield "cut at the token limit", _share(answers["cut_at_limit"]["share"])
    characters = answers["characters"]
    sizes = f"{characters['median']:,.0f}, {characters['max']:,}" if characters else _NONE
    yield "characters, median and longest", sizes


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1%}"


def _failed_checks(comparison: Json) -> list[str]:
    """List the checks of a server that it failed, by model."""
    return [
        f"{model['name']}: {check['name']}: {check['evidence']}"
        for model in comparison["models"]
        for check in model["probe"].get("checks", [])
        if check.get("status") == "failed"
    ]
