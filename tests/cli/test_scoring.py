"""The evaluator's commands, as a user gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.cli import main
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.sample import BENCHMARK

ITEMS = read_items(BENCHMARK, "cti-rcm")
COMMON = ("--benchmark", str(BENCHMARK))


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def shown(*arguments: str) -> Any:
    code, out, err = run(*arguments)
    assert code == 0, err
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Record gold answers to all items but the last five, which get none."""
    path = tmp_path / "answers.jsonl"
    texts = [item.gold for item in ITEMS[:-5]] + ["I cannot tell."] * 5
    path.write_text(
        "".join(json.dumps({"item": i, "text": text}) + "\n" for i, text in enumerate(texts))
    )
    return path


@pytest.fixture
def evaluated(recording: Path, tmp_path: Path) -> Path:
    given = ("--responses", str(recording), "--task", "cti-rcm", "--trials", "1")
    code, _, err = run("evaluate", *given, *COMMON, "--out", str(tmp_path / "run"))
    assert code == 0, err
    return tmp_path / "run"


def test_score_prints_one_object(recording: Path) -> None:
    result = shown(
        "score", str(recording), "--task", "cti-rcm", "--protocol", "model-card", *COMMON, "--json"
    )
    n = len(ITEMS)
    assert (result["task"], result["protocol"]) == ("cti-rcm", "model-card")
    assert (result["n"], result["correct"], result["parseable"]) == (n, n - 5, n - 5)
    assert result["strict_accuracy"] == pytest.approx((n - 5) / n)
    assert result["parseable_rate"] == pytest.approx((n - 5) / n)
    assert result["modified"] == ["trials=1"]
    dropped = shown(
        "score", str(recording), "--task", "cti-rcm", "--protocol", "cti-bench", *COMMON, "--json"
    )
    assert (dropped["strict_accuracy"], dropped["n"]) == (1, n)
    assert dropped["modified"] == []


