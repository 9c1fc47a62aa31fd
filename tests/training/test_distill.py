"""A real server that teaches as it is told to: what is kept, what is not, and how it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.errors import EngineError, InputError, RecipeError
from cybersecqwen.files import Json, read_json, read_jsonl
from cybersecqwen.prompts import TEACHER
from cybersecqwen.records import Item
from cybersecqwen.training.base import load_tokenizer
from cybersecqwen.training.distill import DistillationData, distill
from cybersecqwen.training.random_base import prepare_base
from cybersecqwen.training.sft import make_trainer
from engines.conftest import server
from training.conftest import KINDS, PLACES, files_of, tiny

__all__ = ["server"]

GOLD = {text.split("{}")[1]: cwe for cwe, text in KINDS}  # by the words that only its kind has


def gold_of(prompt: str) -> str:
    return next(cwe for words, cwe in GOLD.items() if words in prompt)


def answer(text: str, finish_reason: str = "stop") -> Json:
    choice = {"message": {"content": text}, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}


def teaches(body: Json) -> Json:
    """Know the gold, and give another reason for it to each seed."""
    gold = gold_of(body["messages"][-1]["content"])
    return answer(f"Reason {body['seed']}: what is stated leads there.\n\n{gold}")


def recipe(server: Any, *overrides: str) -> Recipe:
    named = ("distillation.teacher=tiny", f"distillation.url={server.url}")
    return tiny(*named, "distillation.concurrency=1", *overrides)


@pytest.fixture(scope="module")
def sources(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> DistillationData:
    train = corpus / "train.jsonl"
    base = prepare_base(tiny(), train, tmp_path_factory.mktemp("base") / "base")
    item = Item("cti-rcm", 0, "", "CWE-22", text="A path of an archive leaves the folder.")
    return DistillationData(train, base, {"cti-rcm": (item,)})


def test_traces_take_the_place_of_the_completions(
    server: Any, sources: DistillationData, tmp_path: Path
) -> None:
    server.model = teaches
    made = recipe(server, "distillation.prompt_price=1", "distillation.completion_price=10")
    certificate = distill(made, sources, tmp_path)
    before, after = list(read_jsonl(sources.train)), list(read_jsonl(tmp_path / "train.jsonl"))
    assert [row["prompt"] for row in after] == [row["prompt"] for row in before]
    assert all(row["completion"].startswith("Reason 42: ") for row in after)
    assert all(row["completion"].endswith(f"\n\n{row['cwe']}") for row in after)
    assert {row["completion_by"] for row in after} == {"tiny"}
    assert (certificate["yield"], certificate["agreement"]) == (1.0, 1.0)
    assert certificate["tokens"] == {"prompt": 2400, "completion": 240}
    assert certificate["cost"] == pytest.approx((2400 * 1 + 240 * 10) / 1e6)
    assert certificate == read_json(tmp_path / "certificate.json")


def test_the_teacher_sees_the_prompt_and_never_the_label(
    server: Any, sources: DistillationData, tmp_path: Path
) -> None:
    server.model = teaches
    distill(recipe(server), sources, tmp_path)
    rows = list(read_jsonl(sources.train))
    for row, body in zip(rows, server.bodies, strict=True):
        assert [turn["content"] for turn in body["messages"]] == [TEACHER, row["prompt"]]
        assert row["cwe"] not in json.dumps(body["messages"])


def test_what_is_not_kept_is_kept_apart_with_its_reason(
    server: Any, sources: DistillationData, tmp_path: Path
) -> None:
    def half_right(body: Json) -> Json:
        prompt = body["messages"][-1]["content"]
        if gold_of(prompt) == "CWE-89":
            return answer("It is a guess.\n\nCWE-20")
        if "login" in prompt:
            return answer(f"Cut off.\n\n{gold_of(prompt)}", "length")
        if "upload" in prompt:
            return answer(f"{'very ' * 500}long.\n\n{gold_of(prompt)}")
        return teaches(body)

    server.model = half_right
    certificate = distill(recipe(server), sources, tmp_path)
    places = len(PLACES)
    rejected = list(read_jsonl(tmp_path / "rejected.jsonl"))
    assert certificate["answers"]["rejected"] == {
        "wrong-label": places,
        "truncated": 2,
        "too-long": 2,
    }
    assert len(rejected) == places + 4
    wrong = next(row for row in rejected if row["reason"] == "wrong-label")
    assert (wrong["answer"], wrong["gold"]) == ("It is a guess.\n\nCWE-20", "CWE-89")
    assert wrong["detail"] == "CWE-20"
    assert "more than max_length 512" in next(
        row["detail"] for row in rejected if row["reason"] == "too-long"
    )
    by_class = certificate["agreement_by_class"]
    assert by_class["CWE-89"] == {"answers": places, "agree": 0, "kept": 0, "agreement": 0.0}
    assert by_class["CWE-79"] == {"answers": places, "agree": 8, "kept": 6, "agreement": 1.0}
    assert certificate["examples"] == {"corpus": 24, "with_trace": 12, "train": 12}
    assert len(list(read_jsonl(tmp_path / "train.jsonl"))) == 12


def test_an_example_without_a_trace_may_keep_its_completion(
    server: Any, sources: DistillationData, tmp_path: Path
) -> None:
    server.model = lambda body: (
        teaches(body) if gold_of(body["messages"][-1]["content"]) == "CWE-79" else answer("No.")
    )
    distill(recipe(server, "distillation.without_trace=direct"), sources, tmp_path)
    rows = list(read_jsonl(tmp_path / "train.jsonl"))
    before = {row["prompt"]: row["completion"] for row in read_jsonl(sources.train)}
    assert len(rows) == 24
    for row in rows:
        by = "tiny" if row["cwe"] == "CWE-79" else "corpus"
        assert row["completion_by"] == by
        assert (row["completion"] == before[row["prompt"]]) == (by == "corpus")


def test_of_several_samples_the_first_distinct_ones_are_kept(
    server: Any, sources: DistillationData, tmp_path: Path
) -> None:
    server.model = lambda body: teaches(body | {"seed": min(body["seed"], 44) // 2})
    wanted = ("distillation.samples=4", "distillation.traces=2")
    certificate = distill(recipe(server, *wanted), sources, tmp_path)
    # Seeds 42 and 43 say the same, 44 another thing, and 45 that again.
    assert certificate["answers"] == {"asked": 96, "kept": 48, "rejected": {"duplicate": 48}}
    assert len(list(read_jsonl(tmp_path / "train.jsonl"))) == 48
    one = distill(recipe(server, "distillation.samples=4"), sources, tmp_path / "one")
    assert one["answers"]["rejected"] == {"duplicate": 24, "surplus": 48}


def test_nonsense_is_rejected_with_reasons_and_ends_in_one_line(
    server: Any, sources: DistillationData, tmp_path: Path
) -> None:
    server.model = lambda body: answer("🦆" if body["seed"] == 42 else "CWE-79 CWE-9999999")
    with pytest.raises(InputError) as caught:
        distill(recipe(server, "distillation.samples=2"), sources, tmp_path)
    said = str(caught.value)
    assert "none of 48 answers of tiny can be kept: 24 no-label, 24 wrong-label" in said
    assert "\n" not in said
    assert len(list(read_jsonl(tmp_path / "rejected.jsonl"))) == 48
    assert not (tmp_path / "train.jsonl").exists()


def test_a_teacher_that_stops_half_way_is_gone_on_with(
    server: Any, sources: DistillationData, tmp_path: Path
) -> None:
    server.model = teaches
    prompt = list(read_jsonl(sources.train))[10]["prompt"]
    server.faults[prompt] = [lambda _: web.Response(status=403, text="out of credit"), "ok"]
    with pytest.raises(EngineError, match="out of credit") as caught:
        distill(recipe(server), sources, tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.jsonl"]
    distill(recipe(server), sources, tmp_path)
    assert len(server.bodies) == 24 + 1  # nothing twice but what failed
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    distill(recipe(server), sources, tmp_path / "whole")
    for name in ("train.jsonl", "rejected.jsonl", "certificate.json"):
        assert (tmp_path / "whole" / name).read_bytes() == whole[name]


def test_a_rate_limit_is_waited_for(server: Any, sources: DistillationData, tmp_path: Path) -> None:
    server.model = teaches
    prompt = list(read_jsonl(sources.train))[3]["prompt"]
    limit: Callable[[web.Request], web.Response] = lambda _: web.Response(  # noqa: E731
        status=429, headers={"Retry-After": "0.1"}
    )
    server.faults[prompt] = [limit, limit, "ok"]
    assert distill(recipe(server), sources, tmp_path)["yield"] == 1.0
    assert server.arrivals[prompt] == 3


def test_training_reads_the_traces(
    server: Any, sources: DistillationData, tmp_path: Path, corpus: Path
) -> None:
    server.model = teaches
    made = recipe(server)
    distill(made, sources, tmp_path)
    data = files_of(corpus)._replace(train=(tmp_path / "train.jsonl",))
    trainer = make_trainer(made, data, tmp_path / "adapter", base=sources.base)
    tokenizer = load_tokenizer(made, sources.base)
    assert len(trainer.train_dataset) == 24
    assert "Reason 42" in tokenizer.decode(trainer.train_dataset[0]["input_ids"])


def test_the_model_that_ships_teaches_without_a_server(tmp_path: Path) -> None:
    from cybersecqwen.pipeline import STAGES, open_run, run_stage

    wanted = ("distillation.teacher=embedded", "corpus.max_examples=40")
    opened = open_run("smoke", tmp_path / "run", overrides=wanted)
    run_stage(STAGES["corpus"], opened)
    run_stage(STAGES["distill"], opened)
    certificate = read_json(tmp_path / "run" / "distillation" / "certificate.json")
    assert 0.5 < certificate["yield"] == certificate["agreement"] < 1
    assert (tmp_path / "run" / "distillation" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("distillation.teacher=big",), "the teacher 'big' has no url"),
        (
            ("distillation.teacher=embedded", "distillation.prompt_price=1"),
            "prompt_price and completion_price go together",
        ),
        (("distillation.techer=big",), "unknown key 'distillation.techer', did you mean 'teacher'"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe("smoke", overrides=overrides)
