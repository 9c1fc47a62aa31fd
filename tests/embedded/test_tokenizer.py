"""Words and their places: whatever a text brings along, the two agree and nothing raises."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cybersecqwen.embedded.tokenizer import LONGEST, NUMBER, spans, words

# What upsets a reader of text: markup and bits of it, what cannot be seen, lone surrogates,
# NUL, right to left, full width, letters whose lower case is two.
ODD = [
    *("<b>", "</b", "<", ">", "&", "&lt;", "&nbsp;", "&#115;", "&#xD800;", "<!--", "-->", "<img "),
    *("\u200b", "\u00ad", "\ufeff", "\x00", "\x1b", "\ud800", "\udfff", "\u202e", "ÌÌ", "ẞ"),
    *(
        "ＸＳＳ",
        "ﬁ",
        "½",
        "②",
        "ﷺ",
        "שלום",
        "漏洞",
        "İ",
        "ß",
        "1.2",
        "v8.5.9",
        "e\u0301",
        "\n",
        "\t",
    ),
    *("SQL", "log4j", "_", "-", " ", " ", " ", "a"),
]
MIXED = st.lists(st.sampled_from(ODD) | st.text(max_size=3), max_size=30).map("".join)
ANY = MIXED | st.text(st.characters(codec=None), max_size=60)


@settings(max_examples=300, deadline=None)
@given(ANY)
def test_every_word_has_a_span_inside_the_text_in_order(text: str) -> None:
    found = spans(text, len(text) + 20)
    assert len(found) == len(words(text))
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert found == sorted(found)


@settings(max_examples=300, deadline=None)
@given(ANY.map(lambda text: text.replace("&", " ")))
def test_what_stands_at_a_span_reads_as_the_word(text: str) -> None:
    for word, (start, end) in zip(words(text), spans(text, len(text) + 20), strict=False):
        assert word in words(text[start:end])


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<&")))
def test_plain_text_reads_as_it_does_beside_other_characters(text: str) -> None:
    # A zero-width character sends the same text through the walk over its characters.
    assert words(text + "\u200b") == words(text)
    assert spans(text + "\u200b", len(text)) == spans(text, len(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\x00\u200b", []),
        ("<p>Stored <strong>XSS</strong><br/>in&nbsp;Foo</p>", ["stored", "xss", "in", "foo"]),
        ('<a href="https://x.org/a">log4j</a>', ["log4", "j"]),
        ("a<!-- hidden\nwords -->b", ["a", "b"]),
        # What a flaw is about stays.
        ("<script>alert(1)</script>", ["script", "alert", NUMBER, "script"]),
        ("an <img src=x> tag", ["an", "img", "src", "x", "tag"]),
        ("if a < b and b > c", ["if", "a", "b", "and", "b", "c"]),
        ("<a href=x", ["a", "href", "x"]),
        ("the &lt;iframe&gt; tag", ["the", "iframe", "tag"]),
        # Text that an entity spells is text, not a tag.
        ("&lt;b&gt;", ["b"]),
        ("X&#83;&#x53;", ["xss"]),
        ("&#0;&#xD800;&#9999999;", []),
        ("Ｓ ＸＳＳ ﬁle", ["s", "xss", "file"]),
        ("soft\u00adware zero\u200bwidth a\ud800b", ["software", "zerowidth", "ab"]),
        ("Ärger 漏洞 שלום", ["ä", "rger", "漏洞", "שלום"]),
        ("1.2.3rc1 8.5 0x41 2021", [NUMBER, NUMBER, NUMBER, "x41", NUMBER]),
        ("CVE-2021-44228 in sha256_sum", ["cve", NUMBER, NUMBER, "in", "sha256", "sum"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_spans_point_into_the_text_as_it_was_given() -> None:
    text = "<p>Ａ <b>SQ\u200bL</b>&nbsp;flaw"
    assert [text[start:end] for start, end in spans(text, 9)] == ["Ａ", "SQ\u200bL", "flaw"]
    assert spans(text, 2) == spans(text, 9)[:2]
    assert spans(text, 0) == []


@pytest.mark.parametrize("ending", ["", "\u200b"])
def test_what_lies_beyond_the_longest_is_not_read(ending: str) -> None:
    text = ending + "a " * LONGEST + "secret"
    assert set(words(text)) == {"a"}
    assert len(words(text)) == LONGEST // 2
    assert spans(text, LONGEST)[-1][1] <= LONGEST
    whole = "x" * (LONGEST - 7) + " secret"
    assert words(whole)[-1] == "secret"
    assert words("." + whole)[-1] == "secre"


@pytest.mark.parametrize(
    "unit", ["<!--", "<a ", "<", "&", "&#", "&lt", "</", "a", "1.", "é", "\u200b", "<b", "- "]
)
def test_a_megabyte_of_anything_is_read_in_a_moment(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    begin = time.perf_counter()
    assert len(words(text)) == len(spans(text, len(text)))
    assert time.perf_counter() - begin < 5
