"""The report of a dataset: its Markdown, and all its files.

    write_report(report, conflicts, Path("dataset-report"))

`report` is what `dataset.json` holds: `records` and `corpus` are the figures of one
dataset each, and either may be absent. The wording is in `report.md.jinja`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from cybersecqwen import templates
from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.files import (
    Json,
    atomic_write,
    spreadsheet_cell,
    write_json,
    write_jsonl,
    write_text,
)
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
        writer.writerows(map(spreadsheet_cell, map(str, conflict)) for conflict in conflicts)
    write_json(folder / "dataset.json", report)
    write_text(folder / "REPORT.md", render(report, drawn))


def render(report: Json, drawn: Iterable[str] = ()) -> str:
    """Write the whole report; `drawn` are the paths of the plots that lie beside it."""
    parts = _parts(report)
    return document(
        "reports/dataset/report.md.jinja",
        report=report,
        parts=parts,
        facts={part: _facts(report[part]) for part in parts},
        agreement_by_year={part: _agreement_by_year(report[part]["agreement"]) for part in parts},
        sources=LABEL_SOURCES,
        plots=set(drawn),
        plot_titles=TITLES,
    )


def summary(report: Json) -> str:
    """Write the few figures that a terminal shows."""
    parts = _parts(report)
    facts = [_facts(report[part]) for part in parts]
    names = dict.fromkeys(name for of_part in facts for name in of_part)
    rows = [(name, *(of_part.get(name, "–") for of_part in facts)) for name in names]
    return table(("", *parts), rows, right=range(1, len(parts) + 1))


def _parts(report: Json) -> list[str]:
    return [part for part in _PARTS if part in report]


def _facts(figures: Json) -> dict[str, str]:
    """Return the name and text of each figure that a reader wants first."""
    text = templates.render("reports/dataset/facts.jinja", sources=LABEL_SOURCES, **figures)
    return dict(line.split("\t") for line in text.splitlines())


def _agreement_by_year(pairs: Sequence[Json]) -> dict[str, list[Json | None]]:
    """Return the figures of each pair of sources by year, None where too few records say it."""
    by_pair = [
        {row["year"]: row for row in pair["by_year_of_id"] if row["records"] >= _MIN_YEAR}
        for pair in pairs
    ]
    years = sorted({year for rows in by_pair for year in rows})
    return {year: [rows.get(year) for rows in by_pair] for year in years}
