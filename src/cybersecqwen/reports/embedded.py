"""Write down what a build of the embedded classifier measured: tables and two plots.

    write_report(certificate, Path("docs/embedded"))      # README.md, calibration.svg, …

The certificate that stands beside the artifact holds every number; this only shows them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from cybersecqwen.errors import extra
from cybersecqwen.files import Json, write_text
from cybersecqwen.reports.markdown import table

_SPLITS = {
    "by_text": "held-out texts",
    "by_date": "records after the date",
}
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
    return (
        "\n\n".join(
            [
                "# The embedded classifier, measured",
                _opening(certificate),
                _headline(splits),
                "![Calibration](calibration.svg)\n\n![Abstention](abstention.svg)",
                "## By how many records of the class it was trained on",
                _bands(splits["by_text"]),
                "## By class",
                "Held-out texts: classes of at least 20 records, and the rest as one row.",
                _classes(splits["by_text"]["by_class"]),
            ]
        )
        + "\n"
    )


def _splits(certificate: Json) -> dict[str, Json]:
    """Return the measured splits in the order of this module, whatever that of the file is."""
    return {
        name: certificate["validation"][name]
        for name in _SPLITS
        if name in certificate["validation"]
    }


def _opening(certificate: Json) -> str:
    return (
        f"Written by `{certificate['command']} --report`; every figure is in the certificate of "
        f"`{certificate['artifact']}` (sha256 `{certificate['sha256'][:12]}…`, "
        f"{certificate['bytes'] / 1e6:.1f} MB).\n\n"
        f"Of the labelled records, {certificate['dropped']:,} were left out because they overlap "
        f"with CTI-Bench, and {certificate['labelled_records']:,} remained. Texts that read the "
        'same always fall on the same side of a split. "Right" is the first label of NVD, else '
        'of the CNA, else of CISA; "in the label set" is any of the record\'s labels. The split '
        "by date tests a second model that was trained on earlier records only: it shows what "
        "to expect of records that are newer than the model."
    )


def _headline(splits: dict[str, Json]) -> str:
    def title(name: str, split: Json) -> str:
        return f"from {split['split']} on" if "split" in split else _SPLITS[name]

    rows = [
        ("training records", "training_records", "{:,}"),
        ("records tested", "records", "{:,}"),
        ("first candidate right", "top1", "{:.3f}"),
        ("among three", "top3", "{:.3f}"),
        ("among five", "top5", "{:.3f}"),
        ("first candidate in the label set", "top1_in_label_set", "{:.3f}"),
        ("macro F1", "macro_f1", "{:.3f}"),
        ("expected calibration error, 15 bins", "expected_calibration_error", "{:.3f}"),
        ("answered at 90 % precision", "coverage_at_90_precision", "{:.3f}"),
        (
            "answered at 90 % precision, label set",
            "coverage_at_90_precision_in_label_set",
            "{:.3f}",
        ),
    ]
    return table(
        ["", *(title(name, split) for name, split in splits.items())],
        [[label, *(form.format(s[key]) for s in splits.values())] for label, key, form in rows],
    )


def _bands(split: Json) -> str:
    rows = []
    for band in split["by_training_records"]:
        low, high = band["training_records"]
        rows.append(
            [
                f"{low:,} to {high:,}" if high > low else f"{low:,}",
                f"{band['classes']}",
                f"{band['records']:,}",
                f"{band['top1']:.3f}",
                f"{band['top5']:.3f}",
            ]
        )
    return table(["training records", "classes", "records tested", "first", "among five"], rows)


def _classes(by_class: Sequence[Sequence[object]]) -> str:
    shown = [row for row in by_class if int(str(row[1])) >= 20]
    rest = by_class[len(shown) :]
    rows = [
        [
            str(name),
            str(count),
            f"{recall:.2f}",
            f"{precision:.2f}" if precision is not None else "-",
        ]
        for name, count, recall, precision in shown
    ]
    records = sum(int(str(row[1])) for row in rest)
    if records:
        recall = sum(int(str(row[1])) * float(str(row[2])) for row in rest) / records
        rows.append([f"{len(rest)} rarer classes", str(records), f"{recall:.2f}", "-"])
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
