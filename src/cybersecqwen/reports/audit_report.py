"""An audit as files and text: contamination.json, the page that shows each overlap, and a table.

    write_audit(audit, benchmark, Path("audit"), train="train.jsonl")
    print(audit_table(audit))

The page, `audit_report.html.jinja`, holds no script and loads nothing. All that rows and items say
is text on it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from string import ascii_uppercase

from cybersecqwen import __version__
from cybersecqwen.contamination import RULES
from cybersecqwen.contamination.audit import Audit, Overlap
from cybersecqwen.contamination.spans import shared_spans
from cybersecqwen.files import Json, write_json, write_text
from cybersecqwen.formats.rows import Problems
from cybersecqwen.records import Item
from cybersecqwen.reports.markdown import table
from cybersecqwen.reports.overlap_accuracy import BINS, bin_number
from cybersecqwen.templates import render

Benchmark = Mapping[str, tuple[Item, ...]]
Span = tuple[int, int]  # where it starts and ends, in characters

_SHOWN = 200  # overlaps of a task; all of them are in contamination.json
_NAMED = 12  # columns named in a line
_LONG = 4_000  # characters of a text that are shown
_AROUND = 300  # characters shown before and after what a long text shares


def audit_summary(audit: Audit) -> Json:
    """Return the verdict, what was read, and how many items and rows are hit by task and rule."""
    return {
        "clean": audit.clean,
        "verdict": audit.verdict,
        "train_rows": audit.train_rows,
        "unreadable_rows": len(audit.reading.unreadable),
        **{name: problems.lines() for name, problems in _listed(audit).items()},
        "columns": audit.reading.columns,
        "tasks": audit.counts,
    }


def _listed(audit: Audit) -> dict[str, Problems]:
    reading = audit.reading
    return {
        "unreadable": reading.unreadable,
        "passed_over": reading.passed_over,
        "notes": reading.notes,
    }


def audit_table(audit: Audit) -> str:
    """Render the counts for a terminal, the verdict, what was read and what was not."""
    rows = [
        (task, rule, f"{of_rule['items']:,} of {audit.items[task]:,}", f"{of_rule['rows']:,}")
        for task, of_task in audit.counts.items()
        for rule, of_rule in of_task.items()
        if of_rule["rows"]
    ]
    counts = table(("task", "rule", "items hit", "rows hit"), rows) + "\n\n" if rows else ""
    lists = "".join(
        "\n\n" + "\n  ".join((f"{name.replace('_', ' ')}:", *problems.lines()))
        for name, problems in _listed(audit).items()
        if problems
    )
    return f"{counts}{verdict(audit)}{_columns(audit)}{lists}"


def _columns(audit: Audit) -> str:
    names = list(audit.reading.columns)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"\nColumns read: {', '.join(names[:_NAMED])}{more}." if names else ""


def verdict(audit: Audit) -> str:
    """Write in a sentence whether the file is clean."""
    rows, items = _number(audit.train_rows, "row"), _number(sum(audit.items.values()), "item")
    checked = f"{rows} compared with {items} of {_number(len(audit.items), 'task')}"
    begins = "Not clean" if audit.overlaps else audit.verdict.capitalize()
    ours = len({overlap.row.number for overlap in audit.overlaps})
    hit = len({(overlap.hit.task, overlap.hit.item) for overlap in audit.overlaps})
    verb = "overlaps" if ours == 1 else "overlap"
    shared = f"{_number(ours, 'row')} {verb} with {_number(hit, 'item')}"
    overlap = shared if ours else "no overlap by any rule"
    unread = len(audit.reading.unreadable)
    return f"{begins}: {checked}, {overlap}{f'; not read: {unread:,}' if unread else ''}."


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def write_audit(audit: Audit, benchmark: Benchmark, out: Path, *, train: str) -> list[Path]:
    """Write contamination.json and contamination.html into a folder; return their paths."""
    paths = [out / "contamination.json", out / "contamination.html"]
    write_json(paths[0], _evidence(audit, benchmark))
    write_text(paths[1], audit_page(audit, benchmark, train=train))
    return paths


def _evidence(audit: Audit, benchmark: Benchmark) -> Json:
    """Return every overlap by item; texts are left out, since spans name places in them."""
    by_item: dict[tuple[str, int], list[Overlap]] = defaultdict(list)
    for overlap in audit.overlaps:
        by_item[overlap.hit.task, overlap.hit.item].append(overlap)
    return {
        **audit_summary(audit),
        "forms": dict(audit.forms),
        "bins": bins(audit),
        "items": [
            {
                "task": task,
                "item": number,
                "rule": overlaps[0].hit.rule,
                "score": overlaps[0].hit.score,
                "ngram_share": audit.shares.get((task, number)),
                "rows": [_overlap(overlap, benchmark[task][number]) for overlap in overlaps],
            }
            for (task, number), overlaps in by_item.items()
        ],
    }


def _overlap(overlap: Overlap, item: Item) -> Json:
    row, hit = overlap
    return {
        "row": row.number,
        "where": row.where,
        "column": row.column,
        "rule": hit.rule,
        "score": hit.score,
        "rules": dict(hit.rules),
        "has_answer": hit.has_answer,
        "shared_spans": [list(span) for span in shared_spans(row.row.text, item_text(item))],
    }


def bins(audit: Audit) -> dict[str, dict[str, int]]:
    """Count the items of each task by the share of their n-grams that the file holds."""
    counts = Counter((task, BINS[bin_number(share)]) for (task, _), share in audit.shares.items())
    return {task: {name: counts[task, name] for name in BINS} for task in audit.items}


def item_text(item: Item) -> str:
    """Show an item's text, with its options a line each."""
    options = (
        f"{letter}) {text}" for letter, text in zip(ascii_uppercase, item.options, strict=False)
    )
    return "\n".join((item.text, *options))


