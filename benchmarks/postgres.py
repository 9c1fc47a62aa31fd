"""Start a PostgreSQL server of one's own, for the tests and for what is measured."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any


@dataclass(frozen=True)
class Server:
    """A server in a folder; `url` is without a database's name."""

    folder: Path
    control: str
    port: int
    owner: dict[str, Any]
    durable: bool

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def run(self, *command: str | Path) -> None:
        quiet = subprocess.DEVNULL
        subprocess.run(
            command, check=True, stdout=quiet, stderr=quiet, cwd=self.folder, **self.owner
        )

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        options += "" if self.durable else " -c fsync=off"
        data, log = self.folder / "data", self.folder / "log"
        self.run(self.control, "-D", data, "-w", "-o", options, "-l", log, "start")

    def stop(self) -> None:
        self.run(self.control, "-D", self.folder / "data", "-m", "immediate", "stop")

    def kill(self) -> None:
        """End the server as a power cut would; its children end when they notice."""
        path = self.folder / "data" / "postmaster.pid"
        os.kill(int(path.read_text().split()[0]), SIGKILL)

    def create(self) -> str:
        """Create an empty database, and return its URL."""
        import psycopg

        name = f"database_{secrets.token_hex(4)}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"{self.url}/{name}"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(folder: Path, *, durable: bool = False) -> Iterator[Server]:
    """Start a server in an empty folder, and stop it. Raises FileNotFoundError without one."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    search = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    initdb, control = shutil.which("initdb", path=search), shutil.which("pg_ctl", path=search)
    if not initdb or not control:
        raise FileNotFoundError("PostgreSQL is not installed")
    server = Server(folder, control, free_port(), _owner(folder), durable)
    server.run(initdb, "-D", folder / "data", "-A", "trust", "-U", "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _owner(folder: Path) -> dict[str, Any]:
    """Return who is to run it: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    names = {account.pw_name: account for account in pwd.getpwall()}
    account = names.get("postgres") or names["nobody"]
    for path in folder.parents:  # that it may reach its folder
        if path.stat().st_uid == 0 and path.stat().st_mode & 0o777 == 0o700:
            path.chmod(0o711)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
