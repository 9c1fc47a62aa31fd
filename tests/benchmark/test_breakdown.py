"""Numbers worked out by hand, scikit-learn's F1, and the edges: nothing read, nothing right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cybersecqwen.benchmark.breakdown import (
    answers,
    by_class,
    confusion,
    permutation_report,
    positions,
    refuses,
)
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.errors import InputError
from cybersecqwen.records import Response

# Two trials of four items: gold a twice, b and c once.
GOLDS = ["a", "a", "b", "c"]
PREDICTIONS = [["a", "a"], ["a", "b"], ["b", None], ["d", "a"]]

answered = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.lists(st.sampled_from([*"abcd", None]), min_size=2, max_size=2)
    ),
    min_size=1,
    max_size=30,
)


def test_precision_recall_and_f1_of_each_class_of_gold() -> None:
    found = by_class(PREDICTIONS, GOLDS)
    assert (found["items"], found["trials"]) == (4, 2)
    assert found["classes"] == {
        "a": {"items": 2, "predicted": 4, "precision": 3 / 4, "recall": 3 / 4, "f1": 6 / 8},
        "b": {"items": 1, "predicted": 2, "precision": 1 / 2, "recall": 1 / 2, "f1": 2 / 4},
        "c": {"items": 1, "predicted": 0, "precision": None, "recall": 0, "f1": 0},
    }
    assert found["macro_f1"] == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert found["macro_f1_predicted_too"] == pytest.approx((3 / 4 + 1 / 2 + 0 + 0) / 4)


@settings(deadline=None, max_examples=50)
@given(answered)
def test_macro_f1_is_scikit_learns(rows: list[tuple[str, list[str | None]]]) -> None:
    f1_score = pytest.importorskip("sklearn.metrics").f1_score
    golds, predictions = [gold for gold, _ in rows], [trials for _, trials in rows]
    found = by_class(predictions, golds)
    truth = [gold for gold, trials in rows for _ in trials]
    read = ["none" if p is None else p for trials in predictions for p in trials]
    both = sorted({*truth, *read} - {"none"})
    for ours, labels in (("macro_f1", sorted({*golds})), ("macro_f1_predicted_too", both)):
        theirs = f1_score(truth, read, labels=labels, average="macro", zero_division=0)
        assert found[ours] == pytest.approx(theirs)
    if "none" not in read:
        assert found["macro_f1_predicted_too"] == pytest.approx(
            f1_score(truth, read, average="macro")
        )


def test_the_tail_is_of_items_whose_gold_is_rare() -> None:
    golds = ["once"] + ["five"] * 5 + ["six"] * 6
    predictions = [["once", "six"]] + [["five", "six"]] * 5 + [["six", "six"]] * 6
    tail = by_class(predictions, golds)["tail"]
    assert tail["once"] == {"classes": 1, "items": 1, "accuracy": 1 / 2}
    assert tail["at_most_5"] == {"classes": 2, "items": 6, "accuracy": 6 / 12}
    assert by_class(predictions[6:], golds[6:])["tail"]["once"]["accuracy"] is None


def test_letters_are_set_against_golds_and_against_a_constant_answer() -> None:
    golds = ["A", "B", "C", "C"]
    predictions = [["A", "C"], ["C", "C"], ["C", None], ["C", "B"]]
    found = positions(predictions, golds)
    assert found["letters"] == {
        "A": {"gold": 1 / 4, "predicted": 1 / 8, "accuracy": 1 / 2},
        "B": {"gold": 1 / 4, "predicted": 1 / 8, "accuracy": 0},
        "C": {"gold": 1 / 2, "predicted": 5 / 8, "accuracy": 2 / 4},
        "D": {"gold": 0, "predicted": 0, "accuracy": None},
    }
    assert found["unparseable"] == 1 / 8
    # |1/4 - 1/7| + |1/4 - 1/7| + |1/2 - 5/7|, halved
    assert found["bias"] == pytest.approx(3 / 14)
    assert found["constant"] == {"letter": "C", "accuracy": 1 / 2}


@pytest.mark.parametrize(
    ("predictions", "bias"),
    [
        ([["B"], ["A"]], 0),  # all wrong, but no letter preferred
        ([["C"], ["D"]], 1),
        ([[None], [None]], None),
    ],
)
def test_the_bias_is_the_distance_of_the_two_distributions(
    predictions: list[list[str | None]], bias: float | None
) -> None:
    assert positions(predictions, ["A", "B"])["bias"] == bias


@pytest.mark.shared
def test_always_c_is_the_best_constant_answer_to_the_real_questions(shared: Path) -> None:
    golds = [item.gold for item in read_items(shared / "cti-bench", "cti-mcq")]
    found = positions([["C"]] * len(golds), golds)
    assert found["constant"] == {"letter": "C", "accuracy": 928 / 2500}
    assert found["letters"]["C"]["accuracy"] == 1
    assert found["bias"] == pytest.approx(1 - 928 / 2500)


def test_answers_under_permuted_options() -> None:
    golds = [2, 0, 1, 3]
    predictions = [[2, 2, 2], [1, 1, 1], [1, None, 0], [None, None, None]]
    stood = [[0, 1, 2], [0, 1, 2], [3, 0, 1], [3, 3, 0]]
    found = permutation_report(predictions, golds, stood=stood)
    assert (found["items"], found["permutations"]) == (4, 3)
    assert found["accuracy"] == [2 / 4, 1 / 4, 1 / 4]
    assert found["mean"] == pytest.approx(1 / 3)
    assert found["consistent"] == 2 / 4  # the last item has no answer at all
    assert found["always_right"] == 1 / 4
    assert found["by_position"] == {
        "0": {"answers": 4, "accuracy": 1 / 4},
        "1": {"answers": 3, "accuracy": 1 / 3},
        "2": {"answers": 2, "accuracy": 1 / 2},
        "3": {"answers": 3, "accuracy": 1 / 3},
    }


def test_a_permutation_that_was_not_shown_is_refused() -> None:
    with pytest.raises(InputError, match="2 orders were answered, 1 shown"):
        permutation_report([[0, 1]], [0], stood=[[0]])


def test_the_matrix_holds_the_commonest_golds_and_where_their_answers_went() -> None:
    assert confusion(PREDICTIONS, GOLDS, top=2) == {
        "rows": ["a", "b"],
        "columns": ["a", "b", "other", "none"],
        "counts": [[3, 1, 0, 0], [0, 1, 0, 1]],
    }
    whole = confusion(PREDICTIONS, GOLDS)
    assert whole["counts"][2] == [1, 0, 0, 1, 0]  # gold c: once a, once d, which is no gold
    assert sum(map(sum, whole["counts"])) == 8
    with pytest.raises(InputError, match="0 commonest"):
        confusion(PREDICTIONS, GOLDS, top=0)


@given(answered)
def test_a_full_matrix_counts_every_answer_and_its_diagonal_the_right_ones(
    rows: list[tuple[str, list[str | None]]],
) -> None:
    golds, predictions = [gold for gold, _ in rows], [trials for _, trials in rows]
    found = confusion(predictions, golds)
    assert sum(map(sum, found["counts"])) == 2 * len(golds)
    right = sum(p == gold for gold, trials in rows for p in trials)
    assert sum(row[place] for place, row in enumerate(found["counts"])) == right


@pytest.mark.parametrize(
    "text",
    [
        "I cannot assist with that.",
        "I can't help with this request.",
        "I can’t help with this request.",
        "I'm sorry, but I can't provide that.",
        "I am sorry, but the request goes against the policy.",
        "I'm really sorry but no.",
        "Sorry, I can not do this.",
        "I apologize, but this is out of bounds.",
        "**I am unable to map this description.**",
        "The description is short. I'm not able to choose an option.",
        "Unfortunately I cannot determine the weakness.",
        "I'm afraid I can't do that.",
        "No code follows.\n\n\n\n\nI won't provide exploit code.",
        "- I cannot answer.",
        "I must respectfully decline.",
        "I will not be able to answer.",
        "As an AI language model, I do not hold opinions.",
        "as an AI developed to be safe I have no answer",
        "I am an AI assistant and do not do this.",
    ],
)
def test_a_refusal_is_seen(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Attackers are unable to read the file.",
        "The flaw cannot be exploited remotely.",
        "Users find that the board's I can't be reset.",
        "Users can't log in, and the API cannot recover.",
        "The index i cannot exceed the bound.",
        "A Class-I cannot be downgraded.",
        "This is an AI plugin, I think that the second one is right.",
        "Phase I cannot start before the key exchange.",
        "The gateway is exposed as an AI service, and attackers reach it.",
        "It runs as an AI gateway, I/O is not checked.",
        "The message says: 'I cannot open the file'.",
        "I think that the vendor is unable to patch it.",
        "Hmm, I can't recall exactly which of them it is.",
        "I cannot be certain, the second one looks right.",
        "I can see that the input is not checked.",
        "I will not list the other options.",
        "I'm sorry for the confusion. The second one is right.",
        "Sorry state of input validation.",
    ],
)
def test_what_is_no_refusal(text: str) -> None:
    assert not refuses(text)


def test_texts_are_described_by_refusals_stops_and_lengths() -> None:
    responses = [
        [Response(0, 0, "CWE-79", "stop", 9, 4), Response(0, 1, "I cannot tell", "stop", 9, 0)],
        [Response(1, 0, "I cannot assist.", "stop", 9, 8), Response(1, 1, " \n", "", 9)],
        [Response(2, 0, "x" * 100, "length", 9, 512), Response(2, 1, "I can't. CWE-20", "", 9, 16)],
    ]
    read = [["CWE-79", None], [None, None], [None, "CWE-20"]]
    found = answers(responses, read)
    assert found["answers"] == 6
    assert found["unparseable"] == {"count": 4, "share": 4 / 6}
    assert found["refusals"] == {"count": 1, "share": 1 / 6}  # not the one that then answers
    assert found["empty"] == {"count": 1, "share": 1 / 6}
    assert found["finish_reasons"] == {"stop": 3, "not stated": 2, "length": 1}
    assert found["cut_at_limit"] == {"count": 1, "share": 1 / 4}
    lengths = [2, 6, 13, 15, 16, 100]
    assert found["characters"] == {
        "answers": 6,
        "mean": pytest.approx(sum(lengths) / 6),
        "median": 14,
        "p95": pytest.approx(16 + 0.75 * 84),  # 0.95 * 5 = 4.75 steps up
        "max": 100,
    }
    assert found["completion_tokens"]["answers"] == 4
    assert found["completion_tokens"]["median"] == 12
    assert json.loads(json.dumps(found)) == found


def test_what_no_response_states_is_none_not_zero() -> None:
    found = answers([[Response(0, 0, "CWE-79")]], [["CWE-79"]])
    assert found["cut_at_limit"] is None
    assert found["completion_tokens"] is None
    assert found["finish_reasons"] == {"not stated": 1}


def test_an_answer_that_looped_over_line_breaks_is_read() -> None:
    assert not refuses("x" + "\n" * 200_000 + "x")


@pytest.mark.parametrize(
    ("predictions", "golds", "message"),
    [
        ([["A"]], ["A", "B"], "answers to 1 items for 2"),
        ([["A", "B"], ["A"]], ["A", "B"], "from 1 to 2 answers"),
        ([[], []], ["A", "B"], "no answer"),
        ([], [], "no answer"),
    ],
)
def test_items_and_trials_that_do_not_fit_are_refused(
    predictions: list[list[str | None]], golds: list[str], message: str
) -> None:
    for report in (by_class, positions, confusion):
        with pytest.raises(InputError, match=message):
            report(predictions, golds)


def test_predictions_of_other_responses_are_refused() -> None:
    with pytest.raises(InputError, match="2 predictions were read from 1 responses"):
        answers([[Response(0, 0, "A")]], [["A", "B"]])
