"""An audit as one page: what is hit by which rule, and the texts of each overlap side by side.

    write_text(Path("contamination.html"), render_audit_page(audit, benchmark, train="train.jsonl"))

The page holds no script and asks for nothing else. All that rows and items say is text in it.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import groupby

from cybersecqwen.corpus.audit import Audit, Overlap
from cybersecqwen.corpus.contamination import RULES
from cybersecqwen.corpus.contamination.spans import shared_spans
from cybersecqwen.records import Item
from cybersecqwen.reports.compare.page import LICENCE

Benchmark = Mapping[str, tuple[Item, ...]]

_SHOWN = 200  # overlaps of a task; all of them are in contamination.json
_AROUND = 300  # characters shown before and after what a long text shares
_LONG = 4_000  # characters
# Items by the share of their n-grams that the file holds; a limit is of its bin.
BINS = (
    ("none", 0.0),
    ("up to a quarter", 0.25),
    ("a quarter to a half", 0.5),
    ("more than half", 1.0),
)
TOO_SHORT = "too short to tell"


def bin_of(share: float | None) -> str:
    """Name the bin of an item by the share of its n-grams, None where it has none."""
    if share is None:
        return TOO_SHORT
    return next(name for name, limit in BINS if share <= limit)


def item_text(item: Item) -> str:
    """Show an item's text, with its options a line each."""
    options = (f"{letter}) {text}" for letter, text in zip("ABCD", item.options, strict=False))
    return "\n".join((item.text, *options))


def render_audit_page(audit: Audit, benchmark: Benchmark, *, train: str, verdict: str) -> str:
    """Write the page; `verdict` is the sentence above it."""
    template = files(__package__).joinpath("audit_page.html").read_text(encoding="utf-8")
    sections = list(_sections(audit, benchmark))
    links = [f'<li><a href="#{name}">{html.escape(title)}</a></li>' for name, title, _ in sections]
    values = {
        "title": html.escape(f"Overlap of {train} with the benchmark"),
        "verdict": html.escape(verdict),
        "licence": LICENCE,
        "links": "\n".join(links),
        "sections": "\n".join(
            f'<section id="{name}"><h2>{html.escape(title)}</h2>\n{body}</section>'
            for name, title, body in sections
        ),
    }
    # In one pass, so that braces in the texts are not filled in again.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)


def _sections(audit: Audit, benchmark: Benchmark) -> Iterator[tuple[str, str, str]]:
    """Yield each section's anchor, title and HTML."""
    yield "rules", "By task and rule", _counts(audit)
    yield "bins", "Items by how much of them the file holds", _bins(audit)
    for task in benchmark:
        overlaps = [overlap for overlap in audit.overlaps if overlap.hit.task == task]
        shown = overlaps[:_SHOWN]
        for rule, group in groupby(shown, key=lambda overlap: overlap.hit.rule):
            pairs = list(group)
            total = sum(overlap.hit.rule == rule for overlap in overlaps)
            note = f"Overlaps whose strongest rule this is: {total:,}"
            note += "." if total == len(pairs) else f"; shown here: {len(pairs):,}."
            body = "".join(
                _pair(overlap, benchmark[task][overlap.hit.item], first=not number)
                for number, overlap in enumerate(pairs)
            )
            yield f"{task}-{rule}", f"{task}: {rule}", f'<p class="quiet">{note}</p>{body}'
    if audit.unreadable:
        listed = "".join(f"<li>{html.escape(line)}</li>" for line in audit.unreadable[:_SHOWN])
        yield "unreadable", "Rows that could not be read", f"<ul>{listed}</ul>"


def _counts(audit: Audit) -> str:
    head = ("task", "items", *RULES, "any")
    rows = [
        (task, f"{audit.items[task]:,}", *(_count(counts[rule]) for rule in (*RULES, "any")))
        for task, counts in audit.counts.items()
    ]
    return '<p class="quiet">Items hit / rows that hit them.</p>' + _table(head, rows)


def _count(of_rule: Mapping[str, int]) -> str:
    return f"{of_rule['items']:,} / {of_rule['rows']:,}" if of_rule["rows"] else "–"


def _bins(audit: Audit) -> str:
    counts = Counter((task, bin_of(share)) for (task, _), share in audit.shares.items())
    names = (TOO_SHORT, *(name for name, _ in BINS))
    rows = [(task, *(f"{counts[task, name]:,}" for name in names)) for task in audit.items]
    note = (
        "The share of an item's n-grams that stand anywhere in the file. Accuracy rises with it "
        "for models that never saw the file too: cybersecqwen overlap sets a run beside a control."
    )
    return f'<p class="quiet">{note}</p>' + _table(("task", *names), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="box">{table}</div>\n'


def _pair(overlap: Overlap, item: Item, *, first: bool) -> str:
    row, hit = overlap
    text, own = row.row.text, item_text(item)
    spans = shared_spans(text, own)
    scores = ", ".join(f"{rule} {score:g}" for rule, score in hit.rules)
    answer = "; the answer is given too" if hit.has_answer else ""
    link = f' · <a rel="noopener noreferrer" href="{html.escape(item.url)}">source</a>'
    source = link if re.match(r"https?://", item.url) else ""
    return f"""<details{" open" if first else ""}>
<summary>row {row.number:,} and {hit.task}/{hit.item}: {html.escape(scores)}{answer}</summary>
<div class="pair">
<div><p class="quiet">{html.escape(row.where)} ({html.escape(row.form)})</p>
<div class="text">{_marked(text, [(s.start, s.end) for s in spans])}</div></div>
<div><p class="quiet">{hit.task}/{hit.item}, gold {html.escape(item.gold)}{source}</p>
<div class="text">{_marked(own, sorted((s.item_start, s.item_end) for s in spans))}</div></div>
</div></details>
"""


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Escape a text and mark the spans; a long text is cut around them."""
    start, end = 0, len(text)
    if end > _LONG:
        start = max(0, (spans[0][0] if spans else 0) - _AROUND)
        end = min(end, start + _LONG)
    pieces, place = ["[…] " if start else ""], start
    for span in spans:
        first, last = max(span[0], place), min(span[1], end)  # those of an item may overlap
        if first < last:
            pieces.append(html.escape(text[place:first]))
            pieces.append(f"<mark>{html.escape(text[first:last])}</mark>")
            place = last
    return "".join((*pieces, html.escape(text[place:end]), " […]" if end < len(text) else ""))
