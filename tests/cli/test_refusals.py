"""What cannot be meant is refused before anything is asked or written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.run import evaluate
from cybersecqwen.cli import main
from cybersecqwen.engines import open_model
from cybersecqwen.sample import BENCHMARK


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "embedded"
    protocol = find_protocol("model-card", trials=1)
    evaluate(open_model("embedded"), "cti-rcm", protocol, benchmark=BENCHMARK, out=out)
    return out


@pytest.mark.parametrize(
    ("size", "said"),
    [
        *((f"embedded={size}", "is not NAME=BILLIONS") for size in ("nan", "inf", "0", "-4", "x")),
        ("=4", "is not NAME=BILLIONS"),
        ("other=4", "a size of 'other', which is none of the models (there are embedded)"),
    ],
)
def test_a_size_that_is_none_is_refused(run: Path, tmp_path: Path, size: str, said: str) -> None:
    where = ["--benchmark", str(BENCHMARK), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, ["compare", str(run), *where, "--size", size])
    assert (result.exit_code in (1, 2), said in result.stderr) == (True, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("temperature", ["nan", "inf"])
def test_a_temperature_that_is_no_number_is_refused(tmp_path: Path, temperature: str) -> None:
    arguments = ["--engine", "embedded", "--temperature", temperature, "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(main, ["evaluate", *arguments])
    assert result.exit_code == 1
    assert f"a temperature of {temperature}" in result.stderr


def test_recorded_answers_cannot_be_asked_in_other_orders(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"item": 0, "text": "A"}\n')
    arguments = ["--responses", str(answers), "--task", "cti-mcq", "--permute", "4"]
    result = CliRunner().invoke(main, ["evaluate", *arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "one order of the options" in result.stderr


def test_one_form_of_output_is_chosen() -> None:
    result = CliRunner().invoke(main, ["classify", "--json", "--csv", "XSS in Foo."])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("Error: --json and --csv exclude each other\n")
