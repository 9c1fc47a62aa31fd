"""The whole chain through the command line, as a user runs it: made, resumed, refused, served.

What can runs in this process, which has imported PyTorch once; what is killed, served or started by
torchrun is a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard

from cybersecqwen.cli import main
from cybersecqwen.files import read_jsonl
from cybersecqwen.sample import BENCHMARK, FEED

STEPS = 6  # per epoch: 48 examples less those for validation, eight at a time

COMMANDS = Path(sys.executable).parent
COMMAND = COMMANDS / "cybersecqwen"
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


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def made(*arguments: str | Path) -> Result:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
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


def test_a_second_run_skips_every_stage_and_prints_the_same(
    whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = made("run", "smoke", "--out", whole, *TINY)
    caplog.clear()
    again = made("run", "smoke", "--out", whole, *TINY)
    assert first.stdout == again.stdout
    assert caplog.text.count("done already, skipped") == 5


def test_a_changed_number_is_refused_by_name(whole: Path) -> None:
    done = run("run", "smoke", "--out", whole, *TINY, "--set", "training.epochs=3")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "training.epochs was 2.0, is 3.0" in done.stderr


def test_changed_records_are_refused_by_name(whole: Path, tmp_path: Path) -> None:
    feed = tmp_path / FEED.name
    feed.write_text(FEED.read_text().replace("Example", "Sample", 1) + "\n")
    done = run("corpus", "smoke", "--out", whole, *TINY, "--records", feed)
    assert done.exit_code == 1
    assert f"inputs.records.{FEED.name} was" in done.stderr


@pytest.mark.long
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
        "adapter/adapter_config.json",
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


def test_several_processes_train_one_adapter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of them computes half of every step, and the losses are those of one process."""
    out, alone = tmp_path / "run", tmp_path / "alone"
    settings = [*TINY, "--set=adapter.dropout=0.0"]
    made("corpus", "smoke", "--out", out, *settings)
    shutil.copytree(out, alone)
    subprocess.run(
        [COMMAND, "train", "smoke", "--nproc", "2", "--out", out, *settings],
        check=True,
        capture_output=True,
        timeout=300,
    )
    summary = json.loads((out / "adapter" / "summary.json").read_text())
    assert (summary["world_size"], summary["distributed_type"]) == (2, "MULTI_CPU")
    assert (summary["steps_per_epoch"], summary["steps"]) == (STEPS, 2 * STEPS)
    made("train", "smoke", "--out", alone, *settings)
    logs = [list(read_jsonl(run / "adapter" / "training_log.jsonl")) for run in (out, alone)]
    for ours, theirs in zip(*logs, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)  # gradients are summed in another order
    made("train", "smoke", "--out", out, *settings, "--nproc", "2")
    assert "adapter: done already, skipped" in caplog.text


def test_a_merged_folder_is_evaluated_on_its_own(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = made(
        *("evaluate", "--model", whole / "merged", "--benchmark", BENCHMARK, "--out", out),
        *("--protocol", "smoke", "--task", "cti-rcm", "--json"),
    )
    name = Path("evaluation/cti-rcm/smoke/trial-0/responses.jsonl")
    assert json.loads(done.stdout)[0]["task"] == "cti-rcm"
    assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_recipes_run_takes_the_scores_of_its_own_model_only(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    common = ["--benchmark", BENCHMARK, "--task", "cti-rcm", "--protocol", "smoke", "--out", whole]
    made("evaluate", "--model", whole / "merged", *common)
    assert "done already, skipped" in caplog.text
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"item": 0, "text": "CWE-79"}\n')
    other = run("evaluate", "--responses", answers, *common)
    assert other.exit_code == 1
    assert "is the run of a recipe" in other.stderr


def test_a_model_folder_without_a_chat_template_says_what_to_do(
    whole: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(whole / "merged", tmp_path / "plain")
    (folder / "chat_template.jinja").unlink()
    arguments = ["--benchmark", BENCHMARK, "--protocol", "smoke", "--out", tmp_path / "run"]
    done = run("evaluate", "--model", folder, *arguments)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("cybersecqwen: ")
    assert "chat template" in done.stderr
    assert 'kind "base"' in done.stderr
    # The way out that the message names is open: nothing stays behind that refuses it.
    shutil.copy(whole / "merged" / "chat_template.jinja", folder)
    made("evaluate", "--model", folder, "--task", "cti-rcm", *arguments)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the model with `transformers serve` until the tests are over."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [COMMANDS / "transformers", "serve", "--host", "127.0.0.1", "--port", str(port)],
            stdout=file,
            stderr=file,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the server did not come up: {log.read_text()[-2000:]}")


@pytest.mark.long
def test_a_served_model_gives_the_answers_of_the_folder(
    whole: Path, url: str, tmp_path: Path
) -> None:
    """Behind the HTTP of a real server, `transformers serve`, the model answers the same."""
    made(
        *("evaluate", "--model", f"{whole / 'merged'}@{url}", "--benchmark", BENCHMARK),
        *("--protocol", "smoke", "--task", "cti-rcm", "--out", tmp_path),
    )
    answers = {}
    for name, out in {"folder": whole, "server": tmp_path}.items():
        path = out / "evaluation" / "cti-rcm" / "smoke" / "trial-0" / "responses.jsonl"
        rows = map(json.loads, path.read_text().splitlines())
        # A special token that the model makes as text is cut by the folder's engine alone.
        answers[name] = {row["item"]: re.sub(r"<\|\w+\|>", "", row["text"]).strip() for row in rows}
    assert len(answers["folder"]) == 60
    assert answers["server"] == answers["folder"]
