"""The output of `classify`: JSON lines, CSV for a spreadsheet, or text for a reader.

Each function is a generator of whole lines over the results, so that output streams.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from textwrap import indent, shorten

import click

from cybersecqwen.analyst.classification import Candidate, Classification
from cybersecqwen.analyst.classification_json import encode
from cybersecqwen.analyst.description import rating
from cybersecqwen.cli.group import coloured
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.mapping import ADVISED_AGAINST
from cybersecqwen.errors import clean, escape
from cybersecqwen.files import spreadsheet_cell
from cybersecqwen.records import Grounding

_COLUMNS = (
    *("id", "cwe", "name", "confidence", "usage", "abstraction", "better", "abstain", "reason"),
    *("alternatives", "evidence", "rationale", "labels", "difference", "feed_label", "chain"),
    *("missing", "grounding"),
)
_COMMON = re.compile(r"\('([^']+)'\)$")
# What the eye is to find first on a terminal: cautions, and the ids of weaknesses.
_EMPHASIS = re.compile(
    rf"(?P<caution>needs review.*|(?:{'|'.join(ADVISED_AGAINST)}): .*"
    r"|not covered|\(a guess:[^)]*\))|\bCWE-\d+\b"
)
_encode = json.JSONEncoder(ensure_ascii=False).encode
_ID, _NAME = 20, 46  # columns of the table


def json_line(row: object) -> str:
    """Write a line of JSON that does not steer a terminal."""
    return escape(_encode(row)) + "\n"


def json_lines(results: Iterable[Classification]) -> Iterator[str]:
    """Yield one JSON object a line."""
    for result in results:
        line = encode(result)
        # JSON has control characters escaped, all but the last of ASCII.
        safe = line.isascii() and "\x7f" not in line
        yield f"{line if safe else escape(line)}\n"


def csv_lines(results: Iterable[Classification]) -> Iterator[str]:
    """Yield a header and one row for each input; no cell begins as a formula does."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in chain([_COLUMNS], map(_cells, results)):
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cells(result: Classification) -> list[str]:
    best = result.candidates[0] if result.candidates else Candidate("", "", 0.0, "", "", "")
    cells = [
        str(result.id),
        best.cwe,
        best.name,
        f"{best.confidence:g}" if best.cwe else "",
        best.usage,
        best.abstraction,
        best.better,
        str(result.abstain).lower(),
        result.reason,
        "; ".join(f"{c.cwe} {c.confidence:g}" for c in result.candidates[1:]),
        "; ".join(span.text for span in result.evidence),
        result.rationale,
        _givers(result),
        result.difference,
        f"{feeds.cwe} {feeds.confidence:g}" if (feeds := result.feed_label) else "",
        " -> ".join(result.chain),
        "; ".join(result.missing),
        _grounded(result.grounding) if result.grounding else "",
    ]
    flat = (" ".join(cell.split()) if re.search(r"[\n\r\t]", cell) else cell for cell in cells)
    return [clean(spreadsheet_cell(cell)) for cell in flat]


def text_lines(results: Iterable[Classification], *, table: bool) -> Iterator[str]:
    """Yield a paragraph for each result, or a table with a line for each where there are many."""
    results = iter(results)
    begun = list(islice(results, 2))
    if table and len(begun) > 1:
        yield f"{'ID':{_ID}}  {'CWE':9} {'CONF':>5}  {'NAME':{_NAME}}  NOTE\n"
        yield from map(_line, chain(begun, results))
    else:
        blocks = map(_block, chain(begun, results))
        yield from islice(blocks, 1)
        yield from ("\n" + block for block in blocks)


def _line(result: Classification) -> str:
    best = result.candidates[0] if result.candidates else None
    note = result.rationale if result.abstain else _caution(best)
    if result.grounding and not result.grounding.kept:
        note = "; ".join(filter(None, (note, _grounded(result.grounding))))
    if best:
        shown = f"{best.cwe:9} {best.confidence:5.0%}  {_clipped(best.name):{_NAME}}"
    else:
        shown = f"{'-':9} {'-':>5}  {'-':{_NAME}}"
    return terminal_text(f"{result.id!s:{_ID}}  {shown}  {note}").rstrip() + "\n"


