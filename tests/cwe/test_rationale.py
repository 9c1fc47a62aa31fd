"""A rationale quotes its text and says what MITRE advises, whatever the text is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cybersecqwen.cwe import rationale as module
from cybersecqwen.cwe.rationale import rationale
from cybersecqwen.records import Weakness

XSS = Weakness("CWE-79", "Cross-site Scripting", "weakness", usage="Allowed")
BROAD = Weakness("CWE-119", "Memory Buffer", "weakness", usage="Discouraged")
WRITE = Weakness("CWE-787", "Out-of-bounds Write", "weakness", usage="Allowed")


@pytest.mark.parametrize(
    ("text", "quote", "quoted"),
    [
        ("Foo 1.2 has a stored scripting flaw in its guest book.", "scripting", "stored scripting"),
        ("In rescripting, a scripting flaw.", "scripting", "scripting flaw"),  # not in a word
        ("It allows that.", "allows", "allows"),  # a stop word alone stays
        ("A flaw (XSS) in Foo.", "XSS", "XSS"),  # within its clause
        ("One two three.", "", "One two three"),
        ("Other words.", "absent", "absent"),
    ],
)
def test_a_word_is_quoted_with_those_around_it(text: str, quote: str, quoted: str) -> None:
    assert f'"{quoted}' in rationale(text, XSS, quote)


def test_the_last_line_is_the_bare_id_also_where_a_better_one_is_named() -> None:
    written = rationale("A buffer overflow.", BROAD, "overflow", better=WRITE)
    assert "MITRE advises against this entry; Out-of-bounds Write, CWE-787, fits" in written
    assert written.splitlines()[-1] == "CWE-119"
    assert "The entry is broad" in rationale("A buffer overflow.", BROAD, "overflow")


@pytest.mark.parametrize(
    "text", ["", " ", ".", "(", "a" * 50_000, "via " * 5_000, "in of " * 5_000]
)
def test_no_text_breaks_it(text: str) -> None:
    assert rationale(text, XSS, "").endswith("\n\nCWE-79")


@pytest.mark.parametrize("first", ["check", "code"])
def test_cause_and_consequence_are_told_in_the_order_of_the_text(first: str) -> None:
    cause, consequence = "The cause is a missing check.", "Attackers could execute any code."
    text = f"{cause} {consequence}" if first == "check" else f"{consequence} {cause}"
    written = rationale(text, XSS, "missing check")
    told = written.find('"missing check"'), written.find('"could execute any code"')
    assert min(told) > -1
    assert told[0] < told[1] if first == "check" else told[1] < told[0]


# Where a flaw is, as one expression with two alternatives tells it.
WHERE = re.compile(
    r"\b(?:in|of) (?:the )?(?!the |an? )((?:`[^`]{2,60}`|[\w.:/$-]{2,60}(?:\(\))?) "
    r"(?:function|driver))\b|\bin ((?:[\w-]+/)*[\w-]+\.(?:c|php))\b"
)
PARTS = ("in ", "of ", "on ", "the ", "a ", "foo ", "x.c ", "a/b.php", "driver ", "function", "- ")
PIECES = st.lists(st.sampled_from(PARTS), max_size=9).map("".join)


@settings(max_examples=300, deadline=None)
@given(PIECES)
def test_the_place_is_the_first_that_the_text_names(text: str) -> None:
    match = WHERE.search(" ".join(text.split()))
    place = f" in {match[1] or match[2]}" if match else ""
    assert rationale(text, XSS, "zzzz").startswith(f'The description speaks of "zzzz"{place}. ')


# Where a clause ends and what introduces a consequence, as plain alternatives.
END = (
    r"""[.;:!?](?=\s|$)|(?<=[a-z])\.(?=[A-Z][a-z]+\s)|,|[()\[\]{}<>"“”`]|\s(?:via|when|while|if|"""
    r"""because|due to|by|which|that|as demonstrated|and then|with no)\s|\s-\s"""
)
IMPACT = (
    r"\b(?:allow(?:s|ed|ing)?|enabl(?:es|ed|ing)|could|can be|may|might|lead(?:s|ing)? to|"
    r"result(?:s|ed|ing)? in|caus(?:es|ed|ing)|lets) (?!be exploited (?!to))"
)
BITS = (
    *("a", "Foo ", ".", ", ", " - ", " via ", " by ", "due to ", "(", "”", "\n", "x.Bar is ", "d"),
    *("allows ", "dis", "can be ", "exploited ", "to ", "leads to ", "lets ", "caused ", "may "),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(BITS), max_size=10).map("".join))
def test_an_expression_that_begins_with_characters_finds_what_plain_alternatives_do(
    text: str,
) -> None:
    for fast, plain in ((module._END, END), (module._IMPACT, IMPACT)):
        starts = [match.start() for match in re.finditer(plain, text)]
        assert [match.start() for match in fast.finditer(text)][:1] == starts[:1]
    spans = [match.span() for match in re.finditer(IMPACT, text)]
    assert [match.span() for match in module._IMPACT.finditer(text)] == spans
