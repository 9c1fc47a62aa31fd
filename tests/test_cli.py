"""The command line starts fast and light, documents itself, and fails in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cybersecqwen.artifacts import shipped_recipes
from cybersecqwen.cli import main
from cybersecqwen.cli.group import Group

DOCS = Path(__file__).parents[1]


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_and_option_has_help_and_stands_in_the_docs(
    name: str, command: click.Command
) -> None:
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert all(option.help for option in options)
    pages = [DOCS / "README.md", *sorted((DOCS / "docs").glob("*.md"))]
    assert any(f"cybersecqwen {name}" in page.read_text() for page in pages)


def test_help_names_the_shipped_recipes() -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in shipped_recipes())


@pytest.mark.parametrize(
    ("arguments", "light"),
    # The names of tasks and protocols come with the modules that hold them.
    [
        (["--help"], set()),
        (["run", "--help"], set()),
        (["evaluate", "--help"], {"pydantic", "numpy"}),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str], light: set[str]) -> None:
    code = (
        "import sys, cybersecqwen.cli as c\n"
        f"try: c.main({arguments})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'pyarrow', 'pydantic', 'aiohttp', 'numpy'}\n"
        f"sys.exit(' '.join(heavy & set(sys.modules) - {light}) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_a_summary_fits_a_line_of_the_list(name: str, command: click.Command) -> None:
    assert len(command.get_short_help_str(limit=200)) <= 60, name


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["evaluate", "smoke", "--protocol", "paperr"], "'paper'"),
        (["score", "run", "--task", "cti-rmc"], "'cti-rcm'"),
        (["audit", "train.jsonl", "--rule", "fuzzy"], "'near-duplicate'"),
        (["fetch", "nvdd"], "'nvd'"),
    ],
)
def test_a_wrong_choice_is_answered_with_the_right_ones(arguments: list[str], right: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "is not one of" in err
    assert right in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "smok"], "smok: no such recipe"),
        (["corpus", "smoke", "--set", "corpus.year=1"], "did you mean 'years'?"),
        (["corpus", "smoke", "--records", "none.json"], "none.json: no such file"),
        (["corpus", "smoke", "--benchmark", "none"], "none: no such folder of benchmark tasks"),
        (["train", "smoke"], "run it first: cybersecqwen corpus smoke --out out"),
        (["merge", "smoke"], "run it first: cybersecqwen train smoke --out out"),
        (["evaluate", "smoke"], "run it first: cybersecqwen merge smoke --out out"),
        (["evaluate"], "give a recipe, or --model MODEL"),
        (["fetch", "nvd", "--years", "twenty"], "--years 'twenty' is not a year or range"),
        (["fetch", "nvd", "--years", "2021-2015"], "--years '2021-2015' is not a year or range"),
        (["corpus", "smoke", "--set", "evaluation.protocol=model-crad"], "unknown protocol"),
        (["corpus", "smoke", "--set", "evaluation.tasks=['cti-rmc']"], "unknown task 'cti-rmc'"),
    ],
)
def test_a_mistake_is_one_line_with_a_way_out(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = [] if arguments[0] == "fetch" else ["--out", "out"]
    code, out, err = run(*arguments, *where)
    assert (code, out) == (1, "")
    assert message in err
    assert err.startswith("cybersecqwen: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "smoke", "--url", "http://localhost:1/v1"],
        ["evaluate", "--model", "folder", "--set", "training.epochs=1"],
        ["evaluate", "--responses", "answers.jsonl", "--model", "folder"],
        ["evaluate", "--responses", "answers.jsonl"],
        ["evaluate", "--model", "answers.jsonl"],
        ["evaluate", "smoke", "--kind", "base"],
        ["fetch", "cwe", "--years", "2021"],
    ],
)
def test_options_that_would_have_no_effect_are_refused(arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_a_benchmark_without_a_task_of_the_recipe_is_refused_before_any_training(
    tmp_path: Path,
) -> None:
    from cybersecqwen.sample import BENCHMARK

    folder = tmp_path / "benchmark"
    folder.mkdir()
    shutil.copy(BENCHMARK / "cti-rcm.tsv", folder)
    arguments = ("run", "smoke", "--out", str(tmp_path / "run"), "--benchmark", str(folder))
    code, _, err = run(*arguments)
    assert code == 1
    assert "benchmark: holds no cti-mcq.tsv" in err


def test_the_same_feed_in_another_folder_gives_the_same_corpus(tmp_path: Path) -> None:
    from cybersecqwen.sample import FEED

    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        shutil.copy(FEED, tmp_path / name / "feed.json")
        path = str(tmp_path / name / "feed.json")
        assert (
            run("corpus", "smoke", "--out", str(tmp_path / name / "run"), "--records", path)[0] == 0
        )
    for made in sorted((tmp_path / "here" / "run" / "corpus").iterdir()):
        assert made.read_bytes() == (tmp_path / "there/run/corpus" / made.name).read_bytes()


def test_the_order_and_the_number_of_record_files_count(tmp_path: Path) -> None:
    from cybersecqwen.sample import FEED

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(FEED, tmp_path / name / "feed.json")
    feed = tmp_path / "b" / "feed.json"
    feed.write_text(feed.read_text() + " ")
    paths = [f"--records={tmp_path / name / 'feed.json'}" for name in ("a", "b")]
    out = ("corpus", "smoke", "--out", str(tmp_path / "run"))
    assert run(*out, *paths)[0] == 0
    assert "inputs.records.1/feed.json" in run(*out, *reversed(paths))[2]
    assert "inputs.records.feed.json" in run(*out, paths[0])[2]


def test_records_that_are_not_fetched_name_the_command_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path))
    code, _, err = run("corpus", "cybersecqwen-4b", "--out", str(tmp_path / "out"))
    assert code == 1
    assert "cybersecqwen fetch nvd --years 2021" in err
    assert not (tmp_path / "out" / "corpus").exists()


def test_json_is_all_that_stdout_carries(tmp_path: Path) -> None:
    code, out, _ = run("corpus", "smoke", "--out", str(tmp_path / "run"), "--json")
    assert code == 0
    assert json.loads(out)["contaminated"]["cve-id"] == {"cti-rcm": 2}


def test_a_changed_recipe_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("corpus", "smoke", "--out", str(out))
    before = (out / "recipe.toml").read_text()
    code, _, err = run("corpus", "smoke", "--out", str(out), "--set", "corpus.min_words=9")
    assert code == 1
    assert "corpus.min_words was 5, is 9" in err
    assert (out / "recipe.toml").read_text() == before


def test_the_package_runs_from_a_fresh_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cybersecqwen.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("cybersecqwen, version ")


def test_a_command_imports_what_it_needs_and_nothing_of_the_others() -> None:
    program = (
        "import sys; from cybersecqwen.cli import main; "
        "main(['classify', 'SQL injection in Foo 1.2.'], standalone_mode=False); "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    for other in ("cli.stages", "engines", "pipeline", "embedded.knowledge", "sources"):
        assert f"cybersecqwen.{other}".encode() not in done.stdout.split(), other


def test_the_help_lists_every_command_once_in_a_section() -> None:
    assert isinstance(main, Group)
    listed = [name for names in main.sections.values() for name in names]
    assert sorted(listed) == sorted(main.commands)
    assert [main.commands[name].name for name in listed] == listed
    out = run("--help")[1]
    titles = ["Analyst", "Workplace", "Data", "Model", "Evaluation", "Ecosystem"]
    assert list(main.sections) == titles
    assert all(f"{title}:" in out for title in main.sections)


@pytest.mark.parametrize(("option", "said"), [("--quiet", False), ("--verbose", True)])
def test_quiet_says_nothing_but_results(option: str, said: bool, tmp_path: Path) -> None:
    arguments = ["corpus", "smoke", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "cybersecqwen.cli", option, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "training" in result.stdout
    assert bool(result.stderr) is said


def test_errors_are_coloured_on_a_terminal_unless_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ["run", "smok"]
    assert "\x1b[31m" in CliRunner().invoke(main, arguments, color=True).stderr
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(main, arguments, color=True).stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("arguments", [["--help"], ["protocols"], ["classify", "XSS", "--json"]])
def test_a_full_disk_under_standard_output_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cybersecqwen.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("cybersecqwen: cannot write: No space left on device (free")
    assert done.stderr.count("\n") == 1
