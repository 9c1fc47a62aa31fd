"""What the workplace holds: how fast its pages are with many records, and what kills cost.

    python benchmarks/workplace.py pages --records 100000
    python benchmarks/workplace.py load --seconds 600 --consoles 200
    python benchmarks/workplace.py kills --kills 100
    python benchmarks/workplace.py kills --kills 100 --postgresql

`pages` fills a database with copies of the sample's records under other names, and times every page
of the console, the median and the worst of ten. `load` starts the service, imports a file, and then
classifies at a rate while many people read: each opens the queue or a record every ten seconds. It
prints how long answers and pages took, and how much memory the service had meanwhile. `kills` ends
a process that imports and reviews with SIGKILL at random moments, and every third time the
PostgreSQL server too, which then starts again; what was acknowledged must be there once, and the
audit trail whole.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from postgres import Server, serving
from sqlalchemy import func, insert, select

import service
from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.service.audit_trail import verify
from cybersecqwen.service.database import Database, open_database
from cybersecqwen.service.imports import Importer, begin
from cybersecqwen.service.queue import Filters, page
from cybersecqwen.service.reviews import Actor, Decision, decide, undo
from cybersecqwen.service.tables import Import, Record, Review

ANA = Actor("ana")
TEXTS = (
    "SQL injection in the id parameter of list.php in Foo Shop allows attackers to read data.",
    "Stored cross-site scripting in the comment form of Foo CMS lets users inject scripts.",
    "A stack-based buffer overflow in the parser of Bar allows remote code execution.",
    "A path traversal in the download endpoint of Bar allows attackers to read any file.",
    "The settings page of the Foo plugin lacks a CSRF token.",
)
PAGES = (
    *("/queue", "/queue?order=uncertainty", "/queue?order=severity", "/queue?state=decided"),
    *("/queue?exploited=true&min_severity=9", "/queue?cwe=CWE-89", "/queue?name=CVE-2099-5"),
    *("/queue?name=GHSA-", "/queue?text=parser", "/queue?text=no-such-words", "/records/77"),
    *("/imports", "/dashboard", "/audit-trail", "/ask", "/help"),
)
TIMES = 10
ROWS = 40  # of an import that is killed
IMPORTED = 10_000  # of the one before a load


def importer(database: Database) -> Importer:
    return Importer(
        database, classifier=open_classifier(), engine="embedded", artifact="0" * 64, threshold=0.3
    )


def fill(database: Database, count: int) -> None:
    """Add records that differ in name, day, severity and confidence, and decide some of them."""
    draw = random.Random(42)
    work = importer(database)
    rows = lines(0, "seed", len(TEXTS))
    with tempfile.TemporaryDirectory() as folder:
        number = begin(database, "seed.jsonl", io.BytesIO(rows), actor=ANA, folder=Path(folder))
        work.finish(number)
    with database.read() as session:
        columns = [column.key for column in Record.__table__.columns if column.key != "id"]
        held = [
            {name: getattr(record, name) for name in columns}
            for record in session.scalars(select(Record))
        ]
    for start in range(0, count, 5000):
        batch = []
        for position in range(start, min(start + 5000, count)):
            row = dict(draw.choice(held))
            severity = round(draw.uniform(0, 10), 1)
            row |= {
                "name": f"CVE-2099-{10000 + position}",
                "published": f"20{draw.randint(10, 26)}-{draw.randint(1, 12):02}-01",
                "severity": severity,
                "confidence": round(draw.random(), 4),
                "exploited": draw.random() < 0.01,
                "urgency": 10 * severity,
            }
            batch.append(row)
        with database.write() as session:
            session.execute(insert(Record), batch)
    with database.write() as session:
        for record in page(session, Filters(), limit=200).records:
            decide(session, record, Decision("accept"), actor=ANA)


def lines(seed: int, name: str, count: int) -> bytes:
    rows = ({"id": f"{name}-{seed}-{n}", "text": TEXTS[n % len(TEXTS)]} for n in range(count))
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def pages(records: int, *, postgresql: bool) -> None:
    """Print how long each page takes."""
    from starlette.testclient import TestClient

    from cybersecqwen.service.app import create_app
    from cybersecqwen.service.settings import ServiceSettings

    with (
        tempfile.TemporaryDirectory() as name,
        database_of(Path(name), postgresql=postgresql) as (url, _),
    ):
        settings = ServiceSettings(database=url, folder=Path(name), rate_limit=0)
        database = open_database(settings.database_url)
        fill(database, records)
        if postgresql:  # which does so by itself within a minute
            with database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            ) as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
        database.close()
        where = "PostgreSQL" if postgresql else "SQLite"
        print(f"| page, {records:,} records, {where} | median s | worst s | KiB |")
        print("| --- | ---: | ---: | ---: |")
        with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
            for path in PAGES:
                taken = []
                for _ in range(TIMES):
                    begun = time.perf_counter()
                    answer = client.get(path)
                    taken.append(time.perf_counter() - begun)
                answer.raise_for_status()
                size = len(answer.content) / 1024
                middle = statistics.median(taken)
                print(f"| `{path}` | {middle:.3f} | {max(taken):.3f} | {size:.0f} |")


def load(seconds: float, consoles: int, rate: float) -> None:
    """Print what an import, people at their consoles and a feed of texts cost one service."""
    with service.serving("cybersecqwen") as (port, process):
        print(f"import of {IMPORTED:,} rows, until its last one is shown: {_imported(port):.1f} s")
        answers, pages_, memory, errors = asyncio.run(_day(port, process, seconds, consoles, rate))
    for name, taken in (("classify", sorted(answers)), ("page", sorted(pages_))):
        middle, late = (taken[len(taken) * part // 100] * 1000 for part in (50, 99))
        print(f"{name}: {len(taken) / seconds:.0f}/s, median {middle:.1f} ms, p99 {late:.1f} ms")
    settled = memory[len(memory) // 10 :]  # after a tenth of the time
    print(
        f"memory: {memory[0]:.0f} MB after the import, {settled[0]:.0f} MB after a tenth of the "
        f"time, {settled[-1]:.0f} MB at the end, {max(memory):.0f} MB at most; errors: {errors}"
    )
    sys.exit(bool(errors))


def _imported(port: int) -> float:
    """Import a file over HTTP, and return the seconds until its last record is in the queue."""
    base = f"http://127.0.0.1:{port}"
    begun = time.perf_counter()
    data = lines(0, "load", IMPORTED)
    upload = Request(f"{base}/v1/imports?name=load.jsonl", data, method="POST")
    number = json.load(urlopen(upload))["id"]
    while (state := json.load(urlopen(f"{base}/v1/imports/{number}")))["state"] == "running":
        time.sleep(0.1)
    last = f"load-0-{IMPORTED - 1}"
    shown = urlopen(f"{base}/queue?name={last}").read().decode()
    taken = time.perf_counter() - begun
    if state["new"] != IMPORTED or last not in shown:
        sys.exit(f"the import went wrong: {state}")
    return taken


async def _day(
    port: int, process: int, seconds: float, consoles: int, rate: float
) -> tuple[list[float], list[float], list[float], int]:
    """Return the seconds of each answer and of each page, memory in MB over time, and errors."""
    answers: list[float] = []
    pages_: list[float] = []
    memory: list[float] = []
    until = time.perf_counter() + seconds

    async def watch() -> int:
        while time.perf_counter() < until:
            resident = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            memory.append(resident * os.sysconf("SC_PAGE_SIZE") / 1e6)
            await asyncio.sleep(seconds / 100)
        return 0

    numbers, lanes = count(), 16
    failed = await asyncio.gather(
        watch(),
        *(_console(port, seed, pages_, until) for seed in range(consoles)),
        *(
            service.connection(port, numbers, answers, until, every=lanes / rate, late=lane / rate)
            for lane in range(lanes)
        ),
    )
    return answers, pages_, memory, sum(failed)


async def _console(port: int, seed: int, taken: list[float], until: float) -> int:
    """Read the queue and records as a person does, with pauses; count what failed."""
    draw, errors = random.Random(seed), 0
    await asyncio.sleep(draw.uniform(0, 10))
    while time.perf_counter() < until:
        path = draw.choice(("/queue", f"/records/{draw.randint(1, IMPORTED)}", "/dashboard"))
        begun = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        succeeded = await service.read_answer(reader)
        taken.append(time.perf_counter() - begun)
        errors += not succeeded
        writer.close()
        await asyncio.sleep(draw.uniform(5, 15))
    return errors


def worker(url: str, folder: Path, seed: int) -> None:
    """Import and review until killed, and say on standard output what is acknowledged."""
    database = open_database(url)
    finish_imports(database)
    work = importer(database)
    draw = random.Random(seed)
    for turn in range(1000):
        data = lines(turn, f"r{seed}", ROWS)
        number = begin(database, f"r{seed}-{turn}", io.BytesIO(data), actor=ANA, folder=folder)
        print("import", number, flush=True)
        work.finish(number)
        print("done", number, flush=True)
        with database.read() as session:
            names = [record.id for record in page(session, Filters(), limit=20).records]
        for number in names:
            with database.write() as session:
                review = decide(
                    session, session.get_one(Record, number), Decision("accept"), actor=ANA
                )
                told = review.id
            print("verdict", told, flush=True)
            if draw.random() < 0.1:
                with database.write() as session:
                    undo(session, ANA)
                print("undo", told, flush=True)


@contextmanager
def database_of(folder: Path, *, postgresql: bool) -> Iterator[tuple[str, Server | None]]:
    if not postgresql:
        yield f"sqlite:///{folder / 'workplace.sqlite'}", None
        return
    (folder / "server").mkdir()
    with serving(folder / "server", durable=True) as server:
        yield server.create(), server


def kills(number: int, *, postgresql: bool) -> None:
    """Kill and look, so many times; print what was lost or doubled."""
    draw = random.Random(42)
    acknowledged: dict[str, set[int]] = {
        kind: set() for kind in ("import", "done", "verdict", "undo")
    }
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with database_of(folder, postgresql=postgresql) as (url, server):
            open_database(url).close()
            for turn in range(number):
                told = _until_killed(url, folder, turn, draw, server if turn % 3 == 2 else None)
                for line in told:
                    kind, _, which = line.partition(" ")
                    acknowledged[kind].add(int(which))
                faults += _look(url, acknowledged)
            database = open_database(url)
            finish_imports(database)
            faults += _look(url, acknowledged) + incomplete(database)
            with database.read() as session:
                events = verify(session).events
                records = session.scalar(select(func.count()).select_from(Record))
            database.close()
    counts = {kind: len(ids) for kind, ids in acknowledged.items()}
    where = "PostgreSQL" if postgresql else "SQLite"
    print(f"{where}: {number} kills; acknowledged {counts}; {records} records, {events} events")
    print(f"faults: {len(faults)}", *faults[:10], sep="\n  ")
    sys.exit(bool(faults))


def _until_killed(
    url: str, folder: Path, turn: int, draw: random.Random, server: Server | None
) -> list[str]:
    """Run a worker for a random while, kill it, and return what it said."""
    command = [sys.executable, __file__, "worker", url, str(folder / "imports"), str(turn)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()  # that it has begun
        time.sleep(draw.uniform(0, 2))
        if server:
            server.kill()
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
    if server:
        _start_again(server)
    return (first + rest[: rest.rfind("\n") + 1]).splitlines()


def _start_again(server: Server) -> None:
    for _ in range(100):  # its children hold the shared memory until they notice
        try:
            server.start()
            return
        except subprocess.CalledProcessError:
            time.sleep(0.2)
    raise RuntimeError("PostgreSQL did not start again")


def _look(url: str, acknowledged: dict[str, set[int]]) -> list[str]:
    """Name what was acknowledged and is not there, and what the audit trail does not bear out."""
    faults = []
    database = open_database(url)
    with database.read() as session:
        broken = verify(session).broken
        faults += [broken] if broken else []
        reviews = {review.id: review for review in session.scalars(select(Review))}
        faults += [f"verdict {n} is lost" for n in acknowledged["verdict"] - set(reviews)]
        withdrawn = {n for n, review in reviews.items() if review.withdrawn_at}
        faults += [f"undo {n} is lost" for n in acknowledged["undo"] - withdrawn]
        imports = {one.id: one.state for one in session.scalars(select(Import))}
        faults += [f"import {n} is lost" for n in acknowledged["import"] - set(imports)]
        done = {n for n, state in imports.items() if state == "done"}
        faults += [f"import {n} is not done" for n in acknowledged["done"] - done]
    database.close()
    return faults


def running_imports(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Import.id).where(Import.state == "running")))


def finish_imports(database: Database) -> None:
    """Finish what killed processes have left, as a service does that starts."""
    work = importer(database)
    for number in running_imports(database):
        work.finish(number)


def incomplete(database: Database) -> list[str]:
    """Name the imports whose counts are not those of their file, and verdicts given twice."""
    with database.read() as session:
        faults = [
            f"import {one.id} is {one.state}: {one.new} new, {one.unchanged} unchanged"
            for one in session.scalars(select(Import))
            if one.state != "done" or one.new + one.unchanged != ROWS
        ]
        counting = select(Review.record_id).where(Review.withdrawn_at == "")
        twice = session.execute(counting.group_by(Review.record_id).having(func.count() > 1)).all()
    return faults + [f"record {row[0]} has two verdicts" for row in twice]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    timed = commands.add_parser("pages")
    timed.add_argument("--records", type=int, default=100_000)
    timed.add_argument("--postgresql", action="store_true")
    loaded = commands.add_parser("load")
    loaded.add_argument("--seconds", type=float, default=600)
    loaded.add_argument("--consoles", type=int, default=200)
    loaded.add_argument("--rate", type=float, default=300, help="texts a second")
    killed = commands.add_parser("kills")
    killed.add_argument("--kills", type=int, default=100)
    killed.add_argument("--postgresql", action="store_true")
    run: Any = commands.add_parser("worker")
    for name, kind in (("url", str), ("folder", Path), ("seed", int)):
        run.add_argument(name, type=kind)
    given = parser.parse_args()
    if given.command == "pages":
        pages(given.records, postgresql=given.postgresql)
    elif given.command == "load":
        load(given.seconds, given.consoles, given.rate)
    elif given.command == "kills":
        kills(given.kills, postgresql=given.postgresql)
    else:
        try:
            worker(given.url, given.folder, given.seed)
        except CyberSecQwenError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