def audit_page(audit: Audit, benchmark: Benchmark, *, train: str) -> str:
    """Write the page about a training file named `train`."""
    by_task = {
        task: [overlap for overlap in audit.overlaps if overlap.hit.task == task]
        for task in benchmark
    }
    return render(
        "reports/audit_report.html.jinja",
        title=f"Overlap of {train} with the benchmark",
        version=__version__,
        audit=audit,
        verdict=verdict(audit),
        columns=audit.reading.columns,
        listed=_listed(audit),
        rules=[*RULES, "any"],
        bin_names=BINS,
        bins=bins(audit),
        tasks=[
            _task(task, overlaps, benchmark[task]) for task, overlaps in by_task.items() if overlaps
        ],
        shown=_SHOWN,
    )


def _task(task: str, overlaps: Sequence[Overlap], items: Sequence[Item]) -> Json:
    """Return the strongest overlaps of a task, by the strongest rule of each."""
    totals = Counter(overlap.hit.rule for overlap in overlaps)
    shown = {
        rule: [_pair(overlap, items[overlap.hit.item]) for overlap in group]
        for rule, group in groupby(overlaps[:_SHOWN], key=lambda overlap: overlap.hit.rule)
    }
    return {
        "name": task,
        "anchor": _anchor(task),
        "total": len(overlaps),
        "left_out": {rule: totals[rule] for rule in RULES if rule in totals and rule not in shown},
        "groups": [
            {"rule": rule, "anchor": _anchor(task, rule), "total": totals[rule], "pairs": pairs}
            for rule, pairs in shown.items()
        ],
    }


def _anchor(*names: str) -> str:
    return "-".join(("overlaps", *(re.sub(r"\W", "-", name) for name in names)))


def _pair(overlap: Overlap, item: Item) -> Json:
    """Set a row and an item side by side; only a web address becomes a link."""
    text, own = overlap.row.row.text, item_text(item)
    spans = shared_spans(text, own)
    return {
        "row": overlap.row,
        "hit": overlap.hit,
        "item": item,
        "links": re.match(r"https?://", item.url, re.IGNORECASE),
        "row_text": _marked(text, [(s.start, s.end) for s in spans]),
        "item_text": _marked(own, [(s.item_start, s.item_end) for s in spans]),
    }


def _marked(text: str, spans: Iterable[Span]) -> Json:
    """Cut a text into parts of a kind: "shared", "" for the rest, "cut" where a part is left out.

    A long text is cut around what is shared; `kept` of its `length` characters stay.
    """
    merged = _merged(spans)
    windows = _windows(len(text), merged)
    parts, place = [], 0
    for start, end in windows:
        if start > place:
            parts.append(("cut", ""))
        place = start
        for span in merged:
            first, last = max(span[0], place), min(span[1], end)
            if first < last:
                parts += [("", text[place:first]), ("shared", text[first:last])]
                place = last
        parts.append(("", text[place:end]))
        place = end
    if place < len(text):
        parts.append(("cut", ""))
    kept = sum(end - start for start, end in windows)
    return {"parts": parts, "kept": kept, "length": len(text)}


def _windows(length: int, spans: Sequence[Span]) -> list[Span]:
    """Choose the parts of a text to show: all of it, or those around its longest spans."""
    if length <= _LONG:
        return [(0, length)]
    chosen: list[Span] = []
    for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        left = max(0, start - _AROUND)
        wider = _merged([*chosen, (left, min(length, end + _AROUND, left + _LONG))])
        if sum(last - first for first, last in wider) > _LONG:
            break
        chosen = wider
    return chosen or [(0, _LONG)]


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Sort spans, and make one of those that overlap or touch."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
