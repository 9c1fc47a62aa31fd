"""Secrets of webhooks: none is in the files of the database, and without its key none is sent."""

from __future__ import annotations

import json
import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, select, text
from starlette.testclient import TestClient

from cybersecqwen import service
from cybersecqwen.errors import InputError
from cybersecqwen.service.app import create_app
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.delivery import Message, deliver_due
from cybersecqwen.service.keyring import FILE, VARIABLE, open_keyring, read_secrets, rotate_key
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import Delivery
from cybersecqwen.service.webhooks import (
    add_webhook,
    emit,
    find_webhook,
    remove_webhook,
    rotate_secret,
    webhook_rows,
)

CHIEF = Actor("chief", "administrator")
HOOK = "https://soc.example/hook"
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def hook(database: Database, folder: Path) -> str:
    keyring = open_keyring(folder, create=True)
    with database.write() as session:
        _, secret = add_webhook(session, HOOK, events=["new-cve"], actor=CHIEF, keyring=keyring)
        emit(session, "new-cve", {"records": []})
    return secret


def sent(database: Database, folder: Path) -> list[str]:
    messages: list[Message] = []
    deliver_due(database, folder, send=lambda message: messages.append(message) or "")
    return [message.secret for message in messages]


def holds(folder: Path, secret: str) -> bool:
    """Tell whether a file of the database has a secret: the log beside it counts, too."""
    files = list(folder.glob("workplace.sqlite*"))
    assert files
    return any(secret.encode() in file.read_bytes() for file in files)


def test_no_secret_is_in_the_files_after_requests_and_rotation(tmp_path: Path) -> None:
    body = {"url": HOOK, "events": ["new-cve"]}
    app = create_app(ServiceSettings(folder=tmp_path))
    with TestClient(app, base_url="http://localhost") as client:
        headers = {"Idempotency-Key": "once"}
        first = client.post("/v1/webhooks", json=body, headers=headers).json()
        again = client.post("/v1/webhooks", json=body, headers=headers)
        assert again.json() == {"id": first["id"], "secret": None}
        assert again.headers["Idempotency-Replayed"] == "true"
        assert len(first["secret"]) == 64 and not holds(tmp_path, first["secret"])
        assert holds(tmp_path, HOOK)  # so that the search does find what is there
        database = app.state.database
        with database.write() as session:
            webhook, keyring = find_webhook(session, first["id"]), open_keyring(tmp_path)
            new = rotate_secret(session, webhook, actor=CHIEF, keyring=keyring)
            emit(session, "new-cve", {"records": []})
        old_key = next(iter(keyring.keys))
        assert sent(database, tmp_path) == [new]
        name, count = rotate_key(database, tmp_path, actor=CHIEF)
        assert (count, name != old_key) == (1, True)
        assert not holds(tmp_path, new)
        with database.read() as session:
            assert find_webhook(session, first["id"]).key_name == name
            assert read_secrets(session, tmp_path) == ({first["id"]: new}, {})
        assert list(open_keyring(tmp_path).keys) == [name, old_key]  # it opens what is in backups
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(holds(tmp_path, line) for line in path.read_text().split())


