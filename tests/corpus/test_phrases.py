"""A completion argues from its own record and ends with the bare CWE id."""

from __future__ import annotations

from collections import Counter

from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe
from cybersecqwen.config import load_recipe
from cybersecqwen.corpus.cohort import Candidate, in_cohort, select
from cybersecqwen.corpus.phrases import Phrases, completion
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.records import Weakness
from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities

PHRASES = Phrases.learn(
    [("A cross-site scripting flaw in the guest book.", "CWE-79")] * 3
    + [("A SQL injection flaw in the guest book.", "CWE-89")] * 3,
    load_catalogue(),
)


def test_the_quote_is_what_tells_the_weakness_from_others_not_what_all_share() -> None:
    text = "The guest book of Foo has a Cross-Site Scripting flaw."
    assert PHRASES.quote(text, "CWE-79") == "Cross-Site Scripting flaw"
    assert PHRASES.quote("Nothing of the kind.", "CWE-79") == ""


def test_place_way_and_consequence_are_taken_from_the_text() -> None:
    text = (
        "A cross-site scripting flaw in the render() function of Foo 1.2 allows remote attackers "
        "to execute arbitrary script code via a crafted comment."
    )
    written = completion(text, load_catalogue()["CWE-79"], PHRASES)
    assert "render() function" in written
    assert "a crafted comment" in written
    assert "execute arbitrary script code" in written
    assert written.splitlines()[-1] == "CWE-79"


def test_a_discouraged_weakness_is_said_to_be_broad() -> None:
    broad = Weakness("CWE-20", "Improper Input Validation", "weakness", usage="Discouraged")
    assert "broad" in completion("Some text about a flaw in a parser.", broad, PHRASES)


def test_no_sentence_serves_many_records_of_the_sample() -> None:
    catalogue, corpus = load_catalogue(), load_recipe("smoke").corpus
    chosen = [
        outcome
        for v in read_vulnerabilities(FEED)
        if in_cohort(v, corpus) and isinstance(outcome := select(v, corpus, catalogue), Candidate)
    ]
    labelled = [(c.vulnerability.description, c.cwe) for c in chosen]
    phrases = Phrases.learn(labelled, catalogue)
    written = [completion(c.vulnerability.description, catalogue[c.cwe], phrases) for c in chosen]
    assert [last_cwe(text) for text in written] == [c.cwe for c in chosen]
    assert Counter(written).most_common(1)[0][1] <= 0.05 * len(written)
    for candidate, text in zip(chosen, written, strict=True):
        quote = text.split('"')[1]
        assert " ".join(quote.split()) in " ".join(candidate.vulnerability.description.split())
