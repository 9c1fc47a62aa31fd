"""What the real trainer is given, what it does, and what it leaves behind."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.config import Recipe, dump_recipe, load_recipe
from cybersecqwen.engines.transformers import attention_of
from cybersecqwen.errors import CyberSecQwenError, RecipeError
from cybersecqwen.files import read_json, read_jsonl, sha256_file
from cybersecqwen.training.base import load_model
from cybersecqwen.training.journal import newest_checkpoint
from cybersecqwen.training.merge import merge
from cybersecqwen.training.random_base import prepare_base
from cybersecqwen.training.sft import (
    TrainingFiles,
    lora_config,
    make_trainer,
    train,
    training_settings,
)

from .conftest import files_of, full_disk, gemma, tiny

LEARNED = ("labels", "shift_labels", "predicting")
PACKED = ("training.packing=true", "training.per_device_batch_size=2", "adapter.dropout=0.0")


def batches(recipe: Recipe, corpus: Path, base: Path, out: Path) -> tuple[Any, list[Any]]:
    trainer = make_trainer(recipe, files_of(corpus), out, base=base)
    return trainer, list(trainer.get_train_dataloader())


def spans(batch: Any) -> list[tuple[Any, Any]]:
    """Cut a packed row into the ids and labels of its examples, each with its opening."""
    import torch

    ids, labels = batch["input_ids"][0], batch["labels"][0]
    openings = {tuple(each[2:]) for each in batch["segments"].tolist() if each[2] < each[3]}
    return [
        tuple(torch.cat([x[first:last], x[start:end]]) for x in (ids, labels))
        for start, end, first, last in batch["segments"].tolist()
        if (start, end) not in openings
    ]


@pytest.mark.parametrize("packing", [(), PACKED], ids=["padded", "packed"])
def test_the_loss_covers_the_completion_and_the_end_of_its_turn(
    run: Path, corpus: Path, tmp_path: Path, packing: tuple[str, ...], rows: list[dict[str, str]]
) -> None:
    """A prompt in the loss teaches to write CVEs; a missing end teaches never to stop."""
    trainer, dealt = batches(tiny(*packing), corpus, run / "base", tmp_path)
    tokenizer = trainer.processing_class
    opening = tokenizer.encode("<|im_start|>assistant\n")
    seen = []
    for ids, labels in (span for batch in dealt for span in spans(batch)):
        start = next(
            i for i in range(len(ids)) if ids[i : i + len(opening)].tolist() == opening
        ) + len(opening)
        assert set(labels[:start].tolist()) == {-100}
        assert labels[start:].tolist() == ids[start:].tolist()
        assert tokenizer.eos_token_id in labels[start:].tolist()
        seen.append(tokenizer.decode(ids[start:]))
    assert sorted(seen) == sorted(f"{row['completion']}<|im_end|>\n" for row in rows)


@pytest.mark.parametrize("family", ["qwen3", "gemma4"])
def test_packed_examples_do_not_see_one_another(
    run: Path, gemma_run: Path, corpus: Path, tmp_path: Path, family: str
) -> None:
    """Without isolation an example would learn from its neighbour's answer."""
    import torch

    folder, recipe = (run, tiny(*PACKED)) if family == "qwen3" else (gemma_run, gemma(*PACKED))
    trainer, dealt = batches(recipe, corpus, folder / "base", tmp_path)
    batch = {name: value for name, value in dealt[0].items() if name not in LEARNED}
    model = trainer.model.eval()
    segments = [each for each in batch["segments"].tolist() if each[2] < each[3]]
    assert len(segments) > 4
    assert len({first for _, _, first, _ in segments}) == 1  # all prompts begin alike
    with torch.no_grad():
        packed = model(**batch).logits[0]
        base = model.get_base_model()
        base.set_attn_implementation(attention_of(base.config, "sdpa"))
        for start, end, first, last in segments:
            ids = batch["input_ids"][:, [*range(first, last), *range(start, end)]]
            alone = model(input_ids=ids).logits[0, last - first :]
            assert (packed[start:end] - alone).abs().max() < 1e-5


def test_the_published_numbers_arrive_in_the_trainer(run: Path, tmp_path: Path) -> None:
    from trl import SFTConfig

    recipe = load_recipe("cybersecqwen-4b")
    args = SFTConfig(str(tmp_path), **training_settings(recipe))
    assert args.learning_rate == 5e-5
    assert args.lr_scheduler_type == "cosine"
    assert args.get_warmup_steps(1290) == 65  # 5 %
    assert args.weight_decay == 0.01
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (2, 8)
    assert args.num_train_epochs == 10
    assert (args.max_length, args.packing, args.packing_strategy) == (4096, True, "bfd")
    assert args.completion_only_loss
    assert args.bf16
    assert (args.seed, args.data_seed) == (42, 42)
    assert (args.save_steps, args.logging_steps) == (100, 10)
    assert args.report_to == []
    adapter = lora_config(recipe, load_model(tiny(), run / "base"))
    assert (adapter.r, adapter.lora_alpha, adapter.lora_dropout) == (64, 64, 0.05)
    assert len(adapter.target_modules) == 7


