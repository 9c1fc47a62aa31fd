"""Several replicas of the workplace behind HAProxy, killed again and again under load.

    python benchmarks/replicas.py --replicas 3 --kills 20
    python benchmarks/replicas.py --limits          # what a limit that all replicas share costs

Replicas share a PostgreSQL and a folder, and HAProxy runs on deploy/haproxy.cfg. Clients add texts,
import files and give verdicts, each request with an Idempotency-Key, and send it again until it is
answered. A replica is killed with SIGKILL and started anew. In the end everything that was
acknowledged has to be there once, no more than that, and the audit trail whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from postgres import free_port, serving
from sqlalchemy import func, select, text
from workplace import ROWS, incomplete, lines, running_imports

from cybersecqwen.service.accounts import add_key, add_user
from cybersecqwen.service.audit_trail import verify
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.rate_limit import SharedRateLimit
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.tables import Import, Record, Review

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "haproxy.cfg"
CHIEF = Actor("chief", "administrator")
PASSWORD = "five words are enough here"
TEXTS, VERDICTS = 5, 10  # of a request, between two looks at the queue
LOCKS = text(
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND objsubid = 2 AND granted"
)
JOBS = 3  # messages, drift, limits
_PATIENCE = 600.0  # seconds
_VARYING = re.compile(r"(?<=/)\d+(?=/)|\?.*")  # what differs in the addresses of one kind


def until(holds: Callable[[], object], what: str, patience: float = _PATIENCE) -> float:
    """Wait until something holds, and return the seconds that it took."""
    begin = time.monotonic()
    while not holds():
        if time.monotonic() - begin > patience:
            raise TimeoutError(f"{what} after {patience:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - begin


def is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


@dataclass
class Cluster:
    """Replicas on one database behind a balancer; a replica is named by its number."""

    folder: Path
    url: str
    ports: list[int]
    options: tuple[str, ...] = ()
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, number: int, *command: str) -> None:
        """Start a replica; `command` runs another program in the place of this version's."""
        program = command or (sys.executable, "-m", "cybersecqwen.cli")
        listening = ("serve", "--port", str(self.ports[number]), "--database", self.url)
        with (self.folder / f"replica{number}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(
                [*program, *listening, "--name", "cti.example.org", "--no-browser", *self.options],
                env=os.environ | {"XDG_DATA_HOME": str(self.folder / "shared")},
                stdout=log,
                stderr=log,
            )

    def wait(self, number: int) -> float:
        """Wait until a replica is ready."""
        return until(lambda: is_ready(self.ports[number]), f"replica {number} is not ready")

    def end(self, number: int, how: signal.Signals = signal.SIGKILL) -> None:
        """End a replica, and wait until it has."""
        self.processes[number].send_signal(how)
        self.processes[number].wait(_PATIENCE)

    def log(self, number: int) -> str:
        """Return what a replica has said."""
        return (self.folder / f"replica{number}.log").read_text()


@contextmanager
def cluster(size: int, *options: str) -> Iterator[Cluster]:
    """Start a PostgreSQL and the replicas, and wait until they are ready."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as ended:
        folder = Path(name)
        (folder / "server").mkdir()
        server = ended.enter_context(serving(folder / "server", durable=True))
        made = Cluster(folder, server.create(), [free_port() for _ in range(size)], options)
        database = open_database(made.url)
        with database.write() as session:
            add_user(session, "ana", PASSWORD, role="resolver", actor=CHIEF)
        database.close()
        ended.callback(lambda: [process.kill() for process in made.processes.values()])
        for number in range(size):
            made.start(number)
        for number in range(size):
            made.wait(number)
        yield made


@contextmanager
def balancer(replicas: Cluster) -> Iterator[str]:
    """Start HAProxy on the configuration that ships, and yield its address."""
    program, port = shutil.which("haproxy"), free_port()
    if not program:
        raise FileNotFoundError("HAProxy is not installed")
    given = CONFIGURATION.read_text(encoding="utf-8").replace(
        "bind :8080", f"bind 127.0.0.1:{port}"
    )
    others = re.sub(r"^ +server .*\n", "", given, flags=re.MULTILINE)
    servers = (f"    server replica{one} 127.0.0.1:{one}\n" for one in replicas.ports)
    path = replicas.folder / "haproxy.cfg"
    path.write_text(others.rstrip() + "\n" + "".join(servers))
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, "-f", path], stdout=quiet, stderr=quiet)
    try:
        until(lambda: is_ready(port), "HAProxy does not answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@dataclass
class Load:
    """Clients at work, what was acknowledged to them, and how many requests failed."""

    address: str
    key: str
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    imports: set[int] = field(default_factory=set)
    verdicts: set[int] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the clients work; each ends with a request that was answered."""
        works = (self.add_texts, self.add_imports, self.judge)
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()

    def send(self, client: httpx2.Client, method: str, path: str, **how: Any) -> Any:
        """Send a request until it is answered, and return the answer; None where it is refused."""
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": os.urandom(8).hex()}
        headers |= how.pop("headers", {})
        while True:
            try:
                answer = client.request(method, self.address + path, headers=headers, **how)
            except httpx2.HTTPError as error:
                self.failed[type(error).__name__] += 1
            else:
                if answer.status_code == 409:  # another verdict came first
                    return None
                if answer.is_success:
                    self.done[f"{method} {_VARYING.sub('', path)}"] += 1
                    return answer.json()
                self.failed[str(answer.status_code)] += 1
                if answer.status_code < 500 and answer.status_code != 429:
                    self.refused.append(answer.text)
                    return None
            time.sleep(0.1)

    def add_texts(self) -> None:
        """Add some texts again and again, each under a name of its own."""
        with httpx2.Client(timeout=600) as client:
            turn = 0
            while not self.stopping.is_set():
                rows = [json.loads(row) for row in lines(turn, "text", TEXTS).splitlines()]
                self.send(client, "POST", "/v1/records", json=rows)
                turn += 1

    def add_imports(self) -> None:
        """Import one file after the other."""
        kind = {"Content-Type": "application/octet-stream"}
        with httpx2.Client(timeout=600) as client:
            turn = 0
            while not self.stopping.is_set():
                path, content = f"/v1/imports?name={turn}.jsonl", lines(turn, "row", ROWS)
                begun = self.send(client, "POST", path, content=content, headers=kind)
                if begun:
                    self.imports.add(begun["id"])
                turn += 1
                self.stopping.wait(0.5)

    def judge(self) -> None:
        """Accept the suggestions of the queue."""
        with httpx2.Client(timeout=600) as client:
            while not self.stopping.is_set():
                queue = self.send(client, "GET", f"/v1/records?limit={VERDICTS}")
                for record in queue["records"] if queue else ():
                    path, body = f"/v1/records/{record['id']}/reviews", {"verdict": "accept"}
                    kept = self.send(client, "POST", path, json=body)
                    if kept:
                        self.verdicts.add(kept["id"])


