"""A server gets each request's own sampling, is waited for, and its failure is an error."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cybersecqwen.engines import (
    EngineOptions,
    failure_reason,
    flow_control,
    http,
    open_model,
)
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.records import Request, Response
from cybersecqwen.sources.download import retry_after

Ask = Callable[..., Request]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pause between attempts, and hide a key of whoever runs the tests."""
    monkeypatch.setattr(flow_control, "_PAUSE", 0.001)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def status(code: int, text: str = "", **headers: str) -> Callable[..., web.Response]:
    return lambda _: web.Response(status=code, text=text, headers=headers)


def answers_to(engine: HttpEngine, requests: list[Request]) -> list[Response]:
    return sorted(engine.generate(requests), key=lambda answer: answer.item)


def texts(engine: HttpEngine, requests: list[Request]) -> list[str]:
    return [answer.text for answer in answers_to(engine, requests)]


def test_each_request_carries_its_own_sampling(server: Any, ask: Ask) -> None:
    requests = [
        ask(0, "chat", temperature=0.3, top_p=0.9, max_tokens=5, seed=42),
        ask(1, "raw", raw=True, temperature=0.0, max_tokens=12, seed=46, stop=("\n\n",)),
    ]
    chat, raw = answers_to(HttpEngine(server.url, "tiny"), requests)
    bodies = {body["seed"]: body for body in server.bodies}
    assert bodies[42] == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "chat"}],
        "temperature": 0.3,
        "top_p": 0.9,
        "max_tokens": 5,
        "seed": 42,  # and no "stop": lm-eval's empty list upsets some servers
    }
    assert (bodies[46]["prompt"], bodies[46]["stop"]) == ("raw", ["\n\n"])
    assert (chat.finish_reason, chat.prompt_tokens, chat.completion_tokens) == ("length", 1, 5)
    assert (raw.item, raw.finish_reason, len(raw.text.split())) == (1, "stop", 12)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_url_may_end_in_v1_or_not(server: Any, ask: Ask, suffix: str) -> None:
    root = server.url.removesuffix("/v1")
    assert texts(HttpEngine(root + suffix, "tiny"), [ask(0)]) != [""]


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://[x", "http://h/v1?key=k"]
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        HttpEngine(url, "tiny")


def test_a_password_in_the_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(InputError) as caught:
        HttpEngine("http://me:hunter2@host/v1", "tiny")
    assert "hunter2" not in str(caught.value)


def test_thirty_two_are_in_flight_and_never_more(server: Any, ask: Ask) -> None:
    prompts = [f"q{i}" for i in range(64)]
    server.faults = {prompt: ["wait"] for prompt in prompts[:32]}
    answers = HttpEngine(server.url, "tiny").generate([ask(i, p) for i, p in enumerate(prompts)])
    release_when(server, lambda: server.in_flight == 32)
    assert len(list(answers)) == 64
    assert server.most_in_flight == 32


def test_answers_are_yielded_while_the_first_is_slow(server: Any, ask: Ask) -> None:
    server.faults["slow"] = ["wait"]
    requests = [ask(0, "slow"), *(ask(i) for i in range(1, 200))]
    engine = HttpEngine(server.url, "tiny", concurrency=4, timeout=10, retries=0)
    answers = engine.generate(requests)
    # Whoever dies here has all of them on the disk, and not one waiting in memory.
    assert sorted(next(answers).item for _ in range(199)) == list(range(1, 200))
    server.released.set()
    assert [answer.item for answer in answers] == [0]


def test_a_failure_ends_the_run_after_what_is_in_flight(server: Any, ask: Ask) -> None:
    server.faults = {f"q{i}": ["wait"] for i in range(1, 4)} | {"q0": [status(400, "too long")]}
    engine = HttpEngine(server.url, "tiny", concurrency=4)
    answers = engine.generate([ask(i, f"q{i}") for i in range(1000)])
    release_when(server, lambda: server.arrivals.total() >= 4 and server.in_flight == 3)
    answered = set()
    with pytest.raises(EngineError, match=r"item 0, trial 0: HTTP 400 .*too long"):
        for answer in answers:
            answered.add(f"q{answer.item}")
    assert {"q1", "q2", "q3"} <= answered
    assert answered == server.arrivals.keys() - {"q0"}  # no answer that was made is lost
    assert len(answered) < 500  # and hardly any was asked for after the failure


