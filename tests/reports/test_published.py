from __future__ import annotations

import re
from pathlib import Path

import pytest

from cybersecqwen.reports.published import (
    BASELINES,
    ELSEWHERE,
    PUBLISHED,
    Accuracy,
    Published,
)

CARD = "CyberSecQwen-4B model card"
ROW = re.compile(
    r"\| (?P<model>[^|]+) \| (?P<size>[\d.]+B(?: effective)?) "
    r"\| (?P<rcm>[*\d.± ]+) \| (?P<mcq>[*\d.± ]+) \| (?P<notes>[^|]+) (?=\|)"
)


def figures(cell: str) -> tuple[float, float | None]:
    value, _, std = cell.replace("*", "").partition("±")
    return float(value), float(std) if std else None


def plain(name: str) -> str:
    """Take links, emphasis and remarks in brackets off a model name."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)|\*\*|\([^)]*\)", r"\1", name).strip()


def highest(accuracy: Accuracy) -> float:
    return max(accuracy) if isinstance(accuracy, tuple) else accuracy or 0.0


@pytest.mark.shared
def test_rows_of_the_model_card_are_its_numbers(shared: Path) -> None:
    text = (shared.parent / "model-card.md").read_text(encoding="utf-8")
    table = text.split("| Model | Size | CTI-RCM | CTI-MCQ | Notes |", 1)[1]
    expected = []
    for row in ROW.finditer(table):
        (rcm, rcm_std), (mcq, mcq_std) = figures(row["rcm"]), figures(row["mcq"])
        spread = (mcq_std, rcm_std) if rcm_std is not None else None
        shots = re.search(r"(\d)-shot", row["notes"])
        expected.append((plain(row["model"]), row["size"], rcm, mcq, spread, shots and shots[1]))
    assert len(expected) == 9
    ours = [row for row in PUBLISHED if row.source == CARD]
    assert [(r.model, r.size, r.cti_rcm, r.cti_mcq, r.spread) for r in ours] == [
        row[:5] for row in expected
    ]
    for row, (*_, shots) in zip(ours, expected, strict=True):
        assert shots is None or row.shots == int(shots)


@pytest.mark.shared
def test_every_published_figure_on_record_is_in_the_table(shared: Path) -> None:
    text = (shared.parent / "protocols.md").read_text(encoding="utf-8")
    table = text.split("## Published numbers", 1)[1].split("CTI-VSP", 1)[0]
    columns = (line.split("|")[3:5] for line in table.splitlines() if line.startswith("| "))
    on_record = {float(x) for pair in columns for x in re.findall(r"0\.\d+", " ".join(pair))}
    ours = {row["value"] for row in ELSEWHERE}
    for row in PUBLISHED:
        for value in (row.cti_mcq, row.cti_rcm, row.spread):
            ours |= set(value) if isinstance(value, tuple) else {value or 0.0}
    assert len(on_record) > 30
    assert on_record <= ours


def test_figures_on_other_items_are_not_among_those_on_cti_bench() -> None:
    new_cves = {row["value"] for row in ELSEWHERE if "CVEs after" in row["task"]}
    by_audit = [row for row in PUBLISHED if "audit" in row.source]
    assert new_cves == {0.772, 0.745, 0.765}
    assert {row.cti_rcm for row in by_audit} == {0.749, 0.738, 0.743}


def test_size_in_words_is_the_number_of_parameters() -> None:
    for row in PUBLISHED:
        if row.parameters is None:
            assert row.size == ""
        else:
            scale = {"B": 1.0, "M": 1e-3}[row.size.split()[0][-1]]
            assert float(row.size.split()[0][:-1]) * scale == pytest.approx(row.parameters)


@pytest.mark.parametrize("row", [*PUBLISHED, *BASELINES], ids=lambda row: row.model)
def test_every_row_has_a_source_and_a_score(row: Published) -> None:
    assert row.source
    assert row.protocol
    assert 0 < max(highest(row.cti_mcq), highest(row.cti_rcm)) < 1


def test_baselines_are_marked_as_such() -> None:
    assert all("baseline" in row.source for row in BASELINES)
    assert not any("baseline" in row.source for row in PUBLISHED)
