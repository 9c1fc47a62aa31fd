"""A container's own limit counts, where it is lower than what the machine has."""

from __future__ import annotations

import platform
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cybersecqwen.engines import memory


@pytest.mark.parametrize(
    ("limit", "used", "free"), [("max", "5", None), ("1000000", "400000", 600_000), ("1", "2", 0)]
)
def test_the_limit_of_a_container_counts(
    limit: str, used: str, free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text(used + "\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    measured = memory.free_memory("cpu")
    assert measured == free if free is not None else measured > 10**6


@pytest.mark.parametrize(
    ("folder", "limit", "use", "name"),
    [
        (".", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
)
def test_files_that_the_kernel_keeps_in_memory_while_nobody_wants_it_leave_it_free(
    *, folder: str, limit: str, use: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    statistics = f"anon 200000\nactive_file 100000\n{name} 300000\n"
    for file, text in ((limit, "1000000\n"), (use, "600000\n"), ("memory.stat", statistics)):
        (tmp_path / folder / file).write_text(text)
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_memory("cpu") == 700_000


def test_without_one_it_is_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_memory("cpu") > 10**6


def test_other_systems_than_linux_require_psutil_which_tells_it_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    pytest.importorskip("psutil")
    assert memory.main_memory().total >= memory.main_memory().free > 10**6
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    required = map(Requirement, project["project"]["dependencies"])
    [marker] = [one.marker for one in required if one.name == "psutil"]
    assert marker
    assert marker.evaluate({"sys_platform": "darwin"})
    assert not marker.evaluate({"sys_platform": "linux"})


_HOLES = """
from cybersecqwen.engines.memory import return_unused

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

pieces = [bytearray(b"x" * 100_000) for _ in range(3_000)]
kept = pieces[::50]
del pieces
before = resident()
return_unused()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep nothing")
def test_what_the_library_keeps_between_pieces_in_use_becomes_free() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HOLES], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 200_000_000
