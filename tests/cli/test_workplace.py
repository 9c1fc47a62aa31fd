"""The workplace from the command line: import, export, train on verdicts, back up, verify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from cybersecqwen.cli import main
from cybersecqwen.service.database import open_database
from cybersecqwen.service.exports import is_held_out
from cybersecqwen.service.reviews import Actor, Decision, decide
from cybersecqwen.service.tables import Record

NAMES = [f"CVE-2021-{number}" for number in range(30001, 30013)]


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the option for a workplace with records of which all but the last are decided."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    option = ("--database", f"sqlite:///{tmp_path / 'workplace.sqlite'}")
    feed = tmp_path / "feed.jsonl"
    labels = {"cwe_nvd": ["CWE-20"], "cwe_cna": [], "cwe_cisa_adp": []}
    others = {"cvss3_vector": None, "assigner": None, "description_source": None}
    rows = [
        {"cve_id": name, "published": "2021-05-01", **labels, **others}
        | {"description": f"A crafted page number {name[-2:]} of Foo runs script in the browser."}
        for name in NAMES
    ]
    feed.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"cve_id": 7}\n')
    code, out, err = run("workplace", "import", feed, *option)
    assert (code, out) == (1, f"feed.jsonl: {len(NAMES)} new, 0 changed, 0 unchanged, 1 refused\n")
    assert f"feed.jsonl:{len(NAMES) + 1}" in err
    assert not list((tmp_path / "data").rglob("feed.jsonl"))
    opened = open_database(option[1])
    with opened.write() as session:
        for record in session.scalars(select(Record).where(Record.name != NAMES[-1])):
            decide(session, record, Decision("correct", "CWE-79"), actor=Actor("ana"))
    opened.close()
    return option


def test_a_corpus_is_made_of_the_verdicts(database: tuple[str, str], tmp_path: Path) -> None:
    table, held = tmp_path / "verdicts.jsonl", tmp_path / "held.jsonl"
    assert run("workplace", "export", "training", "--out", table, *database)[0] == 0
    assert run("workplace", "export", "training", "--held-out", "--out", held, *database)[0] == 0
    out = tmp_path / "run"
    code, _, err = run("corpus", "smoke", "--records", table, "--out", out)
    assert code == 0, err
    rows = [
        json.loads(line)
        for name in ("train", "validation")
        for line in (out / "corpus" / f"{name}.jsonl").read_text().splitlines()
    ]
    assert {(row["cwe"], row["label_source"]) for row in rows} == {("CWE-79", "reviewed")}
    learned = {row["cve_id"] for row in rows}
    assert learned == {name for name in NAMES[:-1] if not is_held_out(name)}
    kept = {json.loads(line)["cve_id"] for line in held.read_text().splitlines()}
    assert kept == set(NAMES[:-1]) - learned


def test_the_trail_is_shown_and_proven(database: tuple[str, str], tmp_path: Path) -> None:
    code, out, _ = run("audit-trail", "verify", *database, "--json")
    assert code == 0
    head = json.loads(out)["head"]
    assert run("audit-trail", "verify", "--head", head, *database)[0] == 0
    code, out, _ = run("audit-trail", "show", NAMES[0].lower(), *database)
    assert code == 0
    assert "ana  correct" in out and "cwe: CWE-79" in out
    assert (
        json.loads(run("audit-trail", "show", NAMES[0], *database, "--json")[1])["actor"] == "ana"
    )
    code, _, err = run("audit-trail", "show", NAMES[-1], *database)
    assert (code, "no event about it" in err) == (1, True)
    assert run("audit-trail", "verify", "--head", "0" * 64, *database)[0] == 3

    saved = tmp_path / "monday.sqlite"
    assert run("workplace", "backup", saved, *database)[0] == 0
    opened = open_database(database[1])
    with opened.engine.begin() as connection:
        for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type='trigger'")):
            connection.execute(text(f"DROP TRIGGER {row.name}"))
        connection.execute(text("UPDATE reviews SET cwe = 'CWE-89' WHERE id = 1"))
    opened.close()
    code, out, _ = run("audit-trail", "verify", *database)
    assert (code, "verdict of ana on" in out) == (3, True)
    assert run("workplace", "restore", saved, "--replace", *database)[0] == 0
    assert run("audit-trail", "verify", "--head", head, *database)[0] == 0


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    missing = ("--database", f"sqlite:///{tmp_path / 'none.sqlite'}")
    for command in (("workplace", "export", "csv"), ("audit-trail", "verify")):
        code, out, err = run(*command, *missing)
        assert (code, out) == (1, "")
        assert err.count("\n") == 1 and "there is no database yet" in err
    assert not (tmp_path / "none.sqlite").exists()
    code, _, err = run("workplace", "export", "xml", *missing)
    assert code == 2 and "'csv'" in err


def test_webhooks_are_added_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    option = ("--database", f"sqlite:///{tmp_path / 'workplace.sqlite'}")
    hook = ("--event", "new-cve", "--product", "openssl", "--min-severity", "7")
    code, out, _ = run("workplace", "webhooks", "add", "https://soc.example/h", *hook, *option)
    number, secret = out.split()
    assert (code, len(secret)) == (0, 64)
    code, _, err = run("workplace", "webhooks", "add", "http://10.0.0.1/", *hook, *option)
    assert (code, "private network" in err) == (1, True)
    code, out, _ = run("workplace", "webhooks", "list", "--json", *option)
    [row] = json.loads(out)
    assert row["condition"] == {"products": ["openssl"], "min_severity": 7}
    assert secret not in out
    code, out, _ = run("workplace", "webhooks", "rotate", number, *option)
    assert (code, len(out.strip())) == (0, 64)
    [path] = tmp_path.glob("data/**/encryption-keys")
    before = path.read_text()
    code, out, _ = run("workplace", "webhooks", "rotate-key", *option)
    assert (code, out.endswith(": 1 secret\n")) == (0, True)
    assert path.read_text().endswith(before) and path.read_text() != before
    assert run("workplace", "webhooks", "remove", number, *option)[0] == 0
    assert run("workplace", "webhooks", "list", *option)[1] == "no webhook\n"
    assert run("workplace", "webhooks", "remove", number, *option)[0] == 1
