"""Write what an audit found: contamination.json with all evidence, the page, and a table.

write_audit(audit, benchmark, Path("audit"), train="train.jsonl")
print(audit_table(audit))
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from cybersecqwen.contamination.audit import Audit, Overlap
from cybersecqwen.contamination.spans import shared_spans
from cybersecqwen.files import Json, write_json, write_text
from cybersecqwen.records import Item
from cybersecqwen.reports.audit_report import bins, item_text, render_audit_page
from cybersecqwen.reports.markdown import table

Benchmark = Mapping[str, tuple[Item, ...]]


def audit_summary(audit: Audit) -> Json:
    """Give the verdict, and by task and rule how many items and rows are hit."""
    return {
        "clean": audit.clean,
        "train_rows": audit.train_rows,
        "unreadable_rows": len(audit.unreadable),
        "tasks": audit.counts,
    }


def audit_table(audit: Audit) -> str:
    """Render the counts for a terminal, and the verdict below."""
    rows = [
        (task, rule, f"{of_rule['items']:,} of {audit.items[task]:,}", f"{of_rule['rows']:,}")
        for task, of_task in audit.counts.items()
        for rule, of_rule in of_task.items()
        if of_rule["rows"]
    ]
    found = table(("task", "rule", "items hit", "rows hit"), rows) + "\n\n" if rows else ""
    return found + verdict(audit)


def verdict(audit: Audit) -> str:
    """Say in a sentence whether the file is clean."""
    items = sum(audit.items.values())
    checked = f"{audit.train_rows:,} rows held against {items:,} items of {len(audit.items)} tasks"
    if audit.clean:
        return f"Clean: {checked}, no overlap by any rule."
    rows = len({overlap.row.number for overlap in audit.overlaps})
    hit = len({(overlap.hit.task, overlap.hit.item) for overlap in audit.overlaps})
    unread = f"; {len(audit.unreadable):,} could not be read" if audit.unreadable else ""
    return f"Not clean: {checked}, {rows:,} rows overlap with {hit:,} items{unread}."


def write_audit(audit: Audit, benchmark: Benchmark, out: Path, *, train: str) -> list[Path]:
    """Write contamination.json and contamination.html into a folder, and name them."""
    paths = [out / "contamination.json", out / "contamination.html"]
    write_json(paths[0], _evidence(audit, benchmark))
    write_text(paths[1], render_audit_page(audit, benchmark, train=train, verdict=verdict(audit)))
    return paths


def _evidence(audit: Audit, benchmark: Benchmark) -> Json:
    """Give all that was found, by item; texts are left out, since spans name places in them."""
    by_item: dict[tuple[str, int], list[Overlap]] = defaultdict(list)
    for overlap in audit.overlaps:
        by_item[overlap.hit.task, overlap.hit.item].append(overlap)
    return {
        **audit_summary(audit),
        "forms": dict(audit.forms),
        "unreadable": audit.unreadable,
        "bins": bins(audit),
        "items": [
            {
                "task": task,
                "item": number,
                "rule": overlaps[0].hit.rule,
                "score": overlaps[0].hit.score,
                "ngram_share": audit.shares.get((task, number)),
                "rows": [_row(overlap, benchmark[task][number]) for overlap in overlaps],
            }
            for (task, number), overlaps in by_item.items()
        ],
    }


def _row(overlap: Overlap, item: Item) -> Json:
    row, hit = overlap
    return {
        "row": row.number,
        "where": row.where,
        "rule": hit.rule,
        "score": hit.score,
        "rules": dict(hit.rules),
        "has_answer": hit.has_answer,
        "shared_spans": [list(span) for span in shared_spans(row.row.text, item_text(item))],
    }
