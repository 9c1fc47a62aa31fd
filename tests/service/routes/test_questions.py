from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from cybersecqwen.analyst.questions import ask
from cybersecqwen.service.schemas import AnswerOutput


def test_an_answer_is_that_of_the_command_with_what_gave_it(client: TestClient) -> None:
    question = "Which tactic does T1059.001 serve?"
    row = client.post("/v1/ask", json={"question": question, "top": 1}).json()
    AnswerOutput.model_validate(row)
    assert row["answer"] == ask(question).answer
    assert row["confidence"] == pytest.approx(ask(question).confidence, abs=1e-4)
    assert (len(row["evidence"]), row["source"]["artifact"]) == (1, "knowledge.npz")


def test_a_question_points_back_to_the_answer_before(client: TestClient) -> None:
    first = client.post("/v1/ask", json={"question": "What is T1110.003?"}).json()
    assert first["about"] == ["T1110.003"]
    then = {"question": "and its mitigations?", "about": first["about"]}
    answer = client.post("/v1/ask", json=then).json()
    assert answer["answer"].startswith("T1110.003 Password Spraying is mitigated by")


def test_an_option_is_chosen(client: TestClient) -> None:
    asked = {
        "question": "Which mitigation addresses PowerShell abuse (T1059.001)?",
        "options": ["Execution Prevention", "Pre-compromise", "Encrypt Sensitive Information"],
    }
    assert client.post("/v1/ask", json=asked).json()["answer"] == "A"


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({}, "#/question"),
        ({"question": ""}, "#/question"),
        ({"question": "  "}, "empty"),
        ({"question": "a", "options": ["one"]}, "#/options"),
        ({"question": "a", "options": ["1", "2"], "about": ["CWE-79"]}, "#/about"),
        ({"question": "and its mitigations?", "about": ["T9999"]}, "T9999"),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, asked: dict[str, object], named: str) -> None:
    answer = client.post("/v1/ask", json=asked)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]
