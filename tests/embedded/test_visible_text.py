"""What a page hides is blanked in its place, and letters count as what they look like."""

from __future__ import annotations

import time

import pytest

from cybersecqwen.embedded.tokenizer import LONGEST
from cybersecqwen.embedded.visible_text import as_seen, in_one_script, shown


@pytest.mark.parametrize(
    "text",
    [
        '<p>Foo</p><div style="display: none">SQL</div>',
        '<p>Foo</p><span style="color:#fff;font-size:1px">SQL</span>',
        '<p>Foo</p><p style="visibility:hidden">SQL</p>',
        '<p>Foo</p><img src="x.png" alt="SQL">',
        '<p>Foo <a href="#" title="SQL" data-note=\'SQL\'>more</a></p>',
        '<input type="hidden" value="SQL"><p>Foo</p>',
        'Foo, see [more](https://example.org "SQL").',
        "Foo ![SQL](x.png)",
        "Foo\n\n[//]: # (SQL)\n",
        'Foo [1]\n\n[1]: https://example.org "SQL"\n',
    ],
)
def test_what_a_page_hides_is_blanked_and_places_stay(text: str) -> None:
    left = shown(text)
    assert "SQL" not in left and "Foo" in left
    assert len(left) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        'The title attribute of <img src=x onerror="alert(1)"> is not escaped.',
        '<span style="color: red; font-size: 12px">SQL</span>',
        'The array[0](see below) "SQL" and a[1]: b',
        "XSS via the <title> element",
        "",
    ],
)
def test_what_it_shows_stays(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<" + "a" * LONGEST,
        "<a hidden " * 2000,
        "<b hidden>" * 2000,
        '](x "' * 4000,
        "[a]: b (" * 2000,
    ],
)
def test_markup_without_end_is_looked_through_at_once(text: str) -> None:
    begin = time.process_time()
    assert shown(text) == text
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("СleanTalk and \u0455\u0455\u0455", "CleanTalk and sss"),
        ("Уязвимость позволяет", "Уязвимость позволяет"),
        ("the α-β filter", "the α-β filter"),
    ],
)
def test_letters_that_look_latin_are_in_a_text_that_mixes_scripts(text: str, read: str) -> None:
    assert in_one_script(text) == read


def test_a_text_as_it_looks_has_nothing_invisible() -> None:
    assert (
        as_seen("<b>Ａnsw\u0435r</b>\u200b&lt;C\u00adWE\U000e0041-79").strip() == "Answer <CWE-79"
    )
