"""Write a comparison: for reading, for machines, and as one page to click through."""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.files import Json, write_json, write_text
from cybersecqwen.reports.comparison.score_plots import plots
from cybersecqwen.reports.comparison.text import render
from cybersecqwen.reports.comparison.web_page import render_page


def write_comparison(found: Json, folder: Path) -> tuple[Path, ...]:
    """Write comparison.md, comparison.json, comparison.html and plots/*.svg into `folder`.

    The JSON holds no items: their texts are the benchmark's, and the page shows them.
    """
    drawn = plots(found)
    for name, svg in drawn.items():
        write_text(folder / "plots" / f"{name}.svg", svg)
    write_text(folder / "comparison.md", render(found, plots=tuple(drawn)))
    write_json(folder / "comparison.json", {k: v for k, v in found.items() if k != "items"})
    write_text(folder / "comparison.html", render_page(found, drawn))
    return tuple(folder / f"comparison.{ending}" for ending in ("md", "json", "html"))
