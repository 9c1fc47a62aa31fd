"""A teacher is asked resumably, waited for, and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cybersecqwen.engines import failure_reason
from cybersecqwen.engines.teacher import Prices, Teacher, generate, open_teacher
from cybersecqwen.errors import EngineError, InputError, StageError
from cybersecqwen.files import read_jsonl
from cybersecqwen.records import Request

Ask = Callable[..., Request]


@pytest.fixture
def teacher(server: Any) -> Teacher:
    return open_teacher(f"tiny@{server.url}", concurrency=4, prices=Prices(1.0, 10.0))


def test_every_answer_is_kept_and_its_cost_summed_up(
    server: Any, teacher: Teacher, ask: Ask, tmp_path: Path
) -> None:
    wanted = [ask(item, trial=trial) for item in range(5) for trial in range(2)]
    responses, usage = generate(teacher, wanted, tmp_path / "answers.jsonl")
    assert [(r.item, r.trial) for r in responses] == [(r.item, r.trial) for r in wanted]
    assert len(list(read_jsonl(tmp_path / "answers.jsonl"))) == usage.requests == 10
    assert usage.prompt_tokens == 20  # "question N" is two words
    assert usage.completion_tokens == 80
    assert usage.cost == pytest.approx((20 * 1.0 + 80 * 10.0) / 1e6)
    assert usage.asked_now == 10
    assert usage.answers_per_second > 0
    assert usage.tokens_per_second > usage.answers_per_second


def test_a_teacher_that_stops_half_way_is_gone_on_with(
    server: Any, ask: Ask, tmp_path: Path
) -> None:
    path, wanted = tmp_path / "answers.jsonl", [ask(item) for item in range(8)]
    teacher = open_teacher(f"tiny@{server.url}", concurrency=1)
    server.faults["question 5"] = [lambda _: web.Response(status=401, text="no credit"), "ok"]
    with pytest.raises(EngineError, match="no credit"):
        generate(teacher, wanted, path)
    assert len(list(read_jsonl(path))) == 5
    path.write_bytes(path.read_bytes()[:-9])  # a kill leaves half a line
    responses, usage = generate(teacher, wanted, path)
    assert [r.item for r in responses] == list(range(8))
    assert usage.asked_now == 4
    assert usage.requests == 8
    asked = [body["messages"][0]["content"] for body in server.bodies]
    assert [asked.count(f"question {item}") for item in range(8)] == [1, 1, 1, 1, 2, 2, 1, 1]
    assert generate(teacher, wanted, path)[1].asked_now == 0


def test_a_rate_limit_is_waited_for(
    server: Any, teacher: Teacher, ask: Ask, tmp_path: Path
) -> None:
    limit = [lambda _: web.Response(status=429, headers={"Retry-After": "0.2"})]
    server.faults |= {f"question {item}": [*limit, "ok"] for item in range(4)}
    responses, usage = generate(teacher, [ask(item) for item in range(4)], tmp_path / "a.jsonl")
    assert len(responses) == 4
    assert usage.without_text == 0
    assert usage.seconds >= 0.2


def test_a_request_without_a_text_is_given_up_and_asked_again_the_next_time(
    server: Any, teacher: Teacher, ask: Ask, tmp_path: Path
) -> None:
    nothing = {"choices": [{"message": {"content": None, "refusal": "no"}}]}
    server.faults["question 1"] = [lambda _: web.json_response(nothing), "ok"]
    server.faults["question 2"] = [lambda _: web.Response(status=400, text="too long")]
    wanted = [ask(item) for item in range(4)]
    responses, usage = generate(teacher, wanted, tmp_path / "a.jsonl")
    assert usage.without_text == 2
    assert "without a text: refusal no" in failure_reason(responses[1])
    assert "too long" in failure_reason(responses[2])
    assert not failure_reason(responses[3])
    responses, usage = generate(teacher, wanted, tmp_path / "a.jsonl")
    assert (usage.asked_now, usage.without_text) == (2, 1)
    assert len(list(read_jsonl(tmp_path / "a.jsonl"))) == 4


def test_reasoning_is_no_part_of_an_answer(
    server: Any, teacher: Teacher, ask: Ask, tmp_path: Path
) -> None:
    for item, said in enumerate(("<think>It may be XSS.</think>CWE-79", "<think>It may be")):
        reply = {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}
        server.faults[f"question {item}"] = [lambda _, r=reply: web.json_response(r)] * 2
    responses, _ = generate(teacher, [ask(0), ask(1)], tmp_path / "a.jsonl")
    assert [r.text for r in responses] == ["CWE-79", ""]
    assert responses[0].reasoning == "It may be XSS."
    assert "<think>" in next(read_jsonl(tmp_path / "a.jsonl"))["text"]  # whole, as it came


def test_a_teacher_that_has_no_text_for_anything_is_not_asked_for_ever(
    server: Any, teacher: Teacher, ask: Ask, tmp_path: Path
) -> None:
    server.model = lambda _: {"choices": []}
    with pytest.raises(EngineError, match="the first 50 requests got no text"):
        generate(teacher, [ask(item) for item in range(500)], tmp_path / "a.jsonl")
    assert len(server.bodies) < 100


def test_answers_to_other_requests_are_refused(
    server: Any, teacher: Teacher, ask: Ask, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    generate(teacher, [ask(0)], path)
    with pytest.raises(StageError, match="item 0 was answered to another request"):
        generate(teacher, [ask(0, max_tokens=9)], path)
    with pytest.raises(StageError, match="the model, the prompt"):
        generate(open_teacher(f"other@{server.url}"), [ask(0)], path)


def test_a_teacher_is_any_model(server: Any) -> None:
    assert open_teacher(server.url).identity == {"url": server.url, "model": "tiny"}
    assert set(open_teacher("embedded").identity) == {"version", "artifacts"}
    with pytest.raises(InputError, match="'localhost:8000' is not a model"):
        open_teacher("localhost:8000")
