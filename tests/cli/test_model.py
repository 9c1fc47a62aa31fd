"""A model has one spelling on every command line, and the older ones name the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.cli.model import one_model, read_fields, take_engine_options
from cybersecqwen.cli.stages import take_inputs
from cybersecqwen.files import read_json
from cybersecqwen.sample import BENCHMARK

URL = "http://localhost:8000/v1"
NOWHERE: Any = (None, None)  # the context and the option of a value


@pytest.mark.parametrize(
    ("model", "older", "named"),
    [
        (None, {}, None),
        ("embedded", {}, "embedded"),
        (f"m@{URL}", {}, f"m@{URL}"),
        (URL, {}, URL),
        ("answers.jsonl", {}, "answers.jsonl"),
        ("m", {"url": URL}, f"m@{URL}"),
        ("org/m", {"engine": URL}, f"org/m@{URL}"),
        (None, {"url": URL, "engine": None}, URL),
        (None, {"engine": "embedded"}, "embedded"),
        (None, {"responses": "answers.csv"}, "answers.csv"),
    ],
)
def test_a_model_is_named_in_one_way_or_an_older_one(
    model: str | None, older: dict[str, str | None], named: str | None
) -> None:
    assert one_model(model, **older) == named


@pytest.mark.parametrize(
    ("model", "older", "message"),
    [
        ("embeded", {}, "'embeded' is not a model"),
        ("m", {"engine": "embedded"}, "embedded and m are two models"),
        (None, {"url": URL, "responses": "answers.csv"}, "are two models"),
        ("m", {"url": URL, "engine": "embedded"}, "are two models"),
    ],
)
def test_two_models_or_none_at_all_are_refused(
    model: str, older: dict[str, str | None], message: str
) -> None:
    with pytest.raises(click.UsageError, match=message):
        one_model(model, **older)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ("reasoning_effort=low", ("reasoning_effort", "low")),
        ("seed=", ("seed", None)),
        ("stop=null", ("stop", None)),
        ("top_k=20", ("top_k", 20)),
        ('extra={"a": [1, true]}', ("extra", {"a": [1, True]})),
        ("user=a=b", ("user", "a=b")),
        ("deep=" + "[" * 100_000, ("deep", "[" * 100_000)),
    ],
)
def test_a_field_of_a_request_is_json_or_a_text_or_left_out(typed: str, field: Any) -> None:
    assert read_fields(*NOWHERE, (typed,)) == dict([field])


@pytest.mark.parametrize("typed", ["", "seed", "=1"])
def test_what_is_no_field_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="is not KEY=VALUE"):
        read_fields(*NOWHERE, (typed,))


@pytest.mark.parametrize(
    ("given", "model", "message"),
    [
        ({"retries": 3}, "embedded", "--retries is for a server, not for embedded"),
        ({"batch_size": 3}, URL, "--batch-size is for a model folder"),
        ({"ca_bundle": Path("ca.pem")}, None, "--ca-bundle is for a server, and none is named"),
        ({"request": {"seed": None}}, "answers.jsonl", "--request is for a server"),
    ],
)
def test_an_option_without_an_effect_is_refused(given: Any, model: Any, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        take_engine_options(given, model)


def test_what_is_not_given_is_left_to_the_engine() -> None:
    options = {"request": {"seed": None}, "timeout": 5.0, "retries": None, "top": 3}
    assert take_engine_options(options, URL) == {"request": {"seed": None}, "timeout": 5.0}
    assert options == {"top": 3}


def measure(server: Any, out: Path, *options: str) -> Any:
    where = ["--benchmark", str(BENCHMARK), "--out", str(out), "--task", "cti-rcm", "--trials", "1"]
    command = ["evaluate", "--model", f"tiny@{server.url}", "--no-probe", *where, *options]
    return CliRunner().invoke(main, command)


def test_a_part_of_a_task_is_marked_and_settings_of_requests_are_kept(
    server: Any, tmp_path: Path
) -> None:
    server.model = lambda _: {"choices": [{"message": {"content": "CWE-79"}}]}
    own = ["--request", "seed=", "--request", "max_completion_tokens=max_tokens"]
    result = measure(server, tmp_path, "--limit", "3", *own)
    assert result.exit_code == 0
    assert "partial: 3 of 60 items, not the task's score" in result.stdout
    assert "modified: trials=1, limit=3, seed=;" in result.stdout
    assert len(server.bodies) == 3
    assert all("seed" not in body for body in server.bodies)
    assert {body["max_completion_tokens"] for body in server.bodies} == {512}
    folder = tmp_path / "evaluation" / "cti-rcm" / "model-card"
    scores = read_json(folder / "scores.json")
    assert (scores["partial"], scores["items"], scores["of"]) == (True, 3, 60)
    made_from = read_json(folder / "manifest.json")["made_from"]
    assert made_from["inputs"]["model"]["request"] == {
        "seed": "",
        "max_completion_tokens": "max_tokens",
    }
    changed = measure(server, tmp_path, "--limit", "3", *own[2:])
    assert changed.exit_code == 1
    assert "inputs.model.request.seed was , is absent" in changed.stderr
    scored = CliRunner().invoke(main, ["score", str(tmp_path), "--benchmark", str(BENCHMARK)])
    assert "partial: 3 of 60 items" in scored.stderr


def test_requests_that_may_fail_count_as_wrong_and_are_told(server: Any, tmp_path: Path) -> None:
    from aiohttp import web

    calls = iter(range(100))

    def answer(_: Any) -> Any:
        if next(calls) == 4:
            raise web.HTTPBadRequest(text="too long")
        return {"choices": [{"message": {"content": "CWE-79"}}]}

    server.model = answer
    refused = measure(server, tmp_path / "a", "--limit", "9")
    assert (refused.exit_code, "too long" in refused.stderr) == (1, True)
    calls = iter(range(100))
    result = measure(server, tmp_path / "b", "--limit", "9", "--allow-failed", "1", "--json")
    assert result.exit_code == 0
    scores = read_json(tmp_path / "b" / "evaluation" / "cti-rcm" / "model-card" / "scores.json")
    assert (scores["failed"], scores["trials"][0]["failed"], scores["trials"][0]["n"]) == (1, 1, 9)
    assert scores["details"]["answers"]["finish_reasons"]["failed"] == 1
    assert scores["trials"][0]["parseable"] == 8
    table = measure(server, tmp_path / "b", "--limit", "9").stdout
    assert "failed requests, counted as wrong: 1" in table


@pytest.mark.parametrize("command", [["classify", "SQL injection", "--model"], ["probe"]])
def test_every_command_sets_fields_of_the_requests(server: Any, command: list[str]) -> None:
    own = ["--request", "top_k=5", "--request", "seed=", "--timeout", "9", "--retries", "1"]
    honest = server.model
    server.model = lambda body: honest({"seed": 1, **body})
    result = CliRunner().invoke(main, [*command, f"tiny@{server.url}", *own])
    assert result.exit_code in (0, 3)  # of a probe: the seed is not honoured
    assert all(body["top_k"] == 5 and "seed" not in body for body in server.bodies)
    assert server.bodies


def test_a_teacher_is_opened_with_the_same_options() -> None:
    given = {"request": {"top_k": 5}, "timeout": None, "retries": 2}
    inputs = take_inputs({"teacher": f"m@{URL}", **given})
    assert inputs.teacher_options == {"request": {"top_k": 5}, "retries": 2}
    with pytest.raises(click.UsageError, match="--request is for a server, and none is named"):
        take_inputs({"teacher": None, **given})