def test_the_first_of_several_failures_is_raised(server: Any, ask: Ask) -> None:
    server.faults = {"late": [status(500)], "first": [status(400)]}
    with pytest.raises(EngineError, match="item 1, trial 0: HTTP 400"):
        list(HttpEngine(server.url, "tiny").generate([ask(0, "late"), ask(1, "first")]))
    assert server.arrivals["late"] == 9  # in flight, it had its retries


def test_a_reader_that_stops_holds_the_requests_back(server: Any, ask: Ask) -> None:
    answers = HttpEngine(server.url, "tiny", concurrency=4).generate([ask(i) for i in range(100)])
    next(answers)
    settled(lambda: len(server.bodies) >= 9)
    time.sleep(0.1)  # for more to arrive, if nothing held them back
    assert len(server.bodies) == 9  # two for each of four slots, and one for the one that was read
    assert len(list(answers)) == 99


def release_when(server: Any, condition: Callable[[], bool]) -> None:
    def watch() -> None:
        settled(condition)
        server.released.set()

    threading.Thread(target=watch, daemon=True).start()


def settled(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; a test that waits in vain fails by what follows."""
    limit = time.monotonic() + 10
    while not condition() and time.monotonic() < limit:
        time.sleep(0.005)


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502, 503])
def test_a_passing_failure_is_tried_again(server: Any, ask: Ask, code: int) -> None:
    server.faults["q"] = [status(code), status(code), "ok"]
    again, first = texts(HttpEngine(server.url, "tiny"), [ask(0, "q"), ask(1, "other")])
    assert again and first
    assert server.arrivals["q"] == 3


def test_a_cut_connection_is_tried_again(server: Any, ask: Ask) -> None:
    server.faults["q"] = ["cut", "cut", "ok"]
    assert texts(HttpEngine(server.url, "tiny"), [ask(0, "q")])
    assert server.arrivals["q"] == 3


def test_a_server_that_drops_half_of_its_connections_answers_all(server: Any, ask: Ask) -> None:
    server.faults = {f"q{i}": ["cut", "ok"] for i in range(0, 200, 2)}
    requests = [ask(i, f"q{i}") for i in range(200)]
    answers = answers_to(HttpEngine(server.url, "tiny"), requests)
    assert [answer.item for answer in answers] == list(range(200))
    assert all(answer.text for answer in answers)
    assert all(server.arrivals[prompt] == 2 for prompt in server.faults)


def test_a_server_that_takes_few_at_once_answers_all(server: Any, ask: Ask) -> None:
    def turn(_: object) -> web.Response:
        if server.in_flight > 5:
            return web.Response(status=429)
        return web.json_response({"choices": [{"message": {"content": "A"}}]})

    server.faults = {f"q{i}": [turn] for i in range(400)}
    engine = HttpEngine(server.url, "tiny", retries=2)
    answers = answers_to(engine, [ask(i, f"q{i}") for i in range(400)])
    assert [answer.item for answer in answers] == list(range(400))


def test_a_busy_server_is_no_failure_while_it_answers_others(server: Any, ask: Ask) -> None:
    admitted = 0

    def turn(_: object) -> web.Response:
        nonlocal admitted
        admitted += 1
        # Not to the end: the last request alone would have no others that are answered.
        if admitted % 3 and admitted < 240:
            return web.Response(status=503)
        return web.json_response({"choices": [{"message": {"content": "A"}}]})

    server.faults = {f"q{i}": [turn] for i in range(100)}
    engine = HttpEngine(server.url, "tiny", retries=2)
    assert len(list(engine.generate([ask(i, f"q{i}") for i in range(100)]))) == 100
    assert max(server.arrivals.values()) > 3  # more than its retries


def test_a_server_that_never_answers_is_given_up_after_two_waits(server: Any, ask: Ask) -> None:
    server.faults = {f"q{i}": ["wait"] for i in range(8)}
    engine = HttpEngine(server.url, "tiny", timeout=0.1, retries=50)
    with pytest.raises(EngineError, match=r"TimeoutError, attempt 2"):
        list(engine.generate([ask(i, f"q{i}") for i in range(8)]))
    assert set(server.arrivals.values()) == {2}


def test_a_slow_answer_is_tried_again_after_the_timeout(server: Any, ask: Ask) -> None:
    server.faults["q"] = ["wait", "ok"]
    assert texts(HttpEngine(server.url, "tiny", timeout=0.2), [ask(0, "q")])
    assert server.arrivals["q"] == 2


def test_retries_are_bounded_and_the_other_answers_kept(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(500, "CUDA error: device lost")]
    answers = HttpEngine(server.url, "tiny", retries=2).generate([ask(0), ask(1, "q"), ask(2)])
    assert {next(answers).item, next(answers).item} == {0, 2}
    with pytest.raises(EngineError, match=r"item 1, trial 0: HTTP 500 .*device lost, attempt 3"):
        next(answers)
    assert server.arrivals["q"] == 3


def test_a_server_that_is_not_there_is_an_engine_error(ask: Ask) -> None:
    engine = HttpEngine("http://127.0.0.1:9/v1", "tiny", retries=1)
    with pytest.raises(EngineError, match=r"item 0.*ClientConnectorError.*attempt 2"):
        list(engine.generate([ask(0)]))


def test_any_other_refusal_fails_at_once_with_the_servers_words(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(400, "maximum context\nlength is 4096")]
    with pytest.raises(EngineError, match=r"HTTP 400 .*maximum context length is 4096.*--request"):
        list(HttpEngine(server.url, "tiny").generate([ask(0, "q")]))
    assert server.arrivals["q"] == 1


def test_retry_after_is_waited_for(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(429, **{"Retry-After": "1"}), "ok"]
    start = time.monotonic()
    texts(HttpEngine(server.url, "tiny"), [ask(0, "q")])
    assert time.monotonic() - start >= 1  # a lower bound only: a slow machine cannot break it


def test_retry_after_holds_every_request_back(server: Any, ask: Ask) -> None:
    times: list[float] = []

    def note(_: object) -> web.Response:
        times.append(time.monotonic())
        return web.json_response({"choices": [{"message": {"content": "A"}}]})

    refuse = status(429, **{"Retry-After": "1"})
    server.faults = {"q0": [refuse, note]} | {f"q{i}": [note] for i in range(1, 400)}
    answers = HttpEngine(server.url, "tiny", concurrency=4).generate(
        [ask(i, f"q{i}") for i in range(400)]
    )
    assert len(list(answers)) == 400
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert max(gaps) >= 0.8
    assert gaps.index(max(gaps)) < 200  # most of them had to wait, not the refused one alone


def test_a_server_that_keeps_asking_to_stay_away_is_given_up(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(503, "loading", **{"Retry-After": "0.3"})]
    engine = HttpEngine(server.url, "tiny", timeout=1, retries=50)
    with pytest.raises(EngineError, match="loading, attempt 4"):
        list(engine.generate([ask(0, "q")]))


def test_a_retry_after_beyond_the_timeout_ends_it(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(429, "quota", **{"Retry-After": "86400"})]
    with pytest.raises(EngineError, match="quota, attempt 1"):
        list(HttpEngine(server.url, "tiny").generate([ask(0, "q")]))


def test_retry_after_is_read_in_both_its_forms() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert retry_after("120") == 120
    assert 80 < retry_after(format_datetime(soon, usegmt=True)) <= 90
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after(text) for text in ("", "soon", "-5", "nan", "inf")] == [None] * 5


CHOICE = '{"choices": [{"message": %s, "finish_reason": "%s"}]}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<html>It works!</html>", "without a completion: <html>It works!</html>"),
        ("", "an empty body"),
        ("[1, 2]", r"\[1, 2\]"),
        ('{"error": {"message": "overloaded"}}', "overloaded"),
        ('{"choices": []}', "without a completion"),
        ('{"choices": null}', "without a completion"),
        ('{"choices": [{"message": "text"}]}', "without a completion"),
        (CHOICE % ('{"content": "CWE"}', "abort"), "did not finish"),
        ('{"choices": [{"message": {"content": ""}}]}', "did not finish"),
        ("x" * 5000, r"[^x]x{200} \("),
        ("[" * 100_000, r"without a completion: \[{200} \("),
    ],
)
def test_a_200_without_an_answer_is_an_error_that_shows_it(
    server: Any, ask: Ask, body: str, message: str
) -> None:
    server.faults["q"] = [status(200, body)]
    with pytest.raises(EngineError, match=message) as caught:
        list(HttpEngine(server.url, "tiny").generate([ask(0, "q")]))
    assert "item 0" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (r"\ud83d", "\ufffd"),
        (r"CWE\ud83d-79\udE00", "CWE\ufffd-79\ufffd"),
        (r"\ud83d\ude00 \u00e9\u2028", "\U0001f600 \xe9\u2028"),
        (r"\ufeffA", "\ufeffA"),  # a byte order mark is a character here
    ],
)
def test_half_a_character_is_replaced_and_all_else_kept(
    server: Any, ask: Ask, sent: str, text: str
) -> None:
    # A server that cuts at max_tokens can cut a character in two, which no file could hold.
    server.faults["q"] = [status(200, CHOICE % (f'{{"content": "{sent}"}}', "length"))]
    assert texts(HttpEngine(server.url, "tiny"), [ask(0, "q")]) == [text]


def test_an_empty_text_that_the_server_finished_is_an_answer(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(200, CHOICE % ('{"content": ""}', "stop"))]
    (answer,) = HttpEngine(server.url, "tiny").generate([ask(0, "q")])
    assert (answer.text, answer.finish_reason, answer.prompt_tokens) == ("", "stop", 0)


def test_the_key_is_sent_and_never_follows_a_redirect(
    server: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\n")
    engine = HttpEngine(server.url, "tiny")
    server.faults["q"] = [status(307, Location=f"{server.url}/completions?elsewhere")]
    with pytest.raises(EngineError, match=r"redirects to .*elsewhere") as caught:
        list(engine.generate([ask(0, "q")]))
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer sk-secret"]
    assert "sk-secret" not in f"{caught.value}{engine.describe()}"
    texts(HttpEngine(server.url, "tiny", api_key=""), [ask(0)])
    assert "Authorization" not in server.headers[-1]


KEY = "sk-abc/def-123"


@pytest.mark.parametrize("echo", [KEY, KEY.replace("/", r"\/"), KEY.replace("-", r"\u002D")])
def test_a_key_that_a_server_repeats_is_neither_kept_nor_shown(
    server: Any, ask: Ask, echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.faults["refuse"] = [status(400, f'{{"error": {{"message": "{echo} is none"}}}}')]
    text = f'{{"content": "CWE-79 {echo}", "reasoning": "{echo}"}}'
    server.faults["echo"] = [status(200, CHOICE % (text, echo))]
    server.faults["filter"] = [
        status(400, f'{{"error": {{"code": "content_filter", "message": "{echo}"}}}}')
    ]
    server.listing = json.dumps({"data": [{"id": "tiny", "root": KEY}]})
    engine = HttpEngine(server.url, "tiny", allow_failed=1)
    answers = answers_to(engine, [ask(0, "refuse"), ask(1, "echo"), ask(2, "filter")])
    assert (answers[1].text, answers[1].finish_reason) == ("CWE-79 [key]", "other")
    assert answers[2].refusal == "[key]"
    shown = f"{answers}{engine.describe()}"
    assert KEY not in shown
    assert "def" not in shown.replace("undefined", "")


def test_a_word_that_stands_for_no_key_is_not_cut_out_of_answers(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(200, CHOICE % ('{"content": "EMPTY"}', "stop"))]
    assert texts(HttpEngine(server.url, "tiny", api_key="EMPTY"), [ask(0, "q")]) == ["EMPTY"]


def test_what_a_server_sends_steers_no_terminal(server: Any, ask: Ask) -> None:
    server.faults["q"] = [status(400, "\x1b[2J\u202eoops\x9b1m")]
    with pytest.raises(EngineError, match="oops") as caught:
        list(HttpEngine(server.url, "tiny").generate([ask(0, "q")]))
    assert not {"\x1b", "\u202e", "\x9b"} & set(str(caught.value))
    server.listing = json.dumps({"data": [{"id": "org/..\x1b[2J"}]})
    assert open_model(server.url).name == "\ufffd[2J"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_unpacks_without_end_is_refused(server: Any, ask: Ask, coding: str) -> None:
    packed = zlib.compress(bytes(40 << 20), 1, 31 if coding == "gzip" else 15)
    bomb = lambda _: web.Response(body=packed, headers={"Content-Encoding": coding})  # noqa: E731
    server.faults["q"] = [bomb]
    with pytest.raises(
        EngineError, match="item 0, trial 0: the reply has more than 32 MB, unpacked"
    ):
        list(HttpEngine(server.url, "tiny").generate([ask(0, "q")]))
    assert server.arrivals["q"] == 1


def test_a_packed_answer_is_read(server: Any, ask: Ask) -> None:
    body = zlib.compress((CHOICE % ('{"content": "CWE-79"}', "stop")).encode(), 9, 31)
    server.faults["q"] = [lambda _: web.Response(body=body, headers={"Content-Encoding": "gzip"})]
    assert texts(HttpEngine(server.url, "tiny"), [ask(0, "q")]) == ["CWE-79"]


def test_an_answer_that_broke_off_is_asked_for_again(server: Any, ask: Ask) -> None:
    cut = status(200, 'data: {"choices": [{"delta": {"content": "CWE-7"}}]}\n\n')
    inside = status(200, '{"error": {"code": 502, "message": "the provider is down"}}')
    server.faults["q"] = [cut, inside, status(200, CHOICE % ('{"content": "C"}', "error")), "ok"]
    assert texts(HttpEngine(server.url, "tiny"), [ask(0, "q")]) != ["CWE-7"]
    assert server.arrivals["q"] == 4


def test_a_request_that_a_filter_stops_is_answered_without_a_text(server: Any, ask: Ask) -> None:
    error = '{"error": {"code": "content_filter", "message": "policy", "status": 400}}'
    server.faults["q"] = [status(400, error)]
    stopped, other = answers_to(HttpEngine(server.url, "tiny"), [ask(0, "q"), ask(1)])
    assert (stopped.text, stopped.finish_reason, bool(other.text)) == ("", "content_filter", True)


def test_so_many_requests_may_fail_as_are_allowed(server: Any, ask: Ask) -> None:
    server.faults = {"a": [status(500, "CUDA")], "b": [status(400, "too long")]}
    requests = [ask(0, "a"), ask(1, "b"), ask(2)]
    answers = answers_to(HttpEngine(server.url, "tiny", retries=1, allow_failed=2), requests)
    assert ["CUDA" in failure_reason(a) for a in answers] == [True, False, False]
    assert ["too long" in failure_reason(a) for a in answers] == [False, True, False]
    with pytest.raises(EngineError, match=r"CUDA|too long"):
        list(HttpEngine(server.url, "tiny", retries=1, allow_failed=1).generate(requests))
    server.faults["a"] = [status(401, "who are you?")]
    with pytest.raises(EngineError, match="who are you"):  # this fails every request
        list(HttpEngine(server.url, "tiny", allow_failed=9).generate(requests))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no key was sent: OPENAI_API_KEY is not set"),
        ({"api_key_env": "MY_KEY"}, "the key in MY_KEY is refused"),
    ],
)
def test_a_refused_key_is_told_by_the_name_of_its_variable(
    server: Any, ask: Ask, options: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine-0123")
    server.faults["q"] = [status(401, "invalid")]
    with pytest.raises(EngineError, match=said):
        list(HttpEngine(server.url, "tiny", **options).generate([ask(0, "q")]))


def test_a_key_that_is_refused_for_the_list_of_models_is_told_too(server: Any) -> None:
    server.listed = 401
    with pytest.raises(EngineError, match=r"HTTP 401 from /models .*OPENAI_API_KEY is not set"):
        open_model(server.url)


def test_a_variable_that_is_named_and_not_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InputError, match="MY_KEY is not set"):
        HttpEngine("http://h/v1", "tiny", api_key_env="MY_KEY")


def test_a_deployment_of_azure_is_asked_at_its_own_path(server: Any, ask: Ask) -> None:
    root = server.url.removesuffix("/v1")
    url = f"{root}/openai/deployments/d1/chat/completions?api-version=2024-10-21"
    model = open_model(url, api_key="sk-azure-01234")
    assert (model.name, bool(list(model.engine.generate([ask(0)])))) == ("d1", True)
    assert server.urls == ["/openai/deployments/d1/chat/completions?api-version=2024-10-21"]
    assert server.headers[0]["api-key"] == "sk-azure-01234"
    assert "Authorization" not in server.headers[0]


def test_fields_of_the_request_are_part_of_what_the_model_is(server: Any, ask: Ask) -> None:
    engine = HttpEngine(server.url, "tiny", request={"seed": None, "reasoning_effort": "low"})
    server.model = lambda body: {"choices": [{"message": {"content": "A"}}]}
    list(engine.generate([ask(0)]))
    [body] = server.bodies
    assert ("seed" in body, body["reasoning_effort"]) == (False, "low")
    assert engine.identity()["request"] == {"seed": "", "reasoning_effort": "low"}
    assert "request" not in HttpEngine(server.url, "tiny").identity()
    with pytest.raises(InputError, match="messages is no setting"):
        HttpEngine(server.url, "tiny", request={"messages": []})


def test_a_server_that_is_starting_is_waited_for(
    server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if sum(waits) > 60:
            engine._base = server.url

    engine = HttpEngine(url, "")
    monkeypatch.setattr(flow_control, "_PAUSE", 0.5)
    monkeypatch.setattr(http.asyncio, "sleep", sleep)
    assert engine.only_model() == "tiny"
    assert len(waits) <= 8
    assert len(caplog.records) == 1
    assert "waiting for it" in caplog.text


def test_the_retries_last_for_the_minute_of_a_start_or_a_rate_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flow_control, "_PAUSE", 0.5)
    assert (
        60 < sum(flow_control.pause(retry) for retry in range(1, EngineOptions().retries + 1)) < 180
    )


def test_a_failure_of_tls_says_so(server: Any, ask: Ask) -> None:
    engine = HttpEngine(server.url.replace("http:", "https:"), "tiny")
    for attempt in (lambda: list(engine.generate([ask(0)])), engine.wait):
        with pytest.raises(EngineError, match=r"TLS failed.*--ca-bundle"):
            attempt()


def test_a_certificate_of_ones_own_is_trusted_where_it_is_named(
    server: Any, ask: Ask, tmp_path: Path
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
    )
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = [*make.split(), *names, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    url = server.listen(tls)
    with pytest.raises(EngineError, match=r"TLS failed.*self.signed.*--ca-bundle"):
        list(HttpEngine(url, "tiny").generate([ask(0)]))
    assert texts(HttpEngine(url, "tiny", ca_bundle=cert), [ask(0)]) != [""]
    with pytest.raises(InputError, match=r"key\.pem: cannot be read as certificates"):
        HttpEngine(url, "tiny", ca_bundle=key)
    with pytest.raises(InputError, match="none: cannot be read as certificates"):
        HttpEngine(url, "tiny", ca_bundle=tmp_path / "none")


def test_closing_early_cancels_what_is_in_flight(server: Any, ask: Ask) -> None:
    server.faults = {f"q{i}": ["wait"] for i in range(1, 9)}
    answers = HttpEngine(server.url, "tiny", concurrency=4).generate(
        [ask(i, f"q{i}") for i in range(9)]
    )
    assert next(answers).item == 0
    settled(lambda: server.in_flight == 4)
    answers.close()  # type: ignore[attr-defined]
    settled(lambda: server.in_flight == 0)
    assert server.cut_off == 4
    assert server.arrivals.total() == 5


def test_it_works_where_an_event_loop_already_runs(server: Any, ask: Ask) -> None:
    # As in a notebook, whose cells run inside one.
    async def cell() -> list[str]:
        return texts(HttpEngine(server.url, "tiny"), [ask(0), ask(1)])

    assert len(asyncio.run(cell())) == 2


def test_a_bug_ends_the_iteration_instead_of_hanging_it(ask: Ask) -> None:
    # An object that JSON cannot hold stands for any error nobody thought of.
    bad = ask(0, max_tokens=object())
    with pytest.raises(ExceptionGroup) as caught:
        list(HttpEngine("http://127.0.0.1:9/v1", "tiny").generate([bad]))
    assert caught.group_contains(TypeError)


def test_the_description_holds_what_the_server_says(server: Any) -> None:
    about = HttpEngine(server.url, "tiny").describe()
    assert about.pop("server").startswith("Python/")
    assert about == {
        "engine": "http",
        "url": server.url,
        "model": "tiny",
        "served": {"id": "tiny", "root": "models/tiny", "max_model_len": 4096},
    }
    assert HttpEngine(server.url, "other").describe()["served"] == {}
    for garbage in ("<html>", "[" * 100_000, json.dumps({"data": [1]})):
        server.listing = garbage
        assert HttpEngine(server.url, "tiny").describe()["served"] == {}
    assert HttpEngine("http://127.0.0.1:9/v1", "tiny").describe()["server"] == ""


TEMPLATE, RENDERED = "{{ messages[0].content }}", "<|im_start|>user\nping<|im_end|>\n"
# What stands at the root of the server, beside /v1.
VLLM = {
    "/version": {"version": "0.31.0"},
    "/tokenize": {"count": 3, "tokens": [1, 2, 3]},
    "/detokenize": {"prompt": RENDERED},
}
LLAMA_CPP = {
    "/props": {"build_info": "b5293-1e333d5b", "chat_template": TEMPLATE},
    "/apply-template": {"prompt": RENDERED},
    "/tokenize": {"tokens": []},
}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("root", "facts"),
    [
        (VLLM, {"version": "0.31.0", "rendered_chat_sha256": sha256(RENDERED)}),
        (
            LLAMA_CPP,
            {
                "version": "b5293-1e333d5b",
                "chat_template_sha256": sha256(TEMPLATE),
                "rendered_chat_sha256": sha256(RENDERED),
            },
        ),
        ({"/version": {"version": 3}, "/props": [], "/tokenize": {"tokens": [1]}}, {}),
    ],
)
def test_the_description_holds_version_and_template_where_the_server_tells(
    server: Any, root: dict[str, Any], facts: dict[str, str]
) -> None:
    engine = HttpEngine(server.url, "tiny")
    plain = engine.describe()
    server.root = root
    assert engine.describe() == plain | facts


def test_a_rendering_is_asked_for_with_the_chat_of_the_caller(server: Any) -> None:
    server.root = VLLM
    chats = [[("user", "a")], [("system", "b"), ("user", "c")]]
    assert HttpEngine(server.url, "tiny").render(chats) == [RENDERED, RENDERED]
    asked = [body["messages"] for path, body in server.asked if path == "/tokenize"]
    assert {"role": "system", "content": "b"} in max(asked, key=len)
    assert {"model": "tiny", "tokens": [1, 2, 3]} in [body for _, body in server.asked]


def test_the_description_comes_without_the_client_of_single_requests(server: Any) -> None:
    code = (
        "import sys; from cybersecqwen.engines.http import HttpEngine\n"
        f"HttpEngine({server.url!r}, 'tiny').describe()\n"
        "sys.exit('httpx2' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
