"""`synthesis` as a stage: made, skipped, refused, and read by training with the corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.errors import StageError
from cybersecqwen.files import read_json, read_jsonl
from cybersecqwen.manifest import outputs_of
from cybersecqwen.pipeline import STAGES, open_run, run_stage
from cybersecqwen.pipeline.stages import training_files
from cybersecqwen.reports.model_card import render

SET = ("synthesis.pairs=40", "synthesis.validation_fraction=0.2", "training.max_length=1024")


def run(*arguments: str, overrides: tuple[str, ...] = SET) -> tuple[int, str, str]:
    settings = [f"--set={one}" for one in overrides]
    result = CliRunner().invoke(main, [*arguments, *settings])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    assert run("corpus", "smoke", "--out", str(folder))[0] == 0
    code, table, err = run("synthesis", "smoke", "--out", str(folder))
    assert code == 0, err
    assert "of the 40 wanted" in table
    assert "| weakness" in table
    return folder


def test_json_is_the_certificate_and_a_second_run_skips(out: Path) -> None:
    code, text, _ = run("synthesis", "smoke", "--out", str(out), "--json")
    assert code == 0
    certificate = json.loads(text)
    assert certificate == read_json(out / "synthesis" / "certificate.json")
    assert certificate["counts"]["train"] + certificate["counts"]["validation"] == 40
    assert set(certificate["inputs"]) == {
        *("records", "benchmark", "cwe", "knowledge", "templates", "corpus")
    }


def test_validation_records_of_the_corpus_are_not_asked_about(out: Path) -> None:
    held_out = {row["cve_id"] for row in read_jsonl(out / "corpus" / "validation.jsonl")}
    asked = {row["subject"] for row in read_jsonl(out / "synthesis" / "train.jsonl")}
    assert held_out
    assert not held_out & asked


def test_training_reads_corpus_and_synthesis_together(out: Path) -> None:
    opened = open_run("smoke", out, overrides=SET)
    data = training_files(opened)
    assert [path.parent.name for path in data.train] == ["corpus", "synthesis"]
    assert [path.parent.name for path in data.validation] == ["corpus", "synthesis"]


def test_other_settings_or_inputs_are_refused_by_name(out: Path) -> None:
    changed = (*SET, "synthesis.seed=7")
    code, _, err = run("synthesis", "smoke", "--out", str(out), overrides=changed)
    assert (code, err.count("\n")) == (1, 1)
    assert "synthesis.seed was 42, is 7" in err
    code, _, err = run("synthesis", "smoke", "--out", str(out), overrides=SET[1:])
    assert code == 1
    code, _, err = run("synthesis", "smoke", "--out", str(out), "--cwe", str(out / "recipe.toml"))
    assert code == 1
    assert "inputs.knowledge.recipe.toml was absent" in err


def test_the_card_tells_of_the_pairs(out: Path) -> None:
    text = render(out)
    assert "## Synthetic questions and answers" in text
    assert "made by rules from facts" in text
    assert "| weakness" in text


def test_the_adapter_records_what_it_was_made_from(out: Path) -> None:
    inputs = STAGES["train"].checksums(open_run("smoke", out, overrides=SET))
    assert set(inputs) == {"corpus", "synthesis"}
    assert set(inputs["synthesis"]) == {"train.jsonl", "validation.jsonl"}
    for name in ("corpus", "synthesis"):
        outputs = outputs_of(out / name)
        assert all(outputs[file] == sha256 for file, sha256 in inputs[name].items())


def test_a_run_without_its_pairs_is_not_trained(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("corpus", "smoke", "--out", str(out))[0] == 0
    with pytest.raises(StageError, match="cybersecqwen synthesis smoke"):
        run_stage(STAGES["train"], open_run("smoke", out, overrides=SET))


def test_a_recipe_without_the_table_works_as_before(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("corpus", "smoke", "--out", str(out), overrides=())[0] == 0
    assert [p.name for p in training_files(open_run("smoke", out)).train] == ["train.jsonl"]
    code, _, err = run("synthesis", "smoke", "--out", str(out), overrides=())
    assert (code, err.count("\n")) == (1, 1)
    assert "has no table [synthesis] (--set synthesis.pairs=8000)" in err
    assert not (out / "synthesis").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "tiny"),
        ("--prices", "1", "2"),
        ("--concurrency", "4"),
        ("--teacher", "no-model"),
    ],
)
def test_what_belongs_to_a_teacher_needs_one(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, out, err = run("synthesis", "smoke", "--out", str(tmp_path), *arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("synthesis.pair=8", "did you mean 'pairs'"),
        ("synthesis.shares.weaknes=1", "did you mean 'weakness'"),
        ("synthesis.choices=2", "less than or equal to 1"),
        (
            "synthesis.shares={weakness=0.0,consequence=0.0,mitigation=0.0,technique=0.0,cvss=0.0,"
            "component=0.0}",
            "every share is 0",
        ),
    ],
)
def test_a_wrong_table_is_one_line(override: str, message: str, tmp_path: Path) -> None:
    settings = ("synthesis.pairs=8", override)
    code, _, err = run("synthesis", "smoke", "--out", str(tmp_path), overrides=settings)
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
