"""Questions for the most, the fewest, none, more of two, and what is alike."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question_answering import NOT_COVERED, answer_question


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
        ("the most popular techniques of Russian groups", "Of the groups linked to Russia, T1"),
        ("Which technique has no mitigation on Windows?", "On Windows, ATT&CK records no mitigat"),
        ("Which group uses the most techniques for Impact?", "For Impact, "),
        ("which groups use no malware?", "ATT&CK records no piece of malware for "),
        ("which group uses no tools?", "ATT&CK records no tool for "),
        ("which groups use the most ransomware?", " uses the most pieces of ransomware: "),
        ("which ransomware is used by the most groups?", "Of the ransomware on record, "),
        ("which two groups use the most techniques?", "Next comes G0032 Lazarus Group (94)."),
        ("top 10 techniques by groups", " and T1547.001 Registry Run Keys / Startup Folder (55)."),
        ("which tactic has the least techniques?", "Only tactics of the Enterprise matrix count"),
        ("which ICS tactic has the most techniques?", "TA0107 Inhibit Response Function has "),
        ("which mobile technique is used by the most groups?", "T1660 Phishing is used by the"),
        (
            "which Russian groups share tools with APT28?",
            "or more, of the groups linked to Russia.",
        ),
        ("Does APT28 use more Linux malware than Turla?", "Yes: on Linux, G0007 APT28 uses more "),
        ("Does APT41 use fewer techniques than FIN7?", "No: G0046 FIN7 uses fewer techniques: 67"),
        ("Which uses the fewest techniques, FIN7 or APT41?", "G0046 FIN7 uses fewer techniques"),
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
        "which technique has most detections?",
        "which technique has the most aliases?",
    ],
)
def test_how_common_or_bad_something_is_nothing_records(
    index: KnowledgeIndex, question: str
) -> None:
    assert answer_question(index, question).answer.startswith("not covered: nothing here records ")


@pytest.mark.parametrize(
    "question",
    [
        "the group with the second most techniques?",
        "which mobile malware do most groups use?",
        "which groups not from Russia use the most techniques?",
    ],
)
def test_a_word_that_is_not_read_may_ask_for_another_ranking(
    index: KnowledgeIndex, question: str
) -> None:
    assert answer_question(index, question).answer == NOT_COVERED


def test_a_superlative_in_a_description_ranks_nothing(index: KnowledgeIndex) -> None:
    answer = answer_question(
        index, "the app allocates most memory for a size the client sends, cwe?"
    )
    assert answer.answer.startswith("CWE-")
