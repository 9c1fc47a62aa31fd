"""An honest server passes every check, and each dishonest one fails the check that is about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from typing import Any

import pytest
from aiohttp import web

from cybersecqwen.benchmark.probe import ProbeReport, probe
from cybersecqwen.benchmark.probe_checks import HOT, stop_word, system_prompt
from cybersecqwen.engines import flow_control, open_model
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.records import Response

PROMPTS = ["What is CWE-79?", "What is CWE-89?", "What is CWE-22?", "a fourth is not asked"]
NAMES = ["temperature", "seed", "stop", "max_tokens", "concurrency", "system_prompt"]
Body = dict[str, Any]
Model = Callable[[Body], Body]
# Another text than any prompt of the probe gets.
OTHER = [{"role": "user", "content": "something else"}]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_control, "_PAUSE", 0.001)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def statuses(report: ProbeReport) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


def evidence(report: ProbeReport, name: str) -> str:
    return next(check.evidence for check in report.checks if check.name == name)


def tried(server: Any, *, timeout: float = 120) -> ProbeReport:
    return probe(open_model(f"tiny@{server.url}"), PROMPTS, timeout=timeout)


@pytest.mark.parametrize("kind", ["instruct", "base"])
def test_an_honest_server_passes(server: Any, kind: Any) -> None:
    report = probe(open_model(f"tiny@{server.url}", kind=kind), PROMPTS)
    raw = {"system_prompt": "unknown"} if kind == "base" else {}
    assert statuses(report) == dict.fromkeys(NAMES, "ok") | raw
    assert not report.failed
    assert report.requests == len(server.bodies) <= 40
    assert ("prompt" in server.bodies[0]) == (kind == "base")
    assert json.loads(json.dumps(asdict(report)))["server"]["served"]["id"] == "tiny"


def test_without_prompts_the_built_in_ones_suffice(server: Any) -> None:
    assert statuses(probe(open_model(f"tiny@{server.url}"))) == dict.fromkeys(NAMES, "ok")


def test_only_a_server_is_probed() -> None:
    with pytest.raises(InputError, match="embedded: only a server can be probed"):
        probe(open_model("embedded"))


def one_temperature(temperature: float) -> Callable[[Any], Model]:
    return lambda server: lambda body: server.complete(body, temperature=temperature)


def hottest_of_the_crowd(server: Any) -> Model:
    return lambda body: server.complete(
        body, temperature=max(other["temperature"] for other in server.crowd)
    )


def any_seed(server: Any) -> Model:
    seeds = count()
    return lambda body: server.complete(body, seed=next(seeds))


def one_seed(server: Any) -> Model:
    return lambda body: server.complete(body, seed=7)


def one_seed_for_the_crowd(server: Any) -> Model:
    seeds = count(100)
    return lambda body: server.complete(
        body, **({"seed": next(seeds)} if len(server.crowd) > 1 else {})
    )


def no_stop(server: Any) -> Model:
    return lambda body: server.complete(body, stop=[])


def stop_included(server: Any) -> Model:
    def model(body: Body) -> Body:
        answer = server.complete(body)
        answer["choices"][0]["message"]["content"] += "".join(body.get("stop", []))
        return answer

    return model


def no_limit(server: Any) -> Model:
    return lambda body: server.complete(body, max_tokens=100)


def cut_in_silence(server: Any) -> Model:
    def model(body: Body) -> Body:
        answer = server.complete(body)
        answer["choices"][0]["finish_reason"] = "stop"
        return answer

    return model


def mixed_up(server: Any) -> Model:
    return lambda body: server.complete(
        body, **({"messages": OTHER} if len(server.crowd) > 1 else {})
    )


def more_tokens(added: Callable[[Body], int]) -> Callable[[Any], Model]:
    def make(server: Any) -> Model:
        def model(body: Body) -> Body:
            answer = server.complete(body)
            answer["usage"]["prompt_tokens"] += added(body)
            return answer

        return model

    return make


def has_system(body: Body) -> bool:
    return body["messages"][0]["role"] == "system"


@pytest.mark.parametrize(
    ("dishonest", "name", "said"),
    [
        (one_temperature(0.0), "temperature", "4 texts at temperature 1.5 all equal the one at 0"),
        (one_temperature(HOT), "temperature", "4 of 4 texts at temperature 0 differ when asked t"),
        (hottest_of_the_crowd, "temperature", "when requests at 1.5 run at the same time"),
        (any_seed, "seed", "4 of 4 texts differ when asked twice with one seed"),
        (one_seed, "seed", "4 seeds give one text at temperature 1.5"),
        (one_seed_for_the_crowd, "seed", "4 of 4 texts of one seed differ when asked at once"),
        (no_stop, "stop", "was to end the text, and is in it"),
        (stop_included, "stop", "was to end the text, and is in it"),
        (no_limit, "max_tokens", "12 tokens of at most 4"),
        (cut_in_silence, "max_tokens", "the finish reason is 'stop'"),
        (mixed_up, "concurrency", "8 of 8 texts at temperature 0 differ when asked at once"),
        (more_tokens(lambda _: 60), "system_prompt", "61 prompt tokens for a chat of one word"),
        (
            more_tokens(lambda body: 0 if has_system(body) else 9),
            "system_prompt",
            "an own system turn replaces one: 10 prompt tokens, with it 2",
        ),
        (
            more_tokens(
                lambda body: 3 if has_system(body) and not body["messages"][0]["content"] else 12
            ),
            "system_prompt",
            "an empty system turn replaces one: 13 prompt tokens, with it 4",
        ),
        (
            more_tokens(lambda body: 50 * has_system(body)),
            "system_prompt",
            "a system turn of one word costs 51 prompt tokens",
        ),
    ],
)
def test_a_dishonest_server_fails_the_one_check(
    server: Any, dishonest: Callable[[Any], Model], name: str, said: str
) -> None:
    server.complete, server.pause = server.model, 0.01
    server.model = dishonest(server)
    report = tried(server)
    assert [check.name for check in report.failed] == [name]
    assert said in evidence(report, name)


def test_a_constant_server_cannot_be_told(server: Any) -> None:
    choice = {"message": {"content": "CWE-79"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 8, "completion_tokens": 3}
    server.model = lambda _: {"choices": [choice], "usage": usage}
    found = statuses(tried(server))
    assert found == dict.fromkeys(NAMES, "unknown") | {"system_prompt": "ok"}


def test_a_server_that_counts_nothing_is_judged_by_its_texts(server: Any) -> None:
    honest = server.model
    server.model = lambda body: honest(body) | {"usage": None}
    found = statuses(tried(server))
    assert found == dict.fromkeys(NAMES, "ok") | {"system_prompt": "unknown"}
    server.model = lambda body: honest(body, max_tokens=100) | {"usage": None}
    [failed] = tried(server).failed
    assert failed.evidence.startswith("uncounted tokens of at most 4")


def test_a_few_texts_that_rounding_changes_are_told_and_pass(server: Any) -> None:
    honest = server.model

    def rounded(body: Body) -> Body:
        other = len(server.crowd) > 1 and "CWE-89" in str(body)
        return dict(honest(body, **({"messages": OTHER} if other else {})))

    server.pause, server.model = 0.01, rounded
    report = tried(server)
    assert statuses(report) == dict.fromkeys(NAMES, "ok")
    assert evidence(report, "concurrency").startswith("2 of 8 texts at temperature 0 differ")


@pytest.mark.parametrize(
    ("refused", "names"),
    [
        (lambda body: "stop" in body, {"stop"}),
        (lambda body: body["temperature"] > 1, {"temperature", "seed"}),
        (lambda body: body["max_tokens"] == 4, {"max_tokens"}),
        (has_system, {"system_prompt"}),
    ],
)
def test_a_check_whose_request_is_refused_is_unknown_and_says_why(
    server: Any, refused: Callable[[Body], bool], names: set[str]
) -> None:
    refuse(server, refused)
    report = tried(server)
    assert statuses(report) == dict.fromkeys(NAMES, "ok") | dict.fromkeys(names, "unknown")
    for name in names:
        assert "HTTP 400 from /chat/completions: not with me" in evidence(report, name)


def refuse(server: Any, refused: Callable[[Body], bool]) -> None:
    class Prompts(dict[str, Any]):
        """Stands for the faults of every prompt, and looks at the last request."""

        def get(self, *_: object) -> list[Any]:
            no = web.Response(status=400, text="not with me")
            return [lambda _: no] if refused(server.bodies[-1]) else ["ok"]

    server.faults = Prompts()


def test_a_prompt_that_is_refused_is_left_out(server: Any) -> None:
    refuse(server, lambda body: "CWE-79" in str(body))
    assert statuses(tried(server)) == dict.fromkeys(NAMES, "ok")


def test_a_server_that_refuses_everything_is_an_error(server: Any) -> None:
    refuse(server, lambda _: True)
    with pytest.raises(EngineError, match="not with me"):
        tried(server)
    assert len(server.bodies) == 2


@pytest.mark.parametrize(("retries", "requests"), [(8, 4), (0, 2)])  # each is waited for twice
def test_a_server_that_never_answers_is_an_error_after_two_prompts(
    server: Any, retries: int, requests: int
) -> None:
    server.faults = {prompt: ["wait"] for prompt in PROMPTS}
    with pytest.raises(EngineError, match="TimeoutError"):
        probe(open_model(f"tiny@{server.url}", retries=retries), PROMPTS, timeout=0.1)
    assert len(server.bodies) == requests


def test_a_server_that_dies_under_the_probe_is_one_error(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = open_model(f"tiny@{server.url}", retries=2)
    honest = server.model

    def dying(body: Body) -> Body:
        if len(server.bodies) == 6:  # still one by one
            server.close()
        return dict(honest(body))

    server.model = dying
    with pytest.raises(EngineError, match="ClientConnectorError"):
        probe(model, PROMPTS)
    assert len(caplog.records) == 1


def test_a_server_that_asks_to_wait_is_waited_for(server: Any) -> None:
    busy = web.Response
    later = lambda _: busy(status=429, headers={"Retry-After": "0.05"})  # noqa: E731
    server.faults = {prompt: [later, "ok", later, "ok"] for prompt in PROMPTS}
    assert statuses(tried(server)) == dict.fromkeys(NAMES, "ok")


QWEN = "<|im_start|>{}user\nping<|im_end|>\n<|im_start|>assistant\n"
DEFAULT = "system\nYou are Qwen, created by Alibaba Cloud.<|im_end|>\n<|im_start|>"


@pytest.mark.parametrize(
    ("rendered", "said"),
    [
        (QWEN.format(""), "ok"),
        ("<bos><|turn>user\nping<turn|>\n<|turn>model\n", "ok"),
        ("<s>[INST] ping [/INST]", "ok"),
        ("USER: ping ASSISTANT:", "ok"),
        ("### Instruction:\nping\n\n### Response:\n", "ok"),
        (QWEN.format("") + "<think>\n\n</think>\n\n", "ok"),
        (QWEN.format(DEFAULT), '"You are Qwen, created by Alibaba Cloud."'),
        ("<s>[INST] ping Answer in English. [/INST]", '"Answer in English."'),
    ],
)
def test_what_a_template_adds_is_quoted(rendered: str, said: str) -> None:
    replies = [Response(0, 0, "", "length", n, 1) for n in (9, 13, 14)]
    status, sentence = system_prompt(replies, rendered, "ping")
    if said == "ok":
        assert status == "ok"
    else:
        assert (status, sentence) == ("failed", f"the model reads more than the chat: {said}")


def test_a_rendering_that_the_server_shows_is_quoted_in_the_report(server: Any) -> None:
    server.root = {"/apply-template": {"prompt": QWEN.format(DEFAULT)}}
    [failed] = tried(server).failed
    assert (failed.name, "created by Alibaba Cloud" in failed.evidence) == ("system_prompt", True)


def test_the_stop_word_is_never_where_the_text_begins() -> None:
    assert stop_word("one two three four") == "three"
    assert stop_word("aaa aaa aaa bbb") == "bbb"
    assert stop_word("aaa aaa aaa aaa") == ""
    assert stop_word("海" * 20 + "上有一座很老的灯塔和它的守护者") == "海海海上"
    assert stop_word("one two caf\ufffd four") == "four"
    assert stop_word("a b c") == stop_word("") == ""
