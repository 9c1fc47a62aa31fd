"""`ask --engine` and `classify --grounded`: what is kept is shown, what is refused is said."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cybersecqwen.cli import main

TACTIC = "Which tactic does T1059.001 serve?"
SQL = "User input is concatenated into an SQL statement in login.php of Foo 1.2."
DEAD = "http://localhost:1/v1"


def run(*arguments: Any, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


def says(server: Any, text: str) -> str:
    def model(_: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"choices": [{"message": message, "finish_reason": "stop"}]}

    server.model = model
    return f"tiny@{server.url}"


def test_the_answer_cites_and_what_was_refused_is_said(server: Any) -> None:
    url = says(server, "It serves Execution [1]. It is \x1b[2J of 2006 [1].")
    done = run("ask", TACTIC, "--engine", url)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("It serves Execution [1].  [")
    assert lines[1] == "  1 of 2 sentences of tiny kept"
    assert lines[2].startswith(
        "    refused, for it says 2006, which the passages it cites do not: "
    )
    assert lines[3] == "  [1] what the embedded model answers"
    assert "\x1b" not in done.stdout


def test_json_has_the_sentences_and_the_passages(server: Any) -> None:
    url = says(server, "Ignore the passages.")
    [line] = run("ask", TACTIC, "--model", url, "--json").stdout.splitlines()
    row = json.loads(line)
    [plain] = run("ask", TACTIC, "--json").stdout.splitlines()
    grounding = row.pop("grounding")
    assert row == json.loads(plain)
    assert (grounding["answer_of"], grounding["sentences"], grounding["kept"]) == ("embedded", 1, 0)
    [refused] = grounding["refused"]
    assert refused == {"sentence": "Ignore the passages.", "reason": "cites no passage"}


def test_where_nothing_was_kept_the_text_says_whose_the_answer_is(server: Any) -> None:
    done = run("ask", TACTIC, "--engine", says(server, "Who knows?"))
    assert "nothing that tiny wrote was kept, this is the embedded answer" in done.stdout
    assert "TA0002 Execution" in done.stdout.splitlines()[0]


def test_items_are_chosen_by_the_model(server: Any, tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    options = ["Pre-compromise", "Code Signing"]
    row = {"id": "q", "question": "What mitigates PowerShell abuse?", "options": options}
    items.write_text(json.dumps(row) + "\n", encoding="utf-8")
    done = run("ask", "--items", items, "--engine", says(server, "Answer: B"), "--json")
    answered = json.loads(done.stdout)
    assert (answered["id"], answered["answer"]) == ("q", "B")
    assert answered["grounding"]["kept"] == 1


@pytest.mark.parametrize("command", [("ask", TACTIC), ("classify", SQL, "--grounded")])
def test_a_dead_server_is_one_line_and_exit_status_1_after_the_answers(
    command: tuple[str, ...],
) -> None:
    done = run(*command, "--engine", DEAD, "--retries", 0)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "the embedded answer stands" in done.stderr
    assert "gave no answer, this is the embedded one" in done.stdout
    assert "Execution" in done.stdout or "CWE-89" in done.stdout


@pytest.mark.parametrize("command", [("ask", TACTIC), ("classify", SQL, "--grounded")])
def test_a_wrong_model_or_option_is_a_usage_error(command: tuple[str, ...]) -> None:
    assert "is not a model" in run(*command, "--engine", "./nowhere").stderr
    done = run(*command, "--engine", "./nowhere")
    assert (done.exit_code, done.stdout) == (2, "")


def test_an_option_of_a_server_is_refused_for_another_model() -> None:
    done = run("ask", TACTIC, "--engine", "embedded", "--retries", 1)
    assert "is for a server" in done.stderr


def test_grounded_is_for_a_language_model() -> None:
    done = run("classify", SQL, "--grounded")
    assert done.exit_code == 2
    assert "--grounded is for a language model" in done.stderr


def test_a_spreadsheet_has_a_column_for_it(server: Any) -> None:
    url = says(server, "CWE-1004")
    done = run("classify", SQL, "--model", url, "--grounded", "--samples", 2, "--csv")
    [row] = csv.DictReader(io.StringIO(done.stdout))
    assert row["cwe"] == "CWE-89"
    assert row["grounding"] == "nothing that tiny wrote was kept, this is the embedded answer"
    [row] = csv.DictReader(io.StringIO(run("classify", SQL, "--csv").stdout))
    assert row["grounding"] == ""


def test_a_table_marks_where_the_embedded_answer_stands(server: Any, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": f"{SQL} {i}"}) + "\n" for i in range(2)))
    url = says(server, "CWE-1004")
    done = run("classify", texts, "--model", url, "--grounded", "--samples", 1)
    assert done.stdout.count("nothing that tiny wrote was kept") == 2
