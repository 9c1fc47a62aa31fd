"""A run describes only what its stages were made from, and asks for inputs that exist."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cybersecqwen.config import load_recipe
from cybersecqwen.errors import InputError, StageError
from cybersecqwen.manifest import make_stage, outputs_of
from cybersecqwen.pipeline import STAGES, open_run, run_stage
from cybersecqwen.pipeline.inputs import benchmark_folder, record_files
from cybersecqwen.sample import BENCHMARK, FEED

OUTPUTS = {
    "corpus": ("train.jsonl", "validation.jsonl"),
    "adapter": ("adapter_model.safetensors",),
    "merged": ("model.safetensors",),
}


def stage(out: Path, name: str, text: str, *, source: str = "") -> None:
    """Make a stage's folder by hand, recorded as made from the one before."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        for output in OUTPUTS[name]:
            (folder / output).write_text(text)

    inputs = {source: outputs_of(out / source)} if source else {}
    make_stage(out / name, {"config": {}, "inputs": inputs}, make)


def test_a_card_is_not_written_over_stages_of_different_making(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = open_run("smoke", out)
    stage(out, "corpus", "one")
    stage(out, "adapter", "one", source="corpus")
    stage(out, "merged", "one", source="adapter")
    shutil.rmtree(out / "adapter")
    stage(out, "adapter", "two", source="corpus")
    with pytest.raises(StageError, match=r"merged: made from something else: .*adapter_model"):
        run_stage(STAGES["card"], run)
    assert not (out / "report").exists()


def test_a_merge_does_not_read_a_changed_adapter(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = open_run("smoke", out)
    stage(out, "corpus", "one")
    stage(out, "adapter", "one", source="corpus")
    (out / "adapter" / "adapter_model.safetensors").write_text("damaged")
    with pytest.raises(StageError, match="changed since its manifest"):
        run_stage(STAGES["merge"], run)


def test_the_stages_stand_in_the_order_they_run_in() -> None:
    assert list(STAGES) == ["corpus", "synthesis", "distill", "train", "merge", "evaluate", "card"]


def test_a_smoke_run_reads_what_ships(tmp_path: Path) -> None:
    run = open_run("smoke", tmp_path / "run")
    assert (record_files(run), benchmark_folder(run)) == ((FEED,), BENCHMARK)


@pytest.mark.parametrize(
    ("overrides", "first"),
    [
        ((), "nvdcve-2.0-2021.json.gz"),
        (("corpus.years=[1999,2003]",), "nvdcve-2.0-2002.json.gz"),  # it holds the older ones
        (("corpus.year_by=published",), "nvdcve-2.0-2002.json.gz"),  # of any older id
    ],
)
def test_the_cache_is_asked_for_every_feed_that_may_hold_the_cohort(
    overrides: tuple[str, ...], first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    run = open_run("cybersecqwen-4b", tmp_path / "run", overrides=overrides)
    with pytest.raises(InputError, match=first):
        record_files(run)
    with pytest.raises(InputError, match="cybersecqwen fetch cti-bench"):
        benchmark_folder(run)


def test_a_key_that_a_stage_does_not_use_may_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    recipe = load_recipe("smoke", overrides=("corpus.max_examples=24",))
    run_stage(STAGES["corpus"], open_run(recipe, tmp_path))
    changed = open_run(recipe, tmp_path, overrides=("training.epochs=1", "evaluation.batch_size=2"))
    assert (changed.recipe.training.epochs, changed.recipe.corpus.max_examples) == (1.0, 24)
    run_stage(STAGES["corpus"], changed)
    assert "corpus: done already, skipped" in caplog.text
    with pytest.raises(StageError, match=r"corpus\.max_examples was 24, is 25"):
        open_run(recipe, tmp_path, overrides=("corpus.max_examples=25",))


def test_keys_without_effect_are_not_recorded() -> None:
    overrides = ("distillation.teacher=embedded", "training.max_length=512")
    settings = STAGES["distill"].settings(load_recipe("smoke", overrides=overrides))
    assert settings["distillation"]["teacher"] == "embedded"
    assert "concurrency" not in settings["distillation"]
    assert settings["max_length"] == 512
    assert "attention" not in settings


def test_only_the_first_process_of_torchrun_proves_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, made = open_run("smoke", tmp_path), []
    stage = replace(
        STAGES["train"], make=lambda _run, folder, _sums: made.append(folder), inputs=()
    )
    monkeypatch.setenv("RANK", "1")
    run_stage(stage, run)
    assert made == [tmp_path / "adapter"]
    assert not list(tmp_path.glob("**/manifest.json")) + list(tmp_path.glob(".*.json"))
