from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main

ASK = ["--model", "tiny", "--prompt", "What is CWE-79?", "--prompt", "What is CWE-89?"]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["probe", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_an_honest_server_gives_a_table_and_status_0(server: Any) -> None:
    code, out, err = run(server.url, *ASK)
    assert (code, err) == (0, "")
    header, _, *rows = out.splitlines()
    assert header.split("|")[1:3] == [" check         ", " status "]
    assert len(rows) == 6
    assert all("| ok " in row for row in rows)


def test_a_server_is_named_as_in_every_command(server: Any) -> None:
    table = run(server.url, *ASK)[1]
    assert run(f"tiny@{server.url}", *ASK[2:])[:2] == (0, table)
    assert run(server.url, *ASK[2:])[:2] == (0, table)
    code, out, err = run("embedded")
    assert (code, out) == (2, "")
    assert "embedded is not a server" in err


def test_a_failed_check_gives_status_3_and_json_is_all_of_stdout(server: Any) -> None:
    honest = server.model
    server.model = lambda body: honest(body, stop=[])
    code, out, err = run(server.url, *ASK, "--json")
    assert (code, err) == (3, "")
    report = json.loads(out)
    assert report["url"] == server.url
    assert {c["name"]: c["status"] for c in report["checks"]}["stop"] == "failed"


def test_what_cannot_be_told_is_no_failure(server: Any) -> None:
    choice = {"message": {"content": "\x1b[2JCWE-79"}, "finish_reason": "stop"}
    server.model = lambda _: {"choices": [choice]}
    code, out, _ = run(server.url, "--model", "tiny")
    assert code == 0
    assert out.count("| unknown |") == 6
    assert "\x1b" not in out


def test_a_server_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cybersecqwen.engines.flow_control._PAUSE", 0.001)
    code, out, err = run("http://127.0.0.1:9", "--model", "tiny")
    assert (code, out) == (1, "")
    assert err.startswith("cybersecqwen: http://127.0.0.1:9/v1: ")
    assert err.count("\n") == 1
