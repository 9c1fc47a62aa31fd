"""Two replicas behind a balancer: killed under load, and replaced by newer versions one by one."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import replicas as bench
from replicas import Cluster, Load
from sqlalchemy import text
from workplace import finish_imports

from cybersecqwen import service
from cybersecqwen.service.authentication import COOKIE
from cybersecqwen.service.database import Database, open_database

NEWER = """
import sys
from pathlib import Path
from cybersecqwen.service import upgrade
upgrade._MIGRATIONS = Path(sys.argv.pop(1))
from cybersecqwen.cli import main
main()
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, oldest = "{revision}", "{previous}", "{oldest}"

def upgrade():
    op.add_column("records", sa.Column("c{revision}", sa.Text(), server_default="new"))
"""
TOKEN = re.compile(r'name="csrf" value="(\w+)"')


@pytest.fixture
def two() -> Iterator[Cluster]:
    pytest.importorskip("psycopg")
    try:
        with bench.cluster(2, "--rate-limit", "200", "--drain", "600") as made:
            yield made
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def address(two: Cluster) -> Iterator[str]:
    if not shutil.which("haproxy"):
        pytest.skip("HAProxy is not installed")
    with bench.balancer(two) as given:
        yield given


@pytest.mark.long
def test_nothing_is_lost_or_doubled_when_replicas_are_killed_and_upgraded(
    two: Cluster, address: str, tmp_path: Path
) -> None:
    log_in_here_and_there(two)
    database = open_database(two.url)
    load = Load(address, bench.key_of(database))
    with load.running():
        bench.kill_in_turns(two, load, database, 3, seed=42)
        upgrade_under_load(two, database, tmp_path)
    drain(two, 0)
    finish_imports(database)
    assert bench.faults(database, load) == []
    assert len(load.verdicts) > 10 and load.imports and load.done["POST /v1/records"] > 10
    database.close()


def log_in_here_and_there(two: Cluster) -> None:
    """Log in at one replica; the other knows the session, and takes its forms."""
    here, there = (f"http://127.0.0.1:{port}" for port in two.ports)
    with httpx2.Client(timeout=600) as browser:
        [token] = set(TOKEN.findall(browser.get(f"{here}/login").text))
        form = {"name": "ana", "password": bench.PASSWORD, "csrf": token}
        assert browser.post(f"{there}/login", data=form).status_code == 303
        assert browser.cookies[COOKIE]
        [token] = set(TOKEN.findall(browser.get(f"{here}/queue").text))
        assert browser.post(f"{there}/logout", data={"csrf": token}).status_code == 303


def newer(folder: Path, revision: str, previous: str, oldest: str) -> tuple[str, ...]:
    """Return the command of a version with one more migration, which keeps its schema for some."""
    migrations = folder / revision
    source = Path(service.__file__).parent / "migrations"
    last = folder / previous
    shutil.copytree(last if last.exists() else source, migrations)
    written = MIGRATION.format(revision=revision, previous=previous, oldest=oldest)
    (migrations / "versions" / f"m{revision}.py").write_text(written)
    program = folder / "newer.py"
    program.write_text(NEWER)
    return sys.executable, str(program), str(migrations)


def upgrade_under_load(two: Cluster, database: Database, folder: Path) -> None:
    """Upgrade one replica: the other goes on, and starts anew, until its time is over."""
    own = revision_of(database)
    drain(two, 0)
    two.start(0, *newer(folder, "9001", own, own))
    two.wait(0)
    assert revision_of(database) == "9001"
    assert bench.is_ready(two.ports[1])
    two.end(1)
    two.start(1)
    two.wait(1)
    drain(two, 0)
    two.start(0, *newer(folder, "9002", "9001", "9001"))
    two.wait(0)
    two.processes[1].wait(60)
    [line] = [one for one in two.log(1).splitlines() if "the service ends" in one]
    assert "the database has a schema that this version does not know" in line
    two.start(1)
    assert two.processes[1].wait(60) == 1
    assert f"it is for 9001 and newer, and this is {own}" in two.log(1).splitlines()[-1]


def drain(two: Cluster, number: int) -> None:
    """End a replica in good order: it is not ready first, and answers until it is told again."""
    two.processes[number].send_signal(signal.SIGTERM)
    bench.until(lambda: not bench.is_ready(two.ports[number]), "it is ready")
    health = httpx2.get(f"http://127.0.0.1:{two.ports[number]}/health", timeout=600)
    assert health.status_code == 200
    two.processes[number].send_signal(signal.SIGTERM)
    two.processes[number].wait(60)


def revision_of(database: Database) -> str:
    with database.engine.connect() as connection:
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))
