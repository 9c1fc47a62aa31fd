"""A comparison as one page: tables, plots and every item, in a file that asks for nothing else.

    write_text(Path("comparison.html"), render_page(found, plots(found)))

Models and benchmarks write what the page shows, so all of it is text: escaped here, and set as
text by the page's script. The policy of the page runs that one script and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from cybersecqwen.files import Json
from cybersecqwen.reports.comparison.score_plots import scores_name
from cybersecqwen.reports.comparison.size_plot import AGAINST_SIZE
from cybersecqwen.reports.comparison.text import (
    MARKS,
    PUBLISHED_NOTE,
    behind,
    failed_checks,
    figure,
    legend,
    result_row,
)
from cybersecqwen.reports.html_page import fill, template
from cybersecqwen.reports.model_card_text import ITEM_LICENCE
from cybersecqwen.reports.run_folder import CTI_BENCH

_NONE = "–"
_NO_PLOTS = "There are no plots: they need matplotlib, which pip install 'cybersecqwen[train]' has."
_RESULTS = (
    *("verdict", "model", "{metric}", "95 % interval", "parseable", "items", "trials"),
    *("difference", "95 % interval of it", "p after Holm", "detectable difference", "remarks"),
)

Cell = str | tuple[str, str]  # text, or text and the class of its cell


def render_page(found: Json, drawn: Mapping[str, str]) -> str:
    """Write the page; `drawn` are the plots as SVG by name, {} where there are none."""
    page = template("comparison.html", __package__)
    sections = list(_sections(found, drawn))
    links = [_link(name, title) for name, title, _ in sections]
    title = f"Comparison on {found['benchmark']['name']}"
    values = {
        "title": html.escape(title),
        "script_hash": f"'{_script_hash(page)}'",
        "about": _about(found),
        "links": "\n".join([*links, _link("items", "Item by item")]),
        "sections": "\n".join(_section(*section) for section in sections),
        "licence": _licence(found),
        "data": _embedded(_data(found)),
    }
    return fill(page, values)


def _script_hash(page: str) -> str:
    """Name the page's script in its policy: no other one runs, whatever gets in."""
    script = page.partition("<script>")[2].partition("</script>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _embedded(value: Json) -> str:
    """Write JSON that no HTML parser sees a tag in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _data(found: Json) -> Json:
    """Give what the browser of items needs."""
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


def _sections(found: Json, drawn: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield each section's anchor, title and HTML."""
    left = dict(drawn)
    for number, part in enumerate(found["tables"], start=1):
        title = f"{part['task']}, protocol {part['protocol']} {part['protocol_version']}"
        plot = _plot(left.pop(scores_name(part), ""))
        yield f"results-{number}", title, _results(part, found) + plot
    said = [r["against"]["sentence"] for p in found["tables"] for r in p["rows"] if r["against"]]
    if said:
        yield "words", "In words", _list(said)
    if AGAINST_SIZE in left:
        yield "size", "Accuracy against size", _plot(left.pop(AGAINST_SIZE), kind="tall")
    if found["published"] or found["published_left_out"]:
        yield "published", "Published and baselines", _published(found)
    body = "".join(map(_behind, found["tables"])) + "".join(map(_plot, left.values()))
    yield "behind", "Behind the score", body if drawn else f"{body}{_paragraph(_NO_PLOTS)}"
    warnings = failed_checks(found)
    if warnings:
        yield "servers", "What the servers do not do", _list(warnings)


def _section(name: str, title: str, body: str) -> str:
    heading = f'<h2 id="{name}-title">{html.escape(title)}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-title">\n{heading}\n{body}\n</section>'


def _link(name: str, title: str) -> str:
    return f'<li><a href="#{name}">{html.escape(title)}</a></li>'


def _paragraph(text: str) -> str:
    return f'<p class="quiet">{html.escape(text)}</p>\n'


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>"


def _table(
    header: Sequence[str],
    rows: Iterable[tuple[str, Sequence[Cell]]],
    *,
    caption: str,
    numbers: Collection[int] = (),
) -> str:
    """Write a table in a box that scrolls; each row comes with its class, "" for none."""
    heads = "".join(
        f'<th scope="col"{_class("n" if i in numbers else "")}>{html.escape(text)}</th>'
        for i, text in enumerate(header)
    )
    body = "\n".join(
        f"<tr{_class(kind)}>"
        + "".join(_cell(cell, "n" if i in numbers else "") for i, cell in enumerate(cells))
        + "</tr>"
        for kind, cells in rows
    )
    named = html.escape(caption)
    return (
        f'<div class="box" role="region" aria-label="{named}" tabindex="0">'
        f'<table class="sortable"><caption>{named}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _cell(cell: Cell, kind: str) -> str:
    text, kind = cell if isinstance(cell, tuple) else (cell, kind)
    return f"<td{_class(kind)}>{html.escape(text)}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _about(found: Json) -> str:
    bootstrap, benchmark = found["bootstrap"], found["benchmark"]
    said = (
        f"Each model is held against <strong>{html.escape(found['reference'])}</strong>, item by "
        f"item. Intervals are of {bootstrap['level']:.0%} from {bootstrap['samples']:,} bootstrap "
        f"samples, seed {bootstrap['seed']}. Made by CyberSecQwen {html.escape(found['version'])}."
    )
    models = _table(
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
    shown = _table(
        [head.format(metric=metric) for head in _RESULTS],
        [_result(row, part) for row in part["rows"]],
        caption=f"{part['task']}: {metric}, {better} is better",
        numbers=range(2, 11),
    )
    return shown + _paragraph(legend(found))


def _result(row: Json, part: Json) -> tuple[str, list[Cell]]:
    _, *cells, said = result_row(row, part)
    verdict = row["against"]["verdict"] if row["against"] else ""
    mark = (f"{MARKS[verdict]} {verdict}", verdict) if verdict else _NONE
    kind = "reference" if row["model"] == part["reference"] else ""
    return kind, [mark, *cells, (said, "wide")]


def _published(found: Json) -> str:
    if found["published_left_out"]:
        return _paragraph("They are left out: these items are not CTI-Bench's.")
    rows = [row for row in found["published"] if "cti_mcq" in row]
    others = [row for row in found["published"] if "metric" in row]
    header = (
        *("status", "model", "size", "cti-mcq", "cti-rcm", "source", "protocol"),
        *("reference minus this, cti-mcq", "cti-rcm", "note"),
    )
    shown = _table(
        header,
        [("", _published_row(row)) for row in rows],
        caption="Strict accuracy, not measured in this comparison",
        numbers=(3, 4, 7, 8),
    )
    if others:
        shown += _table(
            ("model", "task", "metric", "published", "source", "protocol"),
            [("", _other_row(row)) for row in others],
            caption="Published on other tasks",
            numbers=(3,),
        )
    return f'<div class="quoted">{shown}</div>{_paragraph(PUBLISHED_NOTE)}'


def _published_row(row: Json) -> list[Cell]:
    return [
        *(row["status"], row["model"], row["size"] or _NONE),
        *(figure(row["cti_mcq"]), figure(row["cti_rcm"]), row["source"], row["protocol"]),
        *(_distance(row["reference_minus_this"].get(task)) for task in ("cti-mcq", "cti-rcm")),
        (row["note"], "wide"),
    ]


def _distance(found: Json | None) -> str:
    if found is None:
        return _NONE
    low, high = found["interval_95_unpaired"]
    return f"{found['difference']:+.3f} ({low:+.3f} to {high:+.3f})"


def _other_row(row: Json) -> list[Cell]:
    named = (row["model"], row["task"], row["metric"].replace("_", " "))
    return [*named, f"{row['value']:g}", row["source"], row["protocol"]]


def _behind(part: Json) -> str:
    """Put what stands behind the scores of one task into a table, a model a column."""
    found = [dict(behind(row, part["task"])) for row in part["rows"]]
    names = list(dict.fromkeys(name for cells in found for name in cells))
    return _table(
        ("", *(row["model"] for row in part["rows"])),
        [("", [name, *(cells.get(name, _NONE) for cells in found)]) for name in names],
        caption=f"{part['task']}, protocol {part['protocol']}",
        numbers=range(1, len(found) + 1),
    )


def _plot(svg: str, *, kind: str = "") -> str:
    """Put a plot in as an image: its style and element ids stay its own, and no script runs."""
    if not svg:
        return ""
    title = re.search(r"<title>(.*?)</title>", svg, re.DOTALL)
    named = html.escape(html.unescape(title[1])) if title else ""
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    return (
        f'<figure{_class(kind)}><div class="box" role="region" aria-label="{named}" tabindex="0">'
        f'<img alt="{named}" src="{source}"></div><figcaption>{named}</figcaption></figure>\n'
    )


def _licence(found: Json) -> str:
    if found["benchmark"]["name"] == CTI_BENCH:
        return ITEM_LICENCE
    return f"The texts of the items are those of {html.escape(found['benchmark']['name'])}."
