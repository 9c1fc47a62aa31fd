"""The report of a dataset: its Markdown, and all its files.

    write_report(report, conflicts, Path("dataset-report"))

`report` is what `dataset.json` holds: `records` and `corpus` are the figures of one
dataset each, and either may be absent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cybersecqwen.files import Json, atomic_write, write_json, write_jsonl, write_text
from cybersecqwen.reports.dataset import sections
from cybersecqwen.reports.dataset.agreement import Conflict
from cybersecqwen.reports.dataset.plots import TITLES, plots
from cybersecqwen.reports.dataset.sections import of_text, pair_name, part_text, percent
from cybersecqwen.reports.markdown import table

PARTS = {"records": "The records", "corpus": "The corpus"}
_RULES = """\
The primary label of a record is the first label of NVD, else of the CNA, else of CISA-ADP.
NVD's placeholders (`NVD-CWE-noinfo`, `NVD-CWE-Other`) are no labels. Rejected records are
counted and left out of everything else. Texts are the same where they are equal once case,
punctuation and white space are folded."""


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


def render(report: Json, drawn: Iterable[str] = ()) -> str:
    """Write the whole report; `drawn` are the paths of the plots that lie beside it."""
    drawn = tuple(drawn)
    body = [
        f"## {title}\n\n{_dataset(report[name], name, drawn)}"
        for name, title in PARTS.items()
        if name in report
    ]
    return "\n\n".join(["# Dataset report", _inputs(report), _RULES, *body]) + "\n"


def summary(report: Json) -> str:
    """Write the few figures that a terminal shows."""
    names = [name for name in PARTS if name in report]
    facts = [dict(_facts(report[name])) for name in names]
    rows = [(key, *(found.get(key, "–") for found in facts)) for key in _keys(facts)]
    return table(("", *names), rows, right=range(1, len(names) + 1))


def _keys(facts: Sequence[dict[str, str]]) -> list[str]:
    return list(dict.fromkeys(key for found in facts for key in found))


def _inputs(report: Json) -> str:
    lines = [f"Made by cybersecqwen {report['version']} from"]
    lines += [f"- `{name}`, sha256 `{sha256}`" for name, sha256 in report["inputs"].items()]
    return "\n".join([lines[0], "", *lines[1:]])


def _dataset(figures: Json, name: str, drawn: Sequence[str]) -> str:
    parts = [
        _facts_table(figures),
        _corpus(figures) if name == "corpus" else "",
        *(f"### {title}\n\n{text}" for title, text in _sections(figures, name, drawn) if text),
    ]
    return "\n\n".join(filter(None, parts))


def _sections(figures: Json, name: str, drawn: Sequence[str]) -> Iterator[tuple[str, str]]:
    def with_plot(plot: str, text: str) -> str:
        path = f"plots/{name}-{plot}.svg"
        return f"{text}\n\n![{TITLES[plot]}]({path})" if path in drawn and text else text

    yield "Years", with_plot("years", sections.years(figures["years"]))
    yield "Classes", with_plot("classes", sections.classes(figures["classes"]))
    yield "Sources of labels", sections.sources(figures["coverage"])
    yield "Agreement", with_plot("agreement", sections.agreement(figures))
    yield (
        "Labels that MITRE advises against",
        with_plot("discouraged", sections.discouraged(figures)),
    )
    yield "Duplicates", sections.duplicates(figures["duplicates"])
    yield "Lengths", with_plot("lengths", sections.lengths(figures["lengths"]))


def _facts(figures: Json) -> Iterator[tuple[str, str]]:
    classes, duplicates = figures["classes"], figures["duplicates"]
    yield "records", f"{figures['records']:,}"
    if figures["rejected"]:
        yield "rejected records beside them", f"{figures['rejected']:,}"
    if figures["without_text"]:
        yield "without English text", f"{figures['without_text']:,}"
    yield "with a label", part_text(figures["labelled"])
    yield "classes", f"{classes['classes']:,}"
    yield "effective number of classes", f"{classes['effective_classes']:.1f}"
    for pair in figures["agreement"]:
        yield f"{pair_name(pair)}, same first label", of_text(pair["first_label"], pair["records"])
    yield "records in conflict", f"{figures['conflicts']['records']:,}"
    if figures["discouraged"]["records"]:
        yield "primary label advised against", part_text(figures["discouraged"]["records"])
    yield "records with the text of another", f"{duplicates['records']:,}"
    chat = figures["lengths"].get("chat")
    if chat:
        limit = figures["lengths"]["limit"]
        yield f"over {limit:,} tokens", f"{chat['over_limit']:,}"


def _facts_table(figures: Json) -> str:
    return table(("", "figure"), _facts(figures), right=(1,))


def _corpus(figures: Json) -> str:
    """Write the facts that only a corpus has."""
    splits = ", ".join(f"{count:,} {name}" for name, count in figures["splits"].items())
    unseen = figures["classes_only_in_validation"]
    lines = [f"Splits: {splits} examples of the recipe `{figures['recipe']}`."]
    if unseen:
        lines.append(f"Classes of the validation part that training never sees: {len(unseen)}.")
    if "contested" in figures:
        found = figures["contested"]
        lines.append(
            f"Of the examples, {found['count']:,} ({percent(found['share'])}) stand in the "
            "records' list of conflicts."
        )
    dropped = table(
        ("dropped as", "records"),
        [(reason, f"{count:,}") for reason, count in figures["dropped"].items()],
        right=(1,),
    )
    return "\n".join(lines) + f"\n\n{dropped}"
