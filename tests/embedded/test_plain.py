"""Markup and what cannot be seen go; what the text says stays."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.tokenizer import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SQL injection in a < b", "SQL injection in a < b"),
        ("<p>An XSS\u200b flaw</p>", "An XSS flaw"),
        ("one\ntwo\x07\x1b[31m", "one\ntwo[31m"),
        ("&lt;script&gt; and &amp;", "<script> and &"),
        ("", ""),
    ],
)
def test_what_a_person_reads_is_left(text: str, shown: str) -> None:
    assert plain(text).strip() == shown
