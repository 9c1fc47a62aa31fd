"""Where weaknesses and attack patterns stand: above, below, in one view or another."""

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
        ("which patterns sit under CAPEC-112", "has the more specific patterns CAPEC-20 "),
        ("what does CAPEC-112 fall under", "CAPEC records no parent for CAPEC-112"),
        ("what does CAPEC-16 sit under?", "CAPEC-16 Dictionary-based Password Attack is a kind of"),
        (
            "Which weaknesses are directly below CWE-119?",
            "has the more specific weaknesses CWE-120",
        ),
        ("CWE-119's kids?", "has the more specific weaknesses CWE-120"),
        ("Which patterns are underneath CAPEC-112?", "has the more specific patterns CAPEC-20 "),
        ("kids of CWE-823", "CWE-823 Use of Out-of-range Pointer Offset"),
        ("Was steht direkt unter CWE-22?", "has the more specific weaknesses CWE-23 "),
        ("what is CWE-36 directly below?", "CWE-36 Absolute Path Traversal is a kind of CWE-22 "),
    ],
)
def test_the_direction_is_that_of_the_question(
    index: KnowledgeIndex, question: str, says: str
) -> None:
    assert says in answer_question(index, question).answer


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("ancestors of CWE-121", "which is a kind of CWE-664 Improper Control of a Resource"),
        ("take me up the tree from CWE-89", "CWE-707 Improper Neutralization, a pillar."),
        ("which pillar is CWE-352 under?", "CWE-345 Insufficient Verification of Data Auth"),
        ("ancestors of CWE-707", "is itself a pillar, with nothing above it."),
        ("ancestors of CAPEC-16", "CAPEC-49 Password Brute Forcing, which is a kind of CAPEC-112"),
        ("ancestors of CWE-121 in view 1003", "has no parent: it is no member of this view."),
        ("everything under CWE-22 at any depth", "CWE-24 Path Traversal"),
        ("descendants of CWE-22", "CWE-36 Absolute Path Traversal, CWE-24 Path Traversal"),
    ],
)
def test_the_way_up_and_all_below_are_told(index: KnowledgeIndex, question: str, says: str) -> None:
    assert says in answer_question(index, question).answer


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("children of CWE-22 in view 1003", "In view CWE-1003, CWE-22 Improper Limitation"),
        ("children of CWE-79 in view 1003", "has no more specific weakness."),
        ("parents of CWE-22 in CWE-1003", "is a kind of CWE-706 Use of Incorrectly-Resolved"),
        ("parents of CWE-22 in the research view vs 1003", "CWE-668 Exposure of Resource to Wrong"),
        ("parents of CWE-22 in the research view vs 1003", "In view CWE-1003, it is a kind of"),
        ("how many children has CWE-20 in the simplified view?", "There are 2 weaknesses."),
        ("parents of CWE-121 in view 1003", "has no parent: it is no member of this view"),
    ],
)
def test_a_view_restricts_the_tree(index: KnowledgeIndex, question: str, says: str) -> None:
    assert says in answer_question(index, question).answer


def test_parents_in_one_view_are_not_those_in_another(index: KnowledgeIndex) -> None:
    assert "CWE-668" not in answer_question(index, "parents of CWE-22 in view 1003").answer


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("Is CWE-122 in view 1003?", "No: CWE-122 Heap-based Buffer Overflow is not in view"),
        ("is CWE-22 part of the simplified view", "Yes: CWE-22"),
        ("is CWE-122 a member of CWE-1000?", "Yes: CWE-122 Heap-based Buffer Overflow is in"),
        ("is CWE-22 in view 699?", f"{NOT_COVERED}: nothing here records which entries are in"),
        ("which weaknesses are in category CWE-19?", f"{NOT_COVERED}: nothing here records wh"),
    ],
)
def test_a_member_of_a_view_is_told(index: KnowledgeIndex, question: str, begins: str) -> None:
    assert answer_question(index, question).answer.startswith(begins)


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("what is a variant in CWE?", "A variant is in CWE a weakness"),
        ("class vs base vs variant vs pillar", "A pillar is one of the ten"),
        ("what does Discouraged mean on a CWE page?", "Discouraged means in CWE"),
        ("difference between a chain and a composite", "A composite is in CWE a weakness"),
        ("meaning of Prohibited in the CWE mapping usage", "Prohibited means in CWE"),
        ("explain what a named chain is", "A chain is in CWE"),
    ],
)
def test_the_terms_of_cwe_are_explained(index: KnowledgeIndex, question: str, says: str) -> None:
    assert says in answer_question(index, question).answer
