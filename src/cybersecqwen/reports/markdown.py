"""Markdown tables that are also readable as plain text on a terminal.

>>> print(table(("task", "score"), [("cti-rcm", "0.67")], right=(1,)))
| task    | score |
| ------- | ----: |
| cti-rcm |  0.67 |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()
) -> str:
    """Render a Markdown table, columns padded; those numbered in `right` are right-aligned.

    A `|` in a cell is escaped and a line break becomes a space: both would end the cell.
    Raises ValueError when a row has not as many cells as the header.
    """
    lines = [[_cell(text) for text in row] for row in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * (w - 1) + ":" if i in right else "-" * w for i, w in enumerate(widths)]
    return "\n".join(_line(row, widths, right) for row in (lines[0], rule, *lines[1:]))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _line(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> str:
    padded = (
        text.rjust(width) if i in right else text.ljust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return f"| {' | '.join(padded)} |"