def key_of(database: Database) -> str:
    """Make a key for the clients."""
    scopes = ("classify", "records", "reviews")
    with database.write() as session:
        return add_key(session, "load", user="ana", scopes=scopes, actor=CHIEF)


def faults(database: Database, load: Load) -> list[str]:
    """Say what was acknowledged and is not there, what is there twice, and what is not whole."""
    texts = load.done["POST /v1/records"] * TEXTS
    with database.read() as session:
        broken = verify(session).broken
        verdicts = set(session.scalars(select(Review.id)))
        imports = set(session.scalars(select(Import.id)))
        names = session.scalar(
            select(func.count()).select_from(Record).where(Record.name.startswith("text-"))
        )
    found = [broken] if broken else []
    found += [f"refused: {one}" for one in load.refused]
    if names != texts:
        found.append(f"{texts} texts were acknowledged, and {names} are there")
    if verdicts != load.verdicts:
        found.append(f"verdicts that only one side knows: {sorted(verdicts ^ load.verdicts)}")
    if imports != load.imports:
        found.append(f"imports that only one side knows: {sorted(imports ^ load.imports)}")
    return found + incomplete(database)


def kill_in_turns(
    replicas: Cluster, load: Load, database: Database, kills: int, seed: int
) -> float:
    """Kill one replica after the other under load; return the longest time without the jobs."""
    draw, longest = random.Random(seed), 0.0

    def held() -> bool:
        with database.engine.connect() as connection:
            return connection.scalar(LOCKS) == JOBS

    for _ in range(kills):
        until(held, "nobody does the jobs")
        before = sum(load.done.values())
        until(lambda now=before: sum(load.done.values()) > now + 5, "nothing is answered")
        time.sleep(draw.random() / 2)
        number = draw.randrange(len(replicas.ports))
        replicas.end(number)
        replicas.start(number)
        longest = max(longest, until(held, "nobody does the jobs"))
        replicas.wait(number)
    return longest


def measure(size: int, kills: int, *, seed: int = 42) -> dict[str, Any]:
    """Run the whole, and return what was done, what failed, and every fault."""
    with cluster(size, "--rate-limit", "200") as replicas, balancer(replicas) as address:
        database = open_database(replicas.url)
        load, begin = Load(address, key_of(database)), time.monotonic()
        with load.running():
            longest = kill_in_turns(replicas, load, database, kills, seed)
        seconds = time.monotonic() - begin
        waited = until(lambda: not running_imports(database), "imports are left", 300.0)
        wrong = faults(database, load)
        with database.read() as session:
            events = verify(session).events
        database.close()
    return {
        **{"replicas": size, "kills": kills, "seconds": round(seconds), "events": events},
        **{"acknowledged": dict(load.done), "failed requests": dict(load.failed)},
        **{"longest without jobs, s": round(longest, 1), "imports taken over, s": round(waited)},
        "faults": wrong,
    }


def measure_limits(requests: int = 5000) -> dict[str, Any]:
    """Return what a request costs under a limit that all share, in µs, and how many ask for it."""
    with tempfile.TemporaryDirectory() as name, serving(Path(name), durable=True) as server:
        database = open_database(server.create())
        cost = {}
        for burst in (1.0, 100.0):
            limit = SharedRateLimit("x", rate=1e4, burst=burst, database=lambda: database)
            begin = time.perf_counter()
            asyncio.run(_ask(limit, requests))
            cost[f"burst {burst:.0f}, µs"] = round((time.perf_counter() - begin) / requests * 1e6)
        database.close()
    return cost


async def _ask(limit: SharedRateLimit, requests: int) -> None:
    for _ in range(requests):
        await limit.wait("192.0.2.1")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--limits", action="store_true")
    given = parser.parse_args()
    row = measure_limits() if given.limits else measure(given.replicas, given.kills)
    print(json.dumps(row, indent=2, ensure_ascii=False))
    sys.exit(bool(row.get("faults")))


if __name__ == "__main__":
    main()
