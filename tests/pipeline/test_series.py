"""A series runs what its file says, shares what is the same, and outlives a run that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cybersecqwen.artifacts import shipped_series
from cybersecqwen.cli import main
from cybersecqwen.errors import RecipeError
from cybersecqwen.files import read_json
from cybersecqwen.pipeline.series import load_series
from cybersecqwen.sample import BENCHMARK

HEAD = 'name = "tiny"\nsummary = "A few runs"\nrecipe = "smoke"\n'
# The smoke recipe cut to a second.
SMALL = """
[set]
corpus.max_examples = 24
training.epochs = 0.5
training.max_length = 1024
model.random.hidden_size = 32
model.random.layers = 1
model.random.vocab_size = 600
evaluation.tasks = ["cti-rcm"]
"""
RUNS = """
[[variants]]
name = "plain"

[[variants]]
name = "broken"
set.training.log_steps = {log_steps}

[[variants]]
name = "again"
set.summary = "The same by another name"

[[variants]]
name = "taught"
set.distillation.teacher = "embedded"
set.model.kind = "base"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "series.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return path


def invoke(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["series", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a benchmark of ten items, enough for five exemplars."""
    folder = tmp_path_factory.mktemp("series")
    (folder / "benchmark").mkdir()
    lines = (BENCHMARK / "cti-rcm.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "benchmark" / "cti-rcm.tsv").write_text("".join(lines[:11]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> tuple[int, str, str]:
    """Run the series once, with a run that cannot be trained."""
    path = write(folder, SMALL + RUNS.format(log_steps=7))
    return invoke(path, "--out", folder / "out", "--benchmark", folder / "benchmark")


def result_of(report: Any, name: str) -> Any:
    [run] = [run for run in report["runs"] if run["name"] == name]
    return run


def test_a_run_that_fails_is_told_and_the_others_are_made(
    folder: Path, made: tuple[int, str, str]
) -> None:
    code, out, err = made
    assert code == 1
    assert err.splitlines()[-1].startswith("cybersecqwen: ")
    assert "1 of 4 runs failed: broken" in err.splitlines()[-1]
    report = read_json(folder / "out" / "series.json")
    names = ["plain", "broken", "again", "taught"]
    assert [run["name"] for run in report["runs"]] == names
    broken = result_of(report, "broken")
    assert "is not a multiple of log_steps 7" in broken["error"]
    assert broken["results"] == []
    assert f"- broken: {broken['error']}" in out
    for name in set(names) - {"broken"}:
        assert (folder / "out" / name / "report" / "MODEL_CARD.md").is_file()
        assert len(result_of(report, name)["results"]) == 1
    assert (folder / "out" / "series.md").read_text().strip() in out
    assert (folder / "out" / "comparison" / "comparison.html").is_file()


def test_every_run_is_held_against_the_reference_with_significance(
    folder: Path, made: tuple[int, str, str]
) -> None:
    report = read_json(folder / "out" / "series.json")
    assert report["reference"] == "plain"
    assert result_of(report, "plain")["results"][0]["against"] is None
    again = result_of(report, "again")["results"][0]
    assert again["mean"] == result_of(report, "plain")["results"][0]["mean"]
    assert again["against"]["difference"] == 0
    assert (again["against"]["p_holm"], again["against"]["verdict"]) == (1.0, "same")
    comparison = read_json(folder / "out" / "comparison" / "comparison.json")
    [table] = comparison["tables"]
    assert {row["model"] for row in table["rows"]} == {"plain", "again", "taught"}


def test_a_stage_that_another_run_made_from_the_same_is_shared(
    folder: Path, made: tuple[int, str, str]
) -> None:
    out = folder / "out"
    for name in ("broken", "again", "taught"):
        assert (out / "plain/corpus/train.jsonl").samefile(out / name / "corpus/train.jsonl")
    weights = "merged/model.safetensors"
    assert (out / "plain" / weights).samefile(out / "again" / weights)
    assert not (out / "plain" / weights).samefile(out / "taught" / weights)
    for name in ("corpus", "adapter", "merged"):
        plain, again = (read_json(out / run / name / "manifest.json") for run in ("plain", "again"))
        assert plain == again
    # The card of the one is not the other's.
    assert "another name" in (out / "again" / "merged" / "README.md").read_text()
    assert "another name" not in (out / "plain" / "merged" / "README.md").read_text()


def test_the_teacher_and_the_kind_reach_their_runs(
    folder: Path, made: tuple[int, str, str]
) -> None:
    out = folder / "out"
    taught = (out / "taught" / "report" / "MODEL_CARD.md").read_text()
    assert "## Distillation" in taught
    assert "The teacher embedded answered" in taught
    made_from = read_json(out / "taught" / "adapter" / "manifest.json")["made_from"]
    assert list(made_from["inputs"]["distillation"]) == ["train.jsonl"]
    assert not (out / "plain" / "distillation").exists()
    evaluated = read_json(out / "taught" / "evaluation" / "cti-rcm" / "smoke" / "scores.json")
    assert evaluated["kind"] == "base"


def test_it_goes_on_with_what_failed_and_repeats_nothing(
    folder: Path, made: tuple[int, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(folder, SMALL + RUNS.format(log_steps=10))
    given = ("--out", folder / "out", "--benchmark", folder / "benchmark", "--json")
    kept = folder / "out" / "taught" / "merged" / "model.safetensors"
    before = kept.stat().st_mtime_ns
    caplog.set_level("INFO")
    code, out, _ = invoke(path, *given)
    assert code == 0
    report = json.loads(out)
    assert all(run["error"] is None for run in report["runs"])
    assert report == read_json(folder / "out" / "series.json")
    assert kept.stat().st_mtime_ns == before
    made_now = [r.getMessage() for r in caplog.records if r.getMessage().endswith("started")]
    assert {Path(line.partition(":")[0]).parts[-2] for line in made_now} <= {*("broken", "cti-rcm")}


def test_a_dry_run_lists_the_runs_and_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, '[set]\ntraining.seed = 1\n[grid]\n"adapter.r" = [4, 8]\n')
    out = tmp_path / "out"
    code, table, _ = invoke(path, "--out", out, "--dry-run", "--set", "training.epochs=1")
    assert code == 0
    assert "training.seed=1 adapter.r=8 training.epochs=1" in table
    code, listed, _ = invoke(path, "--out", out, "--dry-run", "--json")
    assert [row["run"] for row in json.loads(listed)] == ["r-4", "r-8"]
    assert json.loads(listed)[0]["set"] == ["training.seed=1", "adapter.r=4"]
    assert not out.exists()


def test_a_grid_is_every_combination_named_by_its_values(tmp_path: Path) -> None:
    text = (
        "[grid]\ntraining.epochs = [1, 5.0]\ncorpus.years = [[2021, 2021], [2019, 2021]]\n"
        "training.seed = [1]\ncorpus.seed = [2]\n"
    )
    series = load_series(write(tmp_path, text))
    assert [cell.name for cell in series.cells] == [
        "epochs-1_training.seed-1_years-2021-2021_corpus.seed-2",
        "epochs-1_training.seed-1_years-2019-2021_corpus.seed-2",
        "epochs-5.0_training.seed-1_years-2021-2021_corpus.seed-2",
        "epochs-5.0_training.seed-1_years-2019-2021_corpus.seed-2",
    ]
    assert series.reference == series.cells[0].name
    assert "corpus.years=[2019, 2021]" in series.settings(series.cells[1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no runs: give [grid] or [[variants]]"),
        ("[gird]\nadapter.r = [4]\n", "unknown key 'gird', did you mean 'grid'?"),
        ('[[variants]]\nnam = "a"\n', "unknown key 'variants.0.nam', did you mean 'name'?"),
        ('[[variants]]\nname = "a/b"\n', "variants.0.name"),
        ("[grid]\nadapter.r = 4\n", "grid.adapter.r: Input should be a valid list"),
        ("[grid]\nadapter.r = []\n", "the axis 'adapter.r' of the grid has no values"),
        ("[grid]\nadaptor.r = [4]\n", "the run 'r-4': "),
        ("[grid]\nadaptor.r = [4]\n", "unknown key 'adaptor', did you mean 'adapter'?"),
        ("[grid]\nadapter.r = [4, 0]\n", "the run 'r-0': "),
        ("[grid]\nadapter.r = [4, 4]\n", "two runs are named 'r-4'"),
        ('reference = "b"\n[grid]\nadapter.r = [4]\n', "no run 'b' (there are r-4)"),
        ("[grid]\ntraining.epochs = [2021-01-01]\n", "training.epochs"),
        ("[grid\n", "not valid TOML"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    code, out, err = invoke(write(tmp_path, text), "--out", tmp_path / "out")
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_series_and_a_recipe_beside_the_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no such series \(give a TOML file or one of"):
        load_series("smok")
    from cybersecqwen.config import dump_recipe, load_recipe

    (tmp_path / "mine.toml").write_text(dump_recipe(load_recipe("smoke")))
    path = tmp_path / "series.toml"
    path.write_text(f"{HEAD}[grid]\nadapter.r = [4]\n".replace('"smoke"', '"mine.toml"'))
    assert load_series(path).recipe == str(tmp_path / "mine.toml")


def test_another_recipe_takes_the_place_of_the_series_own() -> None:
    series = load_series("smoke", recipe="smollm2-135m-cpu")
    assert series.recipe == "smollm2-135m-cpu"
    with pytest.raises(RecipeError, match="no such recipe"):
        load_series("smoke", recipe="smol")


@pytest.mark.parametrize("name", sorted(shipped_series()))
def test_every_shipped_series_loads(name: str) -> None:
    series = load_series(name)
    assert len(series.cells) > 2
    assert series.summary
