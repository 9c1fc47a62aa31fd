"""A pair is rendered in the benchmark's own words, and is read back as it was made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cybersecqwen.benchmark.tasks.cti_mcq import last_line
from cybersecqwen.benchmark.tasks.cti_rcm import TASK as RCM
from cybersecqwen.benchmark.tasks.cti_vsp import last_vector
from cybersecqwen.benchmark.tasks.multiple_choice import cascade
from cybersecqwen.prompts import mcq_prompt, question_in, rcm_prompt, vsp_prompt
from cybersecqwen.synthesis.pair import LETTERS, Draft, arranged, draft_of

OPTIONS = ("get_user()", "main()", "parse()", "login()")
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@pytest.mark.parametrize("position", range(4))
def test_a_choice_is_cti_mcqs_prompt_and_ends_in_a_lone_letter(
    draft: Callable[..., Draft], position: int
) -> None:
    pair = arranged(draft(question="Which function?", options=OPTIONS), position)
    assert pair.options[position] == "get_user()"
    assert sorted(pair.options) == sorted(OPTIONS)
    assert pair.prompt == mcq_prompt("Which function?", pair.options)
    asked = question_in(pair.prompt)
    assert asked is not None
    assert asked.options == pair.options
    assert (
        cascade("ABCD")(pair.completion).answer == LETTERS[position] == last_line(pair.completion)
    )


def test_the_other_forms_are_cti_rcms_and_cti_vsps(draft: Callable[..., Draft]) -> None:
    cwe = arranged(draft(question="A flaw.", form="cwe", last="CWE-89"), 0)
    assert cwe.prompt == rcm_prompt("A flaw.")
    assert RCM.extractors[next(iter(RCM.extractors))].read(cwe.completion).answer == "CWE-89"
    vector = arranged(draft(question="A flaw.", form="vector", last=VECTOR), 0)
    assert vector.prompt == vsp_prompt("A flaw.")
    assert last_vector(vector.completion) == VECTOR.removeprefix("CVSS:3.1/")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"options": OPTIONS},
        {"form": "cwe", "last": "CWE-89"},
        {"answer": "Two paragraphs.\n\nThe second one."},
    ],
)
def test_a_row_is_read_back_as_the_draft_it_was(
    draft: Callable[..., Draft], changes: dict[str, object]
) -> None:
    made = draft(**changes)
    assert draft_of(arranged(made, 2 if made.options else 0).row()) == made
