"""`cybersecqwen ask` and `knowledge`, as processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from sources.conftest import Upstream

ASK = [sys.executable, "-m", "cybersecqwen.cli", "ask"]
QUESTION = "Which mitigation addresses the abuse of PowerShell (T1059.001)?"


def run(*arguments: str, data: str = "", **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ASK, *arguments], input=data, capture_output=True, text=True, check=False, **kwargs
    )  # type: ignore[call-overload]


def test_a_question_is_answered_with_links() -> None:
    done = run("What is CWE-502?")
    assert done.returncode == 0
    assert "Deserialization of Untrusted Data" in done.stdout
    assert "https://cwe.mitre.org/data/definitions/502" in done.stdout


def test_a_choice_prints_letter_and_option() -> None:
    done = run(QUESTION, "--option", "Pre-compromise", "--option", "Execution Prevention")
    assert done.stdout.startswith("B) Execution Prevention")


def test_a_pipe_gives_one_object_a_line_and_names_what_is_wrong() -> None:
    done = run("--json", data='What is CWE-79?\n{"id": "x", "question": "What is T1110?"}\n{"id"\n')
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == [0, "x"]
    assert all(row["covered"] for row in rows)
    assert done.returncode == 1
    assert "stdin:3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "the question is empty"),
        (("Who?", "--option", "x"), "give 2 to 26 options, not 1"),
        (("Who?", "--items", "x.tsv"), "not both"),
        (("--option", "x", "--option", "y"), "--option belongs to one question"),
    ],
)
def test_what_has_no_meaning_is_a_usage_error(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_records_that_are_missing_are_named_whatever_is_asked() -> None:
    done = run("What is CWE-79?", "--records", "missing.json")
    assert done.returncode == 1
    assert done.stderr == "cybersecqwen: missing.json: no such file or folder (check the path)\n"


def test_a_closed_pipe_gives_no_traceback() -> None:
    command = f"{' '.join(ASK)} --json | head -n 1"
    lines = "What is CWE-79?\n" * 20_000
    done = subprocess.run(
        command, shell=True, input=lines, capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["covered"]
    assert "Traceback" not in done.stderr


@pytest.mark.shared
def test_the_installed_knowledge_is_quoted(shared: Path, tmp_path: Path) -> None:
    environment = {"CYBERSECQWEN_KNOWLEDGE": str(tmp_path), "PATH": "/usr/bin:/bin"}
    install = [sys.executable, "-m", "cybersecqwen.cli", "knowledge", "install", "--cwe"]
    done = subprocess.run(
        [*install, str(shared / "cwec_v4.16.xml.gz")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "with their texts" in done.stdout
    assert "CWE 4.16" in done.stdout
    answer = run("What is CWE-502?", "--json", env=environment)
    [row] = [json.loads(line) for line in answer.stdout.splitlines()]
    assert "untrusted data" in row["evidence"][0]["passage"]


@pytest.mark.parametrize("kind", ["attack", "capec", "cwe"])
def test_a_login_page_in_place_of_a_bundle_is_refused_by_its_address(
    kind: str, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.files["/portal/login"] = b"<html><title>Sign in to the network</title></html>"
    address = f"{upstream.url}/portal/login"
    place = ["--folder", str(tmp_path / "knowledge")]
    done = CliRunner().invoke(main, ["knowledge", "install", f"--{kind}", address, *place])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"cybersecqwen: {address}: ")
    assert not (tmp_path / "knowledge").exists()


def test_a_chat_keeps_its_subject() -> None:
    done = run("--chat", "--json", data="What is T1110.003?\nand which mitigations has it?\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[1]["answer"].startswith("T1110.003 Password Spraying is mitigated by")
    assert run("--chat", "Who?", "--option", "x", "--option", "y").returncode == 2
