"""Stored answers are scored again under any protocol, and what deviates is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.responses import (
    ResponseSet,
    notes,
    read_recordings,
    read_run,
    rescore,
)
from cybersecqwen.benchmark.run import evaluate
from cybersecqwen.benchmark.sensitivity import sensitivity
from cybersecqwen.benchmark.summary import result, summarise
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.engines import open_model
from cybersecqwen.errors import InputError, StageError

Evaluated = Callable[..., Path]


def write(path: Path, texts: list[str], trials: int = 1) -> Path:
    rows = [
        {"item": i, "trial": trial, "text": text}
        for trial in range(trials)
        for i, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def evaluated(tmp_path: Path, six_tasks: Path) -> Evaluated:
    """Evaluate a recording into a run folder."""

    def make(task: str, texts: list[str], *, name: str = "run", **deviations: int) -> Path:
        protocol = find_protocol("model-card", **{"trials": 1} | deviations)
        path = write(tmp_path / f"{name}.jsonl", texts, trials=len(protocol.seeds))
        model = open_model(path)
        evaluate(model, task, protocol, benchmark=six_tasks, out=tmp_path / name)
        return tmp_path / name

    return make


def flat(answers: ResponseSet, protocol: str | None, benchmark: Path) -> dict[str, object]:
    scored = rescore(answers, answers.scoring_protocol(protocol), benchmark)
    return result(scored, summarise(scored))


def test_a_run_is_scored_again_as_it_was(evaluated: Evaluated, six_tasks: Path) -> None:
    golds = [item.gold for item in read_items(six_tasks, "cti-rcm")]
    run = evaluated("cti-rcm", [*golds[:5], "CWE-1", "none", "none"])
    [answers] = read_run(run)
    assert (answers.name, answers.task, answers.prompt) == ("run", "cti-rcm", "item")
    found = flat(answers, None, six_tasks)
    assert (found["protocol"], found["modified"]) == ("model-card", ["trials=1"])
    assert found["strict_accuracy"] == pytest.approx(5 / 8)
    assert flat(answers, "model-card", six_tasks) == found
    [same] = read_run(run / "evaluation" / "cti-rcm" / "model-card")
    assert same.responses == answers.responses


def test_answers_read_by_another_protocol_are_marked(evaluated: Evaluated, six_tasks: Path) -> None:
    golds = [item.gold for item in read_items(six_tasks, "cti-mcq")]
    [answers] = read_run(evaluated("cti-mcq", golds))
    assert flat(answers, None, six_tasks)["strict_accuracy"] == 1
    found = flat(answers, "faith", six_tasks)
    assert found["modified"] == ["answers of model-card 1", "trials=1"]
    assert (found["strict_accuracy"], found["lenient_accuracy"]) == (0, 1)  # lone letters
    [note] = notes(answers, answers.scoring_protocol("faith"))
    assert "written for another prompt" in note
    assert notes(answers, answers.scoring_protocol(None)) == []


def test_permuted_answers_stay_permuted(evaluated: Evaluated, six_tasks: Path) -> None:
    run = evaluated("cti-mcq", ["C"] * 8, trials=4, permute=4)
    [answers] = read_run(run)
    found = flat(answers, "cti-bench", six_tasks)
    assert found["correct"] == 8  # of 32: each right option stands at C once
    assert "permute=4" in str(found["modified"])


@pytest.mark.parametrize("kind", ["instruct", "base"])
@pytest.mark.parametrize("name", ["model-card", "paper", "cti-bench"])
def test_what_a_protocol_left_out_is_left_out_under_another(
    six_tasks: Path, tmp_path: Path, kind: Literal["instruct", "base"], name: str
) -> None:
    items = read_items(six_tasks, "cti-rcm")
    path = write(tmp_path / "gold.jsonl", [item.gold for item in items])
    faith, out = find_protocol("faith", trials=1), tmp_path / "run"
    evaluate(open_model(path, kind=kind), "cti-rcm", faith, benchmark=six_tasks, out=out)
    [answers] = read_run(out)
    found = flat(answers, name, six_tasks)
    assert found["n"] == found["correct"] == (7 if kind == "instruct" else 2)
    assert "rows that faith asks" in notes(answers, answers.scoring_protocol(name))[0]
    assert len(sensitivity(answers, six_tasks, reference=name)) == 5


def test_answers_that_were_changed_are_refused(evaluated: Evaluated) -> None:
    run = evaluated("cti-rcm", ["CWE-79"] * 8)
    path = run / "evaluation" / "cti-rcm" / "model-card" / "trial-0" / "responses.jsonl"
    path.write_text(path.read_text().replace("CWE-79", "CWE-89"))
    with pytest.raises(StageError, match=r"responses\.jsonl: missing or changed"):
        read_run(run)


def test_inputs_of_a_manifest_that_are_no_object_name_no_benchmark(evaluated: Evaluated) -> None:
    run = evaluated("cti-rcm", ["CWE-79"] * 8)
    path = run / "evaluation" / "cti-rcm" / "model-card" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["made_from"]["inputs"] = []
    path.write_text(json.dumps(manifest))
    assert read_run(run)[0].benchmark_sha256 == ""


def test_a_folder_that_is_no_trial_and_one_too_many_are_named(
    evaluated: Evaluated, six_tasks: Path
) -> None:
    run = evaluated("cti-rcm", ["CWE-79"] * 8)
    first = run / "evaluation" / "cti-rcm" / "model-card" / "trial-0"
    copy = shutil.copytree(first, first.with_name("trial-0 copy"))
    with pytest.raises(InputError, match="trial-0 copy: is not a trial"):
        read_run(run)
    copy.rename(first.with_name("trial-1"))
    [answers] = read_run(run)
    with pytest.raises(InputError, match=r"run/.*responses of trial 1, which the protocol"):
        rescore(answers, answers.scoring_protocol(None), six_tasks)


def test_answers_to_other_items_are_refused(
    evaluated: Evaluated, six_tasks: Path, tmp_path: Path
) -> None:
    [answers] = read_run(evaluated("cti-rcm", ["CWE-79"] * 8))
    other = tmp_path / "other"
    other.mkdir()
    text = (six_tasks / "cti-rcm.tsv").read_text()
    (other / "cti-rcm.tsv").write_text(text.replace("CWE-22", "CWE-23"))
    with pytest.raises(InputError, match=r"other/cti-rcm\.tsv.*are to another file of that name"):
        rescore(answers, answers.scoring_protocol(None), other)


def test_what_holds_no_evaluation_is_named(evaluated: Evaluated, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no evaluation"):
        read_run(tmp_path)
    with pytest.raises(InputError, match="holds no answers to cti-mcq"):
        read_run(evaluated("cti-rcm", ["CWE-79"] * 8), task="cti-mcq")


def test_a_recording_is_scored_by_the_protocol_that_is_named(
    six_tasks: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.jsonl", ["CWE-79"] * 8, trials=2)
    [answers] = read_recordings(path, "cti-rcm", six_tasks)
    found = flat(answers, "model-card", six_tasks)
    assert (found["n"], found["correct"], found["modified"]) == (16, 4, ["trials=2"])
    assert (
        "prompt and sampling are not known"
        in notes(answers, answers.scoring_protocol("model-card"))[0]
    )
    with pytest.raises(InputError, match="no protocol to score by"):
        answers.scoring_protocol(None)
    with pytest.raises(InputError, match="which task"):
        read_recordings(path, None, six_tasks)


def test_a_recording_of_another_task_is_refused(six_tasks: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "gold.jsonl", [i.gold for i in read_items(six_tasks, "cti-vsp")])
    with pytest.raises(InputError, match=r"answer to cti-rcm, and 8 of 8 as one to cti-vsp"):
        read_recordings(path, "cti-rcm", six_tasks)
    mute = write(tmp_path / "mute.jsonl", ["I cannot help with that."] * 8)
    assert len(read_recordings(mute, "cti-rcm", six_tasks)) == 1


def test_a_folder_of_recordings_goes_by_the_names_of_tasks(
    six_tasks: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "cti-rcm-responses.jsonl", ["CWE-79"] * 8)
    write(tmp_path / "cti-rcm-2021-responses.jsonl", ["CWE-79"] * 6)
    write(tmp_path / "cti-mcq-responses.jsonl", ["C"] * 8)
    found = {a.task: len(a.responses[0]) for a in read_recordings(tmp_path, None, six_tasks)}
    assert found == {"cti-mcq": 8, "cti-rcm": 8, "cti-rcm-2021": 6}
    assert caplog.messages == []
    write(tmp_path / "rcm-of-another.jsonl", ["CWE-79"] * 8)
    (tmp_path / "README.md").write_text("what this is")
    [only] = read_recordings(tmp_path, "cti-rcm", six_tasks)
    assert only.name == "cti-rcm-responses"
    [said] = caplog.messages
    assert "left out" in said and said.endswith("rcm-of-another.jsonl")


def test_the_reading_alone_moves_a_twice_given_answer(
    evaluated: Evaluated, six_tasks: Path
) -> None:
    golds = [item.gold for item in read_items(six_tasks, "cti-mcq")]
    wrong = {"A": "B", "B": "C", "C": "D", "D": "A"}
    texts = [f"{gold}\n\nBecause.\n\n{wrong[gold]}" for gold in golds[:3]] + golds[3:]
    [answers] = read_run(evaluated("cti-mcq", texts, trials=2))
    rows = {row.extractor: row for row in sensitivity(answers, six_tasks)}
    assert rows.keys() == {"cascade", "last-line", "first-letter", "last-letter", "lenient"}
    assert rows["cascade"].accuracy == pytest.approx(5 / 8)
    first = rows["first-letter"]
    assert (first.accuracy, first.flipped, first.items) == (1.0, 6, 3)
    assert (first.gained, first.lost, first.answers) == (6, 0, 16)
    example = first.examples[0]
    assert (example.reference, example.reading) == (wrong[golds[0]], golds[0])
    assert example.text.endswith(f"Because.\n\n{wrong[golds[0]]}")
    every = {row.extractor for row in sensitivity(answers, six_tasks, every=True)}
    assert {"unique-answer", "unique-answer, improper counted"} <= every
    assert rows["cascade"].protocols == ("model-card", "paper")
