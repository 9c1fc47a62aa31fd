from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cybersecqwen.cli import main

PASSWORD = "five words are enough here"


def test_accounts_are_added_listed_and_removed(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'team.sqlite'}"

    def run(*arguments: str, typed: str = "") -> Result:
        command = ["accounts", *arguments, "--database", database]
        return CliRunner().invoke(main, command, input=typed)

    assert run("add", "ana", typed=f"{PASSWORD}\n").exit_code == 0
    twice = run("add", "ana", typed=f"{PASSWORD}\n")
    assert (twice.exit_code, "already" in twice.output) == (1, True)
    short = run("add", "ben", typed="short\n")
    assert (short.exit_code, "12 to 200" in short.output) == (1, True)
    assert "no password" in run("add", "ben").output
    made = run("key", "siem", "--user", "ana", "--scope", "classify")
    key = made.stdout.strip()
    assert key.startswith("csq_")
    listed = json.loads(run("list", "--json").stdout)
    assert listed["users"][0]["role"] == "reviewer"
    assert listed["keys"][0]["scopes"] == ["classify"]
    assert key not in run("list").output
    assert run("password", "ana", typed=f"{PASSWORD * 2}\n").exit_code == 0
    assert run("revoke", "siem").exit_code == 0
    assert "revoked" in run("list").output
    assert run("remove", "ana").exit_code == 0
    added = run("add", "ada", "--role", "administrator", typed=f"{PASSWORD}\n")
    assert "ada may log in: administrator" in added.output
    assert "removed" in run("list").output
    gone = run("remove", "ana")
    assert (gone.exit_code, "no user 'ana'" in gone.output) == (1, True)


def test_a_service_for_others_needs_an_account(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'team.sqlite'}"
    command = ["serve", "--host", "0.0.0.0", "--port", "0", "--database", database]
    refused = CliRunner().invoke(main, [*command, "--no-browser"])
    assert refused.exit_code == 1
    assert refused.output.count("\n") == 1
    assert "cybersecqwen accounts add" in refused.output


def test_an_address_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        database = f"sqlite:///{tmp_path / 'one.sqlite'}"
        command = ["serve", "--port", port, "--database", database, "--no-browser"]
        refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    assert refused.output.count("\n") == 1
    assert "Address already in use" in refused.output


@pytest.mark.parametrize("package", ["fastapi", "uvicorn"])
def test_serving_without_the_extra_names_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cybersecqwen.service.app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    result = CliRunner().invoke(main, ["serve", "--port", "0"])
    assert result.exit_code == 1
    assert "pip install 'cybersecqwen[service]'" in result.output
