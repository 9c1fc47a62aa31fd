"""A container's own limit counts, where it is lower than what the machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_without_one_it_is_the_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_memory("cpu") > 10**6
