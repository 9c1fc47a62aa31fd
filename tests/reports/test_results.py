from __future__ import annotations

import json

import pytest

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
