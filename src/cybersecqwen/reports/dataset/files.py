"""Write a dataset's report: for reading, for machines, and the list of conflicts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from cybersecqwen.files import Json, atomic_write, write_json, write_jsonl, write_text
from cybersecqwen.reports.dataset.agreement import Conflict
from cybersecqwen.reports.dataset.document import PARTS, render
from cybersecqwen.reports.dataset.plots import plots


def write_report(report: Json, conflicts: Sequence[Conflict], folder: Path) -> None:
    """Write REPORT.md, dataset.json, conflicts.csv, conflicts.jsonl and plots/*.svg.

    Without matplotlib there are no plots. The same report gives the same bytes.
    """
    drawn = {
        f"plots/{part}-{name}.svg": svg
        for part in PARTS
        if part in report
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
