"""Retired ids: that they are, and what stands in their place."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.questions import ask
from cybersecqwen.embedded import facts
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question_answering import NOT_COVERED


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("What became of CWE-247?", "CWE-247 is deprecated in CWE, and CWE-350"),
        ("is CWE-443 still around?", "CWE-113"),
        ("can I map to CWE-132?", "No: mapping a CVE to CWE-132"),
        ("what do I use instead of CWE-132?", "CWE-170 Improper Null Termination stands in"),
        ("likelihood of CAPEC-91", "CAPEC-91 is deprecated in CAPEC, and CAPEC-18 "),
        ("likelihood of CAPEC-91", "CAPEC-18 XSS Targeting Non-Script Elements is rated"),
        ("is CAPEC-91 fine to quote?", "CAPEC-18 XSS Targeting Non-Script Elements"),
        ("CAPEC-99?", "CAPEC-230 Serialized Data with Nested Payloads and CAPEC-231"),
        ("Is CWE-79 still valid?", "is in force in CWE"),
    ],
)
def test_what_is_retired_is_said_with_what_stands_in_its_place(question: str, says: str) -> None:
    answer = ask(question)
    assert says in answer.answer
    assert answer.covered


def test_a_retired_id_without_another_is_not_taken_for_one_that_is_none() -> None:
    answer = ask("how severe is CAPEC-430?")
    assert not answer.covered
    assert answer.answer.startswith(f"{NOT_COVERED}: CAPEC-430 is deprecated in CAPEC")
    assert "not in the knowledge base" in ask("how severe is CAPEC-9430?").answer


def test_a_group_is_not_said_to_be_in_force() -> None:
    assert "nothing here records" in ask("is APT29 still around?").answer


def test_what_stands_in_place_of_a_retired_id_is_in_force() -> None:
    index = KnowledgeIndex.load()
    for entry_id, instead in facts.replaced().items():
        assert index.position(entry_id) is None or "CWE" in entry_id
        for one in instead:
            position = index.position(one)  # CAPEC-118 is a category, of which the index has none
            assert one == "CAPEC-118" or (position is not None and facts.in_force(index, position))
