"""Databases of the tests: SQLite in a file, and PostgreSQL where a server can be started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from argon2 import PasswordHasher
from postgres import Server, serving

from cybersecqwen.analyst.classification import Given
from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.service import accounts
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.imports import Importer, add_rows
from cybersecqwen.service.reviews import Actor

ANA, BEN = Actor("ana"), Actor("ben")
CHIEF = Actor("chief", "resolver")
READER = Actor("ron", "reader")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a PostgreSQL of our own, or skip where it is not installed.

    It runs as another user, whom pytest keeps out of its own folder of temporary files.
    """
    pytest.importorskip("psycopg")
    try:
        with TemporaryDirectory() as folder, serving(Path(folder)) as server:
            yield server
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'workplace.sqlite'}")
    else:
        server = request.getfixturevalue("postgres")
        opened = open_database(server.create())
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with the least effort: a real hash takes half a second and 64 MiB."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", lambda: hasher)


@pytest.fixture
def importer(database: Database) -> Importer:
    return Importer(
        database, classifier=open_classifier(), engine="embedded", artifact="0" * 64, threshold=0.3
    )


def add_texts(importer: Importer, given: Sequence[Given], *, actor: Actor = ANA) -> None:
    """Add texts as the API does."""
    rows = importer.classify(given, source="test")
    with importer.database.write() as session:
        add_rows(session, rows, source="test", actor=actor)
