"""Every answer is kept, none is asked for twice, and a failure has no score."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.benchmark.protocol import PROTOCOLS, find_protocol
from cybersecqwen.benchmark.run import evaluate
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.engines import Model, open_model
from cybersecqwen.engines.response_log import read_responses
from cybersecqwen.errors import CyberSecQwenError, EngineError, InputError, StageError
from cybersecqwen.files import read_json, write_json
from cybersecqwen.records import Request, Response
from cybersecqwen.sample import BENCHMARK

CARD = PROTOCOLS["model-card"]
ITEMS = read_items(BENCHMARK, "cti-rcm")


class GoldEngine:
    """Knows the gold, counts what it is asked, and breaks where it is told to."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.name = "a"
        self.asked: list[tuple[int, int]] = []
        self.breaks_after = breaks_after

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        for request in requests:
            if self.breaks_after is not None and len(self.asked) == self.breaks_after:
                raise EngineError("the server is gone")
            self.asked.append((request.trial, request.item))
            yield Response(request.item, request.trial, f"It is {ITEMS[request.item].gold}.")

    def describe(self) -> dict[str, Any]:
        return {"engine": "gold"}

    def identity(self) -> dict[str, Any]:
        return {"id": self.name}


def measure(engine: GoldEngine, out: Path, *, trials: int = 2, identity: str = "a") -> Any:
    engine.name, model = identity, Model("gold", engine)
    protocol = find_protocol("model-card", trials=trials)
    evaluate(model, "cti-rcm", protocol, benchmark=BENCHMARK, out=out)
    return read_json(out / "evaluation" / "cti-rcm" / "model-card" / "scores.json")


def test_every_trial_is_answered_scored_and_kept(tmp_path: Path) -> None:
    summary = measure(GoldEngine(), tmp_path, trials=5)
    assert summary["strict_accuracy"]["mean"] == 1
    assert summary["strict_accuracy"]["std"] == 0
    assert summary["modified"] == []
    assert summary["benchmark"]["name"] == "sample"
    folder = tmp_path / "evaluation" / "cti-rcm" / "model-card"
    for trial in range(5):
        kept = read_responses(folder / f"trial-{trial}" / "responses.jsonl")
        assert [(r.trial, r.item) for r in kept] == [(trial, i) for i in range(len(ITEMS))]


def test_a_broken_evaluation_goes_on_without_repeating_or_losing_an_answer(
    tmp_path: Path,
) -> None:
    broken, whole = GoldEngine(breaks_after=70), GoldEngine()
    with pytest.raises(EngineError, match="the server is gone"):
        measure(broken, tmp_path)
    folder = tmp_path / "evaluation" / "cti-rcm" / "model-card"
    assert not (folder / "scores.json").exists()
    assert not (folder / "manifest.json").exists()
    # What a kill leaves: the last line cut short.
    path = folder / "trial-1" / "responses.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert measure(whole, tmp_path)["strict_accuracy"]["mean"] == 1
    torn = broken.asked.pop()
    assert whole.asked[0] == torn
    assert sorted(broken.asked + whole.asked) == [
        (trial, item) for trial in range(2) for item in range(len(ITEMS))
    ]


def test_an_engine_that_cannot_begin_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the server is gone"):
        measure(GoldEngine(breaks_after=0), tmp_path)
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [".model-card.lock"]
    assert measure(GoldEngine(), tmp_path, identity="b")["strict_accuracy"]["mean"] == 1


def test_a_finished_evaluation_is_skipped_and_another_model_refused(tmp_path: Path) -> None:
    measure(GoldEngine(), tmp_path)
    again = GoldEngine()
    measure(again, tmp_path)
    assert again.asked == []
    with pytest.raises(StageError, match=r"inputs\.model\.id was a, is b"):
        measure(again, tmp_path, identity="b")
    with pytest.raises(StageError, match="protocol"):
        measure(again, tmp_path, trials=3)


def test_an_evaluation_of_version_0_1_is_skipped_too(tmp_path: Path) -> None:
    measure(GoldEngine(), tmp_path)
    manifest = tmp_path / "evaluation" / "cti-rcm" / "model-card" / "manifest.json"
    content = read_json(manifest)
    settings = content["made_from"]["config"]["protocol"]
    # It stored the settings of all tasks.
    settings["extractors"] = {"cti-rcm": settings.pop("extractor"), "cti-mcq": "cascade"}
    settings["stop"] = {"cti-rcm": settings.pop("stop")}
    settings["extensions"] = ["cti-vsp"] if settings.pop("extension") is False else []
    write_json(manifest, content)
    engine = GoldEngine()
    measure(engine, tmp_path)
    assert engine.asked == []
    with pytest.raises(StageError, match="made from something else"):
        measure(engine, tmp_path, identity="b")


def test_recorded_answers_are_scored_like_any_model(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [{"item": i, "text": "CWE-79"} for i in range(len(ITEMS))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    protocol = find_protocol("model-card", trials=1)
    model = open_model(path)
    evaluate(model, "cti-rcm", protocol, benchmark=BENCHMARK, out=tmp_path / "run")
    scores = read_json(tmp_path / "run" / "evaluation" / "cti-rcm" / "model-card" / "scores.json")
    share = sum(item.gold == "CWE-79" for item in ITEMS) / len(ITEMS)
    assert scores["strict_accuracy"]["mean"] == pytest.approx(share)
    assert scores["modified"] == ["trials=1"]


def test_an_unknown_task_is_named(tmp_path: Path) -> None:
    model = Model("gold", GoldEngine())
    with pytest.raises(CyberSecQwenError, match="unknown task 'cti-rmc'"):
        evaluate(model, "cti-rmc", CARD, benchmark=BENCHMARK, out=tmp_path)


@pytest.mark.shared
def test_the_real_benchmark_is_known_by_its_items(shared: Path) -> None:
    from cybersecqwen.benchmark.run import benchmark_facts

    assert benchmark_facts(shared / "cti-bench")["name"] == "cti-bench"


def test_what_could_not_be_judged_is_not_asked(six_tasks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "no-gold"
    folder.mkdir()
    for name in ("cti-taa.tsv", "threat-actors.json"):
        (folder / name).write_bytes((six_tasks / name).read_bytes())
    engine = GoldEngine()
    model = Model("gold", engine)
    with pytest.raises(InputError, match="cti-taa: item 0 has no gold answer"):
        evaluate(model, "cti-taa", CARD, benchmark=folder, out=tmp_path / "run")
    assert engine.asked == []
