"""The figures of the model that ships stand in every comparison, and are of what ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.run import evaluate
from cybersecqwen.engines import open_model
from cybersecqwen.errors import InputError
from cybersecqwen.reports import embedded_scores, results
from cybersecqwen.reports.results import comparators_table, measured_table
from cybersecqwen.reports.run_folder import Result

from .conftest import SHA, scores, write, write_scores

ARTIFACTS = {
    "cwe-classifier.npz": {"bytes": 10_700_000, "sha256": SHA["feed"]},
    "knowledge.npz": {"bytes": 2_000_000, "sha256": SHA["train"]},
}
ENGINE: dict[str, Any] = {
    "engine": "embedded",
    "deterministic": True,
    "books": {"cti-rcm": "closed", "cti-mcq": "open"},
    "fitted_to": [],
    "artifacts": ARTIFACTS,
}


def measured(run: Path, **changes: Any) -> Path:
    engine = ENGINE | changes
    for task, items, mean in (("cti-rcm", 1_000, 0.7), ("cti-mcq", 2_500, 0.6)):
        accuracy = {"mean": mean, "std": 0.0}
        write_scores(run, scores(task, items, mean, engine=engine, strict_accuracy=accuracy))
    return run


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Take the artifacts of these tests for the ones that are installed."""
    checksums = {name: str(facts["sha256"]) for name, facts in ARTIFACTS.items()}
    monkeypatch.setattr(embedded_scores, "current_checksums", lambda: checksums)
    return checksums


