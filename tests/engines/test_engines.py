"""What every engine in the registry keeps to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cybersecqwen.engines import ENGINES, Engine
from cybersecqwen.errors import EngineError
from cybersecqwen.records import Request

N = 70


class Case(NamedTuple):
    engine: Engine
    fails: Request  # a request that this engine cannot answer


@pytest.fixture(params=sorted(ENGINES))
def case(request: pytest.FixtureRequest, ask: Any) -> Case:
    get = request.getfixturevalue
    if request.param == "transformers":
        engine = ENGINES["transformers"](get("model_folder"), kind="instruct", batch_size=8)
        return Case(engine, ask(N, max_tokens=100_000))
    if request.param == "http":
        server = get("server")
        server.faults["fails"] = ["wait"]
        engine = ENGINES["http"](server.url, "tiny", retries=0, timeout=0.2)
        return Case(engine, ask(N, "fails"))
    if request.param == "replay":
        path: Path = get("recording")([{"item": i, "text": f"answer {i}"} for i in range(N)])
        return Case(ENGINES["replay"](path), ask(N))
    pytest.fail(f"the engine {request.param!r} has no case here yet")


def test_answers_come_in_the_order_of_the_requests(case: Case, ask: Any) -> None:
    # Of very different length, so that an engine that sorts or overlaps must put them back.
    requests = [ask(i, f"question {i} " + "word " * (i * 7 % 11)) for i in reversed(range(N))]
    answers = list(case.engine.generate(requests))
    assert [answer.item for answer in answers] == list(reversed(range(N)))
    assert len({answer.text for answer in answers}) > N // 2


def test_the_same_requests_give_the_same_texts(case: Case, ask: Any) -> None:
    requests = [ask(i) for i in range(5)]
    assert list(case.engine.generate(requests)) == list(case.engine.generate(requests))


def test_a_failure_raises_and_is_no_empty_answer(case: Case, ask: Any) -> None:
    with pytest.raises(EngineError, match=f"item {N}"):
        list(case.engine.generate([ask(0), case.fails, ask(1)]))


def test_no_requests_give_no_answers(case: Case) -> None:
    assert list(case.engine.generate([])) == []


def test_the_description_is_json_and_stable(case: Case) -> None:
    text = json.dumps(case.engine.describe())
    assert text == json.dumps(case.engine.describe())
    assert "engine" in json.loads(text)


def test_importing_the_engines_is_cheap() -> None:
    # `--help` imports them all, and torch alone takes two seconds.
    heavy = ("torch", "transformers", "aiohttp", "httpx2")
    code = f"import sys, cybersecqwen.engines; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
