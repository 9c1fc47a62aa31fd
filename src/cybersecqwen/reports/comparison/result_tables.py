"""A comparison as Markdown, which also reads on a terminal.

print(render(found, plots=()))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import table

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


def render(found: Json, *, plots: Sequence[str]) -> str:
    """Write the whole comparison."""
    parts = [
        "# Comparison",
        f"Reference: **{_line(found['reference'])}**. Benchmark: {found['benchmark']['name']}. "
        f"CyberSecQwen {found['version']}.",
        *(_section(part, found) for part in found["tables"]),
        *_sentences(found),
        *_published(found),
        *_behind(found),
        *_warnings(found),
        *(f"![{name.replace('-', ' ')}](plots/{name}.svg)" for name in plots),
    ]
    return "\n\n".join(parts) + "\n"


def summary(found: Json) -> str:
    """Write the tables and the sentences alone, for a terminal."""
    parts = [*(_section(part, found) for part in found["tables"]), *_sentences(found)]
    return "\n\n".join(parts)


def legend(found: Json) -> str:
    """Explain the marks and the spreads of a table."""
    n = sum(row["against"] is not None for part in found["tables"] for row in part["rows"])
    if n:
        marks = _MARKS_MEAN.format(n=f"all {n} comparisons" if n > 1 else "1 comparison")
    else:
        marks = _NONE_AGAINST if len(found["models"]) > 1 else ""
    return marks + _SPREADS_MEAN


def _section(part: Json, found: Json) -> str:
    title = f"## {part['task']}, protocol {part['protocol']} {part['protocol_version']}"
    direction = "higher is better" if part["better"] == "higher" else "lower is better"
    header = (
        *("", "model", part["metric"], "95 % interval", "parseable", "items", "trials"),
        *("difference", "95 % interval of it", "p (Holm)", "detectable", "remarks"),
    )
    shown = table(header, (result_row(row, part) for row in part["rows"]), right=range(2, 11))
    return f"{title}\n\n{part['metric']}, {direction}.\n\n{shown}\n\n{legend(found)}"


def result_row(row: Json, part: Json) -> list[str]:
    """Write the cells of one model in one table."""
    value, against = row["value"], row["against"]
    std = f" ± {value['std']:.4f}" if value["std"] is not None else ""
    mean = f"{value['mean']:.4f}{std}" if value["mean"] is not None else _NONE
    cells = [
        MARKS[against["verdict"]] if against else "",
        row["model"] + (" (reference)" if row["model"] == part["reference"] else ""),
        mean,
        interval(value["interval_95"]),
        f"{row['metrics']['parseable_rate']['mean']:.1%}",
        f"{row['items']:,}",
        str(len(row["trials"])),
    ]
    if against and against["verdict"]:
        cells += [
            f"{against['difference']:+.4f}",
            interval(against["interval"], sign=True),
            p_value(against["p_holm"]),
            f"{against['detectable']:.3f}",
        ]
    else:
        cells += [_NONE] * 4
    return [*cells, "; ".join(remarks(row))]


def remarks(row: Json) -> list[str]:
    """List what a reader has to know about a row."""
    said = [f"modified: {', '.join(row['modified'])}"] if row["modified"] else []
    said += [f"{row['book']} book"] if row["book"] else []
    said += ["deterministic"] if row["deterministic"] else []
    if row["fitted_items"]:
        said.append(f"weights fitted to {row['fitted_items']:,} of these items")
    return said + list(row["notes"])


def p_value(value: float) -> str:
    """Write a p-value to three decimals."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def interval(bounds: Sequence[float | None], *, sign: bool = False) -> str:
    """Write both ends of an interval to three decimals."""
    low, high = bounds
    if low is None or high is None:
        return _NONE
    return f"{low:+.3f} to {high:+.3f}" if sign else f"{low:.3f} to {high:.3f}"


def _sentences(found: Json) -> Iterator[str]:
    said = [
        row["against"]["sentence"]
        for part in found["tables"]
        for row in part["rows"]
        if row["against"]
    ]
    if said:
        yield "## In words\n\n" + _list(said)


def _published(found: Json) -> Iterator[str]:
    if found["published_left_out"]:
        yield (
            "Published figures are left out: these items are not CTI-Bench's, and no published "
            "figure compares with them."
        )
    rows = [row for row in found["published"] if "cti_mcq" in row]
    if rows:
        header = (
            *("model", "size", "CTI-MCQ", "CTI-RCM", "status", "source", "protocol"),
            *("reference minus this, MCQ", "RCM", "note"),
        )
        shown = table(header, map(_published_row, rows), right=(2, 3, 7, 8))
        yield f"## Published and baselines\n\n{shown}\n\n{PUBLISHED_NOTE}"
    others = [row for row in found["published"] if "metric" in row]
    if others:
        keys = ("model", "task", "metric", "source", "protocol")
        cells = ([*(row[key] for key in keys), f"{row['value']:g}"] for row in others)
        yield table((*keys, "published"), cells, right=(5,))


