"""Documents are rendered from templates that are named by their path in the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from cybersecqwen import templates
from cybersecqwen.templates import render


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(templates, "_PACKAGE", tmp_path)
    templates._environment.cache_clear()
    yield tmp_path
    templates._environment.cache_clear()


def test_a_line_with_a_block_alone_leaves_no_trace(package: Path) -> None:
    (package / "list.md.jinja").write_text(
        "# Rows\n\n{% for n in rows %}\n  - {{ n }}\n{% endfor %}\n"
    )
    assert render("list.md.jinja", rows=[1, 2]) == "# Rows\n\n  - 1\n  - 2\n"


def test_numbers_are_formatted_as_python_does(package: Path) -> None:
    (package / "n.md.jinja").write_text('{{ n | number }} {{ share | number(".1%") }}')
    assert render("n.md.jinja", n=14776, share=0.5) == "14,776 50.0%"


def test_markup_is_escaped_in_html_alone(package: Path) -> None:
    for name in ("a.html.jinja", "a.md.jinja"):
        (package / name).write_text("{{ text }}")
    assert render("a.html.jinja", text="<b>") == "&lt;b&gt;"
    assert render("a.md.jinja", text="<b>") == "<b>"


def test_a_missing_value_is_an_error(package: Path) -> None:
    (package / "a.md.jinja").write_text("{{ absent }}")
    with pytest.raises(UndefinedError, match="absent"):
        render("a.md.jinja")
