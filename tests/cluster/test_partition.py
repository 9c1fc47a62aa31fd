"""A partition on disk: done once, again where it is not whole, and refused where it must be."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.cluster import Cluster
from cybersecqwen.cluster.partition import Job, outcome, this_build, write_job, write_rows

BUILD = tuple(this_build())
ROWS = ["a", "b"]


def joined(calls: Path) -> Callable[[Sequence[str]], bytes]:
    def work(rows: Sequence[str]) -> bytes:
        with calls.open("a") as file:
            file.write("called\n")
        logging.getLogger("cybersecqwen.test").warning("%s: is %d long", rows[0], len(rows))
        return "".join(rows).encode()

    return work


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a job that notes each of its calls in `calls`."""
    return write_job(tmp_path / "shared", Job("joined", partial(joined, tmp_path / "calls")))


def test_a_partition_is_done_once_and_again_where_its_output_is_not_whole(
    folder: Path, tmp_path: Path
) -> None:
    path, record = write_rows(folder, 7, ROWS)
    assert record is None
    first = outcome(str(path), BUILD, "here")["record"]
    assert path.with_suffix(".out").read_bytes() == b"ab"
    assert (first["rows"], first["bytes"]) == (2, 2)
    assert first["warnings"] == [("cybersecqwen.test", logging.WARNING, "%s: is %d long", ["a", 2])]
    assert not path.with_suffix(".in").exists()

    assert write_rows(folder, 7, ROWS)[1]["partition"] == path.name  # type: ignore[index]
    assert outcome(str(path), BUILD, "here")["record"]["sha256"] == first["sha256"]
    assert (tmp_path / "calls").read_text() == "called\n"

    path.with_suffix(".out").write_bytes(b"a")
    assert write_rows(folder, 7, ROWS) == (path, None)
    outcome(str(path), BUILD, "here")
    assert path.with_suffix(".out").read_bytes() == b"ab"


def test_other_rows_and_another_job_have_other_names(folder: Path) -> None:
    names = {write_rows(folder, 0, rows)[0].name for rows in (ROWS, ["a", "c"])}
    assert len(names) == 2
    assert write_job(folder.parent, Job("joined", partial(joined, Path("elsewhere")))) != folder


def test_a_command_keeps_what_it_finished_in_every_run_of_a_job(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster need not be there: all partitions were done before the command was killed."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(cluster_resources=dict))
    job = Job("joined", partial(joined, tmp_path / "calls"))
    runs = [["a", "b"]], [["c"], ["d"]]
    for batches in (*runs, [["of another input"]]):
        for number, rows in enumerate(batches):
            outcome(str(write_rows(folder, number, rows)[0]), BUILD, "here")
    assert len([*folder.glob("*.out")]) == 4
    cluster = Cluster(folder.parent)
    for batches in runs:
        assert [data for _, data in cluster.run(job, batches)] == [
            "".join(rows).encode() for rows in batches
        ]
        assert len([*folder.glob("*.out")]) == 4  # of which the next run may have one
    cluster.delete_others()
    assert sorted(path.read_bytes() for path in folder.glob("*.out")) == [b"ab", b"c", b"d"]
    ledger = (folder / "ledger.jsonl").read_text().splitlines()
    assert [json.loads(line)["rows"] for line in ledger] == [2, 1, 1]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (("0.0.9", BUILD[1]), "has another version: "),
        ((BUILD[0], "f" * 64), "has other artifacts: "),
    ],
)
def test_a_node_with_another_package_does_nothing(
    folder: Path, build: tuple[str, str], said: str
) -> None:
    path, _ = write_rows(folder, 0, ROWS)
    assert said in outcome(str(path), build, "here")["refused"]
    assert not path.with_suffix(".out").exists()


def test_a_node_that_sees_no_folder_or_another_one_says_what_is_needed(folder: Path) -> None:
    path, _ = write_rows(folder, 0, ROWS)
    job = path.with_name("job.pickle")
    job.write_bytes(b"of something else")
    other = outcome(str(path), BUILD, "here")["refused"]
    job.unlink()
    missing = outcome(str(path), BUILD, "here")["refused"]
    for said in (other, missing):
        assert "does not see" in said
        assert "--shared has to be a folder that all nodes see" in said


def test_rows_that_are_not_what_was_written_fail_and_are_not_guessed(folder: Path) -> None:
    path, _ = write_rows(folder, 0, ROWS)
    path.with_suffix(".in").write_bytes(b"damaged")
    assert outcome(str(path), BUILD, "here") == {"failed": "its rows are not what was written"}
    path.with_suffix(".in").unlink()
    assert "cannot be read: No such file" in outcome(str(path), BUILD, "here")["failed"]


def test_a_full_disk_is_the_nodes_and_leaves_nothing_half_written(folder: Path) -> None:
    path, _ = write_rows(folder, 0, ["a" * 100_000])
    code = (
        "import resource, sys; from cybersecqwen.cluster.partition import outcome, this_build\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "print(outcome(sys.argv[1], this_build(), 'here'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
        env=environment(),
    )
    assert "refused" in done.stdout, done.stderr
    assert "cannot write: File too large" in done.stdout
    assert sorted(p.suffix for p in folder.iterdir()) == [".in", ".pickle"]


def environment() -> dict[str, str]:
    paths = (os.environ.get("PYTHONPATH", ""), str(Path(__file__).parent))
    return {**os.environ, "PYTHONPATH": ":".join(paths)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "--ray", "local"], "--ray ADDRESS and --shared FOLDER go together"),
        (["--ray", "local", "--shared", "x"], "--ray is for the embedded model, and for --json"),
    ],
)
def test_a_command_line_that_cannot_work_is_refused_at_once(
    arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(main, ["classify", "A text.", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
