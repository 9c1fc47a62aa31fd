"""Each sentence of a model is held against the passages that it cites."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.grounding import check, cited, refusal, sentences
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.records import Quotation

INDEX = KnowledgeIndex.load()
TEXTS = (
    "T1059.001 PowerShell serves the tactic TA0002 Execution.",
    "CVE-2021-44228: Apache Log4j2 2.0-beta9 through 2.15.0 does not protect against lookups that "
    "an attacker controls. Published 2021-12-10, CVSS 3.1 score 10.0 (Critical), in KEV since "
    "2021-12-10, due 2021-12-24. 1,234 products are affected.",
    "S0154 Cobalt Strike (malware): a commercial tool for adversary simulation, used by FIN7.",
    "CWE-89 SQL Injection: data from outside becomes part of a query. What prevents it: "
    "prepared statements with bound parameters.",
)
PASSAGES = tuple(Quotation(n, "", "", "", text) for n, text in enumerate(TEXTS, start=1))


def why(sentence: str, question: str = "") -> str:
    return refusal(sentence, PASSAGES, question, INDEX)


@pytest.mark.parametrize(
    "sentence",
    [
        "PowerShell serves the tactic Execution [1].",
        "T1059.001 serves TA0002 [1]",
        "It serves Execution. [1]",
        "t1059/001 serves Execution [1].",
        "Log4j2 up to 2.15.0 is affected, published on December 10, 2021 [2].",
        "CVE-2021-44228 has a CVSS score of 10 and was published on 10 December 2021 [2].",
        "It was published in 2021, in KEV since December 2021 [2].",
        "1234 products are affected [2].",
        "It is 10 [2].",
        "Log4j2 does not protect against such lookups [2].",
        "FIN7 uses Cobalt Strike, a commercial tool [3].",
        "Use prepared statements and bound parameters against SQL injection (CWE-89) [4].",
        "Cobalt Strike (S0154) is used by FIN7 (G0046) [3].",  # the index has the name of G0046
        "PowerShell serves Execution [1], and Cobalt Strike is for adversary simulation [3].",
        "PowerShell serves Execution and Cobalt Strike simulates adversaries [1, 3].",
        "PowerShell serves Execution and Cobalt Strike is commercial [1-3].",
        "PowerShell serves the tactic Execution [Passage 1].",
    ],
)
def test_what_the_passages_bear_out_is_kept(sentence: str) -> None:
    assert why(sentence) == ""


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("PowerShell serves Execution.", "cites no passage"),
        ("PowerShell serves Execution (1).", "cites no passage"),
        ("PowerShell serves Execution [9].", "cites [9] of 4 passages"),
        ("PowerShell serves Execution [1][0].", "cites [0] of 4 passages"),
        ("PowerShell serves Execution [1, 7].", "cites [7] of 4 passages"),
        ("[1]", "says nothing"),
        ("** [1] **.", "says nothing"),
        ("PowerShell is T10599 [1].", "names T10599, which is no id"),
        ("CVE-2021-44229 is in Log4j2 [2].", "names CVE-2021-44229"),
        ("PowerShell serves T9999 [1].", "names T9999"),
        ("PowerShell serves TA0003 [1].", "names TA0003"),  # known, and not what the passage says
        ("PowerShell serves CWE-79 [1].", "names CWE-79"),
        ("CVE-2021-44228 has a score of 9.8 [2].", "says 9.8"),
        ("CVE-2021-44228 was published on 9 December 2021 [2].", "says 2021-12-09"),
        ("CVE-2021-44228 was published in November 2021 [2].", "says 2021-11"),
        ("Log4j2 2.15.1 is affected [2].", "says 2.15.1"),
        ("Log4j2 v2.16 is affected [2].", "says 2.16"),
        ("1,235 products are affected [2].", "says 1235"),
        ("FIN7 uses Cobalt Strike and Mimikatz [3].", "names mimikatz"),
        ("Cobalt Strike is used by Lazarus Group [3].", "names lazarus group"),
        ("FIN7 uses Cobalt Strike [1].", "names"),  # it stands in another passage
        ("All of your systems are safe and need no patch [2].", "is not what"),
        ("Do this [1].", "is not what"),
        ("PowerShell does not serve the tactic Execution [1].", "denies what"),
        ("FIN7 doesn't use Cobalt Strike [3].", "denies what"),
        ("Yes [1].", "is not what"),
        ("Bake the cake with cinnamon for an hour [4].", "is not what"),
    ],
)
def test_what_they_do_not_is_refused_with_the_reason(sentence: str, reason: str) -> None:
    assert why(sentence).startswith(reason)


KERBEROASTING = Quotation(
    1,
    "T1558.003",
    "Kerberoasting",
    "",
    "T1558.003 Kerberoasting: An attacker requests service tickets (TGS) for accounts with an SPN, "
    "often RC4 encrypted (event 4769), and cracks them offline to learn the account's password.",
)


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        (
            "Kerberoasting: attackers ask for service tickets and crack them offline [1].",
            True,
        ),
        ("TGS tickets with RC4 are requested and later cracked to recover passwords [1].", True),
        ("Watch for event 4769 with RC4 encrypted tickets [1].", True),
        ("Kerberoasting is a wireless attack that floods routers with packets [1].", False),
        ("It was invented by researchers at a conference in Las Vegas [1].", False),
        ("Kerberoasting is an on-path attack: Adversary-in-the-Middle [1].", False),
    ],
)
def test_other_words_for_the_same_are_kept_and_inventions_refused(
    sentence: str, kept: bool
) -> None:
    assert (refusal(sentence, [KERBEROASTING], "", INDEX) == "") is kept


def test_the_words_of_the_question_bear_nothing_out() -> None:
    question = "Is Log4j2 safe with version 2.99, and does FIN7 use Emotet?"
    assert why("Log4j2 is safe with version 2.99 [2].", question).startswith("says 2.99")
    assert why("FIN7 does use Emotet [3].", question).startswith("names emotet")


def test_a_text_is_cut_where_sentences_and_lines_end() -> None:
    text = (
        "It serves Execution [1]. Next one, e.g. Windows v1.2 of T1059.001. [2] [3]\n"
        "- A point [1]\n\n2. Another. The U.S. Navy is not cut [4]! So?"
    )
    assert sentences(text) == [
        "It serves Execution [1].",
        "Next one, e.g. Windows v1.2 of T1059.001. [2] [3]",
        "A point [1]",
        "Another.",
        "The U.S. Navy is not cut [4]!",
        "So?",
    ]


def test_citations_are_lists_and_ranges() -> None:
    assert cited("A [1], B [2,4], C [6-8] D [x] E [1] [9999-1]") == [1, 2, 4, 6, 7, 8, 9999]
    assert cited(f"A [{'9' * 5_000}]") == []


def test_a_sentence_that_is_written_twice_counts_once() -> None:
    text = "It serves Execution [1]. It serves Execution. [1] It is from 1999 [1]."
    kept, refused = check(text, PASSAGES, "", INDEX)
    assert kept == ["It serves Execution [1]."]
    assert [r.reason.split(",")[0] for r in refused] == ["repeats another", "says 1999"]


def test_a_long_text_without_an_end_is_read_in_a_moment() -> None:
    kept, refused = check("a [1" * 5_000 + "\n" + "x. " * 5_000, PASSAGES, "", INDEX)
    assert not kept
    assert refused
