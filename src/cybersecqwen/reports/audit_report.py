"""An audit as one page: what is hit by which rule, and the texts of each overlap side by side.

    write_text(Path("contamination.html"), render_audit_page(audit, benchmark, ...))

The page holds no script and asks for nothing else. All that rows and items say is text in it.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from cybersecqwen import __version__
from cybersecqwen.contamination import RULES
from cybersecqwen.contamination.audit import Audit, Overlap
from cybersecqwen.contamination.spans import shared_spans
from cybersecqwen.records import Item
from cybersecqwen.reports.html_page import fill, template
from cybersecqwen.reports.model_card_text import ITEM_LICENCE
from cybersecqwen.reports.overlap_accuracy import BINS, bin_number

Benchmark = Mapping[str, tuple[Item, ...]]
Span = tuple[int, int]  # where it starts and ends, in characters

_SHOWN = 200  # overlaps of a task, and unreadable rows; all of them are in contamination.json
_LONG = 4_000  # characters of a text that are shown
_AROUND = 300  # characters shown before and after what a long text shares


def bins(audit: Audit) -> dict[str, dict[str, int]]:
    """Count the items of each task by the share of their n-grams that the file holds."""
    counts = Counter((task, BINS[bin_number(share)]) for (task, _), share in audit.shares.items())
    return {task: {name: counts[task, name] for name in BINS} for task in audit.items}


def item_text(item: Item) -> str:
    """Show an item's text, with its options a line each."""
    options = (f"{letter}) {text}" for letter, text in zip("ABCD", item.options, strict=False))
    return "\n".join((item.text, *options))


def render_audit_page(audit: Audit, benchmark: Benchmark, *, train: str, verdict: str) -> str:
    """Write the page; `verdict` is the sentence above it."""
    tasks = [
        (task, [overlap for overlap in audit.overlaps if overlap.hit.task == task])
        for task in benchmark
    ]
    hit = [(task, overlaps) for task, overlaps in tasks if overlaps]
    values = {
        "title": html.escape(f"Overlap of {train} with the benchmark"),
        "kind": "clean" if audit.clean else "hit",
        "verdict": html.escape(verdict),
        "checked": html.escape(_checked(audit)),
        "licence": ITEM_LICENCE if hit else "",
        "links": "\n".join(_links(audit, hit)),
        "counts": _counts(audit),
        "bins": _bins(audit),
        "tasks": "\n".join(_task(*found, benchmark) for found in hit),
        "unreadable": _unreadable(audit.unreadable),
    }
    return fill(template("audit_report.html", __package__), values)


def _checked(audit: Audit) -> str:
    """Say what was held against what."""
    forms = ", ".join(f"{form} {count:,}" for form, count in sorted(audit.forms.items()))
    items = ", ".join(f"{task} {count:,}" for task, count in audit.items.items())
    rows = f"Rows by form: {forms or 'none'}."
    return f"{rows} Items by task: {items}. Made by CyberSecQwen {__version__}."


def _links(audit: Audit, hit: Sequence[tuple[str, list[Overlap]]]) -> Iterator[str]:
    yield '<li><a href="#rules">By task and rule</a></li>'
    yield '<li><a href="#bins">By share found</a></li>'
    for task, overlaps in hit:
        rules = " ".join(
            f'<a href="#{_anchor(task, rule)}">{html.escape(rule)}</a>'
            for rule, _ in groupby(overlaps[:_SHOWN], key=lambda overlap: overlap.hit.rule)
        )
        yield f'<li><a href="#{_anchor(task)}">{html.escape(task)}</a>: {rules}</li>'
    if audit.unreadable:
        yield '<li><a href="#unreadable">Unreadable rows</a></li>'


def _anchor(*names: str) -> str:
    return "-".join(("overlaps", *(re.sub(r"\W", "-", name) for name in names)))


def _counts(audit: Audit) -> str:
    rows = [
        (task, f"{audit.items[task]:,}", *(_count(counts[rule]) for rule in (*RULES, "any")))
        for task, counts in audit.counts.items()
    ]
    caption = "Items hit / rows that hit them"
    return _table(("task", "items", *RULES, "any"), rows, caption=caption)


def _count(of_rule: Mapping[str, int]) -> str:
    return f"{of_rule['items']:,} / {of_rule['rows']:,}" if of_rule["rows"] else "–"


def _bins(audit: Audit) -> str:
    rows = [(task, *(f"{n:,}" for n in of_task.values())) for task, of_task in bins(audit).items()]
    caption = "Items by the share of their n-grams found"
    return _table(("task", *BINS), rows, caption=caption)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> str:
    """Write a table in a box that scrolls, a row by its first cell; the others are numbers."""
    first, *others = (html.escape(cell) for cell in head)
    top = "".join(f'<th scope="col" class="n">{cell}</th>' for cell in others)
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(f'<td class="n">{html.escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    named = html.escape(caption)
    return (
        f'<div class="box" role="region" aria-label="{named}" tabindex="0">'
        f"<table><caption>{named}</caption>\n"
        f'<thead><tr><th scope="col">{first}</th>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _task(task: str, overlaps: Sequence[Overlap], benchmark: Benchmark) -> str:
    """Show the strongest overlaps of a task, by the strongest rule of each."""
    totals = Counter(overlap.hit.rule for overlap in overlaps)
    said = f"Overlaps: {len(overlaps):,}, each under the strongest rule that holds."
    shown = overlaps[:_SHOWN]
    if len(overlaps) > _SHOWN:
        said += f" The strongest {_SHOWN:,} are shown here; all are in contamination.json."
    left = totals.keys() - {overlap.hit.rule for overlap in shown}
    if left:
        names = ", ".join(f"{rule} {totals[rule]:,}" for rule in RULES if rule in left)
        said += f" None is shown of {names}."
    groups = "\n".join(
        _group(task, list(group), totals[rule], benchmark[task])
        for rule, group in groupby(shown, key=lambda overlap: overlap.hit.rule)
    )
    name = _anchor(task)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{html.escape(task)}</h2>\n<p class="quiet">{said}</p>\n'
        f"{groups}\n</section>"
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
    if not lines:
        return ""
    said = f"Rows: {len(lines):,}."
    if len(lines) > _SHOWN:
        said += f" The first {_SHOWN:,} are shown here; all are in contamination.json."
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines[:_SHOWN])
    return (
        '<section id="unreadable" aria-labelledby="unreadable-title">\n'
        '<h2 id="unreadable-title">Rows that could not be read</h2>\n'
        f'<p class="quiet">{said}</p>\n<ul>{listed}</ul>\n</section>'
    )
