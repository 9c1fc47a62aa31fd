"""What every engine in the registry keeps to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cybersecqwen.engines import ENGINES, Engine
from cybersecqwen.errors import EngineError
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Request

N = 70


def described(text: str) -> str:
    """Ask for a weakness, of a description that differs where the text does."""
    return rcm_prompt(f"SQL injection in {'-'.join(text.split())}.php lets attackers read data.")


class Case(NamedTuple):
    engine: Engine
    fails: Request  # a request that this engine cannot answer
    others: list[int]  # of items 0 and 1, asked with it, those that are answered nevertheless
    prompt: Callable[[str], str] = str  # turns a text into something that the engine can answer


@pytest.fixture(params=sorted(ENGINES))
def case(request: pytest.FixtureRequest, ask: Any) -> Case:
    get = request.getfixturevalue
    if request.param == "transformers":
        engine = ENGINES["transformers"](get("model_folder"), kind="instruct", batch_size=8)
        return Case(engine, ask(N, max_tokens=100_000), [])  # refused before any work
    if request.param == "http":
        server = get("server")
        server.faults["fails"] = ["wait"]
        engine = ENGINES["http"](server.url, "tiny", retries=0, timeout=0.2)
        return Case(engine, ask(N, "fails"), [0, 1])
    if request.param == "replay":
        path: Path = get("recording")([{"item": i, "text": f"answer {i}"} for i in range(N)])
        return Case(ENGINES["replay"](path), ask(N), [0, 1])
    if request.param == "embedded":
        return Case(ENGINES["embedded"](), ask(N), [], described)  # refused before any work
    pytest.fail(f"the engine {request.param!r} has no case here yet")


def test_each_request_is_answered_exactly_once(case: Case, ask: Any) -> None:
    # Of very different length, for an engine that sorts or overlaps them.
    texts = [f"question {i} " + "word " * (i * 7 % 11) for i in range(N)]
    requests = [ask(i, case.prompt(texts[i])) for i in reversed(range(N))]
    answers = list(case.engine.generate(requests))
    assert sorted((answer.item, answer.trial) for answer in answers) == [(i, 0) for i in range(N)]
    assert len({answer.text for answer in answers}) > N // 2


def test_an_answer_names_the_request_it_belongs_to(case: Case, ask: Any) -> None:
    requests = [ask(i, case.prompt(f"question {i} " + "word " * (i * 7 % 11))) for i in range(5)]
    together = {answer.item: answer for answer in case.engine.generate(requests)}
    for request in requests:
        assert list(case.engine.generate([request])) == [together[request.item]]


def test_a_failure_raises_after_the_other_answers(case: Case, ask: Any) -> None:
    first, second = (ask(i, case.prompt(f"question {i}")) for i in range(2))
    answered = []
    with pytest.raises(EngineError, match=f"item {N}"):
        for answer in case.engine.generate([first, case.fails, second]):
            answered.append(answer.item)
    assert sorted(answered) == case.others


def test_no_requests_give_no_answers(case: Case) -> None:
    assert list(case.engine.generate([])) == []


def test_the_description_is_json_and_stable(case: Case) -> None:
    text = json.dumps(case.engine.describe())
    assert text == json.dumps(case.engine.describe())
    assert "engine" in json.loads(text)


def test_importing_the_engines_is_cheap() -> None:
    # `--help` imports them all, and torch alone takes two seconds.
    heavy = ("torch", "transformers", "aiohttp", "httpx2", "numpy")
    code = f"import sys, cybersecqwen.engines; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
