"""Reports on a run: what is on disk, as text that a person reads or a hub shows.

    REPORTS["card"](Path("runs/smoke"))

To add one: a file with `render(run) -> str`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cybersecqwen.reports.model_card import render
from cybersecqwen.reports.results import results_table

REPORTS: dict[str, Callable[[Path], str]] = {"card": render, "results": results_table}
