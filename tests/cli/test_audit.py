"""`cybersecqwen audit` says what is hit, exits by it, and refuses what it cannot judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.cli import main
from cybersecqwen.contamination import RULES
from cybersecqwen.contamination.audit import checked_rules
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json, write_jsonl
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.sample import BENCHMARK

ITEM = read_items(BENCHMARK, "cti-rcm")[3]
CLEAN = {"prompt": "What is a firewall?", "response": "A filter between two networks."}
COPY = {"prompt": rcm_prompt(ITEM.text), "completion": f"It is clear.\n{ITEM.gold}"}


def audit(path: Path, *options: str) -> Result:
    command = ["audit", str(path), "--benchmark", str(BENCHMARK), *options]
    return CliRunner().invoke(main, command)


def train(folder: Path, *rows: dict[str, object]) -> Path:
    write_jsonl(folder / "train.jsonl", rows)
    return folder / "train.jsonl"


def test_a_clean_file_exits_0_and_a_copy_3(tmp_path: Path) -> None:
    clean = audit(train(tmp_path, CLEAN), "--allow-missing")
    assert (clean.exit_code, clean.stdout[:6]) == (0, "Clean:")
    result = audit(train(tmp_path, CLEAN, COPY), "--allow-missing", "--json")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert (told["clean"], told["train_rows"]) == (False, 2)
    assert set(told["tasks"]) == {"cti-mcq", "cti-rcm"}
    assert set(told["tasks"]["cti-rcm"]) == {*RULES, "any"}
    for rule in ("exact", "normalised", "ngram", "near-duplicate", "answer-aware", "any"):
        assert told["tasks"]["cti-rcm"][rule] == {"items": 1, "rows": 1}, rule
    assert not any(count["rows"] for count in told["tasks"]["cti-mcq"].values())


def test_the_evidence_names_places_and_not_the_folder(tmp_path: Path) -> None:
    path = train(tmp_path, CLEAN, COPY)
    assert audit(path, "--allow-missing", "--out", str(tmp_path / "out")).exit_code == 3
    evidence = read_json(tmp_path / "out" / "contamination.json")
    (item,) = evidence["items"]
    (row,) = item["rows"]
    assert (item["task"], item["item"], item["rule"]) == ("cti-rcm", 3, "exact")
    assert (row["row"], row["where"], row["has_answer"]) == (1, "train.jsonl:2", True)
    text = f"{COPY['prompt']}\n{COPY['completion']}"
    shared = [(text[a:b], ITEM.text[c:d]) for a, b, c, d in row["shared_spans"]]
    assert all(ours == theirs for ours, theirs in shared)
    assert sum(len(ours) for ours, _ in shared) >= len(ITEM.text) - 2
    for name in ("contamination.json", "contamination.html", "certificate.json"):
        assert str(tmp_path) not in (tmp_path / "out" / name).read_text(), name


def test_one_rule_can_be_asked_alone(tmp_path: Path) -> None:
    result = audit(train(tmp_path, COPY), "--allow-missing", "--rule", "cve-id", "--json")
    assert (result.exit_code, json.loads(result.stdout)["clean"]) == (0, True)


def test_a_benchmark_that_lacks_tasks_is_refused_with_their_names(tmp_path: Path) -> None:
    result = audit(train(tmp_path, CLEAN))
    assert result.exit_code == 1
    missing = [task for task in TASKS if task not in ("cti-rcm", "cti-mcq")]
    assert f"the benchmark lacks {', '.join(missing)}" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--similarity", "1.5"], "--similarity: Input should be less than or equal to 1"),
        (["--containment", "0"], "--containment: Input should be greater than 0"),
    ],
)
def test_what_cannot_be_meant_is_one_line(tmp_path: Path, options: list[str], said: str) -> None:
    result = audit(train(tmp_path, CLEAN), "--allow-missing", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_an_unknown_rule_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    result = audit(train(tmp_path, CLEAN), "--allow-missing", "--rule", "fuzzy")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'fuzzy' is not one of 'cve-id'" in result.stderr
    with pytest.raises(InputError, match=r"unknown rule 'fuzzy' \(known are cve-id"):
        checked_rules(["fuzzy"])


def test_a_row_without_text_stops_or_is_listed(tmp_path: Path) -> None:
    path = train(tmp_path, CLEAN, {"label": "CWE-79"})
    stopped = audit(path, "--allow-missing", "--out", str(tmp_path / "out"))
    assert stopped.exit_code == 1 and "train.jsonl:2: no text to compare" in stopped.stderr
    assert not (tmp_path / "out").exists()
    listed = audit(path, "--allow-missing", "--allow-unreadable", "--json")
    assert listed.exit_code == 4
    assert json.loads(listed.stdout)["verdict"] == "not proven clean"
    assert json.loads(listed.stdout)["unreadable_rows"] == 1
