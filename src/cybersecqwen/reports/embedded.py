"""Write down what a build of the embedded classifier measured: tables and two plots.

    write_report(certificate, Path("docs/embedded"))      # README.md, calibration.svg, …

The certificate that stands beside the artifact holds every number; this only shows them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from cybersecqwen import templates
from cybersecqwen.errors import extra
from cybersecqwen.files import Json, write_text
from cybersecqwen.reports.markdown import table

_SPLITS = {
    "by_text": "held-out texts",
    "by_date": "records after the date",
}
_LEAST = 20  # records of a class that has a row of its own
_MEASURES = (
    ("training records", "training_records", ","),
    ("records tested", "records", ","),
    ("first candidate right", "top1", ".3f"),
    ("among three", "top3", ".3f"),
    ("among five", "top5", ".3f"),
    ("first candidate in the label set", "top1_in_label_set", ".3f"),
    ("macro F1", "macro_f1", ".3f"),
    ("expected calibration error, 15 bins", "expected_calibration_error", ".3f"),
    ("answered at 90 % precision", "coverage_at_90_precision", ".3f"),
    (
        "answered at 90 % precision, label set",
        "coverage_at_90_precision_in_label_set",
        ".3f",
    ),
)
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
    held_out = splits["by_text"]
    return templates.render(
        "reports/embedded.md.jinja",
        certificate=certificate,
        headline=_headline(splits),
        bands=_bands(held_out["by_training_records"]),
        classes=_classes(held_out["by_class"]),
    )


def _splits(certificate: Json) -> dict[str, Json]:
    """Return the measured splits in the order of this module, whatever that of the file is."""
    return {
        name: certificate["validation"][name]
        for name in _SPLITS
        if name in certificate["validation"]
    }


def _headline(splits: dict[str, Json]) -> str:
    titles = [
        f"from {split['split']} on" if "split" in split else _SPLITS[name]
        for name, split in splits.items()
    ]
    rows = [
        [label, *(f"{split[key]:{spec}}" for split in splits.values())]
        for label, key, spec in _MEASURES
    ]
    return table(["", *titles], rows)


def _bands(bands: Sequence[Json]) -> str:
    rows = []
    for band in bands:
        low, high = band["training_records"]
        records = f"{low:,} to {high:,}" if high > low else f"{low:,}"
        rates = (f"{band['top1']:.3f}", f"{band['top5']:.3f}")
        rows.append((records, str(band["classes"]), f"{band['records']:,}", *rates))
    return table(["training records", "classes", "records tested", "first", "among five"], rows)


def _classes(by_class: Sequence[tuple[str, int, float, float | None]]) -> str:
    shown = [row for row in by_class if row[1] >= _LEAST]
    rest = by_class[len(shown) :]
    rows = [
        (name, str(count), f"{recall:.2f}", "-" if precision is None else f"{precision:.2f}")
        for name, count, recall, precision in shown
    ]
    records = sum(count for _, count, _, _ in rest)
    if records:
        recall = sum(count * recall for _, count, recall, _ in rest) / records
        rows.append((f"{len(rest)} rarer classes", str(records), f"{recall:.2f}", "-"))
    return table(["class", "records", "recall", "precision"], rows)


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