def test_several_files_are_learned_from_together(run: Path, corpus: Path, tmp_path: Path) -> None:
    """Pairs beside a corpus, and what is held out of both."""
    train, held_out = files_of(corpus)
    both = TrainingFiles(train * 2, held_out * 2)
    trainer = make_trainer(tiny(), both, tmp_path, base=run / "base")
    alone = make_trainer(tiny(), files_of(corpus), tmp_path, base=run / "base")
    assert len(trainer.train_dataset) == 2 * len(alone.train_dataset)
    assert len(trainer.eval_dataset) == 2 * len(alone.eval_dataset)


def test_losses_that_a_resume_would_change_are_refused(
    corpus: Path, run: Path, tmp_path: Path
) -> None:
    recipe, out = tiny("training.log_steps=3"), tmp_path / "adapter"
    with pytest.raises(RecipeError, match="not a multiple of log_steps"):
        make_trainer(recipe, files_of(corpus), out, base=run / "base")
    assert not out.exists()


def test_targets_that_are_not_in_the_model_are_refused(
    corpus: Path, run: Path, tmp_path: Path
) -> None:
    recipe = tiny("adapter.target_modules=['c_attn']")
    with pytest.raises(RecipeError, match="does not fit the model"):
        make_trainer(recipe, files_of(corpus), tmp_path, base=run / "base")


def test_training_learns_and_says_what_it_did(run: Path) -> None:
    summary = json.loads((run / "adapter" / "summary.json").read_text())
    log = list(read_jsonl(run / "adapter" / "training_log.jsonl"))
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < 0.8 * losses[0]
    assert summary["final_train_loss"] == losses[-1]
    assert summary["final_validation_loss"] == log[-1]["eval_loss"]
    assert (summary["steps"], summary["steps_per_epoch"], summary["examples"]) == (60, 6, 24)
    assert [row["step"] for row in log if "eval_loss" in row] == list(range(6, 61, 6))
    assert summary["trainable_parameters"] < summary["total_parameters"]
    assert (summary["world_size"], summary["distributed_type"]) == (1, "NO")


def test_the_adapter_folder_holds_what_a_loader_needs_and_nothing_of_this_machine(
    run: Path,
) -> None:
    adapter = run / "adapter"
    files = {path.name for path in adapter.iterdir() if path.is_file()}
    assert files == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "training_log.jsonl",
        "summary.json",
    }
    for name in files:
        assert (adapter / name).stat().st_mode & 0o777 == 0o644
        assert str(run).encode() not in (adapter / name).read_bytes()
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "../base"


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from cybersecqwen.config import load_recipe
from cybersecqwen.training.sft import TrainingFiles, train

recipe, corpus, out, base = sys.argv[1:]
corpus = TrainingFiles((Path(corpus, "train.jsonl"),), (Path(corpus, "validation.jsonl"),))

def kill():
    while not (Path(out) / ".checkpoints" / "checkpoint-16" / "complete.json").exists():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
train(load_recipe(recipe), corpus, Path(out), base=base)
"""


def test_a_killed_training_goes_on_to_the_same_bytes(
    run: Path, corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(dump_recipe(tiny()), encoding="utf-8")
    out = tmp_path / "adapter"
    child = subprocess.run(
        [sys.executable, "-c", KILLED, recipe, corpus, out, run / "base"],
        check=False,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert not (out / "summary.json").exists()
    # What a kill in the middle of a save leaves: a newer folder, without its proof or cut short.
    newest = newest_checkpoint(out / ".checkpoints")
    assert newest is not None
    with (newest / "optimizer.pt").open("r+b") as file:
        file.truncate(100)
    (out / ".checkpoints" / "checkpoint-1000").mkdir()
    with caplog.at_level(logging.WARNING):
        train(tiny(), files_of(corpus), out, base=run / "base")
    assert len(re.findall("skipping .*checkpoint-", caplog.text)) == 2
    assert "resuming from" in caplog.text
    for name in ("adapter_model.safetensors", "training_log.jsonl"):
        assert sha256_file(out / name) == sha256_file(run / "adapter" / name)
    log = list(read_jsonl(out / "training_log.jsonl"))
    steps = [row["step"] for row in log if "loss" in row]
    assert steps == list(range(4, 61, 4))


@pytest.mark.parametrize("room", [64_000, 145_000], ids=["weights", "optimizer"])
def test_a_full_disk_at_a_checkpoint_is_one_line_and_trained_again(
    run: Path, corpus: Path, tmp_path: Path, room: int
) -> None:
    """The space is used up by the first checkpoint, by its weights or by what torch writes."""
    out = tmp_path / "adapter"
    with full_disk(room), pytest.raises(CyberSecQwenError, match="cannot write: ") as caught:
        train(tiny(), files_of(corpus), out, base=run / "base")
    assert str(caught.value).startswith(f"{out}: ")
    assert "\n" not in str(caught.value)
    assert "free some space and run the same command again" in str(caught.value)
    assert (out / ".checkpoints" / "checkpoint-8").is_dir()
    assert newest_checkpoint(out / ".checkpoints") is None
    assert not (out / "summary.json").exists()
    train(tiny(), files_of(corpus), out, base=run / "base")
    for name in ("adapter_model.safetensors", "training_log.jsonl"):
        assert sha256_file(out / name) == sha256_file(run / "adapter" / name)


def test_a_full_disk_at_the_end_costs_no_training(run: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    shutil.copytree(run / "adapter" / ".checkpoints", out / ".checkpoints")
    with full_disk(64_000), pytest.raises(CyberSecQwenError, match="cannot write: ") as caught:
        train(tiny(), files_of(corpus), out, base=run / "base")
    assert str(caught.value).startswith(f"{out}: ")
    assert not (out / "summary.json").exists()
    train(tiny(), files_of(corpus), out, base=run / "base")
    for name in ("adapter_model.safetensors", "training_log.jsonl"):
        assert sha256_file(out / name) == sha256_file(run / "adapter" / name)


FROM_HUB = """
import shutil, sys
from pathlib import Path
from cybersecqwen.config import load_recipe
from cybersecqwen.files import read_json
from cybersecqwen.training.journal import newest_checkpoint
from cybersecqwen.training.merge import merge
from cybersecqwen.training.sft import TrainingFiles, train

