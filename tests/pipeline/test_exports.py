"""An export is a stage: proven, skipped, refused; and `export RUN` names the run's model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.errors import InputError, StageError
from cybersecqwen.manifest import make_stage, outputs_of
from cybersecqwen.pipeline import open_run
from cybersecqwen.pipeline.exports import export, open_exports


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Give a run folder whose merged model is what a folder for the Hub is copied from."""
    folder = tmp_path / "run"
    open_run("smoke", folder)

    def merge(merged: Path) -> None:
        merged.mkdir()
        (merged / "model.safetensors").write_text("weights")
        (merged / "parity.json").write_text("{}")
        (merged / "generation_config.json").write_text('{"eos_token_id": 2, "temperature": 0.6}')

    make_stage(folder / "merged", {"config": {}, "inputs": {}}, merge)
    return folder


def test_an_export_is_proven_and_made_once(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "cybersecqwen")
    folder = export(open_exports(run), "safetensors")
    assert set(outputs_of(folder)) == {"model.safetensors", "generation_config.json"}
    assert (folder / "README.md").read_text().startswith("---\n")
    assert "parity.json" not in {path.name for path in folder.iterdir()}
    export(open_exports(run), "safetensors")
    assert "exports/safetensors: done already" in caplog.text


def test_an_export_of_another_model_or_a_damaged_one_is_refused(run: Path) -> None:
    folder = export(open_exports(run), "safetensors")
    (folder / "model.safetensors").write_text("damaged")
    with pytest.raises(StageError, match="missing or changed since"):
        export(open_exports(run), "safetensors")
    (run / "merged" / "model.safetensors").write_text("other")
    with pytest.raises(StageError, match=r"merged/model\.safetensors: missing or changed"):
        export(open_exports(run), "gguf-f16")


def test_the_length_that_a_modelfile_names_is_part_of_the_proof(run: Path) -> None:
    export(open_exports(run), "safetensors")
    recipe = open_exports(run).recipe
    training = recipe.training.model_copy(update={"max_length": recipe.training.max_length + 1})
    other = replace(open_exports(run), recipe=recipe.model_copy(update={"training": training}))
    with pytest.raises(StageError, match="max_length"):
        export(other, "safetensors")


def test_a_run_without_a_merged_model_says_what_to_run(tmp_path: Path) -> None:
    open_run("smoke", tmp_path / "run")
    with pytest.raises(StageError, match=r"not finished .*cybersecqwen merge smoke --out"):
        export(open_exports(tmp_path / "run"), "gguf-f16")
    with pytest.raises(InputError, match=r"no recipe\.toml here"):
        open_exports(tmp_path)


@pytest.mark.parametrize("words", [["export"], ["export", "model"]])
def test_export_of_a_run_is_that_of_its_model(run: Path, words: list[str]) -> None:
    line = [*words, "--format", "safetensors", str(run), "--json"]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0, result.output
    (written,) = json.loads(result.stdout)
    assert written["folder"] == str(run / "exports" / "safetensors")
    assert written["sha256"] == outputs_of(run / "exports" / "safetensors")
    assert (run / "exports" / "safetensors" / "model.safetensors").stat().st_size < written["bytes"]


def test_export_alone_lists_its_commands() -> None:
    for line in (["export"], ["export", "--help"]):
        assert "lm-eval" in CliRunner().invoke(main, line).output
