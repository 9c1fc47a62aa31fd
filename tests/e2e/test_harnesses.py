"""Three harnesses ask one server: the requests, the answers and the scores are the same.

lm-evaluation-harness and Inspect run under CYBERSECQWEN_HARNESS_PYTHON, by default this Python,
and the tests are skipped where it lacks them (the extra "harnesses").
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from cybersecqwen.benchmark import interop
from cybersecqwen.benchmark.protocol import PROTOCOLS
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.benchmark.trial import trial_requests
from cybersecqwen.cli import main
from cybersecqwen.sample import BENCHMARK

PYTHON = os.environ.get("CYBERSECQWEN_HARNESS_PYTHON", sys.executable)
PACKAGE = Path(interop.__file__).parents[2]
ITEMS = {task: read_items(BENCHMARK, task) for task in ("cti-rcm", "cti-mcq")}

_HAS_BOTH = (
    "import sys, importlib.util as u, importlib.metadata as m; m.version('cybersecqwen'); "
    "sys.exit(not all(map(u.find_spec, ('lm_eval', 'inspect_ai', 'openai', 'tenacity'))))"
)
_READ_LOGS = """
import json, sys
from inspect_ai.log import read_eval_log, recompute_metrics
import cybersecqwen.benchmark.interop.inspect_tasks
def figures(log):
    [score] = log.results.scores
    return {name: metric.value for name, metric in score.metrics.items()}
def content(log):
    found = {"status": log.status, "epochs": log.eval.config.epochs, "stated": figures(log)}
    recompute_metrics(log)
    found["computed again"] = figures(log)
    found["samples"] = {
        f"{s.epoch}/{s.id}": [
            [[m.role, m.text] for m in s.input], s.target, s.output.completion,
            s.scores["protocol_score"].value, s.scores["protocol_score"].answer,
        ]
        for s in log.samples
    }
    return found
