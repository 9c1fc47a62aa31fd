"""A server gets each request's own sampling, is waited for, and its failure is an error."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from cybersecqwen.engines import http
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.records import Request, Response
from cybersecqwen.sources.download import retry_after

Ask = Callable[..., Request]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pause between attempts, and hide a key of whoever runs the tests."""
    monkeypatch.setattr(http, "_PAUSE", 0.01)
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
    assert server.arrivals["late"] == 6  # in flight, it had its retries


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
    with pytest.raises(EngineError, match=r"HTTP 400 .*maximum context length is 4096"):
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
        (CHOICE % ('{"content": null}', "stop"), "no text"),
        (CHOICE % ('{"content": [{"type": "text"}]}', "stop"), "no text"),
        (CHOICE % ('{"content": null, "tool_calls": [{"id": "f"}]}', "tool_calls"), "a tool"),
        (CHOICE % ('{"content": "", "tool_calls": [{"id": "f"}]}', "tool_calls"), "a tool"),
        (CHOICE % ('{"content": null, "function_call": {"name": "f"}}', "stop"), "a tool"),
        (CHOICE % ('{"content": null, "reasoning_content": "Hm"}', "length"), "reasoning only"),
        (CHOICE % ('{"reasoning": "Hm, this is"}', "stop"), "reasoning only"),
        (CHOICE % ('{"content": null, "refusal": "I cannot"}', "stop"), "a refusal.*I cannot"),
        (CHOICE % ('{"content": "CWE"}', "abort"), "did not finish"),
        ('{"choices": [{"message": {"content": ""}}]}', "did not finish"),
        ("x" * 5000, "x{200}$"),
        ("[" * 100_000, r"without a completion: \[{200}$"),
        (
            '{"choices": [{"message": {"content": "A"}}], "usage": {"prompt_tokens": 1e999}}',
            "without a completion: .*1e999",
        ),
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
