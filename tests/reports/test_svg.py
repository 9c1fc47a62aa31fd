from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.reports.svg import loss_plot

SVG = "{http://www.w3.org/2000/svg}"
LOG = [
    {"step": 10, "epoch": 0.1, "loss": 2.1, "learning_rate": 5e-5, "grad_norm": 1.0},
    {"step": 20, "epoch": 0.2, "loss": 1.4, "learning_rate": 4e-5, "grad_norm": 0.9},
    {"step": 20, "epoch": 0.2, "eval_loss": 1.5},
    {"step": 30, "epoch": 0.3, "loss": 1.1, "learning_rate": 1e-5, "grad_norm": 0.8},
    {"step": 30, "epoch": 0.3, "eval_loss": 1.3},
    {"train_runtime": 3.2, "train_loss": 1.5},
]


def write_log(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def curves(svg: Path) -> dict[str, int]:
    """Count the points of each line by its colour; legend samples have two points or three."""
    found: dict[str, int] = {}
    for path in ElementTree.parse(svg).iter(f"{SVG}path"):
        style = path.get("style", "")
        for colour in ("#0072b2", "#d55e00"):
            if f"stroke: {colour}" in style and "stroke-width: 1.6" in style:
                found.setdefault(colour, path.get("d", "").count("L") + 1)
    return found


def test_draws_every_logged_loss_as_valid_svg(tmp_path: Path) -> None:
    out = tmp_path / "plots" / "loss.svg"
    loss_plot(write_log(tmp_path / "log.jsonl", LOG), out)
    texts = {"".join(text.itertext()) for text in ElementTree.parse(out).iter(f"{SVG}text")}
    assert {"optimiser step", "loss (nats per token)", "train", "validation"} <= texts
    assert curves(out) == {"#0072b2": 3, "#d55e00": 2}


def test_same_log_gives_same_bytes(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", LOG)
    for name in ("one.svg", "two.svg"):
        loss_plot(log, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"dc:date" not in (tmp_path / "one.svg").read_bytes()


def test_run_without_validation_draws_one_curve(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", LOG[:2])
    loss_plot(log, tmp_path / "loss.svg")
    assert list(curves(tmp_path / "loss.svg")) == ["#0072b2"]


def test_leaves_matplotlibs_settings_alone(tmp_path: Path) -> None:
    import matplotlib as mpl

    keys = ("svg.hashsalt", "svg.fonttype", "font.size")
    before = [mpl.rcParams[key] for key in keys]
    loss_plot(write_log(tmp_path / "log.jsonl", LOG), tmp_path / "loss.svg")
    assert [mpl.rcParams[key] for key in keys] == before


def test_log_without_a_loss_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", [LOG[-1]])
    with pytest.raises(InputError, match="no loss in this log"):
        loss_plot(log, tmp_path / "loss.svg")
    assert not (tmp_path / "loss.svg").exists()


def test_row_that_is_no_point_is_named(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", [LOG[0], {"step": 20, "loss": None}])
    with pytest.raises(InputError, match=r"log\.jsonl:2: step 20 with loss None"):
        loss_plot(log, tmp_path / "loss.svg")
