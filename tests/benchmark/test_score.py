"""Scores by hand, and nothing unasked or unanswered is scored."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from cybersecqwen.benchmark.protocol import PROTOCOLS, find_protocol
from cybersecqwen.benchmark.score import TaskScores, score
from cybersecqwen.benchmark.summary import result, summarise
from cybersecqwen.benchmark.tasks import TASKS, open_task, read_items
from cybersecqwen.errors import InputError
from cybersecqwen.records import Item, Response

ONE = find_protocol("model-card", trials=1)
GOLDS = ["CWE-79", "CWE-89", "CWE-20"]
ITEMS = tuple(Item("cti-rcm", i, "", gold, text=gold) for i, gold in enumerate(GOLDS))


def responses(*texts: str, trial: int = 0) -> list[Response]:
    return [Response(i, trial, text) for i, text in enumerate(texts)]


def scored(*texts: str, protocol: str = "model-card") -> TaskScores:
    found = find_protocol(protocol, trials=1)
    return score(TASKS["cti-rcm"], found, ITEMS, {0: responses(*texts)})


def test_an_unparseable_answer_is_wrong_and_stays_in_the_denominator() -> None:
    found = scored("CWE-79", "CWE-79", "no idea")
    flat = result(found, summarise(found))
    assert (flat["n"], flat["correct"], flat["parseable"]) == (3, 1, 2)
    assert flat["strict_accuracy"] == pytest.approx(1 / 3)
    assert flat["parseable_rate"] == pytest.approx(2 / 3)
    assert found.predictions == (("CWE-79", "CWE-79", None),)


def test_the_authors_drop_what_cannot_be_read() -> None:
    found = scored("CWE-79", "CWE-79", "no idea", protocol="cti-bench")
    flat = result(found, summarise(found))
    assert flat["strict_accuracy"] == pytest.approx(1 / 2)
    assert flat["accuracy_of_all"] == pytest.approx(1 / 3)
    assert (flat["n"], flat["correct"], flat["parseable"]) == (3, 1, 2)
    nothing = scored("no", "no", "no", protocol="cti-bench")
    assert result(nothing, summarise(nothing))["strict_accuracy"] == 0


def test_faith_counts_an_improper_answer_in_lenient_accuracy_only() -> None:
    found = scored("CWE-79", "id: 89", "CWE-20 or CWE-79", protocol="faith")
    flat = result(found, summarise(found))
    assert (flat["correct"], flat["parseable"]) == (1, 1)
    assert flat["lenient_accuracy"] == pytest.approx(2 / 3)
    assert flat["improper_rate"] == pytest.approx(1 / 3)


def test_the_paper_counts_what_is_misformatted_and_says_how_much() -> None:
    items = tuple(Item("cti-mcq", i, "", "B", text=str(i)) for i in range(3))
    texts = responses("Answer: B", "The answer is B", "none")
    protocol = find_protocol("paper", trials=1)
    found = score(TASKS["cti-mcq"], protocol, items, {0: texts})
    flat = result(found, summarise(found))
    assert (flat["correct"], flat["parseable"]) == (2, 2)
    assert flat["improper_rate"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (responses("CWE-79", "CWE-89"), "1 items have no response, the first is 2"),
        ([*responses("a", "b", "c"), Response(1, 0, "b")], "two responses to item 1"),
        ([*responses("a", "b", "c"), Response(9, 0, "b")], "a response to item 9"),
        (responses("a", "b", "c", trial=3), "a response of trial 3"),
    ],
)
def test_missing_duplicate_and_unknown_answers_are_named(
    given: list[Response], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score(TASKS["cti-rcm"], ONE, ITEMS, {0: given})


def test_a_missing_trial_is_named() -> None:
    protocol = find_protocol("model-card", trials=2)
    with pytest.raises(InputError, match="trial 1 has no responses"):
        score(TASKS["cti-rcm"], protocol, ITEMS, {0: responses("a", "b", "c")})


def test_trials_are_put_together_with_the_protocols_spread() -> None:
    protocol = find_protocol("model-card", trials=3)
    answers = {
        trial: responses("CWE-79", "CWE-89", text, trial=trial)
        for trial, text in enumerate(["CWE-20", "", "CWE-20"])
    }
    summary = summarise(score(TASKS["cti-rcm"], protocol, ITEMS, answers))
    values = [1.0, 2 / 3, 1.0]
    assert summary["strict_accuracy"]["mean"] == pytest.approx(statistics.mean(values))
    assert summary["strict_accuracy"]["std"] == pytest.approx(statistics.stdev(values))
    low, high = summary["strict_accuracy"]["interval_95"]
    assert low <= 0.9 <= high <= 1
    assert [row["seed"] for row in summary["trials"]] == [42, 43, 44]
    assert (summary["items"], summary["modified"]) == (3, ["trials=3"])


def test_rows_that_a_protocol_leaves_out_are_no_error_and_do_not_count(six_tasks: Path) -> None:
    items, protocol = read_items(six_tasks, "cti-rcm"), find_protocol("faith", trials=1)
    texts = responses(*(item.gold for item in items[:-1]), "wrong")
    found = score(TASKS["cti-rcm"], protocol, items, {0: texts})
    flat = result(found, summarise(found))
    assert (flat["n"], flat["correct"]) == (7, 7)


def test_a_base_models_trials_may_ask_different_rows() -> None:
    items = tuple(Item("cti-rcm", i, "", "CWE-79", text=str(i)) for i in range(20))
    protocol = find_protocol("faith", trials=2)
    answers = {t: [Response(i, t, "CWE-79") for i in range(20)] for t in range(2)}
    found = score(TASKS["cti-rcm"], protocol, items, answers, kind="base")
    assert found.marks["asked"].sum(axis=0).tolist() == [15, 15]
    assert found.marks["correct"].sum() == 30
    assert [row.count(None) for row in found.golds] == [len(found.items) - 15] * 2


def test_permuted_options_are_scored_against_the_letter_that_then_holds() -> None:
    item = Item("cti-mcq", 0, "", "B", text="?", options=("a", "b", "c", "d"))
    protocol = find_protocol("model-card", permute=4)
    always_c = {t: [Response(0, t, "C")] for t in range(4)}
    found = score(TASKS["cti-mcq"], protocol, [item], always_c)
    assert found.marks["correct"].sum() == 1  # the right option stands at C once in four
    assert sorted(str(golds[0]) for golds in found.golds) == ["A", "B", "C", "D"]


def test_the_tasks_own_metrics_are_pooled(six_tasks: Path) -> None:
    def flat(task: str, *texts: str) -> dict[str, float]:
        items, opened = read_items(six_tasks, task), open_task(task, six_tasks)
        found = score(opened, ONE, items, {0: responses(*texts)})
        return result(found, summarise(found))

    local = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"
    vsp = flat("cti-vsp", local, local, "9.8", "AV:Z", *[""] * 4)
    assert vsp["mad"] == pytest.approx((9.8 - 5.5) / 2)  # over the two that hold a vector
    assert (vsp["correct"], vsp["parseable"]) == (1, 2)
    assert vsp["metric_agreement"] == pytest.approx((4 / 8 + 1) / 2)
    ate = flat("cti-ate", "T1059, T1100", "none")
    assert ate["micro_f1"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 1 + 1))  # an unread item misses
    taa = flat("cti-taa", "Fancy Bear", "Kimsuky", "Y")
    assert (taa["correct"], taa["plausible"]) == (1, 2)
    assert taa["plausible_rate"] == pytest.approx(2 / 3)


def test_what_nothing_was_measured_of_is_null(six_tasks: Path) -> None:
    items = read_items(six_tasks, "cti-vsp")
    found = score(TASKS["cti-vsp"], ONE, items, {0: responses(*["none"] * len(items))})
    summary = summarise(found)
    assert summary["metrics"]["mad"]["mean"] is None
    assert summary["metrics"]["mad"]["interval_95"] == [None, None]
    assert result(found, summary)["mad"] is None


def test_every_protocol_has_a_name_for_itself() -> None:
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())


@pytest.mark.parametrize("protocol", ["model-card", "paper", "faith", "cti-bench"])
def test_no_protocol_reads_reasoning_or_special_tokens(protocol: str) -> None:
    found = scored(
        "<think>CWE-20, or CWE-80?</think>\n\nCWE-79</s>",
        "CWE-20 or CWE-89?</think>CWE-89<|im_end|>",
        "<think>CWE-20",
        protocol=protocol,
    )
    assert found.predictions == (("CWE-79", "CWE-89", None),)


def test_a_part_of_what_a_limit_asks_is_a_part_of_the_whole_task() -> None:
    limited = find_protocol("model-card", trials=1, limit=2)
    found = score(TASKS["cti-rcm"], limited, ITEMS, {0: responses("CWE-79")}, partial=True)
    assert (len(found.items), found.of) == (1, len(ITEMS))
    assert found.protocol.modified == ("trials=1", "limit=2", "partial: 1 of 2 items")
