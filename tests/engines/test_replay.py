"""Recorded answers come back as they were, and none is made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.engines.replay import ReplayEngine
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.records import Request, Response

Ask = Callable[..., Request]
Recording = Callable[..., Path]


def test_a_row_without_trial_is_trial_0_and_no_other(recording: Recording, ask: Ask) -> None:
    # Otherwise one recorded pass would be scored five times, with a spread of zero.
    engine = ReplayEngine(recording([{"item": 0, "text": "CWE-79"}]))
    assert list(engine.generate([ask(0)])) == [Response(0, 0, "CWE-79")]
    answers = engine.generate([ask(0, trial=1), ask(0), ask(0, trial=2)])
    assert next(answers).trial == 0
    with pytest.raises(EngineError, match=r"answers\.jsonl: no answer to item 0, trial 1"):
        next(answers)


def test_the_trials_of_a_run_are_read_from_its_folder(
    recording: Recording, ask: Ask, tmp_path: Path
) -> None:
    row = {"finish_reason": "length", "prompt_tokens": 3, "completion_tokens": 2, "gold": "x"}
    for trial in (0, 1):
        rows = [{"item": 7, "trial": trial, "text": f"text {trial}"} | row]
        recording(rows, f"trial-{trial}/responses.jsonl")
    engine = ReplayEngine(tmp_path)
    answers = list(engine.generate([ask(7, trial=1), ask(7)]))
    assert answers == [
        Response(7, 1, "text 1", "length", 3, 2),
        Response(7, 0, "text 0", "length", 3, 2),
    ]
    files = engine.describe()["files"]
    assert list(files) == ["trial-0/responses.jsonl", "trial-1/responses.jsonl"]
    assert len(set(files.values())) == 2


def test_texts_come_back_to_the_character(recording: Recording, ask: Ask) -> None:
    # U+2028 ends a line for str.splitlines, not in JSON; an empty text is an answer.
    rows = ['{"item": 0, "text": "a\u2028b\\n "}', "", '{"item": 1, "text": ""}']
    texts = [answer.text for answer in ReplayEngine(recording(rows)).generate([ask(0), ask(1)])]
    assert texts == ["a\u2028b\n ", ""]


def test_two_texts_for_one_trial_are_refused_with_both_places(recording: Recording) -> None:
    rows = [
        {"item": 3, "text": "A"},
        {"item": 3, "text": "A"},
        {"item": 3, "trial": 0, "text": "B"},
    ]
    with pytest.raises(InputError, match=r"jsonl:3: item 3, trial 0 .* in .*jsonl:1"):
        ReplayEngine(recording(rows))
    assert ReplayEngine(recording(rows[:2])).describe()["engine"] == "replay"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"item": 1, "trial": 2, "text": None},
            "item 1, trial 2: text is null: a failed request is no answer",
        ),
        ({"item": 1}, "item 1, trial 0: text is missing"),
        ({"text": "A"}, "item is missing"),
        ({"item": "1", "text": "A"}, "item is '1', no whole number"),
        ({"item": True, "text": "A"}, "item is True, no whole number"),
        ({"item": 1, "trial": 0.5, "text": "A"}, "trial is 0.5, no whole number"),
        ("[1]", "not a JSON object"),
        ('{"item": 1,', "not valid JSON"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(
    recording: Recording, row: object, message: str
) -> None:
    path = recording([{"item": 0, "text": "A"}, row])
    with pytest.raises(InputError) as caught:
        ReplayEngine(path)
    assert f"{path}:2: " in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        ReplayEngine(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match=r"no \.jsonl file"):
        ReplayEngine(tmp_path)


@pytest.mark.parametrize(("field", "said"), [("item", "item is None"), ("text", "text is null")])
def test_a_null_in_a_needed_field_says_null_not_missing(
    recording: Recording, field: str, said: str
) -> None:
    row: dict[str, Any] = {"item": 0, "text": "A"} | {field: None}
    with pytest.raises(InputError, match=said):
        ReplayEngine(recording([row]))
