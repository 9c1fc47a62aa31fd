"""Backups: whole or not at all, made while somebody writes, and restored into any version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from cybersecqwen import service
from cybersecqwen.errors import InputError
from cybersecqwen.service.audit_trail import append, verify
from cybersecqwen.service.backup import backup, check, restore
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.tables import Job

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def write(database: Database, subject: str) -> None:
    with database.write() as session:
        append(session, actor="ana", action="comment", subject=subject)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_backup_holds_what_was_committed_and_is_one_file(
    database: Database, tmp_path: Path
) -> None:
    source, target = url(tmp_path / "workplace.sqlite"), tmp_path / "backups" / "monday.sqlite"
    write(database, "CVE-2030-1001")
    with database.write() as session:
        append(session, actor="ben", action="comment", subject="not committed yet")
        session.flush()
        assert backup(source, target).events == 1
    assert backup(source, target).events == 2
    left = sorted(path.name for path in target.parent.iterdir() if not path.name.endswith("lock"))
    assert left == ["monday.sqlite"]

    write(database, "CVE-2030-1002")
    elsewhere = tmp_path / "new" / "workplace.sqlite"
    verification = restore(target, url(elsewhere))
    opened = open_database(url(elsewhere))
    with opened.read() as session:
        assert verify(session, head=verification.head) == verification
    write(opened, "CVE-2030-1003")  # the chain goes on
    opened.close()
    assert check(elsewhere).events == 3


def test_a_database_gives_way_only_where_it_is_to(database: Database, tmp_path: Path) -> None:
    source, target = url(tmp_path / "workplace.sqlite"), tmp_path / "monday.sqlite"
    write(database, "CVE-2030-1001")
    backup(source, target)
    write(database, "CVE-2030-1002")
    with pytest.raises(InputError, match="there is a database already"):
        restore(target, source)
    restore(target, source, replace=True)
    with database.read() as session:  # a service that has it open reads what was restored
        assert verify(session).events == 1


def test_a_database_is_not_its_own_backup(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "workplace.sqlite"
    write(database, "CVE-2030-1001")
    before = path.stat().st_ino
    with pytest.raises(InputError, match="is the database itself"):
        backup(url(path), tmp_path / "folder" / ".." / path.name)
    with pytest.raises(InputError, match="is the database itself"):
        restore(path, url(path), replace=True)
    assert path.stat().st_ino == before


def test_what_is_not_whole_replaces_nothing(database: Database, tmp_path: Path) -> None:
    source, target = tmp_path / "workplace.sqlite", tmp_path / "monday.sqlite"
    write(database, "CVE-2030-1001")
    write(database, "CVE-2030-1002")
    backup(url(source), target)
    before = target.read_bytes()
    with database.engine.begin() as connection:
        for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type='trigger'")):
            connection.execute(text(f"DROP TRIGGER {row.name}"))
        connection.execute(text("UPDATE audit_events SET actor = 'eve' WHERE sequence = 1"))
    with pytest.raises(InputError, match="the audit trail is broken: event 1 was changed"):
        backup(url(source), target)
    assert target.read_bytes() == before

    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(before[:4096] + b"\xff" * 4096 + before[8192:])
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (a)")
    (tmp_path / "text.sqlite").write_text("no database\n" * 1000)
    for path, said in (
        (damaged, "is damaged"),
        (other, "is no workplace"),
        (tmp_path / "text.sqlite", "is damaged"),
        (tmp_path / "missing.sqlite", "no such file"),
    ):
        with pytest.raises(InputError, match=said):
            restore(path, url(tmp_path / "restored.sqlite"))
        assert not (tmp_path / "restored.sqlite").exists()


def test_a_backup_of_an_older_version_gets_the_schema_of_this_one(
    database: Database, tmp_path: Path
) -> None:
    older = tmp_path / "older.sqlite"
    engine = create_engine(url(older))
    config = Config()
    config.set_main_option("script_location", str(Path(service.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with Session(engine) as session:
        append(session, actor="ana", action="comment", subject="CVE-2030-1001")
        session.commit()
    engine.dispose()
    restored = tmp_path / "restored.sqlite"
    assert restore(older, url(restored)).events == 1
    opened = open_database(url(restored))
    with opened.read() as session:
        assert session.get(Job, "feeds") is None  # a table of a later version
        assert verify(session).events == 1
    opened.close()


def test_postgresql_has_its_own_program(database: Database, tmp_path: Path) -> None:
    server = "postgresql://ana:secret@db.example/team"
    with pytest.raises(InputError, match="pg_dump --format=custom") as raised:
        backup(server, tmp_path / "x")
    assert "secret" not in str(raised.value)
    with pytest.raises(InputError, match="pg_restore"):
        restore(tmp_path / "x", server)