def test_secrets_of_the_version_before_are_encrypted_and_still_sign(tmp_path: Path) -> None:
    secret, removed, answered = "5" * 64, "6" * 64, "7" * 64
    url = f"sqlite:///{tmp_path / 'workplace.sqlite'}"
    engine, config = create_engine(url), Config()
    config.set_main_option("script_location", str(Path(service.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        row = (
            "INSERT INTO webhooks (url, events, condition, secret, created_at, disabled)"
            " VALUES (:url, '[\"new-cve\"]', '{}', :secret, '', :disabled)"
        )
        for one, disabled in ((secret, False), (removed, True)):
            connection.execute(text(row), {"url": HOOK, "secret": one, "disabled": disabled})
        row = (
            "INSERT INTO idempotency_keys (actor, key, request_sha256, status, body, at)"
            " VALUES ('ana', 'k', '', 201, :body, '')"
        )
        body = json.dumps({"id": 1, "secret": answered}, separators=(",", ":"))
        connection.execute(text(row), {"body": body})
    engine.dispose()
    assert all(holds(tmp_path, one) for one in (secret, removed, answered))
    database = open_database(url)
    with database.write() as session:
        emit(session, "new-cve", {"records": []})
    assert sent(database, tmp_path) == [secret]
    assert not any(holds(tmp_path, one) for one in (secret, removed, answered))
    with database.write() as session:
        body = session.execute(text("SELECT body FROM idempotency_keys")).scalar_one()
        assert json.loads(body) == {"id": 1, "secret": None}
        # A process of the version before, which still runs, gives the webhook another secret.
        session.execute(text("UPDATE webhooks SET secret = :new"), {"new": "8" * 64})
        emit(session, "new-cve", {"records": []})
    assert sent(database, tmp_path) == ["8" * 64]
    assert not holds(tmp_path, "8" * 64)
    database.close()


def test_without_its_key_nothing_is_sent_and_the_error_names_it(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    secret = hook(database, right)
    [key] = open_keyring(right).keys
    open_keyring(wrong, create=True)
    caplog.set_level(logging.WARNING)
    assert sent(database, wrong) == [] == sent(database, wrong)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("webhook ") and f"the key {key} is not among the keys" in line
    assert "rotate" in line and "\n" not in line
    with database.read() as session:
        assert session.scalars(select(Delivery)).one().attempts == 0
        assert key in webhook_rows(session, wrong)[0]["error"]
        assert webhook_rows(session, right)[0]["error"] is None
    with pytest.raises(InputError, match=f"the key {key} is not"):
        rotate_key(database, wrong, actor=CHIEF)
    assert len(open_keyring(wrong).keys) == 1
    assert sent(database, right) == [secret]  # by another process, which has it

    with database.write() as session:
        webhook = find_webhook(session, webhook_rows(session, wrong)[0]["id"])
        new = rotate_secret(session, webhook, actor=CHIEF, keyring=open_keyring(wrong))
        emit(session, "new-cve", {"records": []})
    assert sent(database, wrong) == [new]


@sqlite
def test_a_damaged_secret_and_a_removed_one_sign_nothing(
    database: Database, tmp_path: Path
) -> None:
    hook(database, tmp_path)
    with database.write() as session:
        session.execute(text("UPDATE webhooks SET encrypted_secret = 'x' || encrypted_secret"))
    assert sent(database, tmp_path) == []
    with database.write() as session:
        [row] = webhook_rows(session, tmp_path)
        assert "the secret is damaged" in row["error"]
        webhook = find_webhook(session, row["id"])
        remove_webhook(session, webhook, actor=CHIEF)
        assert (webhook.secret, webhook.encrypted_secret) == ("", "")


@sqlite
def test_keys_of_the_environment_replace_one_another(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setenv(VARIABLE, old)
    secret = hook(database, tmp_path)
    monkeypatch.setenv(VARIABLE, f"{new}, {old}")
    assert sent(database, tmp_path) == [secret]
    name, count = rotate_key(database, tmp_path, actor=CHIEF)
    monkeypatch.setenv(VARIABLE, new)
    assert (list(open_keyring(tmp_path).keys), count) == ([name], 1)
    with database.write() as session:
        emit(session, "new-cve", {"records": []})
    assert sent(database, tmp_path) == [secret]
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("given", ["", " , ", "c2hvcnQ=", "no key", "\N{KEY}"])
def test_what_is_no_key_is_one_line(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(InputError, match=f"^{VARIABLE}: ") as raised:
        open_keyring(tmp_path, create=True)
    assert "\n" not in str(raised.value) and not (given.strip(" ,") and given in str(raised.value))
    monkeypatch.delenv(VARIABLE)
    (tmp_path / FILE).write_text(given)
    with pytest.raises(InputError, match=FILE):
        open_keyring(tmp_path)


def test_several_processes_that_start_at_once_make_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: [*open_keyring(tmp_path, create=True).keys], range(8))
    assert len({name for [name] in made}) == 1
