"""Plots of a dataset, as SVG whose bytes depend on its figures alone.

for name, svg in plots(figures).items():
    write_text(folder / f"{name}.svg", svg)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.files import Json
from cybersecqwen.reports.dataset.label_counts import NO_YEAR
from cybersecqwen.reports.svg import (
    BLUE,
    GREEN,
    LIGHT_GREY,
    ORANGE,
    VERMILLION,
    draw_svg,
    plot_axes,
)

# By source of the label: colour, hatch, line style and marker.
_STYLES = {
    "nvd": (BLUE, "", "-", "o"),
    "cna": (ORANGE, "//", "--", "s"),
    "cisa_adp": (GREEN, "..", "-.", "^"),
    "none": (LIGHT_GREY, "", ":", "x"),
}
_FEWEST = 50  # labels in a year; a share of fewer says little
# Beside the axes: no bar or line runs into it.
_ABOVE: Json = {"loc": "outside upper left", "ncols": 4, "frameon": False, "alignment": "left"}


def plots(figures: Json) -> dict[str, str]:
    """Draw each plot as SVG, by its name; {} where matplotlib is not installed.

    A plot that the figures hold no data for is left out.
    """
    return draw_svg(_drawn(figures), {"hatch.linewidth": 0.6, "axes.axisbelow": True})


def _drawn(figures: Json) -> Iterator[tuple[str, Any, str]]:
    for name, (draw, title) in _PLOTS.items():
        figure = draw(figures)
        if figure is not None:
            yield name, figure, title


def _years(figures: Json) -> Any:
    """Stack the records of each year by the source whose label counts."""
    rows = [row for row in figures["years"] if row["year"] != NO_YEAR and row["published"]]
    if not rows:
        return None
    axes = plot_axes(7.2, 3.6, grid="y")
    years, below = [int(row["year"]) for row in rows], [0] * len(rows)
    for source, (colour, hatch, _, _) in _STYLES.items():
        counts = [row["primary_label_from"][source] for row in rows]
        if not any(counts):
            continue
        style = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.3}
        axes.bar(years, counts, bottom=below, label=LABEL_SOURCES.get(source, "no label"), **style)
        below = [under + count for under, count in zip(below, counts, strict=True)]
    undated = sum(row["published"] for row in figures["years"] if row["year"] == NO_YEAR)
    note = f" ({undated:,} records state none)" if undated else ""
    axes.set(xlabel=f"year of publication{note}", ylabel="records")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.figure.legend(title="primary label from", **_ABOVE)
    return axes.figure


def _tail(figures: Json) -> Any:
    """Draw the labels of each class by rank, and the share that the largest classes hold."""
    counts = sorted(figures["classes"]["counts"].values(), reverse=True)
    if not counts:
        return None
    axes = plot_axes(7.2, 3.6)
    ranks = range(1, len(counts) + 1)
    axes.loglog(ranks, counts, color=BLUE, linewidth=1.6, label="labels of the class (left)")
    axes.set(xlabel="rank of the class", ylabel="labels")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    shares = axes.twinx()
    total = sum(counts)
    held = [100 * n / total for n in accumulate(counts)]
    style = {"color": VERMILLION, "linewidth": 1.6, "linestyle": "--"}
    shares.plot(ranks, held, label="all labels so far (right)", **style)
    shares.set(ylabel="per cent of all labels", ylim=(0, 103))
    shares.spines["top"].set_visible(False)
    handles = [*axes.get_lines(), *shares.get_lines()]
    axes.legend(handles=handles, frameon=False, loc="lower center", bbox_to_anchor=(0.42, 0))
    return axes.figure


def _agreement(figures: Json) -> Any:
    """Draw how often two sources give the same first label."""
    if not figures["agreement"]:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    names = list(LABEL_SOURCES)
    shares = [[float("nan")] * len(names) for _ in names]
    said = {}
    for pair in figures["agreement"]:
        x, y = (names.index(source) for source in pair["sources"])
        first, near = pair["first_label"]["share"], pair["or_parent_or_child"]["share"]
        for row, column in ((x, y), (y, x)):
            shares[row][column] = 100 * first
            said[row, column] = (
                f"{100 * first:.1f} %\n{100 * near:.1f} % with\nparent or child\n"
                f"of {pair['records']:,}"
            )
    mesh = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row in range(len(names)):
        for column in range(len(names)):
            text = said.get((row, column), "" if row != column else "–")
            dark = (row, column) in said and shares[row][column] > 55
            style: Json = {"ha": "center", "va": "center", "size": 8}
            axes.text(column, row, text, color="white" if dark else "black", **style)
    axes.set_xticks(range(len(names)), LABEL_SOURCES.values())
    axes.set_yticks(range(len(names)), LABEL_SOURCES.values())
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(mesh, ax=axes, label="same first label, per cent", shrink=0.8)
    return figure


def _lengths(figures: Json) -> Any:
    """Draw how many chats have which length, beside the limit of training."""
    chat = figures["lengths"].get("chat")
    if chat is None:
        return None
    edges, counts = chat["histogram"]["edges"], chat["histogram"]["counts"]
    limit = figures["lengths"]["limit"]
    axes = plot_axes(7.2, 3.4)
    axes.stairs(counts, edges, fill=True, color=BLUE)
    axes.axvline(limit, color=VERMILLION, linewidth=1.4, linestyle="--")
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    label = f"limit {limit:,}\n{chat['over_limit']:,} over it"
    axes.annotate(label, (limit, 0.97), xytext=(-5, 0), ha="right", va="top", **place)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    used = [edge for edge, count in zip(edges, counts, strict=False) if count]
    low, high = min([*used, limit]), max([*used, limit])
    axes.set_xlim(low / 1.3, high * 1.6)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    by = figures["lengths"]["tokens_by"]
    how = "estimated" if "estimate" in by else f"counted with {by['tokenizer']}"
    drawn = by.get("texts_counted", figures["lengths"]["texts"])
    texts = "texts" if drawn == figures["lengths"]["texts"] else f"texts, {drawn:,} drawn"
    axes.set(xlabel=f"tokens under the chat template, {how}", ylabel=texts)
    return axes.figure


def _discouraged(figures: Json) -> Any:
    """Draw the share of first labels that MITRE advises against, by year and source."""
    axes = plot_axes(7.2, 3.4)
    drawn = False
    for source, (colour, _, line, marker) in _STYLES.items():
        points = [
            (int(row["year"]), 100 * used["Discouraged"] / total)
            for row in figures["years"]
            if row["year"] != NO_YEAR
            and (used := row["first_label_usage"].get(source))
            and (total := sum(used.values())) >= _FEWEST
        ]
        if len(points) > 1:
            drawn = True
            style = {"color": colour, "linestyle": line, "marker": marker, "markersize": 4}
            axes.plot(*zip(*points, strict=True), label=LABEL_SOURCES[source], **style)
    if not drawn:
        return None
    axes.set(xlabel="year of publication", ylabel="Discouraged, per cent of first labels")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.figure.legend(title="label from", **_ABOVE)
    return axes.figure


_PLOTS: dict[str, tuple[Callable[[Json], Any], str]] = {
    "years": (_years, "Records by year of publication and source of the primary label"),
    "classes": (_tail, "Labels of each class by rank, and the share of the largest classes"),
    "agreement": (_agreement, "Agreement of two sources on the first label"),
    "lengths": (_lengths, "Length of the chat in tokens, and the limit of training"),
    "discouraged": (_discouraged, "Share of Discouraged labels by year of publication and source"),
}
TITLES = {name: title for name, (_, title) in _PLOTS.items()}
