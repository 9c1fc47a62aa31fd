"""Words, their places and their numbers: whatever a text brings along, they agree."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cybersecqwen.embedded.tokenizer import (
    LONG,
    LONGEST,
    NUMBER,
    Vocabulary,
    plain,
    tokens,
    without_markup,
    words,
)

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


def every_span(text: str) -> list[tuple[int, int]]:
    read = tokens(text)
    return read.spans(range(len(read.words)))


@settings(max_examples=300, deadline=None)
@given(ANY)
def test_every_word_has_a_span_inside_the_text_in_order(text: str) -> None:
    places = every_span(text)
    assert len(places) == len(words(text))
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert places == sorted(places)


@settings(max_examples=300, deadline=None)
@given(ANY.map(lambda text: text.replace("&", " ")))
def test_what_stands_at_a_span_reads_as_the_word(text: str) -> None:
    for word, (start, end) in zip(words(text), every_span(text), strict=False):
        assert word in words(text[start:end])


@settings(max_examples=300, deadline=None)
@given(MIXED)
def test_markup_is_found_as_by_an_expression_with_two_alternatives(text: str) -> None:
    tags = r"</?(?:b|img|p)(?:\s[^<>]{0,500})?/?>|<!--.{0,2000}?-->"
    entities = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31}[0-9]{0,2});"
    text = text.replace("img", "b")
    expected = re.sub(
        f"({tags})|{entities}",
        lambda match: " " if match[1] else html.unescape(match[0])[:1],
        text,
        flags=re.DOTALL | re.IGNORECASE,
    )
    assert "".join(piece for _, piece in without_markup(text)) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="<&")))
def test_plain_text_reads_as_it_does_beside_other_characters(text: str) -> None:
    # A zero-width character sends the same text through the walk over its characters.
    assert words(text + "\u200b") == words(text)
    assert every_span(text + "\u200b") == every_span(text)


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
    assert [text[start:end] for start, end in every_span(text)] == ["Ａ", "SQ\u200bL", "flaw"]
    assert tokens(text).spans([0, 2]) == every_span(text)[::2]
    assert tokens(text).spans([]) == []


@pytest.mark.parametrize("ending", ["", "\u200b"])
def test_what_lies_beyond_the_longest_is_not_read(ending: str) -> None:
    text = ending + "a " * LONGEST + "secret"
    assert set(words(text)) == {"a"}
    assert len(words(text)) == LONGEST // 2
    assert every_span(text)[-1][1] <= LONGEST
    whole = "x" * (LONGEST - 7) + " secret"
    assert words(whole)[-1] == "secret"
    assert words("." + whole)[-1] == "secre"


@pytest.mark.parametrize(
    "unit", ["<!--", "<a ", "<", "&", "&#", "&lt", "</", "a", "1.", "é", "\u200b", "<b", "- "]
)
def test_a_megabyte_of_anything_is_read(unit: str) -> None:
    """An expression that goes back over what it has read would take hours."""
    text = unit * (1_000_000 // len(unit))
    assert len(words(text)) == len(every_span(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SQL injection in a < b", "SQL injection in a < b"),
        ("<p>An XSS\u200b flaw</p>", "An XSS flaw"),
        ("one\ntwo\x07\x1b[31m", "one\ntwo[31m"),
        ("&lt;script&gt; and &amp;", "<script> and &"),
        ("", ""),
    ],
)
def test_what_a_person_reads_is_left(text: str, expected: str) -> None:
    assert plain(text).strip() == expected


KNOWN = ("a", "b", "c", "d")
Gram = tuple[str, ...]


def vocabulary_of(bigrams: Sequence[Gram], trigrams: Sequence[Gram]) -> Vocabulary:
    """Make a vocabulary of n-grams given as words; a trigram needs its first two as a bigram."""
    size, number = len(KNOWN), {word: i for i, word in enumerate(KNOWN)}
    keys = sorted(number[a] * size + number[b] for a, b in set(bigrams))
    last = sorted(
        keys.index(number[a] * size + number[b]) * size + number[c]
        for a, b, c in set(trigrams)
        if (a, b) in bigrams
    )
    return Vocabulary(KNOWN, np.array(keys, np.int64), np.array(last, np.int64))


def numbers(bigrams: Sequence[Gram], trigrams: Sequence[Gram]) -> dict[Gram, int]:
    """Number words, bigrams, trigrams, each in alphabetical order."""
    kept = sorted(g for g in set(trigrams) if g[:2] in bigrams)
    grams = [*((word,) for word in KNOWN), *sorted(set(bigrams)), *kept]
    return {gram: number for number, gram in enumerate(grams)}


def naive(grams: dict[Gram, int], text: Sequence[str]) -> list[list[int]]:
    padded = [*text, ""]
    return [
        [grams.get(tuple(padded[i : i + n]), -1) for n in (1, 2, 3)] for i in range(len(padded))
    ]


WORD = st.sampled_from(KNOWN)
TEXTS = st.lists(st.lists(st.sampled_from((*KNOWN, "unknown")), max_size=12), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WORD, WORD)), st.lists(st.tuples(WORD, WORD, WORD)), TEXTS)
def test_the_grid_is_that_of_a_dictionary(
    bigrams: list[Gram], trigrams: list[Gram], texts: list[list[str]]
) -> None:
    grams = numbers(bigrams, trigrams)
    vocabulary = vocabulary_of(bigrams, trigrams)
    grid, row_text = vocabulary.grid(texts)
    assert len(vocabulary) == len(grams)
    assert grid.tolist() == [row for text in texts for row in naive(grams, text)]
    assert row_text.tolist() == [i for i, text in enumerate(texts) for _ in range(len(text) + 1)]


def test_no_ngram_reaches_into_the_next_text() -> None:
    vocabulary = vocabulary_of([("a", "b"), ("b", "c")], [("a", "b", "c")])
    together, _ = vocabulary.grid([["a", "b", "c"]])
    assert (together >= 0).sum() == 6
    for texts in ([["a"], ["b", "c"]], [["a", "b"], ["c"]], [["a"], [], ["b"], ["c"]]):
        grid, _ = vocabulary.grid(texts)
        within = sum(len(text) > 1 for text in texts)
        assert ((grid[:, 1] >= 0).sum(), (grid[:, 2] >= 0).sum()) == (within, 0)


def test_in_a_long_text_each_counts_once_and_at_its_first_place() -> None:
    vocabulary = vocabulary_of([("a", "b"), ("b", "a")], [("a", "b", "a")])
    short, long = ["a", "b"] * (LONG // 2 - 1), ["d", *["a", "b"] * LONG]
    grid, row_text = vocabulary.grid([short, long, short])
    for text in (0, 2):
        of_short = grid[row_text == text]
        assert (of_short[:, 0] >= 0).sum() == len(short)
        assert of_short.tolist() == vocabulary.grid([short])[0].tolist()
    of_long = grid[row_text == 1]
    assert of_long[:4].tolist() == [[3, -1, -1], [0, 4, 6], [1, 5, -1], [-1, -1, -1]]
    assert (of_long[3:] == -1).all()


def test_nothing_is_found_in_nothing() -> None:
    empty = Vocabulary((), np.array([], np.int64), np.array([], np.int64))
    assert empty.grid([])[0].shape == (0, 3)
    assert empty.grid([["a", "b", "c"], []])[0].tolist() == [[-1, -1, -1]] * 5
