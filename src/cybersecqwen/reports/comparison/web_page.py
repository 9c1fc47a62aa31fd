"""A comparison as one page: tables, plots and every item, in a file that loads nothing else.

    write_text(Path("comparison.html"), render_page(comparison, plots(comparison)))

Models and benchmarks write what the page shows, so all of it is text: `comparison.html.jinja`
escapes it, and the page's script sets it as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from cybersecqwen.files import Json
from cybersecqwen.reports.comparison.result_tables import result_tables
from cybersecqwen.reports.comparison.score_plots import scores_name
from cybersecqwen.reports.comparison.size_plot import AGAINST_SIZE
from cybersecqwen.reports.run_folder import CTI_BENCH
from cybersecqwen.templates import render

if TYPE_CHECKING:
    from markupsafe import Markup


def render_page(comparison: Json, drawn: Mapping[str, str]) -> str:
    """Write the page; `drawn` are the plots as SVG by name, {} where there are none."""
    from markupsafe import Markup

    script = files(__package__).joinpath("comparison.js").read_text(encoding="utf-8")
    plots = {name: _image(svg) for name, svg in drawn.items()}
    shown = result_tables(comparison)
    shown["tables"] = [
        part | {"plot": plots.pop(scores_name(part), None)} for part in shown["tables"]
    ]
    return render(
        "reports/comparison/comparison.html.jinja",
        title=f"Comparison on {comparison['benchmark']['name']}",
        drawn=bool(drawn),
        size_plot=plots.pop(AGAINST_SIZE, None),
        other_plots=list(plots.values()),
        of_cti_bench=comparison["benchmark"]["name"] == CTI_BENCH,
        data=_data(comparison),
        script=Markup(script),
        script_hash=_hash(script),
        **shown,
    )


def _hash(script: str) -> str:
    """Name the page's script for its policy: no other one runs, whatever gets in."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _data(comparison: Json) -> Markup:
    """Return what the browser of items needs, as JSON that no HTML parser sees a tag in."""
    from markupsafe import Markup

    permuted = {
        (part["task"], part["protocol"])
        for part in comparison["tables"]
        if any("permutations" in row["details"] for row in part["rows"])
    }
    parts = [
        part
        | {
            "name": f"{part['task']}, {part['protocol']}",
            "permuted": (part["task"], part["protocol"]) in permuted,
        }
        for part in comparison["items"]
    ]
    data = {"reference": comparison["reference"], "parts": parts}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))


def _image(svg: str) -> Json:
    """Return a plot as an image: its style and element ids stay its own, and no script runs."""
    title = re.search(r"<title>(.*?)</title>", svg, re.DOTALL)
    return {
        "title": html.unescape(title[1]) if title else "",
        "source": f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}",
    }
