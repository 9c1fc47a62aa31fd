"""A small model computes on one thread, unless the user says otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cybersecqwen.engines.threads import available_cores, limit_threads

torch = pytest.importorskip("torch")


@pytest.fixture
def threads() -> Iterator[int]:
    """Let torch compute on two threads, and on as many as before afterwards."""
    from cybersecqwen.engines import threads

    before = torch.get_num_threads()
    threads._initial_threads.cache_clear()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)
    threads._initial_threads.cache_clear()


def test_a_small_model_computes_on_one_thread_and_a_large_one_on_all(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    limit_threads(500_000)
    assert torch.get_num_threads() == 1
    limit_threads(4_000_000_000)
    assert torch.get_num_threads() == threads


def test_what_the_user_sets_stays(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    limit_threads(500_000)
    assert torch.get_num_threads() == threads


def test_cores_are_counted_without_linux_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3}, raising=False)
    assert available_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert available_cores() == os.cpu_count()
