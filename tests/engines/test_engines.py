"""What every engine in the registry keeps to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cybersecqwen.engines import ENGINES, Engine, engine_of, open_model
from cybersecqwen.errors import CyberSecQwenError, EngineError, InputError
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Request
from cybersecqwen.training.gguf_writer import About, write_gguf

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
    if request.param in ("transformers", "smollm2"):  # the second is a folder too, made once
        engine = ENGINES[request.param](get("model_folder"), kind="instruct", batch_size=8)
        return Case(engine, ask(N, max_tokens=100_000), [])  # refused before any work
    if request.param == "gguf":
        pytest.importorskip("gguf")
        get("monkeypatch").setenv("CYBERSECQWEN_CACHE", str(get("tmp_path") / "cache"))
        file = get("tmp_path") / "tiny.gguf"
        write_gguf(get("model_folder"), file, weights="f16", about=About("tiny", "mit", "none"))
        return Case(open_model(file).engine, ask(N, max_tokens=100_000), [])
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


@pytest.fixture
def strings(model_folder: Path, recording: Any, tmp_path: Path) -> dict[str, list[str]]:
    """List, by the engine that opens them, strings that name a model."""
    gguf = tmp_path / "exported" / "tiny.gguf"
    gguf.parent.mkdir()
    gguf.write_bytes(b"GGUF")
    answers = recording([{"item": 0, "text": "CWE-79"}], "recorded/answers.jsonl")
    urls = ["http://localhost:8000", "HTTPS://host/v1", "org/model@http://localhost:8000/v1"]
    return {
        "embedded": ["embedded"],
        "smollm2": ["smollm2"],
        "http": [*urls, "http://host/answers.jsonl"],
        "gguf": [str(gguf)],
        "transformers": [str(model_folder), str(model_folder.parent), "docs"],
        "replay": [str(answers), str(answers.parent), "missing/answers.csv.gz"],
    }


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_an_engine_recognises_its_own_models_and_no_other(
    name: str, strings: dict[str, list[str]]
) -> None:
    own = strings[name]  # an engine without strings has no case here yet
    others = [model for engine, models in strings.items() if engine != name for model in models]
    assert [model for model in own if not ENGINES[name].recognises(model)] == []
    assert [model for model in others if ENGINES[name].recognises(model)] == []
    assert {engine_of(model) for model in own} == {name}
    assert not any(ENGINES[name].recognises(text) for text in ("", "none", "localhost:8000/v1"))


def test_an_opened_model_has_a_name_and_an_identity(
    model_folder: Path, recording: Any, server: Any
) -> None:
    answers = recording([{"item": 0, "text": "CWE-79"}], "recorded/answers.jsonl")
    opened = [open_model(m) for m in ("embedded", model_folder, answers, f"a/b@{server.url}")]
    assert [model.name for model in opened] == ["embedded", "tiny", "answers", "b"]
    embedded, folder, recorded, served = (model.identity for model in opened)
    assert set(embedded) == {"version", "artifacts"}
    assert "model.safetensors" in folder["files"]
    assert list(recorded["responses"]) == ["answers.jsonl"]
    assert served == {"url": server.url, "model": "a/b"}


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://localhost:8000/v1/"])
def test_a_server_is_the_same_however_its_url_is_written(url: str) -> None:
    known = open_model("tiny@http://localhost:8000/v1").identity
    assert open_model(f"tiny@{url}").identity == known


def test_a_url_alone_is_the_only_model_of_the_server(server: Any) -> None:
    assert open_model(server.url).identity["model"] == "tiny"
    names = [f"m{i}" for i in range(12)]
    server.listing = json.dumps({"data": [{"id": name} for name in names]})
    with pytest.raises(InputError, match=r"has 12 models: m0, .*, m9, … \(name one, as m0@http"):
        open_model(server.url)
    server.listing = "none"
    with pytest.raises(EngineError, match="does not list its models"):
        open_model(server.url)


def test_what_is_no_model_says_what_is_one(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "merged").mkdir(parents=True)
    (run / "merged" / "config.json").write_text("{}")
    (run / "train.jsonl").write_text("{}\n")
    (tmp_path / "empty").mkdir()
    wrong = {
        "embeded": "'embeded' is not a model (give embedded, smollm2, a model folder,",
        f"{tmp_path}/none": "/none' is not a model (give embedded, smollm2, a model folder,",
        f"{tmp_path}/none.jsonl": "none.jsonl: no such file or folder",
        f"{tmp_path}/empty": "empty: no config.json in this folder",
        str(run): f"run: this is a run folder, not a model (its model is {run / 'merged'})",
        "http://user:secret@localhost/v1": "a server URL may hold no password",
    }
    for model, message in wrong.items():
        with pytest.raises(CyberSecQwenError) as caught:
            open_model(model)
        assert message in str(caught.value)


def test_importing_the_engines_is_cheap() -> None:
    # `--help` imports them all, and torch alone takes two seconds.
    heavy = ("torch", "transformers", "aiohttp", "httpx2", "numpy")
    code = f"import sys, cybersecqwen.engines; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
