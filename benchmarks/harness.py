"""Measure what the evaluation costs beside a bare client and the two harnesses people use.

    .venv/bin/python benchmarks/harness.py --benchmark DIR [--harness-python PYTHON]

A local server answers every chat at once with the same text. Each client is a whole process, from
its start to its end, that asks the 1,000 cti-rcm items once, 32 at a time. The runs are
interleaved and the best of each counts; the ratios hold on a noisy machine, the seconds do not.
The second table scores a run of 5 trials of cti-rcm and cti-mcq under every protocol, with 10,000
bootstrap samples.

PYTHON has lm_eval and inspect_ai (pip install 'cybersecqwen[harnesses]'); by default this one.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cybersecqwen.benchmark.protocol import PROTOCOLS
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.reports.markdown import table

ANSWER = "The description speaks of script in a page.\n\nCWE-79"
BODY = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "instant",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 12, "total_tokens": 112},
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)

BARE = """
import asyncio, json, sys, aiohttp
base, path = sys.argv[1:]
bodies = [json.loads(line) for line in open(path)]
async def main():
    waiting = asyncio.Semaphore(32)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
        async def ask(body):
            async with waiting, session.post(base + "/chat/completions", json=body) as reply:
                return (await reply.json())["choices"][0]["message"]["content"]
        return await asyncio.gather(*map(ask, bodies))
assert len(asyncio.run(main())) == len(bodies)
"""


async def _serve(started: Callable[[int], None]) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                size = next(
                    (int(x.split(b":")[1]) for x in lines if x[:15] == b"content-length:"), 0
                )
                await reader.readexactly(size)
                writer.write(REPLY)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    started(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def instant_server() -> str:
    """Start the server in a process of its own, so that it takes no client's time."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import harness; "
    code += "harness.serve()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    atexit.register(process.kill)
    return f"http://127.0.0.1:{port}/v1"


def serve() -> None:
    asyncio.run(_serve(lambda port: print(port, flush=True)))


def timed(command: list[str], cwd: Path) -> float:
    begun = time.perf_counter()
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENAI_API_KEY": "none", "LOCAL_API_KEY": "none"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled once, as an installed package is
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - begun


def clients(benchmark: Path, harness: str | None, rounds: int) -> None:
    base, work = instant_server(), Path(tempfile.mkdtemp())
    items = read_items(benchmark, "cti-rcm")
    bodies = [
        {
            "model": "instant",
            "messages": [{"role": "user", "content": item.prompt}],
            "temperature": 0.3,
            "max_tokens": 512,
            "seed": 42,
        }
        for item in items
    ]
    (work / "bodies.jsonl").write_text("".join(json.dumps(body) + "\n" for body in bodies))
    ours = [str(Path(sys.executable).with_name("cybersecqwen")), "evaluate"]
    ours += ["--model", f"instant@{base}", "--task", "cti-rcm", "--trials", "1", "--benchmark"]
    ours += [str(benchmark.resolve()), "--out", "run"]
    commands = {
        "bare aiohttp loop": [sys.executable, "-c", BARE, base, str(work / "bodies.jsonl")],
        "cybersecqwen evaluate": [*ours, "--no-probe"],
        "cybersecqwen evaluate, server probed first": ours,
    }
    if harness:
        commands |= others(harness, base, benchmark, work)
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(rounds):
        for name, command in commands.items():
            for folder in ("run", "logs", "results"):
                shutil.rmtree(work / folder, ignore_errors=True)
            best[name] = min(best[name], timed(command, work))
    bare = best["bare aiohttp loop"]
    rows = [(name, f"{s:.2f}", f"{s / bare:.1f}") for name, s in best.items()]
    print(f"{len(items):,} items, 32 at once, best of {rounds}\n")
    print(table(("client, whole process", "seconds", "times the bare loop"), rows, right=(1, 2)))


def others(python: str, base: str, benchmark: Path, work: Path) -> dict[str, list[str]]:
    """Return the commands of the other harnesses, on the same items with the same prompts."""
    ours = str(Path(sys.executable).with_name("cybersecqwen"))
    timed(
        [
            *(ours, "export", "lm-eval", "--task", "cti-rcm", "--protocol", "model-card"),
            *("--benchmark", str(benchmark.resolve()), "--out", "tasks"),
        ],
        work,
    )
    module = Path(__file__).parents[1] / "src/cybersecqwen/benchmark/interop/inspect_tasks.py"
    return {
        "lm-evaluation-harness": [
            *(python, "-m", "lm_eval", "--include_path", "tasks"),
            *("--tasks", "cybersecqwen_cti_rcm", "--model", "local-chat-completions"),
            "--model_args",
            f"model=instant,base_url={base}/chat/completions,num_concurrent=32,tokenizer_backend=None",
            *("--apply_chat_template", "--output_path", "results", "--log_samples"),
        ],
        "inspect_ai": [
            *(python, "-m", "inspect_ai", "eval", f"{module}@cti_rcm"),
            *("-T", f"benchmark={benchmark.resolve()}", "-T", "protocol=model-card"),
            *("--model", "openai-api/local/instant", "--model-base-url", base),
            *("--epochs", "1", "--max-connections", "32", "--display", "none"),
            *("--log-dir", "logs"),
        ],
    }


def scoring(benchmark: Path) -> None:
    """Time `score` of invented answers under every protocol, as whole processes."""
    work = Path(tempfile.mkdtemp())
    source = random.Random(0)
    for task in ("cti-rcm", "cti-mcq"):
        items = read_items(benchmark, task)
        golds = [item.gold for item in items]
        with (work / f"{task}.jsonl").open("w") as file:
            for trial in range(5):
                for item in items:
                    answer = item.gold if source.random() < 0.6 else source.choice(golds)
                    text = f"{'The text speaks of a flaw in a parser. ' * 12}\n\n{answer}"
                    row = {"item": item.index, "trial": trial, "text": text}
                    file.write(json.dumps(row) + "\n")
    command = str(Path(sys.executable).with_name("cybersecqwen"))
    rows, total = [], 0.0
    for protocol in PROTOCOLS:
        if protocol != "smoke":
            seconds = timed(
                [
                    *(command, "score", str(work), "--protocol", protocol, "--json"),
                    *("--benchmark", str(benchmark.resolve())),
                ],
                work,
            )
            total += seconds
            rows.append((protocol, f"{seconds:.2f}"))
    rows.append(("all", f"{total:.2f}"))
    print("\nScoring 5 trials of cti-rcm and cti-mcq, 10,000 bootstrap samples a metric\n")
    print(table(("protocol", "seconds"), rows, right=(1,)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of CTI-Bench")
    parser.add_argument("--harness-python", help="interpreter with lm_eval and inspect_ai")
    parser.add_argument("--alone", action="store_true", help="leave the other harnesses out")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    harness = None if given.alone else given.harness_python or sys.executable
    clients(given.benchmark, harness, given.rounds)
    scoring(given.benchmark)


if __name__ == "__main__":
    main()
