"""Write down what a build of the embedded classifier measured: tables and two plots.

    write_report(certificate, Path("docs/embedded"))      # README.md, calibration.svg, …

The certificate that stands beside the artifact holds every number; this only shows them.
"""

from __future__ import annotations

import io
from pathlib import Path

from cybersecqwen.errors import extra
from cybersecqwen.files import Json, write_text
from cybersecqwen.reports.markdown import document

_SPLITS = {
    "by_text": "held-out texts",
    "by_date": "records after the date",
}
_LEAST = 20  # records of a class that has a row of its own
# Okabe and Ito's blue and vermillion, apart for every kind of colour vision and in grey print.
_STYLES: Json = {
    "by_text": {"color": "#0072B2", "marker": "o", "markersize": 3.5},
    "by_date": {"color": "#D55E00", "marker": "s", "markersize": 3.5, "linestyle": "--"},
}


def write_report(certificate: Json, folder: Path) -> None:
    """Write README.md, calibration.svg and abstention.svg of one build into `folder`."""
    validation = _splits(certificate)
    write_text(folder / "README.md", render(certificate))
    _plot(
        folder / "calibration.svg",
        {name: [row[1:] for row in validation[name]["reliability"]] for name in validation},
        labels=("confidence", "share that is right"),
    )
    _plot(
        folder / "abstention.svg",
        {name: validation[name]["abstention"] for name in validation},
        labels=("share of the texts answered, surest first", "share of the answers that is right"),
    )


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


def _plot(path: Path, curves: Json, *, labels: tuple[str, str]) -> None:
    with extra("train"):
        import matplotlib as mpl
        from matplotlib.figure import Figure
    # A fixed salt and no date: the same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "cybersecqwen", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), label=_SPLITS[name], **_STYLES[name])
        if labels[0] == "confidence":
            axes.plot((0, 1), (0, 1), color="0.6", linestyle=":", label="perfectly calibrated")
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(color="#D9D9D9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right" if labels[0] == "confidence" else "lower left")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": labels[1]})
    write_text(path, buffer.getvalue())
