from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen import templates
from cybersecqwen.reports.markdown import document, table


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


def test_tables_of_a_template_are_padded_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "_PACKAGE", tmp_path)
    templates._environment.cache_clear()
    (tmp_path / "tasks.md.jinja").write_text(
        "# Tasks\n\n{% if rows %}\n\n| task | n |\n| --- | ---: |\n{% for task, n in rows %}\n"
        "| {{ task | cell }} | {{ n | number }} |\n{% endfor %}\n\n{% endif %}\n\nThe end: a | b.\n"
    )
    rows = [("a|b\nc", 1_000), ("x", 5)]
    expected = table(("task", "n"), [("a|b\nc", "1,000"), ("x", "5")], right=(1,))
    text = document("tasks.md.jinja", rows=rows)
    templates._environment.cache_clear()
    assert text == f"# Tasks\n\n{expected}\n\nThe end: a | b.\n"
