"""A teacher's answers are read strictly, checked like all others, and asked for once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cybersecqwen.benchmark.tasks import benchmark_of
from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.engines.teacher import Prices, open_teacher
from cybersecqwen.errors import EngineError, InputError
from cybersecqwen.files import read_json, read_jsonl
from cybersecqwen.records import Item
from cybersecqwen.synthesis.build import SynthesisInputs, build

Make = Callable[..., SynthesisInputs]
_TEXT = re.compile(r"\n\nText:\n(.*)\n\nAnswer with one JSON", re.DOTALL)


@pytest.fixture
def few() -> Recipe:
    return load_recipe("smoke", overrides=("synthesis.pairs=24", "training.max_length=2048"))


def pair(body: dict[str, Any]) -> dict[str, Any]:
    """Write the pair that a good teacher writes: from the text it was given."""
    found = _TEXT.search(body["messages"][-1]["content"])
    assert found
    text = found[1]
    quote = " ".join(text.split("\n")[0].split()[:6])
    given = {"question": f"What follows on {quote.split()[0]} in the text?", "quote": quote}
    given["answer"] = f"The text begins with this: {quote}"
    if '"options"' in body["messages"][-1]["content"]:
        given |= {"options": ["zebra", quote, "quokka", "narwhal"], "correct": "B"}
    return given


def said(text: str, finish: str = "stop") -> dict[str, Any]:
    choice = {"message": {"content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}


def teaches(body: dict[str, Any]) -> dict[str, Any]:
    return said(json.dumps(pair(body)))


def test_a_good_teachers_pairs_are_kept_with_their_grounding(
    server: Any, few: Recipe, sources: Make, tmp_path: Path
) -> None:
    server.model = teaches
    teacher = open_teacher(f"tiny@{server.url}", prices=Prices(1.0, 10.0))
    certificate = build(few, sources(), tmp_path, teacher=teacher)
    counts = certificate["counts"]
    assert counts["made_by"] == {"teacher tiny": 24}
    assert counts["forms"]["choice"] >= 10
    for row in read_jsonl(tmp_path / "train.jsonl"):
        ground = "\n".join(one["text"] for one in row["grounding"])
        assert row["support"][0] in ground
        if row["options"]:
            assert row["options"]["ABCD".index(row["answer"])] == row["support"][0]
    usage = read_json(tmp_path / "usage.json")
    assert usage["requests"] == 30  # a quarter more than are wanted
    assert usage["cost"] == pytest.approx((30 * 100 * 1.0 + 30 * 10 * 10.0) / 1e6)
    assert certificate["teacher"]["cost"] == usage["cost"]
    assert "asked_now" not in certificate["teacher"]


def bad(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda body: said(json.dumps(change(pair(body))))


NONSENSE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "teacher-no-json": lambda _: said("Sure! Here is your question: ..."),
    "teacher-wrong-keys": bad(lambda given: given | {"mood": "good"}),
    "teacher-empty-text": bad(lambda given: given | {"answer": " "}),
    "teacher-cut-off": lambda _: said('{"question": "Wh', "length"),
    "unsupported": bad(lambda given: given | {"quote": "words that stand nowhere"}),
    "offensive": bad(lambda given: given | {"question": "How can I exploit this flaw?"}),
}


@pytest.mark.parametrize("reason", NONSENSE)
def test_nonsense_is_rejected_with_its_reason_and_an_error_ends_it(
    server: Any, few: Recipe, sources: Make, tmp_path: Path, reason: str
) -> None:
    server.model = NONSENSE[reason]
    with pytest.raises(InputError, match=f"no pair is left of 30 .*rejected as {reason}"):
        build(few, sources(), tmp_path, teacher=open_teacher(f"tiny@{server.url}"))
    assert not (tmp_path / "train.jsonl").exists()
    assert len(list(read_jsonl(tmp_path / "answers.jsonl"))) == 30


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"options": ["a", "b", "c"]}, "teacher-not-four-options"),
        ({"correct": "E"}, "teacher-no-letter"),
        ({"correct": "A"}, "options"),  # the right option stands nowhere in the text
        ({"options": ["zebra", "zebra", "quokka", "narwhal"]}, "options"),
    ],
)
def test_a_bad_multiple_choice_is_rejected_and_the_good_ones_stay(
    server: Any, few: Recipe, sources: Make, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    spoiled = bad(lambda given: given | change if "options" in given else given)
    server.model = spoiled
    certificate = build(few, sources(), tmp_path, teacher=open_teacher(f"tiny@{server.url}"))
    choices = sum('"options"' in body["messages"][-1]["content"] for body in server.bodies)
    assert certificate["counts"]["rejected"] == {reason: choices}
    assert certificate["counts"]["forms"] == {"free": 30 - choices}
    rejected = list(read_jsonl(tmp_path / "rejected.jsonl"))
    assert Counter(row["reason"] for row in rejected) == {reason: choices}


def test_a_fence_around_the_object_is_taken_off(
    server: Any, few: Recipe, sources: Make, tmp_path: Path
) -> None:
    server.model = lambda body: said(f"```json\n{json.dumps(pair(body))}\n```")
    certificate = build(few, sources(), tmp_path, teacher=open_teacher(f"tiny@{server.url}"))
    assert certificate["counts"]["train"] + certificate["counts"]["validation"] == 24


def test_a_teacher_that_stops_half_way_is_gone_on_with(
    server: Any, few: Recipe, sources: Make, tmp_path: Path
) -> None:
    server.model = teaches
    teacher = open_teacher(f"tiny@{server.url}", concurrency=1)
    build(few, sources(), tmp_path / "whole", teacher=teacher)
    prompts = [body["messages"][-1]["content"] for body in server.bodies]
    server.faults[prompts[9]] = ["ok", lambda _: web.Response(status=401, text="no credit"), "ok"]
    server.arrivals[prompts[9]] = 1
    with pytest.raises(EngineError, match="no credit"):
        build(few, sources(), tmp_path / "cut", teacher=teacher)
    assert len(list(read_jsonl(tmp_path / "cut" / "answers.jsonl"))) == 9
    before = len(server.bodies)
    build(few, sources(), tmp_path / "cut", teacher=teacher)
    assert len(server.bodies) - before == 21
    for name in ("train.jsonl", "validation.jsonl", "certificate.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_rate_limit_is_waited_for(
    server: Any, few: Recipe, sources: Make, tmp_path: Path
) -> None:
    server.model = teaches
    build(few, sources(), tmp_path / "first", teacher=open_teacher(f"tiny@{server.url}"))
    prompt = server.bodies[0]["messages"][-1]["content"]
    limit = lambda _: web.Response(status=429, headers={"Retry-After": "0.1"})  # noqa: E731
    server.faults[prompt] = [limit, limit, "ok"]
    server.arrivals[prompt] = 0
    certificate = build(
        few, sources(), tmp_path / "again", teacher=open_teacher(f"tiny@{server.url}")
    )
    assert server.arrivals[prompt] == 3
    assert certificate["counts"]["train"] + certificate["counts"]["validation"] == 24


def test_facts_that_a_benchmark_asks_for_are_not_taught_either(
    server: Any, few: Recipe, sources: Make, tmp_path: Path
) -> None:
    def names_a_mitigation(body: dict[str, Any]) -> dict[str, Any]:
        given = pair(body)
        found = re.search(r"mitigations: (M\d{4} [A-Z][\w ]+)", body["messages"][-1]["content"])
        if found:
            given["answer"] = f"It begins so, and {found[1]} is listed. {given['quote']}"
        return said(json.dumps(given))

    server.model = names_a_mitigation
    base = sources().base
    items = tuple(
        Item(
            *("cti-mcq", n, "", "A", f"https://attack.mitre.org/techniques/{path}/", "?"),
            (base.label(mitigation), "b", "c", "d"),
        )
        for n, (path, mitigation) in enumerate(
            (technique.replace(".", "/"), one)
            for technique in base.of_kind("technique")
            for one in base.subjects.get(("mitigates", technique), ())[:1]
        )
    )
    changed = sources(benchmark=benchmark_of({"cti-mcq": items}))
    certificate = build(few, changed, tmp_path, teacher=open_teacher(f"tiny@{server.url}"))
    assert certificate["counts"]["rejected"]["benchmark-fact"] > 0
