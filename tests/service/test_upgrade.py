"""A database of the first version is brought to this one, step by step, and nothing is lost, while
what an older version writes is taken at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from postgres import Server
from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Session

from cybersecqwen import service
from cybersecqwen.service import upgrade as module
from cybersecqwen.service.accounts import add_key, add_user, authenticate, find_key
from cybersecqwen.service.audit_trail import append, verify
from cybersecqwen.service.database import open_database
from cybersecqwen.service.delivery import deliver_due
from cybersecqwen.service.protection import sha256
from cybersecqwen.service.queue import Filters, page
from cybersecqwen.service.reviews import Actor, undo

from .conftest import ANA

AT, PASSWORD = "2026-01-02T03:04:05.678Z", "five words are enough here"
CHIEF = Actor("chief", "administrator")
RECORD: dict[str, Any] = {
    "name": "CVE-2030-1001", "text": "SQL injection in login.php of Foo.", "text_sha256": "0" * 64,
    "source": "feed.json", "published": "2030-01-01", "vector": "", "severity": -1.0,
    "exploited": False, "labels": [{"source": "nvd", "cwe": "CWE-89"}], "label": "CWE-89",
    "differs": False, "imported_at": AT, "suggested": "CWE-89", "confidence": 0.9,
    "abstained": False, "urgency": 0.1, "classification": {"candidates": []}, "engine": "embedded",
    "artifact": "0" * 64, "classified_at": AT, "state": "decided", "decided": "CWE-89",
    "decided_at": AT, "version": 2,
}  # fmt: skip
REVIEW = {
    "record_id": 1, "reviewer": "ana", "stage": "first", "verdict": "accept", "cwe": "CWE-89",
    "reason": "clear", "suggested": "CWE-89", "confidence": 0.9, "at": AT, "withdrawn_at": "",
}  # fmt: skip
ROWS: dict[str, Any] = {
    "records": RECORD,
    "reviews": REVIEW,
    "comments": {"record_id": 1, "author": "ben", "text": "seen", "at": AT},
    "saved_filters": {"owner": "ana", "name": "mine", "query": "state=any"},
    "webhooks": {"url": "https://soc.example/hook", "events": ["new-cve"], "created_at": AT,
                 "condition": {"products": ["foo"]}, "secret": "5" * 64, "disabled": False},
    "deliveries": {"webhook_id": 1, "event": "new-cve", "body": {"at": AT, "records": []},
                   "attempts": 0, "next_at": AT, "delivered_at": "", "error": ""},
}  # fmt: skip
Tables = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'workplace.sqlite'}"
    return str(request.getfixturevalue("postgres").create())


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


def upgrade(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = scripts()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(service.__file__).parent / "migrations"))
    return config


def fill(engine: Engine) -> str:
    """Fill a database of the first version as its service did; return the key of a program."""
    tables = MetaData()
    tables.reflect(engine)
    with Session(engine) as session, session.begin():
        for name, row in ROWS.items():
            session.execute(insert(tables.tables[name]), [row])
        add_user(session, "ana", PASSWORD, role="reviewer", actor=CHIEF)
        key = add_key(session, "siem", user="ana", scopes=["records"], actor=CHIEF)
        details = {"review": 1, **{name: REVIEW[name] for name in ("stage", "verdict", "cwe")}}
        append(session, actor="ana", action="accept", subject="CVE-2030-1001", details=details)
    return key


def contents(engine: Engine) -> Tables:
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for name, table in tables.tables.items()
            if not name.startswith(("record_texts", "alembic"))
        }


def test_every_version_is_upgraded_to_the_next_and_nothing_is_lost(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    upgrade(engine, "0001")
    key = fill(engine)
    before = contents(engine)
    old = MetaData()
    old.reflect(engine)
    revisions = [one.revision for one in ScriptDirectory.from_config(scripts()).walk_revisions()]
    for revision in revisions[-2::-1]:
        upgrade(engine, revision)
        after = contents(engine)
        for name, rows in before.items():
            kept = [{column: row[column] for column in rows[0]} for row in after[name] if rows]
            assert kept == rows, (revision, name)
        with engine.connect() as connection:  # an older version, which is still at work
            for name, row in ROWS.items():
                unique = "name" if name in ("records", "saved_filters") else ""
                connection.execute(
                    insert(old.tables[name]), [row | ({unique: revision} if unique else {})]
                )
            connection.rollback()
    database = open_database(url)
    with database.write() as session:
        assert verify(session).broken == "" and verify(session).events == 3
        assert page(session, Filters(state="decided", text="login.php")).records[0].affected == []
        [undone] = undo(session, ANA).records
        assert (undone.name, verify(session).broken) == ("CVE-2030-1001", "")
        assert find_key(session, sha256(key)) is not None
        assert authenticate(session, "ana", PASSWORD) is not None
    sent: list[str] = []
    send = lambda message: sent.append(message.secret) or ""  # noqa: E731
    assert deliver_due(database, tmp_path, send=send) == 1
    assert sent == ["5" * 64]
    database.close()


def test_a_change_of_the_schema_lets_others_go_on_while_it_waits_for_a_reader(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT", 50)
    url = postgres.create().replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    upgrade(engine, "0003")
    reader = engine.connect()
    reader.execute(text("SELECT count(*) FROM records"))
    waited: list[object] = []

    def end_reading(connection: Connection) -> None:
        if not waited:
            waited.append(connection)
            reader.close()

    event.listen(engine, "rollback", end_reading)
    module.migrate(engine)
    assert waited
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM rate_limit_buckets")) == 0
    engine.dispose()
