"""Markdown tables that are also readable as plain text on a terminal.

>>> print(table(("task", "score"), [("cti-rcm", "0.67")], right=(1,)))
| task    | score |
| ------- | ----: |
| cti-rcm |  0.67 |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from cybersecqwen.templates import cell, render

_SEPARATOR = re.compile(r"(?<!\\)\|")
_TABLE = re.compile(r"^\|.*\n\| *-.*(?:\n\|.*)*", re.MULTILINE)  # a header, its rule, and the rows


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()
) -> str:
    """Render a Markdown table, columns padded; those numbered in `right` are right-aligned.

    A `|` in a cell is escaped and a line break becomes a space: both would end the cell.
    Raises ValueError when a row has not as many cells as the header.
    """
    return _joined([[cell(text) for text in row] for row in (header, *rows)], right)


def _joined(lines: Sequence[Sequence[str]], right: Collection[int]) -> str:
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * (w - 1) + ":" if i in right else "-" * w for i, w in enumerate(widths)]
    return "\n".join(_line(row, widths, right) for row in (lines[0], rule, *lines[1:]))


def _line(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    padded = (
        text.rjust(width) if i in right else text.ljust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return f"| {' | '.join(padded)} |"


def document(template: str, **values: Any) -> str:
    """Render a Markdown template with the columns of its tables padded, as `table` pads them.

    Empty lines that blocks leave behind count as one.
    """
    text = re.sub(r"\n{3,}", "\n\n", render(template, **values)).strip()
    return _TABLE.sub(lambda match: _padded(match[0]), text) + "\n"


def _padded(text: str) -> str:
    header, rule, *rows = (
        [cell.strip() for cell in _SEPARATOR.split(line)[1:-1]] for line in text.split("\n")
    )
    right = [number for number, dashes in enumerate(rule) if dashes.endswith(":")]
    return _joined([header, *rows], right)
