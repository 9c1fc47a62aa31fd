"""A comparison as one page: tables, plots and every item, in a file that loads nothing else.

    write_text(Path("comparison.html"), render_page(comparison, plots(comparison)))

Models and benchmarks write what the page shows, so all of it is text: escaped here, and set as
text by the page's script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping

from cybersecqwen.files import Json
from cybersecqwen.reports.comparison.result_tables import (
    MARKS,
    PUBLISHED_NOTE,
    behind,
    distance,
    failed_checks,
    figure,
    legend,
    result_row,
)
from cybersecqwen.reports.comparison.score_plots import scores_name
from cybersecqwen.reports.comparison.size_plot import AGAINST_SIZE
from cybersecqwen.reports.html_page import (
    ITEM_LICENCE,
    Cell,
    Page,
    Section,
    asset,
    css_class,
    html_list,
    html_table,
    quiet,
)
from cybersecqwen.reports.run_folder import CTI_BENCH

_NONE = "–"
_NO_PLOTS = "There are no plots: they need matplotlib, which pip install 'cybersecqwen[train]' has."
_RESULTS = (
    *("verdict", "model", "{metric}", "95 % interval", "parseable", "items", "trials"),
    *("difference", "95 % interval of it", "p after Holm", "detectable difference", "remarks"),
)


def render_page(comparison: Json, drawn: Mapping[str, str]) -> str:
    """Write the page; `drawn` are the plots as SVG by name, {} where there are none."""
    script = asset("comparison.js", __package__)
    items = Section("items", "Item by item", asset("items.html", __package__))
    return Page(
        f"Comparison on {comparison['benchmark']['name']}",
        about=_about(comparison),
        sections=[*_sections(comparison, drawn), items],
        style=asset("comparison.css", __package__),
        footer=f'<footer>\n<p class="quiet">{_licence(comparison)}</p>\n</footer>\n'
        f'<script type="application/json" id="data">{_embedded(_data(comparison))}</script>\n'
        f"<script>{script}</script>",
        policy=f"script-src '{_hash(script)}'; img-src data:; ",
    ).render()


def _hash(script: str) -> str:
    """Name the page's script for its policy: no other one runs, whatever gets in."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _embedded(value: Json) -> str:
    """Write JSON that no HTML parser sees a tag in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _data(found: Json) -> Json:
    """Return what the browser of items needs."""
    permuted = {
        (part["task"], part["protocol"])
        for part in found["tables"]
        if any("permutations" in row["details"] for row in part["rows"])
    }
    parts = [
        part
        | {
            "name": f"{part['task']}, {part['protocol']}",
            "permuted": (part["task"], part["protocol"]) in permuted,
        }
        for part in found["items"]
    ]
    return {"reference": found["reference"], "parts": parts}


def _sections(found: Json, drawn: Mapping[str, str]) -> Iterator[Section]:
    left = dict(drawn)
    for number, part in enumerate(found["tables"], start=1):
        title = f"{part['task']}, protocol {part['protocol']} {part['protocol_version']}"
        plot = _plot(left.pop(scores_name(part), ""))
        yield Section(f"results-{number}", title, _results(part, found) + plot)
    said = [r["against"]["sentence"] for p in found["tables"] for r in p["rows"] if r["against"]]
    if said:
        yield Section("words", "In words", html_list(said))
    if AGAINST_SIZE in left:
        yield Section("size", "Accuracy against size", _plot(left.pop(AGAINST_SIZE), kind="tall"))
    if found["published"] or found["published_left_out"]:
        yield Section("published", "Published and baselines", _published(found))
    body = "".join(map(_behind, found["tables"])) + "".join(map(_plot, left.values()))
    yield Section("behind", "Behind the score", body if drawn else f"{body}{quiet(_NO_PLOTS)}")
    warnings = failed_checks(found)
    if warnings:
        yield Section("servers", "What the servers do not do", html_list(warnings))


def _about(found: Json) -> str:
    bootstrap, benchmark = found["bootstrap"], found["benchmark"]
    said = (
        f"Each model is held against <strong>{html.escape(found['reference'])}</strong>, item by "
        f"item. Intervals are of {bootstrap['level']:.0%} from {bootstrap['samples']:,} bootstrap "
        f"samples, seed {bootstrap['seed']}. Made by CyberSecQwen {html.escape(found['version'])}."
    )
    models = html_table(
        ("model", "engine", "kind", "billions of parameters"),
        [("", _model(model)) for model in found["models"]],
        caption="The models",
        numbers=(3,),
    )
    sums = "".join(
        f"<li>{html.escape(name)} <code>{html.escape(value)}</code></li>"
        for name, value in benchmark["sha256"].items()
    )
    return (
        f"<p>{said}</p>\n{models}<details><summary>SHA-256 of the benchmark's files</summary>"
        f"<ul>{sums}</ul></details>"
    )


def _model(model: Json) -> list[Cell]:
    size = model["parameters"]
    engine = str(model["engine"].get("engine", _NONE))
    return [model["name"], engine, model["kind"], _NONE if size is None else f"{size:g}"]


def _results(part: Json, found: Json) -> str:
    metric = part["metric"].replace("_", " ")
    better = "higher" if part["better"] == "higher" else "lower"
    shown = html_table(
        [head.format(metric=metric) for head in _RESULTS],
        [_result(row, part) for row in part["rows"]],
        caption=f"{part['task']}: {metric}, {better} is better",
        numbers=range(2, 11),
    )
    return shown + quiet(legend(found))


def _result(row: Json, part: Json) -> tuple[str, list[Cell]]:
    _, *cells, said = result_row(row, part)
    verdict = row["against"]["verdict"] if row["against"] else ""
    mark = (f"{MARKS[verdict]} {verdict}", verdict) if verdict else _NONE
    kind = "reference" if row["model"] == part["reference"] else ""
    return kind, [mark, *cells, (said, "wide")]


def _published(found: Json) -> str:
    if found["published_left_out"]:
        return quiet("They are left out: these items are not CTI-Bench's.")
    rows = [row for row in found["published"] if "cti_mcq" in row]
    others = [row for row in found["published"] if "metric" in row]
    header = (
        *("status", "model", "size", "cti-mcq", "cti-rcm", "source", "protocol"),
        *("reference minus this, cti-mcq", "cti-rcm", "note"),
    )
    shown = html_table(
        header,
        [("", _published_row(row)) for row in rows],
        caption="Strict accuracy, not measured in this comparison",
        numbers=(3, 4, 7, 8),
    )
    if others:
        shown += html_table(
            ("model", "task", "metric", "published", "source", "protocol"),
            [("", _other_row(row)) for row in others],
            caption="Published on other tasks",
            numbers=(3,),
        )
    return f'<div class="quoted">{shown}</div>{quiet(PUBLISHED_NOTE)}'


def _published_row(row: Json) -> list[Cell]:
    return [
        *(row["status"], row["model"], row["size"] or _NONE),
        *(figure(row["cti_mcq"]), figure(row["cti_rcm"]), row["source"], row["protocol"]),
        *(distance(row, task) for task in ("cti-mcq", "cti-rcm")),
        (row["note"], "wide"),
    ]


def _other_row(row: Json) -> list[Cell]:
    named = (row["model"], row["task"], row["metric"].replace("_", " "))
    return [*named, f"{row['value']:g}", row["source"], row["protocol"]]


def _behind(part: Json) -> str:
    """Write the figures behind the scores of one task as a table, a model a column."""
    found = [dict(behind(row, part["task"])) for row in part["rows"]]
    names = list(dict.fromkeys(name for cells in found for name in cells))
    return html_table(
        ("", *(row["model"] for row in part["rows"])),
        [("", [name, *(cells.get(name, _NONE) for cells in found)]) for name in names],
        caption=f"{part['task']}, protocol {part['protocol']}",
        numbers=range(1, len(found) + 1),
    )


def _plot(svg: str, *, kind: str = "") -> str:
    """Embed a plot as an image: its style and element ids stay its own, and no script runs."""
    if not svg:
        return ""
    title = re.search(r"<title>(.*?)</title>", svg, re.DOTALL)
    named = html.escape(html.unescape(title[1])) if title else ""
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    box = f'<div class="box" role="region" aria-label="{named}" tabindex="0">'
    return (
        f"<figure{css_class(kind)}>{box}"
        f'<img alt="{named}" src="{source}"></div><figcaption>{named}</figcaption></figure>\n'
    )


def _licence(found: Json) -> str:
    if found["benchmark"]["name"] == CTI_BENCH:
        return ITEM_LICENCE
    return f"The texts of the items are those of {html.escape(found['benchmark']['name'])}."
