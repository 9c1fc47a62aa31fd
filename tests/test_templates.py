"""Documents are rendered from templates that are named by their path in the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from cybersecqwen import templates
from cybersecqwen.templates import cell, disarm, render


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


def test_markup_is_escaped_in_html_and_disarmed_in_markdown(package: Path) -> None:
    for name in ("a.html.jinja", "a.md.jinja"):
        (package / name).write_text("<p>{{ text }}{% for x in texts %}{{ x }}{% endfor %}</p>")
    values = {"text": '<b "x">', "texts": ["[a](javascript:b)"]}
    assert render("a.html.jinja", **values) == "<p>&lt;b &#34;x&#34;&gt;[a](javascript:b)</p>"
    assert render("a.md.jinja", **values) == r'<p>&lt;b "x">[a]\(javascript:b)</p>'


def test_what_a_template_calls_safe_is_written_as_it_is(package: Path) -> None:
    (package / "a.md.jinja").write_text("{{ code | indent(first=true) | safe }}")
    assert render("a.md.jinja", code="<b>") == "    <b>"


def test_a_missing_value_is_an_error(package: Path) -> None:
    (package / "a.md.jinja").write_text("{{ absent }}")
    with pytest.raises(UndefinedError, match="absent"):
        render("a.md.jinja")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"),
        ("</td><!-- a comment", "&lt;/td>&lt;!-- a comment"),
        ("[model](javascript:alert(1))", r"[model]\(javascript:alert(1))"),
        ("[model]( <JavaScript&colon;alert(1)>)", r"[model]\( &lt;JavaScript&colon;alert(1)>)"),
        ("[model](data:text/html,x)", r"[model]\(data:text/html,x)"),
        # What a report says of itself stays as it is.
        ("[model](https://example.org/a)", "[model](https://example.org/a)"),
        ("![loss](plots/loss.svg), a < b, <5 and <|im_end|>",) * 2,
    ],
)
def test_a_value_has_no_effect_in_markdown(text: str, shown: str) -> None:
    assert disarm(text) == disarm(disarm(text)) == shown
    assert cell(text).replace("\\|", "|") == shown