def _clipped(name: str) -> str:
    """Cut a name to its column; many long ones end in a common one, ('SQL Injection')."""
    short = _COMMON.search(name)
    name = short.group(1) if short else name
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _block(result: Classification) -> str:
    lines = [str(result.id), *map(_candidate, result.candidates)]
    lines += _remarks(result)
    if result.evidence:
        quoted = dict.fromkeys(f'"{span.text}"' for span in result.evidence)
        lines.append(f"  evidence: {', '.join(quoted)}")
    if result.labels:
        lines.append(f"  labels: {_givers(result)}")
    if result.difference:
        lines.append(f"  differs: {result.difference}")
    lines += grounding_lines(result.grounding)
    lines.append(indent(result.rationale, "  "))
    return terminal_text("\n".join(lines)) + "\n"


def _remarks(result: Classification) -> Iterator[str]:
    """Say what feeds would label, what leads to what, and what the description does not tell."""
    feeds = result.feed_label
    if feeds and feeds.cwe != result.candidates[0].cwe:
        caution = f" ({feeds.usage})" if feeds.usage in ADVISED_AGAINST else ""
        yield f"  feeds would say: {feeds.cwe} {feeds.name}{caution} at {feeds.confidence:.0%}"
    if result.chain:
        yield f"  chain: {' leads to '.join(result.chain)}"
    if result.missing:
        yield f"  description: {rating(result.missing)}, names no {' or '.join(result.missing)}"


def _givers(result: Classification) -> str:
    """List the labels of a record: "NVD CWE-502; CNA CWE-20 (Discouraged)"."""
    return "; ".join(
        f"{label.giver} {label.cwe}"
        + (f" ({label.usage})" if label.usage in ADVISED_AGAINST else "")
        for label in result.labels
    )


def _candidate(candidate: Candidate) -> str:
    kind = ", ".join(filter(None, (candidate.abstraction, candidate.usage)))
    caution = _caution(candidate)
    share = f"{candidate.confidence:.1%}" if candidate.confidence >= 0.001 else "<0.1%"
    return f"  {share:>5}  {candidate.cwe:9} {candidate.name} ({kind})" + (
        f"\n{'':19}{caution}" if caution else ""
    )


def _caution(candidate: Candidate | None) -> str:
    """Say what MITRE advises against, and what to map to instead."""
    if candidate is None or candidate.usage not in ADVISED_AGAINST:
        return ""
    if not candidate.better:
        return f"{candidate.usage}: no better entry is known"
    return f"{candidate.usage}: better {candidate.better} {load_catalogue()[candidate.better].name}"


def grounding_lines(
    grounding: Grounding | None, answer: str = "", *, of: str = "answers"
) -> Iterator[str]:
    """Yield what became of a language model's text, and the passages that an answer cites."""
    if grounding is None:
        return
    from cybersecqwen.analyst.grounding import cited

    behind = of == "sentences" and grounding.kept and not grounding.leads
    yield f"  {_grounded(grounding, of)}{', behind the embedded answer' if behind else ''}"
    first = {reason: text for text, reason in reversed(grounding.refused)}
    for reason, times in Counter(reason for _, reason in grounding.refused).items():
        often = f" ({times} times)" if times > 1 else ""
        yield f"    refused{often}, for it {reason}: {shorten(first[reason], 200)!r}"
    for passage in grounding.passages:
        if passage.number in cited(answer):
            name = " ".join(filter(None, (passage.id, passage.name, passage.url)))
            yield f"  [{passage.number}] {name}"


def _grounded(grounding: Grounding, of: str = "answers") -> str:
    if grounding.failure:
        return f"{grounding.model} gave no answer, this is the embedded one"
    if not grounding.kept:
        return f"nothing that {grounding.model} wrote was kept, this is the embedded answer"
    return f"{grounding.kept} of {grounding.written} {of} of {grounding.model} kept"


def terminal_text(text: str) -> str:
    """Replace what steers a terminal; on one that wants colour, show cautions and CWE ids in it."""
    text = clean(text)
    return _EMPHASIS.sub(_emphasised, text) if coloured() else text


def _emphasised(match: re.Match[str]) -> str:
    if match["caution"]:
        return click.style(match[0], fg="yellow")
    return click.style(match[0], bold=True)
