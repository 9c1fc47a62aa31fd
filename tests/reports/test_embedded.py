"""The report of a build shows what its certificate holds, and nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cybersecqwen.artifacts import FOLDER, certificate_of
from cybersecqwen.embedded.classifier import ARTIFACT
from cybersecqwen.files import read_json
from cybersecqwen.reports.embedded import render, write_report

pytest.importorskip("matplotlib")
SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["README.md", "abstention.svg", "calibration.svg"]

BY_TEXT: dict[str, Any] = {
    "training_records": 12_345,
    "records": 678,
    "top1": 0.7211,
    "top3": 0.8422,
    "top5": 0.8933,
    "top1_in_label_set": 0.7344,
    "macro_f1": 0.3055,
    "expected_calibration_error": 0.0166,
    "coverage_at_90_precision": 0.6677,
    "coverage_at_90_precision_in_label_set": 0.6888,
    "by_training_records": [
        {"training_records": [0, 0], "classes": 2, "records": 3, "top1": 0.0, "top5": 0.0},
        {"training_records": [1, 28], "classes": 4, "records": 9, "top1": 0.111, "top5": 0.222},
    ],
    "by_class": [
        ["CWE-79", 300, 0.951, 0.942],
        ["CWE-89", 20, 0.85, 1.0],
        ["CWE-20", 20, 0.0, None],
        ["CWE-1", 15, 0.4, 0.5],
        ["CWE-2", 5, 0.8, None],
    ],
    "mapping": {
        "records": 456,
        "first": 0.7654,
        "expected_calibration_error": 0.0321,
        "advised_against": 0.0298,
    },
    "reliability": [[0.25, 0.31, 0.28], [0.75, 0.93, 0.95]],
    "abstention": [[0.1, 1.0], [0.5, 0.93], [1.0, 0.72]],
}
CERTIFICATE: dict[str, Any] = {
    "artifact": "cwe-classifier.npz",
    "command": "cybersecqwen embedded build",
    "sha256": "0123456789ab" + "f" * 52,
    "bytes": 10_449_169,
    "dropped": 9_222,
    "labelled_records": 201_785,
    "validation": {
        "by_text": BY_TEXT,
        "by_date": {**copy.deepcopy(BY_TEXT), "split": "2025-01-01", "records": 4_321, "top1": 0.6},
    },
}


def rows(markdown: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("|")
    ]


def test_the_opening_says_what_was_measured() -> None:
    opening = " ".join(render(CERTIFICATE).split("|")[0].split())
    assert "9,222 were left out" in opening
    assert "201,785 remained" in opening
    assert "`cwe-classifier.npz` (sha256 `0123456789ab…`, 10.4 MB)" in opening
    assert "`cybersecqwen embedded build --report`" in opening


def test_a_column_a_split_and_a_row_a_figure() -> None:
    cells = rows(render(CERTIFICATE))
    assert ["", "held-out texts", "from 2025-01-01 on"] in cells
    by_label = {row[0]: row[1:] for row in reversed(cells)}  # of two tables the first counts
    assert by_label["training records"] != []
    assert by_label["records tested"] == ["678", "4,321"]
    assert by_label["first candidate right"] == ["0.721", "0.600"]
    for label, figure in {
        "among three": "0.842",
        "among five": "0.893",
        "first candidate in the label set": "0.734",
        "macro F1": "0.305",
        "expected calibration error, 15 bins": "0.017",
        "answered at 90 % precision": "0.668",
        "answered at 90 % precision, label set": "0.689",
    }.items():
        assert by_label[label] == [figure, figure]
    mapped = {row[0]: row[1:] for row in cells}
    assert mapped["records with such a label"] == ["456", "456"]
    assert mapped["first candidate right"] == ["0.765", "0.765"]
    assert mapped["expected calibration error, 15 bins"] == ["0.032", "0.032"]
    assert mapped["advised against, of all records"] == ["0.030", "0.030"]


def test_bands_and_classes_with_the_rare_ones_as_one_row() -> None:
    cells = rows(render(CERTIFICATE))
    assert ["0", "2", "3", "0.000", "0.000"] in cells
    assert ["1 to 28", "4", "9", "0.111", "0.222"] in cells
    assert cells[-4:] == [
        ["CWE-79", "300", "0.95", "0.94"],
        ["CWE-89", "20", "0.85", "1.00"],
        ["CWE-20", "20", "0.00", "-"],
        ["2 rarer classes", "20", "0.50", "-"],  # (15 * 0.4 + 5 * 0.8) / 20
    ]


def test_without_newer_records_there_is_one_split(tmp_path: Path) -> None:
    certificate = {**CERTIFICATE, "validation": {"by_text": BY_TEXT}}
    assert ["", "held-out texts"] in rows(render(certificate))
    write_report(certificate, tmp_path)
    legend = texts(tmp_path / "calibration.svg")
    assert "held-out texts" in legend
    assert "records after the date" not in legend


def texts(svg: Path) -> set[str]:
    return {"".join(text.itertext()) for text in ElementTree.parse(svg).iter(f"{SVG}text")}


def test_the_plots_are_well_formed_and_say_what_they_show(tmp_path: Path) -> None:
    write_report(CERTIFICATE, tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == NAMES
    both = {"held-out texts", "records after the date"}
    assert both | {"confidence", "perfectly calibrated"} <= texts(
        tmp_path / "report" / "calibration.svg"
    )
    assert both | {"share of the answers that is right"} <= texts(
        tmp_path / "report" / "abstention.svg"
    )


def test_the_same_certificate_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_report(copy.deepcopy(CERTIFICATE), tmp_path / folder)
    for name in NAMES:
        written = (tmp_path / "one" / name).read_bytes()
        assert written == (tmp_path / "two" / name).read_bytes(), name
        assert b"dc:date" not in written


def test_the_written_report_is_that_of_the_shipped_certificate() -> None:
    written = Path(__file__).parents[2] / "docs" / "embedded" / "README.md"
    assert written.read_text(encoding="utf-8") == render(
        read_json(certificate_of(FOLDER, ARTIFACT))
    )
