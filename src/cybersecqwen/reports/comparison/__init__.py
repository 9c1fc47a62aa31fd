"""Several evaluated models side by side: tables with significance, plots, and every item.

comparison = compare(runs, benchmark, settings=ComparisonSettings(published=True))
write_comparison(comparison, Path("comparison"))    # comparison.md, .json, .html, plots/*.svg
"""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.files import Json, write_json, write_text
from cybersecqwen.reports.comparison.against_reference import ComparisonSettings, compare
from cybersecqwen.reports.comparison.result_tables import render, summary
from cybersecqwen.reports.comparison.score_plots import plots
from cybersecqwen.reports.comparison.web_page import render_page

__all__ = ["ComparisonSettings", "compare", "summary", "write_comparison"]


def write_comparison(comparison: Json, folder: Path) -> tuple[Path, ...]:
    """Write comparison.md, comparison.json, comparison.html and plots/*.svg into `folder`.

    The JSON holds no items: their texts are the benchmark's, and the page shows them.
    """
    drawn = plots(comparison)
    for name, svg in drawn.items():
        write_text(folder / "plots" / f"{name}.svg", svg)
    write_text(folder / "comparison.md", render(comparison, plots=tuple(drawn)))
    write_json(folder / "comparison.json", {k: v for k, v in comparison.items() if k != "items"})
    write_text(folder / "comparison.html", render_page(comparison, drawn))
    return tuple(folder / f"comparison.{ending}" for ending in ("md", "json", "html"))
