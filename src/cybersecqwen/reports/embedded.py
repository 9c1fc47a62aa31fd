"""Write down what a build of the embedded classifier measured: tables and two plots.

    write_report(certificate, Path("docs/embedded"))      # README.md, calibration.svg, …

The certificate that stands beside the artifact holds every number; this only shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cybersecqwen.errors import extra
from cybersecqwen.files import Json, write_text
from cybersecqwen.reports.markdown import document
from cybersecqwen.reports.svg import BLUE, GREEN, PLAIN, VERMILLION, draw_svg, plot_axes

_SPLITS = {
    "by_text": "held-out texts",
    "by_date": "records after the date",
    "by_later_date": "records after a later date",
}
_LEAST = 20  # records of a class that has a row of its own
_STYLES: Json = {
    "by_text": {"color": BLUE, "marker": "o", "markersize": 3.5},
    "by_date": {"color": VERMILLION, "marker": "s", "markersize": 3.5, "linestyle": "--"},
    "by_later_date": {"color": GREEN, "marker": "^", "markersize": 3.5, "linestyle": ":"},
}


def write_report(certificate: Json, folder: Path) -> None:
    """Write README.md, calibration.svg and abstention.svg of one build into `folder`."""
    write_text(folder / "README.md", render(certificate))
    with extra("train"):
        import matplotlib  # noqa: F401
    for name, svg in draw_svg(_figures(_splits(certificate)), PLAIN).items():
        write_text(folder / f"{name}.svg", svg)


def render(certificate: Json) -> str:
    """Write the report in Markdown."""
    splits = _splits(certificate)
    by_class = splits["by_text"]["by_class"]
    frequent = [row for row in by_class if row[1] >= _LEAST]
    rare = by_class[len(frequent) :]
    records = sum(count for _, count, _, _ in rare)
    return document(
        "reports/embedded.md.jinja",
        certificate=certificate,
        splits=splits,
        analysts=certificate["validation"].get("analysts"),
        titles=_SPLITS,
        held_out=splits["by_text"],
        least=_LEAST,
        frequent=frequent,
        rare=rare,
        rare_records=records,
        rare_recall=sum(count * recall for _, count, recall, _ in rare) / max(records, 1),
    )


def _splits(certificate: Json) -> dict[str, Json]:
    """Return the measured splits in the order of this module, whatever that of the file is."""
    return {
        name: certificate["validation"][name]
        for name in _SPLITS
        if name in certificate["validation"]
    }


def _figures(splits: Json) -> Iterator[tuple[str, Any, str]]:
    reliability = {
        name: [row[1:] for row in split["reliability"]] for name, split in splits.items()
    }
    axes = _curves(reliability, x="confidence", y="share that is right")
    axes.plot((0, 1), (0, 1), color="0.6", linestyle=":", label="perfectly calibrated")
    axes.legend(frameon=False, loc="lower right")
    yield "calibration", axes.figure, "share that is right"
    abstention = {name: split["abstention"] for name, split in splits.items()}
    right = "share of the answers that is right"
    axes = _curves(abstention, x="share of the texts answered, surest first", y=right)
    axes.legend(frameon=False, loc="lower left")
    yield "abstention", axes.figure, right


def _curves(curves: Json, *, x: str, y: str) -> Any:
    axes = plot_axes(6.4, 4.4)
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=_SPLITS[name], **_STYLES[name])
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
    return axes
