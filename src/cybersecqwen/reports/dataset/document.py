"""The report of a dataset: its Markdown, and all its files.

    write_report(report, conflicts, Path("dataset-report"))

`report` is what `dataset.json` holds: `records` and `corpus` are the figures of one
dataset each, and either may be absent. The wording is in `report.md.jinja`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.files import Json, atomic_write, write_json, write_jsonl, write_text
from cybersecqwen.reports.dataset.agreement import Conflict
from cybersecqwen.reports.dataset.plots import TITLES, plots
from cybersecqwen.reports.markdown import document, table

_PARTS = ("records", "corpus")
_MIN_YEAR = 50  # records that two sources label; agreement over fewer says little


def write_report(report: Json, conflicts: Sequence[Conflict], folder: Path) -> None:
    """Write REPORT.md, dataset.json, conflicts.csv, conflicts.jsonl and plots/*.svg.

    Without matplotlib there are no plots. The same report gives the same bytes.
    """
    drawn = {
        f"plots/{part}-{name}.svg": svg
        for part in _parts(report)
        for name, svg in plots(report[part]).items()
    }
    for path, svg in drawn.items():
        write_text(folder / path, svg)
    write_jsonl(folder / "conflicts.jsonl", (conflict._asdict() for conflict in conflicts))
    with atomic_write(folder / "conflicts.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Conflict._fields)
        writer.writerows(conflicts)
    write_json(folder / "dataset.json", report)
    write_text(folder / "REPORT.md", render(report, drawn))


def render(report: Json, drawn: Iterable[str] = ()) -> str:
    """Write the whole report; `drawn` are the paths of the plots that lie beside it."""
    parts = _parts(report)
    return document(
        "reports/dataset/report.md.jinja",
        report=report,
        parts=parts,
        facts={part: list(_facts(report[part])) for part in parts},
        agreement_by_year={part: _agreement_by_year(report[part]["agreement"]) for part in parts},
        sources=LABEL_SOURCES,
        plots=set(drawn),
        plot_titles=TITLES,
    )


def summary(report: Json) -> str:
    """Write the few figures that a terminal shows."""
    parts = _parts(report)
    facts = [dict(_facts(report[part])) for part in parts]
    names = dict.fromkeys(name for of_part in facts for name in of_part)
    rows = [(name, *(of_part.get(name, "–") for of_part in facts)) for name in names]
    return table(("", *parts), rows, right=range(1, len(parts) + 1))


def _parts(report: Json) -> list[str]:
    return [part for part in _PARTS if part in report]


def _facts(figures: Json) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each figure that a reader wants first."""
    yield "records", f"{figures['records']:,}"
    if figures["rejected"]:
        yield "rejected records beside them", f"{figures['rejected']:,}"
    if figures["without_text"]:
        yield "without English text", f"{figures['without_text']:,}"
    yield "with a label", _part_text(figures["labelled"])
    yield "classes", f"{figures['classes']['classes']:,}"
    yield "effective number of classes", f"{figures['classes']['effective_classes']:.1f}"
    for pair in figures["agreement"]:
        names = " and ".join(LABEL_SOURCES[source] for source in pair["sources"])
        share = 100 * pair["first_label"]["share"]
        yield f"{names}, same first label", f"{share:.1f} % of {pair['records']:,}"
    yield "records in conflict", f"{figures['conflicts']['records']:,}"
    if figures["discouraged"]["records"]:
        yield "primary label advised against", _part_text(figures["discouraged"]["records"])
    yield "records with the text of another", f"{figures['duplicates']['records']:,}"
    if chat := figures["lengths"].get("chat"):
        yield f"over {figures['lengths']['limit']:,} tokens", f"{chat['over_limit']:,}"


def _part_text(part: Json) -> str:
    return f"{part['count']:,} ({100 * part['share']:.1f} %)"


def _agreement_by_year(pairs: Sequence[Json]) -> dict[str, list[Json | None]]:
    """Return the figures of each pair of sources by year, None where too few records say it."""
    by_pair = [
        {row["year"]: row for row in pair["by_year_of_id"] if row["records"] >= _MIN_YEAR}
        for pair in pairs
    ]
    years = sorted({year for rows in by_pair for year in rows})
    return {year: [rows.get(year) for rows in by_pair] for year in years}
