"""Measure the HTTP service under load, beside a bare Starlette route that does the same work.

    python benchmarks/service.py                      # ours and Starlette's, 10 s each
    python benchmarks/service.py --rate 1000          # sent at a rate, not as fast as answered

Server and load generator are processes of their own, each of one thread, so two cores measure one
worker. Connections stay open, each sends a text when the answer before has come; with --rate they
are sent on time, and the time an answer takes counts from when it should have been sent.

The time of the processor that the server needs for a request ("cpu ms") counts where other programs
are at work: "ours by cpu" is the ratio of rates that a machine of its own would show.

"starlette, together" hands its texts to the same batching as ours, "starlette, alone" classifies
each in its handler: what a route costs that somebody writes in ten lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres import free_port

TEXT = "SQL injection in {}.php in Acme Portal {} allows remote attackers to execute SQL commands."


def bare(port: int, together: bool) -> None:
    """Serve one route on Starlette alone."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from cybersecqwen.analyst.classification import Given, as_row, classify
    from cybersecqwen.analyst.classifiers import open_classifier
    from cybersecqwen.service.inference import Inference
    from cybersecqwen.service.settings import ServiceSettings

    classifier, inference = open_classifier(), Inference(ServiceSettings())

    async def answer(request: Request) -> JSONResponse:
        text = (await request.json())["text"]
        if together:
            [result] = await inference.classify([Given(1, text)])
        else:
            result = next(classify(text, classifier=classifier))
        return JSONResponse(as_row(result))

    app = Starlette(routes=[Route("/v1/classify", answer, methods=["POST"])])
    uvicorn.run(app, port=port, log_config=None, access_log=False)


@contextmanager
def serving(name: str) -> Iterator[tuple[int, int]]:
    """Start a server in a process of its own, and yield its port and id once it answers."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        if name == "cybersecqwen":
            database = f"sqlite:///{Path(folder) / 'workplace.sqlite'}"
            command = [sys.executable, "-m", "cybersecqwen.cli", "serve", "--port", str(port)]
            server: Any = subprocess.Popen(
                [*command, "--database", database, "--no-browser"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        else:
            context = multiprocessing.get_context("spawn")
            server = context.Process(target=bare, args=(port, name.endswith("together")))
            server.start()
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield port, server.pid
        finally:
            server.terminate()
            server.wait() if hasattr(server, "wait") else server.join()


def request(number: int) -> bytes:
    """Write a request; no two are of one text."""
    body = json.dumps({"text": TEXT.format(f"page{number}", number)}).encode()
    head = "POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def connection(
    port: int,
    numbers: Iterator[int],
    times: list[float],
    until: float,
    *,
    every: float,
    late: float,
) -> int:
    """Send requests over one connection until the time is over; count those that failed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    errors, due = 0, time.perf_counter() + late
    while (now := time.perf_counter()) < until:
        if every:
            await asyncio.sleep(max(0.0, due - now))
        begin = due if every else now
        due += every
        writer.write(request(next(numbers)))
        succeeded = await read_answer(reader)
        times.append(time.perf_counter() - begin)
        errors += not succeeded
    writer.close()
    return errors


async def read_answer(reader: asyncio.StreamReader) -> bool:
    """Read an answer to its end, and tell whether its status is 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return head.startswith(b"HTTP/1.1 200")


async def load(port: int, seconds: float, connections: int, rate: float) -> tuple[list[float], int]:
    """Send requests over some connections for some seconds."""
    times: list[float] = []
    numbers = iter(range(10**9))
    until = time.perf_counter() + seconds
    every = connections / rate if rate else 0.0
    lanes = (
        connection(port, numbers, times, until, every=every, late=every * i / connections)
        for i in range(connections)
    )
    return times, sum(await asyncio.gather(*lanes))


def processor_time(process: int) -> float:
    """Return the seconds that a process has used the processor, whoever else wants it."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(name: str, seconds: float, connections: int, rate: float) -> dict[str, Any]:
    """Warm a server up, then measure it."""
    with serving(name) as (port, process):
        import uvloop

        uvloop.run(load(port, min(2.0, seconds), connections, rate))
        begin, used = time.perf_counter(), processor_time(process)
        times, errors = uvloop.run(load(port, seconds, connections, rate))
        spent, used = time.perf_counter() - begin, processor_time(process) - used
    times.sort()
    return {
        "server": name,
        "requests/s": len(times) / spent,
        "p50 ms": times[len(times) // 2] * 1000,
        "p99 ms": times[len(times) * 99 // 100] * 1000,
        "cpu ms": used / len(times) * 1000,
        "errors": errors,
    }


def main() -> None:
    """Measure all servers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0 is the most")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the service has it, also for Starlette
    names = ("cybersecqwen", "starlette, together", "starlette, alone")
    rows = [measure(name, given.seconds, given.connections, given.rate) for name in names]
    for row in rows:
        row["ours"] = rows[0]["requests/s"] / row["requests/s"]
        row["ours by cpu"] = row["cpu ms"] / rows[0]["cpu ms"]
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    names = ("requests/s", "p50 ms", "p99 ms", "cpu ms", "ours", "ours by cpu", "errors")
    print(f"{'server':20}" + "".join(f"{name:>12}" for name in names))
    for row in rows:
        cells = ("{:12,.0f}", *["{:12.2f}"] * 5, "{:12}")
        values = (cell.format(row[name]) for cell, name in zip(cells, names, strict=True))
        print(f"{row['server']:20}" + "".join(values))


if __name__ == "__main__":
    main()
