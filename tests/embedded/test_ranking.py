"""Questions for the most, the fewest, none, more of two, and what is alike."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question_answering import answer_question


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Which software do most groups use?", "S0002 Mimikatz is used by the most groups: 51."),
        (
            "which campaign employed the most techniques",
            "C0024 SolarWinds Compromise used the most",
        ),
        (
            "What is the least used technique for Exfiltration?",
            "techniques have the fewest groups, 0",
        ),
        ("the most popular techniques of Russian groups", "is used by the most groups: "),
        (
            "Which sub-technique of T1110 is used by the most groups?",
            "T1110.003 Password Spraying is",
        ),
        ("techniques without any mitigation", "ATT&CK records no mitigation for "),
        ("which techniques are used by only one campaign?", "records exactly one campaign for "),
        ("Does FIN7 or FIN8 use more software?", "G0046 FIN7 uses more pieces of software: 18, "),
        ("Which groups have techniques in common with Leviathan?", "Of G0065 Leviathan's "),
        ("what malware is similar to TrickBot", "Of S0266 TrickBot's "),
    ],
)
def test_entries_are_ranked_by_what_they_relate_to(
    index: KnowledgeIndex, question: str, says: str
) -> None:
    answer = answer_question(index, question)
    assert answer.covered
    assert says in answer.answer


@pytest.mark.parametrize(
    "question",
    [
        "which weakness is the most common?",
        "What technique does FIN6 use most often?",
        "the most dangerous ransomware gang?",
        "Who uses PsExec the most?",
    ],
)
def test_how_common_or_bad_something_is_nothing_records(
    index: KnowledgeIndex, question: str
) -> None:
    assert answer_question(index, question).answer.startswith("not covered: nothing here records ")


def test_a_superlative_in_a_description_ranks_nothing(index: KnowledgeIndex) -> None:
    answer = answer_question(
        index, "the app allocates most memory for a size the client sends, cwe?"
    )
    assert answer.answer.startswith("CWE-")
