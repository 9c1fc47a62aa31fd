"""The database: its migrations, and what is said of one that cannot be used."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postgres import Server
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError, InternalError
from sqlalchemy.orm import Session

from cybersecqwen.errors import InputError
from cybersecqwen.service import database as module
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.queue import Filters, page
from cybersecqwen.service.tables import Base, Record, SharedValue

# By what SQLite and PostgreSQL, each in its own way, find descriptions.
PARTS = ("data", "idx", "docsize", "config")
INDEX = {"record_texts", *(f"record_texts_{part}" for part in PARTS)}
INDEX |= {"records_by_trigrams", "records_by_name"}


def test_the_migrations_make_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        ours = {"include_name": lambda name, *_: name not in INDEX}
        context = MigrationContext.configure(connection, opts=ours)
        assert compare_metadata(context, Base.metadata) == []


def test_postgresql_finds_texts_by_its_index_and_reads_them_where_it_may_not_have_one(
    postgres: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Who does not own a database cannot add pg_trgm to it."""
    url = postgres.create()
    owner = create_engine(url)
    with owner.begin() as connection:
        connection.execute(text("CREATE ROLE guest LOGIN"))
        connection.execute(text("GRANT CREATE ON SCHEMA public TO guest"))
    owner.dispose()
    assert "no pg_trgm" not in caplog.text
    for address, has_index in (
        (url.replace("postgres@", "guest@"), False),
        (postgres.create(), True),
    ):
        database = open_database(address)
        assert ("no pg_trgm in PostgreSQL: permission denied" in caplog.text) is not has_index
        caplog.clear()
        with database.read() as session:
            session.execute(text("SET enable_seqscan = off"))
            search = "SELECT id FROM records WHERE text ILIKE '%parser%'"
            plan = session.scalars(text(f"EXPLAIN {search}")).all()
            assert any("records_by_trigrams" in step for step in plan) is has_index
            assert page(session, Filters(text="parser")).records == []
        database.close()


def test_many_may_start_at_once(tmp_path: Path, postgres: Server) -> None:
    for url in (f"sqlite:///{tmp_path / 'new.sqlite'}", postgres.create()):
        with ThreadPoolExecutor(4) as threads:
            for opened in threads.map(open_database, [url] * 4):
                with opened.read() as session:  # the schema is whole, and there once
                    versions = session.scalars(text("SELECT version_num FROM alembic_version"))
                    assert len(versions.all()) == 1
                    assert session.scalars(select(Record)).all() == []
                opened.close()


def test_a_newer_schema_is_refused_unless_it_is_for_this_version_too(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    url = database.engine.url.render_as_string(hide_password=False)
    open_database(url).close()
    with database.engine.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
        connection.execute(text("UPDATE shared_values SET value = '9998'"))
    with pytest.raises(InputError, match="a schema that this version does not know") as raised:
        open_database(url)
    assert "\n" not in str(raised.value)
    assert "start the version of cybersecqwen that wrote it" in str(raised.value)


def test_a_writer_that_has_frozen_is_ended_and_others_write(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(postgres.create())
    monkeypatch.setattr(module, "_FROZEN", 2)
    with pytest.raises(DBAPIError), database.write() as frozen:
        frozen.add(SharedValue(name="frozen", value=""))
        frozen.flush()
        monkeypatch.setattr(module, "_FROZEN", 60)  # the other one may take its time
        with database.write() as other:
            other.add(SharedValue(name="other", value=""))
        frozen.add(SharedValue(name="thawed", value=""))
        frozen.flush()
    with database.read() as session:
        names = set(session.scalars(select(SharedValue.name)))
    assert "other" in names and not names & {"frozen", "thawed"}
    database.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("nonsense", "no database that the service can use"),
        ("mysql://host/name", "no database that the service can use"),
        ("sqlite://", "SQLite needs a file"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(url: str, error: str) -> None:
    with pytest.raises(InputError, match=error) as raised:
        open_database(url)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_text("these are my notes, not a database at all" * 100)
    before = path.read_bytes()
    with pytest.raises(InputError, match="cannot be opened"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_beats_go_on_when_the_database_has_ended_one(database: Database) -> None:
    beats, again = [], threading.Event()

    def beat(_: Session) -> None:
        beats.append(1)
        if len(beats) == 1:  # as after a process was frozen with a transaction open
            raise InternalError("UPDATE imports", {}, Exception("terminating connection"))
        again.set()

    with database.beating(beat, seconds=0.01):
        assert again.wait(60)
