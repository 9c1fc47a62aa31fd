"""An audit as files and text: contamination.json, the page that shows each overlap, and a table.

    write_audit(audit, benchmark, Path("audit"), train="train.jsonl")
    print(audit_table(audit))

The page holds no script and loads nothing. All that rows and items say is text on it.
"""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from string import ascii_uppercase

from cybersecqwen import __version__
from cybersecqwen.contamination import RULES
from cybersecqwen.contamination.audit import Audit, Overlap
from cybersecqwen.contamination.spans import shared_spans
from cybersecqwen.files import Json, write_json, write_text
from cybersecqwen.records import Item
from cybersecqwen.reports.html_page import (
    ITEM_LICENCE,
    Page,
    Section,
    asset,
    html_list,
    html_table,
    link,
)
from cybersecqwen.reports.markdown import table
from cybersecqwen.reports.overlap_accuracy import BINS, bin_number

Benchmark = Mapping[str, tuple[Item, ...]]
Span = tuple[int, int]  # where it starts and ends, in characters

_SHOWN = 200  # overlaps of a task, and unreadable rows; all of them are in contamination.json
_LONG = 4_000  # characters of a text that are shown
_AROUND = 300  # characters shown before and after what a long text shares
_RULES_NOTE = (
    "The strongest rule stands first. A rule counts wherever it holds, also where a stronger one "
    "does."
)
_BINS_NOTE = (
    "The share is of an item's n-grams that stand anywhere in the file. Accuracy rises with it for "
    "models that never saw the file too: <code>cybersecqwen overlap</code> sets a run beside a "
    "control."
)


def audit_summary(audit: Audit) -> Json:
    """Return the verdict, and how many items and rows are hit by task and rule."""
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
    counts = table(("task", "rule", "items hit", "rows hit"), rows) + "\n\n" if rows else ""
    return counts + verdict(audit)


def verdict(audit: Audit) -> str:
    """Write in a sentence whether the file is clean."""
    items = sum(audit.items.values())
    checked = f"{audit.train_rows:,} rows held against {items:,} items of {len(audit.items)} tasks"
    if audit.clean:
        return f"Clean: {checked}, no overlap by any rule."
    rows = len({overlap.row.number for overlap in audit.overlaps})
    hit = len({(overlap.hit.task, overlap.hit.item) for overlap in audit.overlaps})
    unread = f"; {len(audit.unreadable):,} could not be read" if audit.unreadable else ""
    return f"Not clean: {checked}, {rows:,} rows overlap with {hit:,} items{unread}."


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
        "unreadable": audit.unreadable,
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
        task: overlaps
        for task in benchmark
        if (overlaps := [overlap for overlap in audit.overlaps if overlap.hit.task == task])
    }
    licence = ITEM_LICENCE if by_task else ""
    return Page(
        f"Overlap of {train} with the benchmark",
        about=f'<p class="verdict {"clean" if audit.clean else "hit"}">'
        f"{html.escape(verdict(audit))}</p>\n"
        f'<p class="quiet">{html.escape(_checked(audit))} {licence}</p>',
        sections=list(_sections(audit, benchmark, by_task)),
        style=asset("audit_report.css"),
    ).render()


def _sections(
    audit: Audit, benchmark: Benchmark, by_task: Mapping[str, Sequence[Overlap]]
) -> Iterator[Section]:
    first, second = "By task and rule", "Items by how much of them the file holds"
    yield Section("rules", first, f'<p class="quiet">{_RULES_NOTE}</p>\n{_counts(audit)}')
    yield Section(
        *("bins", second, f'<p class="quiet">{_BINS_NOTE}</p>\n{_bins(audit)}'),
        link("bins", "By share found"),
    )
    for task, overlaps in by_task.items():
        yield _task(task, overlaps, benchmark[task])
    if audit.unreadable:
        yield Section(
            *("unreadable", "Rows that could not be read", _unreadable(audit.unreadable)),
            link("unreadable", "Unreadable rows"),
        )


def _checked(audit: Audit) -> str:
    """List what was compared with what."""
    forms = ", ".join(f"{form} {count:,}" for form, count in sorted(audit.forms.items()))
    items = ", ".join(f"{task} {count:,}" for task, count in audit.items.items())
    rows = f"Rows by form: {forms or 'none'}."
    return f"{rows} Items by task: {items}. Made by CyberSecQwen {__version__}."


def _anchor(*names: str) -> str:
    return "-".join(("overlaps", *(re.sub(r"\W", "-", name) for name in names)))


def _counts(audit: Audit) -> str:
    rows = [
        (task, f"{audit.items[task]:,}", *(_count(counts[rule]) for rule in (*RULES, "any")))
        for task, counts in audit.counts.items()
    ]
    caption = "Items hit / rows that hit them"
    return _number_table(("task", "items", *RULES, "any"), rows, caption=caption)


def _count(of_rule: Mapping[str, int]) -> str:
    return f"{of_rule['items']:,} / {of_rule['rows']:,}" if of_rule["rows"] else "–"


