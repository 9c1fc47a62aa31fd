"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# How long an example takes is the machine's affair.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Two OpenMP threads on a loaded two-core machine can collapse to a tenth of one's speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Folders and files whose tests train, start servers, run commands or draw many samples.
SLOW = (
    *("e2e", "training", "embedded_build", "pipeline", "cli", "dataset", "recordstore"),
    *("test_transformers.py", "test_engines.py", "test_http.py", "test_download.py"),
    *("test_paired.py", "test_statistics.py", "test_another_suite.py", "test_probe.py"),
    *("test_index.py", "test_generation.py", "test_responses.py", "test_interop.py"),
    *("test_api.py", "test_cli.py", "test_classifiers.py", "comparison"),
)

# A process takes a file of tests whole, so those with the longest tests go first.
LONGEST = frozenset({"e2e", "training", "serving", "pipeline"})

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real inputs beside the checkout; skip where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the real inputs are not beside this checkout")
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make test-fast` leaves out, and put those first that take longest."""
    items.sort(key=lambda item: LONGEST.isdisjoint(item.path.parts))
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")
        if not set(SLOW).isdisjoint(item.path.relative_to(item.config.rootpath).parts):
            item.add_marker("slow")