def test_a_run_is_scored_under_another_protocol_and_says_so(evaluated: Path) -> None:
    code, out, err = run("score", str(evaluated), "--protocol", "faith", *COMMON)
    assert code == 0
    assert "faith 1, modified: answers of model-card 1, trials=1" in out
    n = len(ITEMS)
    warning = f"warning: 5 of {n} answers ({5 / n:.1%}) were left unread (no answer 5)"
    assert err.startswith(f"answers, cti-rcm: {warning}; a lenient reader gives")
    assert err.count("\n") == 1
    several = shown("score", str(evaluated), *COMMON, "--json")
    assert several["protocol"] == "model-card"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"item": 0, "text": "x"}], "items have no response, the first is 1"),
        ([{"item": 999, "text": "x"}], "item 999, which is none"),
        ([{"item": 0, "text": None}], "text is null"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    rows: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = run("score", str(path), "--task", "cti-rcm", *COMMON)
    assert (code, out) == (1, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_sensitivity_shows_every_fitting_rule(evaluated: Path) -> None:
    [result] = shown("sensitivity", str(evaluated), *COMMON, "--json")
    names = [row["extractor"] for row in result["extractors"]]
    assert names == [
        "last-cwe",
        "last-upper-cwe",
        "unique-cwe",
        "unique-cwe, improper counted",
        "lenient",
    ]
    assert result["spread"] == 0
    code, out, _ = run("sensitivity", str(evaluated), *COMMON)
    assert code == 0
    assert "0.0 points between the rules" in out


def test_compare_writes_and_prints(evaluated: Path, tmp_path: Path) -> None:
    given = ("--engine", "embedded", "--task", "cti-rcm", "--trials", "1")
    other = tmp_path / "other"
    assert run("evaluate", *given, *COMMON, "--out", str(other))[0] == 0
    out = tmp_path / "compared"
    arguments = ("compare", str(evaluated), str(other), *COMMON, "--out", str(out))
    code, said, err = run(*arguments, "--reference", "embedded")
    assert code == 0, err
    assert "answers" in said
    assert "cti-rcm items" in said
    assert {p.name for p in out.iterdir()} >= {
        "comparison.md",
        "comparison.json",
        "comparison.html",
    }
    assert shown(*arguments, "--json")["reference"] == "answers"
    assert run(*arguments, "--reference", "gpt")[0] == 1
    assert run(*arguments, "--size", "big")[0] == 2


def test_overlap_sets_accuracy_beside_a_corpus(evaluated: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "train.jsonl"
    rows = ({"prompt": rcm_prompt(i.text), "completion": "x"} for i in ITEMS[: len(ITEMS) // 2])
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = shown("overlap", str(evaluated), "--corpus", str(corpus), *COMMON, "--json")
    bins = {part["overlap"]: part["items"] for part in result["bins"]}
    assert bins["more than half"] >= len(ITEMS) // 2 - bins.get("too short to tell", 0)
    code, out, _ = run("overlap", str(evaluated), "--corpus", str(corpus), *COMMON)
    assert code == 0
    assert "Without a control" in out


def test_protocols_are_listed_and_shown_whole() -> None:
    code, out, _ = run("protocols")
    assert code == 0
    assert all(name in out for name in ("model-card", "paper", "faith", "cti-bench"))
    code, out, _ = run("protocols", "show", "faith")
    assert code == 0
    assert "is one of A, B, C or D." in out
    assert "population standard deviation (ddof 0)" in out
    result = shown("protocols", "show", "cti-bench", "--json")
    assert result["unparseable"] == "dropped"
    assert result["rules"]["cti-rcm"] == "last `CWE-NUMBER`, upper case"
    code, _, err = run("protocols", "show", "fiath")
    assert code == 2
    assert "'fiath' is not one of" in err


def test_a_deviation_is_shown_with_the_result(recording: Path, tmp_path: Path) -> None:
    code, out, _ = run(
        "evaluate",
        *("--responses", str(recording), "--task", "cti-rcm", "--trials", "1"),
        *("--temperature", "0", "--name", "mine", *COMMON, "--out", str(tmp_path / "cold")),
    )
    assert code == 0
    assert "modified: trials=1, temperature=0.0" in out
    scores = tmp_path / "cold" / "evaluation" / "cti-rcm" / "model-card" / "scores.json"
    assert json.loads(scores.read_text())["model"] == "mine"


def test_a_part_of_a_task_is_scored_when_asked_for_and_marked_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    rows = [{"item": item.index, "trial": 1, "text": item.gold} for item in ITEMS[:4]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = (str(path), "--task", "cti-rcm", *COMMON)
    assert run("score", *arguments)[0] == 1
    result = shown("score", *arguments, "--partial", "--json")
    part = f"partial: 4 of {len(ITEMS)} items"
    assert (result["n"], result["correct"], result["items"]) == (4, 4, 4)
    assert part in result["modified"]
    assert part in run("score", *arguments, "--partial")[1]
    [moved] = shown("sensitivity", *arguments, "--partial", "--json")
    assert part in moved["modified"]
    assert part in run("sensitivity", *arguments, "--partial")[1]


def test_an_unfinished_run_is_scored_in_part(evaluated: Path) -> None:
    folder = evaluated / "evaluation" / "cti-rcm" / "model-card"
    (folder / "manifest.json").rename(folder.parent / ".model-card.begun.json")
    (folder / "scores.json").unlink()
    answers = folder / "trial-0" / "responses.jsonl"
    answers.write_text("".join(answers.read_text().splitlines(keepends=True)[:7]))
    assert run("score", str(evaluated), *COMMON)[0] == 1
    result = shown("score", str(evaluated), *COMMON, "--partial", "--json")
    assert (result["n"], result["modified"][-1]) == (7, f"partial: 7 of {len(ITEMS)} items")


@pytest.mark.parametrize("protocol", ["cti-bench", "model-card"])
def test_answers_that_nobody_can_read_are_a_row_too(protocol: str, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(f'{{"item": {item.index}, "text": "Hm."}}\n' for item in ITEMS))
    code, out, err = run("score", str(path), "--task", "cti-rcm", "--protocol", protocol, *COMMON)
    assert (code, "100.0%: no answer" in out) == (0, True), err
    assert "CWE-NUMBER" in run("sensitivity", str(path), "--task", "cti-rcm", *COMMON)[1]
