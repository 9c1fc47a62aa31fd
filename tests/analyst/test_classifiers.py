"""The answers of a language model vote, and its failure is an error, not an abstention."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.analyst.classification import classify
from cybersecqwen.analyst.classifiers import LanguageModel, open_classifier
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.engines.replay import ReplayEngine
from cybersecqwen.errors import CyberSecQwenError, EngineError
from cybersecqwen.prompts import rcm_prompt

TEXT = "SQL injection in login.php allows remote attackers to read data."


def recorded(recording: Callable[..., Path], *answers: list[str]) -> LanguageModel:
    rows = [
        {"item": item, "trial": trial, "text": text}
        for item, texts in enumerate(answers)
        for trial, text in enumerate(texts)
    ]
    return LanguageModel(ReplayEngine(recording(rows)), samples=len(answers[0]))


def test_the_confidence_is_the_share_of_votes(recording: Callable[..., Path]) -> None:
    answers = ["so CWE-79", 'It says "sql Injection".\n\nCWE-89', "CWE-89", "none", "cwe-089"]
    [result] = classify(TEXT, classifier=recorded(recording, answers))
    assert [(c.cwe, c.confidence) for c in result.candidates] == [("CWE-89", 0.6), ("CWE-79", 0.2)]
    assert result.rationale == answers[1]
    assert [(s.start, s.end, s.text) for s in result.evidence] == [(0, 13, "SQL injection")]


def test_reasoning_casts_no_vote(recording: Callable[..., Path]) -> None:
    answers = ["<think>CWE-79?</think>It is CWE-89<|im_end|>", "<think>CWE-79 or"]
    [result] = classify(TEXT, classifier=recorded(recording, answers))
    assert [(c.cwe, c.confidence) for c in result.candidates] == [("CWE-89", 0.5)]
    assert result.rationale == "It is CWE-89"


def test_equal_votes_stand_in_the_order_of_the_answers(recording: Callable[..., Path]) -> None:
    [prediction] = recorded(recording, ["CWE-89", "CWE-79", "CWE-79", "CWE-89"]).predict(
        [TEXT], top=2
    )
    assert prediction.ranked == (("CWE-89", 0.5), ("CWE-79", 0.5))


def test_an_id_that_is_not_in_the_catalogue_is_dropped_and_said(
    recording: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        [prediction] = recorded(recording, ["CWE-99999", "CWE-89"]).predict([TEXT], top=3)
    assert prediction.ranked == (("CWE-89", 0.5),)
    assert "CWE-99999" in caplog.text


def test_no_answer_that_names_a_weakness_abstains_with_that_reason(
    recording: Callable[..., Path],
) -> None:
    [result] = classify(TEXT, classifier=recorded(recording, ["I cannot say.", ""]))
    assert (result.abstain, result.candidates) == (True, ())
    assert result.reason == "no answer names a CWE of the catalogue"


def test_only_an_empty_text_is_out_of_scope(recording: Callable[..., Path]) -> None:
    model = LanguageModel(
        ReplayEngine(recording([{"item": 1, "trial": 0, "text": "CWE-79"}])), samples=1
    )
    [empty, cake] = classify([" \n", "A cake."], classifier=model)
    assert (empty.abstain, empty.reason) == (True, "the text is empty")
    assert cake.candidates[0].cwe == "CWE-79"


def test_a_server_is_asked_by_the_protocol_of_the_model_card(server: Any) -> None:
    texts = [f"{TEXT} number {i}" for i in range(40)]
    results = list(classify(texts, classifier=open_classifier(f"tiny@{server.url}")))
    assert len(server.bodies) == 200
    asked = [b for b in server.bodies if b["messages"][0]["content"] == rcm_prompt(texts[3])]
    assert sorted(body["seed"] for body in asked) == [42, 43, 44, 45, 46]
    assert {(b["temperature"], b["top_p"], b["max_tokens"]) for b in asked} == {(0.3, 1.0, 512)}
    assert all(r.abstain or r.candidates[0].cwe == "CWE-787" for r in results)
    assert any(not r.abstain for r in results)


def test_predictions_come_in_the_order_of_the_texts(server: Any) -> None:
    slow, quick = TEXT, "XSS in Foo"
    server.faults[rcm_prompt(slow)] = ["wait"]
    server.faults[rcm_prompt(quick)] = [lambda _: (server.released.set(), answer("CWE-79"))[1]]
    model = LanguageModel(HttpEngine(server.url, "tiny"), samples=1)
    first, second = model.predict([slow, quick], top=1)
    assert second.ranked == (("CWE-79", 1.0),)
    assert first.ranked != second.ranked


def answer(text: str) -> Any:
    from aiohttp import web

    message = {"role": "assistant", "content": text}
    return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})


def test_a_failing_server_is_an_error_after_what_was_answered(server: Any) -> None:
    def refuse(_: object) -> Any:
        from aiohttp import web

        return web.Response(status=400, text="no such model")

    server.faults[rcm_prompt("second")] = [refuse]
    engine = HttpEngine(server.url, "tiny", concurrency=1)
    answered = []
    with pytest.raises(EngineError, match="no such model"):
        for result in classify(["first", "second"], classifier=LanguageModel(engine, samples=1)):
            answered.append(result.id)
    assert answered == [1]


def test_a_model_folder_answers(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder, tmp_path / "roomy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 2048}))
    [result] = classify(TEXT, classifier=open_classifier(str(folder), samples=1))
    assert result.abstain == (not result.candidates)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("http://localhost:1/v1", "is the server up"),
        ("embeded", "'embeded' is not a model"),
        ("./nowhere", "'./nowhere' is not a model"),
    ],
)
def test_a_model_that_is_none_says_what_is_one(model: str, message: str) -> None:
    with pytest.raises(CyberSecQwenError, match=message):
        open_classifier(model, retries=0)
