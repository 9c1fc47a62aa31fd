"""A phrase is quoted for what tells its weakness from others."""

from __future__ import annotations

from cybersecqwen.corpus.phrases import Phrases
from cybersecqwen.cwe.catalogue import load_catalogue

PHRASES = Phrases.learn(
    [("A cross-site scripting flaw in the guest book.", "CWE-79")] * 3
    + [("A SQL injection flaw in the guest book.", "CWE-89")] * 3,
    load_catalogue(),
)


def test_the_quote_is_what_tells_the_weakness_from_others_not_what_all_share() -> None:
    text = "The guest book of Foo has a Cross-Site Scripting flaw."
    assert PHRASES.quote(text, "CWE-79") == "Cross-Site Scripting flaw"
    assert PHRASES.quote("Nothing of the kind.", "CWE-79") == ""