def cells(table: str, start: str) -> list[str]:
    (line,) = (line for line in table.splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_measurement_becomes_a_row_with_its_size_and_books(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    target = tmp_path / "benchmark.json"
    embedded_scores.save(measured(tmp_path / "run"), target, benchmark=tmp_path)
    (row,) = embedded_scores.embedded_rows(target)
    assert (row.cti_rcm, row.cti_mcq, row.size) == (0.7, 0.6, "12.7 MB")
    assert (row.rcm_book, row.mcq_book, row.protocol) == ("closed", "open", "model-card 1")
    assert "installed" not in row.note
    again = tmp_path / "again.json"
    embedded_scores.save(tmp_path / "run", again, benchmark=tmp_path)
    assert again.read_bytes() == target.read_bytes()


def test_a_row_of_other_artifacts_says_so(tmp_path: Path, installed: dict[str, str]) -> None:
    target = tmp_path / "benchmark.json"
    embedded_scores.save(measured(tmp_path / "run"), target, benchmark=tmp_path)
    installed["knowledge.npz"] = SHA["other"]
    assert "other artifacts than those installed" in embedded_scores.embedded_rows(target)[0].note


def test_every_comparison_has_the_row_beside_the_published_ones(
    tmp_path: Path, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "benchmark.json"
    embedded_scores.save(measured(tmp_path / "run"), target, benchmark=tmp_path)
    monkeypatch.setattr(results, "embedded_rows", lambda: embedded_scores.embedded_rows(target))
    own = [Result.model_validate(scores("cti-rcm", 1_000, 0.65))]
    table = comparators_table("a-model", "4B", own)
    row = cells(table, embedded_scores.MODEL)
    assert row[2:4] == ["0.700", "0.600"]
    assert row[7] == "cti-rcm closed, cti-mcq open"
    assert cells(table, "**a-model**")[7] == "closed"
    assert cells(table, "BM25 over ATT&CK, CWE and CAPEC")[7] == "open"
    assert cells(table, "TF-IDF + linear classifier")[7] == "closed"
    assert cells(table, "Qwen3-4B-Base")[7] == "closed"


def test_weights_that_were_fitted_to_items_are_told_with_the_score_on_the_others(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    run, folder = tmp_path / "run", tmp_path / "benchmark"
    fitted = [{"task": "cti-mcq", "positions": "odd", "items": 2}]
    row = scores("cti-mcq", 4, 0.75, engine=ENGINE | {"fitted_to": fitted})
    write_scores(run, row)
    header = "URL\tQuestion\tOption A\tOption B\tOption C\tOption D\tPrompt\tGT\n"
    lines = "".join(f"u\tq{i}\ta\tb\tc\td\tp\t{gold}\n" for i, gold in enumerate("ABCD"))
    folder.mkdir()
    (folder / "cti-mcq.tsv").write_text(header + lines)
    answers = [{"item": i, "trial": 0, "text": text} for i, text in enumerate("ABDD")]
    path = run / "evaluation" / "cti-mcq" / "model-card" / "trial-0" / "responses.jsonl"
    write(path, answers[0])
    path.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    stored = embedded_scores.save(run, tmp_path / "stored.json", benchmark=folder)
    assert stored.results[0].unseen == embedded_scores.Unseen(items=2, correct=1)
    (shown,) = embedded_scores.embedded_rows(tmp_path / "stored.json")
    assert "cti-mcq: weights fitted to 2 of the items, 0.500 on the other 2" in shown.note
    table = measured_table([Result.model_validate(row)])
    assert "weights fitted to 2 of these items" in table


def test_only_figures_on_cti_bench_of_one_build_are_stored(tmp_path: Path) -> None:
    target = tmp_path / "benchmark.json"
    sample = {"name": "sample", "sha256": {"cti-rcm.tsv": SHA["rcm"]}}
    write_scores(tmp_path / "a", scores("cti-rcm", 40, 0.5, engine=ENGINE, benchmark=sample))
    with pytest.raises(InputError, match="no figures of the embedded model on CTI-Bench"):
        embedded_scores.save(tmp_path / "a", target, benchmark=tmp_path)
    write_scores(tmp_path / "b", scores("cti-rcm", 1_000, 0.5))
    with pytest.raises(InputError, match="no figures of the embedded model"):
        embedded_scores.save(tmp_path / "b", target, benchmark=tmp_path)
    run = measured(tmp_path / "c")
    other = ENGINE | {"artifacts": ARTIFACTS | {"knowledge.npz": {"bytes": 1, "sha256": "0"}}}
    write_scores(run, scores("cti-mcq", 2_500, 0.6, engine=other))
    with pytest.raises(InputError, match="different artifacts"):
        embedded_scores.save(run, target, benchmark=tmp_path)
    assert not target.exists()


def test_without_stored_figures_there_is_no_row_and_a_damaged_file_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "benchmark.json"
    assert embedded_scores.embedded_rows(path) == ()
    write(path, {"command": "x"})
    with pytest.raises(InputError, match=r"benchmark\.json: model: Field required"):
        embedded_scores.embedded_rows(path)


@pytest.mark.parametrize(
    ("engine", "book"),
    [
        ({"engine": "transformers"}, "closed"),
        ({"engine": "http"}, "closed"),
        ({"engine": "replay"}, "not stated"),
        (ENGINE, "open"),
    ],
)
def test_each_result_tells_its_book(engine: dict[str, Any], book: str) -> None:
    result = Result.model_validate(scores("cti-mcq", 2_500, 0.6, engine=engine))
    (row,) = results.rows([result])
    assert row["book"] == book
    assert "engine" not in row
    assert book in cells(measured_table([result]), "cti-mcq")
    assert ("deterministic" in measured_table([result])) is (engine is ENGINE)


def test_the_stored_figures_are_of_the_artifacts_that_ship() -> None:
    stored = embedded_scores.load()
    checksums = {name: artifact.sha256 for name, artifact in stored.artifacts.items()}
    assert checksums == embedded_scores.current_checksums(), f"measure again: {stored.command}"
    found = {(figures.task, figures.protocol): figures for figures in stored.results}
    assert found.keys() == {("cti-rcm", "model-card"), ("cti-mcq", "model-card")}
    assert not any(figures.modified for figures in stored.results)
    assert all(figures.std == 0 for figures in stored.results)


@pytest.mark.shared
@pytest.mark.parametrize("task", ["cti-rcm", "cti-mcq"])
def test_evaluating_again_gives_the_stored_figures(shared: Path, tmp_path: Path, task: str) -> None:
    protocol = find_protocol("model-card", trials=1)
    evaluate(open_model("embedded"), task, protocol, benchmark=shared / "cti-bench", out=tmp_path)
    stored = embedded_scores.load()
    again = embedded_scores.save(tmp_path, tmp_path / "again.json", benchmark=shared / "cti-bench")
    (new,) = again.results
    (old,) = (figures for figures in stored.results if figures.task == task)
    same = ("strict_accuracy", "parseable_rate", "items", "book", "benchmark_sha256", "unseen")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
