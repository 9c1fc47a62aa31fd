"""Plots of a comparison, as SVG whose bytes depend on the comparison alone.

    for name, svg in plots(comparison).items():
        write_text(folder / f"{name}.svg", svg)

Markers carry the same message as colours, for grey print.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from cybersecqwen.files import Json
from cybersecqwen.reports.comparison.label_placement import short
from cybersecqwen.reports.comparison.result_tables import MARKS, p_value
from cybersecqwen.reports.comparison.size_plot import AGAINST_SIZE, against_size, size_panels
from cybersecqwen.reports.svg import BLACK, BLUE, GREY, LIGHT_GREY, VERMILLION, draw_svg, plot_axes

# By verdict: colour and marker.
_VERDICTS = {
    "better": (BLUE, "^"),
    "worse": (VERMILLION, "v"),
    "same": (GREY, "o"),
    "reference": (BLACK, "D"),
    "": (GREY, "s"),
}
_SMALL, _SHOWN = 8, 3.0  # points of the smallest text; the least per cent that is written
_NO_MATH = {"text.parse_math": False}  # a model's name may hold a $


def plots(comparison: Json) -> dict[str, str]:
    """Draw each plot as SVG, by its name; {} where matplotlib is not installed."""
    return draw_svg(_named(_figures(comparison)), _NO_MATH)


def _named(figures: Iterator[tuple[str, Any, str]]) -> Iterator[tuple[str, Any, str]]:
    """Make each name one of a file, and of one plot alone."""
    taken: set[str] = set()
    for name, figure, title in figures:
        slug = _unused(_slug(name), taken)
        taken.add(slug.casefold())
        yield slug, figure, title


def scores_name(part: Json) -> str:
    """Name the plot of one table's scores."""
    return _slug(f"scores-{part['task']}-{part['protocol']}")


def _slug(name: str) -> str:
    """Make a file name: a model's name may be a path."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.")[:120]


def _unused(name: str, taken: Collection[str]) -> str:
    """Add a number to a name that differs from another only in case or in odd characters."""
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
    return next(other for other in names if other.casefold() not in taken)


def _figures(comparison: Json) -> Iterator[tuple[str, Any, str]]:
    if panels := size_panels(comparison):
        title = "Strict accuracy against the number of parameters"
        yield AGAINST_SIZE, against_size(panels), title
    tables = Counter(part["task"] for part in comparison["tables"])
    for part in comparison["tables"]:
        of = f"{part['task']}, protocol {part['protocol']}"
        yield scores_name(part), _scores(part), f"Scores: {of}"
        for row in part["rows"]:
            if "confusion" in row["details"]:
                protocol = f"-{part['protocol']}" if tables[part["task"]] > 1 else ""
                yield (
                    f"confusion-{part['task']}{protocol}-{row['model']}",
                    _confusion(row),
                    f"What {row['model']} answers, by gold: {of}",
                )


def _scores(part: Json) -> Any:
    """Draw each model's score with its interval, and how it stands to the reference."""
    rows = part["rows"]
    axes = plot_axes(7.5, 1.15 + 0.34 * len(rows), grid="x")
    for y, row in enumerate(rows):
        _score(axes, y, row, part)
    axes.set_yticks(range(len(rows)), [short(row["model"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    metric = part["metric"].replace("_", " ")
    axes.set_xlabel(f"{metric} with its 95 % interval ({part['better']} is better)")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return axes.figure


def _score(axes: Any, y: int, row: Json, part: Json) -> None:
    value, against = row["value"], row["against"]
    reference = row["model"] == part["reference"]
    verdict = "reference" if reference else against["verdict"] if against else ""
    colour, marker = _VERDICTS[verdict]
    said = verdict
    if verdict and against:
        said = f"{MARKS[verdict]} {verdict}, p {p_value(against['p_holm'])}"
    if value["mean"] is None:
        said = "no score"
    else:
        low, high = value["interval_95"]
        if low is not None:
            axes.plot([low, high], [y, y], color=colour, linewidth=1.6)
        axes.plot(value["mean"], y, marker=marker, color=colour, markersize=7)
        said = f"{value['mean']:.3f}  {said}"
        if reference:
            axes.axvline(value["mean"], color=BLACK, linewidth=0.8, linestyle=":")
    axes.annotate(
        said, (1.02, y), xycoords=axes.get_yaxis_transform(), va="center", annotation_clip=False
    )


def _confusion(row: Json) -> Any:
    """Draw the shares of what is answered for each of the commonest golds."""
    from matplotlib.figure import Figure

    confusion = row["details"]["confusion"]
    totals = [sum(counts) for counts in confusion["counts"]]
    shares = [
        [100 * count / total if total else 0.0 for count in counts]
        for counts, total in zip(confusion["counts"], totals, strict=True)
    ]
    wide, high = len(confusion["columns"]), len(confusion["rows"])
    figure = Figure(figsize=(2.0 + 0.33 * wide, 1.5 + 0.29 * high), layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(
        shares, cmap="Blues", vmin=0, vmax=100, edgecolor=LIGHT_GREY, linewidth=0.4
    )
    for y, line in enumerate(shares):
        for x, share in enumerate(line):
            if share >= _SHOWN:
                colour = "white" if share > 55 else "black"
                place: Json = {"ha": "center", "va": "center", "size": _SMALL}
                axes.text(x + 0.5, y + 0.5, f"{share:.0f}", color=colour, **place)
    axes.set_xticks([x + 0.5 for x in range(wide)], confusion["columns"], rotation=90, size=_SMALL)
    named = [f"{gold} ({n:,})" for gold, n in zip(confusion["rows"], totals, strict=True)]
    axes.set_yticks([y + 0.5 for y in range(high)], named, size=_SMALL)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set(xlabel=f"answered by {short(row['model'])}", ylabel="gold (answers)")
    figure.colorbar(mesh, ax=axes, label="per cent of the gold's answers", shrink=0.6)
    return figure
