from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cybersecqwen.reports.model_card import render
from cybersecqwen.reports.results import against_baselines, results, results_table
from cybersecqwen.reports.run_folder import Result

from .conftest import MakeRun, scores, write_scores


def test_results_are_json_with_both_spreads(make_run: MakeRun) -> None:
    rows = json.loads(json.dumps(results(make_run())))
    assert [row["task"] for row in rows] == ["cti-mcq", "cti-rcm"]
    rcm = rows[1]
    assert (rcm["strict_accuracy"]["mean"], rcm["strict_accuracy"]["std"]) == (0.6512, 0.0031)
    assert rcm["comparable"] is True
    # Wilson's interval for 651.2 of 1,000, from its closed form.
    assert rcm["interval_95"] == pytest.approx([0.6211, 0.6801], abs=1e-4)


def test_table_shows_score_spread_and_interval(make_run: MakeRun) -> None:
    line = results_table(make_run()).splitlines()[3]
    assert "0.6512 ± 0.0031" in line
    assert "0.621 to 0.680" in line


@pytest.mark.parametrize("report", [render, results_table])
def test_what_was_left_unread_stands_beside_the_score(
    report: Callable[[Path], str], make_run: MakeRun
) -> None:
    run = make_run()
    unread = {
        "count": 120,
        "share": 0.12,
        "forms": {"boxed": 90, "refused": 30},
        "lenient": {"strict_accuracy": 0.587},
        "warning": "120 of 1,000 answers (12.0%) were left unread",
    }
    write_scores(run, scores("cti-rcm", 1_000, 0.5, unread=unread))
    [line] = [line for line in report(run).splitlines() if "0.5000" in line and "cti-rcm" in line][
        :1
    ]
    cells = [cell.strip() for cell in line.split("|")]
    assert "12.0%: boxed 90, refused 30" in cells
    assert "0.5870" in cells
    assert f"warning: {unread['warning']}" in line
    [row] = [row for row in results(run) if row["task"] == "cti-rcm"]
    assert row["unread"] == unread
    # Scores of an earlier version do not say.
    assert "not on record" in report(run)


def test_one_trial_has_no_spread(make_run: MakeRun) -> None:
    run = make_run(complete=False)
    write_scores(run, scores("cti-rcm", 1_000, 0.5, strict_accuracy={"mean": 0.5, "std": None}))
    assert "±" not in results_table(run)


def test_run_without_scores_says_so(make_run: MakeRun) -> None:
    run = make_run(complete=False)
    assert results_table(run).startswith("Not evaluated yet")
    assert results(run) == []


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.70, "below"), (0.75, "not distinguishable from"), (0.80, "above")]
)
def test_verdict_against_the_baseline_follows_the_item_interval(mean: float, verdict: str) -> None:
    (line,) = against_baselines([Result.model_validate(scores("cti-rcm", 1_000, mean))])
    assert f"is {verdict} the 0.763" in line


def test_a_baseline_is_not_beaten_by_leaving_hard_items_out() -> None:
    over_all = {"mean": 0.56, "interval_95": [0.53, 0.59]}
    row = scores("cti-rcm", 1_000, 0.8, protocol="cti-bench", metrics={"accuracy_of_all": over_all})
    (line,) = against_baselines([Result.model_validate(row)])
    assert "0.5600 is below the 0.763" in line
