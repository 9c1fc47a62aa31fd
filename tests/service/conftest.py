"""Databases of the tests: SQLite in a file, and PostgreSQL where a server can be started."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.service import accounts
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.imports import Importer
from cybersecqwen.service.reviews import Actor

ANA, BEN = Actor("ana"), Actor("ben")
CHIEF = Actor("chief", "resolver")
READER = Actor("ron", "reader")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL of our own, and return the URL of the server without a database's name."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    search = os.pathsep.join([os.environ["PATH"], *map(str, programs)])
    initdb, control = shutil.which("initdb", path=search), shutil.which("pg_ctl", path=search)
    if not initdb or not control:
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path_factory.mktemp("postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    owner = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            account = pwd.getpwnam("nobody")
        owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        for path in (folder, *folder.parents):
            if path == Path(path.anchor) or path.stat().st_uid != 0 or path == Path("/tmp"):
                break
            path.chmod(path.stat().st_mode | 0o111)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **owner)

    run(initdb, "-D", data, "-A", "trust", "-U", "postgres")
    run(control, "-D", data, "-w", "-o", options, "-l", folder / "log", "start")
    yield f"postgresql://postgres@127.0.0.1:{port}"
    run(control, "-D", data, "-m", "immediate", "stop")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'workplace.sqlite'}")
    else:
        server = request.getfixturevalue("postgres")
        opened = open_database(f"{server}/{new_database(server)}")
    yield opened
    opened.close()


def new_database(server: str) -> str:
    """Create an empty database, and return its name."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        number = connection.execute("SELECT count(*) FROM pg_database").fetchone()[0]
        connection.execute(f"CREATE DATABASE test_{number}")
    return f"test_{number}"


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
