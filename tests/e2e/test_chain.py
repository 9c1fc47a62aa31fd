"""The whole chain through the command line, as a user runs it: made, resumed, refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

COMMAND = Path(sys.executable).parent / "cybersecqwen"
TINY = [
    f"--set={setting}"
    for setting in (
        "corpus.max_examples=48",
        "training.epochs=2",
        "training.log_steps=1",
        "training.checkpoint_steps=2",
        "model.random.hidden_size=32",
        "model.random.layers=1",
        "model.random.vocab_size=600",
    )
]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)


def made(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def kill_when(ready: Callable[[], bool], *arguments: str | Path) -> None:
    """Start the command and kill it, without any chance to clean up, once `ready` says so."""
    with subprocess.Popen(
        [COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 600  # a loaded machine takes many times as long
        while not ready():
            assert process.poll() is None, "it finished before it could be killed"
            assert time.monotonic() < deadline, "it never got there"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run without interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = made("run", "smoke", "--out", out, *TINY, "--json")
    rows = json.loads(done.stdout)
    assert [row["task"] for row in rows] == ["cti-mcq", "cti-rcm"]
    return out


def test_a_run_leaves_what_the_docs_say(whole: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text()
    for name in (
        "recipe.toml",
        "corpus/train.jsonl",
        "corpus/validation.jsonl",
        "corpus/dropped.jsonl",
        "corpus/certificate.json",
        "corpus/DATASET_CARD.md",
        "adapter/training_log.jsonl",
        "adapter/summary.json",
        "merged/parity.json",
        "evaluation/cti-rcm/smoke/trial-0/responses.jsonl",
        "evaluation/cti-rcm/smoke/scores.json",
        "report/MODEL_CARD.md",
        "report/comparison.json",
        "report/plots/loss.svg",
    ):
        assert (whole / name).stat().st_size > 0, name
        assert Path(name).name in page
    for stage in ("corpus", "adapter", "merged", "evaluation/cti-rcm/smoke"):
        assert (whole / stage / "manifest.json").is_file()
    assert ModelCard.load(whole / "report" / "MODEL_CARD.md").data.eval_results


def test_nothing_of_a_run_names_this_machine(whole: Path) -> None:
    named = [
        str(path)
        for path in whole.rglob("*")
        if path.is_file() and str(whole).encode() in path.read_bytes()
    ]
    # Answers of the engine say which folder they came from; nothing that is published does.
    assert not [name for name in named if "evaluation" not in name and "checkpoints" not in name]


def test_a_second_run_skips_every_stage_and_prints_the_same(whole: Path) -> None:
    first = made("run", "smoke", "--out", whole, *TINY)
    again = made("run", "smoke", "--out", whole, *TINY)
    assert first.stdout == again.stdout
    assert again.stderr.count("done already, skipped") == 5


def test_a_changed_number_is_refused_by_name(whole: Path) -> None:
    done = run("run", "smoke", "--out", whole, *TINY, "--set", "training.epochs=3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "training.epochs was 2.0, is 3.0" in done.stderr


def test_changed_records_are_refused_by_name(whole: Path, tmp_path: Path) -> None:
    from cybersecqwen.sample import FEED

    feed = tmp_path / FEED.name
    feed.write_text(FEED.read_text().replace("Example", "Sample", 1) + "\n")
    done = run("corpus", "smoke", "--out", whole, *TINY, "--records", feed)
    assert done.returncode == 1
    assert f"inputs.records.{FEED.name} was" in done.stderr


def test_killed_in_training_and_in_evaluation_it_ends_the_same(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("run", "smoke", "--out", out, *TINY)
    checkpoints = out / "adapter" / ".checkpoints"
    kill_when(lambda: bool(list(checkpoints.glob("checkpoint-[4-8]"))), *arguments)
    assert not (out / "adapter" / "manifest.json").exists()
    answers = out / "evaluation" / "cti-rcm" / "smoke" / "trial-0" / "responses.jsonl"
    kill_when(lambda: lines(answers) >= 2, *arguments)
    made(*arguments)
    for name in (
        "corpus/train.jsonl",
        "adapter/adapter_model.safetensors",
        "adapter/training_log.jsonl",
        "merged/model.safetensors",
        "evaluation/cti-rcm/smoke/trial-0/responses.jsonl",
        "evaluation/cti-mcq/smoke/trial-0/responses.jsonl",
    ):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_the_stages_are_commands_of_their_own(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for stage in ("corpus", "train", "merge", "evaluate", "card"):
        made(stage, "smoke", "--out", out, *TINY)
    name = "merged/model.safetensors"
    assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_several_processes_train_one_adapter(tmp_path: Path) -> None:
    out = tmp_path / "run"
    made("corpus", "smoke", "--out", out, *TINY)
    subprocess.run(
        [
            *(COMMAND.parent / "torchrun", "--nproc-per-node=2", "-m", "cybersecqwen.cli"),
            *("train", "smoke", "--out", out, *TINY),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    assert json.loads((out / "adapter" / "summary.json").read_text())["world_size"] == 2
    assert "done already, skipped" in made("train", "smoke", "--out", out, *TINY).stderr


def test_a_merged_folder_is_evaluated_on_its_own(whole: Path, tmp_path: Path) -> None:
    from cybersecqwen.sample import BENCHMARK

    out = tmp_path / "run"
    done = made(
        *("evaluate", "--model", whole / "merged", "--benchmark", BENCHMARK, "--out", out),
        *("--protocol", "smoke", "--task", "cti-rcm", "--json"),
    )
    name = Path("evaluation/cti-rcm/smoke/trial-0/responses.jsonl")
    assert json.loads(done.stdout)[0]["task"] == "cti-rcm"
    assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_recipes_run_takes_the_scores_of_its_own_model_only(whole: Path, tmp_path: Path) -> None:
    from cybersecqwen.sample import BENCHMARK

    common = ["--benchmark", BENCHMARK, "--task", "cti-rcm", "--protocol", "smoke", "--out", whole]
    own = made("evaluate", "--model", whole / "merged", *common)
    assert "done already, skipped" in own.stderr
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"item": 0, "text": "CWE-79"}\n')
    other = run("evaluate", "--responses", answers, *common)
    assert other.returncode == 1
    assert "is the run of a recipe" in other.stderr


def test_a_model_folder_without_a_chat_template_says_what_to_do(
    whole: Path, tmp_path: Path
) -> None:
    from cybersecqwen.sample import BENCHMARK

    folder = shutil.copytree(whole / "merged", tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    arguments = ["--benchmark", BENCHMARK, "--protocol", "smoke", "--out", tmp_path / "run"]
    done = run("evaluate", "--model", folder, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("cybersecqwen: ")
    assert "chat template" in done.stderr
    assert 'kind "base"' in done.stderr
    # The way out that the message names is open: nothing stays behind that refuses it.
    shutil.copy(whole / "merged" / "chat_template.jinja", folder)
    made("evaluate", "--model", folder, "--task", "cti-rcm", *arguments)
