from __future__ import annotations

import pytest

from cybersecqwen.reports.markdown import table


def test_columns_are_padded_and_aligned() -> None:
    assert table(("task", "n"), [("cti-rcm", "1,000"), ("x", "5")], right=(1,)) == (
        "| task    |     n |\n"
        "| ------- | ----: |\n"
        "| cti-rcm | 1,000 |\n"
        "| x       |     5 |"
    )  # fmt: skip


def test_cell_cannot_end_itself_or_its_row() -> None:
    body = table(("pattern",), [("(q|v)\nproj",)]).splitlines()
    assert body[2] == r"| (q\|v) proj |"


def test_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        table(("a", "b"), [("only one",)])
