"""A Ray of several nodes, each in a network namespace: what is killed, and what is wrong.

Each time the bytes of one machine have to come out in the end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.cluster import Job, open_cluster
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import Row, partitions
from cybersecqwen.contamination.partitions import open_index
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities

pytest.importorskip("ray")
pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cybersecqwen.cli"]
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
NETWORK = "10.213.77"
HEAD = f"{NETWORK}.1:6397"
CLIENT = f"ray://{NETWORK}.1:10001"
MARK = f"cybersecqwen-{os.getpid()}"  # in the environment of every process of the cluster
TOKEN = "3" * 64
STARTED = "Ray runtime started"
ATTEMPTS = 5
ALLOWED = ("--allow-missing", "--allow-unreadable")
TEXTS = 16_000


def environment(source: Path = ROOT / "src") -> dict[str, str]:
    paths = (str(source), str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
    own = {"CLUSTER_MARK": MARK, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    own |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, "PYTHONPATH": ":".join(paths)}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def wait_for(condition: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Nodes:
    """A cluster on this machine: the head without processors, and nodes with one each."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets need a short name
        self.names: list[str] = []
        self._bridge = f"br{os.getpid()}"

    def begin(self) -> None:
        """Set up the network, and start the head."""
        ip("link", "add", self._bridge, "type", "bridge")
        ip("address", "add", f"{NETWORK}.1/24", "dev", self._bridge)
        ip("link", "set", self._bridge, "up")
        host, port = HEAD.split(":")
        own = ["--head", f"--node-ip-address={host}", f"--port={port}", "--num-cpus=0"]
        self._start([*own, "--include-dashboard=false", f"--temp-dir={self.folder}"])

    def add(self, before: str = "", source: Path = ROOT / "src") -> str:
        """Start a node, in its own view of the disk after a command there; returns its address."""
        address = f"{NETWORK}.{len(self.names) + 2}"
        name, ends = f"{MARK}-{len(self.names)}", (f"v{os.getpid()}", f"w{os.getpid()}")
        outer, inner = (f"{end}{len(self.names)}" for end in ends)
        self.names.append(name)
        ip("netns", "add", name)
        ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
        ip("link", "set", outer, "master", self._bridge, "up")
        ip("-n", name, "address", "add", f"{address}/24", "dev", inner)
        ip("-n", name, "link", "set", inner, "up")
        ip("-n", name, "link", "set", "lo", "up")
        shell = ["ip", "netns", "exec", name, "sh", "-c", f'{before} exec "$@"', "sh"]
        own = [f"--address={HEAD}", f"--node-ip-address={address}", "--num-cpus=1"]
        self._start(own, shell, source)
        return address

    def _start(
        self, own: Sequence[str], shell: Sequence[str] = (), source: Path = ROOT / "src"
    ) -> None:
        log = self.folder / f"start-{len(self.names)}.log"
        for _ in range(ATTEMPTS):  # Ray gives up where its agents are slow, on a loaded machine
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [*shell, *RAY, "--object-store-memory=80000000", *own],
                    env=environment(source),
                    stdout=file,
                    stderr=file,
                )
            wait_for(lambda: STARTED in log.read_text() or process.poll() is not None)  # noqa: B023
            if process.poll() is None:
                return
        pytest.fail(log.read_text())

    def kill(self, address: str) -> None:
        """Kill all processes of a node, as when its power fails."""
        name = self.names[int(address.rpartition(".")[2]) - 2]
        pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, check=True)
        for pid in pids.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def workers(self) -> list[int]:
        """List the processes that work on a partition now."""
        return [pid for pid, title in self._processes() if title.startswith(b"ray::work")]

    @staticmethod
    def _processes() -> Iterator[tuple[int, bytes]]:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if MARK.encode() in (folder / "environ").read_bytes():
                    yield int(folder.name), (folder / "cmdline").read_bytes()

    def end(self) -> None:
        """Kill what is left, and take the network down."""
        for pid, _ in list(self._processes()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False)
        subprocess.run(["ip", "link", "delete", self._bridge], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and ip")
    cluster = Nodes()
    try:
        cluster.begin()
        cluster.add()
        cluster.add()
        yield cluster
    finally:
        cluster.end()


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return JSONL, two lines of which cannot be read."""
    flaws = ["SQL injection", "a buffer overflow", "cross-site scripting", "a path traversal"]
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    with path.open("w") as file:
        for number in range(TEXTS):
            text = f"There is {flaws[number % 4]} in the page {number} of Foo before 1.{number}."
            file.write("{broken\n" if number in (3, 9_999) else f'{{"text": "{text}"}}\n')
    return path


@pytest.fixture(scope="module")
def alone(texts: Path) -> bytes:
    """Return what one machine prints."""
    done = subprocess.run(
        [*COMMAND, "classify", str(texts), "--json"],
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stdout


def started(texts: Path, shared: Path, address: str = HEAD) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "classify", str(texts), "--json", "--ray", address, "--shared", str(shared)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )


def records(shared: Path) -> list[Path]:
    return sorted(shared.glob("classify-*/*.json"))


def test_commands_write_the_bytes_of_one_machine(
    nodes: Nodes, texts: Path, alone: bytes, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    out, err = (process := started(texts, shared)).communicate(timeout=300)
    assert out == alone
    assert process.returncode == 1
    assert err.decode().count("not valid JSON") == 2
    assert bad_rows(shared) == [f"{texts}:4", f"{texts}:10000"]
    [ledger] = shared.glob("classify-*/ledger.jsonl")
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert sum(row["rows"] for row in rows) == TEXTS - 2
    assert {row["node"] for row in rows} == {f"{NETWORK}.2", f"{NETWORK}.3"}
    for arguments in (
        ["audit", texts, "--benchmark", BENCHMARK, *ALLOWED, "--out"],
        ["corpus", "smoke", "--records", FEED, "--benchmark", BENCHMARK, "--out"],
    ):
        here, there = tmp_path / arguments[0] / "here", tmp_path / arguments[0] / "there"
        ray = ["--ray", HEAD, "--shared", shared]
        one = subprocess.run(
            [*COMMAND, *map(str, (*arguments, here))], env=environment(), check=False
        )
        two = subprocess.run(
            [*COMMAND, *map(str, (*arguments, there, *ray))], env=environment(), check=False
        )
        assert one.returncode == two.returncode
        assert contents(here)
        assert contents(here) == contents(there)
        if arguments[0] == "audit":
            assert bad_rows(shared) == [f"{texts}:4", f"{texts}:10000"]


def bad_rows(shared: Path) -> list[str]:
    """Take the ledger of rows that could not be read, and list their places."""
    ledger = shared / "bad-rows.jsonl"
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    ledger.unlink()
    return [row["where"] for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if not path.name.startswith(".")
    }


def test_a_killed_worker_costs_a_partition(
    nodes: Nodes, texts: Path, alone: bytes, tmp_path: Path
) -> None:
    process = started(texts, tmp_path)
    wait_for(lambda: records(tmp_path) and nodes.workers())
    os.kill(nodes.workers()[0], signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert (out, process.returncode) == (alone, 1), err


def test_a_killed_node_costs_what_it_had(
    nodes: Nodes, texts: Path, alone: bytes, tmp_path: Path
) -> None:
    third = nodes.add()
    process = started(texts, tmp_path)
    wait_for(lambda: any(third in path.read_text() for path in records(tmp_path)))
    nodes.kill(third)
    out, err = process.communicate(timeout=300)
    assert (out, process.returncode) == (alone, 1), err


def test_behind_a_killed_driver_the_same_command_goes_on(
    nodes: Nodes, texts: Path, alone: bytes, tmp_path: Path
) -> None:
    process = started(texts, tmp_path)
    wait_for(lambda: len(records(tmp_path)) >= 3)
    process.kill()
    process.communicate()
    wait_for(lambda: not nodes.workers())
    before = {path: path.stat().st_mtime_ns for path in records(tmp_path)}
    assert len(before) < TEXTS // 2_000
    again = started(texts, tmp_path, CLIENT)  # as from a machine that is none of the cluster
    out, err = again.communicate(timeout=300)
    assert (out, again.returncode) == (alone, 1), err
    assert before.items() <= {p: p.stat().st_mtime_ns for p in records(tmp_path)}.items()
    assert not list(tmp_path.rglob("*.in")) + list(tmp_path.rglob("*.partial"))


def test_nodes_that_cannot_work_are_named_and_left_out(
    nodes: Nodes, texts: Path, alone: bytes, tmp_path: Path
) -> None:
    shared, source = tmp_path / "shared", tmp_path / "src"
    shared.mkdir()
    shutil.copytree(ROOT / "src" / "cybersecqwen", source / "cybersecqwen")
    init = source / "cybersecqwen" / "__init__.py"
    init.write_text(init.read_text().replace('__version__ = "', '__version__ = "9.'))
    reasons = {
        nodes.add(source=source): "has another version: 9.",
        nodes.add(f"mount -t tmpfs none {shared};"): "has to be a folder that all nodes see",
        nodes.add(
            f"mount --bind {shared} {shared}; mount -o remount,ro,bind {shared};"
        ): "cannot write: Read-only file system",
    }
    out, err = (process := started(texts, shared)).communicate(timeout=300)
    for address in reasons:
        nodes.kill(address)
    assert (out, process.returncode) == (alone, 1), err
    for address, reason in reasons.items():
        [line] = [one for one in err.decode().splitlines() if f"node {address} is left out" in one]
        assert reason in line


def failing() -> Callable[[Sequence[int]], bytes]:
    """Return what fails at one partition."""

    def work(rows: Sequence[int]) -> bytes:
        if 3 in rows:
            raise InputError("no sense in row 3", where="numbers")
        if 5 in rows:
            os.kill(os.getpid(), signal.SIGKILL)
        return repr(rows).encode()

    return work


def run_failing(shared: str) -> None:
    """Run a job of which two partitions fail, and print the others."""
    with open_cluster(HEAD, Path(shared)) as cluster:
        for batch, data in cluster.run(Job("failing", failing), [[n] for n in range(8)]):
            assert data == repr(batch).encode()
            os.write(1, data)


def test_partitions_that_fail_are_named_and_the_others_done(nodes: Nodes, tmp_path: Path) -> None:
    # In a process of its own, for Ray reads the variables of its token when it is imported.
    code = f"import test_ray; test_ray.run_failing({str(tmp_path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(), check=False
    )
    said = done.stderr.decode()
    assert done.stdout == b"[0][1][2][4][6][7]", said
    assert "numbers: no sense in row 3" in said
    assert "given up by Ray: " in said
    assert f"PartitionError: {tmp_path}" in said
    assert "2 partitions failed (the same command tries them again)" in said


def compare_indexes(shared: str) -> None:
    """Hold the sample's records against its benchmark in many partitions, and without any."""
    partitions.CHUNK = 2_000
    benchmark, settings = read_benchmark(BENCHMARK), Contamination()
    rows = [Row(r.description, (r.cve_id,)) for r in read_vulnerabilities(FEED)]
    with open_cluster(HEAD, Path(shared)) as cluster:
        hits = list(open_index(benchmark, settings, cluster).hits_of(rows))
    assert hits == list(open_index(benchmark, settings).hits_of(rows))
    assert any(hits)


def test_rows_have_the_same_hits_in_many_partitions(nodes: Nodes, tmp_path: Path) -> None:
    code = f"import test_ray; test_ray.compare_indexes({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)
    [ledger] = tmp_path.glob("contamination-*/ledger.jsonl")
    assert len(ledger.read_text().splitlines()) > 3


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("listens", [False, True])
def test_an_address_that_does_not_answer_is_a_line_within_seconds(
    scheme: str, listens: bool, tmp_path: Path
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:  # and says nothing
            server.listen()
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(CyberSecQwenError, match=f"^{address}: no Ray cluster answers within 10"),
            open_cluster(address, tmp_path / "shared"),
        ):
            pass
    assert not (tmp_path / "shared").exists()


def test_what_is_no_address_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="'http://x:1' is no address of a Ray cluster"),
        open_cluster("http://x:1", tmp_path),
    ):
        pass
