"""`evaluate --model embedded`: what ships is measured like any model, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.files import read_json
from cybersecqwen.sample import BENCHMARK


def evaluate(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["evaluate", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "embedded"
    code, _, err = evaluate("--model", "embedded", "--benchmark", str(BENCHMARK), "--out", str(out))
    assert code == 0, err
    return out


def test_every_trial_is_kept_and_all_agree(measured: Path) -> None:
    for task in ("cti-rcm", "cti-mcq"):
        folder = measured / "evaluation" / task / "model-card"
        scores = read_json(folder / "scores.json")
        assert len(scores["trials"]) == 5
        assert scores["strict_accuracy"]["std"] == 0
        assert scores["parseable_rate"]["mean"] == 1
        assert scores["modified"] == []
        assert len((folder / "trial-4" / "responses.jsonl").read_text().splitlines()) > 9


def test_the_table_marks_each_task_s_book(measured: Path) -> None:
    where = ("--benchmark", str(BENCHMARK), "--out", str(measured))
    code, table, _ = evaluate("--model", "embedded", *where)
    assert code == 0
    rows = [line.split() for line in table.splitlines()]
    books = {row[1]: row[6] for row in rows[2:]}
    assert books == {"cti-rcm": "closed", "cti-mcq": "open"}
    assert all("deterministic" in row[-8:] or "deterministic;" in row for row in rows[2:])
    code, out, _ = evaluate("--model", "embedded", *where, "--json")
    assert {row["task"]: row["book"] for row in json.loads(out)} == books


def test_figures_of_the_sample_are_not_stored(measured: Path, tmp_path: Path) -> None:
    target = tmp_path / "benchmark.json"
    where = ("--benchmark", str(BENCHMARK), "--out", str(measured))
    code, out, err = evaluate("--model", "embedded", *where, "--save", str(target))
    assert (code, out) == (1, "")
    assert "holds no figures of the embedded model on CTI-Bench" in err
    assert not target.exists()


def test_a_base_model_s_prompts_are_answered_too(measured: Path, tmp_path: Path) -> None:
    code, _, err = evaluate(
        *("--model", "embedded", "--kind", "base", "--trials", "1"),
        *("--benchmark", str(BENCHMARK), "--out", str(tmp_path / "base")),
    )
    assert code == 0, err
    for task in ("cti-rcm", "cti-mcq"):
        base, chat = (
            read_json(run / "evaluation" / task / "model-card" / "scores.json")
            for run in (tmp_path / "base", measured)
        )
        assert base["trials"][0]["correct"] == chat["trials"][0]["correct"]


def test_it_needs_no_pytorch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'sklearn', 'scipy'): sys.modules[name] = None\n"
        "from cybersecqwen.cli import main\n"
        f"main(['evaluate', '--model', 'embedded', '--protocol', 'smoke', '--benchmark', "
        f"{str(BENCHMARK)!r}, '--out', {str(tmp_path / 'run')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cti-mcq" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--engine", "embedded", "--model", "folder"],
        ["--engine", "embedded", "--url", "http://localhost:1/v1"],
        ["--engine", "embedded", "--responses", "answers.jsonl", "--task", "cti-rcm"],
        ["--engine", "http"],
        ["smoke", "--model", "embedded"],
        ["--model", "folder", "--save", "figures.json"],
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str]) -> None:
    code, out, err = evaluate(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err
