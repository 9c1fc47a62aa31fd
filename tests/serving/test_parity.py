"""Parity names what differs, where, and by how much; what is the same passes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.cli import main
from cybersecqwen.engines import open_model
from cybersecqwen.errors import EngineError
from cybersecqwen.files import Json, read_json, write_jsonl
from cybersecqwen.manifest import make_stage
from cybersecqwen.pipeline import evaluate_model, open_run
from cybersecqwen.pipeline.exports import export, open_exports
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.serving.loss import losses
from cybersecqwen.serving.observation import LocalModel, RemoteModel
from cybersecqwen.serving.parity import TOLERANCES, Subject, check_parity, open_folder
from cybersecqwen.training.export import FORMATS

PROMPTS = ["a buffer overflow in the parser", "remote attackers write past an array"]


@pytest.fixture(scope="session")
def reference(model_folder: Path) -> LocalModel:
    return open_folder(model_folder)


def check(reference: LocalModel, opened: Any, form: str = "merged", *, prompts: int = 2) -> Json:
    report = check_parity(reference, [Subject("it", form, opened)], PROMPTS[:prompts], length=8)
    assert report["passed"] == report["subjects"][0]["passed"]
    return dict(report["subjects"][0])


def test_a_model_is_in_parity_with_itself(reference: LocalModel, model_folder: Path) -> None:
    it = check(reference, lambda: open_folder(model_folder), "safetensors")
    assert it["passed"] and it["template"] == it["tokens"] == "identical"
    assert (it["max_abs_difference"], it["agreement"], it["equal_answers"]) == (0, 1, 2)
    assert it["first_difference"] is None
    assert it["steps"] == sum(len(reference.answer(prompt, 8)) + 1 for prompt in PROMPTS)


def test_a_damaged_model_fails_and_the_first_token_is_named(
    reference: LocalModel, model_folder: Path
) -> None:
    def damaged() -> LocalModel:
        other = open_folder(model_folder)
        other.model.model.layers[1].mlp.down_proj.weight.data.mul_(-1)
        return other

    it = check(reference, damaged, "gguf-q8_0")
    assert it["failures"] == ["max_abs_difference", "agreement"]
    first, written = it["first_difference"], reference.answer(PROMPTS[0], 8)
    assert (first["prompt"], first["in"]) == (0, "answer")
    assert first["reference"] == reference.spelled(written[first["position"]])
    assert first["other"] != first["reference"]


def test_a_system_prompt_is_a_difference_of_the_text(
    reference: LocalModel, model_folder: Path
) -> None:
    def instructed() -> LocalModel:
        other = open_folder(model_folder)
        other.tokenizer.chat_template = "Be brief.\n" + other.tokenizer.chat_template
        return other

    it = check(reference, instructed)
    assert it["failures"][:2] == ["template", "tokens"]
    assert it["equal_answers"] == 0  # it says of the answers too that they differ
    first = it["first_difference"]
    assert (first["in"], first["position"]) == ("template", 0)
    assert first["reference"].startswith("<|im_start|>user")
    assert first["other"].startswith("Be brief.")


def serve(server: Any, reference: LocalModel, *, told: bool = True) -> RemoteModel:
    """Let the server answer as the reference does; of the first prompt it tells text and tokens."""
    seen = reference.observe(PROMPTS[0], reference.answer(PROMPTS[0], 8))

    def answer(body: Json) -> Json:
        written = reference.answer(body["messages"][-1]["content"], body["max_tokens"])
        seen = reference.observe(body["messages"][-1]["content"], written)
        content = [
            {
                "token": token,
                "logprob": step[token],
                "top_logprobs": [{"token": t, "logprob": p} for t, p in step.items()],
            }
            for token, step in zip(seen.written, seen.steps, strict=True)
        ][: body["max_tokens"]]
        text = reference.tokenizer.decode(written, skip_special_tokens=True)
        choice: Json = {"finish_reason": "stop" if len(written) < body["max_tokens"] else "length"}
        choice |= {"message": {"role": "assistant", "content": text}}
        choice |= {"logprobs": {"content": content}} if told else {}
        return {"choices": [choice], "usage": {"prompt_tokens": seen.length}}

    server.model = answer
    if told:
        server.root = {"/apply-template": {"prompt": seen.rendered}}
        server.root["/tokenize"] = {"tokens": seen.tokens}
    return RemoteModel(server.url, frozenset())


def test_a_server_of_the_model_is_in_parity(server: Any, reference: LocalModel) -> None:
    it = check(reference, serve(server, reference), prompts=1)
    assert it["passed"] and it["template"] == it["tokens"] == "identical"
    assert it["max_abs_difference"] == 0 and it["agreement"] == 1
    asked = server.bodies[0]
    assert (asked["model"], asked["temperature"], asked["logprobs"]) == ("tiny", 0, True)


def test_of_tokens_with_one_text_the_likeliest_is_compared(
    server: Any, reference: LocalModel
) -> None:
    remote = serve(server, reference)
    told = server.model

    def answer(body: Json) -> Json:
        answered = told(body)
        for step in answered["choices"][0]["logprobs"]["content"]:  # llama.cpp's special tokens
            step["top_logprobs"].append({"token": step["token"], "logprob": -20.0})
        return dict(answered)

    server.model = answer
    assert check(reference, remote, prompts=1)["max_abs_difference"] == 0


def test_a_server_that_reads_other_tokens_is_named_by_the_first(
    server: Any, reference: LocalModel
) -> None:
    remote = serve(server, reference)
    tokens = server.root["/tokenize"]["tokens"]
    server.root["/tokenize"] = {"tokens": [*tokens[:3], 7, *tokens[4:]]}
    it = check(reference, remote, prompts=1)
    assert it["failures"] == ["tokens"]
    first = it["first_difference"]
    assert (first["in"], first["position"]) == ("tokens", 3)
    assert first["reference"] == f"{tokens[3]} {reference.spelled(tokens[3])!r}"
    assert first["other"].startswith("7 ")


def test_a_server_is_held_to_its_answers_where_it_tells_no_more(
    server: Any, reference: LocalModel
) -> None:
    it = check(reference, serve(server, reference, told=False))
    assert it["passed"] and it["template"] is None and it["steps"] == 0
    assert it["tokens"] == "identical"  # their number, which every server counts
    told = server.model
    for text in ("CWE-1", ""):
        message = {"message": {"role": "assistant", "content": text}}
        server.model = lambda body, new=message: told(body) | {"choices": [new]}
        it = check(reference, RemoteModel(server.url, frozenset()))
        assert it["failures"] == ["answers"] and it["equal_answers"] == 0
        assert it["first_difference"]["in"] == "answer"
    server.model = lambda body: told(body) | {"usage": {"prompt_tokens": 99}}
    it = check(reference, RemoteModel(server.url, frozenset()))
    assert it["failures"] == ["tokens"]
    assert it["first_difference"]["in"] == "number of tokens"
    assert it["first_difference"]["other"] == "99"


def test_a_server_that_is_not_there_is_one_line(reference: LocalModel) -> None:
    remote = RemoteModel("tiny@http://127.0.0.1:9/v1", frozenset())
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9.*is the server up") as caught:
        check(reference, remote)
    assert "\n" not in str(caught.value)


@pytest.fixture
def run(tmp_path: Path, model_folder: Path) -> Path:
    """Give a run folder whose merged model is the tiny one, with an export of it."""
    folder = tmp_path / "run"
    open_run("smoke", folder)
    made_from = {"config": {}, "inputs": {}}
    make_stage(folder / "merged", made_from, lambda f: shutil.copytree(model_folder, f))
    export(open_exports(folder), "safetensors")
    return folder


def test_the_command_writes_parity_and_its_exit_status_says_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = PROMPTS  # the benchmark's are longer than what the tiny model reads
    monkeypatch.setattr("cybersecqwen.pipeline.exports._prompts", lambda _run, n: questions[:n])
    line = ["parity", str(run), "--benchmark", str(BENCHMARK), "--tokens", "4"]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0, result.output
    assert "safetensors | identical | identical | 2 of 2" in " ".join(result.stdout.split())
    report = read_json(run / "parity.json")
    assert report["passed"] and report["scores"] == []
    monkeypatch.setattr(
        "cybersecqwen.serving.parity.TOLERANCES",
        {"safetensors": TOLERANCES["safetensors"]._replace(agreement=1.1)},
    )
    result = CliRunner().invoke(main, [*line, "--json"])
    assert result.exit_code == 3
    assert json.loads(result.stdout)["subjects"][0]["failures"] == ["agreement"]


def test_every_format_has_its_tolerance() -> None:
    assert TOLERANCES.keys() == {"merged", "adapter", *FORMATS}


@pytest.mark.parametrize("server", ["embedded", "gguf-q9=http://localhost:1/v1", "answers.jsonl"])
def test_what_is_no_server_is_refused(run: Path, server: str) -> None:
    result = CliRunner().invoke(main, ["parity", str(run), "--server", server])
    assert result.exit_code == 2
    assert "is no server: give URL, NAME@URL or FORMAT=URL" in " ".join(result.stderr.split())


def test_stored_answers_say_what_an_export_costs(tmp_path: Path) -> None:
    items = read_items(BENCHMARK, "cti-rcm")
    protocol = replace(find_protocol("model-card"), seeds=(42,))
    folders = [tmp_path / "run", tmp_path / "run" / "exports" / "int4"]
    for folder, wrong in zip(folders, (0, len(items)), strict=True):
        answers = [i.gold if i.index >= wrong else "CWE-1" for i in items]
        rows = ({"item": i.index, "text": a} for i, a in zip(items, answers, strict=True))
        write_jsonl(tmp_path / "a.jsonl", rows)
        model = open_model(tmp_path / "a.jsonl")
        evaluate_model(model, protocol, tasks=("cti-rcm",), benchmark=BENCHMARK, out=folder)
    (row,) = losses(folders[0], folders[1:], BENCHMARK)
    assert (row["format"], row["score"], row["difference"]) == ("int4", 0, -1)
    assert row["interval"][1] <= 0 and row["verdict"] == "worse"
    assert losses(folders[0], [tmp_path / "nothing"], BENCHMARK) == []
