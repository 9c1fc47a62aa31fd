"""What a protocol leaves unread is counted by form, beside what a lenient reader scores."""

from __future__ import annotations

from typing import Any

import pytest

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.score import TaskScores, score
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.benchmark.unread import read_leniently, unread_report
from cybersecqwen.records import Item, Response

OPTIONS = ("Allow listing", "Code Signing", "Data Backup", "User Training")
BARE = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
ITEMS = {
    "cti-mcq": Item("cti-mcq", 0, "", "B", options=OPTIONS),
    "cti-rcm": Item("cti-rcm", 0, "", "CWE-89"),
    "cti-vsp": Item("cti-vsp", 0, "", f"CVSS:3.1/{BARE}"),
    "cti-ate": Item("cti-ate", 0, "", "T1059, T1105"),
}
WRITTEN_OUT = """**Attack Vector (AV)**: Network (N)
**Attack Complexity (AC)**: Low (L)
- Privileges Required: None
- User Interaction: None
- Scope: Unchanged
- Confidentiality Impact: High
- Integrity (I): High (H)
- Availability: High"""


def scored(task: str, protocol: str, *texts: str, **fields: Any) -> TaskScores:
    gold = ITEMS[task].gold
    items = [Item(task, i, "", gold, text=str(i), options=OPTIONS) for i in range(len(texts))]
    responses = {0: [Response(i, 0, text, **fields) for i, text in enumerate(texts)]}
    return score(TASKS[task], find_protocol(protocol, trials=1), items, responses)


@pytest.mark.parametrize(
    ("task", "protocol", "text", "form"),
    [
        ("cti-mcq", "model-card", r"So $\boxed{\text{B}}$ it is.", "boxed"),
        ("cti-mcq", "model-card", "<answer>B</answer>\nThe rest is not.", "tagged"),
        ("cti-mcq", "cti-bench", '{"answer": "B", "why": "A signature"}', "JSON"),
        ("cti-mcq", "cti-bench", "**B) Code Signing** as it checks who made it.", "bold"),
        ("cti-mcq", "model-card", "I would go with B, which checks who made it.", "in words"),
        ("cti-mcq", "paper", "The second option.", "in words"),
        ("cti-mcq", "faith", "Code signing, for it checks who made it.", "in words"),
        ("cti-mcq", "faith", "answer = b", "stated"),
        ("cti-mcq", "model-card", "Ans: B", "stated"),
        ("cti-mcq", "model-card", "The correct option is B.", "stated"),
        (
            "cti-mcq",
            "cti-bench",
            "The best choice here is obvious: the correct letter is B.",
            "stated",
        ),
        ("cti-mcq", "paper", "\uff22", "on a line of its own"),
        ("cti-mcq", "cti-bench", "{'correct_option': ['B'], 'why': \"A's\"}", "JSON"),
        ("cti-mcq", "model-card", "<ans>B</ans>", "tagged"),
        ("cti-mcq", "model-card", r"It is \textbf{B}, as it checks who made it.", "bold"),
        ("cti-mcq", "model-card", r"The right choice: $\text{B}$.", "stated"),
        ("cti-mcq", "model-card", "Verdict - B, for it checks who made it.", "stated"),
        ("cti-mcq", "cti-bench", "答案：B。", "stated"),
        ("cti-rcm", "paper", "CWE$-$89", "on a line of its own"),
        ("cti-rcm", "faith", r"So CWE\text{-}89 it is", "in running text"),
        (
            "cti-rcm",
            "model-card",
            "It is Common Weakness Enumeration (CWE) No. 89.",
            "in running text",
        ),
        ("cti-rcm", "model-card", "<answer>89</answer>", "tagged"),
        ("cti-mcq", "model-card", "B: it checks who made it.", "in words"),
        ("cti-rcm", "model-card", "It maps to **CWE\u201189**.", "an id in another spelling"),
        ("cti-rcm", "paper", "cwe_89 it is", "an id in another spelling"),
        ("cti-rcm", "cti-bench", "Answer: 89", "stated"),
        ("cti-rcm", "model-card", "It is CWE number 89.", "in running text"),
        ("cti-rcm", "model-card", r"\boxed{89}", "boxed"),
        ("cti-rcm", "faith", "Answer: CWE-89, rather than CWE-79.", "stated"),
        ("cti-rcm", "model-card", "This is a SQL injection.", "in words"),
        ("cti-vsp", "model-card", WRITTEN_OUT, "in words"),
        ("cti-vsp", "cti-bench", f"Hence `cvss:3.1/{BARE.lower()}`", "in running text"),
        ("cti-ate", "faith", "Techniques:\nT1105, T1059", "in running text"),
        ("cti-ate", "faith", "1. T1105: a tool\n2. **T1059.001**", "a line for each"),
    ],
)
def test_a_clear_answer_in_another_form_is_named_and_read_leniently(
    task: str, protocol: str, text: str, form: str
) -> None:
    found = scored(task, protocol, text)
    assert found.predictions == ((None,),)
    report = unread_report(found)
    assert (report["count"], report["forms"]) == (1, {form: 1})
    assert report["lenient"]["strict_accuracy"] == 1
    assert form in report["warning"]


