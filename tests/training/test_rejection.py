"""What a teacher says is kept for a reason, or not kept for one that is named."""

from __future__ import annotations

import pytest

from cybersecqwen.benchmark.tasks import benchmark_of
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex
from cybersecqwen.engines import empty_response
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Item, Request, Response, Sampling
from cybersecqwen.training.rejection import Trace, benchmark_hits, reason_against

GOOD = "The title field reaches the page unescaped, so a script of another user runs.\n\nCWE-79"


def reason(text: str, *, finish_reason: str = "stop", gold: str = "CWE-79") -> str:
    rejection = reason_against(Response(0, 0, text, finish_reason), gold=gold)
    return rejection.reason if rejection else ""


@pytest.mark.parametrize("text", [GOOD, f"\n {GOOD} \n", f"Not CWE-20, for it is text: {GOOD}"])
def test_an_argument_that_ends_in_the_bare_gold_is_kept(text: str) -> None:
    assert reason(text) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("lorem ipsum dolor", "no-label"),
        (GOOD.replace("79", "89"), "wrong-label"),
        (f"{GOOD}, or CWE-89", "wrong-label"),
        (f"{GOOD}.", "last-line"),
        (GOOD.replace("CWE-79", "**CWE-79**"), "last-line"),
        (GOOD.replace("CWE-79", "CWE-079"), "last-line"),
        (GOOD.replace("CWE-79", "Answer: CWE-79"), "last-line"),
        ("CWE-79", "no-argument"),
        (f"The correct label is CWE-79. {GOOD}", "meta-text"),
        (f"The ground truth says so. {GOOD}", "meta-text"),
        (f"As an AI language model I think: {GOOD}", "meta-text"),
        (f"The user asks for a weakness. {GOOD}", "meta-text"),
        (f"<think>Hm.</think>{GOOD}", "markup"),
        (f"Done.<|im_end|>\n{GOOD}", "markup"),
        (f"Done.<turn|>\n{GOOD}", "markup"),
    ],
)
def test_each_fault_is_named(text: str, expected: str) -> None:
    assert reason(text) == expected


def test_words_of_the_field_are_no_meta_text() -> None:
    said = "The correct weakness is found by the user input: the prompt shown to the user is raw."
    assert reason(f"{said}\n\nCWE-79") == ""


def test_what_was_cut_off_or_not_answered_is_not_kept() -> None:
    assert reason(GOOD, finish_reason="length") == "truncated"
    assert reason(GOOD, finish_reason="content_filter") == "truncated"
    assert reason(GOOD, finish_reason="") == ""
    request = Request(0, 0, "", Sampling(0, 1, 1, 0))
    rejection = reason_against(empty_response(request, "too long"), gold="CWE-79")
    assert rejection
    assert tuple(rejection) == ("no-answer", "too long")


ITEM = (
    "The legacy export wizard copies every attribute of the uploaded archive into a fixed buffer "
    "on the stack without looking at its length before the copy starts"
)
OWN = (
    "The import dialog takes the name of a project from the address bar and writes it into the "
    "page without any escaping so that a script in it runs for each later visitor"
)


def hits(trace: str, prompt: str = OWN) -> list[str]:
    item = Item("cti-rcm", 3, "", "CWE-787", url="https://x/CVE-2024-11111", text=ITEM)
    index = BenchmarkIndex(benchmark_of({"cti-rcm": (item,)}), Contamination())
    [found] = benchmark_hits(index, [Trace("CVE-2021-1", rcm_prompt(prompt), trace)], n=13)
    by = {True: "by id", False: "by text"}
    return [f"{hit.task}/{hit.item} {by[hit.rule == 'cve-id']}" for hit in found]


def test_a_benchmark_item_in_a_trace_is_found_and_its_own_prompt_is_not() -> None:
    assert hits(f"{OWN}. So no escaping.\n\nCWE-79") == []
    assert hits(f"{OWN}. It is like this one: {ITEM}.\n\nCWE-79") == ["cti-rcm/3 by text"]
    assert hits(f"{ITEM}.\n\nCWE-79") == ["cti-rcm/3 by text"]
    assert hits(f"{ITEM}.\n\nCWE-787", prompt=ITEM) == []  # its prompt's words, judged before


def test_a_benchmark_cve_that_a_trace_names_is_found() -> None:
    assert hits("It is as cve-2024-11111 was.\n\nCWE-79") == ["cti-rcm/3 by id"]
    assert hits(f"{OWN}, as CVE-2024-11111.\n\nCWE-79") == ["cti-rcm/3 by id"]
    assert hits("As CVE-2024-11111.\n\nCWE-79", prompt="It is as CVE-2024-11111 was.") == []
    assert hits("It is as CVE-2021-44228 was.\n\nCWE-79") == []
