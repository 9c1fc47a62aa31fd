"""A command takes the options of the inputs that its stage declares, and no other ones."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.config import load_recipe
from cybersecqwen.pipeline import STAGES, RunInputs
from cybersecqwen.pipeline.stage import Outputs

INPUTS = {field.name for field in fields(RunInputs)} - {"teacher_options"}  # as of any model
_OTHER = "Other requests at once."
DECLARED = {name: {option.name for option in stage.options} for name, stage in STAGES.items()}


def options_of(command: str) -> set[str]:
    """Return the names of a command's visible options; a protocol's --concurrency is another."""
    params = [p for p in main.commands[command].params if isinstance(p, click.Option)]
    return {p.name or "" for p in params if not p.hidden and p.help not in (_OTHER, None)}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_takes_the_options_of_its_inputs_alone(name: str) -> None:
    assert STAGES[name].name == name
    assert options_of(name) & INPUTS == DECLARED[name]
    assert {"out", "overrides"} <= options_of(name)


@pytest.mark.parametrize("command", ["run", "series"])
def test_what_runs_all_stages_takes_the_options_of_all(command: str) -> None:
    assert options_of(command) & INPUTS == set().union(*DECLARED.values()) == INPUTS


def test_the_options_are_these() -> None:
    assert {
        "corpus": {"records", "benchmark"},
        "synthesis": INPUTS,
        "distill": {"benchmark"},
        "train": set(),
        "merge": set(),
        "evaluate": {"benchmark"},
        "card": set(),
    } == DECLARED


@pytest.mark.parametrize("command", ["train", "merge", "card"])
@pytest.mark.parametrize("option", ["--records", "--benchmark", "--teacher"])
def test_an_option_that_a_stage_would_ignore_is_none(
    command: str, option: str, tmp_path: Path
) -> None:
    arguments = [command, "smoke", "--out", str(tmp_path / "run"), option, "x"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "No such option" in result.stderr and option in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_stage_reads_outputs_of_stages_before_it_and_keys_that_recipes_have() -> None:
    recipe, before = load_recipe("cybersecqwen-4b"), set()
    for stage in STAGES.values():
        assert {s.stage.name for s in stage.inputs if isinstance(s, Outputs)} <= before
        assert set(stage.settings(recipe)) == {key.rpartition(".")[2] for key in stage.config}
        before.add(stage.name)


@pytest.mark.parametrize(("option", "value"), [("--attack", "x"), ("--teacher", "embedded")])
def test_an_input_that_no_stage_of_the_recipe_reads_is_refused(
    option: str, value: str, tmp_path: Path
) -> None:
    arguments = ["run", "smoke", "--out", str(tmp_path / "run"), option, value]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert f"{option} is for synthesis, which this recipe does not ask for" in result.stderr
    assert not (tmp_path / "run" / "corpus").exists()