def _bins(audit: Audit) -> str:
    rows = [(task, *(f"{n:,}" for n in of_task.values())) for task, of_task in bins(audit).items()]
    caption = "Items by the share of their n-grams found"
    return _number_table(("task", *BINS), rows, caption=caption)


def _number_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> str:
    """Write a table of numbers, a row named by its first cell."""
    numbers = range(1, len(header))
    kinds = (("", list(row)) for row in rows)
    return html_table(header, kinds, caption=caption, numbers=numbers, row_heads=True)


def _task(task: str, overlaps: Sequence[Overlap], items: Sequence[Item]) -> Section:
    """Show the strongest overlaps of a task, by the strongest rule of each."""
    totals = Counter(overlap.hit.rule for overlap in overlaps)
    said = f"Overlaps: {len(overlaps):,}, each under the strongest rule that holds."
    shown = {
        rule: list(group)
        for rule, group in groupby(overlaps[:_SHOWN], key=lambda overlap: overlap.hit.rule)
    }
    if len(overlaps) > _SHOWN:
        said += f" The strongest {_SHOWN:,} are shown here; all are in contamination.json."
    if left := [rule for rule in RULES if rule in totals and rule not in shown]:
        said += f" None is shown of {', '.join(f'{rule} {totals[rule]:,}' for rule in left)}."
    groups = "\n".join(_group(task, group, totals[rule], items) for rule, group in shown.items())
    links = " ".join(link(_anchor(task, rule), rule) for rule in shown)
    return Section(
        *(_anchor(task), task, f'<p class="quiet">{said}</p>\n{groups}'),
        f"{link(_anchor(task), task)}: {links}",
    )


def _group(task: str, overlaps: Sequence[Overlap], total: int, items: Sequence[Item]) -> str:
    rule, shown = overlaps[0].hit.rule, len(overlaps)
    count = f"{total:,}" if shown == total else f"{shown:,} of {total:,} shown"
    pairs = "\n".join(
        _pair(overlap, items[overlap.hit.item], first=not number)
        for number, overlap in enumerate(overlaps)
    )
    heading = f"{html.escape(rule)} <span>({count})</span>"
    return f'<h3 id="{_anchor(task, rule)}">{heading}</h3>\n{pairs}'


def _pair(overlap: Overlap, item: Item, *, first: bool) -> str:
    """Set a row and an item side by side, the first pair of a group open."""
    row, hit = overlap
    text, own = row.row.text, item_text(item)
    spans = shared_spans(text, own)
    scores = ", ".join(f"{rule} {score:g}" for rule, score in hit.rules)
    answer = "; the answer is given too" if hit.has_answer else ""
    place = html.escape(f"{hit.task}/{hit.item}")
    return f"""<details{" open" if first else ""}>
<summary>Row {row.number:,} and {place}: {html.escape(scores)}{answer}</summary>
<div class="pair">
<div><h4>Training row</h4><p class="quiet">{html.escape(f"{row.where} ({row.form})")}</p>
{_marked(text, [(s.start, s.end) for s in spans])}</div>
<div><h4>Benchmark item</h4><p class="quiet">{place}, gold {html.escape(item.gold)}{_link(item)}</p>
{_marked(own, [(s.item_start, s.item_end) for s in spans])}</div>
</div></details>"""


def _link(item: Item) -> str:
    """Link the item's source if it is a web address; any other scheme stays text."""
    url = html.escape(item.url)
    if re.match(r"https?://", item.url, re.IGNORECASE):
        return f', <a rel="noopener noreferrer" href="{url}">{url}</a>'
    return f", {url}" if url else ""


def _marked(text: str, spans: Iterable[Span]) -> str:
    """Escape a text and mark the spans; a long text is cut around them, and the cut is said."""
    merged = _merged(spans)
    windows = _windows(len(text), merged)
    gap, pieces, place = '<span class="cut">…</span>', [], 0
    for start, end in windows:
        pieces.append(gap if start > place else "")
        pieces.append(_marked_part(text, merged, (start, end)))
        place = end
    pieces.append(gap if place < len(text) else "")
    shown = f'<div class="text">{"".join(pieces)}</div>'
    if windows == [(0, len(text))]:
        return shown
    kept = sum(end - start for start, end in windows)
    cut = f"Cut to {kept:,} of {len(text):,} characters, around what is shared."
    return f'{shown}<p class="quiet">{cut}</p>'


def _marked_part(text: str, spans: Iterable[Span], window: Span) -> str:
    pieces, (place, end) = [], window
    for span in spans:
        first, last = max(span[0], place), min(span[1], end)
        if first < last:
            pieces.append(html.escape(text[place:first]))
            pieces.append(f"<mark>{html.escape(text[first:last])}</mark>")
            place = last
    return "".join((*pieces, html.escape(text[place:end])))


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


def _unreadable(lines: Sequence[str]) -> str:
    said = f"Rows: {len(lines):,}."
    if len(lines) > _SHOWN:
        said += f" The first {_SHOWN:,} are shown here; all are in contamination.json."
    return f'<p class="quiet">{said}</p>\n{html_list(lines[:_SHOWN])}'
