"""The prompts are the benchmark's own, to the character."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cybersecqwen.benchmark.tasks import cti_mcq, cti_rcm, read_items
from cybersecqwen.prompts import (
    asks_for_weakness,
    description_in,
    mcq_prompt,
    question_in,
    rcm_prompt,
    vsp_prompt,
)
from cybersecqwen.records import Item

PREAMBLE = cti_mcq.TASK.shots["model-card"].preamble


def mcq_shot(text: str, options: Sequence[str], letter: str = "") -> str:
    return cti_mcq.shot(Item("cti-mcq", 0, "", letter, text=text, options=tuple(options)), letter)


def rcm_shot(text: str, cwe: str = "") -> str:
    return cti_rcm.shot(Item("cti-rcm", 0, "", cwe, text=text), cwe)


@pytest.mark.shared
def test_the_rcm_prompt_is_that_of_every_item(shared: Path) -> None:
    items = read_items(shared / "cti-bench", "cti-rcm")
    assert [rcm_prompt(item.text) for item in items] == [item.prompt for item in items]


@pytest.mark.shared
def test_the_vsp_prompt_is_that_of_every_item(shared: Path) -> None:
    items = read_items(shared / "cti-bench", "cti-vsp")
    assert [vsp_prompt(item.text) for item in items] == [item.prompt for item in items]


@pytest.mark.shared
def test_the_mcq_prompt_is_that_of_every_item_but_upstreams_slips(shared: Path) -> None:
    items = read_items(shared / "cti-bench", "cti-mcq")
    other = [item for item in items if mcq_prompt(item.text, item.options) != item.prompt]
    # An empty option became "nan" in upstream's prompts; four cells begin or end with a space.
    lost = [item for item in other if "" in item.options]
    spaced = [item for item in other if item not in lost]
    assert (len(items), len(lost), len(spaced)) == (2500, 5, 4)
    assert all(") nan " in item.prompt for item in lost)
    for item in spaced:
        written = mcq_prompt(item.text, item.options)
        assert written.split() == item.prompt.split()


def test_an_open_question_ends_where_the_answer_begins() -> None:
    options = ("one", "two", "three", "four")
    assert mcq_shot("Q?", options) == "Question: Q?\nA. one\nB. two\nC. three\nD. four\nAnswer:"
    assert mcq_shot("Q?", options, "B").endswith("\nAnswer: B")
    assert rcm_shot("text") == "CVE Description: text\nAnswer:"
    assert rcm_shot("text", "CWE-79") == "CVE Description: text\nAnswer: CWE-79"


def test_what_a_prompt_asks_is_read_back() -> None:
    options = ("one", "two", "", "A) four")
    faith = "Choose the best of the four candidate answers.\n\n"
    lines = "A. one\nB. two\nC. \nD. A) four"
    for prompt in (
        mcq_prompt("Q?", options),
        mcq_prompt("Q?", ("one", "two", "nan", "A) four")),
        mcq_shot("Q?", options),
        PREAMBLE + mcq_shot("Q?", options),
        f"{mcq_shot('Other?', 'wxyz', 'B')}\n\n{mcq_shot('Q?', options)}",
        f"{faith}Q?\n\n{lines}",
        f"Q?\n{lines}",
    ):
        assert question_in(prompt) == ("Q?", options)
        assert not asks_for_weakness(prompt)
    shots = f"{rcm_shot('other', 'CWE-79')}\n\n{rcm_shot('text')}"
    for prompt in (rcm_prompt("text"), shots):
        assert asks_for_weakness(prompt)
        assert description_in(prompt) == "text"
        assert question_in(prompt) is None
    assert description_in("no such prompt") is None


def test_a_description_without_instruction_or_exemplar_asks_for_nothing() -> None:
    assert not asks_for_weakness(rcm_shot("text about CWE-79"))
    assert not asks_for_weakness("Give the CVSS vector.  CVE Description: a text about CWE-79 ")


@pytest.mark.shared
@pytest.mark.parametrize("task", ["cti-rcm", "cti-rcm-2021", "cti-vsp"])
def test_every_description_is_read_from_its_prompt(shared: Path, task: str) -> None:
    items = read_items(shared / "cti-bench", task)
    assert [description_in(item.prompt) for item in items] == [item.text for item in items]
    assert {asks_for_weakness(item.prompt) for item in items} == {task != "cti-vsp"}


@pytest.mark.shared
def test_every_question_is_read_from_its_prompt_in_every_form(shared: Path) -> None:
    items = read_items(shared / "cti-bench", "cti-mcq")
    columns = [(item.text, item.options) for item in items]
    assert [question_in(item.prompt) for item in items] == columns
    shots = [mcq_shot(item.text, item.options) for item in items]
    assert [question_in(shot) for shot in shots] == columns
    before = mcq_shot("Other?", "wxyz", "B")
    few = [f"{PREAMBLE}{before}\n\n{shot}" for shot in shots]
    assert [question_in(prompt) for prompt in few] == columns
    assert not any(asks_for_weakness(item.prompt) for item in items)


@pytest.mark.shared
@pytest.mark.parametrize("task", ["cti-taa", "cti-ate"])
def test_a_prompt_of_another_task_asks_for_neither(shared: Path, task: str) -> None:
    for item in read_items(shared / "cti-bench", task):
        assert not asks_for_weakness(item.prompt)
        assert question_in(item.prompt) is None