def _published_row(row: Json) -> list[str]:
    return [
        row["model"],
        row["size"] or _NONE,
        figure(row["cti_mcq"]),
        figure(row["cti_rcm"]),
        row["status"],
        row["source"],
        row["protocol"],
        *(distance(row, task) for task in ("cti-mcq", "cti-rcm")),
        row["note"],
    ]


def figure(value: float | Sequence[float] | None) -> str:
    """Write a published figure, or the lowest and highest of several."""
    if value is None:
        return _NONE
    if isinstance(value, Sequence):
        return " to ".join(f"{bound:.3f}" for bound in value)
    return f"{value:.4f}".rstrip("0").ljust(5, "0")


def distance(row: Json, task: str) -> str:
    """Write how far the reference is from a published row, with the unpaired interval."""
    found = row["reference_minus_this"].get(task)
    if not found:
        return _NONE
    low, high = found["interval_95_unpaired"]
    return f"{found['difference']:+.3f} ({low:+.3f} to {high:+.3f})"


def _behind(found: Json) -> Iterator[str]:
    """Write the figures behind the scores as one table per task."""
    for part in found["tables"]:
        rows = [(row["model"], dict(behind(row, part["task"]))) for row in part["rows"]]
        names = list(dict.fromkeys(name for _, cells in rows for name in cells))
        if names:
            shown = table(
                ("", *(model for model, _ in rows)),
                ([name, *(cells.get(name, _NONE) for _, cells in rows)] for name in names),
                right=range(1, len(rows) + 1),
            )
            yield f"## Behind the score: {part['task']}, {part['protocol']}\n\n{shown}"


def behind(row: Json, task: str) -> Iterator[tuple[str, str]]:
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


def _kinship(found: Json) -> Iterator[tuple[str, str]]:
    yield "right, or a parent or child", _share(found["credit"]["or_parent_or_child"]["share"])
    yield "right, or of the same pillar", _share(found["credit"]["or_same_pillar"]["share"])
    yield "agree in view CWE-1003", _share(found["view_1003"]["agreement"]["share"])
    usage = found["usage"]
    yield "Discouraged predictions", _share(usage["predicted"]["discouraged"]["share"])
    yield "Discouraged in the gold", _share(usage["gold"]["discouraged"]["share"])
    yield "ids that no CWE has", _share(found["relations"]["not_in_catalogue"]["share"])
    yield "categories and views", _share(found["relations"]["not_a_weakness"]["share"])


def _letters(found: Json) -> Iterator[tuple[str, str]]:
    constant = found["constant"]
    yield f"always {constant['letter']}", f"{constant['accuracy']:.3f}"
    if found["bias"] is not None:
        yield "position bias (total variation)", f"{found['bias']:.3f}"
    for letter, share in found["letters"].items():
        yield (
            f"{letter}: given, in the gold",
            f"{share['predicted']:.1%}, {share['gold']:.1%}",
        )


def _orders(found: Json) -> Iterator[tuple[str, str]]:
    constant = found["constant"]
    yield f"always {constant['letter']}, over the orders", f"{constant['accuracy']:.3f}"
    yield "mean over orders of the options", f"{found['mean']:.3f}"
    yield "same option under every order", _share(found["consistent"])
    yield "right under every order", _share(found["always_right"])


def _texts(found: Json) -> Iterator[tuple[str, str]]:
    if not found:
        return
    yield "unparseable", _share(found["unparseable"]["share"])
    yield "refusals", _share(found["refusals"]["share"])
    yield "empty answers", _share(found["empty"]["share"])
    if found["cut_at_limit"]:
        yield "cut at the token limit", _share(found["cut_at_limit"]["share"])
    yield (
        "characters, median and longest",
        (
            f"{found['characters']['median']:,.0f}, {found['characters']['max']:,}"
            if found["characters"]
            else _NONE
        ),
    )


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1%}"


def failed_checks(found: Json) -> list[str]:
    """Name what a probe of a server found wanting."""
    return [
        f"{model['name']}: {check['name']}: {check['evidence']}"
        for model in found["models"]
        for check in model["probe"].get("checks", [])
        if check.get("status") == "failed"
    ]


def _warnings(found: Json) -> Iterator[str]:
    said = failed_checks(found)
    if said:
        yield "## What the servers do not do\n\n" + _list(said)


def _list(texts: Sequence[str]) -> str:
    """Write a list; a line break in a model's name or a server's text ends no entry."""
    return "\n".join(f"- {_line(text)}" for text in texts)


def _line(text: str) -> str:
    return " ".join(text.split())