recipe, corpus, folder, branch, moved = sys.argv[1:]
corpus = TrainingFiles((Path(corpus, "train.jsonl"),), (Path(corpus, "validation.jsonl"),))
recipe, folder = load_recipe(recipe), Path(folder)
train(recipe, corpus, folder / "adapter", base="org/tiny")
Path(branch).write_text(moved)
merge(recipe, folder / "adapter", ["Which?"], folder / "merged", base="org/tiny")
# A kill before the last step: what goes on is the training that began.
shutil.rmtree(newest_checkpoint(folder / "adapter" / ".checkpoints"))
(folder / "again").mkdir()
shutil.copytree(folder / "adapter" / ".checkpoints", folder / "again" / ".checkpoints")
train(recipe, corpus, folder / "again", base="org/tiny")
"""


@pytest.mark.long
def test_the_commit_of_a_hubs_model_is_recorded_and_kept_to(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    """The branch moves on between training and merge, and between a kill and its resume."""
    trained, moved = "1" * 40, "2" * 40
    repository = tmp_path / "home" / "hub" / "models--org--tiny"
    shutil.copytree(run / "base", repository / "snapshots" / trained)
    prepare_base(tiny("training.seed=7"), corpus / "train.jsonl", repository / "snapshots" / moved)
    branch = repository / "refs" / "main"
    branch.parent.mkdir()
    branch.write_text(trained)
    recipe = tmp_path / "tiny.toml"
    settings = tiny("training.epochs=2")
    model = settings.model.model_copy(update={"base": "org/tiny", "random": None})
    hub = settings.model_copy(update={"model": model})
    recipe.write_text(dump_recipe(hub), encoding="utf-8")
    child = subprocess.run(
        [sys.executable, "-c", FROM_HUB, recipe, corpus, tmp_path, branch, moved],
        check=False,
        capture_output=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "1",
        },
    )
    assert child.returncode == 0, child.stderr.decode()
    for name in ("adapter", "again"):
        config = read_json(tmp_path / name / "adapter_config.json")
        assert (config["base_model_name_or_path"], config["revision"]) == ("org/tiny", trained)
        assert read_json(tmp_path / name / "summary.json")["base_revision"] == trained
    adapter, again = (tmp_path / n / "adapter_model.safetensors" for n in ("adapter", "again"))
    assert sha256_file(adapter) == sha256_file(again)
    merge(settings, tmp_path / "adapter", ["Which?"], tmp_path / "expected", base=run / "base")
    merged, expected = (tmp_path / n / "model.safetensors" for n in ("merged", "expected"))
    assert sha256_file(merged) == sha256_file(expected)


def test_a_folder_has_no_revision(run: Path) -> None:
    assert read_json(run / "adapter" / "adapter_config.json")["revision"] is None
    assert read_json(run / "adapter" / "summary.json")["base_revision"] is None


def test_a_gemma_adapter_sits_on_the_language_model_alone(gemma_run: Path) -> None:
    """The towers have modules of the same names, and see no text."""
    from safetensors import safe_open

    with safe_open(gemma_run / "adapter" / "adapter_model.safetensors", "np") as file:
        names = list(file.keys())
    assert len(names) == 2 * 2 * 7  # A and B of seven projections of two layers
    assert all(".language_model.layers." in name for name in names)
    assert json.loads((gemma_run / "adapter" / "summary.json").read_text())["steps"] == 3
