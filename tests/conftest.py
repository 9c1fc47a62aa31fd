"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two OpenMP threads on a loaded two-core machine can collapse to a tenth of one's speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of real inputs beside the checkout; skip where there is none."""
    if not SHARED.is_dir():
        pytest.skip("the real inputs are not beside this checkout")
    return SHARED