@pytest.mark.parametrize(
    ("text", "reason", "form"),
    [
        ("", "stop", "empty"),
        ("", "length", "cut off"),
        ("The flaw lies in the", "length", "cut off"),
        ("<think>CWE-89, or", "length", "cut off in its reasoning"),
        ("", "content_filter", "filtered"),
        ("", "tool_calls", "a tool call"),
        ("I'm sorry, but I can't help with that.", "stop", "refused"),
        ("", "refusal", "refused"),
        ("CWE-79 or CWE-89", "stop", "several ids"),
        ("It is hard to say.", "", "no answer"),
    ],
)
def test_what_nobody_can_read_is_named_by_its_reason(text: str, reason: str, form: str) -> None:
    report = unread_report(scored("cti-rcm", "faith", text, finish_reason=reason))
    assert report["forms"] == {form: 1}
    assert report["lenient"] == {"strict_accuracy": 0}


@pytest.mark.parametrize("text", ["A: no\nB: yes\nC: no", "Neither A nor B", "A) or B)?"])
def test_letters_that_are_gone_through_are_no_choice(text: str) -> None:
    assert unread_report(scored("cti-mcq", "paper", text))["forms"] == {"several ids": 1}


def test_reasoning_apart_without_a_text_is_cut_off_in_it() -> None:
    found = scored("cti-rcm", "faith", "", finish_reason="length", reasoning="CWE-89, or")
    assert unread_report(found)["forms"] == {"cut off in its reasoning": 1}


def test_a_few_unread_answers_are_counted_without_a_warning() -> None:
    report = unread_report(scored("cti-rcm", "faith", *["CWE-89"] * 97, *["no"] * 3))
    assert (report["count"], report["warning"]) == (3, "")
    assert unread_report(scored("cti-rcm", "faith", *["CWE-89"] * 94, *["no"] * 6))["warning"]
    # 2 of 100 are read by a lenient reader, which is more than a point
    assert unread_report(scored("cti-rcm", "model-card", *["CWE-89"] * 98, *["89"] * 2))["warning"]


def test_an_answer_that_says_to_be_the_answer_is_read_before_the_last_one() -> None:
    found = scored("cti-rcm", "model-card", "Answer: CWE-89. Compare CWE-79.", "CWE-79, CWE-89")
    assert found.predictions == (("CWE-79", "CWE-89"),)
    assert read_leniently(found).predictions == (("CWE-89", "CWE-89"),)
    assert "a lenient reader gives strict_accuracy 1.0000" in unread_report(found)["warning"]


def test_a_list_of_techniques_is_read_whole() -> None:
    found = scored("cti-ate", "model-card", "So:\n- Scripting (T1059)\n- Transfer (T1105)")
    assert found.predictions == (("T1105",),)
    assert read_leniently(found).predictions == (("T1059, T1105",),)
    found = scored("cti-ate", "model-card", "T1027 hides it.\nT1059, T1105")
    assert read_leniently(found).predictions == (("T1059, T1105",),)


@pytest.mark.parametrize("protocol", ["model-card", "paper", "faith", "cti-bench"])
@pytest.mark.parametrize("task", ITEMS)
def test_a_lenient_reader_reads_what_a_protocol_asks_for_alike(task: str, protocol: str) -> None:
    found = find_protocol(protocol)
    text = TASKS[task].answered(ITEMS[task].gold, found.prompt_of(TASKS[task]))
    report = unread_report(scored(task, protocol, text))
    assert (report["count"], report["warning"]) == (0, "")
    assert report["lenient"]["strict_accuracy"] == 1


@pytest.mark.parametrize("text", ["A " * 20_000, "*" * 20_000, "\n" * 20_000, "answer " * 5_000])
@pytest.mark.parametrize("task", ITEMS)
def test_no_text_holds_the_lenient_reader_up(task: str, text: str) -> None:
    assert unread_report(scored(task, "faith", text))["count"] == 1


@pytest.mark.parametrize(
    ("reason", "form"),
    [("tool_calls", "a tool call"), ("content_filter", "filtered"), ("refusal", "refused")],
)
def test_what_a_model_thought_before_is_not_why_it_gave_no_text(reason: str, form: str) -> None:
    found = scored("cti-rcm", "faith", "", finish_reason=reason, reasoning="Let me search.")
    assert list(unread_report(found)["forms"]) == [form]