json.dump([content(read_eval_log(path)) for path in sys.argv[1:]], sys.stdout)
"""


@pytest.fixture(scope="module", autouse=True)
def harnesses() -> None:
    found = subprocess.run([PYTHON, "-c", _HAS_BOTH], check=False, capture_output=True)
    if found.returncode:
        pytest.skip(f"{PYTHON} lacks the extra 'harnesses'")


def text(task: str, index: int) -> str:
    """Answer by position: right, right after a long reason, wrong, not to be read."""
    gold = ITEMS[task][index].gold
    wrong = {
        "cti-rcm": "CWE-999999",
        "cti-mcq": "ABCD"["BCDA".index(gold)] if gold in "ABCD" else "",
    }
    long = "The description speaks of it. " * 200
    return (gold, f"{long}\n\n{gold}", f"Perhaps.\n\n{wrong[task]}", "I cannot say.")[index % 4]


def answers(protocol: str) -> dict[str, str]:
    """Map the question of every item to its answer."""
    return {
        request.messages[-1]["content"]: text(task, request.item)
        for task, found in ITEMS.items()
        for request in trial_requests(PROTOCOLS[protocol], found, kind="instruct", trial=0)
    }


class Server:
    """An OpenAI-compatible server on a thread that answers what it knows."""

    def __init__(self) -> None:
        self.known = answers("model-card") | answers("cti-bench")
        self.bodies: list[dict[str, Any]] = []
        self.url = ""

    async def answer(self, http: web.Request) -> web.Response:
        body = await http.json()
        self.bodies.append(body)
        content = self.known[body["messages"][-1]["content"]]
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": content},
        }
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
        return web.json_response(head | {"choices": [choice], "usage": usage})

    def asked(self) -> list[tuple[Any, ...]]:
        """Give and forget what was asked: messages and sampling, in an order of its own."""
        names = ("temperature", "top_p", "max_tokens", "seed")
        found = [
            (json.dumps(body["messages"]), *(body[n] for n in names), tuple(body.get("stop", ())))
            for body in self.bodies
        ]
        self.bodies.clear()
        return sorted(found)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    state, loop = Server(), asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", state.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    state.url = f"http://127.0.0.1:{loop.run_until_complete(start())}/v1"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield state
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def run(*command: object, cwd: Path) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(PACKAGE.parent),
        "HF_HUB_OFFLINE": "1",
        "LOCAL_API_KEY": "none",
        "INSPECT_DISPLAY": "none",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [PYTHON, *map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def cybersecqwen(*arguments: object) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


TRIALS = {"model-card": 2, "cti-bench": 1}  # fewer than published: it is the same once more


@pytest.fixture(scope="module", params=list(TRIALS))
def ours(request: pytest.FixtureRequest, server: Server, tmp_path_factory: Any) -> Any:
    """Evaluate the served model ourselves; give the run, the protocol and what was asked."""
    out = tmp_path_factory.mktemp("ours") / "run"
    server.asked()
    common = ("--benchmark", BENCHMARK, "--protocol", request.param, "--out", out)
    trials = ("--trials", TRIALS[request.param])
    cybersecqwen("evaluate", "--url", server.url, "--model", "NAME", "--no-probe", *common, *trials)
    return out, request.param, server.asked()


def expected(out: Path, protocol: str, task: str) -> dict[str, float]:
    """Give our own figures of a task by name."""
    found = json.loads((out / "evaluation" / task / protocol / "scores.json").read_text())
    first = ("strict_accuracy", "parseable_rate")
    return {name: found[name]["mean"] for name in first} | {
        name: metric["mean"] for name, metric in found["metrics"].items()
    }


def test_the_server_gives_a_known_share_of_right_answers(ours: Any) -> None:
    out, protocol, _ = ours
    found = expected(out, protocol, "cti-rcm")
    items = ITEMS["cti-rcm"]
    right, read = (sum(i.index % 4 < n for i in items) for n in (2, 3))
    counted = read if protocol == "cti-bench" else len(items)
    assert found["strict_accuracy"] == right / counted
    assert found["parseable_rate"] == read / len(items)


def test_lm_eval_asks_and_scores_as_we_do(ours: Any, server: Server, tmp_path: Path) -> None:
    out, protocol, asked = ours
    common = ("--benchmark", BENCHMARK, "--out")
    tasks = tmp_path / "tasks"
    told = cybersecqwen("export", "lm-eval", "--protocol", protocol, *common, tasks)
    told = told.replace("\\\n", " ").replace("http://localhost:8000/v1", server.url)
    run("-m", *told.split(), "--log_samples", "--output_path", "theirs", cwd=tmp_path)
    seed = PROTOCOLS[protocol].seeds[0]
    assert server.asked() == [request for request in asked if request[4] == seed]

    cybersecqwen("export", "results", out, "--format", "lm-eval", *common, tmp_path / "written")
    [theirs] = (tmp_path / "theirs" / "NAME").glob("results_*.json")
    [written] = (tmp_path / "written" / protocol / "NAME").glob("results_*.json")
    measured, made = json.loads(theirs.read_text()), json.loads(written.read_text())
    several = TRIALS[protocol] > 1
    assert made.keys() == measured.keys() | ({"groups"} if several else set())
    for task, items in ITEMS.items():
        name = f"cybersecqwen_{task.replace('-', '_')}"
        first = f"{name}_trial_0" if several else name
        result = measured["results"][name]
        figures = {own: result[f"{own},none"] for own in expected(out, protocol, task)}
        assert figures == expected(out, protocol, task)
        again = made["results"][first] | {"name": name, "alias": name}
        assert again == pytest.approx(result, abs=1e-15)  # the standard errors
        assert made["task_hashes"][first] == measured["task_hashes"][name]
        [samples] = theirs.parent.glob(f"samples_{name}_*.jsonl")
        [kept] = written.parent.glob(f"samples_{first}_2*.jsonl")
        assert rows(kept) == rows(samples)
        assert [row["resps"] for row in rows(kept)] == [[[text(task, i.index)]] for i in items]


def test_inspect_asks_and_scores_as_we_do(ours: Any, server: Server, tmp_path: Path) -> None:
    out, protocol, asked = ours
    run(
        *("-m", "inspect_ai", "eval", *(f"cybersecqwen/{t.replace('-', '_')}" for t in ITEMS)),
        *("-T", f"benchmark={BENCHMARK}", "-T", f"protocol={protocol}"),
        *("-T", f"trials={TRIALS[protocol]}", "--log-dir", "logs"),
        *("--model", "openai-api/local/NAME", "--model-base-url", server.url),
        cwd=tmp_path,
    )
    assert server.asked() == asked  # every trial, with its own seed

    made = run(
        *("-m", "cybersecqwen.cli", "export", "results", out, "--format", "inspect"),
        *("--benchmark", BENCHMARK, "--out", tmp_path / "written"),
        cwd=tmp_path,
    )
    theirs = [path for task in ITEMS for path in (tmp_path / "logs").glob(f"*_{task}_*")]
    ours_again = [line for task in ITEMS for line in made.splitlines() if f"_{task}_" in line]
    found = json.loads(run("-c", _READ_LOGS, *theirs, *ours_again, cwd=tmp_path))
    half = len(ITEMS)
    assert found[half:] == found[:half]
    for task, log in zip(ITEMS, found[:half], strict=True):
        assert log["status"] == "success"
        assert log["stated"] == log["computed again"] == expected(out, protocol, task)
        assert log["samples"]["1/1"][2] == text(task, 1)
