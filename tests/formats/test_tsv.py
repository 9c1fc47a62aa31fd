"""Tables of tab-separated values hold cells of any length."""

from __future__ import annotations

import pytest

from cybersecqwen.formats.tsv import table_rows


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("length", [131_073, 1_000_000])
def test_a_cell_may_have_any_length(quote: str, length: int) -> None:
    text = f"a\tb\n{quote}{'x' * length}{quote}\t1\n"
    assert list(table_rows(text)) == [(1, ["a", "b"]), (2, ["x" * length, "1"])]
